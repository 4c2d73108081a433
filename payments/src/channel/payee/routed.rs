//! Locks that are part of routes, at the end that is paid.
//!
//! Sans-IO. An exit hears words of such a lock from the consumer, whom it has no channel with; a router
//! hears them from further down the route. What they pay is kept apart from what a session on the same
//! channel pays.

use warren_proto::{
    Amount, HashLock, MAX_UNITS, PayErrorCode, PaymentId, Preimage, UnixTime, Voucher, WordFrame,
};

use super::{PayeeChannel, Phase, Step};
use crate::channel::accept::rests::rests;
use crate::channel::accept::{Holdings, Lane, Standing, accept, overtaken};
use crate::channel::event::PayeeEffect;
use crate::channel::routed::{RoutedAccepted, RoutedNews, Via};
use crate::channel::router::rules;
use crate::voucher::VerifiedVoucher;

impl PayeeChannel {
    pub(super) fn route(&self, news: &RoutedNews, now: UnixTime) -> Step {
        match news {
            RoutedNews::Lock {
                voucher,
                payment,
                anchor,
                unit_price,
            } => self.take_lock(voucher, (*payment, anchor), *unit_price, now),
            RoutedNews::Word {
                payment,
                k,
                word,
                via,
            } => self.take_routed_word(payment, (*k, word), *via, now),
        }
    }

    fn take_lock(
        &self,
        voucher: &VerifiedVoucher,
        (payment, anchor): (PaymentId, &HashLock),
        unit_price: Amount,
        now: UnixTime,
    ) -> Step {
        if self.held.voucher.as_ref() == Some(voucher) && self.lane_of(&payment).is_some() {
            return Step::stay(self).then(PayeeEffect::Credit(self.accepted(now)));
        }
        if self.lane_of(&payment).is_some() {
            return self.refuse(PayErrorCode::AnchorReused);
        }
        let mut rules = self.rules;
        rules.min_unit_price = rules.min_unit_price.max(unit_price);
        let known = |it: &Lane| it.lock.anchor == *anchor;
        let facts = self.facts(now);
        let taken = match overtaken(&self.held, voucher, anchor, (&facts, &rules)) {
            Some(at) => at.map(|at| (self.held.clone(), Some(at))),
            None if self.held.lanes.iter().any(known) => Err(PayErrorCode::AnchorReused),
            None => accept(&self.held, voucher, &facts, &rules).map(|held| {
                let at = held.lanes.iter().position(known);
                (held, at)
            }),
        };
        let (mut held, at) = match taken {
            Ok(taken) => taken,
            Err(code) => return self.refuse(code),
        };
        let Some(lane) = at.and_then(|at| held.lanes.get_mut(at)) else {
            return self.refuse(PayErrorCode::BadWord);
        };
        if lane.lock.expiry == 0 {
            // One without an end could be taken back at any time: its words do not come to this payee.
            return self.refuse(PayErrorCode::ExpiryTooFar);
        }
        lane.payment = Some(payment);
        // Whatever it is worth more is for holding the lock: a session on this channel gains nothing by it.
        let mut next = Self {
            held,
            ..self.clone()
        }
        .without_lapsed(now);
        let gained = next
            .direct_value(now)
            .saturating_sub(self.direct_value(now));
        next.aside = next.aside.checked_add(gained).unwrap_or(Amount::MAX);
        let credit = PayeeEffect::Credit(next.accepted(now));
        next.kept_voucher(now).then(credit)
    }

    fn take_routed_word(
        &self,
        payment: &PaymentId,
        (k, word): (u32, &Preimage),
        via: Via,
        now: UnixTime,
    ) -> Step {
        match self.standing(now) {
            Standing::Usable => {}
            Standing::Unconfirmed => return self.refuse(PayErrorCode::NotConfirmed),
            // What is paid onward for a word of a channel that is no more comes back to nobody.
            Standing::Closing if self.has_consented(now) || self.phase == Phase::Closed => {
                return self.refuse(PayErrorCode::Closing);
            }
            Standing::Closing | Standing::Stale => {}
        }
        let Some((index, lane)) = self.lane_of(payment) else {
            return self.refuse(PayErrorCode::BadWord);
        };
        let gap = match via {
            Via::Consumer if !lane.is_live(now.as_secs()) => {
                return self.refuse(PayErrorCode::ExpiryTooSoon);
            }
            Via::Consumer => self.rules.max_word_gap,
            Via::Route => MAX_UNITS,
        };
        let Some(k) = k.checked_sub(lane.folded).filter(|it| *it > 0) else {
            return Step::stay(self).then_all(self.routed(payment).map(PayeeEffect::RoutedCredit));
        };
        let frame = WordFrame {
            lane: u32::try_from(index).unwrap_or(u32::MAX),
            k,
            word: word.clone(),
        };
        match self.held.take_word_within(&frame, gap) {
            Ok(Some(held)) => {
                let next = Self {
                    held,
                    ..self.clone()
                };
                let credit = next.routed(payment).map(PayeeEffect::RoutedCredit);
                next.kept(lane.lock.unit_price, now).then_all(credit)
            }
            Ok(None) => {
                Step::stay(self).then_all(self.routed(payment).map(PayeeEffect::RoutedCredit))
            }
            Err(code) => self.refuse(code),
        }
    }

    /// What the payer has paid in a routed payment; `None` if no lock of it is held.
    #[must_use]
    pub fn routed(&self, payment: &PaymentId) -> Option<RoutedAccepted> {
        let (_, lane) = self.lane_of(payment)?;
        let units = lane.folded.saturating_add(lane.known);
        let paid = lane.lock.unit_price.checked_mul(u64::from(units));
        Some(RoutedAccepted {
            payment: *payment,
            units,
            paid: paid.unwrap_or(Amount::MAX),
            serve_until: rules::r5_serve_until(lane.lock.expiry),
        })
    }

    /// What a word of a routed payment's lock is worth; `None` if no lock of it is held.
    #[must_use]
    pub fn routed_price(&self, payment: &PaymentId) -> Option<Amount> {
        self.lane_of(payment).map(|(_, it)| it.lock.unit_price)
    }

    /// The best word of a routed payment, and its place; `None` before the first.
    #[must_use]
    pub fn routed_word(&self, payment: &PaymentId) -> Option<(u32, Preimage)> {
        let (_, lane) = self.lane_of(payment)?;
        let units = lane.folded.saturating_add(lane.known);
        (units > 0).then(|| (units, lane.word.clone()))
    }

    /// The first anchor of a routed payment's lock, whatever was folded; `None` if none is held.
    #[must_use]
    pub fn routed_anchor(&self, payment: &PaymentId) -> Option<HashLock> {
        let (_, lane) = self.lane_of(payment)?;
        let first = lane.word.advance(lane.folded.saturating_add(lane.known));
        Some(HashLock::from_bytes(*first.expose()))
    }

    /// Units of a routed payment that are in the base; `None` once its lock is in the voucher no more.
    #[must_use]
    pub fn routed_folded(&self, payment: &PaymentId) -> Option<u32> {
        self.lane_of(payment).map(|(_, it)| it.folded)
    }

    /// Whether a lock of a route lives: then words may still come, and the channel must not end.
    #[must_use]
    pub fn routes(&self, now: UnixTime) -> bool {
        let mut lanes = self.held.lanes.iter();
        lanes.any(|it| it.payment.is_some() && it.is_live(now.as_secs()))
    }

    /// When the first of the words held becomes worthless (chain seconds); `None` if none ever does.
    #[must_use]
    pub fn first_expiry(&self, now: UnixTime) -> Option<u64> {
        if self.phase == Phase::Closed {
            return None;
        }
        let lanes = self.held.lanes.iter();
        let at_risk = |it: &&Lane| it.known > 0 && it.lock.expiry > 0 && it.is_live(now.as_secs());
        lanes.filter(at_risk).map(|it| it.lock.expiry).min()
    }

    /// Routed payments of which a lock is held and a word is known that is in no base yet.
    pub fn routed_unfolded(&self) -> impl Iterator<Item = PaymentId> {
        let lanes = self.held.lanes.iter();
        lanes.filter_map(|it| it.payment.filter(|_| it.known > 0))
    }

    fn lane_of(&self, payment: &PaymentId) -> Option<(usize, &Lane)> {
        let mut lanes = self.held.lanes.iter().enumerate();
        lanes.find(|(_, it)| it.payment == Some(*payment))
    }

    /// What routes have paid here, folded or not.
    pub(super) fn routed_value(&self, now: UnixTime) -> Amount {
        let lanes = self.held.lanes.iter();
        let open = lanes.filter(|it| it.payment.is_some() && it.is_live(now.as_secs()));
        open.fold(self.aside, |sum, it| {
            sum.checked_add(it.worth()).unwrap_or(Amount::MAX)
        })
    }

    /// What of routes' money `next` has in its base, and this one has not.
    pub(super) fn moved(&self, next: &Holdings, now: UnixTime) -> Amount {
        let lanes = self.held.lanes.iter().filter(|it| it.payment.is_some());
        let (live, over): (Vec<_>, Vec<_>) = lanes.partition(|it| it.is_live(now.as_secs()));
        let folded = |lanes: Vec<&Lane>| {
            lanes.into_iter().fold(Amount::ZERO, |sum, old| {
                let kept = next.lanes.iter().find(|it| it.payment == old.payment);
                let units = kept.map_or(old.known, |it| it.folded.saturating_sub(old.folded));
                let worth = old.lock.unit_price.checked_mul(u64::from(units));
                worth.and_then(|it| sum.checked_add(it)).unwrap_or(sum)
            })
        };
        // What the chain has paid beyond the value now was paid with words of locks that are over: routes',
        // for no other lock expires with a word known.
        let claimed = self.claimed.saturating_sub(self.value(now));
        let moved = folded(live).checked_add(folded(over).max(claimed));
        moved.unwrap_or(Amount::MAX).min(rise(&self.held, next))
    }

    /// What `voucher` would be worth more than what is held or was claimed, with the words known of locks that live.
    #[must_use]
    pub fn gain(&self, voucher: &Voucher, now: UnixTime) -> Amount {
        let lanes = &self.held.lanes;
        let live = |it: &Lane| it.is_live(now.as_secs());
        let rests = rests(lanes, &voucher.locks);
        let worth = (0..).zip(&voucher.locks).filter_map(|(at, lock)| {
            let whole = lanes.iter().find(|it| it.lock == *lock && live(it));
            let rest = rests.iter().find(|it| it.lock == at && live(&it.lane));
            whole.or(rest.map(|it| &it.lane)).map(Lane::worth)
        });
        let worth = worth.fold(voucher.base, |sum, it| {
            sum.checked_add(it).unwrap_or(Amount::MAX)
        });
        worth.saturating_sub(self.value(now).max(self.claimed))
    }
}

fn rise(held: &Holdings, next: &Holdings) -> Amount {
    let base = |it: &Holdings| it.voucher.as_ref().map_or(Amount::ZERO, |it| it.get().base);
    base(next).saturating_sub(base(held))
}

#[cfg(test)]
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for one kind of effect"
)]
mod tests;
