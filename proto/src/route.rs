//! What neighbours of a route say to each other, and what a router says of itself.
//!
//! A consumer that has one channel, to a router, pays an exit it has no channel with: both hops are
//! locked on the same anchor, so the same words pay both. Words go from the consumer to the exit; the
//! router learns them when the exit folds, or from the chain. Rules: docs/payments.md.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::id::{ChannelId, NodeId, PaymentId, PayoutAddress};
use crate::key::{Domain, NodeKey, Signature};
use crate::lock::{HashLock, Preimage};
use crate::offer::MAX_CLOCK_AHEAD;
use crate::payment::{ChainRef, ChannelParams, Lock, PayErrorCode, Voucher, VoucherAck};
use crate::unit::{Amount, UnixTime};
use crate::wire::{
    WireError, decode_route_frame, encode_route_frame, hint_bytes, read_signed_hint,
    signed_hint_bytes,
};

/// Hops beyond the first channel: one router by default, two at most.
pub const MAX_HOPS: usize = 2;
/// A hop that only the next node reads: a key, the hop, a tag.
pub const SEALED_HOP_BYTES: usize = 32 + 52 + 16;
/// The longest signed hint on a wire.
pub const MAX_HINT_BYTES: usize = 512;
/// The longest life of a hint.
pub const MAX_HINT_LIFE: Duration = Duration::from_secs(3600);
/// A channel holds less than 2^96 wei.
pub(crate) const MAX_CAPACITY_LOG2: u32 = 96;
/// All of it.
pub(crate) const MAX_FEE_PPM: u32 = 1_000_000;
/// Twice what this program asks for: a lock that outlives the next one by more would bind money for nothing.
pub(crate) const MAX_HOP_GAP_SECS: u32 = 7200;

/// A voucher with a new lock, to be locked onward under the same anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockOffer {
    /// The same on all hops.
    pub payment: PaymentId,
    /// Unverified.
    pub voucher: Voucher,
    /// The new one of the voucher's locks.
    pub lock: Lock,
    /// The next hops, nearest first, at most [`MAX_HOPS`]; none at the exit.
    pub onward: Vec<Hop>,
    /// What the base grew by for holding the lock.
    pub hold_fee: Amount,
    /// The hop beyond the next one, for the next one's eyes alone. `None` if there is none, or it stands in `onward`.
    pub sealed: Option<[u8; SEALED_HOP_BYTES]>,
}

/// Where and how a router is to lock onward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// The next neighbour.
    pub node: NodeId,
    /// Worth of one word there.
    pub unit_price: Amount,
    /// Chain seconds from which the lock there pays nothing.
    pub expiry: u64,
}

/// The exit holds the lock, on disk: the consumer may say words of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockReady {
    /// Which payment.
    pub payment: PaymentId,
    /// The lock's.
    pub anchor: HashLock,
    /// The channel of the last hop.
    pub channel: ChannelId,
    /// Its voucher.
    pub seq: u64,
    /// What [`WordFrame::lane`](crate::WordFrame) says for this lock on this session stream.
    pub lane: u32,
}

/// A lock is not taken, or given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockReject {
    /// Which payment.
    pub payment: PaymentId,
    /// Why.
    pub code: PayErrorCode,
    /// Whether the lock stays in the vouchers until it expires, for a neighbour further on may hold it.
    pub held: bool,
    /// The most it would take now; zero if it does not say.
    pub max_amount: Amount,
    /// The earliest expiry it would take, chain seconds; 0 if it does not say.
    pub min_expiry: u64,
}

impl LockReject {
    /// A rejection that does not say what would be taken instead.
    #[must_use]
    pub const fn of(payment: PaymentId, code: PayErrorCode, held: bool) -> Self {
        Self {
            payment,
            code,
            held,
            max_amount: Amount::ZERO,
            min_expiry: 0,
        }
    }
}

/// The payee of a lock shows its best word and asks for it to be folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fulfill {
    /// Which payment.
    pub payment: PaymentId,
    /// The lock's first anchor, whatever was folded before.
    pub anchor: HashLock,
    /// Hashes from `word` to `anchor`.
    pub k: u32,
    /// The word.
    pub word: Preimage,
    /// Whether no more words are expected.
    pub last: bool,
}

/// Begins a stream between two neighbours of a route, or asks a node for its terms as a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RouteHello {
    /// The channel that the stream is about; `None` to ask for terms only.
    pub channel: Option<HelloChannel>,
}

/// The channel of a [`RouteHello`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HelloChannel {
    /// Its parties.
    pub params: ChannelParams,
    /// No longer valid after.
    pub not_after: UnixTime,
    /// The payer's SessionAuth with [`hello_nonce`] (EIP-712).
    pub auth: [u8; 64],
}

/// The nonce of every [`RouteHello`]: fixed, so that no round trip is needed for it.
#[must_use]
pub fn hello_nonce() -> [u8; 32] {
    Sha256::digest(b"warren/route/hello/1").into()
}

/// The answer to a [`RouteHello`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteWelcome {
    /// The node's signed terms, unverified: [`SignedRouterHint::decode`]. `None` if it does not route.
    pub hint: Option<Vec<u8>>,
}

/// Everything that travels between two neighbours of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteFrame {
    /// Payer → payee. Boxed: a voucher is large.
    Offer(Box<LockOffer>),
    /// Payee → payer.
    Ready(LockReady),
    /// Payee → payer.
    Reject(LockReject),
    /// Payee → payer.
    Fulfill(Fulfill),
    /// Payer → payee: folded.
    Voucher(Voucher),
    /// Payee → payer: it is on disk.
    VoucherAck(VoucherAck),
    /// Either: not taken.
    PayError {
        /// The channel.
        channel: ChannelId,
        /// Why.
        code: PayErrorCode,
        /// For people; at most 200 bytes.
        detail: String,
    },
}

impl RouteFrame {
    /// The bytes on the wire, without the length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode_route_frame(self)
    }

    /// Reads one frame.
    ///
    /// # Errors
    /// [`WireError`] if it is too long, malformed, or a field has the wrong length or range.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        decode_route_frame(bytes)
    }

    /// The frame's name, for logs and transcripts; says nothing secret.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Offer(_) => "LockOffer",
            Self::Ready(_) => "LockReady",
            Self::Reject(_) => "LockReject",
            Self::Fulfill(_) => "Fulfill",
            Self::Voucher(_) => "Voucher",
            Self::VoucherAck(_) => "VoucherAck",
            Self::PayError { .. } => "PayError",
        }
    }
}

/// A router's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouterHint {
    /// The router.
    pub node: NodeId,
    /// Newest wins.
    pub seq: u64,
    /// When it was signed.
    pub issued: UnixTime,
    /// When it dies; at most [`MAX_HINT_LIFE`] after `issued`.
    pub valid_until: UnixTime,
    /// Where it is paid.
    pub chain: ChainRef,
    /// Whom to open a channel to.
    pub payee: PayoutAddress,
    /// It can lock about 2^n wei onward; exact sums are private.
    pub capacity_log2: u32,
    /// Its part of each unit, in millionths.
    pub fee_ppm: u32,
    /// For each lock, whether or not words come.
    pub hold_fee: Amount,
    /// Its upstream lock must outlive the downstream one by this; at most 7200.
    pub hop_gap_secs: u32,
    /// Close window asked of the channel to it.
    pub close_window_secs: u32,
}

/// Why a hint does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HintError {
    /// Not a hint at all, or a field out of bounds.
    #[error("malformed router hint: {0}")]
    Malformed(#[from] WireError),
    /// The signature is not the node's.
    #[error("hint of {} carries a signature that is not its own", node.short())]
    Forged {
        /// Who it claims to be from.
        node: NodeId,
    },
    /// Over, signed in the future, or living longer than [`MAX_HINT_LIFE`].
    #[error("hint of {} is not of this time", node.short())]
    Untimely {
        /// The router.
        node: NodeId,
    },
}

/// A hint whose signature, size and dates have been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRouterHint {
    hint: RouterHint,
    bytes: Vec<u8>,
}

impl RouterHint {
    /// Signs the hint.
    ///
    /// # Errors
    /// [`HintError`] if `key` is not the hint's node, or it breaks a limit that every receiver checks.
    pub fn sign(self, key: &NodeKey) -> Result<SignedRouterHint, HintError> {
        let body = hint_bytes(&self);
        let signature = key.sign(Domain::RouterHint, &body);
        SignedRouterHint::decode(&signed_hint_bytes(&body, &signature), self.issued)
    }
}

impl SignedRouterHint {
    /// Reads and checks a signed hint.
    ///
    /// # Errors
    /// [`HintError`] says what is wrong with it.
    pub fn decode(bytes: &[u8], now: UnixTime) -> Result<Self, HintError> {
        let (body, signature, hint) = read_signed_hint(bytes)?;
        let node = hint.node;
        if !node.verify(Domain::RouterHint, &body, &Signature::from_bytes(signature)) {
            return Err(HintError::Forged { node });
        }
        let lives_long = hint.valid_until.since(hint.issued) > MAX_HINT_LIFE;
        let is_early = hint.issued.since(now) > MAX_CLOCK_AHEAD;
        if lives_long || is_early || hint.valid_until <= now {
            return Err(HintError::Untimely { node });
        }
        Ok(Self {
            hint,
            bytes: bytes.to_vec(),
        })
    }

    /// What it says.
    #[must_use]
    pub const fn hint(&self) -> &RouterHint {
        &self.hint
    }

    /// The bytes as received or signed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}
