//! Who passes on rubbish, and when that is enough.
//!
//! Sans-IO.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libp2p::PeerId;
use warren_proto::UnixTime;

use crate::offers::quota::{Allowance, Quota};

// Our choice.
/// So much rubbish is forgiven at once, and one more a minute.
const FORGIVEN: Allowance = Allowance {
    burst: 10,
    every: Duration::from_secs(60),
};
/// A peer that goes on is shut out for so long.
pub(crate) const SHUT_OUT_FOR: Duration = Duration::from_secs(600);
/// Peers watched; with more, those who behaved longest are forgotten.
const MAX_WATCHED: usize = 1024;

/// The record of who passed on rubbish, by a clock that nobody sets.
#[derive(Debug)]
pub(crate) struct Strikes {
    began: Instant,
    watched: BTreeMap<PeerId, Quota>,
    shut_out: BTreeMap<PeerId, Instant>,
}

impl Strikes {
    pub(crate) fn new(now: Instant) -> Self {
        let (watched, shut_out) = (BTreeMap::new(), BTreeMap::new());
        Self {
            began: now,
            watched,
            shut_out,
        }
    }

    /// Notes rubbish from `peer`; says whether to shut it out.
    pub(crate) fn strike(&mut self, peer: PeerId, at: Instant) -> bool {
        let now = UnixTime::from_secs(0).plus(at.saturating_duration_since(self.began));
        if self.watched.len() >= MAX_WATCHED && !self.watched.contains_key(&peer) {
            self.watched
                .retain(|_, quota| !quota.is_full(FORGIVEN, now));
        }
        if self.watched.len() >= MAX_WATCHED && !self.watched.contains_key(&peer) {
            return false;
        }
        let quota = self
            .watched
            .entry(peer)
            .or_insert_with(|| Quota::full(FORGIVEN, now));
        if quota.take(FORGIVEN, now) || self.shut_out.len() >= MAX_WATCHED {
            return false;
        }
        self.watched.remove(&peer);
        self.shut_out.insert(peer, at + SHUT_OUT_FOR).is_none()
    }

    /// Whom to let in again.
    pub(crate) fn pardon(&mut self, now: Instant) -> Vec<PeerId> {
        let over: Vec<_> = self
            .shut_out
            .iter()
            .filter(|(_, until)| **until <= now)
            .map(|(it, _)| *it)
            .collect();
        over.iter().for_each(|peer| {
            self.shut_out.remove(peer);
        });
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleventh_strike_shuts_out_and_time_pardons() {
        let (peer, now) = (PeerId::random(), Instant::now());
        let mut strikes = Strikes::new(now);
        assert_eq!((0..10).filter(|_| strikes.strike(peer, now)).count(), 0);
        assert!(strikes.strike(peer, now));
        assert_eq!(strikes.pardon(now), vec![]);
        assert_eq!(strikes.pardon(now + SHUT_OUT_FOR), vec![peer]);
        assert_eq!(strikes.pardon(now + SHUT_OUT_FOR), vec![]);
    }

    #[test]
    fn so_many_strangers_are_watched_and_no_more() {
        let now = Instant::now();
        let mut strikes = Strikes::new(now);
        for _ in 0..MAX_WATCHED + 100 {
            strikes.strike(PeerId::random(), now);
        }
        assert_eq!(strikes.watched.len(), MAX_WATCHED);
    }
}
