//! Hash locks: `HashLock = keccak256^k(Preimage)` (PayWord, Rivest and Shamir 1997; BIP 199).

use std::fmt;

use sha3::{Digest as _, Keccak256};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A secret word until it is released; revealing it pays. Never shown, wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Preimage([u8; 32]);

/// The public end of a chain of words.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashLock([u8; 32]);

impl Preimage {
    /// Takes the raw bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw bytes: only for the wire, the chain and the store.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The word `steps` hashes nearer to the anchor.
    #[must_use]
    pub fn advance(&self, steps: u32) -> Self {
        let mut word = self.clone();
        for _ in 0..steps {
            word.0 = Keccak256::digest(word.0).into();
        }
        word
    }

    /// The lock that exactly this word opens with one hash.
    #[must_use]
    pub fn lock(&self) -> HashLock {
        HashLock(self.advance(1).0)
    }
}

impl fmt::Debug for Preimage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Preimage(secret)")
    }
}

impl HashLock {
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

    /// Says whether `word` hashes `steps` times to this lock. Costs `steps` hashes: bound it.
    #[must_use]
    pub fn opens_with(&self, word: &Preimage, steps: u32) -> bool {
        word.advance(steps).0 == self.0
    }
}

impl fmt::Debug for HashLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashLock({})", hex::encode(&self.0[..4]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_opens_with_its_word_and_no_other() {
        let word = Preimage::from_bytes([1; 32]);
        let lock = HashLock(word.advance(3).0);
        assert!(lock.opens_with(&word, 3));
        assert!(!lock.opens_with(&word, 2));
        assert!(lock.opens_with(&word.advance(1), 2));
    }

    #[test]
    fn the_hash_is_keccak256() {
        // keccak256 of 32 zero bytes, as every EVM computes it.
        let lock = Preimage::from_bytes([0; 32]).lock();
        assert_eq!(
            hex::encode(lock.as_bytes()),
            "290decd9548b62a8d60345a988386fc84ba6bc95484008f6362f93160ef3e563"
        );
    }

    #[test]
    fn a_word_is_never_printed() {
        assert_eq!(
            format!("{:?}", Preimage::from_bytes([9; 32])),
            "Preimage(secret)"
        );
    }
}
