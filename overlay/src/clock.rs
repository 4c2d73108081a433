//! Whether this node's own clock is wrong: behind, and the offers of most peers look as if from the future; ahead,
//! and they look as if they were over.
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

/// How the dates of an offer look by this node's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dates {
    /// It is of now.
    Fine,
    /// It is dated ahead.
    Ahead,
    /// It was over long before it came.
    Late,
}

/// What is wrong with this node's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Skew {
    /// Nothing that is known.
    #[default]
    None,
    /// It is behind.
    Behind,
    /// It is ahead.
    Ahead,
}

/// Who told of offers lately, and whose were dated otherwise than by this node's clock.
#[derive(Debug, Default)]
pub(crate) struct ClockWatch {
    voices: BTreeMap<NodeId, Voice>,
}

#[derive(Debug)]
struct Voice {
    heard: Instant,
    ahead: Option<Instant>,
    late: Option<Instant>,
}

impl ClockWatch {
    /// `peer` told of an offer with such dates.
    pub(crate) fn note(&mut self, peer: NodeId, dates: Dates, now: Instant) {
        if self.voices.len() >= MAX_VOICES && !self.voices.contains_key(&peer) {
            self.voices.retain(|_, it| is_recent(it.heard, now));
            if self.voices.len() >= MAX_VOICES {
                return;
            }
        }
        let (heard, ahead, late) = (now, None, None);
        let voice = Voice { heard, ahead, late };
        let voice = self.voices.entry(peer).or_insert(voice);
        voice.heard = now;
        match dates {
            // An offer may be fine for a clock that is wrong: an older one if it is behind, a new one if it is
            // ahead. It proves nothing.
            Dates::Fine => {}
            Dates::Ahead => voice.ahead = Some(now),
            Dates::Late => voice.late = Some(now),
        }
    }

    /// What more than half of those heard of late say of this node's clock.
    pub(crate) fn skew(&self, now: Instant) -> Skew {
        if self.most(now, |it| it.ahead) {
            Skew::Behind
        } else if self.most(now, |it| it.late) {
            Skew::Ahead
        } else {
            Skew::None
        }
    }

    fn most(&self, now: Instant, said: impl Fn(&Voice) -> Option<Instant>) -> bool {
        let recent = self.voices.values().filter(|it| is_recent(it.heard, now));
        let (so, not): (Vec<&Voice>, Vec<&Voice>) =
            recent.partition(|it| said(it).is_some_and(|at| is_recent(at, now)));
        so.len() > not.len()
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
        assert!(watch.skew(now) == Skew::None);
        watch.note(peer(1), Dates::Ahead, now);
        assert!(watch.skew(now) == Skew::Behind, "the only one there is");
        watch.note(peer(2), Dates::Fine, now);
        assert!(watch.skew(now) == Skew::None);
        watch.note(peer(3), Dates::Ahead, now);
        watch.note(peer(3), Dates::Fine, now);
        assert!(
            watch.skew(now) == Skew::Behind,
            "older offers prove nothing"
        );
        assert!(
            watch.skew(now + REMEMBERED) == Skew::None,
            "that was long ago"
        );
    }

    #[test]
    fn when_most_tell_of_what_is_over_this_clock_is_ahead() {
        let (mut watch, now) = (ClockWatch::default(), Instant::now());
        watch.note(peer(1), Dates::Late, now);
        watch.note(peer(2), Dates::Fine, now);
        assert_eq!(watch.skew(now), Skew::None);
        watch.note(peer(3), Dates::Late, now);
        watch.note(peer(3), Dates::Fine, now);
        assert_eq!(watch.skew(now), Skew::Ahead, "newer offers prove nothing");
        assert_eq!(watch.skew(now + REMEMBERED), Skew::None);
    }

    #[test]
    fn one_liar_among_honest_peers_proves_nothing() {
        let (mut watch, now) = (ClockWatch::default(), Instant::now());
        watch.note(peer(2), Dates::Fine, now);
        for _ in 0..100 {
            watch.note(peer(1), Dates::Ahead, now);
        }
        assert!(watch.skew(now) == Skew::None);
    }

    #[test]
    fn so_many_peers_are_remembered_and_no_more() {
        let (mut watch, now) = (ClockWatch::default(), Instant::now());
        for n in 0..=u16::MAX {
            let mut id = [0; 32];
            id[..2].copy_from_slice(&n.to_be_bytes());
            watch.note(NodeId::from_bytes(id), Dates::Fine, now);
        }
        assert_eq!(watch.voices.len(), MAX_VOICES);
    }
}
