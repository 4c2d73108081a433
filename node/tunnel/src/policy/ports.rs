//! Which transports and ports an exit carries.
//!
//! Sans-IO.

use std::fmt;

use super::Preset;

// Our choice: mail hand-over, Windows file sharing, discovery protocols, an amplifier.

/// TCP ports no exit ever carries: mail relaying, NetBIOS and SMB, memcached.
const NEVER_TCP: &[PortRange] = &[
    PortRange::one(25),
    PortRange::new(135, 139),
    PortRange::one(445),
    PortRange::one(11211),
];
/// UDP ports no exit ever carries: NetBIOS, SMB, SSDP, mDNS, LLMNR, memcached.
const NEVER_UDP: &[PortRange] = &[
    PortRange::one(25),
    PortRange::new(135, 139),
    PortRange::one(445),
    PortRange::one(1900),
    PortRange::one(5353),
    PortRange::one(5355),
    PortRange::one(11211),
];
/// The other ways to hand in mail.
const MAIL: &[PortRange] = &[
    PortRange::one(465),
    PortRange::one(587),
    PortRange::one(2525),
];
/// HTTP, HTTPS, DNS, DNS over TLS.
const WEB_TCP: &[PortRange] = &[
    PortRange::one(53),
    PortRange::one(80),
    PortRange::one(443),
    PortRange::one(853),
];
/// DNS, QUIC.
const WEB_UDP: &[PortRange] = &[PortRange::one(53), PortRange::one(443)];

/// What carries a flow, as far as a policy cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP or ICMPv6 echo; errors belong to the flow they speak of.
    Echo,
    /// Any other IP protocol.
    Other(u8),
}

/// Ports from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// The range from `first` to `last`; they are put in order.
    pub const fn new(first: u16, last: u16) -> Self {
        if first <= last {
            Self { first, last }
        } else {
            Self {
                first: last,
                last: first,
            }
        }
    }

    /// The range of one port.
    pub const fn one(port: u16) -> Self {
        Self {
            first: port,
            last: port,
        }
    }

    /// Tells whether `port` is in it.
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// Which ports pass: all that `carried` names and `refused` does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRule {
    carried_tcp: Vec<PortRange>,
    carried_udp: Vec<PortRange>,
    refused_tcp: Vec<PortRange>,
    refused_udp: Vec<PortRange>,
}

impl PortRule {
    pub(super) fn of(preset: Preset) -> Self {
        let every = [PortRange::new(1, u16::MAX)];
        let (tcp, udp, mail): (&[PortRange], &[PortRange], &[PortRange]) = match preset {
            Preset::WebAndDns => (WEB_TCP, WEB_UDP, MAIL),
            Preset::AllButMail => (&every, &every, MAIL),
            Preset::All => (&every, &every, &[]),
        };
        let mut rule = Self {
            carried_tcp: tcp.to_vec(),
            carried_udp: udp.to_vec(),
            refused_tcp: Vec::new(),
            refused_udp: Vec::new(),
        };
        NEVER_TCP
            .iter()
            .chain(mail)
            .for_each(|it| rule.take_away(Transport::Tcp, *it));
        NEVER_UDP
            .iter()
            .chain(mail)
            .for_each(|it| rule.take_away(Transport::Udp, *it));
        rule
    }

    /// Tells whether a new flow may go there.
    pub fn allows(&self, transport: Transport, port: u16) -> bool {
        let held = |ranges: &[PortRange]| ranges.iter().any(|range| range.contains(port));
        match transport {
            Transport::Tcp => held(&self.carried_tcp) && !held(&self.refused_tcp),
            Transport::Udp => held(&self.carried_udp) && !held(&self.refused_udp),
            Transport::Echo => true,
            Transport::Other(_) => false,
        }
    }

    /// Returns the carried and the refused TCP ports; refusing wins.
    pub fn tcp(&self) -> (&[PortRange], &[PortRange]) {
        (&self.carried_tcp, &self.refused_tcp)
    }

    /// Returns the carried and the refused UDP ports; refusing wins.
    pub fn udp(&self) -> (&[PortRange], &[PortRange]) {
        (&self.carried_udp, &self.refused_udp)
    }

    pub(super) fn take_away(&mut self, transport: Transport, range: PortRange) {
        let refused = match transport {
            Transport::Tcp => &mut self.refused_tcp,
            Transport::Udp => &mut self.refused_udp,
            Transport::Echo | Transport::Other(_) => return,
        };
        refused.push(range);
        *refused = joined(refused);
    }

    pub(super) fn canonical(&self) -> String {
        let mut text = String::new();
        for (word, ranges) in [
            ("carry tcp", &self.carried_tcp),
            ("carry udp", &self.carried_udp),
            ("refuse tcp", &self.refused_tcp),
            ("refuse udp", &self.refused_udp),
        ] {
            ranges
                .iter()
                .for_each(|range| text.push_str(&format!("{word} {range}\n")));
        }
        text
    }
}

/// Sorts ranges and joins those that touch: interval sets of the kernel refuse overlaps.
fn joined(ranges: &[PortRange]) -> Vec<PortRange> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    let mut out: Vec<PortRange> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match out.last_mut() {
            Some(open) if range.first <= open.last.saturating_add(1) => {
                open.last = open.last.max(range.last);
            }
            Some(_) | None => out.push(range),
        }
    }
    out
}

/// Reads `tcp/25` or `udp/1000-2000`; `None` if it is anything else.
pub(super) fn parse_entry(entry: &str) -> Option<(Transport, PortRange)> {
    let (transport, ports) = entry.split_once('/')?;
    let transport = match transport {
        "tcp" => Transport::Tcp,
        "udp" => Transport::Udp,
        _ => return None,
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let range = PortRange {
        first: first.parse().ok()?,
        last: last.parse().ok()?,
    };
    (range.first <= range.last).then_some((transport, range))
}
