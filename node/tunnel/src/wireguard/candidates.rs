//! Where the other end may be, and which place is tried next.
//!
//! Sans-IO. Handshakes go to one candidate after the other, the next one when the last has not
//! answered for a little while (RFC 8305 does the same for connections); whichever answers first
//! is the endpoint. The same search begins again when the endpoint falls silent.
//!
//! Invariant: only who authenticated is ever found; the order is nobody's but ours, and who was named is not
//! forgotten for those who were found.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// As many as session terms may name.
const MOST: usize = 8;
/// How long one candidate may take before the next is tried besides (RFC 8305, section 8).
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The pause doubles with each candidate tried, up to WireGuard's own (Rekey-Timeout): an answer
/// from far away must find its handshake still remembered, and only the last two are.
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// The candidates of one other end, and the search among them.
#[derive(Debug, Clone)]
pub(crate) struct Candidates {
    all: Vec<SocketAddr>,
    /// The one of them that nobody named; at most one.
    met: Option<SocketAddr>,
    tried: u32,
    /// When the next one is due; `None`: nothing is searched for.
    due: Option<Instant>,
}

impl Candidates {
    /// Takes them best first. IPv4 and IPv6 take turns: what blocks one often spares the other.
    pub(crate) fn new(endpoints: &[SocketAddr]) -> Self {
        let mut all: Vec<SocketAddr> = Vec::new();
        for it in endpoints {
            if !all.contains(it) {
                all.push(*it);
            }
        }
        let v4_first = all.first().is_some_and(SocketAddr::is_ipv4);
        let (mut first, mut second): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|it| it.is_ipv4() == v4_first);
        let (mut turns, longer) = (Vec::new(), first.len().max(second.len()));
        for family in [&mut first, &mut second] {
            family.reverse();
        }
        for _ in 0..longer {
            turns.extend(first.pop());
            turns.extend(second.pop());
        }
        turns.truncate(MOST);
        Self {
            all: turns,
            met: None,
            tried: 0,
            due: None,
        }
    }

    /// The one thought best now.
    pub(crate) fn best(&self) -> Option<SocketAddr> {
        self.all.first().copied()
    }

    /// Begins a search, the best one first, unless one is under way or there is no choice.
    pub(crate) fn search(&mut self, now: Instant) {
        if self.due.is_none() && self.all.len() > 1 {
            self.tried = 0;
            self.due = Some(now);
        }
    }

    /// Whether the next candidate is to be tried now.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| now >= due)
    }

    /// Where the next handshake goes. Handshakes that nobody answers go round, search or not.
    pub(crate) fn next(&mut self, now: Instant) -> Option<SocketAddr> {
        let at = usize::try_from(self.tried).unwrap_or(usize::MAX) % self.all.len().max(1);
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.tried.min(16)));
        self.tried = self.tried.saturating_add(1);
        self.due = self.due.map(|_| now + pause.min(LAST_PAUSE));
        self.all.get(at).copied()
    }

    /// Ends the search: the other end was heard from `place`, which is the best from now on.
    pub(crate) fn found(&mut self, place: SocketAddr) {
        (self.tried, self.due) = (0, None);
        if self.best() == Some(place) {
            return;
        }
        if !self.all.contains(&place) {
            let before = self.met.replace(place);
            self.all.retain(|it| Some(*it) != before);
        }
        self.all.retain(|it| *it != place);
        self.all.insert(0, place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn all(texts: &[&str]) -> Candidates {
        let places: Vec<_> = texts.iter().map(|it| at(it)).collect();
        Candidates::new(&places)
    }

    const V4: [&str; 3] = ["192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"];
    const V6: [&str; 2] = ["[2001:db8::1]:1", "[2001:db8::2]:1"];

    #[test]
    fn families_take_turns_in_the_order_given() {
        let mixed = all(&[V4[0], V4[1], V4[1], V4[2], V6[0], V6[1]]);
        let wanted = [V4[0], V6[0], V4[1], V6[1], V4[2]].map(at);
        assert_eq!(mixed.all, wanted);
        assert_eq!(all(&[V6[0], V4[0]]).best(), Some(at(V6[0])));
    }

    #[test]
    fn the_next_is_tried_besides_and_the_pauses_grow() {
        let mut it = all(&[V4[0], V6[0]]);
        let mut now = Instant::now();
        it.search(now);
        let mut seen = Vec::new();
        for pause in [250, 500, 1000, 2000, 4000, 5000, 5000] {
            assert!(it.is_due(now));
            seen.push(it.next(now).unwrap());
            now += Duration::from_millis(pause - 1);
            assert!(!it.is_due(now), "after {} ms of {pause}", pause - 1);
            now += Duration::from_millis(1);
        }
        let turns = [V4[0], V6[0], V4[0], V6[0], V4[0], V6[0], V4[0]].map(at);
        assert_eq!(seen, turns);
    }

    #[test]
    fn who_answered_is_tried_first_the_next_time() {
        let mut it = all(&[V4[0], V6[0]]);
        let now = Instant::now();
        it.search(now);
        it.next(now);
        it.found(at(V6[0]));
        assert!(!it.is_due(now + Duration::from_secs(60)));
        assert_eq!(it.next(now), Some(at(V6[0])), "WireGuard's own handshake");
        assert_eq!(it.next(now), Some(at(V4[0])), "which nobody answered");
    }

    #[test]
    fn a_search_under_way_is_not_begun_again_and_one_place_is_no_choice() {
        let (mut it, mut only) = (all(&[V4[0], V6[0]]), all(&[V4[0]]));
        let now = Instant::now();
        it.search(now);
        it.next(now);
        it.search(now);
        assert!(!it.is_due(now));
        only.search(now);
        assert!(!only.is_due(now));
        assert_eq!(only.next(now), Some(at(V4[0])));
        assert_eq!(only.next(now), Some(at(V4[0])));
    }

    #[test]
    fn many_places_are_bounded_and_none_is_none() {
        let many: Vec<_> = (0..50)
            .map(|n| SocketAddr::from(([192, 0, 2, n], 1)))
            .collect();
        let mut it = Candidates::new(&many);
        assert_eq!(it.all.len(), MOST);
        let named = it.all.clone();
        for place in [V6[0], V6[1], V6[0]].map(at) {
            it.found(place);
            assert_eq!((it.all.len(), it.best()), (MOST + 1, Some(place)));
            assert!(named.iter().all(|kept| it.all.contains(kept)));
        }
        it.found(named[3]);
        assert_eq!((it.all.len(), it.best()), (MOST + 1, Some(named[3])));
        assert_eq!(Candidates::new(&[]).next(Instant::now()), None);
    }
}
