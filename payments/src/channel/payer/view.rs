//! What others may read of a payer's channel.
//!
//! Sans-IO.

use warren_proto::{Amount, Lock, MAX_LOCKS, PaymentId};

use super::{PayerChannel, Phase};
use crate::channel::ChannelTerms;
use crate::channel::event::{LockDraft, VoucherDraft};

/// One lock that is part of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoutedView {
    /// Which payment.
    pub payment: PaymentId,
    /// What is left of the lock.
    pub lock: Lock,
    /// Units of the whole lock.
    pub units: u32,
    /// Units in the base already.
    pub folded: u32,
    /// Units said; `None` if the words are not this node's own.
    pub released: Option<u32>,
    /// Units that may have been said, whatever a crash has hidden: words beyond them are new to everybody.
    /// `None` unless the exit holds the lock and the words are this node's own.
    pub fresh_from: Option<u32>,
}

impl PayerChannel {
    /// Which channel this is.
    #[must_use]
    pub fn terms(&self) -> &ChannelTerms {
        &self.terms
    }

    /// Which of the wallet's keys signs.
    #[must_use]
    pub fn key_index(&self) -> u32 {
        self.key_index
    }

    /// Where it stands on chain.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Confirmed deposit.
    #[must_use]
    pub fn deposit(&self) -> Amount {
        self.deposit
    }

    /// Claimed by the payee on chain, confirmed.
    #[must_use]
    pub fn claimed(&self) -> Amount {
        self.claimed
    }

    /// What the payee can claim in all: signed base and released words.
    #[must_use]
    pub fn value(&self) -> Amount {
        let lane = self.lane.map_or(Amount::ZERO, |it| it.value());
        let direct = self.base.checked_add(lane).unwrap_or(Amount::MAX);
        direct
            .checked_add(self.routed_open())
            .unwrap_or(Amount::MAX)
    }

    /// Whether it was found on the chain, or in a store that is older than it says, and its payee has not yet
    /// shown what it holds.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.slack == Amount::MAX
    }

    /// Whether a payment may begin on it, now or once its opening is confirmed.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        match self.phase {
            Phase::Opening => self.acting,
            Phase::Open => !self.is_unknown() && self.must_be_alone().is_ok(),
            Phase::Closing { .. } | Phase::Closed => false,
        }
    }

    /// Whether it never came to be: what its key was given for it lies there.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.phase == Phase::Opening && !self.acting && self.has_own_key()
    }

    /// Of the deposit, what was asked for and is not confirmed.
    #[must_use]
    pub fn pending(&self) -> Amount {
        let more = self.asked.saturating_sub(self.deposit);
        if self.acting { more } else { Amount::ZERO }
    }

    /// Whether its own key may hold money after its end.
    #[must_use]
    pub fn needs_sweep(&self) -> bool {
        self.phase == Phase::Closed && self.acting
    }

    /// What can still be released or promised under the confirmed deposit.
    #[must_use]
    pub fn spendable(&self) -> Amount {
        let it = self.without_expired(); // As the next voucher will be.
        it.deposit
            .saturating_sub(it.value())
            .saturating_sub(it.hidden())
            .saturating_sub(it.routed_most().saturating_sub(it.routed_open()))
    }

    /// What can be locked onward now, and in how many locks.
    #[must_use]
    pub fn lockable(&self) -> (Amount, usize) {
        let it = self.without_expired(); // As the next voucher will be.
        let locks = it.routed.len().saturating_add(1);
        let places = MAX_LOCKS.saturating_sub(locks);
        match it.phase {
            Phase::Open if it.is_usable() => (it.free(), places),
            Phase::Open | Phase::Opening | Phase::Closing { .. } | Phase::Closed => {
                (Amount::ZERO, 0)
            }
        }
    }

    /// The number of the word chain that the next voucher can bring.
    #[must_use]
    pub fn next_tranche(&self) -> u64 {
        self.seq.saturating_add(1)
    }

    /// The lock of a routed payment; `None` if there is none, or none any more.
    #[must_use]
    pub fn routed_lock(&self, payment: &PaymentId) -> Option<RoutedView> {
        let lane = self.routed.iter().find(|it| it.payment == *payment)?;
        Some(RoutedView {
            payment: lane.payment,
            lock: lane.lock,
            units: lane.units(),
            folded: lane.folded,
            released: lane.own.map(|it| it.released),
            fresh_from: lane.own.and_then(|it| it.fresh_from()),
        })
    }

    /// Every lock that is part of a route.
    #[must_use]
    pub fn routed_locks(&self) -> Vec<RoutedView> {
        let payments = self.routed.iter().map(|it| it.payment);
        payments.filter_map(|it| self.routed_lock(&it)).collect()
    }

    /// What the payee could claim when the run in progress, or the last one, began.
    #[must_use]
    pub fn value_before(&self) -> Amount {
        let paid = self.run.unit_price.checked_mul(self.run.released);
        self.value().saturating_sub(paid.unwrap_or(Amount::MAX))
    }

    /// The last word released of the live lane: its chain (number and length), and which word.
    #[must_use]
    pub fn tip(&self) -> Option<((u64, u32), u32)> {
        let lane = self.lane.filter(|it| it.released > 0)?;
        Some(((lane.tranche, lane.units), lane.released))
    }

    /// Units released in the run in progress.
    #[must_use]
    pub fn released(&self) -> u64 {
        self.run.released
    }

    /// Whether a transaction of this channel is on its way.
    #[must_use]
    pub fn is_acting(&self) -> bool {
        self.acting
    }

    /// The voucher in force; `None` before the first.
    #[must_use]
    pub fn draft(&self) -> Option<VoucherDraft> {
        let lock = self.lane.map(|it| LockDraft {
            tranche: it.tranche,
            unit_price: it.unit_price,
            units: it.units,
        });
        (self.seq > 0).then_some(VoucherDraft {
            seq: self.seq,
            base: self.base,
            lock,
            routed: self.routed.iter().map(|it| it.lock).collect(),
        })
    }

    /// What a crash may have hidden: released, but not in the record.
    pub(super) fn hidden(&self) -> Amount {
        let lane = self
            .lane
            .filter(|_| self.doubt)
            .map_or(Amount::ZERO, |it| it.reserve());
        self.slack.checked_add(lane).unwrap_or(Amount::MAX)
    }
}
