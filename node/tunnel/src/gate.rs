//! The gate of one guest: how many of its inner bytes pass.
//!
//! Sans-IO. A shut gate stops data only; handshakes pass, so that a guest that pays again is
//! carried at once. An allowance is a running total of both directions; the packet that would
//! pass it is dropped, so what is served unpaid does not depend on how often anybody looks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use warren_proto::ByteCount;

// Our choice.
/// What has not come through for so long is lost: longer than a send may wait for room on the line.
const STILL: Duration = Duration::from_millis(250);

/// Whether a guest's packets are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gate {
    /// Data packets pass both ways.
    Open,
    /// Data packets pass both ways until so many inner bytes have passed, cumulative.
    Until(ByteCount),
    /// Data packets are dropped and counted; handshakes pass.
    Paused,
}

/// A [`Gate`] that the control side sets and the packet threads ask.
#[derive(Debug)]
pub(crate) struct GateCell {
    limit: AtomicU64,
    /// Bytes let in; ahead of the meter by what is still on its way, or was lost on it.
    passed: AtomicU64,
    /// What `passed` was when it was compared with the meter, and since when.
    seen: Mutex<Option<(u64, Instant)>>,
}

impl GateCell {
    /// A gate is shut until somebody opens it.
    pub(crate) fn paused() -> Self {
        Self {
            limit: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            seen: Mutex::default(),
        }
    }

    pub(crate) fn set(&self, gate: Gate) {
        let limit = match gate {
            Gate::Paused => 0,
            Gate::Until(bytes) => bytes.bytes(),
            Gate::Open => u64::MAX,
        };
        self.limit.store(limit, Ordering::Release);
    }

    /// Whether a packet of `bytes` would be let in now. Changes nothing: to be asked before anything is done for
    /// a packet that will not be.
    pub(crate) fn fits(&self, bytes: u64) -> bool {
        let limit = self.limit.load(Ordering::Acquire);
        let sum = self.passed.load(Ordering::Relaxed).checked_add(bytes);
        sum.is_some_and(|sum| sum <= limit)
    }

    /// Lets a packet of `bytes` in, or not: then nothing changes.
    pub(crate) fn admit(&self, bytes: u64) -> bool {
        let limit = self.limit.load(Ordering::Acquire);
        let more = |passed: u64| passed.checked_add(bytes).filter(|sum| *sum <= limit);
        self.passed
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }

    /// Gives back what was let in and then lost, once nothing has moved for [`STILL`], however often somebody looks.
    pub(crate) fn settle(&self, metered: u64, now: Instant) {
        let passed = self.passed.load(Ordering::Relaxed);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let since = match *seen {
            Some((before, at)) if before == passed => at,
            Some(_) | None => now,
        };
        *seen = Some((passed, since));
        let still = now.saturating_duration_since(since) >= STILL;
        if still && passed > metered {
            // Lost to a packet just let in: a later look tries again. What comes next begins its own time.
            let _ =
                self.passed
                    .compare_exchange(passed, metered, Ordering::Relaxed, Ordering::Relaxed);
            *seen = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_kept_to_the_packet() {
        let gate = GateCell::paused();
        assert!(!gate.admit(1));
        gate.set(Gate::Until(ByteCount::from_bytes(3000)));
        assert!(gate.admit(1500) && gate.admit(1400));
        assert!(!gate.admit(1500) && !gate.fits(1500) && gate.fits(100));
        assert!(gate.admit(100), "a smaller packet still fits");
        gate.set(Gate::Until(ByteCount::from_bytes(4500)));
        assert!(gate.admit(1500) && !gate.admit(1));
        gate.set(Gate::Open);
        assert!(gate.admit(1_000_000));
        gate.set(Gate::Paused);
        assert!(!gate.admit(1));
    }

    #[test]
    fn what_was_lost_on_the_way_is_given_back_when_nothing_moves() {
        let gate = GateCell::paused();
        gate.set(Gate::Until(ByteCount::from_bytes(3000)));
        let begin = Instant::now();
        let after = |millis| begin + Duration::from_millis(millis);
        assert!(gate.admit(3000));
        // May still be on its way, and be metered after this look.
        for millis in (0..250).step_by(20) {
            gate.settle(1000, after(millis));
            assert!(!gate.admit(1));
        }
        gate.settle(1000, after(250));
        assert!(gate.admit(2000) && !gate.admit(1));
        gate.settle(1000, after(400));
        assert!(!gate.admit(1), "what moved is not lost yet");
    }
}
