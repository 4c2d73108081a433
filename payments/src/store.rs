//! Where records are kept: what the actor asks of a store, and its twin in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Under this key in [`Table::Meta`] stands that the store may be older than what was signed since: whoever goes on
/// with an older copy puts it there. It goes once each channel's record says so itself.
pub const ROLLED_BACK: &[u8] = b"rolled-back";

/// The tables of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Channels this node pays from, by channel id.
    Payer,
    /// Channels that pay this node, by channel id.
    Payee,
    /// Payments that this node routes, by payment id.
    Route,
    /// Ledger entries, by number (big endian).
    Entry,
    /// Transactions: nonces and what is on its way.
    Tx,
    /// Single values: the chain cursor.
    Meta,
    /// What this node keeps as a tower, for others.
    Tower,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 7] = [
        Self::Payer,
        Self::Payee,
        Self::Route,
        Self::Entry,
        Self::Tx,
        Self::Meta,
        Self::Tower,
    ];

    /// Its name on disk; never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Payer => "pay.payer",
            Self::Payee => "pay.payee",
            Self::Route => "pay.route",
            Self::Entry => "pay.entry",
            Self::Tx => "pay.tx",
            Self::Meta => "pay.meta",
            Self::Tower => "pay.tower",
        }
    }
}

/// One write of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The table.
    pub table: Table,
    /// The key.
    pub key: Vec<u8>,
    /// The value; `None` deletes.
    pub value: Option<Vec<u8>>,
}

impl Put {
    /// Writes `value` under `key`.
    #[must_use]
    pub fn new(table: Table, key: impl Into<Vec<u8>>, value: Vec<u8>) -> Self {
        Self {
            table,
            key: key.into(),
            value: Some(value),
        }
    }
}

/// The store could not do it. Money must not move until it can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("store cannot {doing} {table}: {reason}")]
pub struct StoreError {
    /// "write", "read" or "scan".
    pub doing: &'static str,
    /// Name of the table.
    pub table: &'static str,
    /// What the store said.
    pub reason: String,
}

/// Records of a table, by key, ascending.
pub type Records = Vec<(Vec<u8>, Vec<u8>)>;

/// A durable map per table.
///
/// Contract: when [`Self::put`] returns `Ok`, the whole batch is on disk and synced; when it
/// returns `Err`, the whole batch is or none of it is, and the caller must not act on it.
pub trait ChannelStore: Send + Sync {
    /// Writes a batch: all or nothing, synced.
    ///
    /// # Errors
    /// [`StoreError`] if it may not be on disk.
    fn put(&self, batch: Vec<Put>) -> Result<(), StoreError>;

    /// Reads one value; `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot tell.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Reads a whole table.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot tell.
    fn scan(&self, table: Table) -> Result<Records, StoreError>;
}

/// How a [`MemoryStore`] fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The n-th write from now (0 = the next) and all after it are lost: a crash before the save.
    LoseFrom(u64),
    /// The n-th write from now is kept but reported as failed, and all after it are lost: a crash
    /// after the save, before the effects.
    KeepThenFail(u64),
}

#[derive(Debug, Default)]
struct Memory {
    rows: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    writes: u64,
    fault: Option<Fault>,
}

/// A store in memory: for tests and the lab. Clones share their content, so dropping an actor and
/// starting another on a clone is a restart.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Memory>>);

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many batches were written so far.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    /// Fails from now on as told; `None` heals.
    pub fn inject(&self, fault: Option<Fault>) {
        let mut memory = self.lock();
        let now = memory.writes;
        memory.fault = fault.map(|it| match it {
            Fault::LoseFrom(n) => Fault::LoseFrom(now.saturating_add(n)),
            Fault::KeepThenFail(n) => Fault::KeepThenFail(now.saturating_add(n)),
        });
    }

    /// A copy as it is now: what a disk image would hold.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        let rows = self.lock().rows.clone();
        Self(Arc::new(Mutex::new(Memory {
            rows,
            writes: 0,
            fault: None,
        })))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChannelStore for MemoryStore {
    fn put(&self, batch: Vec<Put>) -> Result<(), StoreError> {
        let mut memory = self.lock();
        let number = memory.writes;
        memory.writes = number.saturating_add(1);
        let (keep, report) = match memory.fault {
            None => (true, true),
            Some(Fault::LoseFrom(n)) => (number < n, number < n),
            Some(Fault::KeepThenFail(n)) => (number <= n, number < n),
        };
        if keep {
            for put in &batch {
                let key = (put.table, put.key.clone());
                match &put.value {
                    Some(value) => drop(memory.rows.insert(key, value.clone())),
                    None => drop(memory.rows.remove(&key)),
                }
            }
        }
        if report {
            return Ok(());
        }
        let table = batch.first().map_or("nothing", |it| it.table.name());
        Err(StoreError {
            doing: "write",
            table,
            reason: "injected fault".to_owned(),
        })
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.lock().rows.get(&(table, key.to_vec())).cloned())
    }

    fn scan(&self, table: Table) -> Result<Records, StoreError> {
        let memory = self.lock();
        let rows = memory.rows.iter().filter(|((it, _), _)| *it == table);
        Ok(rows
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect())
    }
}
