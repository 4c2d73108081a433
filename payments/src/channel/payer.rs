//! The payer's side of one channel: what it has promised, released and may still release.
//!
//! Sans-IO. [`PayerChannel::handle`] decides; the actor derives words, signs, saves and sends.
//!
//! ```text
//! Opening ──deposit confirmed──▶ Open ──close──▶ Closing ──window over──▶ Closed
//! ```
//!
//! Invariant: `base + Σ unit_price·units of all locks <= confirmed deposit`, and nobody can claim
//! more than `base + Σ unit_price·released`. A tranche is the `seq` of the voucher that brought it,
//! so no anchor is ever used twice. Forgetting released words is harmless: the payee ignores
//! words it knows. After a restart, [`PayerEvent::PayeeSaw`] brings the count up to date, but
//! never beyond what the record says may have been released.

mod lane;
mod routed;
mod view;

use warren_proto::{Amount, UnixTime, Voucher, VoucherAck};

use super::event::{ChainAction, ChainFact, CloseConsent, PayerEffect, PayerEvent, PayerRefusal};
use super::{ChannelTerms, Phase};
use crate::ledger::Posting;
use crate::voucher::VerifiedVoucher;
pub(super) use lane::PaidLane;
pub(super) use routed::{OwnWords, RoutedLane, WordsStanding};
pub use view::RoutedView;

// Our choices.
/// Words in a full tranche.
pub const TRANCHE_UNITS: u32 = 256;
/// Words the record runs ahead of those released, so that not every word costs a write.
pub const RESERVE_UNITS: u32 = 16;

type Step = warren_proto::Step<PayerChannel, PayerEffect>;

/// What the session in progress has paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Run {
    pub(super) unit_price: Amount,
    pub(super) released: u64,
    /// It began before a restart, so words forgotten belong to it. Not in the record.
    pub(super) resumed: bool,
}

impl Run {
    /// Counts what turns out to have been released before the restart.
    fn recalled(self, worth: Amount) -> Self {
        let units = worth
            .wei()
            .checked_div(self.unit_price.wei())
            .filter(|_| self.resumed);
        let units = units.and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
        Self {
            released: self.released.saturating_add(units),
            ..self
        }
    }
}

/// One channel this node pays from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayerChannel {
    pub(super) terms: ChannelTerms,
    /// Which of the wallet's keys signs.
    pub(super) key_index: u32,
    /// Length of a full tranche.
    pub(super) tranche_units: u32,
    /// The deposit to open with.
    pub(super) asked: Amount,
    pub(super) phase: Phase,
    pub(super) deposit: Amount,
    pub(super) claimed: Amount,
    pub(super) seq: u64,
    pub(super) base: Amount,
    pub(super) lane: Option<PaidLane>,
    /// Locks that are part of routes, in the voucher's order.
    pub(super) routed: Vec<RoutedLane>,
    pub(super) run: Run,
    /// What may have been released before a crash beyond `base`, in lanes folded since.
    pub(super) slack: Amount,
    /// A transaction is on its way.
    pub(super) acting: bool,
    // Not in the record.
    /// A restart may have forgotten words of the live lane.
    pub(super) doubt: bool,
}

impl PayerChannel {
    /// A channel about to be opened: saved first, then submitted.
    pub fn open(terms: ChannelTerms, key_index: u32, amount: Amount, tranche_units: u32) -> Step {
        let channel = Self {
            terms,
            key_index,
            tranche_units: tranche_units.clamp(1, warren_proto::MAX_UNITS),
            asked: amount,
            phase: Phase::Opening,
            deposit: Amount::ZERO,
            claimed: Amount::ZERO,
            seq: 0,
            base: Amount::ZERO,
            lane: None,
            routed: Vec::new(),
            run: Run::default(),
            slack: Amount::ZERO,
            acting: true,
            doubt: false,
        };
        Step::to(channel)
            .saved()
            .then(PayerEffect::Submit(ChainAction::Open { amount }))
    }

    /// A channel of this wallet that the chain knows and this store does not: what was promised in
    /// it is unknown, so nothing more is until the payee has shown what it holds.
    #[must_use]
    pub fn found(terms: ChannelTerms, key_index: u32, tranche_units: u32) -> Self {
        Self {
            acting: false,
            slack: Amount::MAX,
            ..Self::open(terms, key_index, Amount::ZERO, tranche_units).next
        }
    }

    /// Says what `event` makes of this channel; changes nothing by itself.
    ///
    /// Total: no event, in any order, is an error. A late or repeated one stays. `now` is chain
    /// time brought forward by the local clock.
    pub fn handle(&self, event: &PayerEvent, now: UnixTime) -> Step {
        match event {
            PayerEvent::Chain(fact) => self.learn(fact),
            // The books are closed too: nothing is promised any more, and nothing found out.
            PayerEvent::FinalAsked if self.phase == Phase::Closed => {
                self.refuse(PayerRefusal::Closing)
            }
            PayerEvent::PayeeSaw(_) | PayerEvent::Shown { .. } if self.phase == Phase::Closed => {
                Step::stay(self)
            }
            PayerEvent::LockAsked { unit_price } => self.prepare(*unit_price),
            PayerEvent::ReleaseAsked { units } => self.release(*units),
            PayerEvent::Routed(order) => self.route(order, now),
            PayerEvent::FinalAsked => self.finish(),
            PayerEvent::RepeatAsked => self.repeat(),
            PayerEvent::PayeeSaw(ack) => self.compare(ack),
            PayerEvent::Shown { voucher, worth } => {
                self.recall(voucher.as_ref().map(VerifiedVoucher::get), *worth, now)
            }
            PayerEvent::TopUpAsked { amount } => self.top_up(*amount),
            PayerEvent::CloseAsked(consent) => self.close(consent.as_ref()),
            PayerEvent::Tick => self.tick(now),
            // What the key holds is asked for again until it is home.
            PayerEvent::ActionFailed if self.phase == Phase::Closed => Step::stay(self),
            PayerEvent::ActionFailed | PayerEvent::Swept => Step::to(Self {
                acting: false,
                ..self.clone()
            })
            .saved(),
            PayerEvent::Restarted => self.restart(),
        }
    }

    fn learn(&self, fact: &ChainFact) -> Step {
        let mut next = self.clone();
        let mut postings = Vec::new();
        match *fact {
            ChainFact::Deposit(deposit) => {
                next.deposit = deposit;
                next.acting = false;
                if next.phase == Phase::Opening && deposit > Amount::ZERO {
                    next.phase = Phase::Open;
                }
                let (id, known) = (self.terms.id, self.deposit);
                let more = deposit.saturating_sub(known);
                let less = known.saturating_sub(deposit);
                postings.push(Posting::deposited(id, more));
                postings.push(Posting::deposited(id, less).undone());
            }
            ChainFact::Claimed(total) => next.claimed = total,
            ChainFact::Closing { closes_at } if self.phase != Phase::Closed => {
                next.phase = Phase::Closing { closes_at };
                next.acting = false;
            }
            ChainFact::Closing { .. } => {}
            ChainFact::NotClosing if matches!(self.phase, Phase::Closing { .. }) => {
                next.phase = Phase::Open;
            }
            ChainFact::NotClosing => {}
            ChainFact::Closed if self.phase != Phase::Closed => {
                next.phase = Phase::Closed;
                next.acting = self.has_own_key();
                postings.extend(self.reckoning());
            }
            ChainFact::Closed => {}
        }
        if next == *self {
            return Step::stay(self);
        }
        postings.retain(|it| it.amount > Amount::ZERO);
        Step::to(next)
            .saved()
            .then_all(postings.into_iter().map(PayerEffect::Book))
    }

    /// The last postings: what the payee did not claim was never spent; words count if claimed.
    fn reckoning(&self) -> [Posting; 3] {
        let (id, claimed) = (self.terms.id, self.claimed);
        [
            Posting::paid(id, claimed.saturating_sub(self.base)),
            Posting::forgone(id, self.base.saturating_sub(claimed)),
            Posting::returned(id, self.deposit.saturating_sub(claimed)),
        ]
    }

    /// A payee that holds more than the record knows is believed up to what a crash may have hidden.
    fn compare(&self, ack: &VoucherAck) -> Step {
        if ack.channel != self.terms.id || ack.seq > self.seq {
            return Step::stay(self); // A newer voucher of ours must be shown, not said.
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
    fn recall(&self, voucher: Option<&Voucher>, worth: Amount, now: UnixTime) -> Step {
        let seq = voucher.map_or(0, |it| it.seq);
        let known = self
            .value()
            .checked_add(self.hidden())
            .unwrap_or(Amount::MAX);
        let lost = seq > self.seq || worth > known || (self.seq == 0 && self.slack > Amount::ZERO);
        if !lost || !self.routed.is_empty() {
            // Words of a route are learned where they are paid for upstream, never here (P6).
            return self.compare(&VoucherAck {
                channel: self.terms.id,
                seq,
                value_now: worth,
                covered: self.deposit,
            });
        }
        let base = worth.max(self.base);
        let next = Self {
            seq: now.as_millis().max(seq).max(self.seq),
            base,
            lane: None,
            slack: Amount::ZERO,
            doubt: false,
            ..self.clone()
        };
        let paid = base.saturating_sub(self.base);
        let book = PayerEffect::Book(Posting::paid(self.terms.id, paid));
        // A store that was rolled back refuses to open, so a number we never gave is another's.
        let foreign = seq > self.seq && self.slack == Amount::ZERO;
        Step::to(next)
            .saved()
            .then_all((paid > Amount::ZERO).then_some(book))
            .then_all(foreign.then_some(PayerEffect::Stranger))
    }

    /// Key 0 is the account itself.
    const fn has_own_key(&self) -> bool {
        self.key_index != 0
    }

    fn top_up(&self, amount: Amount) -> Step {
        match self.phase {
            Phase::Open => self.submit(ChainAction::TopUp { amount }),
            Phase::Opening => self.refuse(PayerRefusal::NotConfirmed),
            Phase::Closing { .. } | Phase::Closed => self.refuse(PayerRefusal::Closing),
        }
    }

    fn close(&self, consent: Option<&CloseConsent>) -> Step {
        match (self.phase, consent) {
            (Phase::Opening, _) => self.refuse(PayerRefusal::NotConfirmed),
            (Phase::Open | Phase::Closing { .. }, Some(it)) if it.final_amount > self.value() => {
                let (claimed, possible) = (it.final_amount, self.value());
                self.refuse(PayerRefusal::PayeeOverclaims { claimed, possible })
            }
            (Phase::Open | Phase::Closing { .. }, Some(it)) => {
                self.submit(ChainAction::CoopClose(*it))
            }
            (Phase::Open, None) => self.submit(ChainAction::StartClose),
            (Phase::Closing { .. }, None) | (Phase::Closed, _) => {
                self.refuse(PayerRefusal::Closing)
            }
        }
    }

    fn tick(&self, now: UnixTime) -> Step {
        match self.phase {
            Phase::Closing { closes_at } if now.as_secs() >= closes_at && !self.acting => {
                self.submit(ChainAction::FinishClose)
            }
            Phase::Closed if self.acting => {
                Step::stay(self).then(PayerEffect::Submit(ChainAction::Sweep))
            }
            Phase::Opening | Phase::Open | Phase::Closing { .. } | Phase::Closed => {
                Step::stay(self)
            }
        }
    }

    /// Opening again is harmless: a channel opens once. But one that was said to have failed stays
    /// so: no restart moves money. The rest is asked for again by a tick or by the user.
    fn restart(&self) -> Step {
        match self.phase {
            Phase::Opening if self.acting && self.asked > Amount::ZERO => {
                self.submit(ChainAction::Open { amount: self.asked })
            }
            Phase::Closed => Step::stay(self),
            Phase::Opening | Phase::Open | Phase::Closing { .. } => Step::to(Self {
                acting: false,
                ..self.clone()
            }),
        }
    }

    fn submit(&self, action: ChainAction) -> Step {
        Step::to(Self {
            acting: true,
            ..self.clone()
        })
        .saved()
        .then(PayerEffect::Submit(action))
    }

    fn refuse(&self, refusal: PayerRefusal) -> Step {
        Step::stay(self).then(PayerEffect::Refuse(refusal))
    }
}

#[cfg(test)]
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for one kind of effect"
)]
mod tests;
