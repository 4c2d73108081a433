//! The words that pay one session by a route, lock by lock, as one of its sides counts them.
//!
//! Sans-IO. Only the newest locks are shown by a receipt; of those before, only the number of words is kept.

use warren_proto::{HashLock, LockProof, MAX_PROOFS, RouteProof, Signature, WordFrame};

/// What is kept of a routed session's locks, until its receipt is written.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    locks: Vec<LockProof>,
    earlier_units: u64,
}

impl Tally {
    /// A word was said of the lock that begins at `anchor`; words up to `before` belong to other sessions.
    /// A word that says no more than is known changes nothing.
    ///
    /// A lock must not come again once [`MAX_PROOFS`] others came after it: its words would count twice.
    /// Numbers of locks on a stream go round sooner (there are 16), and who gives a number anew forgets
    /// the older lock.
    pub fn count(&mut self, anchor: HashLock, before: u32, word: &WordFrame) {
        if word.k <= before {
            return;
        }
        if let Some(lock) = self.locks.iter_mut().find(|it| it.anchor == anchor) {
            if word.k > lock.k {
                (lock.k, lock.word) = (word.k, word.word.clone());
            }
            return;
        }
        if self.locks.len() >= MAX_PROOFS {
            let oldest = self.locks.remove(0);
            let units = u64::from(oldest.k.saturating_sub(oldest.before));
            self.earlier_units = self.earlier_units.saturating_add(units);
        }
        self.locks.push(LockProof {
            anchor,
            before,
            k: word.k,
            word: word.word.clone(),
        });
    }

    /// The proof of it; `None` if nothing was paid. The signatures are both sides' over the terms.
    #[must_use]
    pub fn proof(&self, consumer: Signature, provider: Signature) -> Option<RouteProof> {
        (!self.locks.is_empty()).then(|| RouteProof {
            locks: self.locks.clone(),
            earlier_units: self.earlier_units,
            consumer_terms: consumer,
            provider_terms: provider,
        })
    }
}
