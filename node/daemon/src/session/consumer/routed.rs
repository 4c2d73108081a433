//! A consumer's session that is paid by a route: its locks, and the words of each.
//!
//! Sans-IO.

use warren_proto::{
    Amount, GoodbyeReason, LockReady, PayErrorCode, PaymentId, RouteProof, SessionFrame, UnixTime,
};

use super::{ConsumerEnd, ConsumerSession, Do, Phase};
use crate::session::consumer::event::{RouteNews, RouteOrder};
use crate::session::consumer::lanes::Lanes;

impl ConsumerSession {
    pub(super) fn route_news(&mut self, news: RouteNews, now: UnixTime) -> Vec<Do> {
        match news {
            RouteNews::Made { lock, .. } if self.is_beyond_cap(lock.hold_fee) => {
                self.end(ConsumerEnd::CapReached, Some(GoodbyeReason::Cap))
            }
            RouteNews::Made { start, lock } => {
                let first = self.phase == Phase::Funding;
                let taken = match &mut self.lanes {
                    None if first => {
                        self.lanes = Some(Lanes::new(lock, now));
                        true
                    }
                    None => false,
                    Some(lanes) => lanes.made(lock, now),
                };
                if !taken {
                    return vec![Do::Route(RouteOrder::Drop(lock.payment))];
                }
                self.start = Some(start.clone());
                let mut effects = vec![Do::Send(SessionFrame::Start(start))];
                if first {
                    self.enter(Phase::Starting, now, &mut effects);
                }
                effects
            }
            RouteNews::Usable(ready) => {
                let lanes = self.lanes.as_mut();
                if !lanes.is_some_and(|it| it.usable(ready)) {
                    return Vec::new();
                }
                match (self.phase, self.terms.clone()) {
                    (Phase::Starting, Some(terms)) => {
                        let mut effects = vec![Do::Connect(Box::new(terms))];
                        self.enter(Phase::Connecting, now, &mut effects);
                        effects
                    }
                    _ => self.pay(now),
                }
            }
            RouteNews::Said { payment, word } => {
                if let Some(lanes) = &mut self.lanes {
                    lanes.said_word(payment, &word);
                }
                Vec::new()
            }
            RouteNews::Unsaid { payment, dead } => {
                if let Some(lanes) = &mut self.lanes {
                    lanes.unsaid(payment, dead, now);
                    self.released = lanes.said();
                }
                Vec::new()
            }
            RouteNews::Gone(payment) => {
                let lanes = self.lanes.as_mut();
                let asks = lanes.is_some_and(|it| it.replace(payment, now));
                let next = asks.then_some(Do::Route(RouteOrder::Next));
                next.into_iter().collect()
            }
            RouteNews::Failed { payment, code } => self.lock_failed(payment, code, now),
        }
    }

    /// While nothing is paid, the user is better served by another exit; later, by another try. A router that
    /// is busy may be opening the channel that the next lock goes by: it is tried again in both cases.
    fn lock_failed(
        &mut self,
        payment: Option<PaymentId>,
        code: PayErrorCode,
        now: UnixTime,
    ) -> Vec<Do> {
        let Some(lanes) = &mut self.lanes else {
            return Vec::new();
        };
        if !lanes.failed(payment, now) {
            return Vec::new();
        }
        let waits = code == PayErrorCode::Busy && lanes.may_try_again();
        if self.phase == Phase::Starting && !waits {
            let end = ConsumerEnd::PaymentRefused(code);
            return self.end(end, Some(GoodbyeReason::Asked));
        }
        Vec::new()
    }

    /// The exit expects the lock it was told of, or has come back.
    pub(super) fn routed_ready(&mut self, now: UnixTime) -> Vec<Do> {
        let payment = self.lanes.as_mut().and_then(|it| it.expected(now));
        let order = payment.map(|it| Do::Route(RouteOrder::Offer(it)));
        order.into_iter().collect()
    }

    /// The exit says, end to end, that it holds a lock.
    pub(super) fn lock_ready(&self, ready: LockReady) -> Vec<Do> {
        let awaited = self.lanes.as_ref().is_some_and(|it| it.awaits(&ready));
        let order = awaited.then_some(Do::Route(RouteOrder::Confirm(ready)));
        order.into_iter().collect()
    }

    pub(super) fn word_heard(&self, lane: u32, k: u32) -> Vec<Do> {
        let payment = self.lanes.as_ref().and_then(|it| it.payment(lane));
        let order = payment.map(|payment| Do::Route(RouteOrder::Heard { payment, lane, k }));
        order.into_iter().collect()
    }

    /// Says the words that are wanted, as far as locks reach, and sees to the next lock.
    pub(super) fn pay_by_route(
        &mut self,
        wanted: u64,
        cap: Option<u128>,
        now: UnixTime,
    ) -> Vec<Do> {
        let Some(lanes) = &mut self.lanes else {
            return Vec::new();
        };
        let say = lanes.say(wanted, now).into_iter();
        let mut effects: Vec<_> = say
            .map(|(ready, units)| Do::Route(RouteOrder::Release { ready, units }))
            .collect();
        let says = !effects.is_empty();
        self.released = lanes.said();
        let cap = cap.map_or(u64::MAX, |it| u64::try_from(it).unwrap_or(u64::MAX));
        if lanes.ask(cap.saturating_sub(self.released), now) {
            effects.push(Do::Route(RouteOrder::Next));
        }
        // The receipt counts what was said: not before the last words are.
        if self.released < wanted && lanes.is_dry(now) && !says {
            let end = ConsumerEnd::PaymentRefused(PayErrorCode::NoCapacity);
            effects.extend(self.end(end, Some(GoodbyeReason::Asked)));
        }
        effects
    }

    /// R6: a lock that nobody answered for. And before anything is paid: whether it is time for another try.
    pub(super) fn watch_locks(&mut self, now: UnixTime) -> Vec<Do> {
        let starts = self.phase == Phase::Starting;
        let Some(lanes) = &mut self.lanes else {
            return Vec::new();
        };
        match lanes.late(now) {
            Some(Some(payment)) => vec![Do::Route(RouteOrder::Late(payment))],
            Some(None) => self.lock_failed(None, PayErrorCode::NoRoute, now),
            None if starts && lanes.ask(u64::MAX, now) => vec![Do::Route(RouteOrder::Next)],
            None => Vec::new(),
        }
    }

    /// A new stream: the lock on its way is named again.
    pub(super) fn name_again(&self) -> Option<Do> {
        let on_its_way = self.lanes.as_ref().and_then(Lanes::on_its_way);
        let start = self.start.clone().filter(|it| it.routed == on_its_way);
        on_its_way.and(start.map(|it| Do::Send(SessionFrame::Start(it))))
    }

    /// The exit serves for the oldest lock no more: on with the next one.
    pub(super) fn lock_is_over(&mut self, now: UnixTime) -> Vec<Do> {
        if let Some(lanes) = &mut self.lanes {
            lanes.retire(now);
        }
        self.pay(now)
    }

    /// Whether this session is paid by a route.
    #[must_use]
    pub const fn is_routed(&self) -> bool {
        self.lanes.is_some()
    }

    /// What the route's locks paid; `None` if nothing, or a channel pays.
    pub(super) fn route_proof(&self) -> Option<RouteProof> {
        let (start, granted) = (self.start.as_ref()?, self.granted_by?);
        self.lanes.as_ref()?.proof(start.signature, granted)
    }

    /// What this session cost so far: its words, and the hold fees of the locks that were offered for it.
    #[must_use]
    pub fn cost(&self) -> Amount {
        let price = self.word_price().unwrap_or_default();
        let words = price.checked_mul(self.released);
        let cost = words.and_then(|it| it.checked_add(self.hold_fees()));
        cost.unwrap_or(Amount::MAX)
    }

    /// What of the cost is no word's.
    pub(super) fn hold_fees(&self) -> Amount {
        let lanes = self.lanes.as_ref();
        lanes.map_or(Amount::ZERO, Lanes::hold_fees)
    }

    /// Whether `more` would cost more than the user allows.
    fn is_beyond_cap(&self, more: Amount) -> bool {
        let cost = self.cost().checked_add(more).unwrap_or(Amount::MAX);
        self.wish.max_spend.is_some_and(|cap| cost > cap)
    }

    /// What one word costs this node; `None` before the terms are known.
    #[must_use]
    pub fn word_price(&self) -> Option<Amount> {
        let terms = self.terms.as_ref()?;
        Some(
            self.lanes
                .as_ref()
                .map_or(terms.unit_price, Lanes::unit_price),
        )
    }
}
