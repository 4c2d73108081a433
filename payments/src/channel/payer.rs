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

mod heard;
mod lane;
mod routed;
mod twin;
mod view;

use warren_proto::{Amount, UnixTime};

use super::event::{ChainAction, ChainFact, CloseConsent, PayerEffect, PayerEvent, PayerRefusal};
use super::{ChannelTerms, Phase};
use crate::ledger::Posting;
pub(super) use lane::PaidLane;
pub(super) use routed::{OwnWords, RoutedLane, WordsStanding};
pub(super) use twin::Twin;
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
    /// The deposit that the last opening or top-up comes to.
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
    /// The most that any voucher so far could ever come to; [`Amount::MAX`] if not all are known.
    pub(super) most: Amount,
    pub(super) twin: Twin,
    // Not in the record.
    /// Everything in blocks up to this time has been heard.
    pub(super) heard: UnixTime,
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
            most: Amount::ZERO,
            twin: Twin::Alone,
            heard: UnixTime::default(),
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
            most: Amount::MAX,
            ..Self::open(terms, key_index, Amount::ZERO, tranche_units).next
        }
    }

    /// Says what `event` makes of this channel; changes nothing by itself.
    ///
    /// Total: no event, in any order, is an error. A late or repeated one stays. `now` is chain
    /// time brought forward by the local clock.
    pub fn handle(&self, event: &PayerEvent, now: UnixTime) -> Step {
        let mut step = self.decide(event, now);
        step.next.most = step.next.most.max(step.next.committed());
        step
    }

    fn decide(&self, event: &PayerEvent, now: UnixTime) -> Step {
        match event {
            PayerEvent::Chain(fact) => self.learn(fact),
            // The books are closed too: nothing is promised any more, and nothing found out.
            PayerEvent::FinalAsked if self.phase == Phase::Closed => {
                self.refuse(PayerRefusal::Closing)
            }
            PayerEvent::PayeeSaw(_) | PayerEvent::Shown(_) if self.phase == Phase::Closed => {
                Step::stay(self)
            }
            PayerEvent::LockAsked { unit_price } => self.prepare(*unit_price),
            PayerEvent::ReleaseAsked { units } => self.release(*units),
            PayerEvent::Routed(order) => self.route(order, now),
            PayerEvent::FinalAsked => self.finish(),
            PayerEvent::RepeatAsked => self.repeat(),
            PayerEvent::PayeeSaw(ack) => self.compare(ack),
            PayerEvent::Shown(shown) => self.recall(shown, now),
            PayerEvent::TopUpAsked { amount } => self.top_up(*amount),
            PayerEvent::CloseAsked(consent) => self.close(consent.as_ref()),
            PayerEvent::Tick => self.tick(now),
            PayerEvent::HeardUntil(at) => self.heard_until(*at),
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
        let (mut postings, mut stranger) = (Vec::new(), false);
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
            ChainFact::Claimed(total) => {
                next.claimed = total;
                if self.is_beyond_all(total) {
                    (next, stranger) = (next.of_another(), true);
                }
            }
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
            .then_all(stranger.then_some(PayerEffect::Stranger))
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

    /// Key 0 is the account itself.
    const fn has_own_key(&self) -> bool {
        self.key_index != 0
    }

    fn top_up(&self, amount: Amount) -> Step {
        if let Err(refusal) = self.must_be_alone() {
            return self.refuse(refusal);
        }
        match self.phase {
            Phase::Open if self.pending() > Amount::ZERO => {
                self.refuse(PayerRefusal::TopUpUnderWay)
            }
            Phase::Open => {
                let asked = self.deposit.checked_add(amount).unwrap_or(Amount::MAX);
                let next = Self {
                    asked,
                    ..self.clone()
                };
                next.submit(ChainAction::TopUp { amount })
            }
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
