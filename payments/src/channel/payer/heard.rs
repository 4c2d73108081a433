//! What the payee says that it holds, and what it shows.
//!
//! Sans-IO.

use warren_proto::{Amount, PaymentId, UnixTime, Voucher, VoucherAck};

use super::{PayerChannel, RoutedLane, Step};
use crate::channel::Phase;
use crate::channel::event::{PayerEffect, PayerRefusal, Shown};
use crate::ledger::Posting;
use crate::voucher::VerifiedVoucher;

impl PayerChannel {
    /// The chain is known up to here; a rewritten history takes nothing of it back.
    pub(super) fn heard_until(&self, at: UnixTime) -> Step {
        Step::to(Self {
            heard: self.heard.max(at),
            ..self.clone()
        })
    }

    /// The record is older than what was signed: as of a channel that is found on the chain, what was promised
    /// in it is unknown until its payee shows it.
    #[must_use]
    pub fn rolled_back(self) -> Self {
        if self.phase == Phase::Closed {
            return self;
        }
        Self {
            slack: Amount::MAX,
            most: Amount::MAX,
            ..self
        }
    }

    /// A payee that holds more than the record knows is believed up to what a crash may have hidden.
    pub(super) fn compare(&self, ack: &VoucherAck) -> Step {
        if ack.channel != self.terms.id || self.is_unknown() {
            return Step::stay(self); // What was promised in it must be shown, not said.
        }
        if ack.seq > self.seq {
            return self.doubts();
        }
        if self.must_be_alone().is_err() {
            return Step::stay(self);
        }
        let (value, hidden) = (self.value(), self.hidden());
        let is_current = ack.seq == self.seq;
        let excess = ack.value_now.saturating_sub(value);
        if excess == Amount::ZERO {
            // An accepted voucher dominates whatever was hidden before it.
            let slack = if is_current { Amount::ZERO } else { self.slack };
            let next = Self {
                slack,
                doubt: self.doubt && !is_current,
                ..self.clone()
            };
            return if next == *self {
                Step::stay(self)
            } else {
                Step::to(next).saved()
            };
        }
        if !self.routed.is_empty()
            && excess <= hidden.checked_add(self.routed_most()).unwrap_or(hidden)
        {
            return Step::stay(self); // Words of a route: shown, not said.
        }
        if excess > hidden {
            let possible = value.checked_add(hidden).unwrap_or(Amount::MAX);
            let refusal = PayerRefusal::PayeeOverclaims {
                claimed: ack.value_now,
                possible,
            };
            return self.refuse(refusal);
        }
        if is_current && let Some(lane) = self.lane.and_then(|it| it.advanced_by(excess)) {
            let next = Self {
                lane: Some(lane),
                run: self.run.recalled(excess),
                slack: Amount::ZERO,
                doubt: false,
                ..self.clone()
            };
            return Step::to(next).saved();
        }
        // The payee holds an older voucher with more words than the newest one grants.
        let mut next = self.folded();
        next.base = ack.value_now;
        next.run = self.run.recalled(excess);
        next.slack = next.slack.saturating_sub(excess);
        let next = next
            .with_lane(self.run.unit_price)
            .unwrap_or_else(|| next.numbered());
        self.issue(next)
    }

    /// The payee proves what it holds by our own signature and our own words.
    ///
    /// What it hides it could only lose: claims are totals, and the numbers of all later vouchers,
    /// hence of their word chains, lie beyond any that was given before the books were lost.
    pub(super) fn recall(&self, shown: &Shown, now: UnixTime) -> Step {
        let voucher = shown.voucher.as_ref().map(VerifiedVoucher::get);
        let (seq, worth) = (voucher.map_or(0, |it| it.seq), shown.worth);
        if self.is_unknown() {
            return self.begin_again(voucher, shown, now);
        }
        // What is saved is saved before it is sent: a number or a total beyond it is another's.
        if seq > self.seq || worth > self.most {
            return self.is_not_alone(worth);
        }
        let alone = self.cleared();
        let known = self.value().checked_add(self.hidden());
        let is_more = worth > known.unwrap_or(Amount::MAX);
        if is_more && alone.may_sign().is_ok() && self.routed.is_empty() {
            return alone.begin_again(voucher, shown, now);
        }
        // Words of a route are learned where they are paid for upstream, never here (P6).
        let ack = VoucherAck {
            channel: self.terms.id,
            seq,
            value_now: worth,
            covered: self.deposit,
        };
        let mut step = alone.compare(&ack);
        step.save |= alone.twin != self.twin;
        step
    }

    /// Goes on where the payee says, under numbers that were never given.
    fn begin_again(&self, voucher: Option<&Voucher>, shown: &Shown, now: UnixTime) -> Step {
        let seq = voucher.map_or(0, |it| it.seq);
        let next = Self {
            seq: now.as_millis().max(seq).max(self.seq),
            base: shown.direct.max(self.base),
            lane: None,
            routed: self.still_locked(voucher),
            slack: Amount::ZERO,
            most: Amount::MAX,
            doubt: false,
            ..self.cleared()
        };
        let next = next.caught_up();
        let paid = next.base.saturating_sub(self.base);
        let book = PayerEffect::Book(Posting::paid(self.terms.id, paid));
        Step::to(next)
            .saved()
            .then_all((paid > Amount::ZERO).then_some(book))
    }

    /// Locks of routes stay in every voucher until they expire, whoever remembers what they were for: the payee
    /// takes none without them.
    fn still_locked(&self, voucher: Option<&Voucher>) -> Vec<RoutedLane> {
        let locks = voucher.map(|it| it.locks.as_slice()).unwrap_or_default();
        let routed = locks.iter().filter(|it| it.expiry != 0);
        let lane = routed.map(|lock| {
            let known = self.routed.iter().find(|it| it.lock == *lock);
            known.cloned().unwrap_or_else(|| {
                let (name, _) = lock.anchor.as_bytes().split_at(PaymentId::LEN);
                RoutedLane {
                    payment: PaymentId::from_bytes(name.try_into().unwrap_or_default()),
                    lock: *lock,
                    folded: 0,
                    own: None,
                }
            })
        });
        lane.collect()
    }
}
