//! What an offer and its terms ask of this machine: addresses, resolvers, the tunnel itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use warren_proto::{Offer, SessionTerms};
use warren_tunnel::host::{Carries, DEVICE, KillSwitchSpec, LocalAccess, MARK, has_ipv6};
use warren_tunnel::{Offload, TunnelKey, TunnelSpec};

/// WireGuard's usual interval against NAT timeouts.
const KEEPALIVE: Duration = Duration::from_secs(25);

/// What is carried through this exit: what it says it carries, as far as this machine has any use for it.
pub(in crate::consumer) fn carries(offer: &Offer) -> Carries {
    carried(offer, has_ipv6())
}

/// Whether this exit carries anything that this machine may speak: asked before it is paid.
pub(crate) fn is_of_use(offer: &Offer) -> bool {
    offer.ipv4 || !offer.ipv6 || has_ipv6()
}

/// An exit that carries nothing at all is asked for IPv4 in vain. Where IPv6 is switched off the tunnel has none,
/// and it stays blocked.
const fn carried(offer: &Offer, has_ipv6: bool) -> Carries {
    match (offer.ipv4, offer.ipv6) {
        (true, true) if has_ipv6 => Carries::Both,
        (false, true) => Carries::V6,
        (true, _) | (false, false) => Carries::V4,
    }
}

/// What blocks all but the tunnel and what the owner lets go beside it.
pub(super) fn blocking(local: &LocalAccess) -> KillSwitchSpec {
    KillSwitchSpec {
        local: local.clone(),
        ..KillSwitchSpec::default()
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
        let other = if it.is_ipv4() {
            Carries::V6
        } else {
            Carries::V4
        };
        !is_here(it) && carries != other
    };
    asked.iter().filter(reached).copied().collect()
}

/// Whether any resolvers will be told to programs, as far as that is known before there are terms.
pub(super) fn tells_names(own: &[IpAddr]) -> bool {
    own.is_empty() || !own.iter().all(is_here)
}

const fn is_here(it: &IpAddr) -> bool {
    it.is_loopback() || it.is_unspecified() || it.is_multicast()
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
