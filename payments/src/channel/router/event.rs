//! What can happen to a routed payment, how far it is, and what its core asks for.
//!
//! Sans-IO.

use warren_proto::{
    Fulfill, Hop, Lock, LockReject, PayErrorCode, Preimage, SEALED_HOP_BYTES, UnixTime,
};

use crate::channel::routed::Proof;

/// How far a routed payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The upstream lock is on disk; nothing is signed downstream.
    InDurable,
    /// The downstream lock is signed; the next hop has not answered.
    OutSigned,
    /// The exit is ready: words may flow, past this node.
    Live,
    /// The next hop refused, or did not answer in time; it may hold the lock all the same.
    OutRejected,
    /// The downstream lock can bring nothing more; upstream is still to be paid.
    OutExpired,
    /// Upstream has paid by a fold.
    InFolded,
    /// Upstream has paid on the chain.
    InClaimed,
    /// There was nothing to be paid, or what was left cannot be any more.
    InReleased,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 8] = [
        Self::InDurable,
        Self::OutSigned,
        Self::Live,
        Self::OutRejected,
        Self::OutExpired,
        Self::InFolded,
        Self::InClaimed,
        Self::InReleased,
    ];

    /// Whether nothing is to come any more, up or down.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::InFolded | Self::InClaimed | Self::InReleased)
    }

    /// A short name, for tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InDurable => "held",
            Self::OutSigned => "offered",
            Self::Live => "live",
            Self::OutRejected => "rejected",
            Self::OutExpired => "expired",
            Self::InFolded => "folded",
            Self::InClaimed => "claimed",
            Self::InReleased => "released",
        }
    }
}

/// What happens to a routed payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteEvent {
    /// The downstream voucher is drafted, its state about to be saved.
    Signed,
    /// This node's own channel did not take the lock.
    NotSigned(PayErrorCode),
    /// The exit holds the lock.
    Ready,
    /// The next hop does not take it.
    Rejected(PayErrorCode),
    /// The payee of the downstream lock shows a word.
    Fulfilled(Fulfill),
    /// A word became public on the downstream channel.
    Revealed(Preimage),
    /// Some endpoint tells that a word became public, and not enough others do.
    Heard(Preimage),
    /// The chain was looked at.
    Looked(RouteView),
    /// The program starts again.
    Restarted,
}

/// What a look at the chain and at the upstream channel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteView {
    /// Everything in blocks up to this time has been heard.
    pub heard_until: UnixTime,
    /// Units in the base of the upstream voucher; `None` once its lock is in it no more.
    pub up_folded: Option<u32>,
    /// Whether all that the upstream channel is worth was claimed on the chain.
    pub up_claimed: bool,
}

/// What the shell must do, after saving, in this order. If one fails, no fold of a word that was told
/// may come after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteEffect {
    /// Take `lock` into the downstream voucher and offer it; then tell of [`RouteEvent::Signed`].
    LockOnward {
        /// The lock.
        lock: Lock,
        /// Hops beyond the next.
        onward: Vec<Hop>,
        /// One that only the next reads.
        sealed: Option<[u8; SEALED_HOP_BYTES]>,
    },
    /// Tell the upstream channel a word, for a claim.
    Learn {
        /// Its place.
        k: u32,
        /// The word.
        word: Preimage,
    },
    /// Fold the downstream lock up to a word.
    Fold {
        /// Its place.
        k: u32,
        /// The word.
        word: Preimage,
        /// Where it is from.
        proof: Proof,
    },
    /// Ask the payer upstream to fold, unless it has.
    AskFold(Fulfill),
    /// Tell the payer upstream that the exit holds the lock.
    TellReady,
    /// Tell the payer upstream that nothing comes of it.
    Reject(LockReject),
    /// Tell the payee downstream why its word is not taken.
    Refuse(PayErrorCode),
}
