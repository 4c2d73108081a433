//! The consumer's side of one session.
//!
//! Sans-IO. [`ConsumerSession::handle`] decides; the consumer loop saves, pays and connects.
//!
//! Money: words are released only for bytes this side has counted itself and time in which the exit was
//! heard, plus `prepay_units`. The first word leaves only after the tunnel's handshake, so an exit that
//! cannot be reached is paid nothing; a channel that was opened for it costs gas, and its deposit lies there.

use std::time::Duration;

use warren_proto::{
    ByteCount, Goodbye, GoodbyeReason, Grant, Meter, PayErrorCode, Price, Refusal, SessionFrame,
    SessionId, SessionRequest, SessionStart, SessionTerms, Signature, SignedOffer, UnixTime,
};

mod cover;
mod ending;
mod event;
mod grant;
mod lanes;
mod routed;
mod silence;
mod stream;
pub use event::{
    ConsumerEffect, ConsumerEnd, ConsumerEvent, ConsumerPhase, RouteNews, RouteOrder, Wish,
};
pub use lanes::LockMade;

use self::cover::Cover;
use self::grant::check;
use self::lanes::Lanes;
use self::silence::before;
use super::{SessionLimits, due_units};

use ConsumerEffect as Do;
use ConsumerPhase as Phase;

/// One deal, seen by the consumer.
#[derive(Debug, Clone)]
pub struct ConsumerSession {
    wish: Wish,
    limits: SessionLimits,
    phase: Phase,
    begun: UnixTime,
    /// When the event in hand happened.
    now: UnixTime,
    since: UnixTime,
    heard: UnixTime,
    /// Since when the tunnel is not answered. `None` if it is.
    unanswered: Option<UnixTime>,
    terms: Option<SessionTerms>,
    /// The provider's over the terms.
    granted_by: Option<Signature>,
    start: Option<Box<SessionStart>>,
    used: (ByteCount, ByteCount),
    active_since: Option<UnixTime>,
    released: u64,
    theirs: Meter,
    /// Since when nothing comes by any stream of it. `None` if the one that stands brought something.
    broken: Option<UnixTime>,
    /// A new stream is being opened.
    redials: bool,
    cover: Cover,
    /// `None` unless it is paid by a route.
    lanes: Option<Lanes>,
}

impl ConsumerSession {
    /// Starts a session by asking for it.
    #[must_use]
    pub fn new(wish: Wish, limits: SessionLimits, now: UnixTime) -> (Self, Vec<Do>) {
        let it = Self {
            wish,
            limits,
            phase: Phase::Negotiating,
            begun: now,
            now,
            since: now,
            heard: now,
            unanswered: None,
            terms: None,
            granted_by: None,
            start: None,
            used: Default::default(),
            active_since: None,
            released: 0,
            theirs: Meter::default(),
            broken: None,
            redials: false,
            cover: Cover::default(),
            lanes: None,
        };
        let effects = vec![Do::Report(it.phase), Do::Send(it.request(false))];
        (it, effects)
    }

    /// Where it stands.
    #[must_use]
    pub const fn phase(&self) -> ConsumerPhase {
        self.phase
    }

    /// The deal, once granted.
    #[must_use]
    pub const fn terms(&self) -> Option<&SessionTerms> {
        self.terms.as_ref()
    }

    /// The offer it relies on.
    #[must_use]
    pub const fn offer(&self) -> &SignedOffer {
        &self.wish.offer
    }

    /// The session.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.wish.session
    }

    /// Words released in this session.
    #[must_use]
    pub const fn released(&self) -> u64 {
        self.released
    }

    /// Inner bytes up and down by the own meter.
    #[must_use]
    pub const fn used(&self) -> (ByteCount, ByteCount) {
        self.used
    }

    /// The provider's last meter.
    #[must_use]
    pub const fn theirs(&self) -> Meter {
        self.theirs
    }

    /// Says what `event` makes of the session. Total: late and repeated events change nothing.
    pub fn handle(&mut self, event: ConsumerEvent, now: UnixTime) -> Vec<Do> {
        if self.phase == Phase::Closed {
            return Vec::new();
        }
        self.now = now;
        if self.is_lost(now) && !matches!(event, ConsumerEvent::Stop) {
            // Before anything is paid, or heard: this side may have slept, and news may be old.
            return self.end(ConsumerEnd::ExitLost, None);
        }
        if self.is_cut_off(now) && !matches!(event, ConsumerEvent::Stop) {
            return self.end(ConsumerEnd::ExitLost, Some(GoodbyeReason::Unserved));
        }
        match event {
            ConsumerEvent::Frame(frame) => {
                self.heard = now;
                (self.broken, self.redials) = (None, false);
                self.frame(frame, now)
            }
            ConsumerEvent::StreamLost => self.stream_lost(now),
            ConsumerEvent::StreamBack => self.stream_back(),
            ConsumerEvent::Funded { start } if self.phase == Phase::Funding => {
                self.start = Some(start.clone());
                let mut effects = vec![Do::Send(SessionFrame::Start(start))];
                self.enter(Phase::Starting, now, &mut effects);
                effects
            }
            ConsumerEvent::FundsMissing if self.phase == Phase::Funding => {
                self.end(ConsumerEnd::Unfunded, Some(GoodbyeReason::Asked))
            }
            ConsumerEvent::TunnelUp if self.phase == Phase::Connecting => {
                self.active_since = Some(now);
                (self.heard, self.unanswered) = (now, None);
                let mut effects = Vec::new();
                self.enter(Phase::Active, now, &mut effects);
                effects.extend(self.pay(now));
                effects
            }
            // Old news: the phase it was meant for is over.
            ConsumerEvent::Funded { .. }
            | ConsumerEvent::FundsMissing
            | ConsumerEvent::TunnelUp => Vec::new(),
            ConsumerEvent::LineLost => match self.phase {
                Phase::Connecting | Phase::Active | Phase::Stalled => {
                    self.end(ConsumerEnd::LineLost, Some(GoodbyeReason::Asked))
                }
                Phase::Negotiating | Phase::Funding | Phase::Starting | Phase::Closed => Vec::new(),
            },
            ConsumerEvent::Usage { up, down } => {
                self.used = (self.used.0.max(up), self.used.1.max(down));
                self.pay(now)
            }
            ConsumerEvent::Tunnel { unanswered } => {
                self.unanswered = unanswered.map(|it| before(now, it));
                Vec::new()
            }
            ConsumerEvent::Covers { words } => self.covers(words, now),
            ConsumerEvent::NotToppedUp => self.not_topped_up(now),
            ConsumerEvent::TopUpFailed => self.top_up_failed(now),
            ConsumerEvent::Short { words } => self.falls_short(words, now),
            ConsumerEvent::Unreleased => self.unreleased(now),
            ConsumerEvent::Route(news) => self.route_news(news, now),
            ConsumerEvent::Tick => self.tick(now),
            ConsumerEvent::Stop => self.stop(),
        }
    }

    fn frame(&mut self, frame: SessionFrame, now: UnixTime) -> Vec<Do> {
        match frame {
            SessionFrame::Grant(grant) => self.granted(*grant, now),
            SessionFrame::Refusal(refusal) => self.refused(refusal),
            SessionFrame::Ready(id) if id == self.wish.session && self.is_routed() => {
                self.routed_ready(now)
            }
            SessionFrame::LockReady(ready) if self.is_routed() => self.lock_ready(ready),
            SessionFrame::WordAck { lane, k } => self.word_heard(lane, k),
            SessionFrame::Ready(id) if id == self.wish.session && self.phase == Phase::Starting => {
                let Some(terms) = self.terms.clone() else {
                    return Vec::new();
                };
                let mut effects = vec![Do::Connect(Box::new(terms))];
                self.enter(Phase::Connecting, now, &mut effects);
                effects
            }
            SessionFrame::Meter(meter) => {
                self.theirs = meter;
                let mut effects = Vec::new();
                if self.phase == Phase::Stalled && !self.is_unanswered(now) {
                    self.enter(Phase::Active, now, &mut effects);
                }
                effects
            }
            SessionFrame::PayError {
                code: PayErrorCode::ExpiryTooSoon,
                ..
            } if self.is_routed() => self.lock_is_over(now),
            SessionFrame::PayError { code, .. } => self.pay_error(code),
            SessionFrame::Goodbye(Goodbye { session, reason }) if session == self.wish.session => {
                self.end(self.ended_by_exit(reason), None)
            }
            // A receipt comes back only after the end.
            SessionFrame::Ready(_) | SessionFrame::Goodbye(_) | SessionFrame::Receipt(_) => {
                Vec::new()
            }
            SessionFrame::VoucherAck(ack) => vec![Do::Reconcile(ack)],
            // Only a consumer sends these, or they have a stream or a routed session of their own.
            SessionFrame::Request(_)
            | SessionFrame::Start(_)
            | SessionFrame::ChannelAsk(_)
            | SessionFrame::ChannelAnswer(_)
            | SessionFrame::LockReady(_)
            | SessionFrame::TowerPut(_)
            | SessionFrame::TowerAnswer(_)
            | SessionFrame::RouteHello(_)
            | SessionFrame::RouteWelcome(_)
            | SessionFrame::Route(_)
            | SessionFrame::Voucher(_)
            | SessionFrame::Word(_) => {
                let reason = GoodbyeReason::Protocol;
                self.end(ConsumerEnd::Ended(reason), Some(reason))
            }
        }
    }

    fn granted(&mut self, grant: Grant, now: UnixTime) -> Vec<Do> {
        if let Some(terms) = &self.terms {
            // A resumed session goes on under the very same deal or not at all.
            if grant.terms.hash() == terms.hash() {
                return self.say_again();
            }
            let end = ConsumerEnd::BadGrant("the terms changed on resume");
            return self.end(end, Some(GoodbyeReason::Protocol));
        }
        if let Err(why) = check(&self.wish, &grant.terms, &grant.signature) {
            return self.end(ConsumerEnd::BadGrant(why), Some(GoodbyeReason::Protocol));
        }
        let mut effects = vec![Do::Fund(Box::new(grant.terms.clone()))];
        (self.terms, self.granted_by) = (Some(grant.terms), Some(grant.signature));
        self.enter(Phase::Funding, now, &mut effects);
        effects
    }

    /// A new stream: whatever the old one may have lost. The provider ignores what it knows.
    fn say_again(&self) -> Vec<Do> {
        match self.phase {
            Phase::Starting => {
                let start = self.start.clone().map(SessionFrame::Start);
                start.into_iter().map(Do::Send).collect()
            }
            Phase::Connecting | Phase::Active | Phase::Stalled => {
                self.name_again().into_iter().chain([Do::Resync]).collect()
            }
            Phase::Negotiating | Phase::Funding | Phase::Closed => Vec::new(),
        }
    }

    fn refused(&mut self, refusal: Refusal) -> Vec<Do> {
        if refusal.session == self.wish.session {
            self.end(ConsumerEnd::Refused(refusal), None)
        } else {
            Vec::new()
        }
    }

    /// Releases what the own meter says is due, and the prepaid words ahead of it.
    fn pay(&mut self, now: UnixTime) -> Vec<Do> {
        let (Some(terms), Phase::Active) = (&self.terms, self.phase) else {
            return Vec::new();
        };
        let served = self.served(now);
        let Ok(due) = due_units(terms, self.used.0.plus(self.used.1), served) else {
            return self.end(ConsumerEnd::CapReached, Some(GoodbyeReason::Cap));
        };
        if terms.price == Price::default() {
            return Vec::new();
        }
        let wanted = due.saturating_add(terms.prepay_units.into());
        let price = self.word_price().unwrap_or(terms.unit_price);
        let cap = self.wish.max_spend;
        let cap = cap.map(|it| it.saturating_sub(self.hold_fees()));
        let cap = cap.and_then(|cap| cap.wei().checked_div(price.wei()));
        if cap.is_some_and(|cap| u128::from(wanted) > cap) {
            return self.end(ConsumerEnd::CapReached, Some(GoodbyeReason::Cap));
        }
        if self.is_routed() {
            return self.pay_by_route(wanted, cap, now);
        }
        self.pay_by_channel(wanted, due)
    }

    fn tick(&mut self, now: UnixTime) -> Vec<Do> {
        let late = self.watch_locks(now);
        if !late.is_empty() {
            return late;
        }
        let waited = now.since(self.since);
        let limit = match self.phase {
            Phase::Negotiating => self.limits.negotiate,
            // It keeps a session no longer: no channel is opened for one that is forgotten.
            Phase::Funding if self.broken_for(now) >= self.limits.resume => Duration::ZERO,
            Phase::Funding => self.limits.fund,
            Phase::Starting => self.limits.start,
            Phase::Connecting => self.limits.connect,
            Phase::Active | Phase::Stalled => return self.watch(now),
            Phase::Closed => return Vec::new(),
        };
        if waited < limit {
            return Vec::new();
        }
        self.end(
            ConsumerEnd::TimedOut(self.phase),
            Some(GoodbyeReason::Unserved),
        )
    }

    fn enter(&mut self, phase: Phase, now: UnixTime, effects: &mut Vec<Do>) {
        self.phase = phase;
        self.since = now;
        effects.push(Do::Report(phase));
    }

    fn request(&self, resume: bool) -> SessionFrame {
        let offer = self.wish.offer.offer();
        SessionFrame::Request(SessionRequest {
            session: self.wish.session,
            offer: self.wish.offer.hash(),
            price: offer.price,
            tunnel_key: self.wish.tunnel_key,
            chain: offer.chain,
            resume,
        })
    }
}
