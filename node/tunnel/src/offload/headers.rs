//! The headers of one unfragmented TCP or UDP packet: where they are, and setting their fields.
//!
//! Sans-IO. Total: anything else is `None`.

use super::checksum;

// Specification (RFC 791, 8200, 9293, 768).
const TCP: u8 = 6;
const UDP: u8 = 17;
const IPV6_LEN: usize = 40;
const TCP_LEAST: usize = 20;
const UDP_LEN: usize = 8;
/// IPv4 and TCP headers at their largest: 60 bytes each.
pub(crate) const MOST_HEADER: usize = 120;

/// TCP or UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Udp,
}

impl Transport {
    fn protocol(self) -> u8 {
        match self {
            Self::Tcp => TCP,
            Self::Udp => UDP,
        }
    }

    /// Where the checksum is, from the start of the transport header.
    pub(crate) fn checksum_offset(self) -> usize {
        match self {
            Self::Tcp => 16,
            Self::Udp => 6,
        }
    }
}

/// Where the headers of a packet are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// IPv4; else IPv6.
    pub(crate) v4: bool,
    pub(crate) transport: Transport,
    /// Bytes of the IP header.
    pub(crate) ip_len: usize,
    /// Bytes of both headers.
    pub(crate) header_len: usize,
}

impl Layout {
    /// Finds the headers of `packet`. IPv6 extension headers and fragments are not for us.
    pub(crate) fn of(packet: &[u8]) -> Option<Self> {
        let (v4, ip_len, protocol) = match packet.first()? >> 4 {
            4 => {
                let ip_len = usize::from(packet[0] & 0x0f) * 4;
                let fragment = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x3fff;
                if ip_len < 20 || fragment != 0 {
                    return None;
                }
                (true, ip_len, *packet.get(9)?)
            }
            6 => (false, IPV6_LEN, *packet.get(6)?),
            _ => return None,
        };
        let (transport, header_len) = match protocol {
            TCP => {
                let len = usize::from(*packet.get(ip_len + 12)? >> 4) * 4;
                if len < TCP_LEAST {
                    return None;
                }
                (Transport::Tcp, ip_len + len)
            }
            UDP => (Transport::Udp, ip_len + UDP_LEN),
            _ => return None,
        };
        (packet.len() >= header_len).then_some(Self {
            v4,
            transport,
            ip_len,
            header_len,
        })
    }

    /// Source and destination, as they stand in the header.
    pub(crate) fn addresses<'a>(&self, packet: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        if self.v4 {
            (&packet[12..16], &packet[16..20])
        } else {
            (&packet[8..24], &packet[24..40])
        }
    }

    /// The sum of the pseudo header for `transport_len` bytes of transport.
    pub(crate) fn pseudo(&self, packet: &[u8], transport_len: usize) -> u64 {
        let (source, destination) = self.addresses(packet);
        checksum::pseudo(
            source,
            destination,
            self.transport.protocol(),
            transport_len,
        )
    }

    /// Whether the transport checksum holds. A UDP checksum of zero says "none": it does not.
    pub(crate) fn transport_holds(&self, packet: &[u8]) -> bool {
        let at = self.ip_len + self.transport.checksum_offset();
        if self.transport == Transport::Udp && packet[at..at + 2] == [0, 0] {
            return false;
        }
        let pseudo = self.pseudo(packet, packet.len() - self.ip_len);
        checksum::holds(checksum::add(pseudo, &packet[self.ip_len..]))
    }

    /// Whether the IP header's checksum holds; IPv6 has none.
    pub(crate) fn ip_holds(&self, packet: &[u8]) -> bool {
        !self.v4 || checksum::holds(checksum::add(0, &packet[..self.ip_len]))
    }

    /// Whether the length fields say what the packet is.
    pub(crate) fn lengths_hold(&self, packet: &[u8]) -> bool {
        let field = |at: usize| usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
        let ip = if self.v4 {
            field(2)
        } else {
            field(4) + IPV6_LEN
        };
        let transport = match self.transport {
            Transport::Tcp => true,
            Transport::Udp => field(self.ip_len + 4) == packet.len() - self.ip_len,
        };
        ip == packet.len() && transport
    }

    /// Sets the length fields for a packet of `len` bytes, and the IPv4 header's checksum.
    pub(crate) fn set_lengths(&self, header: &mut [u8], len: usize) {
        let field = |len: usize| u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
        if self.v4 {
            header[2..4].copy_from_slice(&field(len));
            header[10..12].fill(0);
            let sum = checksum::finish(checksum::add(0, &header[..self.ip_len]));
            header[10..12].copy_from_slice(&sum);
        } else {
            header[4..6].copy_from_slice(&field(len - IPV6_LEN));
        }
        if self.transport == Transport::Udp {
            let at = self.ip_len + 4;
            header[at..at + 2].copy_from_slice(&field(len - self.ip_len));
        }
    }

    /// Computes and stores the transport checksum of a whole packet.
    pub(crate) fn set_checksum(&self, packet: &mut [u8]) {
        let at = self.ip_len + self.transport.checksum_offset();
        packet[at..at + 2].fill(0);
        let pseudo = self.pseudo(packet, packet.len() - self.ip_len);
        let mut sum = checksum::finish(checksum::add(pseudo, &packet[self.ip_len..]));
        if self.transport == Transport::Udp && sum == [0, 0] {
            sum = [0xff, 0xff]; // Zero would say "none".
        }
        packet[at..at + 2].copy_from_slice(&sum);
    }
}
