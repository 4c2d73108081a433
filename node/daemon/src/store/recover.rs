//! Going on with a store that does not verify, because its owner says so and has nothing better.
//!
//! Nothing is thrown away: the store as found is copied aside first. What was written after it, or
//! lay in a record that is gone, is lost to this node; the chain and the other side of each channel
//! still know it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use warren_payments::store::{ROLLED_BACK, Table};

use super::chain::{ChainFault, Head, MirrorEvidence};
use super::keeper::{content_after, engine_failed, mirror_failed, open_mirror, unverified};
use super::rocks::{self, Engine, EngineError, Outcome};
use super::{FOLDER, MIRROR, Store, StoreError, StoreSpec};
use crate::clock::Clock;
use crate::error::{ErrorCode, Problem};
use crate::identity;
use crate::lockfile::HomeLock;

/// What one agrees to.
const AT_RISK: &str = "to go on with it may lose words that others paid with, and pay once more \
    from an old state; the chain and your peers know more than it does";
/// Copies of found stores that one home may hold.
const MAX_COPIES: u32 = 1000;

/// What [`Store::accept_as_found`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The store's last batch as found.
    pub found: u64,
    /// The batch that was confirmed last. `None` if nothing said so.
    pub confirmed: Option<u64>,
    /// The number it goes on with.
    pub goes_on_with: u64,
    /// Where the store as found was copied to. `None` if there was none.
    pub copy: Option<PathBuf>,
}

/// What became of a home that was to be recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// The store verifies: there was nothing to do. Its batches.
    Sound(u64),
    /// It was accepted as found.
    Accepted(Accepted),
}

/// Accepts the store in `home` as it is found, if it does not verify and `accept` names the node.
///
/// `accept`: the first eight digits of the node's id, typed by the owner.
///
/// # Errors
/// [`ErrorCode::StoreConsent`] without the right word; else the [`Problem`] of the key file, of the
/// lock (the daemon is running), or of the store.
pub fn recover_home(home: &Path, accept: Option<&str>) -> Result<Recovered, Problem> {
    if !home.join(FOLDER).exists() && !home.join(MIRROR).exists() {
        let seen = format!("there is no store in {}", home.display());
        return Err(
            Problem::new(ErrorCode::NotFound, seen).with_next("warren --home DIR recover --store")
        );
    }
    let key = identity::load(&identity::key_path(home)).map_err(|error| error.problem())?;
    let lock = HomeLock::take(home, Clock::start().now()).map_err(|error| error.problem())?;
    let spec = StoreSpec::new(home, key.id());
    let (fault, lock) = match Store::inspect(&spec, lock)? {
        Ok(batches) => return Ok(Recovered::Sound(batches)),
        Err(found) => found,
    };
    let word = key.id().short();
    if accept != Some(word.as_str()) {
        let typed = accept.map_or_else(String::new, |it| {
            format!("; `{it}` was typed where `{word}` is asked for")
        });
        let next = format!(
            "warren --home {} recover --store --accept {word}",
            home.display()
        );
        let seen = format!("{fault}{typed}; {AT_RISK}");
        return Err(Problem::new(ErrorCode::StoreConsent, seen).with_next(next));
    }
    let accepted = Store::accept_as_found(&spec, &lock).map_err(|error| error.problem())?;
    Ok(Recovered::Accepted(accepted))
}

impl Store {
    /// Whether the store of a locked home verifies: its batches, or what is wrong and the lock.
    ///
    /// # Errors
    /// The [`Problem`] of a store that accepting does not mend: another node's, a full disk.
    fn inspect(
        spec: &StoreSpec,
        lock: HomeLock,
    ) -> Result<Result<u64, (StoreError, HomeLock)>, Problem> {
        let fault = match Self::open(spec.clone(), lock) {
            Ok(store) => return Ok(Ok(store.batches())),
            Err(fault) => fault,
        };
        let problem = fault.problem();
        if !problem.is(ErrorCode::StoreOlder) && !problem.is(ErrorCode::StoreBroken) {
            return Err(problem);
        }
        let lock = HomeLock::take(&spec.home, Clock::start().now());
        Ok(Err((fault, lock.map_err(|error| error.problem())?)))
    }

    /// Takes the store as it is, whatever the chain says: for an owner who has nothing better.
    ///
    /// Channels in it may be older than what was signed since: it is marked so that none is paid from before its
    /// payee has shown what it holds.
    ///
    /// # Errors
    /// [`StoreError`]; a store of another node is refused here too.
    pub fn accept_as_found(spec: &StoreSpec, lock: &HomeLock) -> Result<Accepted, StoreError> {
        let _: &HomeLock = lock; // Nobody else writes meanwhile.
        let told = |error| engine_failed(spec, error);
        let copy = copy_aside(spec).map_err(|source| StoreError::Io {
            path: spec.folder(),
            source,
        })?;
        let (mirror, evidence) = open_mirror(spec)?;
        let confirmed = match evidence {
            Some(MirrorEvidence::Confirmed(head)) => Some(head),
            Some(MirrorEvidence::Damaged) | None => None,
        };
        let engine = open_damaged(spec).map_err(told)?;
        let heads = engine.heads().map_err(told)?;
        let newest = heads.into_iter().flatten().next_back();
        let mut others = newest.iter().chain(&confirmed).map(|it| it.owner);
        if let Some(owner) = others.find(|it| *it != spec.owner) {
            return Err(unverified(spec, ChainFault::Foreign { owner }));
        }
        let found = newest.map_or(0, |it| it.number);
        let base = newest
            .into_iter()
            .chain(confirmed)
            .max_by_key(|it| it.number);
        let base = base.unwrap_or_else(|| Head::first(spec.owner));
        let mut marked = Outcome::new();
        let meta = Table::Meta.name();
        if spec.tables.contains(&meta) {
            marked.insert((meta, ROLLED_BACK.to_vec()), Some(vec![1]));
        }
        let content = engine.content(&spec.tables).map_err(told)?;
        let content = content_after(&engine, &marked, content).map_err(told)?;
        let next = base.next([0; 32], content);
        engine.forget_heads().map_err(told)?;
        engine.write(&marked, &next).map_err(told)?;
        mirror
            .confirm(&next)
            .map_err(|source| mirror_failed(spec, source))?;
        let confirmed = confirmed.map(|it| it.number);
        Ok(Accepted {
            found,
            confirmed,
            goes_on_with: next.number,
            copy,
        })
    }
}

/// Opens what the engine itself calls damaged: first up to the damage, then whatever can be saved.
fn open_damaged(spec: &StoreSpec) -> Result<Engine, EngineError> {
    let folder = spec.folder();
    let fresh = !rocks::exists(&folder);
    match Engine::open(&folder, &spec.tables, fresh) {
        Err(EngineError::Refused { reason, .. }) if reason.contains("Corruption") => {}
        opened => return opened,
    }
    match Engine::open_up_to_damage(&folder, &spec.tables) {
        Err(EngineError::Refused { reason, .. }) if reason.contains("Corruption") => {}
        opened => return opened,
    }
    Engine::repair(&folder)?;
    Engine::open(&folder, &spec.tables, false)
}

/// Copies the store's folder and mirror beside them; says where. `None` if there is nothing.
fn copy_aside(spec: &StoreSpec) -> io::Result<Option<PathBuf>> {
    let (folder, mirror) = (spec.folder(), spec.mirror_path());
    if !folder.exists() && !mirror.exists() {
        return Ok(None);
    }
    let named = |number: u32| spec.home.join(format!("db.found-{number}"));
    let copy = (1..=MAX_COPIES).map(named).find(|it| !it.exists());
    let copy = copy.ok_or_else(|| io::Error::other("there are too many copies of it already"))?;
    // Nobody else's to read, whatever the umask of who recovers.
    DirBuilder::new().mode(0o700).create(&copy)?;
    if mirror.exists() {
        fs::copy(&mirror, copy.join(MIRROR))?;
    }
    if folder.exists() {
        let inner = copy.join(FOLDER);
        fs::create_dir(&inner)?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), inner.join(entry.file_name()))?;
            }
        }
    }
    Ok(Some(copy))
}
