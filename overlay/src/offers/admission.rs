//! Which bytes count as an offer here, and whose fault it is when they do not.
//!
//! Sans-IO.
//!
//! Invariant: nothing enters the index, the DHT store or the gossip mesh but through [`admit`].

use warren_proto::{MAX_OFFER_BYTES, NodeId, OfferError, SignedOffer, UnixTime};

// Our choice.
/// A carrier is not blamed for an offer that expired less than this ago: it was good when sent.
const EXPIRY_GRACE_SECS: u64 = 120;
/// Nor for one that is dated ahead by less than this: by the carrier's own clock it may not have been too far.
const AHEAD_GRACE_SECS: u64 = 180;

/// How an offer came here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// As a DHT record.
    Dht,
    /// As a gossip message.
    Gossip,
    /// In another node's answer to the question what it knows.
    Snapshot,
}

/// Why an offer does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Larger than an offer may be; not even read.
    #[error("{bytes} bytes are more than an offer's {MAX_OFFER_BYTES}")]
    Oversized {
        /// Its size.
        bytes: usize,
    },
    /// Not an offer.
    #[error("not an offer")]
    Malformed,
    /// Not signed by the node it names.
    #[error("not signed by {}", node.short())]
    Forged {
        /// Whom it names.
        node: NodeId,
    },
    /// Kept under a DHT key that is not its node's.
    #[error("offer of {} under another key", node.short())]
    WrongKey {
        /// Whose it is.
        node: NodeId,
    },
    /// Of another network.
    #[error("offer of {} for another network", node.short())]
    Foreign {
        /// Whose it is.
        node: NodeId,
    },
    /// Over, just now.
    #[error("offer of {} has just expired", node.short())]
    JustExpired {
        /// Whose it is.
        node: NodeId,
    },
    /// Over for a while.
    #[error("offer of {} expired", node.short())]
    Expired {
        /// Whose it is.
        node: NodeId,
    },
    /// Dated a little too far ahead of this node's clock.
    #[error("offer of {} is dated a little ahead", node.short())]
    JustAhead {
        /// Whose it is.
        node: NodeId,
    },
    /// Dated far ahead of this node's clock.
    #[error("offer of {} is dated in the future", node.short())]
    FromTheFuture {
        /// Whose it is.
        node: NodeId,
    },
    /// Wants to live longer than an offer may.
    #[error("offer of {} lives too long", node.short())]
    TooLong {
        /// Whose it is.
        node: NodeId,
    },
    /// A newer one is known.
    #[error("offer of {} with sequence {seq}, {held} is known", node.short())]
    Stale {
        /// Whose it is.
        node: NodeId,
        /// Its sequence.
        seq: u64,
        /// The newest sequence known.
        held: u64,
    },
    /// A different one with the same sequence is known: the node says two things at once.
    #[error("second offer of {} with sequence {seq}", node.short())]
    Equivocal {
        /// Whose it is.
        node: NodeId,
        /// Its sequence.
        seq: u64,
    },
    /// The node changes its offer too often.
    #[error("offers of {} come too often", node.short())]
    TooOften {
        /// Whose it is.
        node: NodeId,
    },
    /// Whoever told it has told of too many new nodes.
    #[error("{} was told by one who tells of too many", node.short())]
    Crowded {
        /// Whose it is.
        node: NodeId,
    },
    /// No room for another node.
    #[error("no room for the offer of {}", node.short())]
    Full {
        /// Whose it is.
        node: NodeId,
    },
}

/// Whom a refused offer speaks against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Whoever passed it on: it could have seen the same.
    Carrier,
    /// Nobody we could name.
    Nobody,
}

impl Refused {
    /// Says whom this speaks against.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Oversized { .. }
            | Self::Malformed
            | Self::Forged { .. }
            | Self::WrongKey { .. }
            | Self::Foreign { .. }
            | Self::Expired { .. }
            | Self::FromTheFuture { .. }
            | Self::TooLong { .. } => Blame::Carrier,
            Self::JustExpired { .. }
            | Self::JustAhead { .. }
            | Self::Stale { .. }
            | Self::Equivocal { .. }
            | Self::TooOften { .. }
            | Self::Crowded { .. }
            | Self::Full { .. } => Blame::Nobody,
        }
    }

    /// The name of the counter this drop is counted under.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Oversized { .. } => "oversized",
            Self::Malformed => "malformed",
            Self::Forged { .. } => "forged",
            Self::WrongKey { .. } => "wrong_key",
            Self::Foreign { .. } => "foreign",
            Self::JustExpired { .. } | Self::Expired { .. } => "expired",
            Self::JustAhead { .. } | Self::FromTheFuture { .. } => "future",
            Self::TooLong { .. } => "too_long",
            Self::Stale { .. } => "stale",
            Self::Equivocal { .. } => "equivocal",
            Self::TooOften { .. } => "too_often",
            Self::Crowded { .. } => "crowded",
            Self::Full { .. } => "full",
        }
    }
}

/// Reads an offer and checks all that can be checked without knowing any other offer.
///
/// # Errors
/// [`Refused`], never one that depends on what is already known.
pub fn admit(bytes: &[u8], network: &str, now: UnixTime) -> Result<SignedOffer, Refused> {
    let offer = SignedOffer::decode(bytes, now).map_err(|error| refusal(&error))?;
    if offer.offer().network == network {
        Ok(offer)
    } else {
        Err(Refused::Foreign {
            node: offer.offer().node,
        })
    }
}

fn refusal(error: &OfferError) -> Refused {
    match *error {
        OfferError::TooLarge { bytes } => Refused::Oversized { bytes },
        OfferError::Malformed(_) => Refused::Malformed,
        OfferError::Forged { node } => Refused::Forged { node },
        OfferError::Expired { node, late } if late.as_secs() < EXPIRY_GRACE_SECS => {
            Refused::JustExpired { node }
        }
        OfferError::Expired { node, .. } => Refused::Expired { node },
        OfferError::FromTheFuture { node, ahead } if ahead.as_secs() < AHEAD_GRACE_SECS => {
            Refused::JustAhead { node }
        }
        OfferError::FromTheFuture { node, .. } => Refused::FromTheFuture { node },
        OfferError::TooLong { node, .. } => Refused::TooLong { node },
    }
}
