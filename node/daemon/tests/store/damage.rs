//! Damage is refused, or it harmed nothing: never a silent step back.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use warren_daemon::lockfile::HomeLock;
use warren_daemon::store::chain::ChainFault;
use warren_daemon::store::{Store, StoreError, StoreSpec};
use warren_proto::{NodeId, UnixTime};

use crate::fixture::{assert_whole, copy, files_of, home_with, open, spec, write_next};

const BATCHES: u64 = 60;
/// Batches written after the backup was taken.
const LATER: u64 = 7;

/// Opens a copy of `home` after `damage`; it must be refused, or hold all `batches`. Says which.
fn opens_whole(home: &Path, batches: u64, damage: impl FnOnce(&Path)) -> bool {
    let copied = tempfile::tempdir().unwrap();
    copy(home, copied.path());
    damage(copied.path());
    match open(copied.path()) {
        Ok(store) => {
            assert_eq!(assert_whole(&store), batches, "it opened, but rolled back");
            true
        }
        Err(error) => {
            assert_ne!(error.problem().next, "");
            false
        }
    }
}

/// What happens to one file of a copy.
#[derive(Debug, Clone, Copy)]
enum Damage {
    /// One bit is another.
    Flip,
    /// The end is missing.
    Cut,
    /// A page came back empty, as after a torn write.
    Blank,
    /// The file is as it was some batches ago: a backup laid over the store.
    Older,
    /// The file is gone.
    Gone,
}

const KINDS: [Damage; 5] = [
    Damage::Flip,
    Damage::Cut,
    Damage::Blank,
    Damage::Older,
    Damage::Gone,
];
const PAGE: u64 = 4096;

impl Damage {
    /// Does it to `file`, at a place that `chance` chooses.
    fn befall(self, file: &Path, older: Option<&Path>, chance: &mut StdRng) {
        let whole = file.metadata().unwrap().len();
        let at = chance.random_range(0..whole);
        let open = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(file)
                .unwrap()
        };
        match (self, older) {
            (Self::Flip, _) => {
                let (file, mut byte) = (open(), [0]);
                file.read_exact_at(&mut byte, at).unwrap();
                file.write_all_at(&[byte[0] ^ (1 << chance.random_range(0..8))], at)
                    .unwrap();
            }
            (Self::Cut, _) => open().set_len(at).unwrap(),
            (Self::Blank, _) => {
                let from = at / PAGE * PAGE;
                let length = usize::try_from(PAGE.min(whole - from)).unwrap();
                open().write_all_at(&vec![0; length], from).unwrap();
            }
            (Self::Older, Some(older)) => drop(fs::copy(older, file).unwrap()),
            (Self::Older, None) | (Self::Gone, _) => fs::remove_file(file).unwrap(),
        }
    }
}

/// Damaged copies of a run in CI; `WARREN_DAMAGED` asks for more, `WARREN_SEED` for others.
fn rounds() -> (u64, u64) {
    let number = |name, default| std::env::var(name).map_or(default, |it| it.parse().unwrap());
    (number("WARREN_DAMAGED", 1000), number("WARREN_SEED", 1))
}

#[test]
fn damage_anywhere_is_refused_or_harmless() {
    let (rounds, seed) = rounds();
    let mut chance = StdRng::seed_from_u64(seed);
    let home = home_with(BATCHES);
    let before = tempfile::tempdir().unwrap();
    copy(home.path(), before.path());
    let store = open(home.path()).unwrap();
    for _ in 0..LATER {
        write_next(&store).unwrap();
    }
    drop(store);
    let files = files_of(home.path());
    let (mut refused, mut harmless) = (0, 0);
    for round in 0..rounds {
        let kind = KINDS[chance.random_range(0..KINDS.len())];
        let name = files[chance.random_range(0..files.len())]
            .strip_prefix(home.path())
            .unwrap();
        println!(
            "WARREN_SEED={seed}, round {round}: {kind:?} of {}",
            name.display()
        );
        let older = before.path().join(name);
        let older = older.exists().then_some(older);
        let whole = opens_whole(home.path(), BATCHES + LATER, |copied| {
            kind.befall(&copied.join(name), older.as_deref(), &mut chance);
        });
        if whole { harmless += 1 } else { refused += 1 }
    }
    println!("{rounds} damaged copies: {refused} refused, {harmless} harmless, none rolled back");
    assert!(
        refused > 0 && harmless > 0,
        "refused {refused}, harmless {harmless}"
    );
}

#[test]
fn a_log_that_was_cut_is_refused_or_harmless() {
    let home = home_with(BATCHES);
    let is_log = |it: &&std::path::PathBuf| it.extension().is_some_and(|it| it == "log");
    let files = files_of(home.path());
    let log = files
        .iter()
        .filter(is_log)
        .max_by_key(|it| it.metadata().unwrap().len())
        .unwrap();
    let name = log.strip_prefix(home.path()).unwrap();
    let size = log.metadata().unwrap().len();
    let mut refused = 0;
    for cut in 1..40 {
        let left = size - size * cut / 40;
        let whole = opens_whole(home.path(), BATCHES, |copied| {
            OpenOptions::new()
                .write(true)
                .open(copied.join(name))
                .unwrap()
                .set_len(left)
                .unwrap();
        });
        refused += u64::from(!whole);
    }
    assert!(refused > 30, "only {refused} of 39 cuts were refused");
}

#[test]
fn an_older_copy_of_the_store_is_refused_until_its_owner_accepts_it() {
    let home = home_with(30);
    let older = tempfile::tempdir().unwrap();
    copy(&home.path().join("db"), older.path());
    write_next(&open(home.path()).unwrap()).unwrap();
    write_next(&open(home.path()).unwrap()).unwrap();
    fs::remove_dir_all(home.path().join("db")).unwrap();
    copy(older.path(), &home.path().join("db"));
    let error = open(home.path()).unwrap_err();
    let older = ChainFault::Older {
        found: 30,
        confirmed: 32,
    };
    assert!(
        matches!(&error, StoreError::Unverified { fault, .. } if *fault == older),
        "{error}"
    );
    assert_eq!(error.problem().code, "W1301");

    let lock = HomeLock::take(home.path(), UnixTime::from_secs(1)).unwrap();
    let accepted = Store::accept_as_found(&spec(home.path()), &lock).unwrap();
    assert_eq!(
        (accepted.found, accepted.confirmed, accepted.goes_on_with),
        (30, Some(32), 33)
    );
    let store = Store::open(spec(home.path()), lock).unwrap();
    assert_eq!(store.batches(), 33);
    write_next(&store).unwrap();
}

#[test]
fn a_store_that_vanished_is_not_replaced_by_an_empty_one() {
    let home = home_with(9);
    fs::rename(home.path().join("db"), home.path().join("elsewhere")).unwrap();
    let error = open(home.path()).unwrap_err();
    assert_eq!(error.problem().code, "W1301", "{error}");
    assert!(!home.path().join("db").exists());
    fs::rename(home.path().join("elsewhere"), home.path().join("db")).unwrap();
    fs::remove_file(home.path().join("db.head")).unwrap();
    let error = open(home.path()).unwrap_err();
    assert_eq!(error.problem().code, "W1302", "{error}");
}

#[test]
fn a_store_of_another_node_is_refused() {
    let home = home_with(9);
    let lock = HomeLock::take(home.path(), UnixTime::from_secs(1)).unwrap();
    let spec = StoreSpec {
        owner: NodeId::from_bytes([8; 32]),
        ..spec(home.path())
    };
    let error = Store::open(spec, lock).unwrap_err();
    assert_eq!(error.problem().code, "W1305", "{error}");
}
