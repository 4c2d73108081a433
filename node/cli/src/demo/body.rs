//! The bytes that the demo's web server gives away: made from a seed, so that both ends know their digest.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Bytes of one piece.
const PIECE: usize = 64 * 1024;

/// An endless run of bytes that no compression can shorten.
#[derive(Debug, Clone)]
pub struct Body {
    state: u64,
    left: u64,
}

impl Body {
    /// The first `length` bytes that follow from `seed`.
    #[must_use]
    pub fn new(seed: u64, length: u64) -> Self {
        Self {
            state: seed,
            left: length,
        }
    }

    /// The digest of all of it, in hex.
    #[must_use]
    pub fn sha256(self) -> String {
        let mut hash = Sha256::new();
        for piece in self {
            hash.update(piece);
        }
        hex(&hash.finalize())
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): tiny, and even in all bits.
    fn next_word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Iterator for Body {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let length = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
        if length == 0 {
            return None;
        }
        let mut piece = Vec::with_capacity(PIECE);
        while piece.len() < length {
            piece.extend_from_slice(&self.next_word().to_le_bytes());
        }
        piece.truncate(length);
        self.left -= length as u64;
        Some(piece)
    }
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // Writing to a String cannot fail.
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_its_length_and_depends_on_its_seed() {
        for length in [0, 1, 65_536, 100_001] {
            let sum: usize = Body::new(7, length).map(|it| it.len()).sum();
            assert_eq!(sum as u64, length);
        }
        assert_ne!(Body::new(7, 99).sha256(), Body::new(8, 99).sha256());
        assert_eq!(Body::new(7, 99).sha256(), Body::new(7, 99).sha256());
    }
}
