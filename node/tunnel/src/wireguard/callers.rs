//! Who knocks at a crowded door, and how often each is let in within one second.
//!
//! Sans-IO. A cookie proves that a caller is where it says; it does not make it a guest. So who
//! shows one is computed for only so often, and all of them together as often as everybody was
//! before it became crowded.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

// Our choice.
/// Handshakes of one proven caller a second; a guest needs one every two minutes.
const MOST_EACH: u32 = 10;
/// Handshakes of all proven callers a second, at least.
const LEAST_PROVEN: u64 = 64;

/// The callers of the current second.
#[derive(Debug)]
pub(crate) struct Callers {
    /// Handshakes a second before the door is crowded.
    limit: u64,
    seen: u64,
    proven: u64,
    each: HashMap<IpAddr, u32>,
}

impl Callers {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            seen: 0,
            proven: 0,
            each: HashMap::new(),
        }
    }

    /// A second is over.
    pub(crate) fn new_second(&mut self) {
        (self.seen, self.proven) = (0, 0);
        self.each.clear();
    }

    /// Somebody was sent a cookie.
    pub(crate) fn sent_away(&mut self) {
        self.seen = self.seen.saturating_add(1);
    }

    /// Whether a handshake that was found in order is computed. Once the door is crowded, only
    /// those with a cookie are found so.
    pub(crate) fn lets_in(&mut self, caller: IpAddr) -> bool {
        self.seen = self.seen.saturating_add(1);
        if self.seen <= self.limit {
            return true;
        }
        // No more than this many entries, either.
        if self.proven >= self.limit.max(LEAST_PROVEN) {
            return false;
        }
        let so_far = self.each.entry(place(caller)).or_default();
        if *so_far >= MOST_EACH {
            return false;
        }
        *so_far += 1;
        self.proven += 1;
        true
    }
}

/// One line has one IPv4 address, or 2^64 of IPv6.
fn place(caller: IpAddr) -> IpAddr {
    match caller {
        IpAddr::V4(_) => caller,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u32) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from_bits(0xc000_0200 + last))
    }

    #[test]
    fn everybody_comes_in_until_it_is_crowded_then_each_ten_times() {
        let mut callers = Callers::new(100);
        assert!((0..100).all(|_| callers.lets_in(v4(1))));
        let again = (0..50).filter(|_| callers.lets_in(v4(1))).count();
        assert_eq!(again, 10);
        assert!(callers.lets_in(v4(2)), "another is not to blame for it");
        callers.new_second();
        assert!(callers.lets_in(v4(1)));
    }

    #[test]
    fn all_proven_callers_together_have_a_bound_too() {
        let mut callers = Callers::new(100);
        (0..200).for_each(|_| callers.sent_away());
        let came = (0..5000).filter(|at| callers.lets_in(v4(*at))).count();
        assert_eq!((came, callers.each.len()), (100, 100));
        let mut crowded = Callers::new(0);
        let came = (0..5000).filter(|at| crowded.lets_in(v4(*at))).count();
        assert_eq!(came, 64);
    }

    #[test]
    fn a_network_of_ipv6_is_one_caller() {
        let mut callers = Callers::new(0);
        let at = |last: u128| IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) + last));
        let came = (0..100).filter(|last| callers.lets_in(at(*last))).count();
        assert_eq!(came, 10);
    }
}
