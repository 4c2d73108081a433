//! For which exit each of this node's own locks was made: a lock names a payment, no exit.
//!
//! With it, a lock that has words left is good for the next session with the same exit, also after a restart.
//! How many of them were said, the payments know.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use warren_proto::{Amount, NodeId, PaymentId, UnixTime};

use crate::error::{ErrorCode, Problem};
use crate::store::{Store, StoreError, Write, tables};

/// What a lock is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LockFor {
    pub(crate) exit: NodeId,
    /// What the exit asks for a word.
    pub(crate) exit_price: Amount,
    /// No service for its words from then on (R5).
    pub(crate) serve_until: UnixTime,
    /// The second router of its route. `None` on a route over one.
    pub(crate) second: Option<NodeId>,
}

impl LockFor {
    fn encode(&self) -> Vec<u8> {
        let secs = self.serve_until.as_secs().to_be_bytes();
        let price = self.exit_price.to_be_bytes();
        let second = self.second.as_ref().map(NodeId::as_bytes);
        let second = second.map(<[u8; 32]>::as_slice).unwrap_or_default();
        [self.exit.as_bytes().as_slice(), &secs, &price, second].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (exit, rest) = bytes.split_first_chunk::<32>()?;
        let (secs, rest) = rest.split_first_chunk::<8>()?;
        let (price, second) = rest.split_first_chunk::<12>()?;
        let second = match second {
            [] => None,
            some => Some(NodeId::from_bytes(some.try_into().ok()?)),
        };
        Some(Self {
            exit: NodeId::from_bytes(*exit),
            exit_price: Amount::from_be_slice(price)?,
            serve_until: UnixTime::from_secs(u64::from_be_bytes(*secs)),
            second,
        })
    }
}

/// A handle to the locks on record; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Locks {
    store: Arc<Store>,
    known: Arc<Mutex<BTreeMap<PaymentId, LockFor>>>,
}

impl Locks {
    /// Reads what is kept, beside the neighbours, whose keys are longer. A record that cannot be read is
    /// passed over: then a new lock is made.
    pub(super) fn open(store: Arc<Store>) -> Result<Self, StoreError> {
        let mut known = BTreeMap::new();
        for (key, value) in store.scan(tables::ROUTE)? {
            let known_as = (key.try_into().ok(), LockFor::decode(&value));
            if let (Some(payment), Some(lock)) = known_as {
                known.insert(PaymentId::from_bytes(payment), lock);
            }
        }
        Ok(Self {
            store,
            known: Arc::new(Mutex::new(known)),
        })
    }

    /// The locks that were made for this exit, at this price for a word.
    pub(super) fn made_for(&self, exit: NodeId, price: Amount) -> Vec<(PaymentId, LockFor)> {
        let known = self.known();
        let fits = known
            .iter()
            .filter(|(_, it)| it.exit == exit && it.exit_price == price);
        fits.map(|(payment, it)| (*payment, *it)).collect()
    }

    /// On disk when this returns; what served its time by `now` is forgotten.
    pub(super) async fn keep(
        &self,
        payment: PaymentId,
        it: LockFor,
        now: UnixTime,
    ) -> Result<(), Problem> {
        let over = self.payments(|it| it.serve_until <= now);
        self.change(Some((payment, it)), over).await
    }

    /// It is good for nothing any more.
    pub(super) async fn forget(&self, payment: PaymentId) -> Result<(), Problem> {
        self.change(None, vec![payment]).await
    }

    fn payments(&self, which: impl Fn(&LockFor) -> bool) -> Vec<PaymentId> {
        let known = self.known();
        let fits = known.iter().filter(|(_, it)| which(it));
        fits.map(|(payment, _)| *payment).collect()
    }

    async fn change(
        &self,
        new: Option<(PaymentId, LockFor)>,
        gone: Vec<PaymentId>,
    ) -> Result<(), Problem> {
        let book = self.clone();
        let saved = tokio::task::spawn_blocking(move || book.save(new, &gone)).await;
        let saved = saved.map_err(|error| Problem::new(ErrorCode::Internal, error))?;
        saved.map_err(|error| error.problem())
    }

    fn save(
        &self,
        new: Option<(PaymentId, LockFor)>,
        gone: &[PaymentId],
    ) -> Result<(), StoreError> {
        let key = |it: &PaymentId| it.as_bytes().to_vec();
        let puts = new
            .iter()
            .map(|(id, it)| Write::put(tables::ROUTE, key(id), it.encode()));
        let deletes = gone.iter().map(|id| Write::delete(tables::ROUTE, key(id)));
        self.store.put(&puts.chain(deletes).collect::<Vec<_>>())?;
        let mut known = self.known();
        known.retain(|id, _| !gone.contains(id));
        known.extend(new);
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<PaymentId, LockFor>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
