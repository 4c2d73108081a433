//! What of this host's own surroundings stays reachable beside the tunnel, because its owner says so.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Networks that no public address is in: RFC 1918, RFC 3927 (link-local), RFC 4193 (unique local), RFC 4291.
///
/// Whoever runs the network this host is in could name any other of its own, to have what goes there in clear.
const PRIVATE: [IpNet; 6] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16)),
    IpNet::V6(Ipv6Net::new_assert(
        Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0),
        7,
    )),
    IpNet::V6(Ipv6Net::new_assert(
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0),
        10,
    )),
];

/// What goes beside the tunnel. By default nothing does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LocalAccess {
    /// Private networks that this host has a narrower way to than the default route; names are not asked there.
    pub lan: bool,
    /// TCP ports of services here whose answers go the way the questions came.
    pub inbound_tcp: Vec<u16>,
}

impl LocalAccess {
    /// The networks it speaks of.
    pub(crate) fn networks(&self) -> &'static [IpNet] {
        if self.lan { &PRIVATE } else { &[] }
    }

    /// Whether a TCP connection from `client` to `port` of this host goes on while a tunnel is up.
    #[must_use]
    pub fn keeps(&self, client: std::net::IpAddr, port: u16) -> bool {
        let client = client.to_canonical();
        let is_near = self.networks().iter().any(|it| it.contains(&client));
        client.is_loopback() || is_near || self.inbound_tcp.contains(&port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_near_or_asks_a_service_that_answers_is_kept() {
        let near = LocalAccess {
            lan: true,
            inbound_tcp: Vec::new(),
        };
        let service = LocalAccess {
            lan: false,
            inbound_tcp: vec![22],
        };
        let keeps = |it: &LocalAccess, from: &str| it.keeps(from.parse().unwrap(), 22);
        for from in ["192.168.1.9", "::ffff:10.0.0.1", "fd00::1", "fe80::1"] {
            assert!(keeps(&near, from) && !keeps(&LocalAccess::default(), from));
        }
        for from in ["198.51.100.9", "2001:db8::9", "100.64.0.1"] {
            assert!(!keeps(&near, from) && keeps(&service, from), "{from}");
        }
        assert!(!service.keeps("198.51.100.9".parse().unwrap(), 23));
        assert!(keeps(&LocalAccess::default(), "127.0.0.1"));
    }
}
