//! Tries to get packets out in every way a program can.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::unistd::{Uid, setfsuid};
use socket2::{Domain, Protocol, Socket, Type};
use warren_tunnel::host::MARK;

use crate::lab::{Namespace, net};

/// Somebody without rights.
pub(crate) const NOBODY: u32 = 65534;
/// Where WireGuard would go.
pub(crate) const ENDPOINT_PORT: u16 = 41820;

/// Sends UDP, TCP, DNS and ICMP of both families from sockets of `uid`. Refusals are fine: what
/// counts is what the tap sees.
pub(crate) fn try_everything(namespace: &Namespace, uid: u32) {
    namespace.run(|| {
        setfsuid(Uid::from_raw(uid));
        for server in [net::SERVER4, net::SERVER6] {
            let server: IpAddr = server.parse().unwrap();
            for port in [9, 53, 443, 853] {
                send_udp(SocketAddr::new(server, port), None);
                begin_tcp(SocketAddr::new(server, port));
            }
            send_echo(server);
        }
        for (group, port) in [
            ("224.0.0.251", 5353),
            ("ff02::fb", 5353),
            ("192.0.2.255", 137),
        ] {
            send_udp(SocketAddr::new(group.parse().unwrap(), port), None);
        }
    });
}

/// The same from a process that really is nobody's, not only its sockets.
pub(crate) fn try_as_nobody(namespace: &Namespace) {
    namespace.run(|| {
        for server in [net::SERVER4, net::SERVER6] {
            for target in [
                "udp/SERVER/53",
                "udp/SERVER/9",
                "tcp/SERVER/443",
                "tcp/SERVER/53",
            ] {
                let line = format!("echo x > /dev/{}", target.replace("SERVER", server));
                let mut bash = Command::new("timeout");
                bash.args(["0.3", "bash", "-c", &line])
                    .uid(NOBODY)
                    .gid(NOBODY);
                bash.stderr(Stdio::null()).status().unwrap();
            }
        }
    });
}

/// Sends one datagram; tells whether the kernel took it.
pub(crate) fn send_udp(to: SocketAddr, mark: Option<u32>) -> bool {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, None).unwrap();
    if let Some(mark) = mark {
        socket.set_mark(mark).unwrap();
    }
    let _ = socket.set_broadcast(true);
    socket.send_to(b"probe", &to.into()).is_ok()
}

/// Sends the datagram that ends a capture, the way the tunnel's own packets go.
pub(crate) fn send_marked(namespace: &Namespace, server: &str) {
    let endpoint = SocketAddr::new(server.parse().unwrap(), ENDPOINT_PORT);
    assert!(
        namespace.run(|| send_udp(endpoint, Some(MARK))),
        "a marked packet must pass"
    );
}

pub(crate) fn begin_tcp(to: SocketAddr) {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    let _ = socket.connect(&to.into());
}

pub(crate) fn send_echo(to: IpAddr) {
    // Type 8 or 128, code 0; the kernel fills checksum and identifier of such sockets.
    let (domain, protocol, kind) = match to {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, 8),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, 128),
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol)).unwrap();
    let _ = socket.send_to(&[kind, 0, 0, 0, 0, 0, 0, 1], &SocketAddr::new(to, 0).into());
}
