//! What the contract does with two channels: claims, closings, and what it says of them.
//!
//! Sans-IO. The same arithmetic as the contract's `_worth` and `_unlocked`; `payments/tests/chain`
//! holds that to the real bytecode.

use warren_proto::{Amount, Lock, Preimage};

use crate::calls::{Claim, Reveal};

/// A claim that the contract undoes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Undone;

/// One channel on chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OnChain {
    pub(super) deposit: Amount,
    pub(super) claimed: Amount,
    pub(super) closes_at: Option<u64>,
    pub(super) is_closed: bool,
}

impl OnChain {
    pub(super) const fn open(deposit: Amount) -> Self {
        Self {
            deposit,
            claimed: Amount::ZERO,
            closes_at: None,
            is_closed: false,
        }
    }

    /// Pays what a claim is worth in a block of `time`; answers the words it made public.
    pub(super) fn claim(&mut self, claim: &Claim, time: u64) -> Result<Vec<Preimage>, Undone> {
        if self.is_closed {
            return Err(Undone);
        }
        let mut total = claim.voucher.base;
        for reveal in &claim.reveals {
            let lock = claim.voucher.locks.get(usize::from(reveal.index));
            let paid = unlocked(lock.ok_or(Undone)?, reveal, time)?;
            total = total.checked_add(paid).map_err(|_| Undone)?;
        }
        let total = total.min(self.deposit);
        if total <= self.claimed {
            return Err(Undone);
        }
        self.claimed = total;
        Ok(claim.reveals.iter().map(|it| it.word.clone()).collect())
    }
}

fn unlocked(lock: &Lock, reveal: &Reveal, time: u64) -> Result<Amount, Undone> {
    let live = lock.expiry == 0 || time < lock.expiry;
    let fits = reveal.k <= lock.units && lock.anchor.opens_with(&reveal.word, reveal.k);
    if !live || !fits {
        return Err(Undone);
    }
    let paid = lock.unit_price.checked_mul(u64::from(reveal.k));
    paid.map_err(|_| Undone)
}

/// What the contract says, in the order it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// A word became public on the router's onward channel.
    Revealed(Preimage),
    /// The consumer wants out.
    UpClosing(u64),
    /// The router has been paid so much.
    UpClaimed(Amount),
    /// The exit has been paid so much.
    DownClaimed(Amount),
}
