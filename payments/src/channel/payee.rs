//! The payee's side of one channel: what it may claim, and what it tells the session.
//!
//! Sans-IO. [`PayeeChannel::handle`] decides; the actor saves and acts.
//!
//! ```text
//! Opening ──deposit confirmed──▶ Open ──closing seen──▶ Closing ──▶ Closed
//! ```
//!
//! Invariant: `claimed <= value <= deposit`; none of the three ever falls (reorganisations aside).
//! A voucher is durable before it is acknowledged (P3), and a word before it counts (P4): a synced
//! write takes some 0.2 ms and a word is worth a MiB or so, so a killed exit claims every word it
//! served for.

mod routed;
mod view;

use std::time::Duration;

use warren_proto::{Amount, PayErrorCode, UnixTime, WordFrame};

use super::accept::{Facts, Holdings, Rules, Standing, accept};
use super::event::{ChainAction, ChainFact, PayeeEffect, PayeeEvent, StopReason};
use super::router::rules::at_last_moment;
use super::{ChannelTerms, Phase};
use crate::ledger::Posting;
use crate::voucher::VerifiedVoucher;

/// How far `now` may be ahead of the block that a consent is used in: two minutes of a wrong clock, and
/// blocks that a reorganisation may yet replace. Our choice.
const DOUBT: Duration = Duration::from_secs(300);
/// What words and vouchers earn is written in the ledger after so many units; until then the channel's record
/// alone has it. Our choice: as often as a new tranche comes.
const UNITS_AN_ENTRY: u64 = 256;
/// And an entry is worth this part of the deposit at least, whatever a unit costs. Our choice.
const ENTRIES_A_DEPOSIT: u128 = 4096;
/// A payee that leaves does not come back.
const FOR_EVER: UnixTime = UnixTime::from_millis(u64::MAX);

type Step = warren_proto::Step<PayeeChannel, PayeeEffect>;

/// Where units and money of one session are counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Run {
    pub(super) from: Amount,
    pub(super) unit_price: Amount,
}

/// One channel that pays this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayeeChannel {
    pub(super) terms: ChannelTerms,
    pub(super) phase: Phase,
    pub(super) deposit: Amount,
    pub(super) claimed: Amount,
    pub(super) held: Holdings,
    pub(super) run: Run,
    /// Total of the claim on its way.
    pub(super) claiming: Option<Amount>,
    /// Until when a consent to close, or its own wish to leave, binds this payee.
    pub(super) consent: Option<UnixTime>,
    /// Earned and written in the ledger.
    pub(super) booked: Amount,
    /// Money of routes in the base: no session on this channel counts it.
    pub(super) aside: Amount,
    /// The channel is older than this store, or the store an old copy: more may have been paid than is known.
    pub(super) restored: bool,
    // Not in the record: the shell knows both.
    pub(super) stale: bool,
    pub(super) rules: Rules,
}

impl PayeeChannel {
    /// Watches a channel whose deposit is not confirmed yet.
    #[must_use]
    pub fn watch(terms: ChannelTerms, rules: Rules) -> Self {
        Self {
            terms,
            phase: Phase::Opening,
            deposit: Amount::ZERO,
            claimed: Amount::ZERO,
            held: Holdings::new(terms.id),
            run: Run::default(),
            claiming: None,
            consent: None,
            booked: Amount::ZERO,
            aside: Amount::ZERO,
            restored: false,
            stale: false,
            rules,
        }
    }

    /// More may have been paid on it than this store knows; somebody else, a tower, may hold the rest.
    #[must_use]
    pub fn restored(self) -> Self {
        Self {
            restored: true,
            ..self
        }
    }

    /// Says what `event` makes of this channel; changes nothing by itself.
    ///
    /// Total: no event, in any order, is an error. A late or repeated one stays. `now` is chain
    /// time brought forward by the local clock.
    pub fn handle(&self, event: &PayeeEvent, now: UnixTime) -> Step {
        match event {
            PayeeEvent::Chain(fact) => self.learn(fact, now),
            PayeeEvent::Stale(stale) => self.grow_stale(*stale, now),
            PayeeEvent::RunBegins { unit_price } => self.begin_run(*unit_price, now),
            PayeeEvent::Voucher(voucher) => self.take_voucher(voucher, now),
            PayeeEvent::Word(frame) => self.take_word(frame, now),
            PayeeEvent::Routed(news) => self.route(news, now),
            PayeeEvent::ClaimAsked => self.claim(now),
            PayeeEvent::ClaimFailed | PayeeEvent::Restarted => Step::to(Self {
                claiming: None,
                ..self.clone()
            }),
            PayeeEvent::ConsentAsked { not_after } => self.consent(*not_after, now),
            PayeeEvent::CloseAsked => self.close(now),
        }
    }

    fn take_voucher(&self, voucher: &VerifiedVoucher, now: UnixTime) -> Step {
        if self.held.voucher.as_ref() == Some(voucher) {
            // Sent again after a broken stream: it is durable, so it is acknowledged again.
            return Step::stay(self).then(PayeeEffect::Credit(self.accepted(now)));
        }
        let mut rules = self.rules;
        rules.min_unit_price = rules.min_unit_price.max(self.run.unit_price);
        match accept(&self.held, voucher, &self.facts(now), &rules) {
            Ok(held) => {
                let aside = self.aside.checked_add(self.moved(&held, now));
                let next = Self {
                    aside: aside.unwrap_or(Amount::MAX),
                    held,
                    ..self.clone()
                };
                let credit = PayeeEffect::Credit(next.accepted(now));
                next.without_lapsed(now).kept_voucher(now).then(credit)
            }
            Err(code) => self.refuse(code),
        }
    }

    fn take_word(&self, frame: &WordFrame, now: UnixTime) -> Step {
        match self.standing(now) {
            Standing::Usable => {}
            Standing::Unconfirmed => return self.refuse(PayErrorCode::NotConfirmed),
            Standing::Closing if self.has_consented(now) || self.phase == Phase::Closed => {
                return self.refuse(PayErrorCode::Closing);
            }
            // A word already paid for service stays money while the window lasts.
            Standing::Closing | Standing::Stale => {}
        }
        let lane = usize::try_from(frame.lane).ok();
        let lane = lane.and_then(|it| self.held.lanes.get(it));
        if lane.is_some_and(|it| it.lock.expiry > 0) {
            // R5 has no meaning without a route: its words would soon be worth nothing, and what was served
            // for them would have been served for nothing.
            return self.refuse(PayErrorCode::ExpiryTooSoon);
        }
        match self.held.take_word(frame, &self.rules) {
            Ok(Some(held)) => {
                let next = Self {
                    held,
                    ..self.clone()
                };
                if next.value(now) > self.deposit {
                    return self.refuse(PayErrorCode::OverCommitted); // Part of it was undone.
                }
                let credit = PayeeEffect::Credit(next.accepted(now));
                let unit_price = lane.map_or(Amount::ZERO, |it| it.lock.unit_price);
                next.kept(unit_price, now).then(credit)
            }
            Ok(None) => Step::stay(self).then(PayeeEffect::Credit(self.accepted(now))),
            Err(code) => self.refuse(code),
        }
    }

    fn learn(&self, fact: &ChainFact, now: UnixTime) -> Step {
        let mut next = self.clone();
        match *fact {
            ChainFact::Deposit(deposit) => {
                next.deposit = deposit;
                match (next.phase, deposit) {
                    // A rewritten history took it back: nothing is served for it any more.
                    (Phase::Open, Amount::ZERO) => next.phase = Phase::Opening,
                    (Phase::Opening, more) if more > Amount::ZERO => next.phase = Phase::Open,
                    _ => {}
                }
            }
            ChainFact::Claimed(total) => {
                next.claimed = total;
                next.claiming = self.claiming.filter(|it| *it > total);
            }
            ChainFact::Closing { closes_at } if self.phase != Phase::Closed => {
                next.phase = Phase::Closing { closes_at };
            }
            ChainFact::Closing { .. } => {}
            ChainFact::NotClosing if matches!(self.phase, Phase::Closing { .. }) => {
                next.phase = Phase::Open;
            }
            ChainFact::NotClosing => {}
            ChainFact::Closed => next.phase = Phase::Closed,
        }
        if next == *self {
            return Step::stay(self);
        }
        let id = self.terms.id;
        let more = next.claimed.saturating_sub(self.claimed);
        let less = self.claimed.saturating_sub(next.claimed);
        let books = [
            Posting::claimed(id, more),
            Posting::claimed(id, less).undone(),
        ];
        let books = books.into_iter().filter(|it| it.amount > Amount::ZERO);
        let is_undone = next.phase == Phase::Opening && self.phase == Phase::Open;
        let stop = PayeeEffect::Stop(if is_undone {
            StopReason::Undone
        } else {
            StopReason::Closing
        });
        let stops = is_undone || (next.is_ending() && !self.is_ending());
        let ends = next.phase == Phase::Closed && self.phase != Phase::Closed;
        let step = next.durable(now);
        let lost = step.next.booked.saturating_sub(step.next.claimed);
        let lost = (ends && lost > Amount::ZERO).then(|| Posting::lost(self.terms.id, lost));
        step.then_all(books.map(PayeeEffect::Book))
            .then_all(lost.map(PayeeEffect::Book))
            .then_all(stops.then_some(stop))
    }

    fn grow_stale(&self, stale: bool, now: UnixTime) -> Step {
        // Words of vouchers that were taken go on counting: what they are worth stands on the chain.
        let next = Self {
            stale,
            ..self.clone()
        };
        let next = next.without_lapsed(now);
        let lapsed = next.consent != self.consent;
        let step = Step::to(next);
        if lapsed { step.saved() } else { step }
    }

    fn begin_run(&self, unit_price: Amount, now: UnixTime) -> Step {
        let run = Run {
            from: self.direct_value(now),
            unit_price,
        };
        Self {
            run,
            ..self.clone()
        }
        .durable(now)
    }

    fn claim(&self, now: UnixTime) -> Step {
        let total = self.value(at_last_moment(now));
        match self.claim_now(now) {
            Some(claim) if self.claiming.is_none_or(|it| it < total) => {
                let next = Self {
                    claiming: Some(total),
                    ..self.clone()
                };
                next.durable(now)
                    .then(PayeeEffect::Submit(ChainAction::Claim(claim)))
            }
            Some(_) | None => Step::stay(self),
        }
    }

    fn consent(&self, not_after: UnixTime, now: UnixTime) -> Step {
        if self.phase != Phase::Open {
            return self.refuse(PayErrorCode::Closing);
        }
        if let Some(code) = self.cannot_end(now) {
            return self.refuse(code);
        }
        let final_amount = self.value(now).max(self.claimed);
        // From here on nothing may be earned: the consent could be used against it. So could every one
        // given before it.
        let until = self.consent.map_or(not_after, |it| it.max(not_after));
        let next = Self {
            consent: Some(until),
            ..self.clone()
        };
        next.durable(now).then(PayeeEffect::Consent {
            final_amount,
            not_after,
        })
    }

    /// Why nothing may be given up now, if so: what is paid onward could not be claimed any more, whether a
    /// lock still lives is for the chain's clock to say, and what a restored store does not know a tower may hold.
    fn cannot_end(&self, now: UnixTime) -> Option<PayErrorCode> {
        let deaf = self.stale.then_some(PayErrorCode::ChainStale);
        let unknown = self.restored.then_some(PayErrorCode::UnknownChannel);
        let busy = self.routes(now).then_some(PayErrorCode::Busy);
        deaf.or(unknown).or(busy)
    }

    /// From here on nothing may be earned: what is not claimed when this is in a block is lost.
    fn close(&self, now: UnixTime) -> Step {
        match self.phase {
            Phase::Open | Phase::Closing { .. } => {
                if let Some(code) = self.cannot_end(now) {
                    return self.refuse(code);
                }
                let next = Self {
                    consent: Some(FOR_EVER),
                    ..self.clone()
                };
                let stops = !self.is_ending() && self.consent.is_none();
                let stop = PayeeEffect::Stop(StopReason::Closing);
                next.durable(now)
                    .then_all(stops.then_some(stop))
                    .then(PayeeEffect::Submit(ChainAction::CloseByPayee))
            }
            Phase::Opening => self.refuse(PayErrorCode::NotConfirmed),
            Phase::Closed => self.refuse(PayErrorCode::Closing),
        }
    }

    /// Saves the state after a word: an entry for each would make the ledger as long as the traffic.
    fn kept(self, unit_price: Amount, now: UnixTime) -> Step {
        let unit_price = unit_price.max(self.rules.min_unit_price);
        let most = unit_price.checked_mul(UNITS_AN_ENTRY);
        let most = most.unwrap_or(Amount::MAX).wei();
        if self.unbooked(now).wei() >= most.max(self.deposit.wei() / ENTRIES_A_DEPOSIT) {
            return self.durable(now);
        }
        Step::to(self).saved()
    }

    /// Saves the state after a voucher. One that ends a session which paid a unit has its entry; any other waits
    /// as words do, for a payer can raise it by a wei at a time.
    fn kept_voucher(self, now: UnixTime) -> Step {
        let unit_price = self.run.unit_price;
        let ends = self.held.lanes.iter().all(|it| it.lock.expiry > 0);
        if ends && unit_price > Amount::ZERO && self.unbooked(now) >= unit_price {
            return self.durable(now);
        }
        let locks = self.held.lanes.iter().map(|it| it.lock.unit_price);
        let dearest = locks.max().unwrap_or(Amount::ZERO);
        self.kept(dearest.max(unit_price), now)
    }

    /// Saves the state, and with it all words; what they earned goes into the ledger.
    fn durable(mut self, now: UnixTime) -> Step {
        let earned = self.unbooked(now);
        self.booked = self.booked.checked_add(earned).unwrap_or(Amount::MAX);
        let book = PayeeEffect::Book(Posting::earned(self.terms.id, earned));
        Step::to(self)
            .saved()
            .then_all((earned > Amount::ZERO).then_some(book))
    }

    fn refuse(&self, code: PayErrorCode) -> Step {
        Step::stay(self).then(PayeeEffect::Refuse(code))
    }

    fn facts(&self, now: UnixTime) -> Facts {
        Facts {
            deposit: self.deposit,
            claimed: self.claimed,
            chain_time: now.as_secs(),
            standing: self.standing(now),
        }
    }

    fn standing(&self, now: UnixTime) -> Standing {
        match self.phase {
            Phase::Opening => Standing::Unconfirmed,
            Phase::Closing { .. } | Phase::Closed => Standing::Closing,
            Phase::Open if self.has_consented(now) => Standing::Closing,
            Phase::Open if self.stale => Standing::Stale,
            Phase::Open => Standing::Usable,
        }
    }

    fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. } | Phase::Closed)
    }
}

#[cfg(test)]
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for one kind of effect"
)]
mod tests;
