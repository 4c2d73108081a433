//! The locks that a routed session is paid by, as its consumer counts them.
//!
//! Sans-IO.
//!
//! ```text
//! Asked ──made──▶ Named ──the exit expects it──▶ Offered ──the exit holds it──▶ a lane, used up in its turn
//!   └──────────────── rejected, or late (R6) ─────┴──▶ asked again, later
//! ```
//!
//! Invariant: at most one lock is on its way; words are said of locks that the exit holds, in their order.

use std::time::Duration;

use warren_proto::{Amount, LockReady, PaymentId, RouteProof, Signature, UnixTime, WordFrame};

use crate::receipt::Tally;

// Our choices.
/// The next lock is asked for when so few words are left: some seconds of a fast line.
const LOW_UNITS: u64 = 96;
/// No new words of a lock so long before the exit serves for them no more: two clocks differ.
const EARLY: Duration = Duration::from_secs(120);
/// So far two clocks may differ, for an exit that takes no more words of a lock to be believed.
const NEAR: Duration = Duration::from_secs(15 * 60);
/// A lock on its way so long is given up: R6, and the way of the answer.
const PATIENCE: Duration = Duration::from_secs(33);
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(5);
/// Tries for one lock.
const MAX_TRIES: u32 = 3;
/// Until words that could not be said are tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// A lock that is on disk here, and that the exit has not confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockMade {
    /// Which payment.
    pub payment: PaymentId,
    /// Words of the whole lock.
    pub units: u32,
    /// Of them, said in sessions before.
    pub said: u32,
    /// What a word costs here: what the exit asks, and the router's part.
    pub unit_price: Amount,
    /// The exit serves no more for its words from then on (R5).
    pub serve_until: UnixTime,
    /// What the router gets for holding it, whatever comes; zero if it was paid in a session before.
    pub hold_fee: Amount,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Asked,
    Named(LockMade),
    Offered(LockMade),
}

#[derive(Debug, Clone, Copy)]
struct Lane {
    ready: LockReady,
    lock: LockMade,
    said: u32,
    /// What was said before the last words were ordered.
    before: u32,
    over: bool,
}

impl Lane {
    fn left(&self, now: UnixTime) -> u32 {
        if self.over || now.plus(EARLY) >= self.lock.serve_until {
            return 0;
        }
        self.lock.units.saturating_sub(self.said)
    }
}

/// The locks of one session.
#[derive(Debug, Clone)]
pub(super) struct Lanes {
    held: Vec<Lane>,
    pending: Option<(Stage, UnixTime)>,
    tries: u32,
    tried: Option<UnixTime>,
    said: u64,
    /// Until then no word is said: the last ones could not be.
    rests_until: Option<UnixTime>,
    unit_price: Amount,
    /// Of all locks that were offered, those too that were rejected.
    hold_fees: Amount,
    /// For the receipt.
    tally: Tally,
}

impl Lanes {
    /// A session begins with a lock that its start names.
    pub(super) fn new(lock: LockMade, now: UnixTime) -> Self {
        Self {
            held: Vec::new(),
            pending: Some((Stage::Named(lock), now)),
            tries: 0,
            tried: None,
            said: 0,
            rests_until: None,
            unit_price: lock.unit_price,
            hold_fees: Amount::ZERO,
            tally: Tally::default(),
        }
    }

    /// Words said in this session.
    pub(super) const fn said(&self) -> u64 {
        self.said
    }

    /// What a word costs, by the newest lock.
    pub(super) const fn unit_price(&self) -> Amount {
        self.unit_price
    }

    /// What the routers get besides, for holding locks.
    pub(super) const fn hold_fees(&self) -> Amount {
        self.hold_fees
    }

    /// The lock that was asked for is made; `false` if none was.
    pub(super) fn made(&mut self, lock: LockMade, now: UnixTime) -> bool {
        let asked = matches!(self.pending, Some((Stage::Asked, _)));
        if asked {
            self.unit_price = lock.unit_price;
            self.pending = Some((Stage::Named(lock), now));
        }
        asked
    }

    /// The exit expects the lock that was named: it may be offered.
    pub(super) fn expected(&mut self, now: UnixTime) -> Option<PaymentId> {
        let Some((Stage::Named(lock), _)) = self.pending else {
            return None;
        };
        self.pending = Some((Stage::Offered(lock), now));
        let hold_fees = self.hold_fees.checked_add(lock.hold_fee);
        self.hold_fees = hold_fees.unwrap_or(Amount::MAX);
        Some(lock.payment)
    }

    /// Whether `ready` answers the lock on its way.
    pub(super) fn awaits(&self, ready: &LockReady) -> bool {
        self.on_its_way() == Some(ready.payment)
    }

    /// The payment whose lock is on its way; `None` also while it is only asked for.
    pub(super) const fn on_its_way(&self) -> Option<PaymentId> {
        match self.pending {
            Some((Stage::Named(lock) | Stage::Offered(lock), _)) => Some(lock.payment),
            Some((Stage::Asked, _)) | None => None,
        }
    }

    /// Words of this lock may be said.
    pub(super) fn usable(&mut self, ready: LockReady) -> bool {
        let (Some((Stage::Named(lock) | Stage::Offered(lock), _)), true) =
            (self.pending, self.awaits(&ready))
        else {
            return false;
        };
        // A number that comes again names the newer lock; what the older had left is not said any more.
        self.held.retain(|it| it.ready.lane != ready.lane);
        let said = lock.said;
        self.held.push(Lane {
            ready,
            lock,
            said,
            before: said,
            over: false,
        });
        (self.pending, self.tries) = (None, 0);
        true
    }

    /// The lock on its way, or asked for, comes to nothing.
    pub(super) fn failed(&mut self, payment: Option<PaymentId>, now: UnixTime) -> bool {
        let concerned = self.pending.is_some() && self.on_its_way() == payment;
        if concerned {
            self.pending = None;
            self.tries = self.tries.saturating_add(1);
            self.tried = Some(now);
        }
        concerned
    }

    /// Whether another lock is to be tried after one that failed.
    pub(super) const fn may_try_again(&self) -> bool {
        self.tries < MAX_TRIES
    }

    /// The exit does not hold the lock that was named: a fresh one is asked for at once.
    pub(super) fn replace(&mut self, payment: PaymentId, now: UnixTime) -> bool {
        let concerned = self.on_its_way() == Some(payment);
        if concerned {
            self.pending = Some((Stage::Asked, now));
        }
        concerned
    }

    /// The lock that nobody answered for in time.
    pub(super) fn late(&self, now: UnixTime) -> Option<Option<PaymentId>> {
        let (_, since) = self.pending?;
        (now.since(since) >= PATIENCE).then(|| self.on_its_way())
    }

    /// The exit takes no more words of its oldest lock in use: it says so once for each word, so only a lock near
    /// its end is meant.
    pub(super) fn retire(&mut self, now: UnixTime) {
        let ends = |it: &&mut Lane| it.left(now) > 0 && now.plus(NEAR) >= it.lock.serve_until;
        if let Some(lane) = self.held.iter_mut().find(ends) {
            lane.over = true;
        }
    }

    /// What is to be said so that `wanted` words are said in all, as far as the locks reach.
    pub(super) fn say(&mut self, wanted: u64, now: UnixTime) -> Vec<(LockReady, u32)> {
        let mut orders = Vec::new();
        if self.rests_until.is_some_and(|until| now < until) {
            return orders;
        }
        for lane in &mut self.held {
            let more = wanted.saturating_sub(self.said);
            let more = u32::try_from(more).unwrap_or(u32::MAX).min(lane.left(now));
            if more > 0 {
                lane.before = lane.said;
                lane.said = lane.said.saturating_add(more);
                self.said = self.said.saturating_add(more.into());
                orders.push((lane.ready, lane.said));
            }
        }
        orders
    }

    /// The last words of a lock could not be said: they count as not said, and are ordered again in a while,
    /// of the next lock if this one is `dead`.
    pub(super) fn unsaid(&mut self, payment: PaymentId, dead: bool, now: UnixTime) {
        let mut held = self.held.iter_mut();
        let Some(lane) = held.find(|it| it.ready.payment == payment) else {
            return;
        };
        let unsaid = lane.said.saturating_sub(lane.before);
        self.said = self.said.saturating_sub(unsaid.into());
        (lane.said, lane.over) = (lane.before, lane.over || dead);
        self.rests_until = Some(now.plus(AGAIN));
    }

    /// The best word that was said of a lock, now that it was.
    pub(super) fn said_word(&mut self, payment: PaymentId, word: &WordFrame) {
        let lane = self.held.iter().find(|it| it.ready.payment == payment);
        if let Some(lane) = lane {
            self.tally.count(lane.ready.anchor, lane.lock.said, word);
        }
    }

    /// What was paid, with both sides' signatures over the terms; `None` if nothing was.
    pub(super) fn proof(&self, consumer: Signature, provider: Signature) -> Option<RouteProof> {
        self.tally.proof(consumer, provider)
    }

    /// Asks for the next lock if it is time; `budget`: words that the user still allows.
    pub(super) fn ask(&mut self, budget: u64, now: UnixTime) -> bool {
        let left = self.left(now);
        let rested = self.tried.is_none_or(|it| now.since(it) >= PAUSE);
        let low = left < LOW_UNITS && left < budget;
        let asks = low && rested && self.pending.is_none() && self.tries < MAX_TRIES;
        if asks {
            self.pending = Some((Stage::Asked, now));
        }
        asks
    }

    /// Whether nothing is left, and nothing comes.
    pub(super) fn is_dry(&self, now: UnixTime) -> bool {
        self.pending.is_none() && self.tries >= MAX_TRIES && self.left(now) == 0
    }

    fn left(&self, now: UnixTime) -> u64 {
        self.held.iter().map(|it| u64::from(it.left(now))).sum()
    }

    /// The payment that words of this number belong to.
    pub(super) fn payment(&self, lane: u32) -> Option<PaymentId> {
        let found = self.held.iter().find(|it| it.ready.lane == lane);
        found.map(|it| it.ready.payment)
    }
}
