//! The internet checksum (RFC 1071), in the machine's own byte order.
//!
//! Sans-IO. A ones' complement sum may be taken in any byte order if it is stored in the same one.

/// Adds `bytes` to a running sum; all but the last slice must have even length.
pub(crate) fn add(sum: u64, bytes: &[u8]) -> u64 {
    let mut total = sum;
    let mut wide = bytes.chunks_exact(8);
    for chunk in &mut wide {
        let word = u64::from_ne_bytes([
            chunk[0], chunk[1], chunk[2], chunk[3], chunk[4], chunk[5], chunk[6], chunk[7],
        ]);
        // Halves are added apart: a u64 takes four thousand million of them before it overflows.
        total += (word & 0xffff_ffff) + (word >> 32);
    }
    let mut narrow = wide.remainder().chunks_exact(2);
    for chunk in &mut narrow {
        total += u64::from(u16::from_ne_bytes([chunk[0], chunk[1]]));
    }
    if let [last] = narrow.remainder() {
        total += u64::from(u16::from_ne_bytes([*last, 0]));
    }
    total
}

/// Folds a sum to 16 bits, as it is stored: not complemented.
pub(crate) fn fold(sum: u64) -> [u8; 2] {
    let mut left = sum;
    while left > 0xffff {
        left = (left >> 16) + (left & 0xffff);
    }
    let [low, high, ..] = left.to_le_bytes();
    u16::from_le_bytes([low, high]).to_ne_bytes()
}

/// The checksum of a sum.
pub(crate) fn finish(sum: u64) -> [u8; 2] {
    fold(sum).map(|byte| !byte)
}

/// The sum of the pseudo header of TCP or UDP.
pub(crate) fn pseudo(source: &[u8], destination: &[u8], protocol: u8, len: usize) -> u64 {
    let len = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    add(add(add(add(0, source), destination), &len), &[0, protocol])
}

/// Whether a whole sum, checksum included, is that of an unharmed packet.
pub(crate) fn holds(sum: u64) -> bool {
    fold(sum) == [0xff, 0xff]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The sum as the RFC writes it: big-endian words, carries added at once.
    fn plain(bytes: &[u8]) -> [u8; 2] {
        let mut sum = 0_u32;
        for pair in bytes.chunks(2) {
            let word = u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]);
            sum += u32::from(word);
            sum = (sum & 0xffff) + (sum >> 16);
        }
        (!u16::try_from(sum).unwrap()).to_be_bytes()
    }

    proptest! {
        #[test]
        fn the_sum_is_that_of_the_rfc(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            prop_assert_eq!(finish(add(0, &bytes)), plain(&bytes));
        }

        #[test]
        fn parts_of_even_length_add_up(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0_usize..150,
        ) {
            let (left, right) = bytes.split_at((at * 2).min(bytes.len() & !1));
            prop_assert_eq!(finish(add(add(0, left), right)), finish(add(0, &bytes)));
        }
    }
}
