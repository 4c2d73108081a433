//! Four network namespaces in a row, with documentation addresses:
//!
//! ```text
//! consumer 192.0.2.1 ── router ── 198.51.100.2 exit 203.0.113.1 ── 203.0.113.2 server
//!          2001:db8:1::1       2001:db8:2::2        2001:db8:3::1  2001:db8:3::2
//! ```
//!
//! The server answers inner addresses through the exit; nothing is translated.
#![allow(dead_code, reason = "shared by a test and an example")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test's world"
)]

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use warren_proto::TunnelPublicKey;
use warren_tunnel::{
    ConsumerTunnel, DEFAULT_HANDSHAKE_LIMIT, DEFAULT_KEEPALIVE, DEFAULT_MTU, ExitSpec, ExitTunnel,
    GuestId, GuestSpec, Offload, TunnelKey, TunnelSpec,
};

pub(crate) const GUEST_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
pub(crate) const GUEST_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0x7761, 0, 0, 0, 0, 0, 2);
pub(crate) const SERVER_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 2));
pub(crate) const SERVER_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 2));
const EXIT_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const EXIT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 2);
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether namespaces can be made here; says so aloud if not.
pub(crate) fn can_run() -> bool {
    let root = nix::unistd::geteuid().is_root();
    let device = std::path::Path::new("/dev/net/tun").exists();
    let tool = Command::new("ip")
        .arg("-V")
        .output()
        .is_ok_and(|it| it.status.success());
    if !(root && device && tool) {
        println!("SKIPPED: needs root, /dev/net/tun and ip(8)");
    }
    root && device && tool
}

/// The namespaces; removed when dropped.
#[derive(Debug)]
pub(crate) struct World {
    tag: String,
}

impl World {
    pub(crate) fn new(name: &str) -> Self {
        let world = Self {
            tag: format!("wr-plane-{name}-{}", std::process::id()),
        };
        for role in ROLES {
            world.remove(role);
            ip(&["netns", "add", &world.ns(role)]);
            world.ip(role, &["link", "set", "lo", "up"]);
        }
        world.link(
            ("c", "c0", "192.0.2.1/24", "2001:db8:1::1/64"),
            ("r", "r0", "192.0.2.2/24", "2001:db8:1::2/64"),
        );
        world.link(
            ("r", "r1", "198.51.100.1/24", "2001:db8:2::1/64"),
            ("e", "e0", "198.51.100.2/24", "2001:db8:2::2/64"),
        );
        world.link(
            ("e", "e1", "203.0.113.1/24", "2001:db8:3::1/64"),
            ("s", "s0", "203.0.113.2/24", "2001:db8:3::2/64"),
        );
        for role in ["r", "e"] {
            world.inside(role, || {
                std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
                std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap();
            });
        }
        world.ip(
            "c",
            &["route", "add", "198.51.100.0/24", "via", "192.0.2.2"],
        );
        world.ip(
            "c",
            &["route", "add", "2001:db8:2::/64", "via", "2001:db8:1::2"],
        );
        world.ip(
            "e",
            &["route", "add", "192.0.2.0/24", "via", "198.51.100.1"],
        );
        world.ip(
            "e",
            &["route", "add", "2001:db8:1::/64", "via", "2001:db8:2::1"],
        );
        world.ip(
            "s",
            &[
                "route",
                "add",
                "10.77.0.0/16",
                "via",
                "203.0.113.1",
                "mtu",
                "1420",
            ],
        );
        world.ip(
            "s",
            &[
                "route",
                "add",
                "fd77:7761::/64",
                "via",
                "2001:db8:3::1",
                "mtu",
                "1420",
            ],
        );
        world
    }

    pub(crate) fn ns(&self, role: &str) -> String {
        format!("{}-{role}", self.tag)
    }

    pub(crate) fn ip(&self, role: &str, args: &[&str]) {
        let ns = self.ns(role);
        ip(&[&["-n", &ns], args].concat());
    }

    /// Makes the router between consumer and exit swallow everything of one kind of IP, or not.
    pub(crate) fn block(&self, outer: Outer, blocked: bool) {
        let (family, net) = match outer {
            Outer::V4 => ("-4", "198.51.100.0/24"),
            Outer::V6 => ("-6", "2001:db8:2::/64"),
        };
        let what = if blocked { "add" } else { "del" };
        // Before the connected route: rules are read first.
        let rule = ["rule", what, "to", net, "priority", "5", "blackhole"];
        self.ip("r", &[&[family], &rule[..]].concat());
    }

    /// Makes the router say no more that a packet is too big, as many do not: a black hole.
    pub(crate) fn forbid_too_big(&self) {
        let rules = "add table inet hole; \
            add chain inet hole out { type filter hook output priority 0; }; \
            add rule inet hole out icmp type destination-unreachable drop; \
            add rule inet hole out icmpv6 type packet-too-big drop";
        let output = Command::new("ip")
            .args(["netns", "exec", &self.ns("r"), "nft", rules])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub(crate) fn link(&self, a: (&str, &str, &str, &str), b: (&str, &str, &str, &str)) {
        ip(&[
            "link",
            "add",
            a.1,
            "netns",
            &self.ns(a.0),
            "type",
            "veth",
            "peer",
            "name",
            b.1,
            "netns",
            &self.ns(b.0),
        ]);
        for (role, name, v4, v6) in [a, b] {
            self.ip(role, &["addr", "add", v4, "dev", name]);
            self.ip(role, &["addr", "add", v6, "dev", name, "nodad"]);
            self.ip(role, &["link", "set", name, "up"]);
        }
    }

    fn remove(&self, role: &str) {
        let _ = Command::new("ip")
            .args(["netns", "del", &self.ns(role)])
            .output();
    }

    /// Runs `work` on a thread in the namespace of `role`.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        role: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let file = File::open(format!("/var/run/netns/{}", self.ns(role))).unwrap();
        std::thread::spawn(move || {
            setns(file, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        })
    }

    pub(crate) fn inside<T: Send + 'static>(
        &self,
        role: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        self.spawn(role, work).join().unwrap()
    }

    /// An exit with one guest, whose gate is still shut; with the address it is reached at.
    pub(crate) fn exit(
        &self,
        offload: Offload,
        outer: Outer,
        guest_key: TunnelPublicKey,
    ) -> (ExitTunnel, GuestId, TunnelPublicKey, SocketAddr) {
        let exit_key = TunnelKey::generate();
        let exit_public = exit_key.public();
        let exit = self.inside("e", move || {
            let exit = ExitTunnel::start(ExitSpec {
                device: "warren0".to_owned(),
                listen: "[::]:0".parse().unwrap(),
                private_key: exit_key,
                mtu: DEFAULT_MTU,
                gateway_v4: "10.77.0.1/16".parse().unwrap(),
                gateway_v6: "fd77:7761::1/64".parse().unwrap(),
                mark: Some(0x7761),
                handshake_limit: DEFAULT_HANDSHAKE_LIMIT,
                offload,
            });
            exit.unwrap()
        });
        let guest = GuestSpec {
            peer_key: guest_key,
            v4: GUEST_V4,
            v6: GUEST_V6,
        };
        let guest = exit.add_guest(guest).unwrap();
        let port = exit.port().unwrap();
        (
            exit,
            guest,
            exit_public,
            SocketAddr::new(outer.exit(), port),
        )
    }

    /// Sends what is for the server into a device of the consumer.
    pub(crate) fn route_into(&self, device: &str) {
        self.ip("c", &["route", "add", "203.0.113.0/24", "dev", device]);
        self.ip("c", &["route", "add", "2001:db8:3::/64", "dev", device]);
    }

    /// A consumer and an exit that carries it; the gate is still shut.
    pub(crate) fn tunnel(&self, offload: Offload, outer: Outer) -> Tunnel {
        self.tunnel_over(offload, &[outer])
    }

    /// The same, for an exit that is reached in several ways, best first.
    pub(crate) fn tunnel_over(&self, offload: Offload, outer: &[Outer]) -> Tunnel {
        self.tunnel_after(offload, outer, |_| ())
    }

    /// The same, once the consumer has done something with the places where its exit is.
    pub(crate) fn tunnel_after(
        &self,
        offload: Offload,
        outer: &[Outer],
        first: impl FnOnce(&[SocketAddr]),
    ) -> Tunnel {
        let guest_key = TunnelKey::generate();
        let (exit, guest, exit_public, endpoint) = self.exit(offload, outer[0], guest_key.public());
        let at = |outer: &Outer| SocketAddr::new(outer.exit(), endpoint.port());
        let endpoints: Vec<_> = outer.iter().map(at).collect();
        first(&endpoints);
        let consumer = self.inside("c", move || {
            let consumer = ConsumerTunnel::up(TunnelSpec {
                device: "warren0".to_owned(),
                private_key: guest_key,
                peer_key: exit_public,
                endpoints,
                port: 0,
                local_v4: Some(GUEST_V4),
                local_v6: Some(GUEST_V6),
                mtu: DEFAULT_MTU,
                keepalive: Some(DEFAULT_KEEPALIVE),
                mark: Some(0x7761),
                offload,
            });
            consumer.unwrap()
        });
        self.route_into("warren0");
        wait_until("the handshake", || {
            consumer.state().since_handshake.is_some()
        });
        Tunnel {
            consumer,
            exit,
            guest,
        }
    }
}

/// Which IP carries the tunnel.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outer {
    V4,
    V6,
}

impl Outer {
    /// Where the exit is reached.
    pub(crate) fn exit(&self) -> IpAddr {
        match self {
            Self::V4 => EXIT_V4.into(),
            Self::V6 => EXIT_V6.into(),
        }
    }
}

/// Both ends of a running tunnel.
#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(crate) consumer: ConsumerTunnel,
    pub(crate) exit: ExitTunnel,
    pub(crate) guest: GuestId,
}

const ROLES: [&str; 4] = ["c", "r", "e", "s"];

impl Drop for World {
    fn drop(&mut self) {
        for role in ROLES {
            self.remove(role);
        }
    }
}

/// Waits for `what`; a deadline ends it.
pub(crate) fn wait_until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().unwrap();
    assert!(
        output.status.success(),
        "ip {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
}
