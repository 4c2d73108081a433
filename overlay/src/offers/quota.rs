//! How often something may happen: so many at once, then one per interval.
//!
//! Sans-IO.

use std::time::Duration;

use warren_proto::UnixTime;

/// A quota's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// How many may come at once.
    pub burst: u32,
    /// How long until one more may come.
    pub every: Duration,
}

/// What is left of an [`Allowance`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    left: u32,
    counted: UnixTime,
}

impl Quota {
    /// A full quota.
    #[must_use]
    pub const fn full(allowance: Allowance, now: UnixTime) -> Self {
        Self {
            left: allowance.burst,
            counted: now,
        }
    }

    /// Takes one, if one is left.
    pub fn take(&mut self, allowance: Allowance, now: UnixTime) -> bool {
        self.refill(allowance, now);
        let granted = self.left > 0;
        self.left = self.left.saturating_sub(1);
        granted
    }

    /// Says whether nothing has been taken lately, so that it can be forgotten.
    pub fn is_full(&mut self, allowance: Allowance, now: UnixTime) -> bool {
        self.refill(allowance, now);
        self.left >= allowance.burst
    }

    fn refill(&mut self, allowance: Allowance, now: UnixTime) {
        let every = allowance.every.as_millis().max(1);
        let grown = now.since(self.counted).as_millis() / every;
        let Ok(grown) = u32::try_from(grown) else {
            *self = Self::full(allowance, now);
            return;
        };
        self.left = self.left.saturating_add(grown).min(allowance.burst);
        // The remainder stays on the clock, so that many small waits add up.
        self.counted = self.counted.plus(allowance.every.saturating_mul(grown));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Allowance = Allowance {
        burst: 2,
        every: Duration::from_secs(10),
    };

    #[test]
    fn two_at_once_then_one_every_ten_seconds() {
        let at = |s: u64| UnixTime::from_secs(1000 + s);
        let mut quota = Quota::full(TWO, at(0));
        assert_eq!(
            [
                quota.take(TWO, at(0)),
                quota.take(TWO, at(0)),
                quota.take(TWO, at(9))
            ],
            [true, true, false]
        );
        assert!(quota.take(TWO, at(10)));
        assert!(!quota.take(TWO, at(19)));
        assert!(quota.take(TWO, at(20)));
        assert!(!quota.is_full(TWO, at(30)));
        assert!(quota.is_full(TWO, at(60)));
    }

    #[test]
    fn a_clock_set_back_gives_nothing() {
        let at = |s: u64| UnixTime::from_secs(1000 + s);
        let mut quota = Quota::full(TWO, at(100));
        assert!(quota.take(TWO, at(100)) && quota.take(TWO, at(100)));
        assert!(!quota.take(TWO, at(0)));
    }
}
