//! The provider's side of one session.
//!
//! Sans-IO. [`ProviderSession::handle`] decides; the provider loop verifies money, adds the guest
//! to the tunnel and sets its allowance.
//!
//! The allowance is a number of inner bytes, cumulative: what is paid plus the credit. The tunnel stops the guest at that very byte, so the bound does not depend on how often this
//! machine runs.

use std::time::Duration;

use warren_proto::{
    Amount, ByteCount, ChannelId, Credit, Goodbye, GoodbyeReason, Grant, Meter, PayErrorCode,
    SessionFrame, SessionStart, SessionTerms, Signature, UnixTime,
};

mod ending;
mod event;
mod gate;
mod locks;
pub use event::{LockNews, LockOrder, ProviderEffect, ProviderEnd, ProviderEvent, ProviderPhase};

use self::locks::Locks;
use super::SessionLimits;

use ProviderEffect as Do;
use ProviderPhase as Phase;

/// One deal, seen by the provider.
#[derive(Debug, Clone)]
pub struct ProviderSession {
    terms: SessionTerms,
    signature: Signature,
    credit: Credit,
    /// Units left unpaid in earlier sessions: so much less may be owed in this one.
    owed: u64,
    limits: SessionLimits,
    phase: Phase,
    begun: UnixTime,
    /// When the event in hand happened.
    now: UnixTime,
    since: UnixTime,
    served_from: Option<UnixTime>,
    stream_lost: Option<UnixTime>,
    channel: Option<ChannelId>,
    value_before: Option<Amount>,
    paid: Amount,
    used: (ByteCount, ByteCount),
    allowed: ByteCount,
    last_meter: Option<UnixTime>,
    /// What the consumer last said it counted. `None` if it never did.
    theirs: Option<Meter>,
    /// The consumer's receipt came.
    receipted: bool,
    /// `None` unless it is paid by a route.
    locks: Option<Locks>,
    folded_at: Option<UnixTime>,
}

impl ProviderSession {
    /// Starts a session by granting it.
    #[must_use]
    pub fn new(
        terms: SessionTerms,
        signature: Signature,
        credit: Credit,
        limits: SessionLimits,
        now: UnixTime,
    ) -> (Self, Vec<Do>) {
        let it = Self {
            terms,
            signature,
            credit,
            owed: 0,
            limits,
            phase: Phase::Granted,
            begun: now,
            now,
            since: now,
            served_from: None,
            stream_lost: None,
            channel: None,
            value_before: None,
            paid: Amount::ZERO,
            used: Default::default(),
            allowed: ByteCount::default(),
            last_meter: None,
            theirs: None,
            receipted: false,
            locks: None,
            folded_at: None,
        };
        let effects = vec![Do::Send(it.grant())];
        (it, effects)
    }

    /// Where it stands.
    #[must_use]
    pub const fn phase(&self) -> ProviderPhase {
        self.phase
    }

    /// The deal.
    #[must_use]
    pub const fn terms(&self) -> &SessionTerms {
        &self.terms
    }

    /// Paid in this session.
    #[must_use]
    pub const fn paid(&self) -> Amount {
        self.paid
    }

    /// Inner bytes up and down by the own meter.
    #[must_use]
    pub const fn used(&self) -> (ByteCount, ByteCount) {
        self.used
    }

    /// Says what `event` makes of the session. Total: late and repeated events change nothing.
    pub fn handle(&mut self, event: ProviderEvent, now: UnixTime) -> Vec<Do> {
        if self.phase == Phase::Closed {
            return Vec::new();
        }
        self.now = now;
        match event {
            ProviderEvent::Frame(frame) => self.frame(frame),
            ProviderEvent::StreamLost => {
                self.stream_lost = Some(now);
                Vec::new()
            }
            ProviderEvent::Resumed => {
                self.stream_lost = None;
                let mut effects = vec![Do::Send(self.grant())];
                effects.extend(self.is_ready().then(|| self.ready_frame()));
                effects.extend(self.held_again());
                effects
            }
            ProviderEvent::PaymentTaken { value, usable } => self.payment_taken(value, usable, now),
            ProviderEvent::ChannelUsable => match self.phase {
                Phase::AwaitingFunds if self.value_before.is_some() => self.ready(now),
                Phase::AwaitingFunds
                | Phase::Granted
                | Phase::AwaitingWord
                | Phase::Serving
                | Phase::Paused
                | Phase::Closed => Vec::new(),
            },
            ProviderEvent::Paid { value } => self.paid_up_to(value, now),
            ProviderEvent::PaymentRefused(code) => self.payment_refused(code),
            ProviderEvent::Lock(news) => self.lock_news(news, now),
            ProviderEvent::Usage { up, down } => {
                self.used = (self.used.0.max(up), self.used.1.max(down));
                self.gate(now)
            }
            ProviderEvent::Tick => self.tick(now),
            ProviderEvent::Stop(reason) => self.end(ProviderEnd::Goodbye(reason), Some(reason)),
        }
    }

    fn frame(&mut self, frame: SessionFrame) -> Vec<Do> {
        match frame {
            SessionFrame::Start(start) => self.started(start),
            SessionFrame::Word(word) if self.is_routed() => self.routed_word(word),
            // One of another channel, whoever's it is, pays for nothing here.
            SessionFrame::Voucher(voucher)
                if self.value_before.is_some()
                    && !self.is_routed()
                    && self.channel == Some(voucher.channel) =>
            {
                vec![Do::TakeVoucher(voucher)]
            }
            SessionFrame::Word(word) if self.value_before.is_some() => vec![Do::TakeWord(word)],
            SessionFrame::Goodbye(Goodbye { session, reason }) if session == self.terms.session => {
                self.end(ProviderEnd::Goodbye(reason), None)
            }
            // The consumer's own view is for people; this side pays and gates by its own.
            SessionFrame::Meter(meter) => {
                self.theirs = Some(meter);
                Vec::new()
            }
            SessionFrame::Receipt(receipt) => self.receipt(receipt),
            SessionFrame::Goodbye(_) => Vec::new(),
            SessionFrame::Voucher(_)
            | SessionFrame::Word(_)
            | SessionFrame::Request(_)
            | SessionFrame::Grant(_)
            | SessionFrame::Refusal(_)
            | SessionFrame::Ready(_)
            | SessionFrame::VoucherAck(_)
            | SessionFrame::WordAck { .. }
            | SessionFrame::ChannelAsk(_)
            | SessionFrame::ChannelAnswer(_)
            | SessionFrame::LockReady(_)
            | SessionFrame::TowerPut(_)
            | SessionFrame::TowerAnswer(_)
            | SessionFrame::RouteHello(_)
            | SessionFrame::RouteWelcome(_)
            | SessionFrame::Route(_)
            | SessionFrame::PayError { .. } => {
                self.end(ProviderEnd::Protocol, Some(GoodbyeReason::Protocol))
            }
        }
    }

    fn started(&mut self, start: Box<SessionStart>) -> Vec<Do> {
        if let Some(payment) = start.routed {
            return self.named(payment, &start);
        }
        if self.phase != Phase::Granted {
            return Vec::new();
        }
        let signed = self.terms.signed_by(&self.terms.consumer, &start.signature);
        let right_payee = match &start.payment {
            Some(payment) => {
                payment.channel.payee == self.terms.payee
                    && payment.channel.period_secs >= self.terms.close_window_secs
                    && payment.voucher.channel == payment.channel.id(&self.terms.chain)
            }
            None => self.is_free(),
        };
        if start.session != self.terms.session || !signed || !right_payee {
            return self.end(ProviderEnd::Protocol, Some(GoodbyeReason::Protocol));
        }
        self.phase = Phase::AwaitingFunds;
        self.channel = start.payment.as_ref().map(|it| it.voucher.channel);
        vec![Do::TakePayment(start)]
    }

    fn payment_taken(&mut self, value: Amount, usable: bool, now: UnixTime) -> Vec<Do> {
        if self.phase != Phase::AwaitingFunds || self.value_before.is_some() {
            return Vec::new();
        }
        self.value_before = Some(value);
        self.since = now;
        if usable { self.ready(now) } else { Vec::new() }
    }

    /// The deposit stands: the guest may shake hands; the first word opens the gate.
    fn ready(&mut self, now: UnixTime) -> Vec<Do> {
        self.phase = Phase::AwaitingWord;
        self.since = now;
        let mut effects = vec![
            Do::AddGuest(Box::new(self.terms.clone())),
            self.ready_frame(),
        ];
        if self.is_free() {
            effects.extend(self.gate(now));
        }
        effects
    }

    fn paid_up_to(&mut self, value: Amount, now: UnixTime) -> Vec<Do> {
        let Some(before) = self.value_before else {
            return Vec::new();
        };
        // Totals are cumulative and never fall; a late event changes nothing.
        self.paid = self.paid.max(value.saturating_sub(before));
        self.gate(now)
    }

    fn payment_refused(&mut self, code: PayErrorCode) -> Vec<Do> {
        if self.value_before.is_none() && self.phase == Phase::AwaitingFunds {
            let mut effects = self.pay_error(code);
            effects.extend(self.end(ProviderEnd::BadPayment(code), None));
            return effects;
        }
        // What is held stays good; the credit limit guards against the rest.
        self.pay_error(code)
    }

    /// Only a session with a channel can have payments that are refused.
    fn pay_error(&self, code: PayErrorCode) -> Vec<Do> {
        let error = self.channel.map(|channel| SessionFrame::PayError {
            channel,
            code,
            detail: code.to_string(),
        });
        error.into_iter().map(Do::Send).collect()
    }

    fn tick(&mut self, now: UnixTime) -> Vec<Do> {
        if let Some(lost) = self.stream_lost
            && now.since(lost) >= self.limits.resume
        {
            return self.end(ProviderEnd::Vanished, None);
        }
        let waited = now.since(self.since);
        match self.phase {
            Phase::Granted if waited >= self.limits.grant => {
                self.end(ProviderEnd::NotStarted, Some(GoodbyeReason::Unpaid))
            }
            Phase::AwaitingFunds if waited >= self.limits.grant => {
                self.end(ProviderEnd::NotFunded, Some(GoodbyeReason::Unpaid))
            }
            Phase::AwaitingWord | Phase::Paused if waited >= self.first_word_limit() => {
                self.end(ProviderEnd::Unpaid, Some(GoodbyeReason::Unpaid))
            }
            Phase::Granted | Phase::AwaitingFunds | Phase::Closed => Vec::new(),
            Phase::AwaitingWord | Phase::Serving | Phase::Paused => {
                let mut effects = self.gate(now);
                let meter = self.meter(now);
                if meter.is_some() {
                    effects.extend(self.tell_of_locks(now));
                }
                effects.extend(meter);
                effects
            }
        }
    }

    /// Says once a second what this side has counted; also the consumer's sign of life.
    fn meter(&mut self, now: UnixTime) -> Option<Do> {
        let due_now = self
            .last_meter
            .is_none_or(|last| now.since(last) >= self.limits.meter);
        if !due_now {
            return None;
        }
        self.last_meter = Some(now);
        Some(Do::Send(SessionFrame::Meter(self.counted(now))))
    }

    /// Words paid in this session, rounded down.
    #[must_use]
    pub fn paid_units(&self) -> u64 {
        let units = self
            .paid
            .wei()
            .checked_div(self.terms.unit_price.wei())
            .unwrap_or(0);
        u64::try_from(units).unwrap_or(u64::MAX)
    }

    /// Time since the gate first opened.
    #[must_use]
    pub fn served(&self, now: UnixTime) -> Duration {
        self.served_from
            .map_or(Duration::ZERO, |start| now.since(start))
    }

    fn total_used(&self) -> ByteCount {
        self.used.0.plus(self.used.1)
    }

    const fn is_ready(&self) -> bool {
        matches!(
            self.phase,
            Phase::AwaitingWord | Phase::Serving | Phase::Paused
        )
    }

    const fn ready_frame(&self) -> Do {
        Do::Send(SessionFrame::Ready(self.terms.session))
    }

    fn is_free(&self) -> bool {
        self.terms.price == warren_proto::Price::default()
    }

    fn grant(&self) -> SessionFrame {
        let grant = Grant {
            terms: self.terms.clone(),
            signature: self.signature,
        };
        SessionFrame::Grant(Box::new(grant))
    }
}
