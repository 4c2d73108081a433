//! The locks that a routed session is paid by, as its exit counts them; and what is done with them.
//!
//! Sans-IO. A session names a payment, then its lock comes from a router; a lock that no session has named
//! is taken by nobody. Words count beyond those that were known when the session named the payment.

use std::time::Duration;

use warren_proto::{
    Amount, LockReady, PayErrorCode, PaymentId, RouteProof, SessionFrame, SessionStart, Signature,
    UnixTime, WordFrame,
};

use super::{Do, Phase, ProviderEnd, ProviderSession};
use crate::receipt::Tally;
use crate::session::provider::event::{LockNews, LockOrder};

/// So often a guest without a lock may name another payment and be waited for anew: a router did not answer for
/// the last one. Our choice: with the first, three minutes.
const MAX_AGAIN: u32 = 3;
/// Numbers of locks on one stream (specification: below 16); the oldest is given anew.
const LANES: u32 = 16;

#[derive(Debug, Clone, Copy)]
struct Held {
    ready: LockReady,
    /// Known when the session named it.
    first: u32,
    known: u32,
    /// What the consumer was told that is known.
    told: u32,
    /// What a fold was asked for.
    shown: u32,
    serve_until: UnixTime,
}

/// The locks of one session.
#[derive(Debug, Clone, Default)]
pub(super) struct Locks {
    held: Vec<Held>,
    expected: Option<PaymentId>,
    /// How often that was another one before any was held.
    again: u32,
    /// Words of locks whose number was given anew.
    before: u64,
    next: u32,
    /// For the receipt.
    tally: Tally,
    /// The consumer's over the terms. `None` before its Start.
    consent: Option<Signature>,
}

impl Locks {
    fn units(&self) -> u64 {
        let units = self.held.iter().map(|it| it.known.saturating_sub(it.first));
        units.fold(self.before, |sum, it| sum.saturating_add(it.into()))
    }

    const fn is_bare(&self) -> bool {
        self.held.is_empty()
    }

    fn expects(&self, payment: &PaymentId) -> Option<u32> {
        (self.expected.as_ref() == Some(payment)).then_some(self.next)
    }

    fn find(&mut self, is_it: impl Fn(&Held) -> bool) -> Option<&mut Held> {
        self.held.iter_mut().find(|it| is_it(it))
    }

    fn paid(&mut self, payment: PaymentId, units: u32, word: &WordFrame) {
        let Some(held) = self.find(|it| it.ready.payment == payment) else {
            return;
        };
        let (anchor, first, is_new) = (held.ready.anchor, held.first, units > held.known);
        held.known = held.known.max(units);
        // Only the word by which more is known now was checked against the lock.
        if is_new && word.k == units {
            self.tally.count(anchor, first, word);
        }
    }

    /// What the best words are to be folded; with `last`, whatever was asked before.
    fn folds(&mut self, last: bool) -> Vec<Do> {
        let news = self.held.iter_mut();
        let news = news.filter(|it| it.known > it.shown || (last && it.known > it.first));
        news.map(|it| {
            it.shown = it.known;
            let ready = it.ready;
            Do::Lock(LockOrder::Fold { ready, last })
        })
        .collect()
    }

    fn acks(&mut self) -> Vec<Do> {
        let news = self.held.iter_mut().filter(|it| it.known > it.told);
        news.map(|it| {
            it.told = it.known;
            let (lane, k) = (it.ready.lane, it.known);
            Do::Send(SessionFrame::WordAck { lane, k })
        })
        .collect()
    }
}

impl ProviderSession {
    /// Start with a payment: the first one makes this session a routed one.
    pub(super) fn named(&mut self, payment: PaymentId, start: &SessionStart) -> Vec<Do> {
        let signed = self.terms.signed_by(&self.terms.consumer, &start.signature);
        let first = self.phase == Phase::Granted;
        let fits = start.session == self.terms.session && signed && !self.is_free();
        let goes_on = self.is_ready() && self.locks.is_some();
        if !fits || !(first || goes_on) {
            return self.end(
                ProviderEnd::Protocol,
                Some(warren_proto::GoodbyeReason::Protocol),
            );
        }
        let locks = self.locks.get_or_insert_default();
        locks.consent = Some(start.signature);
        let mut effects = Vec::new();
        if let Some(held) = locks.find(|it| it.ready.payment == payment) {
            // The stream that it was said on may have taken it along.
            effects.push(Do::Send(SessionFrame::LockReady(held.ready)));
        } else {
            let is_other = locks.expected.is_some_and(|it| it != payment);
            if is_other && locks.is_bare() && locks.again < MAX_AGAIN {
                locks.again = locks.again.saturating_add(1);
                self.since = self.now;
            }
            locks.expected = Some(payment);
            let lane = locks.next;
            effects.push(Do::Lock(LockOrder::Find { payment, lane }));
        }
        if first {
            // The first word opens the gate, as ever: no lock, no word.
            self.value_before = Some(Amount::ZERO);
            effects.extend(self.ready(self.now));
        } else {
            effects.push(self.ready_frame());
        }
        effects
    }

    /// Whether the lock of `payment` is awaited here: under which number, and what a word of it must be worth.
    #[must_use]
    pub fn awaits_lock(&self, payment: &PaymentId) -> Option<(u32, Amount)> {
        let lane = self.locks.as_ref()?.expects(payment)?;
        self.is_ready().then_some((lane, self.terms.unit_price))
    }

    /// Whether words of this payment's lock count here. They count in one session at a time: in two, they
    /// would be served for twice.
    #[must_use]
    pub fn holds_lock(&self, payment: &PaymentId) -> bool {
        let mut held = self.locks.iter().flat_map(|it| &it.held);
        self.phase != Phase::Closed && held.any(|it| it.ready.payment == *payment)
    }

    pub(super) fn lock_news(&mut self, news: LockNews, now: UnixTime) -> Vec<Do> {
        match news {
            LockNews::Held {
                ready,
                units,
                serve_until,
            } => self.lock_held(ready, units, serve_until, now),
            LockNews::Paid {
                payment,
                units,
                word,
            } => {
                let Some(locks) = &mut self.locks else {
                    return Vec::new();
                };
                locks.paid(payment, units, &word);
                let paid = self.terms.unit_price.checked_mul(locks.units());
                self.paid_up_to(paid.unwrap_or(Amount::MAX), now)
            }
        }
    }

    fn lock_held(
        &mut self,
        ready: LockReady,
        units: u32,
        serve_until: UnixTime,
        now: UnixTime,
    ) -> Vec<Do> {
        let Some(locks) = &mut self.locks else {
            return Vec::new();
        };
        if locks.expects(&ready.payment) != Some(ready.lane) {
            return Vec::new();
        }
        let mut effects = Vec::new();
        if let Some(at) = locks.held.iter().position(|it| it.ready.lane == ready.lane) {
            let old = locks.held.remove(at);
            let units = u64::from(old.known.saturating_sub(old.first));
            locks.before = locks.before.saturating_add(units);
            let (ready, last) = (old.ready, true);
            effects.push(Do::Lock(LockOrder::Fold { ready, last }));
        }
        locks.expected = None;
        locks.next = (ready.lane.saturating_add(1)) % LANES;
        locks.held.push(Held {
            ready,
            first: units,
            known: units,
            told: units,
            shown: units,
            serve_until,
        });
        self.channel = Some(ready.channel);
        if self.phase == Phase::AwaitingWord {
            self.since = now;
        }
        effects.push(Do::Send(SessionFrame::LockReady(ready)));
        effects
    }

    pub(super) fn routed_word(&mut self, word: WordFrame) -> Vec<Do> {
        let now = self.now;
        let locks = self.locks.as_mut();
        let held = locks.and_then(|it| it.find(|it| it.ready.lane == word.lane).map(|it| *it));
        match held {
            // R5: the word may be good on the chain; service for it is not to be had any more.
            Some(held) if now >= held.serve_until => self.pay_error(PayErrorCode::ExpiryTooSoon),
            Some(held) => vec![Do::Lock(LockOrder::TakeWord {
                ready: held.ready,
                word,
            })],
            None => self.pay_error(PayErrorCode::BadWord),
        }
    }

    /// Once a second: what is known; every few minutes: what is to be folded.
    pub(super) fn tell_of_locks(&mut self, now: UnixTime) -> Vec<Do> {
        let fold = self.limits.fold;
        let due = self.folded_at.is_none_or(|it| now.since(it) >= fold);
        let Some(locks) = &mut self.locks else {
            return Vec::new();
        };
        let mut effects = locks.acks();
        if due {
            self.folded_at = Some(now);
            effects.extend(locks.folds(false));
        }
        effects
    }

    pub(super) fn last_folds(&mut self) -> Vec<Do> {
        let locks = self.locks.as_mut();
        locks.map(|it| it.folds(true)).unwrap_or_default()
    }

    /// How long a guest may wait that has not paid a word yet.
    pub(super) fn first_word_limit(&self) -> Duration {
        let bare = self.locks.as_ref().is_some_and(Locks::is_bare);
        if bare && self.phase == Phase::AwaitingWord {
            self.limits.lock
        } else {
            self.limits.unpaid
        }
    }

    /// A new stream: the locks that words count for.
    pub(super) fn held_again(&self) -> Vec<Do> {
        let locks = self.locks.iter().flat_map(|it| &it.held);
        locks
            .map(|it| {
                let (lane, k) = (it.ready.lane, it.known);
                Do::Send(SessionFrame::WordAck { lane, k })
            })
            .collect()
    }

    /// Whether its channel has shown that it pays here: until then anybody can name any.
    #[must_use]
    pub const fn is_paid_by_channel(&self) -> bool {
        self.value_before.is_some() && self.locks.is_none()
    }

    /// Whether this session is paid by a route.
    #[must_use]
    pub const fn is_routed(&self) -> bool {
        self.locks.is_some()
    }

    /// What the route's locks paid; `None` if nothing, or a channel pays.
    pub(super) fn route_proof(&self) -> Option<RouteProof> {
        let locks = self.locks.as_ref()?;
        locks.tally.proof(locks.consent?, self.signature)
    }
}
