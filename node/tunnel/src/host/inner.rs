//! Whether this host is itself where tunnels have their addresses.
//!
//! What comes from outside for a tunnel's address is dropped, on an exit and by the kill switch: whoever is on the
//! wire must not reach into a tunnel. A host in such a network would hear nothing any more, its exit neither.

use std::net::IpAddr;

use ipnet::IpNet;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};

use super::netlink::Netlink;

/// Finds an address of this host, other than those of the tunnel's `device`, in one of the networks `inner`. Says
/// which, and in which. `None` too where the host cannot be asked.
pub(super) fn own_address(inner: &[IpNet], device: &str) -> Option<(String, IpNet)> {
    let mut all = getifaddrs().ok()?.filter(|it| it.interface_name != device);
    all.find_map(|it| {
        let address = ip(&it)?;
        let within = inner.iter().find(|net| net.contains(&address))?;
        Some((format!("{address} of {}", it.interface_name), *within))
    })
}

/// The same, or a network that this host knows a way to: its packets would be taken for guests', or not get there.
pub(super) async fn own(inner: &[IpNet], device: &str) -> Option<(String, IpNet)> {
    let address = own_address(inner, device);
    if address.is_some() {
        return address;
    }
    let nets = Netlink::open().ok()?.own_networks(device).await.ok()?;
    nets.iter().find_map(|net| {
        let within = inner.iter().find(|it| it.contains(net))?;
        Some((format!("{net}, a network of this machine,"), *within))
    })
}

fn ip(it: &InterfaceAddress) -> Option<IpAddr> {
    let address = it.address.as_ref()?;
    let v4 = address.as_sockaddr_in().map(|it| it.ip().into());
    v4.or_else(|| address.as_sockaddr_in6().map(|it| it.ip().into()))
}
