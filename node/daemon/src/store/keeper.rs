//! The store itself: plans a batch, writes it, confirms it; recovers from a full disk on the way.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

use super::chain::{ChainFault, ContentSum, Evidence, Head, MirrorEvidence, judge};
use super::mirror::Mirror;
use super::rocks::{self, Engine, EngineError, Outcome, Records};
use super::{Headroom, StoreError, StoreSpec, Write};
use crate::lockfile::HomeLock;

/// An open, verified store. It holds the home's lock as long as it lives.
#[derive(Debug)]
pub struct Store {
    spec: StoreSpec,
    headroom: Headroom,
    open: Mutex<Open>,
    failures: AtomicU64,
    _lock: HomeLock,
}

#[derive(Debug)]
struct Open {
    /// `None` after a failed write, until it could be opened again.
    engine: Option<Engine>,
    mirror: Mirror,
    head: Head,
    /// Whether the mirror has `head` too.
    confirmed: bool,
}

impl Store {
    /// Opens the store of the locked home and verifies all of it; makes it if there is none.
    ///
    /// # Errors
    /// [`StoreError::Unverified`] if it is not what this node wrote last: fails closed.
    pub fn open(spec: StoreSpec, lock: HomeLock) -> Result<Self, StoreError> {
        let headroom = Headroom::new(spec.ballast_path(), spec.limits);
        let (mirror, evidence) = open_mirror(&spec)?;
        let (engine, head) = open_engine(&spec, &headroom, evidence)?;
        mirror
            .confirm(&head)
            .map_err(|source| mirror_failed(&spec, source))?;
        if !headroom.is_solid()
            && let Err(error) = headroom.take_aboard()
        {
            tracing::warn!(%error, "no space for the store's ballast: nothing new is taken on");
        }
        let open = Open {
            engine: Some(engine),
            mirror,
            head,
            confirmed: true,
        };
        Ok(Self {
            spec,
            headroom,
            open: Mutex::new(open),
            failures: AtomicU64::new(0),
            _lock: lock,
        })
    }

    /// Writes a batch: all of it or nothing, synced and confirmed.
    ///
    /// # Errors
    /// [`StoreError`]: the whole batch is there or none of it is; do not act on it.
    pub fn put(&self, batch: &[Write]) -> Result<(), StoreError> {
        let written = self.write(batch);
        if written.is_err() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        written
    }

    fn write(&self, batch: &[Write]) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut open = self.lock();
        self.confirm(&mut open)?;
        self.engine(&mut open)?; // First of all: opening again may move the head.
        let (outcome, head) = (outcome(batch), open.head);
        let engine = self.engine(&mut open)?;
        let content = self.told(content_after(engine, &outcome, head.content))?;
        let next = head.next(digest(batch), content);
        if let Err(error) = engine.write(&outcome, &next) {
            self.after_a_failure(&mut open, error, &outcome, &next)?;
        }
        (open.head, open.confirmed) = (next, false);
        self.confirm(&mut open)
    }

    /// Reads one record; `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let mut open = self.lock();
        let read = self.engine(&mut open)?.get(table, key);
        self.told(read)
    }

    /// Reads a whole table, by key, ascending.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn scan(&self, table: &str) -> Result<Records, StoreError> {
        let mut open = self.lock();
        let read = self.engine(&mut open)?.scan(table);
        self.told(read)
    }

    /// Batches written since the store was made.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.lock().head.number
    }

    /// Batches that could not be written since it was opened.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// The space around it.
    #[must_use]
    pub const fn headroom(&self) -> &Headroom {
        &self.headroom
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine, opened again if the last write broke it.
    fn engine<'a>(&self, open: &'a mut Open) -> Result<&'a Engine, StoreError> {
        if open.engine.is_none() {
            let last = MirrorEvidence::Confirmed(open.head);
            let (engine, head) = open_engine(&self.spec, &self.headroom, Some(last))?;
            open.confirmed &= head == open.head;
            open.head = head;
            open.engine = Some(engine);
        }
        open.engine
            .as_ref()
            .ok_or_else(|| self.failed(EngineError::NoSpace))
    }

    /// A failed write may have reached the disk or not: only opening again tells.
    fn after_a_failure(
        &self,
        open: &mut Open,
        error: EngineError,
        outcome: &Outcome,
        next: &Head,
    ) -> Result<(), StoreError> {
        tracing::warn!(?error, "the store could not write; it is opened again");
        open.engine = None;
        let full = error == EngineError::NoSpace;
        if full {
            self.headroom.throw_off();
        }
        let before = open.head;
        let engine = self.engine(open)?;
        let rewritten = if full {
            engine.write(outcome, next)
        } else {
            Err(error)
        };
        match open.head {
            head if head == *next => Ok(()),
            head if head == before => self.told(rewritten),
            head => Err(unverified(
                &self.spec,
                ChainFault::Forked {
                    number: head.number,
                },
            )),
        }
    }

    /// Tells the mirror about the head, if it does not know it yet.
    fn confirm(&self, open: &mut Open) -> Result<(), StoreError> {
        if !open.confirmed {
            let told = open.mirror.confirm(&open.head);
            told.map_err(|source| mirror_failed(&self.spec, source))?;
            open.confirmed = true;
        }
        Ok(())
    }

    fn told<T>(&self, result: Result<T, EngineError>) -> Result<T, StoreError> {
        result.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: EngineError) -> StoreError {
        engine_failed(&self.spec, error)
    }
}

pub(super) fn open_mirror(
    spec: &StoreSpec,
) -> Result<(Mirror, Option<MirrorEvidence>), StoreError> {
    Mirror::open(&spec.mirror_path()).map_err(|source| mirror_failed(spec, source))
}

/// Opens and verifies. On a full disk the ballast goes first.
fn open_engine(
    spec: &StoreSpec,
    headroom: &Headroom,
    mirror: Option<MirrorEvidence>,
) -> Result<(Engine, Head), StoreError> {
    let folder = spec.folder();
    // A database that vanished must not be replaced by an empty one.
    let fresh = !rocks::exists(&folder);
    if let (true, Some(MirrorEvidence::Confirmed(head))) = (fresh, mirror)
        && head.number > 0
    {
        return Err(unverified(
            spec,
            ChainFault::Older {
                found: 0,
                confirmed: head.number,
            },
        ));
    }
    let opened = match Engine::open(&folder, &spec.tables, fresh) {
        Err(EngineError::NoSpace) if headroom.throw_off() => {
            tracing::warn!("the disk is full: the store's ballast is thrown off");
            Engine::open(&folder, &spec.tables, fresh)
        }
        opened => opened,
    };
    let engine = opened.map_err(|error| engine_failed(spec, error))?;
    let told = |error| engine_failed(spec, error);
    let heads = engine.heads().map_err(told)?;
    let content = engine.content(&spec.tables).map_err(told)?;
    let head = judge(
        &Evidence {
            heads,
            mirror,
            content,
        },
        spec.owner,
    );
    Ok((engine, head.map_err(|fault| unverified(spec, fault))?))
}

/// What the batch leaves of each record; the last word about a record counts.
fn outcome(batch: &[Write]) -> Outcome {
    let last_word = |it: &Write| ((it.table, it.key.clone()), it.value.clone());
    batch.iter().map(last_word).collect::<BTreeMap<_, _>>()
}

pub(super) fn content_after(
    engine: &Engine,
    outcome: &Outcome,
    mut content: ContentSum,
) -> Result<ContentSum, EngineError> {
    for ((table, key), value) in outcome {
        if let Some(old) = engine.get(table, key)? {
            content.remove(table, key, &old);
        }
        if let Some(new) = value {
            content.add(table, key, new);
        }
    }
    Ok(content)
}

fn digest(batch: &[Write]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(bytes);
    };
    for write in batch {
        part(write.table.as_bytes());
        part(&write.key);
        part(&[u8::from(write.value.is_some())]);
        part(write.value.as_deref().unwrap_or_default());
    }
    hash.finalize().into()
}

pub(super) fn unverified(spec: &StoreSpec, fault: ChainFault) -> StoreError {
    StoreError::Unverified {
        home: spec.home.clone(),
        fault,
    }
}

pub(super) fn mirror_failed(spec: &StoreSpec, source: io::Error) -> StoreError {
    StoreError::Io {
        path: spec.mirror_path(),
        source,
    }
}

pub(super) fn engine_failed(spec: &StoreSpec, error: EngineError) -> StoreError {
    let home = spec.home.clone();
    match error {
        EngineError::NoSpace => StoreError::DiskFull { home },
        EngineError::UnknownTable(table) => StoreError::UnknownTable { home, table },
        EngineError::Refused { doing, reason } => StoreError::Engine { doing, reason },
    }
}
