//! Addresses, MTU and queue of a fresh device, by netlink.

use std::net::{IpAddr, SocketAddr};

use ipnet::{Ipv4Net, Ipv6Net};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use rtnetlink::packet_route::link::{AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute};
use rtnetlink::{Handle, LinkUnspec};
use socket2::{Domain, Socket, Type};

use crate::error::TunnelError;
use crate::host::may_have_ipv6;

/// The addresses a device gets.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Addresses {
    pub(crate) v4: Option<Ipv4Net>,
    pub(crate) v6: Option<Ipv6Net>,
}

/// Sets all and brings the device up. Blocks; works in the calling thread's network namespace.
pub(super) fn configure(
    device: &str,
    mtu: u16,
    queue_len: u32,
    addresses: &Addresses,
) -> Result<(), TunnelError> {
    let v6 = addresses.v6.filter(|_| may_have_ipv6(device));
    if v6 != addresses.v6 {
        tracing::warn!(
            device,
            "IPv6 is switched off on this machine; the tunnel goes without"
        );
    }
    let addresses = Addresses { v6, ..*addresses };
    with_index(device, |index| apply(index, mtu, queue_len, &addresses))
}

/// Adds what is missing of its addresses, if the device is up and may have them; says whether anything was.
pub(super) fn keep_addresses(device: &str, addresses: &Addresses) -> Result<bool, TunnelError> {
    let v6 = addresses.v6.filter(|_| may_have_ipv6(device));
    let ours = [
        addresses.v4.map(|it| it.addr().into()),
        v6.map(|it| it.addr().into()),
    ];
    if ours.into_iter().flatten().all(|it| has_address(device, it)) {
        return Ok(false);
    }
    let all = getifaddrs().map_err(|error| TunnelError::Configure {
        device: device.to_owned(),
        what: "addresses",
        reason: error.to_string(),
    })?;
    let (mut is_up, mut lost) = (false, *addresses);
    for it in all.filter(|it| it.interface_name == device) {
        is_up |= it.flags.contains(InterfaceFlags::IFF_UP);
        let Some(address) = &it.address else { continue };
        let (v4, v6) = (address.as_sockaddr_in(), address.as_sockaddr_in6());
        lost.v4 = lost
            .v4
            .filter(|lost| v4.is_none_or(|it| it.ip() != lost.addr()));
        lost.v6 = lost
            .v6
            .filter(|lost| v6.is_none_or(|it| it.ip() != lost.addr()));
    }
    lost.v6 = lost.v6.filter(|_| v6.is_some());
    if !is_up || lost.v4.is_none() && lost.v6.is_none() {
        return Ok(false);
    }
    with_index(device, async |index| add(&connect()?, index, &lost).await)?;
    Ok(true)
}

/// Whether a socket may have this address there. Asking for all addresses of all devices costs as many answers. An
/// IPv4 address that went to another device of this machine counts as there.
/// Where sockets may have addresses of nobody (as beside a load balancer) this tells nothing.
fn has_address(device: &str, address: IpAddr) -> bool {
    let family = if address.is_ipv4() { "ipv4" } else { "ipv6" };
    let free = format!("/proc/sys/net/{family}/ip_nonlocal_bind");
    if std::fs::read_to_string(free).is_ok_and(|it| it.trim() != "0") {
        return false;
    }
    let at = SocketAddr::new(address, 0);
    Socket::new(Domain::for_address(at), Type::DGRAM, None).is_ok_and(|socket| {
        socket.bind_device(Some(device.as_bytes())).is_ok() && socket.bind(&at.into()).is_ok()
    })
}

/// Changes the MTU. Blocks; works in the calling thread's network namespace.
pub(super) fn set_mtu(device: &str, mtu: u16) -> Result<(), TunnelError> {
    with_index(device, async |index| {
        let sizes = LinkUnspec::new_with_index(index).mtu(mtu.into()).build();
        let set = connect()?.link().set(sizes);
        set.execute().await.map_err(|error| ("MTU", error))
    })
}

/// Runs `work` for a device on a thread of its own: the caller may be inside another runtime.
fn with_index<W>(device: &str, work: impl FnOnce(u32) -> W + Send) -> Result<(), TunnelError>
where
    W: Future<Output = Result<(), (&'static str, rtnetlink::Error)>>,
{
    let fail = |what: &'static str, reason: String| TunnelError::Configure {
        device: device.to_owned(),
        what,
        reason,
    };
    let index =
        nix::net::if_::if_nametoindex(device).map_err(|error| fail("index", error.to_string()))?;
    let done = std::thread::scope(|scope| {
        let work = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()
                .map_err(|error| fail("netlink", error.to_string()))?;
            runtime
                .block_on(work(index))
                .map_err(|(what, error)| fail(what, error.to_string()))
        };
        scope.spawn(work).join()
    });
    done.unwrap_or_else(|_| Err(fail("netlink", "the thread died".to_owned())))
}

/// Opens a netlink connection that runs beside the caller.
fn connect() -> Result<Handle, (&'static str, rtnetlink::Error)> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(|error| {
        (
            "netlink",
            rtnetlink::Error::NamespaceError(error.to_string()),
        )
    })?;
    tokio::spawn(connection);
    Ok(handle)
}

async fn apply(
    index: u32,
    mtu: u16,
    queue_len: u32,
    addresses: &Addresses,
) -> Result<(), (&'static str, rtnetlink::Error)> {
    let handle = connect()?;
    let link = || LinkUnspec::new_with_index(index);

    let sizes = link()
        .mtu(u32::from(mtu))
        .append_extra_attribute(LinkAttribute::TxQueueLen(queue_len))
        .build();
    handle
        .link()
        .set(sizes)
        .execute()
        .await
        .map_err(|error| ("MTU and queue", error))?;

    // No link-local address: nothing of its own accord speaks through the tunnel. A system
    // without IPv6 refuses, which is as good.
    let quiet = AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)]);
    let quiet = link()
        .append_extra_attribute(LinkAttribute::AfSpecUnspec(vec![quiet]))
        .build();
    if let Err(error) = handle.link().set(quiet).execute().await {
        tracing::debug!(%error, "device keeps its link-local address");
    }

    add(&handle, index, addresses).await?;
    let up = link().up().build();
    handle
        .link()
        .set(up)
        .execute()
        .await
        .map_err(|error| ("state up", error))
}

async fn add(
    handle: &Handle,
    index: u32,
    addresses: &Addresses,
) -> Result<(), (&'static str, rtnetlink::Error)> {
    if let Some(v4) = addresses.v4 {
        let add = handle
            .address()
            .add(index, v4.addr().into(), v4.prefix_len());
        add.execute()
            .await
            .map_err(|error| ("IPv4 address", error))?;
    }
    if let Some(v6) = addresses.v6 {
        let add = handle
            .address()
            .add(index, v6.addr().into(), v6.prefix_len());
        add.execute()
            .await
            .map_err(|error| ("IPv6 address", error))?;
    }
    Ok(())
}
