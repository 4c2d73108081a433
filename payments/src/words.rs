//! The words a payer releases: a hash chain per tranche, re-derivable from one secret.
//!
//! ```text
//! HKDF(master, channel, tranche, n) = w_n ──keccak──▶ w_{n−1} ──▶ … ──▶ w_1 ──▶ w_0 = anchor
//! ```
//!
//! The anchor is public (it stands in the lock); word `k` pays `k` units. A word says all the
//! words below it and nothing about those above.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use warren_proto::{ChannelId, HashLock, MAX_UNITS, Preimage};
use zeroize::{Zeroize, ZeroizeOnDrop};

// Specification: docs/payments.md, "Words of a tranche".
const INFO: &[u8] = b"warren/chain/2";

/// The secret all word chains of a wallet come from.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct WordMaster([u8; 32]);

impl WordMaster {
    /// Takes the secret bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for WordMaster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WordMaster(..)")
    }
}

/// All words of one tranche, anchor first.
#[derive(Clone)]
pub struct WordChain {
    words: Vec<Preimage>,
}

impl WordChain {
    /// Derives the chain of `units` words; the same input gives the same words, and another length others:
    /// else a word of the shorter chain would be a later one of the longer.
    ///
    /// `units` above [`MAX_UNITS`] is cut to it: no payee takes a longer lock.
    #[must_use]
    pub fn derive(master: &WordMaster, channel: &ChannelId, tranche: u64, units: u32) -> Self {
        let units = units.min(MAX_UNITS);
        let mut seed = [0_u8; 32];
        let number = tranche.to_be_bytes();
        let length = units.to_be_bytes();
        let info = [INFO, channel.as_bytes().as_slice(), &number, &length];
        // 32 bytes is one SHA-256 block: expansion fails above 255 blocks only.
        let expanded = Hkdf::<Sha256>::new(None, &master.0).expand_multi_info(&info, &mut seed);
        debug_assert!(expanded.is_ok());
        let mut word = Preimage::from_bytes(seed);
        seed.zeroize();
        let mut words = Vec::with_capacity(units as usize + 1);
        for _ in 0..units {
            let below = Preimage::from_bytes(*word.lock().as_bytes());
            words.push(word);
            word = below;
        }
        words.push(word);
        words.reverse();
        Self { words }
    }

    /// What the lock commits to.
    #[must_use]
    pub fn anchor(&self) -> HashLock {
        // `derive` always pushes at least the anchor.
        let anchor = self.words.first().map_or([0; 32], |it| *it.expose());
        HashLock::from_bytes(anchor)
    }

    /// How many units the chain can pay.
    #[must_use]
    pub fn units(&self) -> u32 {
        u32::try_from(self.words.len().saturating_sub(1)).unwrap_or(MAX_UNITS)
    }

    /// The word that pays `k` units in all; `None` for 0 and beyond the end.
    #[must_use]
    pub fn word(&self, k: u32) -> Option<&Preimage> {
        if k == 0 {
            None
        } else {
            self.words.get(k as usize)
        }
    }
}

impl fmt::Debug for WordChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WordChain({} words)", self.units())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(tranche: u64) -> WordChain {
        chain_of(tranche, 256)
    }

    fn chain_of(tranche: u64, units: u32) -> WordChain {
        WordChain::derive(
            &WordMaster::from_bytes([7; 32]),
            &ChannelId::from_bytes([1; 32]),
            tranche,
            units,
        )
    }

    #[test]
    fn word_k_hashes_k_times_to_the_anchor() {
        let chain = chain(1);
        assert_eq!(chain.units(), 256);
        for k in [1, 2, 64, 255, 256] {
            assert!(chain.anchor().opens_with(chain.word(k).unwrap(), k));
        }
        assert!(chain.word(0).is_none() && chain.word(257).is_none());
    }

    #[test]
    fn the_same_secret_gives_the_same_words_and_another_tranche_gives_others() {
        assert_eq!(chain(1).anchor(), chain(1).anchor());
        assert_ne!(chain(1).anchor(), chain(2).anchor());
    }

    #[test]
    fn no_word_of_a_chain_is_one_of_a_longer_chain_with_the_same_number() {
        let (short, long) = (chain_of(1, 64), chain_of(1, 128));
        let words = |it: &WordChain| {
            (1..=it.units())
                .filter_map(|k| it.word(k).cloned())
                .collect()
        };
        let (short, long): (Vec<Preimage>, Vec<Preimage>) = (words(&short), words(&long));
        assert!(short.iter().all(|it| !long.contains(it)));
    }

    #[test]
    fn nothing_secret_is_shown() {
        assert_eq!(format!("{:?}", chain(1)), "WordChain(256 words)");
        assert_eq!(
            format!("{:?}", WordMaster::from_bytes([7; 32])),
            "WordMaster(..)"
        );
    }
}
