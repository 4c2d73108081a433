//! Echoes asked of the exit's inner address, and their answers told from other packets.
//!
//! Sans-IO. ICMP echo (RFC 792, RFC 4443), so every WireGuard whose host answers it can be asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::offload::checksum;

// Specification.
const V4_LEN: usize = 20;
const V6_LEN: usize = 40;
const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;
const DONT_FRAGMENT: u8 = 0x40;

/// Whether a packet may be an echo: a glance, for each packet.
pub(crate) fn may_be(packet: &[u8]) -> bool {
    let protocol = match packet.first().map(|it| it >> 4) {
        Some(4) => packet.get(9),
        _ => packet.get(6),
    };
    matches!(protocol, Some(&(ICMP | ICMP_V6)))
}

/// Who asks whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) from: IpAddr,
    pub(crate) to: IpAddr,
    /// Tells our echoes from those of programs on this machine.
    pub(crate) id: u16,
}

impl Pair {
    /// An echo request that is `size` bytes long in all, which is also its number. `None` if the two
    /// do not speak one IP, or it cannot be so short.
    pub(crate) fn request(&self, size: u16) -> Option<Vec<u8>> {
        let mut packet = match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => v4(from, to, size),
            (IpAddr::V6(from), IpAddr::V6(to)) => v6(from, to, size),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
        };
        let (head, kind) = match self.from {
            IpAddr::V4(_) => (V4_LEN, 8),
            IpAddr::V6(_) => (V6_LEN, 128),
        };
        packet.resize(usize::from(size), 0);
        let message = packet.get_mut(head..)?;
        message.get_mut(..8)?[0] = kind;
        message[4..6].copy_from_slice(&self.id.to_be_bytes());
        message[6..8].copy_from_slice(&size.to_be_bytes());
        let pseudo = match (self.from, self.to) {
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                checksum::pseudo(&from.octets(), &to.octets(), ICMP_V6, message.len())
            }
            _ => 0,
        };
        let sum = checksum::finish(checksum::add(pseudo, message));
        message[2..4].copy_from_slice(&sum);
        Some(packet)
    }

    /// The size of the request that `packet` answers. `None` for any other packet.
    pub(crate) fn answered(&self, packet: &[u8]) -> Option<u16> {
        let ends = crate::packet::ends(packet)?;
        if ends.source != self.to || ends.destination != self.from {
            return None;
        }
        let (head, protocol, kind) = match self.from {
            IpAddr::V4(_) => (V4_LEN, *packet.get(9)?, 0),
            IpAddr::V6(_) => (V6_LEN, *packet.get(6)?, 129),
        };
        let right = matches!(
            (protocol, self.from),
            (ICMP, IpAddr::V4(_)) | (ICMP_V6, IpAddr::V6(_))
        );
        let message = packet.get(head..head + 8)?;
        let number = u16::from_be_bytes([message[6], message[7]]);
        let ours = right && message[0] == kind && message[4..6] == self.id.to_be_bytes();
        (ours && usize::from(number) == packet.len()).then_some(number)
    }
}

fn v4(from: Ipv4Addr, to: Ipv4Addr, size: u16) -> Vec<u8> {
    let len = size.to_be_bytes();
    let mut head = vec![
        0x45,
        0,
        len[0],
        len[1],
        0,
        0,
        DONT_FRAGMENT,
        0,
        64,
        ICMP,
        0,
        0,
    ];
    head.extend(from.octets());
    head.extend(to.octets());
    let sum = checksum::finish(checksum::add(0, &head));
    head[10..12].copy_from_slice(&sum);
    head
}

fn v6(from: Ipv6Addr, to: Ipv6Addr, size: u16) -> Vec<u8> {
    let len = size.saturating_sub(40).to_be_bytes();
    let mut head = vec![0x60, 0, 0, 0, len[0], len[1], ICMP_V6, 64];
    head.extend(from.octets());
    head.extend(to.octets());
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs() -> [Pair; 2] {
        let pair = |from: &str, to: &str| Pair {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            id: 0x7761,
        };
        [
            pair("10.77.0.2", "10.77.0.1"),
            pair("fd77:7761::2", "fd77:7761::1"),
        ]
    }

    /// What a host answers.
    pub(crate) fn answer(request: &[u8]) -> Vec<u8> {
        let mut packet = request.to_vec();
        if packet[0] >> 4 == 4 {
            packet[12..20].rotate_left(4);
            packet[20] = 0;
        } else {
            packet[8..40].rotate_left(16);
            packet[40] = 129;
        }
        packet
    }

    #[test]
    fn an_answer_is_told_by_all_that_was_asked() {
        for pair in pairs() {
            let request = pair.request(1300).unwrap();
            assert_eq!(request.len(), 1300);
            assert_eq!(pair.answered(&request), None, "a question is no answer");
            let good = answer(&request);
            assert_eq!(pair.answered(&good), Some(1300));
            let other = Pair { id: 1, ..pair };
            assert_eq!(other.answered(&good), None);
            assert_eq!(pair.answered(&good[..1299]), None);
            for len in 0..60 {
                assert_eq!(pair.answered(&good[..len]), None);
            }
        }
    }

    #[test]
    fn checksums_are_right() {
        let [v4, v6] = pairs().map(|it| it.request(1281).unwrap());
        assert!(checksum::holds(checksum::add(0, &v4[..20])));
        assert!(checksum::holds(checksum::add(0, &v4[20..])));
        let pseudo = checksum::pseudo(&v6[8..24], &v6[24..40], ICMP_V6, v6.len() - 40);
        assert!(checksum::holds(checksum::add(pseudo, &v6[40..])));
    }
}
