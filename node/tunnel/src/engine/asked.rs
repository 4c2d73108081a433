//! How much an exit may send before somebody here must have said something again.
//!
//! Sans-IO. Whatever comes is paid for, and only the exit decides what comes. Every use of a line answers now
//! and then: TCP and QUIC acknowledge, calls and streams report. So each packet sent lets a bounded number of
//! bytes come back, and a line that is silent takes no more than [`MOST`] and pays for no more: what is above
//! is dropped before it is counted.
//!
//! Trap: this cannot tell junk inside of an open flow from an answer; it bounds it. Junk of no flow the
//! firewall's guard drops, too late to be uncounted. Why these numbers: ADR 0007.

use std::sync::atomic::{AtomicI64, Ordering};

// Our choice.
/// Bytes that a packet sent lets come. The rarest that is heard of: a camera of 8 Mbit/s over UDP, answered twice in 5 s.
const EACH: i64 = 3 << 20;
/// Bytes that may come unasked after a silence: a few units of an offer, and 130 ms of a line of 1 Gbit/s for
/// the answers of a busy machine to be late.
const MOST: i64 = 16 << 20;

/// Bytes that may still come.
#[derive(Debug)]
pub(super) struct Asked(AtomicI64);

impl Default for Asked {
    fn default() -> Self {
        Self(AtomicI64::new(MOST))
    }
}

impl Asked {
    /// A packet goes to the exit. Like [`Self::takes`], under the lock of the peer: nobody counts at the same time.
    pub(super) fn sent(&self) {
        let left = self.0.load(Ordering::Relaxed);
        if left < MOST {
            self.0.store((left + EACH).min(MOST), Ordering::Relaxed);
        }
    }

    /// Whether a packet of `len` bytes may still come; then it counts.
    pub(super) fn takes(&self, len: usize) -> bool {
        let len = i64::try_from(len).unwrap_or(i64::MAX);
        if self.0.load(Ordering::Relaxed) < len {
            return false;
        }
        self.0.fetch_sub(len, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes until no more is taken, in packets of 1400 bytes.
    fn all(asked: &Asked) -> i64 {
        let mut taken = 0;
        while asked.takes(1400) {
            taken += 1400;
        }
        taken
    }

    #[test]
    fn a_silent_line_takes_no_more_than_the_bound_and_each_word_opens_it_a_little() {
        let asked = Asked::default();
        let full = all(&asked);
        assert!((MOST - 1400..=MOST).contains(&full), "{full}");
        asked.sent();
        let more = all(&asked);
        assert!((EACH - 1400..=EACH + 1400).contains(&more), "{more}");
        for _ in 0..1000 {
            asked.sent();
        }
        let again = all(&asked);
        assert!(again <= MOST, "what was not used is not saved up: {again}");
    }
}
