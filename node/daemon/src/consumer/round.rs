//! Which exits a plan has tried, when it begins again with all of them, and which of them failed the plans before.
//!
//! Sans-IO.

use std::time::Duration;

use warren_proto::{NodeId, UnixTime};

// Our choices.
/// Exits tried one after the other before a pause; at least so many before the user is told, if none served yet.
const MAX_TRIES: usize = 5;
/// A session that carried for so long was a good one: what comes after it is a new round.
const STEADY: Duration = Duration::from_secs(60);
/// Exits tried so long ago may serve again.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// The first pause; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// No pause is longer: an exit that is back is found within a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Exits remembered; with more of them the oldest is forgotten first.
const MAX_TRIED: usize = 256;

/// The tries since a session last went well.
#[derive(Debug, Default)]
pub(super) struct Round {
    tried: Vec<(NodeId, UnixTime)>,
    /// Since the last pause.
    tries: usize,
    pauses: u32,
    again_at: Option<UnixTime>,
}

impl Round {
    /// Whether any exit was tried.
    pub(super) const fn is_fresh(&self) -> bool {
        self.tried.is_empty()
    }

    /// Whether this exit's turn has not been yet.
    pub(super) fn may_try(&self, node: NodeId, now: UnixTime) -> bool {
        !self
            .tried
            .iter()
            .any(|(it, at)| *it == node && now.since(*at) < FORGOTTEN)
    }

    /// How many were tried since the last pause.
    pub(super) const fn tries_made(&self) -> usize {
        self.tries
    }

    /// Whether so many were tried that it is time for a pause, or for a word to the user.
    pub(super) const fn is_full(&self) -> bool {
        self.tries >= MAX_TRIES
    }

    /// An exit is being tried.
    pub(super) fn tries(&mut self, node: NodeId, now: UnixTime) {
        self.tried.retain(|(it, _)| *it != node);
        if self.tried.len() >= MAX_TRIED {
            self.tried.remove(0);
        }
        self.tried.push((node, now));
        self.tries = self.tries.saturating_add(1);
    }

    /// The session with `node` is over, after it carried for `served`.
    pub(super) fn lost(&mut self, node: NodeId, served: Duration, now: UnixTime) {
        if served >= STEADY {
            *self = Self::default();
        }
        self.tries(node, now);
    }

    /// Nobody is left to be tried, or enough were: says how long to wait. With nobody left, everybody's
    /// turn comes again.
    pub(super) fn pause(&mut self, now: UnixTime) -> Duration {
        if !self.is_full() {
            self.tried.clear();
        }
        self.tries = 0;
        let twice = 2u32.saturating_pow(self.pauses.min(16));
        let pause = FIRST_PAUSE.saturating_mul(twice).min(LONGEST_PAUSE);
        self.pauses = self.pauses.saturating_add(1);
        self.again_at = Some(now.plus(pause));
        pause
    }

    /// Whether a pause has just come to its end.
    pub(super) fn goes_on(&mut self, now: UnixTime) -> bool {
        self.again_at.take_if(|at| now >= *at).is_some()
    }
}

/// Exits that failed before they served: the next plan turns to others first. Offers cost nothing, so those that
/// rank best and serve nobody must not be all that is ever tried. One that served and died is what it seemed, and
/// has a channel.
#[derive(Debug, Clone, Default)]
pub(super) struct Failed(Vec<(NodeId, UnixTime)>);

impl Failed {
    /// Whether this exit failed lately.
    pub(super) fn has(&self, node: NodeId, now: UnixTime) -> bool {
        let lately = |(it, at): &(NodeId, UnixTime)| *it == node && now.since(*at) < FORGOTTEN;
        self.0.iter().any(lately)
    }

    /// The session with `node` ended by the exit's doing, after it carried for `served`.
    pub(super) fn note(&mut self, node: NodeId, served: Duration, now: UnixTime) {
        self.0.retain(|(it, _)| *it != node);
        if served > Duration::ZERO {
            return;
        }
        if self.0.len() >= MAX_TRIED {
            self.0.remove(0);
        }
        self.0.push((node, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixTime = UnixTime::from_secs(1_800_000_000);

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    /// The first of `alive` in the order of `all` that this round lets be tried, after those that fail.
    fn found(round: &mut Round, all: &[u8], alive: &[u8], mut now: UnixTime) -> (u8, Duration) {
        let begun = now;
        loop {
            let next = all.iter().find(|it| round.may_try(node(**it), now));
            match next.filter(|_| !round.is_full()) {
                Some(it) => {
                    round.tries(node(*it), now);
                    if alive.contains(it) {
                        return (*it, now.since(begun));
                    }
                    now = now.plus(Duration::from_secs(10));
                }
                None => {
                    let pause = round.pause(now);
                    now = now.plus(pause);
                    assert!(round.goes_on(now) && !round.goes_on(now));
                }
            }
            assert!(now.since(begun) < Duration::from_secs(3600), "for ever");
        }
    }

    #[test]
    fn two_dead_exits_do_not_hide_a_third() {
        let mut round = Round::default();
        round.tries(node(1), NOON);
        round.lost(node(1), Duration::from_secs(3), NOON);
        assert_eq!(found(&mut round, &[1, 2, 3], &[3], NOON).0, 3);
        // Nor do two that shake hands and fall silent.
        round.lost(node(3), Duration::from_secs(9), NOON);
        assert_eq!(found(&mut round, &[1, 2, 3, 4], &[1, 4], NOON).0, 4);
        // After a good session all others have another turn.
        round.lost(node(4), STEADY, NOON);
        assert_eq!(found(&mut round, &[1, 2, 3, 4], &[1], NOON).0, 1);
    }

    #[test]
    fn the_only_exit_has_its_turn_again_and_the_pauses_grow_to_a_bound() {
        let mut round = Round::default();
        round.lost(node(1), STEADY, NOON);
        assert!(!round.may_try(node(1), NOON));
        let mut last = Duration::ZERO;
        for _ in 0..100 {
            let pause = round.pause(NOON);
            assert!(pause >= last && pause <= LONGEST_PAUSE);
            assert!(round.may_try(node(1), NOON));
            assert!(!round.goes_on(NOON));
            last = pause;
        }
        assert_eq!(last, LONGEST_PAUSE);
        // A good session, and the next pause is short again.
        round.lost(node(1), STEADY, NOON);
        assert_eq!(round.pause(NOON), FIRST_PAUSE);
    }

    #[test]
    fn with_many_exits_there_is_a_pause_after_some_and_then_the_others_have_their_turn() {
        let mut round = Round::default();
        let all: Vec<u8> = (1..=13).collect();
        let (it, waited) = found(&mut round, &all, &[13], NOON);
        assert_eq!(it, 13);
        let tries = Duration::from_secs(10 * 12);
        assert_eq!(waited, tries + FIRST_PAUSE + FIRST_PAUSE * 2);
    }

    #[test]
    fn who_failed_is_remembered_for_a_while_and_who_served_is_not() {
        let mut failed = Failed::default();
        failed.note(node(1), Duration::ZERO, NOON);
        failed.note(node(2), Duration::from_secs(3), NOON);
        assert!(failed.has(node(1), NOON) && !failed.has(node(2), NOON));
        assert!(!failed.has(node(1), NOON.plus(FORGOTTEN)));
        failed.note(node(1), Duration::from_secs(3), NOON);
        assert!(!failed.has(node(1), NOON));
        for n in 0..2000_u16 {
            let mut id = [0; 32];
            id[..2].copy_from_slice(&n.to_be_bytes());
            failed.note(NodeId::from_bytes(id), Duration::ZERO, NOON);
        }
        assert_eq!(failed.0.len(), MAX_TRIED);
    }
}
