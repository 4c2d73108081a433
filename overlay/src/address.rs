//! Addresses: which texts we take, and which we may dial.
//!
//! Sans-IO.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

use crate::config::OverlayConfig;
use crate::error::OverlayError;

/// Why an address to listen at is none.
pub(crate) const NOT_CARRIED: &str = "neither QUIC nor TCP on an IP address";

/// Reads an address to announce, or the words of any other.
pub(crate) fn parse(text: &str) -> Result<Multiaddr, OverlayError> {
    text.parse().map_err(|_| refuse(text, "not a multiaddr"))
}

/// Reads an address to listen at: QUIC or TCP on an IP address.
pub(crate) fn parse_listen(text: &str) -> Result<Multiaddr, OverlayError> {
    let address = parse(text)?;
    let is_carried = behind_transport(&address).is_some();
    is_carried
        .then_some(address)
        .ok_or_else(|| refuse(text, NOT_CARRIED))
}

/// What comes after an IP address and QUIC or TCP. `None` if it does not start with these.
fn behind_transport(address: &Multiaddr) -> Option<impl Iterator<Item = Protocol<'_>>> {
    let mut parts = address.iter();
    let on_ip = matches!(parts.next(), Some(Protocol::Ip4(_) | Protocol::Ip6(_)));
    let carries = match parts.next() {
        Some(Protocol::Tcp(_)) => true,
        Some(Protocol::Udp(_)) => matches!(parts.next(), Some(Protocol::QuicV1)),
        _ => false,
    };
    (on_ip && carries).then_some(parts)
}

/// Whether this is QUIC or TCP on an IP address, with no more behind it than the node to expect there. Of a longer
/// one libp2p may dial another host than the one it starts with: for TCP it reads the end.
fn is_direct(address: &Multiaddr) -> bool {
    behind_transport(address).is_some_and(|mut rest| {
        matches!(rest.next(), None | Some(Protocol::P2p(_))) && rest.next().is_none()
    })
}

/// Reads an address to join at: it must end in `/p2p/…`, so that nobody else can answer there.
pub(crate) fn parse_bootstrap(text: &str) -> Result<(PeerId, Multiaddr), OverlayError> {
    let mut address = parse(text)?;
    match address.pop() {
        Some(Protocol::P2p(_)) if !starts_well(&address) => Err(refuse(
            text,
            "it starts with neither an IP address nor a name",
        )),
        Some(Protocol::P2p(peer)) => Ok((peer, address)),
        _ => Err(refuse(
            text,
            "it does not end in /p2p/ and the node to expect there",
        )),
    }
}

/// The IP address or the name that a multiaddr in text starts with. `None` if it starts with neither, or is
/// no multiaddr.
///
/// # Examples
/// ```
/// # use warren_overlay::host_of;
/// assert_eq!(host_of("/ip4/203.0.113.7/udp/4077/quic-v1").as_deref(), Some("203.0.113.7"));
/// assert_eq!(host_of("/dns6/exit.example/tcp/4077").as_deref(), Some("exit.example"));
/// assert_eq!(host_of("exit.example:4077"), None);
/// ```
#[must_use]
pub fn host_of(text: &str) -> Option<String> {
    let address: Multiaddr = text.parse().ok()?;
    let first = address.iter().next()?;
    if let Protocol::Ip4(ip) = first {
        return Some(ip.to_string());
    }
    if let Protocol::Ip6(ip) = first {
        return Some(ip.to_string());
    }
    name(&address)
}

fn is_everywhere(listen: &str) -> bool {
    let address = parse(listen).ok();
    address
        .and_then(|it| ip(&it))
        .is_some_and(|it| it.is_unspecified())
}

fn is_here(bootstrap: &str) -> bool {
    parse(bootstrap).is_ok_and(|it| {
        let is_loopback = ip(&it).is_some_and(|it| it.is_loopback());
        is_loopback || name(&it).as_deref() == Some("localhost")
    })
}

fn starts_well(address: &Multiaddr) -> bool {
    let first = address.iter().next();
    matches!(first, Some(Protocol::Ip4(_) | Protocol::Ip6(_))) || name(address).is_some()
}

/// The IP an address starts with, in its canonical form. `None` if it starts with none.
fn ip(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => Some(IpAddr::V4(ip)),
        Some(Protocol::Ip6(ip)) => Some(canonical(ip)),
        _ => None,
    }
}

/// The name an address starts with, which must be looked up first. `None` if it starts with an IP.
pub(crate) fn name(address: &Multiaddr) -> Option<String> {
    match address.iter().next() {
        Some(Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name)) => {
            Some(name.into_owned())
        }
        _ => None,
    }
}

/// The address with the IP its name was found to have. `None` if that is not of the family asked for.
pub(crate) fn resolved(address: &Multiaddr, ip: IpAddr) -> Option<Multiaddr> {
    let first = address.iter().next()?;
    let family_fits = match ip {
        IpAddr::V4(_) => !matches!(first, Protocol::Dns6(_)),
        IpAddr::V6(_) => !matches!(first, Protocol::Dns4(_)),
    };
    let rest = address.iter().skip(1);
    family_fits.then(|| std::iter::once(Protocol::from(ip)).chain(rest).collect())
}

/// The multiaddr `text` with `ip` in place of the name it starts with. `None` if it starts with none, or with one of the
/// other family.
///
/// # Examples
/// ```
/// # use warren_overlay::named_at;
/// let at = |ip: &str| named_at("/dns4/exit.example/tcp/4077", ip.parse().unwrap());
/// assert_eq!(at("203.0.113.7").as_deref(), Some("/ip4/203.0.113.7/tcp/4077"));
/// assert_eq!(at("2001:db8::7"), None);
/// ```
#[must_use]
pub fn named_at(text: &str, ip: IpAddr) -> Option<String> {
    let address = parse(text).ok()?;
    name(&address)?;
    resolved(&address, ip).map(|it| it.to_string())
}

fn refuse(text: &str, why: &'static str) -> OverlayError {
    OverlayError::Address {
        address: text.chars().take(200).collect(),
        why,
    }
}

/// Which addresses this node dials, whoever named them.
///
/// An address from inside a tunnel names another machine outside of it: an overlay socket, which
/// never enters the tunnel, would carry it to a stranger on the LAN.
///
/// A node that listens everywhere meets itself at the loopback address of another, and sooner than the other at its real
/// one: then the whole dial fails.
#[derive(Debug, Clone)]
pub(crate) struct DialRules {
    allow_private: bool,
    /// It listens at no such address, or was told to join there.
    allow_loopback: bool,
    inner: Vec<IpNet>,
}

impl DialRules {
    pub(crate) fn new(config: &OverlayConfig) -> Self {
        Self {
            allow_private: config.allow_private,
            allow_loopback: !config.listen.iter().any(|it| is_everywhere(it))
                || config.bootstrap.iter().any(|it| is_here(it)),
            inner: config.inner.clone(),
        }
    }

    /// Which of the addresses a stranger told us we may try: at most `limit`.
    pub(crate) fn claims<'a>(
        &self,
        told: impl IntoIterator<Item = &'a Multiaddr>,
        limit: usize,
    ) -> Vec<Multiaddr> {
        told.into_iter()
            .filter(|it| self.allow(it))
            .take(limit)
            .cloned()
            .collect()
    }

    /// Says whether a dial to this address may be tried at all: QUIC or TCP on an IP address of the public internet,
    /// or on a private one where the configuration says so, and never on one inside a tunnel.
    pub(crate) fn allow(&self, address: &Multiaddr) -> bool {
        let Some(ip) = ip(address) else {
            return false;
        };
        is_direct(address)
            && !ip.is_unspecified()
            && !ip.is_multicast()
            && (self.allow_loopback || !ip.is_loopback())
            && !self.inner.iter().any(|net| net.contains(&ip))
            && (self.allow_private || is_public(ip))
    }
}

/// The IPv4 address inside, where this stands for one: mapped, or by way of a NAT64 (RFC 6052).
pub(crate) fn canonical(ip: Ipv6Addr) -> IpAddr {
    let [a, b, c, d, e, f, ..] = ip.segments();
    if [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0] {
        let [.., w, x, y, z] = ip.octets();
        return IpAddr::V4(Ipv4Addr::new(w, x, y, z));
    }
    IpAddr::V6(ip).to_canonical()
}

/// The net that one machine may have all of: its IPv4 address, or the /56 of its IPv6 address. `None` if the
/// address is not of the public internet: behind one there may be many.
pub(crate) fn household(address: &Multiaddr) -> Option<IpNet> {
    let ip = ip(address)?;
    let bits = if ip.is_ipv4() { 32 } else { 56 };
    let net = IpNet::new(ip, bits).ok()?;
    is_public(ip).then(|| net.trunc())
}

/// Says whether an IP address, in its canonical form, lies on the public internet (IANA special-purpose
/// registries).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let carrier_nat = a == 100 && (64..128).contains(&b);
    let protocols = a == 192 && b == 0 && c == 0;
    let benchmark = a == 198 && (b == 18 || b == 19);
    !(a == 0
        || a >= 224
        || ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || carrier_nat
        || protocols
        || benchmark)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    let documentation = (a == 0x2001 && b == 0x0db8) || (a == 0x3fff && b < 0x1000);
    let protocols = a == 0x2001 && b < 0x0200;
    (a & 0xe000) == 0x2000 && !documentation && !protocols
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow_private: bool) -> DialRules {
        DialRules::new(&OverlayConfig {
            allow_private,
            inner: vec!["10.77.0.0/16".parse().unwrap()],
            ..OverlayConfig::default()
        })
    }

    #[test]
    fn a_node_that_listens_everywhere_does_not_look_for_others_at_its_own_loopback() {
        let rules = |listen: &str, bootstrap: &[&str]| {
            DialRules::new(&OverlayConfig {
                allow_private: true,
                listen: vec![listen.to_owned()],
                bootstrap: bootstrap.iter().map(|it| (*it).to_owned()).collect(),
                ..OverlayConfig::default()
            })
        };
        let allows = |rules: &DialRules, it: &str| rules.allow(&it.parse().unwrap());
        let everywhere = rules("/ip6/::/udp/4077/quic-v1", &[]);
        assert!(!allows(&everywhere, "/ip6/::1/udp/4077/quic-v1"));
        assert!(!allows(&everywhere, "/ip6/::ffff:127.0.0.1/tcp/4077"));
        assert!(allows(&everywhere, "/ip4/192.0.2.1/tcp/4077"));
        let here = rules("/ip4/127.0.0.1/tcp/0", &[]);
        assert!(allows(&here, "/ip4/127.0.0.1/tcp/4077"));
        let joins_here = rules("/ip4/0.0.0.0/tcp/0", &["/ip4/127.0.0.1/tcp/4077"]);
        assert!(allows(&joins_here, "/ip4/127.0.0.1/tcp/4078"));
    }

    #[test]
    fn only_the_public_internet_is_dialled_by_default() {
        for (text, public) in [
            ("/ip4/9.9.9.9/udp/4077/quic-v1", true),
            ("/ip4/10.1.2.3/tcp/4077", false),
            ("/ip4/100.64.0.1/tcp/4077", false),
            ("/ip4/127.0.0.1/tcp/4077", false),
            ("/ip4/169.254.169.254/tcp/80", false),
            ("/ip4/192.0.2.1/tcp/4077", false),
            ("/ip6/2620:fe::fe/tcp/4077", true),
            ("/ip6/2001:db8::1/tcp/4077", false),
            ("/ip6/fd77::1/tcp/4077", false),
            ("/ip6/::1/tcp/4077", false),
            ("/ip6/::ffff:10.0.0.1/tcp/4077", false),
            ("/ip6/64:ff9b::909:909/tcp/4077", true),
            ("/ip6/64:ff9b::a00:1/tcp/4077", false),
            ("/dns4/example.org/tcp/4077", false),
            ("/ip4/9.9.9.9/tcp/4077/ip4/192.168.1.1/tcp/80", false),
            ("/ip4/9.9.9.9/udp/4077/quic-v1/p2p-circuit", false),
            ("/ip4/9.9.9.9/udp/4077", false),
        ] {
            assert_eq!(rules(false).allow(&text.parse().unwrap()), public, "{text}");
        }
        let lab = rules(true);
        assert!(lab.allow(&"/ip4/192.0.2.1/tcp/4077".parse().unwrap()));
        assert!(!lab.allow(&"/ip4/0.0.0.0/tcp/4077".parse().unwrap()));
    }

    #[test]
    fn an_address_with_the_node_to_expect_is_dialled_and_a_longer_one_is_not() {
        let peer = PeerId::random();
        let allows = |text: String| rules(false).allow(&text.parse().unwrap());
        assert!(allows(format!("/ip4/9.9.9.9/tcp/4077/p2p/{peer}")));
        assert!(allows(format!("/ip4/9.9.9.9/udp/1/quic-v1/p2p/{peer}")));
        // libp2p's TCP would dial the second.
        let second = format!("/ip4/9.9.9.9/tcp/1/p2p/{peer}/ip4/10.0.0.1/tcp/1");
        assert!(!allows(second));
    }

    #[test]
    fn a_machine_has_one_address_or_one_net() {
        let of = |text: &str| household(&text.parse().unwrap());
        assert_eq!(of("/ip4/9.9.9.9/tcp/1"), of("/ip6/::ffff:9.9.9.9/udp/2"));
        assert_ne!(of("/ip4/9.9.9.9/tcp/1"), of("/ip4/9.9.9.8/tcp/1"));
        let net = of("/ip6/2620:fe:0:1::9/tcp/1");
        assert_eq!(net, of("/ip6/2620:fe:0:ff::1/tcp/1"));
        assert_ne!(net, of("/ip6/2620:fe:0:100::1/tcp/1"));
        assert_eq!(of("/ip4/192.168.1.1/tcp/1"), None);
    }

    #[test]
    fn an_address_inside_a_tunnel_is_dialled_by_nobody() {
        for text in [
            "/ip4/10.77.0.1/udp/4077/quic-v1",
            "/ip6/::ffff:10.77.3.1/tcp/4077",
        ] {
            assert!(!rules(true).allow(&text.parse().unwrap()), "{text}");
        }
        assert!(rules(true).allow(&"/ip4/10.78.0.1/tcp/4077".parse().unwrap()));
    }

    #[test]
    fn a_name_stands_for_the_addresses_of_its_family() {
        let four: Multiaddr = "/dns4/join.example/udp/4077/quic-v1".parse().unwrap();
        assert_eq!(name(&four).as_deref(), Some("join.example"));
        let at = |ip: &str| resolved(&four, ip.parse().unwrap()).map(|it| it.to_string());
        assert_eq!(
            at("192.0.2.1").as_deref(),
            Some("/ip4/192.0.2.1/udp/4077/quic-v1")
        );
        assert_eq!(at("2001:db8::1"), None);
        assert_eq!(name(&"/ip4/192.0.2.1/tcp/1".parse().unwrap()), None);
    }

    #[test]
    fn a_bootstrap_address_names_the_node_to_expect() {
        let peer = PeerId::random();
        let text = format!("/ip4/192.0.2.1/udp/4077/quic-v1/p2p/{peer}");
        let (found, address) = parse_bootstrap(&text).unwrap();
        assert_eq!(
            (found, address.to_string()),
            (peer, "/ip4/192.0.2.1/udp/4077/quic-v1".into())
        );
        assert!(parse_bootstrap("/ip4/192.0.2.1/tcp/4077").is_err());
        assert!(parse_bootstrap(&format!("/memory/1/p2p/{peer}")).is_err());
        assert!(parse_bootstrap(&format!("/p2p/{peer}")).is_err());
        assert!(parse_bootstrap("nonsense").is_err());
    }
}
