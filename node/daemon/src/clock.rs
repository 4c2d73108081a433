//! The one place that reads the wall clock: a time that never runs backwards.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use warren_proto::UnixTime;

/// Tells the time since the epoch, and never an earlier one than before.
///
/// It starts at the wall clock and goes on with the monotonic one, so that a step of the wall clock
/// changes no deadline that is already set. A step forward is followed (a laptop that slept must
/// not believe that a channel's window still runs); a step back is not: time goes on from where it was.
#[derive(Debug)]
pub struct Clock {
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Told {
    latest: UnixTime,
    /// Where the wall clock was when it was last ahead, and what the monotonic one said then.
    base: (UnixTime, Instant),
}

impl Clock {
    /// Starts at the wall clock.
    #[must_use]
    pub fn start() -> Self {
        let now = wall();
        Self {
            told: Mutex::new(Told {
                latest: now,
                base: (now, Instant::now()),
            }),
        }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        self.at(wall(), Instant::now())
    }

    /// What the wall clock says: for what strangers hold against theirs. It may be behind [`Clock::now`].
    #[must_use]
    pub fn wall(&self) -> UnixTime {
        wall()
    }

    /// How far the wall clock is behind what this one tells: it was ahead before, and was set back.
    #[must_use]
    pub fn ahead(&self) -> Duration {
        self.now().since(wall())
    }

    /// The time, when the wall clock says `wall` and the monotonic one `instant`.
    fn at(&self, wall: UnixTime, instant: Instant) -> UnixTime {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (from, then) = told.base;
        let steady = from.plus(instant.saturating_duration_since(then));
        if wall > steady {
            told.base = (wall, instant);
        }
        told.latest = wall.max(steady).max(told.latest);
        told.latest
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

    fn base(clock: &Clock) -> (UnixTime, Instant) {
        clock.told.lock().unwrap().base
    }

    #[test]
    fn it_never_says_an_earlier_time_than_before() {
        let clock = Clock::start();
        let ahead = UnixTime::from_secs(10_000_000_000);
        let (_, instant) = base(&clock);
        assert_eq!(clock.at(ahead, instant), ahead);
        assert_eq!(clock.at(UnixTime::from_secs(1), instant), ahead);
        assert!(clock.now() >= ahead);
        assert!(clock.ahead() > Duration::from_secs(1_000_000_000));
        assert!(clock.wall() < ahead);
    }

    #[test]
    fn a_wall_clock_that_goes_forward_and_back_does_not_stop_this_one() {
        let clock = Clock::start();
        let (wall, instant) = base(&clock);
        let secs = Duration::from_secs;
        let hour = secs(3600);
        let ahead = clock.at(wall.plus(hour), instant);
        assert_eq!(ahead, wall.plus(hour), "a step forward is followed");
        // The hour is taken back; five seconds pass, and five more.
        for passed in [secs(5), secs(10)] {
            let now = clock.at(wall.plus(passed), instant + passed);
            assert_eq!(now, ahead.plus(passed));
        }
        let slept = clock.at(wall.plus(hour * 9), instant + secs(11));
        assert_eq!(slept, wall.plus(hour * 9), "so is the next");
    }

    #[test]
    fn it_starts_in_this_century() {
        assert!(Clock::start().now() > UnixTime::from_secs(1_700_000_000));
    }
}
