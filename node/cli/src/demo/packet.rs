//! As much of an Ethernet frame as is needed to say what it is. Reads bytes of strangers: nothing is assumed.
//!
//! Sans-IO.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

// Specification: IEEE 802.3 EtherTypes, IANA protocol numbers, RFC 4443 and RFC 4861 ICMPv6 types.
const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
const ICMP: u8 = 1;
const ICMP_UNREACHABLE: u8 = 3;
const ICMPV6_UNREACHABLE: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const HOP_BY_HOP: u8 = 0;

/// One frame, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// ARP, ICMPv6 neighbour discovery or multicast listener messages: never leaves the line.
    Neighbour,
    /// An IP packet.
    Ip {
        /// Source address.
        from: IpAddr,
        /// Destination address.
        to: IpAddr,
        /// What it carries.
        transport: Transport,
    },
    /// Neither, or cut too short to say.
    Other {
        /// The EtherType; 0 when not even that is there.
        ether_type: u16,
    },
}

/// What an IP packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A UDP datagram.
    Udp {
        /// Source and destination port.
        ports: (u16, u16),
        /// The first bytes of its payload; zeros where it is shorter.
        start: [u8; 4],
    },
    /// A TCP segment.
    Tcp {
        /// Source and destination port.
        ports: (u16, u16),
    },
    /// Anything else, also a later fragment.
    Other {
        /// The protocol's number.
        protocol: u8,
    },
}

impl Packet {
    /// Reads a frame as it was on the line.
    #[must_use]
    pub fn read(frame: &[u8]) -> Self {
        let ether_type = be16(frame, 12).unwrap_or(0);
        let payload = frame.get(14..).unwrap_or_default();
        let ip = match ether_type {
            ARP => return Self::Neighbour,
            IPV4 => read_v4(payload),
            IPV6 => read_v6(payload),
            _ => None,
        };
        ip.unwrap_or(Self::Other { ether_type })
    }

    /// Source and destination of an IP packet.
    #[must_use]
    pub fn addresses(&self) -> Option<(IpAddr, IpAddr)> {
        match self {
            Self::Ip { from, to, .. } => Some((*from, *to)),
            Self::Neighbour | Self::Other { .. } => None,
        }
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Neighbour => f.write_str("neighbour discovery"),
            Self::Other { ether_type } => write!(f, "frame of type {ether_type:#06x}"),
            Self::Ip {
                from,
                to,
                transport,
            } => match transport {
                Transport::Udp { ports, .. } => {
                    write!(f, "udp {from} {} -> {to} {}", ports.0, ports.1)
                }
                Transport::Tcp { ports } => write!(f, "tcp {from} {} -> {to} {}", ports.0, ports.1),
                Transport::Other { protocol } => write!(f, "protocol {protocol} {from} -> {to}"),
            },
        }
    }
}

fn read_v4(bytes: &[u8]) -> Option<Packet> {
    let header = usize::from(bytes.first()? & 0x0f) * 4;
    let later_fragment = be16(bytes, 6)? & 0x1fff != 0;
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(Ipv4Addr::from(octets).into())
    };
    let protocol = *bytes.get(9)?;
    let payload = bytes.get(header..)?;
    // The kernel's answer to a packet for a closed port is of the kind of the packet that it quotes.
    if protocol == ICMP && !later_fragment && payload.first() == Some(&ICMP_UNREACHABLE) {
        return read_v4(payload.get(8..)?);
    }
    let transport = if later_fragment {
        Transport::Other { protocol }
    } else {
        read_transport(protocol, payload)
    };
    Some(Packet::Ip {
        from: address(12)?,
        to: address(16)?,
        transport,
    })
}

fn read_v6(bytes: &[u8]) -> Option<Packet> {
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
        Some(Ipv6Addr::from(octets).into())
    };
    let (mut protocol, mut payload) = (*bytes.get(6)?, bytes.get(40..)?);
    if protocol == HOP_BY_HOP {
        let length = (usize::from(*payload.get(1)?) + 1) * 8;
        (protocol, payload) = (*payload.first()?, payload.get(length..)?);
    }
    // 130-132, 143: multicast listeners; 133-137: routers, neighbours, redirects.
    if protocol == ICMPV6 && matches!(payload.first()?, 130..=137 | 143) {
        return Some(Packet::Neighbour);
    }
    if protocol == ICMPV6 && payload.first() == Some(&ICMPV6_UNREACHABLE) {
        return read_v6(payload.get(8..)?);
    }
    Some(Packet::Ip {
        from: address(8)?,
        to: address(24)?,
        transport: read_transport(protocol, payload),
    })
}

fn read_transport(protocol: u8, payload: &[u8]) -> Transport {
    let (Some(from), Some(to)) = (be16(payload, 0), be16(payload, 2)) else {
        return Transport::Other { protocol };
    };
    match protocol {
        TCP => Transport::Tcp { ports: (from, to) },
        UDP => {
            let mut start = [0; 4];
            let body = payload.get(8..).unwrap_or_default();
            start
                .iter_mut()
                .zip(body)
                .for_each(|(to, from)| *to = *from);
            Transport::Udp {
                ports: (from, to),
                start,
            }
        }
        _ => Transport::Other { protocol },
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}
