//! When this node says in the DHT that it routes payments.
//!
//! Sans-IO. Holders forget it after an hour, and those who join later may hold it better.

use std::time::{Duration, Instant};

// Our choice.
/// Said again after a third of its life, so two may be lost.
const AGAIN: Duration = Duration::from_secs(1200);
/// New routes are worth saying it again this often.
const GAP: Duration = Duration::from_secs(60);

/// Whether it is said, and when it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Beacon {
    /// `None` while this node does not route.
    due: Option<Instant>,
    said: Option<Instant>,
}

impl Beacon {
    /// Begins to say it, at once, or stops.
    pub(crate) fn switch(&mut self, on: bool, now: Instant) {
        self.due = on.then_some(now);
        self.said = None;
    }

    /// The routing table has new nodes.
    pub(crate) fn routes_grew(&mut self, now: Instant) {
        let soon = self.said.map_or(now, |said| now.max(said + GAP));
        self.due = self.due.map(|due| due.min(soon));
    }

    /// Whether to say it now; it is due again later.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            (self.due, self.said) = (Some(now + AGAIN), Some(now));
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_once_again_when_routes_grow_and_every_twenty_minutes() {
        let now = Instant::now();
        let mut beacon = Beacon::default();
        beacon.routes_grew(now);
        assert!(!beacon.take_due(now), "who does not route says nothing");
        beacon.switch(true, now);
        assert!(beacon.take_due(now));
        assert!(!beacon.take_due(now + AGAIN - GAP));
        beacon.routes_grew(now);
        assert!(
            !beacon.take_due(now + GAP / 2),
            "not more than once a minute"
        );
        assert!(beacon.take_due(now + GAP));
        assert!(beacon.take_due(now + GAP + AGAIN));
        beacon.switch(false, now + GAP + AGAIN);
        assert!(!beacon.take_due(now + AGAIN * 4));
    }
}
