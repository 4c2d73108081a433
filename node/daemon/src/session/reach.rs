//! Whether guests reach an exit's tunnel, by how their sessions ended.
//!
//! Sans-IO. The exit cannot ask itself from outside; but a guest that had its place for a while and never shook hands
//! did not find the port, and after some of them in a row that is no longer the guests' own doing.

use std::collections::BTreeSet;
use std::time::Duration;

use warren_proto::NodeId;

// Our choice.
/// So many guests in a row, each another node: one may be behind a network that blocks UDP, or two.
const ENOUGH: usize = 3;
/// A guest that left sooner may have changed its mind. Handshakes go to every endpoint within this time.
const LONG_ENOUGH: Duration = Duration::from_secs(5);

/// What the last sessions say.
///
/// Invariant: `missed` holds `ENOUGH` nodes at most, and none once somebody shook hands.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    missed: BTreeSet<NodeId>,
}

impl Reach {
    /// A guest shook hands for the first time in its session: the port is reached.
    pub fn shook_hands(&mut self) {
        self.missed.clear();
    }

    /// The session of `guest` ended without a handshake, having had its place in the tunnel for `waited`.
    pub fn missed(&mut self, guest: NodeId, waited: Duration) {
        if waited >= LONG_ENOUGH && self.missed.len() < ENOUGH {
            self.missed.insert(guest);
        }
    }

    /// How many guests in a row did not find the port. `None` while that says nothing.
    #[must_use]
    pub fn unreached(&self) -> Option<usize> {
        (self.missed.len() >= ENOUGH).then_some(self.missed.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn after(guests: &[u8]) -> Reach {
        let mut reach = Reach::default();
        for n in guests {
            reach.missed(node(*n), LONG_ENOUGH);
        }
        reach
    }

    #[test]
    fn three_guests_that_never_shook_hands_say_that_the_port_is_not_reached() {
        assert_eq!(after(&[1, 2]).unreached(), None);
        assert_eq!(after(&[1, 2, 3]).unreached(), Some(3));
        assert_eq!(after(&[1, 2, 3, 4]).unreached(), Some(3));
    }

    #[test]
    fn one_guest_that_comes_again_and_again_says_nothing() {
        assert_eq!(after(&[1, 1, 1, 2]).unreached(), None);
    }

    #[test]
    fn a_guest_that_left_at_once_says_nothing() {
        let mut reach = after(&[1, 2]);
        reach.missed(node(3), LONG_ENOUGH - Duration::from_millis(1));
        assert_eq!(reach.unreached(), None);
    }

    #[test]
    fn the_first_guest_that_shakes_hands_ends_it() {
        let mut reach = after(&[1, 2, 3]);
        reach.shook_hands();
        assert_eq!(reach.unreached(), None);
        reach.missed(node(4), LONG_ENOUGH);
        assert_eq!(reach.unreached(), None, "it is counted from there anew");
    }
}
