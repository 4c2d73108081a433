//! Whether this node's own clock is behind: then the offers of most peers look as if from the future.
//!
//! Sans-IO.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use warren_proto::NodeId;

// Our choice.
/// What a peer told longer ago than this says nothing of the clock now.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Peers remembered.
const MAX_VOICES: usize = 256;

/// Who told of offers lately, and whose were dated ahead of this node's clock.
#[derive(Debug, Default)]
pub(crate) struct ClockWatch {
    voices: BTreeMap<NodeId, Voice>,
}

#[derive(Debug)]
struct Voice {
    heard: Instant,
    ahead: Option<Instant>,
}

impl ClockWatch {
    /// `peer` told of an offer that is dated ahead of this node's clock, or of one that is not.
    pub(crate) fn note(&mut self, peer: NodeId, is_ahead: bool, now: Instant) {
        if self.voices.len() >= MAX_VOICES && !self.voices.contains_key(&peer) {
            self.voices.retain(|_, it| is_recent(it.heard, now));
            if self.voices.len() >= MAX_VOICES {
                return;
            }
        }
        let (heard, ahead) = (now, None);
        let voice = self.voices.entry(peer).or_insert(Voice { heard, ahead });
        voice.heard = now;
        // An offer of a while ago is in the past for a clock that is behind, too: it proves nothing.
        voice.ahead = is_ahead.then_some(now).or(voice.ahead);
    }

    /// Whether more than half of those heard of late told of offers from the future.
    pub(crate) fn is_behind(&self, now: Instant) -> bool {
        let recent = self.voices.values().filter(|it| is_recent(it.heard, now));
        let (ahead, fine): (Vec<&Voice>, Vec<&Voice>) =
            recent.partition(|it| it.ahead.is_some_and(|at| is_recent(at, now)));
        ahead.len() > fine.len()
    }
}

fn is_recent(at: Instant, now: Instant) -> bool {
    now.duration_since(at) < REMEMBERED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    #[test]
    fn when_most_are_ahead_this_clock_is_behind() {
        let (mut watch, now) = (ClockWatch::default(), Instant::now());
        assert!(!watch.is_behind(now));
        watch.note(peer(1), true, now);
        assert!(watch.is_behind(now), "the only one there is");
        watch.note(peer(2), false, now);
        assert!(!watch.is_behind(now));
        watch.note(peer(3), true, now);
        watch.note(peer(3), false, now);
        assert!(watch.is_behind(now), "older offers prove nothing");
        assert!(!watch.is_behind(now + REMEMBERED), "that was long ago");
    }

    #[test]
    fn one_liar_among_honest_peers_proves_nothing() {
        let (mut watch, now) = (ClockWatch::default(), Instant::now());
        watch.note(peer(2), false, now);
        for _ in 0..100 {
            watch.note(peer(1), true, now);
        }
        assert!(!watch.is_behind(now));
    }

    #[test]
    fn so_many_peers_are_remembered_and_no_more() {
        let (mut watch, now) = (ClockWatch::default(), Instant::now());
        for n in 0..=u16::MAX {
            let mut id = [0; 32];
            id[..2].copy_from_slice(&n.to_be_bytes());
            watch.note(NodeId::from_bytes(id), false, now);
        }
        assert_eq!(watch.voices.len(), MAX_VOICES);
    }
}
