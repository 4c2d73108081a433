//! Which strangers enter the DHT's routing table, and when.
//!
//! Sans-IO.
//!
//! libp2p's Kademlia starts a whole bootstrap after every node that enters a small table, and keeps
//! the switch for that to itself. Entries are therefore made by hand, in batches that come ever more
//! rarely: one batch, one bootstrap (ADR 0014).
//!
//! Invariant: only an address that this node dialled itself, and found the right node at, is a
//! candidate; what a peer says of itself leads to a dial-back at most.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libp2p::{Multiaddr, PeerId};

// Our choice.
/// Candidates waiting for the next batch.
const MAX_WAITING: usize = 64;
/// Dial-backs under way.
const MAX_DIAL_BACKS: usize = 8;
/// Claims remembered, so that one is not dialled again and again.
const MAX_REMEMBERED: usize = 512;
/// The first gap between two batches; each next one is twice as long.
const FIRST_GAP: Duration = Duration::from_secs(1);
/// The longest gap.
const LAST_GAP: Duration = Duration::from_secs(60);
/// A dial-back is given up after so long: libp2p gives up a dial after ten seconds.
const DIAL_BACK_LIFE: Duration = Duration::from_secs(30);
/// A claim that was tried is not tried again for so long.
const DIAL_BACK_EVERY: Duration = Duration::from_secs(600);

/// Candidates for the routing table.
#[derive(Debug)]
pub(crate) struct Routing {
    waiting: BTreeMap<PeerId, Multiaddr>,
    gap: Duration,
    next: Option<Instant>,
    tried: BTreeMap<PeerId, Instant>,
    dialling: BTreeMap<PeerId, Instant>,
}

impl Routing {
    pub(crate) fn new() -> Self {
        let (waiting, tried, dialling) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self {
            waiting,
            gap: FIRST_GAP,
            next: None,
            tried,
            dialling,
        }
    }

    /// A node that answers DHT questions was reached at `address`. `false` if there is no room.
    pub(crate) fn candidate(&mut self, peer: PeerId, address: Multiaddr) -> bool {
        self.dialling.remove(&peer);
        let room = self.waiting.len() < MAX_WAITING || self.waiting.contains_key(&peer);
        if room {
            self.waiting.insert(peer, address);
        }
        room
    }

    /// The batch that is due, if one is.
    pub(crate) fn batch(&mut self, now: Instant) -> BTreeMap<PeerId, Multiaddr> {
        if self.waiting.is_empty() || self.next.is_some_and(|at| now < at) {
            return BTreeMap::new();
        }
        self.next = Some(now + self.gap);
        self.gap = (self.gap * 2).min(LAST_GAP);
        std::mem::take(&mut self.waiting)
    }

    /// Says whether to dial back a node that came to us and claims to answer DHT questions.
    pub(crate) fn dial_back(&mut self, peer: PeerId, now: Instant) -> bool {
        if self.tried.len() >= MAX_REMEMBERED {
            self.tried
                .retain(|_, at| now.duration_since(*at) < DIAL_BACK_EVERY);
        }
        self.dialling
            .retain(|_, at| now.duration_since(*at) < DIAL_BACK_LIFE);
        let again = self
            .tried
            .get(&peer)
            .is_none_or(|at| now.duration_since(*at) >= DIAL_BACK_EVERY);
        let room = self.tried.len() < MAX_REMEMBERED && self.dialling.len() < MAX_DIAL_BACKS;
        let granted = again && room && !self.waiting.contains_key(&peer);
        if granted {
            self.tried.insert(peer, now);
            self.dialling.insert(peer, now);
        }
        granted
    }

    /// A dial-back is over, however it went.
    pub(crate) fn dialled(&mut self, peer: &PeerId) {
        self.dialling.remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> Multiaddr {
        "/ip4/192.0.2.1/udp/4077/quic-v1".parse().unwrap()
    }

    #[test]
    fn the_first_candidate_enters_at_once_and_the_next_ones_together() {
        let (mut routing, start) = (Routing::new(), Instant::now());
        assert!(routing.candidate(PeerId::random(), address()));
        assert_eq!(routing.batch(start).len(), 1);
        for _ in 0..5 {
            assert!(routing.candidate(PeerId::random(), address()));
            assert_eq!(routing.batch(start).len(), 0);
        }
        assert_eq!(routing.batch(start + FIRST_GAP).len(), 5);
    }

    #[test]
    fn a_thousand_newcomers_in_an_hour_are_a_few_dozen_batches() {
        let (mut routing, start) = (Routing::new(), Instant::now());
        let mut batches = 0;
        for second in 0..3600 {
            routing.candidate(PeerId::random(), address());
            batches += usize::from(
                !routing
                    .batch(start + Duration::from_secs(second))
                    .is_empty(),
            );
        }
        assert!(batches < 70, "{batches}");
    }

    #[test]
    fn a_claim_is_tried_once_in_a_while() {
        let (mut routing, now, peer) = (Routing::new(), Instant::now(), PeerId::random());
        assert!(routing.dial_back(peer, now));
        routing.dialled(&peer);
        assert!(!routing.dial_back(peer, now + DIAL_BACK_EVERY / 2));
        assert!(routing.dial_back(peer, now + DIAL_BACK_EVERY));
    }

    #[test]
    fn dial_backs_that_came_to_nothing_hold_up_no_honest_node() {
        let (mut routing, now) = (Routing::new(), Instant::now());
        let liars = [(); MAX_DIAL_BACKS].map(|()| PeerId::random());
        for liar in liars {
            assert!(routing.dial_back(liar, now));
        }
        let honest = PeerId::random();
        assert!(!routing.dial_back(honest, now));
        assert!(routing.dial_back(honest, now + DIAL_BACK_LIFE));
    }

    #[test]
    fn dial_backs_are_few_at_a_time() {
        let (mut routing, now) = (Routing::new(), Instant::now());
        let granted = (0..100)
            .filter(|_| routing.dial_back(PeerId::random(), now))
            .count();
        assert_eq!(granted, MAX_DIAL_BACKS);
    }
}
