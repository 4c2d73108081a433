//! What a consumer's session can hear, ask for, and end with.
//!
//! Sans-IO.

use std::time::Duration;

use warren_proto::{
    Amount, ByteCount, GoodbyeReason, LockReady, NodeId, PayErrorCode, PaymentId, Refusal,
    SessionFrame, SessionId, SessionStart, SessionTerms, SignedOffer, TunnelPublicKey, VoucherAck,
    WordFrame,
};

use super::lanes::LockMade;
use crate::receipt::Counters;

/// What the consumer wants and brings.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Fresh and random.
    pub session: SessionId,
    /// This node.
    pub consumer: NodeId,
    /// The offer chosen.
    pub offer: SignedOffer,
    /// This session's tunnel key.
    pub tunnel_key: TunnelPublicKey,
    /// The most a channel may be opened with.
    pub deposit: Amount,
    /// The most the user still allows; `None` where nobody set a bound, as in the lab.
    pub max_spend: Option<Amount>,
}

/// Where the session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsumerPhase {
    /// Waiting for Grant or Refusal.
    Negotiating,
    /// Waiting for a channel that can pay.
    Funding,
    /// Waiting for Ready.
    Starting,
    /// Waiting for the first handshake.
    Connecting,
    /// Traffic flows and is paid.
    Active,
    /// Nothing heard from the exit for a while, beside the tunnel or through it; traffic is blocked, not leaked.
    Stalled,
    /// Over.
    Closed,
}

/// How the session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsumerEnd {
    /// The user asked.
    Asked,
    /// The provider refused.
    Refused(Refusal),
    /// The provider ended it.
    Ended(GoodbyeReason),
    /// No channel could be funded, or none topped up in time.
    Unfunded,
    /// The payee does not take the payment.
    PaymentRefused(PayErrorCode),
    /// The granted terms are not what was offered.
    BadGrant(&'static str),
    /// No answer or no handshake in time.
    TimedOut(ConsumerPhase),
    /// The exit vanished while it served.
    ExitLost,
    /// The spending cap is reached.
    CapReached,
    /// This side's own tunnel is gone and cannot be had again.
    LineLost,
    /// The channel's deposit is spent, and the user allows no more.
    ChannelUsedUp,
}

impl ConsumerEnd {
    /// Whether trying the next exit makes sense.
    #[must_use]
    pub const fn try_next(&self) -> bool {
        match self {
            Self::Asked | Self::CapReached | Self::LineLost | Self::ChannelUsedUp => false,
            // The next one may be paid by a channel that is there, or the same one in a while.
            Self::Unfunded
            | Self::Refused(_)
            | Self::Ended(_)
            | Self::PaymentRefused(_)
            | Self::BadGrant(_)
            | Self::TimedOut(_)
            | Self::ExitLost => true,
        }
    }

    /// Whether the exit is who failed: then others are tried before it, the next time too. Whoever waits for the
    /// chain in vain finds its channel open later, and should not open one to somebody else then.
    #[must_use]
    pub const fn is_of_exit(&self) -> bool {
        self.try_next()
            && !matches!(
                self,
                Self::Unfunded | Self::TimedOut(ConsumerPhase::Funding)
            )
    }
}

/// What a consumer's session can hear.
#[derive(Debug, Clone)]
pub enum ConsumerEvent {
    /// A frame of the provider.
    Frame(SessionFrame),
    /// The stream broke.
    StreamLost,
    /// A new stream to the same provider stands.
    StreamBack,
    /// A channel can pay; the signature is this node's over the terms.
    Funded {
        /// Ready to send.
        start: Box<SessionStart>,
    },
    /// No channel can be had.
    FundsMissing,
    /// Of a session paid by a route; the first, instead of [`Self::Funded`].
    Route(RouteNews),
    /// The tunnel's handshake is done.
    TunnelUp,
    /// The tunnel cannot be had, or not again.
    LineLost,
    /// Inner bytes so far, by the own meter.
    Usage {
        /// Consumer → exit.
        up: ByteCount,
        /// Exit → consumer.
        down: ByteCount,
    },
    /// How the tunnel is answered.
    Tunnel {
        /// For how long data was sent and nothing came back. `None` if nothing waits for an answer.
        unanswered: Option<Duration>,
    },
    /// The session's channel pays for so many words, from the session's begin.
    Covers {
        /// Words in all.
        words: u64,
    },
    /// No top-up can be had within what the user allows.
    NotToppedUp,
    /// A top-up failed; the next one may not.
    TopUpFailed,
    /// What was asked for last could not be released, for no reason of the channel's.
    Unreleased,
    /// The deposit did not cover what was to be released.
    Short {
        /// Words that were not.
        words: u64,
    },
    /// Time passes.
    Tick,
    /// The user wants to stop.
    Stop,
}

/// What a session that is paid by a route hears of its locks.
#[derive(Debug, Clone)]
pub enum RouteNews {
    /// A lock is on disk, and the start that names it signed.
    Made {
        /// Ready to send.
        start: Box<SessionStart>,
        /// The lock.
        lock: LockMade,
    },
    /// The exit holds the lock, and it is the one that was offered: words may be said.
    Usable(LockReady),
    /// The best word that was said of a lock: for the receipt.
    Said {
        /// Which payment.
        payment: PaymentId,
        /// The word.
        word: WordFrame,
    },
    /// The words that were to be said last of a lock could not be.
    Unsaid {
        /// Which payment.
        payment: PaymentId,
        /// No word of it ever can: it is rejected, or over.
        dead: bool,
    },
    /// The exit does not hold a lock of a session before any more; or a router took none that another may take.
    Gone(PaymentId),
    /// A lock comes to nothing.
    Failed {
        /// Which; `None` if it was not even made.
        payment: Option<PaymentId>,
        /// Why.
        code: PayErrorCode,
    },
}

/// What a session that is paid by a route asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteOrder {
    /// Make another lock to the same exit, then say Made, or Failed.
    Next,
    /// The exit expects it: offer it to the router; should it be rejected, say Failed.
    Offer(PaymentId),
    /// Check that this is what was offered, then say Usable, or Failed.
    Confirm(LockReady),
    /// Say so many words of this lock, cumulative, to the exit; then Said, or Unsaid.
    Release {
        /// The lock.
        ready: LockReady,
        /// Over the whole lock.
        units: u32,
    },
    /// The exit knows so many words of a lock.
    Heard {
        /// Which payment.
        payment: PaymentId,
        /// Its number on this stream.
        lane: u32,
        /// Over the whole lock.
        k: u32,
    },
    /// Nobody wants this lock any more: say no word of it.
    Drop(PaymentId),
    /// Nobody answered for this lock in time: say no word of it; then Gone if another router may be tried, or Failed.
    Late(PaymentId),
}

/// What a consumer's session asks for, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum ConsumerEffect {
    /// Send to the provider.
    Send(SessionFrame),
    /// Find or open a channel for these terms, then say Funded or FundsMissing.
    Fund(Box<SessionTerms>),
    /// Raise the tunnel.
    Connect(Box<SessionTerms>),
    /// Have released so many words in this session, cumulative.
    Release {
        /// Words since the session's first voucher.
        units: u64,
    },
    /// Little is left in the channel: deposit more, within what the user allows, then say Covers, NotToppedUp or
    /// TopUpFailed.
    TopUp,
    /// Send the newest voucher and words again: the stream is new.
    Resync,
    /// Compare this with the own books, and send what is missing on the other side.
    Reconcile(VoucherAck),
    /// Open a new stream to the provider.
    Reopen,
    /// Write the receipt of what was paid, sign it, keep it, send it; before the words are folded.
    Attest(Box<Counters>),
    /// Fold what is paid into a last voucher and send it.
    Finish,
    /// About the locks of a session that is paid by a route.
    Route(RouteOrder),
    /// Take the tunnel down. The kill switch is not the session's to lift.
    Disconnect,
    /// Tell the user where it stands.
    Report(ConsumerPhase),
    /// It is over.
    Ended(ConsumerEnd),
}
