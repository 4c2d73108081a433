//! The receipts that a node keeps: the newest 4096, in the store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use warren_proto::{Receipt, SessionId, Side, UnixTime};

use crate::store::{Store, StoreError, Write, tables};

/// Receipts kept; the oldest go first. Each has about 1 KiB. Our choice.
const MAX_KEPT: usize = 4096;

/// A handle to the receipts of this node; clones share them.
#[derive(Debug, Clone)]
pub struct Receipts {
    store: Arc<Store>,
    known: Arc<Mutex<BTreeMap<SessionId, UnixTime>>>,
    /// Exchanges under way.
    open: Arc<watch::Sender<usize>>,
}

impl Receipts {
    /// Reads what is kept. A record that cannot be read is passed over, aloud: it proves nothing.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn open(store: Arc<Store>) -> Result<Self, StoreError> {
        let mut known = BTreeMap::new();
        for (_, value) in store.scan(tables::RECEIPT)? {
            match Receipt::decode(&value) {
                Ok(it) => drop(known.insert(it.body().session, it.body().ended)),
                Err(error) => tracing::warn!(%error, "a receipt on record cannot be read"),
            }
        }
        Ok(Self {
            store,
            known: Arc::new(Mutex::new(known)),
            open: Arc::new(watch::Sender::new(0)),
        })
    }

    /// Keeps a receipt, on disk when this returns; a half one never replaces a whole one. Blocks.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn keep(&self, receipt: &Receipt) -> Result<(), StoreError> {
        let (session, ended) = (receipt.body().session, receipt.body().ended);
        let mut known = self.known();
        let held = self.get(session)?;
        if held.is_some_and(|it| is_whole(&it)) && !is_whole(receipt) {
            return Ok(());
        }
        let mut batch = vec![Write::put(
            tables::RECEIPT,
            session.as_bytes().as_slice(),
            receipt.encode(),
        )];
        let is_full = known.len() >= MAX_KEPT && !known.contains_key(&session);
        let oldest = known.iter().min_by_key(|(_, ended)| **ended);
        let oldest = oldest.map(|(id, _)| *id).filter(|_| is_full);
        batch.extend(oldest.map(|id| Write::delete(tables::RECEIPT, id.as_bytes().as_slice())));
        self.store.put(&batch)?;
        if let Some(id) = oldest {
            known.remove(&id);
        }
        known.insert(session, ended);
        Ok(())
    }

    /// One receipt; `None` if it is not kept.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn get(&self, session: SessionId) -> Result<Option<Receipt>, StoreError> {
        let bytes = self.store.get(tables::RECEIPT, session.as_bytes())?;
        Ok(bytes.and_then(|it| Receipt::decode(&it).ok()))
    }

    /// Every receipt, newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn all(&self) -> Result<Vec<Receipt>, StoreError> {
        let records = self.store.scan(tables::RECEIPT)?;
        let read = records.iter().map(|(_, value)| Receipt::decode(value));
        let mut all: Vec<_> = read.filter_map(Result::ok).collect();
        all.sort_by_key(|it| std::cmp::Reverse(it.body().ended));
        Ok(all)
    }

    /// How many are kept.
    #[must_use]
    pub fn count(&self) -> usize {
        self.known().len()
    }

    /// An exchange begins; it is over when what this returns is dropped.
    #[must_use]
    pub(crate) fn exchange(&self) -> Exchange {
        self.open
            .send_modify(|count| *count = count.saturating_add(1));
        Exchange(Arc::clone(&self.open))
    }

    /// Waits until no exchange is under way, but not longer than `limit`.
    pub(crate) async fn settled(&self, limit: Duration) {
        let mut open = self.open.subscribe();
        let _ = tokio::time::timeout(limit, open.wait_for(|count| *count == 0)).await;
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<SessionId, UnixTime>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An exchange under way.
#[derive(Debug)]
pub(crate) struct Exchange(Arc<watch::Sender<usize>>);

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

fn is_whole(receipt: &Receipt) -> bool {
    [Side::Consumer, Side::Provider]
        .iter()
        .all(|side| receipt.signature(*side).is_some())
}
