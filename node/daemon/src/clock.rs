//! The one place that reads the wall clock: a time that never runs backwards.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use warren_proto::UnixTime;

/// Tells the time since the epoch, and never an earlier one than before.
///
/// It starts at the wall clock and goes on with the monotonic one, so that a step of the wall clock
/// changes no deadline that is already set. A step forward is followed (a laptop that slept must
/// not believe that a channel's window still runs); a step back is waited out.
#[derive(Debug)]
pub struct Clock {
    latest: Mutex<UnixTime>,
    base: (UnixTime, Instant),
}

impl Clock {
    /// Starts at the wall clock.
    #[must_use]
    pub fn start() -> Self {
        let now = wall();
        Self {
            latest: Mutex::new(now),
            base: (now, Instant::now()),
        }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        let steady = self.base.0.plus(self.base.1.elapsed());
        self.not_before(wall().max(steady))
    }

    /// The latest of `seen` and everything told before.
    fn not_before(&self, seen: UnixTime) -> UnixTime {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = seen.max(*latest);
        *latest
    }
}

/// The wall clock as it is. Zero before 1970.
fn wall() -> UnixTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_steps_back_is_waited_out() {
        let clock = Clock::start();
        let ahead = UnixTime::from_secs(10_000_000_000);
        assert_eq!(clock.not_before(ahead), ahead);
        assert_eq!(clock.now(), ahead);
        assert_eq!(clock.not_before(UnixTime::from_secs(1)), ahead);
    }

    #[test]
    fn it_starts_in_this_century() {
        assert!(Clock::start().now() > UnixTime::from_secs(1_700_000_000));
    }
}
