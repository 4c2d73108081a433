//! A router's side of one routed payment: what links the lock it holds to the lock it gave.
//!
//! Sans-IO. The locks themselves live in the router's two channels, a [`PayeeChannel`] upstream and a
//! [`PayerChannel`] downstream; [`RoutedPayment::handle`] says when each is asked for what.
//!
//! ```text
//! offer ──admitted──▶ InDurable ──signed──▶ OutSigned ──exit is ready──▶ Live
//!          (P5)                        └──rejected, late (R6)──▶ OutRejected
//! then, for any of them:  word from the exit │ from the chain  ──▶ learned, then folded (P6, R3)
//!                         chain time beyond the lock ──▶ OutExpired ──▶ InFolded │ InClaimed │ InReleased
//! ```
//!
//! Invariant (I5): what this node can be made to pay downstream, it can claim upstream by itself. The
//! upstream lock outlives the downstream one (R1) and any closing of its channel (R2); it is held on
//! disk before the downstream one is signed (P5), and so is each word before it is paid for (P6).
//! Neither lock is let go before the chain's own time is beyond it, whatever the exit says: an older
//! voucher with the lock is good on the chain until then.
//!
//! [`PayeeChannel`]: crate::channel::PayeeChannel
//! [`PayerChannel`]: crate::channel::PayerChannel

pub mod admit;
mod event;
#[cfg(test)]
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for one kind of effect"
)]
mod model;
mod record;
pub mod rules;
pub mod sealed;
#[cfg(test)]
mod tests;

use warren_proto::{
    ChannelId, Fulfill, Lock, LockReject, PayErrorCode, PaymentId, Preimage, UnixTime,
};

use super::routed::{Proof, steps_to};
pub use admit::{Admission, admit, rejection, weigh};
pub use event::{RouteEffect, RouteEvent, RouteView, Stage};
pub use rules::{RouteRefusal, RouterPolicy, RouterRules};

type Step = warren_proto::Step<RoutedPayment, RouteEffect>;

/// One payment that this node routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutedPayment {
    payment: PaymentId,
    up: ChannelId,
    down: ChannelId,
    up_lock: Lock,
    down_lock: Lock,
    offered_at: UnixTime,
    stage: Stage,
    /// The best word learned, and its place.
    best: Option<(u32, Preimage)>,
}

impl RoutedPayment {
    /// Says what `event` makes of this payment; changes nothing by itself.
    ///
    /// Total: no event, in any order, is an error. A late or repeated one stays.
    pub fn handle(&self, event: &RouteEvent, now: UnixTime) -> Step {
        match event {
            RouteEvent::Signed => self.pass(Stage::InDurable, Stage::OutSigned),
            RouteEvent::NotSigned(code) => match self.stage {
                Stage::InDurable => self.to(Stage::InReleased).then(self.reject(*code)),
                Stage::OutSigned
                | Stage::Live
                | Stage::OutRejected
                | Stage::OutExpired
                | Stage::InFolded
                | Stage::InClaimed
                | Stage::InReleased => Step::stay(self),
            },
            // Whoever is upstream may be a router that waits, as this one did.
            RouteEvent::Ready if self.stage == Stage::OutSigned => {
                self.to(Stage::Live).then(RouteEffect::TellReady)
            }
            RouteEvent::Ready => Step::stay(self),
            RouteEvent::Rejected(code) => self.give_up(*code),
            RouteEvent::Fulfilled(shown) => self.take_word(shown, now),
            RouteEvent::Revealed(word) => self.take_public(word),
            RouteEvent::Heard(word) => self.take_hearsay(word, now),
            RouteEvent::Looked(view) => self.look(view, now),
            RouteEvent::Restarted => self.restart(now),
        }
    }

    fn pass(&self, from: Stage, to: Stage) -> Step {
        if self.stage == from {
            self.to(to)
        } else {
            Step::stay(self)
        }
    }

    /// The lock is held upstream until it expires: the next hop may have it all the same.
    fn give_up(&self, code: PayErrorCode) -> Step {
        match self.stage {
            Stage::OutSigned => self.to(Stage::OutRejected).then(self.reject(code)),
            Stage::InDurable
            | Stage::Live
            | Stage::OutRejected
            | Stage::OutExpired
            | Stage::InFolded
            | Stage::InClaimed
            | Stage::InReleased => Step::stay(self),
        }
    }

    /// P6: the word is on disk here, then in the upstream channel, and only then paid for. R3: one that
    /// is shown too late is kept, for it may still be worth something upstream, but not paid for.
    fn take_word(&self, shown: &Fulfill, now: UnixTime) -> Step {
        let (known, at) = self.known();
        let Some(steps) = shown.k.checked_sub(known).filter(|it| *it > 0) else {
            // Whoever shows it again has heard nothing: the fold or the question for it upstream may be lost.
            return Step::stay(self)
                .then_all(self.fold_again(now))
                .then_all(self.ask_again());
        };
        if shown.k > self.down_lock.units || shown.word.advance(steps) != at {
            return Step::stay(self).then(RouteEffect::Refuse(PayErrorCode::BadWord));
        }
        let in_time = rules::r3_may_fold(self.down_lock.expiry, now);
        let late = RouteEffect::Refuse(PayErrorCode::ExpiryTooSoon);
        self.learned(shown.k, &shown.word)
            .then(learn(shown.k, &shown.word))
            .then(if in_time {
                fold(shown.k, &shown.word, Proof::Told)
            } else {
                late
            })
            .then(self.ask_fold((shown.k, &shown.word), shown))
    }

    /// What became public was paid for on the chain: it is written down, whatever the time is.
    fn take_public(&self, word: &Preimage) -> Step {
        let Some(k) = self.place_of(word) else {
            return Step::stay(self);
        };
        let shown = self.fulfill(k, word);
        self.learned(k, word)
            .then(learn(k, word))
            .then(fold(k, word, Proof::OnChain))
            .then(RouteEffect::AskFold(shown))
    }

    /// A word is its own proof, and good upstream whoever tells of it. That it was paid for on the chain may be a lie:
    /// it is folded only as one that its payee shows (R3).
    fn take_hearsay(&self, word: &Preimage, now: UnixTime) -> Step {
        let Some(k) = self.place_of(word) else {
            return Step::stay(self);
        };
        let in_time = rules::r3_may_fold(self.down_lock.expiry, now);
        self.learned(k, word)
            .then(learn(k, word))
            .then_all(in_time.then(|| fold(k, word, Proof::Told)))
            .then(RouteEffect::AskFold(self.fulfill(k, word)))
    }

    /// The place of a word beyond what is known; `None` if it is no such word.
    #[must_use]
    pub fn place_of(&self, word: &Preimage) -> Option<u32> {
        let (known, at) = self.known();
        let left = self.down_lock.units.saturating_sub(known);
        steps_to(word, &at, left).map(|it| known.saturating_add(it))
    }

    /// Only the chain's own time ends a lock, and only once everything up to it has been heard.
    fn look(&self, view: &RouteView, now: UnixTime) -> Step {
        let over = view.heard_until >= UnixTime::from_secs(self.down_lock.expiry);
        match self.stage {
            Stage::OutSigned if !over && rules::r6_offer_is_dead(self.offered_at, now) => {
                self.give_up(PayErrorCode::NoRoute)
            }
            Stage::InDurable | Stage::OutSigned | Stage::Live | Stage::OutRejected if over => {
                let out = self.with(Stage::OutExpired);
                let end = out.end(view);
                Step::to(out.with(end)).saved()
            }
            Stage::OutExpired => self.pass(Stage::OutExpired, self.end(view)),
            // Used up, and paid for up and down: it binds nothing any more.
            Stage::Live | Stage::OutRejected
                if self.units() == self.up_lock.units && view.up_folded.is_none() =>
            {
                self.to(Stage::InFolded)
            }
            Stage::InDurable
            | Stage::OutSigned
            | Stage::Live
            | Stage::OutRejected
            | Stage::InFolded
            | Stage::InClaimed
            | Stage::InReleased => Step::stay(self),
        }
    }

    /// Where the upstream side of an expired payment stands. Once that lock has expired too, nothing comes of
    /// it any more: a word that was shown too late must not take one of the neighbour's places for ever.
    fn end(&self, view: &RouteView) -> Stage {
        let Some((k, _)) = &self.best else {
            return Stage::InReleased;
        };
        let up_over = view.heard_until >= UnixTime::from_secs(self.up_lock.expiry);
        match view.up_folded {
            None if *k == self.up_lock.units => Stage::InFolded,
            Some(folded) if folded >= *k => Stage::InFolded,
            Some(_) | None if view.up_claimed => Stage::InClaimed,
            Some(_) | None if up_over => Stage::InReleased,
            Some(_) | None => Stage::OutExpired,
        }
    }

    /// P9: whatever was under way is done again; doing it twice is harmless.
    fn restart(&self, now: UnixTime) -> Step {
        match (self.stage, &self.best) {
            (Stage::InDurable, _) => self.to(Stage::InReleased),
            (_, Some((k, word))) => Step::stay(self)
                .then(learn(*k, word))
                .then_all(self.fold_again(now)),
            (_, None) => Step::stay(self),
        }
    }

    fn fold_again(&self, now: UnixTime) -> Option<RouteEffect> {
        let (k, word) = self.best.as_ref()?;
        let in_time = rules::r3_may_fold(self.down_lock.expiry, now);
        in_time.then(|| fold(*k, word, Proof::Told))
    }

    fn ask_again(&self) -> Option<RouteEffect> {
        let (k, word) = self.best.as_ref()?;
        Some(RouteEffect::AskFold(self.fulfill(*k, word)))
    }

    fn learned(&self, k: u32, word: &Preimage) -> Step {
        let mut next = self.clone();
        next.best = Some((k, word.clone()));
        if self.is_over() {
            next.stage = Stage::OutExpired;
        }
        Step::to(next).saved()
    }

    fn ask_fold(&self, (k, word): (u32, &Preimage), shown: &Fulfill) -> RouteEffect {
        RouteEffect::AskFold(Fulfill {
            last: shown.last,
            ..self.fulfill(k, word)
        })
    }

    fn fulfill(&self, k: u32, word: &Preimage) -> Fulfill {
        Fulfill {
            payment: self.payment,
            anchor: self.up_lock.anchor,
            k,
            word: word.clone(),
            last: false,
        }
    }

    fn reject(&self, code: PayErrorCode) -> RouteEffect {
        RouteEffect::Reject(LockReject::of(self.payment, code, true))
    }

    /// The best word's place and the word; the anchor while there is none.
    fn known(&self) -> (u32, Preimage) {
        let anchor = || Preimage::from_bytes(*self.down_lock.anchor.as_bytes());
        self.best.clone().unwrap_or_else(|| (0, anchor()))
    }

    fn with(&self, stage: Stage) -> Self {
        Self {
            stage,
            ..self.clone()
        }
    }

    fn to(&self, stage: Stage) -> Step {
        if stage == self.stage {
            Step::stay(self)
        } else {
            Step::to(self.with(stage)).saved()
        }
    }

    /// Whether nothing is to come any more, up or down.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.stage.is_over()
    }

    /// Which payment.
    #[must_use]
    pub const fn payment(&self) -> PaymentId {
        self.payment
    }

    /// The channel that pays this node.
    #[must_use]
    pub const fn up(&self) -> ChannelId {
        self.up
    }

    /// The channel that this node pays from.
    #[must_use]
    pub const fn down(&self) -> ChannelId {
        self.down
    }

    /// The lock held, as it was first.
    #[must_use]
    pub const fn up_lock(&self) -> &Lock {
        &self.up_lock
    }

    /// The lock given, as it was first.
    #[must_use]
    pub const fn down_lock(&self) -> &Lock {
        &self.down_lock
    }

    /// How far it is.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// Units that this node knows to be paid for.
    #[must_use]
    pub fn units(&self) -> u32 {
        self.best.as_ref().map_or(0, |(k, _)| *k)
    }
}

fn learn(k: u32, word: &Preimage) -> RouteEffect {
    let word = word.clone();
    RouteEffect::Learn { k, word }
}

fn fold(k: u32, word: &Preimage, proof: Proof) -> RouteEffect {
    let word = word.clone();
    RouteEffect::Fold { k, word, proof }
}
