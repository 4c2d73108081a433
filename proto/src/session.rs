//! What travels on a session stream. One frame, one fact; totals are cumulative.

use serde::{Deserialize, Serialize};

use crate::id::{ChannelId, OfferHash, PaymentId, SessionId};
use crate::key::{Signature, TunnelPublicKey};
use crate::payment::{
    ChainRef, ChannelAnswer, ChannelAsk, ChannelParams, PayErrorCode, Voucher, VoucherAck,
    WordFrame, codes,
};
use crate::receipt::Receipt;
use crate::route::{LockReady, RouteFrame, RouteHello, RouteWelcome};
use crate::terms::SessionTerms;
use crate::tower::{TowerAnswer, TowerPut};
use crate::unit::Price;
use crate::wire::{WireError, decode_frame, encode_frame};

/// The longest frame, without its 4-byte length.
pub const MAX_FRAME_BYTES: usize = 16 * 1024;

/// The consumer asks for a session, or to go on with one whose stream broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRequest {
    /// Chosen by the consumer; the same on resume.
    pub session: SessionId,
    /// The offer relied on.
    pub offer: OfferHash,
    /// The price the consumer accepts.
    pub price: Price,
    /// The consumer's tunnel key, fresh per session.
    pub tunnel_key: TunnelPublicKey,
    /// Where the consumer can pay.
    pub chain: ChainRef,
    /// Whether a session of this id should go on.
    pub resume: bool,
}

/// The provider grants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The deal.
    pub terms: SessionTerms,
    /// The provider's signature over the terms' hash.
    pub signature: Signature,
}

/// The provider says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The session asked for.
    pub session: SessionId,
    /// Why.
    pub reason: RefusalReason,
    /// For people; at most 200 bytes, without control characters.
    pub detail: String,
}

/// The consumer binds a channel to the granted session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionStart {
    /// The session.
    pub session: SessionId,
    /// The consumer's signature over the terms' hash.
    pub signature: Signature,
    /// How it pays; `None` in a free session, and in one paid by a route.
    pub payment: Option<StartPayment>,
    /// The payment whose lock the exit is to take, or holds; `None` unless it is paid by a route.
    pub routed: Option<PaymentId>,
}

/// The money part of a [`SessionStart`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartPayment {
    /// The channel's parties.
    pub channel: ChannelParams,
    /// The payer's SessionAuth (EIP-712): this channel, this payee, this nonce.
    pub auth: [u8; 64],
    /// The first voucher of the session.
    pub voucher: Voucher,
}

/// One side's view of the session so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Meter {
    /// Inner bytes consumer → exit.
    pub up: u64,
    /// Inner bytes exit → consumer.
    pub down: u64,
    /// Time served.
    pub millis: u64,
    /// Words due for them.
    pub due_units: u64,
}

/// Either side ends the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goodbye {
    /// The session.
    pub session: SessionId,
    /// Why.
    pub reason: GoodbyeReason,
}

codes!(
    /// Why a provider does not grant a session.
    RefusalReason {
        /// No free place.
        Full = 1 => "the exit has no free place",
        /// The offer relied on is not the current one and the price rose.
        PriceChanged = 2 => "the price has changed",
        /// The exit policy changed or does not allow it.
        Policy = 3 => "the exit policy does not allow it",
        /// The channel cannot pay for it.
        Funds = 4 => "the channel cannot pay for it",
        /// This consumer is not served.
        Banned = 5 => "this consumer is not served here",
        /// The exit is shutting down.
        Draining = 6 => "the exit is shutting down",
        /// The consumer pays on another chain or contract.
        Chain = 7 => "the exit is paid on another chain",
        /// No such session to resume.
        UnknownSession = 8 => "there is no such session to resume",
        /// The request breaks the protocol.
        Malformed = 9 => "the request breaks the protocol",
        /// A fault on the provider's side.
        Internal = 10 => "the exit cannot serve now",
    }
);

codes!(
    /// Why a session ends.
    GoodbyeReason {
        /// The user asked for it.
        Asked = 1 => "ended on request",
        /// Too much stayed unpaid for too long.
        Unpaid = 2 => "ended because it was not paid",
        /// The other side stopped serving.
        Unserved = 3 => "ended because nothing was served",
        /// The channel is closing.
        ChannelClosing = 4 => "ended because its channel closes",
        /// The node shuts down.
        Shutdown = 5 => "ended because the node shuts down",
        /// A broken rule of the protocol.
        Protocol = 6 => "ended because the protocol was broken",
        /// A spending cap was reached.
        Cap = 7 => "ended because a spending cap was reached",
        /// The exit does not know well enough how the chain stands.
        ChainUnsure = 8 => "ended because the exit could not see the chain",
    }
);

/// Everything that travels on a session stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionFrame {
    /// Consumer → provider.
    Request(SessionRequest),
    /// Provider → consumer. Boxed: the terms are large.
    Grant(Box<Grant>),
    /// Provider → consumer.
    Refusal(Refusal),
    /// Consumer → provider.
    Start(Box<SessionStart>),
    /// Provider → consumer: the first word opens the gate.
    Ready(SessionId),
    /// Consumer → provider: a better voucher.
    Voucher(Voucher),
    /// Provider → consumer: it is on disk.
    VoucherAck(VoucherAck),
    /// Consumer → provider: units are paid.
    Word(WordFrame),
    /// Provider → consumer: lane and `k` known.
    WordAck {
        /// Index of the lock.
        lane: u32,
        /// Units known on it.
        k: u32,
    },
    /// Either side's view.
    Meter(Meter),
    /// Provider → consumer.
    PayError {
        /// The channel.
        channel: ChannelId,
        /// Why.
        code: PayErrorCode,
        /// For people; at most 200 bytes.
        detail: String,
    },
    /// Either side.
    Goodbye(Goodbye),
    /// What the session came to: signed by the consumer on its way there, by both on its way back.
    Receipt(Box<Receipt>),
    /// Payer → payee's node, first on a stream of its own.
    ChannelAsk(Box<ChannelAsk>),
    /// Payee → payer; the stream's last frame.
    ChannelAnswer(Box<ChannelAnswer>),
    /// Provider → consumer, in a routed session: from now on words of this lock count.
    LockReady(LockReady),
    /// Payee → tower, first on a stream of its own.
    TowerPut(Box<TowerPut>),
    /// Tower → payee.
    TowerAnswer(TowerAnswer),
    /// Payer → payee's node, first on a stream of its own.
    RouteHello(Box<RouteHello>),
    /// Payee → payer. Boxed: a hint is large.
    RouteWelcome(Box<RouteWelcome>),
    /// Either way, between neighbours of a route.
    Route(Box<RouteFrame>),
}

impl SessionFrame {
    /// The bytes on the wire, without the length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode_frame(self)
    }

    /// Reads one frame.
    ///
    /// # Errors
    /// [`WireError`] if it is too long, malformed, or a field has the wrong length or range.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        decode_frame(bytes)
    }

    /// The frame's name, for logs and transcripts; says nothing secret.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Request(_) => "Request",
            Self::Grant(_) => "Grant",
            Self::Refusal(_) => "Refusal",
            Self::Start(_) => "Start",
            Self::Ready(_) => "Ready",
            Self::Voucher(_) => "Voucher",
            Self::VoucherAck(_) => "VoucherAck",
            Self::Word(_) => "Word",
            Self::WordAck { .. } => "WordAck",
            Self::Meter(_) => "Meter",
            Self::PayError { .. } => "PayError",
            Self::Goodbye(_) => "Goodbye",
            Self::Receipt(_) => "Receipt",
            Self::ChannelAsk(_) => "ChannelAsk",
            Self::ChannelAnswer(_) => "ChannelAnswer",
            Self::LockReady(_) => "LockReady",
            Self::TowerPut(_) => "TowerPut",
            Self::TowerAnswer(_) => "TowerAnswer",
            Self::RouteHello(_) => "RouteHello",
            Self::RouteWelcome(_) => "RouteWelcome",
            Self::Route(_) => "Route",
        }
    }
}
