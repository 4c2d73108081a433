//! What a payee leaves with a tower, and what the tower says to it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::id::ChannelId;
use crate::payment::{ChannelParams, Voucher, WordFrame, codes};
use crate::wire::{WireError, tower_claim_bytes, tower_claim_from_bytes};

/// The longest sealed claim: one with 16 locks takes about 1 800 bytes.
pub const MAX_SEALED_BYTES: usize = 4096;

/// By what a tower finds a put when it sees a channel close; says nothing to who does not know the id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locator([u8; 32]);

impl Locator {
    /// The locator of `channel`.
    #[must_use]
    pub fn of(channel: &ChannelId) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"warren/tower/locator/1\0");
        hasher.update(channel.as_bytes());
        Self(hasher.finalize().into())
    }

    /// Takes the raw bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Locator({})", hex::encode(&self.0[..4]))
    }
}

/// A claim to make for an absent payee, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TowerPut {
    /// Of the channel.
    pub locator: Locator,
    /// Grows with each put of a locator.
    pub number: u64,
    /// Chain seconds after which it may be forgotten.
    pub until: u64,
    /// The claim, sealed; at most [`MAX_SEALED_BYTES`].
    pub sealed: Vec<u8>,
    /// When to claim even if nobody closes; `None` unless a lock expires.
    pub deadline: Option<TowerDeadline>,
}

/// A lock of the voucher expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TowerDeadline {
    /// The channel, in clear: the tower must know it before anybody closes.
    pub channel: ChannelId,
    /// Chain seconds at which to claim.
    pub act_at: u64,
}

/// What a tower claims with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TowerClaim {
    /// The channel's parties.
    pub params: ChannelParams,
    /// The payer's signed total.
    pub voucher: Voucher,
    /// Its words, by rising lane; at most 16.
    pub best: Vec<WordFrame>,
}

impl TowerClaim {
    /// The bytes that are sealed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        tower_claim_bytes(self)
    }

    /// Reads [`Self::encode`].
    ///
    /// # Errors
    /// [`WireError`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        tower_claim_from_bytes(bytes)
    }
}

/// What a tower says to a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TowerAnswer {
    /// The put's.
    pub locator: Locator,
    /// What became of it.
    pub verdict: TowerVerdict,
    /// Number of the put that it holds now; 0 if none.
    pub number: u64,
}

codes!(
    /// What became of a put.
    TowerVerdict {
        /// It is on the tower's disk.
        Kept = 1 => "kept",
        /// The tower holds this one or a newer one.
        Older = 2 => "a newer put is held",
        /// This putter has as many puts as it may, or the tower has.
        Full = 3 => "the tower has no place for it",
        /// Too many puts at once: later.
        TooFast = 4 => "too many puts at once",
        /// It would have to be kept too long, or is over already.
        BadTime = 5 => "its end is not within what the tower keeps",
        /// Its parts contradict each other.
        Malformed = 6 => "the put breaks the protocol",
        /// This node is no tower.
        NoTower = 7 => "this node is no tower",
        /// A fault on the tower's side, such as a full disk.
        Internal = 8 => "the tower cannot keep it now",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locator_is_not_the_channels_id_and_follows_from_it() {
        let (a, b) = (
            ChannelId::from_bytes([1; 32]),
            ChannelId::from_bytes([2; 32]),
        );
        assert_eq!(Locator::of(&a), Locator::of(&a));
        assert_ne!(Locator::of(&a), Locator::of(&b));
        assert_ne!(Locator::of(&a).as_bytes(), a.as_bytes());
    }
}
