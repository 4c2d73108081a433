//! What an offer and its terms ask of this machine: addresses, resolvers, the tunnel itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use warren_proto::{Offer, SessionTerms};
use warren_tunnel::host::{Carries, DEVICE, MARK};
use warren_tunnel::{Offload, TunnelKey, TunnelSpec};

/// WireGuard's usual interval against NAT timeouts.
const KEEPALIVE: Duration = Duration::from_secs(25);

/// What the exit says it carries. One that carries nothing at all is asked for IPv4 in vain.
pub(in crate::consumer) const fn carries(offer: &Offer) -> Carries {
    match (offer.ipv4, offer.ipv6) {
        (true, true) => Carries::Both,
        (false, true) => Carries::V6,
        (true, false) | (false, false) => Carries::V4,
    }
}

/// The addresses of this side inside the tunnel: none of a kind that the exit does not carry, so
/// that programs do not even try.
pub(in crate::consumer) fn inner(
    terms: &SessionTerms,
    carries: Carries,
) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
    (
        (carries != Carries::V6).then_some(terms.consumer_v4),
        (carries != Carries::V4).then_some(terms.consumer_v6),
    )
}

/// Which resolvers to tell programs: the user's own, else those granted.
///
/// Only such as the tunnel leads to: this machine's own would ask beside it, and those of a kind of
/// IP that the exit does not carry would never answer.
pub(in crate::consumer) fn resolvers(
    own: &[IpAddr],
    terms: &SessionTerms,
    carries: Carries,
) -> Vec<IpAddr> {
    let asked = if own.is_empty() { &terms.dns } else { own };
    let reached = |it: &&IpAddr| {
        let here = it.is_loopback() || it.is_unspecified() || it.is_multicast();
        let other = if it.is_ipv4() {
            Carries::V6
        } else {
            Carries::V4
        };
        !here && carries != other
    };
    asked.iter().filter(reached).copied().collect()
}

pub(super) fn spec(
    terms: &SessionTerms,
    private_key: TunnelKey,
    endpoints: Vec<SocketAddr>,
    carries: Carries,
) -> TunnelSpec {
    let (local_v4, local_v6) = inner(terms, carries);
    TunnelSpec {
        device: DEVICE.to_owned(),
        private_key,
        peer_key: terms.provider_key,
        endpoints,
        port: 0,
        local_v4,
        local_v6,
        mtu: terms.mtu,
        keepalive: Some(KEEPALIVE),
        mark: Some(MARK),
        offload: Offload::Auto,
    }
}
