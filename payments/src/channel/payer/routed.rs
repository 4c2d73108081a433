//! Locks that are part of routes: whose words go to somebody else than the channel's payee.
//!
//! Sans-IO. For a consumer the words are its own, and it says them to the exit; for a router they are
//! the consumer's, and it learns them from the exit or from the chain. Either way they come into the
//! base by a fold, before the lock expires or never (R3), and the rest stays locked at the last word:
//! nobody can take back an older voucher, so nobody lets go of a lock before its time.

use std::time::Duration;

use warren_proto::{Amount, HashLock, Lock, MAX_LOCKS, PaymentId, Preimage, UnixTime};

use super::{PayerChannel, Phase, RESERVE_UNITS, Step};
use crate::channel::event::{PayerEffect, PayerRefusal};
use crate::channel::routed::{Proof, RoutedLock, RoutedOrder};
use crate::channel::router::rules;
use crate::ledger::Posting;

/// Hashes between two words sent: the payee spends no more on one.
const WORD_STRIDE: u32 = 64;
/// An expired lock stays in the vouchers for so long, until what the chain says of it is known.
const AFTERLIFE: Duration = Duration::from_secs(3600);

/// One lock of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::channel) struct RoutedLane {
    pub(in crate::channel) payment: PaymentId,
    /// As it stands in the voucher: what is left of it after folds.
    pub(in crate::channel) lock: Lock,
    /// Units in the base already.
    pub(in crate::channel) folded: u32,
    /// The words, if they are this node's own.
    pub(in crate::channel) own: Option<OwnWords>,
}

/// A consumer's side of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::channel) struct OwnWords {
    pub(in crate::channel) tranche: u64,
    /// Said, over the whole lock; never less than what is folded.
    pub(in crate::channel) released: u32,
    /// On disk before the words up to here go out.
    pub(in crate::channel) reserved: u32,
    pub(in crate::channel) offered_at: UnixTime,
    pub(in crate::channel) hold_fee: Amount,
    pub(in crate::channel) standing: WordsStanding,
}

/// Whether a consumer may say words of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::channel) enum WordsStanding {
    Offered,
    Ready,
    Dead,
}

impl OwnWords {
    /// Units that may have been said; `None` unless words may be said.
    pub(super) fn fresh_from(&self) -> Option<u32> {
        (self.standing == WordsStanding::Ready).then(|| self.released.max(self.reserved))
    }
}

impl RoutedLane {
    /// Units of the whole lock, folded ones included.
    pub(in crate::channel) fn units(&self) -> u32 {
        self.folded.saturating_add(self.lock.units)
    }

    /// Said or learned, and not in the base.
    fn open(&self) -> Amount {
        let released = self.own.map_or(self.folded, |it| it.released);
        self.worth(released.saturating_sub(self.folded))
    }

    /// The most that the lock can still pay.
    fn most(&self) -> Amount {
        self.worth(self.lock.units)
    }

    /// Cannot overflow: the whole lock was within the deposit when it was signed.
    fn worth(&self, units: u32) -> Amount {
        let worth = self.lock.unit_price.checked_mul(u64::from(units));
        worth.unwrap_or(Amount::MAX)
    }

    /// The lane with all words up to `word` in the base; `None` if it does not open the lock.
    fn folded_to(&self, k: u32, word: &Preimage) -> Option<Self> {
        let steps = k.checked_sub(self.folded)?;
        let left = self.lock.units.checked_sub(steps)?;
        if !self.lock.anchor.opens_with(word, steps) {
            return None;
        }
        let lock = Lock {
            anchor: HashLock::from_bytes(*word.expose()),
            units: left,
            ..self.lock
        };
        // A word that comes back was said, whatever this record has forgotten.
        let own = self.own.map(|it| OwnWords {
            released: it.released.max(k),
            reserved: it.reserved.max(k),
            ..it
        });
        Some(Self {
            payment: self.payment,
            lock,
            folded: k,
            own,
        })
    }
}

impl PayerChannel {
    pub(super) fn route(&self, order: &RoutedOrder, now: UnixTime) -> Step {
        match order {
            RoutedOrder::Lock(it) => self.lock_onward(it, now),
            RoutedOrder::Ready { payment, anchor } => self.make_ready(payment, anchor, now),
            RoutedOrder::Dropped(payment) => self.drop_lock(payment),
            RoutedOrder::Dead(payment) => self.bury(payment),
            RoutedOrder::Release { payment, units } => self.say(payment, *units, now),
            RoutedOrder::Heard { payment, k } => self.remember(payment, *k),
            RoutedOrder::Fold {
                payment,
                k,
                word,
                proof,
            } => self.fold(payment, (*k, word), *proof, now),
        }
    }

    fn lock_onward(&self, asked: &RoutedLock, now: UnixTime) -> Step {
        let (payment, lock) = (asked.payment, asked.lock);
        if let Err(refusal) = self.usable() {
            return self.refuse(refusal);
        }
        if lock.unit_price == Amount::ZERO || lock.units == 0 {
            return self.refuse(PayerRefusal::FreeUnit);
        }
        if !rules::r3_may_fold(lock.expiry, now) {
            return self.refuse(PayerRefusal::LockExpired { payment });
        }
        let mut next = self.without_expired().numbered();
        let twice = |it: &RoutedLane| it.payment == payment || it.lock.anchor == lock.anchor;
        if next.routed.iter().any(twice) || asked.own.is_some_and(|it| it != next.seq) {
            return self.refuse(PayerRefusal::LockTwice { payment });
        }
        let locks = next.routed.len().saturating_add(1); // The direct one has its place.
        if locks >= MAX_LOCKS {
            return self.refuse(PayerRefusal::TooManyLocks);
        }
        let most = lock.unit_price.checked_mul(u64::from(lock.units));
        let needed = most.and_then(|it| it.checked_add(asked.hold_fee));
        if needed.map_or(true, |it| it > next.free()) {
            let unit_price = lock.unit_price;
            return self.refuse(PayerRefusal::Exhausted { unit_price });
        }
        next.base = next.base.checked_add(asked.hold_fee).unwrap_or(next.base);
        let own = asked.own.map(|tranche| OwnWords {
            tranche,
            released: 0,
            reserved: 0,
            offered_at: now,
            hold_fee: asked.hold_fee,
            standing: WordsStanding::Offered,
        });
        next.routed.push(RoutedLane {
            payment,
            lock,
            folded: 0,
            own,
        });
        self.issue(next)
    }

    /// R6: an exit that answers late may have been given up for dead by the router.
    fn make_ready(&self, payment: &PaymentId, anchor: &HashLock, now: UnixTime) -> Step {
        let late = |it: &OwnWords| rules::r6_offer_is_dead(it.offered_at, now);
        self.with_own(payment, |lane, own| match own.standing {
            WordsStanding::Ready => Ok(None),
            WordsStanding::Offered if lane.lock.anchor == *anchor && !late(own) => {
                let standing = WordsStanding::Ready;
                Ok(Some(OwnWords { standing, ..*own }))
            }
            WordsStanding::Offered | WordsStanding::Dead => {
                Err(PayerRefusal::NotReady { payment: *payment })
            }
        })
    }

    fn bury(&self, payment: &PaymentId) -> Step {
        self.with_own(payment, |_, own| {
            let standing = WordsStanding::Dead;
            Ok((own.standing != standing).then_some(OwnWords { standing, ..*own }))
        })
    }

    fn remember(&self, payment: &PaymentId, k: u32) -> Step {
        self.with_own(payment, |_, own| {
            let news = k > own.released && k <= own.reserved;
            Ok(news.then_some(OwnWords {
                released: k,
                ..*own
            }))
        })
    }

    /// The router never took it: the next voucher is as if it had not been asked. If a later voucher went
    /// out with it, the router has taken the lock with that one. Of a channel that is over, the last reckoning has
    /// counted the fee.
    fn drop_lock(&self, payment: &PaymentId) -> Step {
        let Some((at, lane)) = self.lane_of(payment) else {
            return self.refuse(PayerRefusal::UnknownPayment { payment: *payment });
        };
        match lane.own {
            Some(own)
                if own.standing == WordsStanding::Offered
                    && own.tranche == self.seq
                    && self.phase != Phase::Closed
                    && self.may_sign().is_ok() =>
            {
                let mut next = self.clone().numbered();
                next.routed.remove(at);
                next.base = next.base.saturating_sub(own.hold_fee);
                let book = Posting::forgone(self.terms.id, own.hold_fee);
                let book = (own.hold_fee > Amount::ZERO).then_some(PayerEffect::Book(book));
                let draft = next.draft().map(PayerEffect::SendVoucher);
                Step::to(next).saved().then_all(book).then_all(draft)
            }
            Some(_) | None => self.bury(payment),
        }
    }

    fn say(&self, payment: &PaymentId, units: u32, now: UnixTime) -> Step {
        let payment = *payment;
        let Some((at, lane)) = self.lane_of(&payment) else {
            return self.refuse(PayerRefusal::UnknownPayment { payment });
        };
        if let Err(refusal) = self.usable() {
            return self.refuse(refusal);
        }
        let Some(mut own) = lane.own.filter(|it| it.standing == WordsStanding::Ready) else {
            return self.refuse(PayerRefusal::NotReady { payment });
        };
        if !rules::r3_may_fold(lane.lock.expiry, now) {
            return self.refuse(PayerRefusal::LockExpired { payment });
        }
        let (whole, mut words) = (lane.units(), Vec::new());
        let goal = units.min(whole);
        while own.released < goal {
            own.released = goal.min(own.released.saturating_add(WORD_STRIDE));
            words.push(PayerEffect::SendRoutedWord {
                payment,
                tranche: own.tranche,
                units: whole,
                k: own.released,
            });
        }
        let ahead = own.released > own.reserved;
        if ahead {
            let reserve = own.released.saturating_add(RESERVE_UNITS - 1);
            own.reserved = reserve.min(whole);
        }
        let mut next = self.clone();
        if let Some(lane) = next.routed.get_mut(at) {
            lane.own = Some(own);
        }
        let step = Step::to(next).then_all(words);
        if ahead { step.saved() } else { step }
    }

    fn fold(
        &self,
        payment: &PaymentId,
        (k, word): (u32, &Preimage),
        proof: Proof,
        now: UnixTime,
    ) -> Step {
        let payment = *payment;
        let Some((at, lane)) = self.lane_of(&payment) else {
            return self.refuse(PayerRefusal::UnknownPayment { payment });
        };
        if k <= lane.folded {
            // The payee has missed the voucher that says so.
            return Step::stay(self).then_all(self.draft().map(PayerEffect::SendVoucher));
        }
        let in_time = match proof {
            Proof::Told => rules::r3_may_fold(lane.lock.expiry, now),
            Proof::OnChain => true,
        };
        if !in_time {
            return self.refuse(PayerRefusal::LockExpired { payment });
        }
        if self.phase == Phase::Closed {
            return self.refuse(PayerRefusal::Closing);
        }
        if let Err(refusal) = self.may_sign() {
            return self.refuse(refusal);
        }
        let Some(folded) = lane.folded_to(k, word) else {
            return self.refuse(PayerRefusal::BadWord { payment });
        };
        let more = lane.worth(k.saturating_sub(lane.folded));
        let mut next = self.clone().numbered();
        next.base = next.base.checked_add(more).unwrap_or(Amount::MAX);
        if folded.lock.units == 0 {
            next.routed.remove(at);
        } else if let Some(lane) = next.routed.get_mut(at) {
            *lane = folded;
        }
        self.issue(next.without_expired())
    }

    /// Changes what this node knows of its own words; `None` changes nothing.
    fn with_own(
        &self,
        payment: &PaymentId,
        change: impl FnOnce(&RoutedLane, &OwnWords) -> Result<Option<OwnWords>, PayerRefusal>,
    ) -> Step {
        let found = self.lane_of(payment);
        let Some((at, lane, own)) = found.and_then(|(at, it)| Some((at, it, it.own?))) else {
            return self.refuse(PayerRefusal::UnknownPayment { payment: *payment });
        };
        match change(lane, &own) {
            Err(refusal) => self.refuse(refusal),
            Ok(None) => Step::stay(self),
            Ok(changed) => {
                let mut next = self.clone();
                if let Some(lane) = next.routed.get_mut(at) {
                    lane.own = changed;
                }
                Step::to(next).saved()
            }
        }
    }

    fn lane_of(&self, payment: &PaymentId) -> Option<(usize, &RoutedLane)> {
        let mut lanes = self.routed.iter().enumerate();
        lanes.find(|(_, it)| it.payment == *payment)
    }

    /// Locks that can pay nothing any more, and of which the chain has nothing more to say: by what was heard of
    /// it, not by this machine's clock. A voucher without a lock that was claimed is worth less than the chain says.
    pub(super) fn without_expired(&self) -> Self {
        let mut next = self.clone();
        let over =
            |it: &RoutedLane| self.heard >= UnixTime::from_secs(it.lock.expiry).plus(AFTERLIFE);
        next.routed.retain(|it| !over(it));
        next.caught_up()
    }

    /// With what the chain has paid by locks whose words this store has lost in the base: the payee takes no voucher
    /// that is worth less.
    pub(super) fn caught_up(mut self) -> Self {
        let known = self.value().checked_add(self.hidden());
        let more = self.claimed.saturating_sub(known.unwrap_or(Amount::MAX));
        if self.routed.is_empty() {
            self.base = self.base.checked_add(more).unwrap_or(Amount::MAX);
        }
        self
    }

    /// Said on routes, and not in the base.
    pub(super) fn routed_open(&self) -> Amount {
        sum(self.routed.iter().map(RoutedLane::open))
    }

    /// The most that the locks of routes can still pay.
    pub(super) fn routed_most(&self) -> Amount {
        sum(self.routed.iter().map(RoutedLane::most))
    }
}

fn sum(amounts: impl Iterator<Item = Amount>) -> Amount {
    amounts.fold(Amount::ZERO, |sum, it| {
        sum.checked_add(it).unwrap_or(Amount::MAX)
    })
}

#[cfg(test)]
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for one kind of effect"
)]
mod tests;
