//! Guest, exit and home router in namespaces.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use warren_tunnel::host::{ExitHost, ExitNatSpec};
use warren_tunnel::policy::{ExitPolicy, Preset};

use crate::lab::{Namespace, sh};

pub(crate) const WEB4: &str = "198.51.100.80";
pub(crate) const WEB6: &str = "2001:db8:80::80";

/// Guest ─ tunnel ─ exit ─ home router, which is also the neighbours, the web and the bad places.
pub(crate) struct ExitLab {
    pub(crate) guest: Namespace,
    pub(crate) exit: Namespace,
    pub(crate) router: Namespace,
}

impl ExitLab {
    pub(crate) fn new() -> Self {
        let lab = Self {
            guest: Namespace::new("g"),
            exit: Namespace::new("e"),
            router: Namespace::new("r"),
        };
        let (g, e) = (&lab.guest.name, &lab.exit.name);
        // Both ends bear one hardware address: without ARP a frame goes to the sender's own.
        sh(&format!(
            "ip -n {g} link add wg0 address 02:00:00:00:77:61 type veth peer name warren-exit address 02:00:00:00:77:61 netns {e}"
        ));
        lab.guest.sh("ip link set wg0 up arp off; ip addr add 10.77.0.2/32 dev wg0; ip addr add fd77:7761::2/128 dev wg0 nodad");
        lab.guest
            .sh("ip route add default dev wg0; ip -6 route add default dev wg0");
        lab.exit.sh("ip link set warren-exit up arp off; ip addr add 10.77.0.1/16 dev warren-exit; ip addr add fd77:7761::1/64 dev warren-exit nodad");
        lab.plug_in();
        for address in [
            WEB4,
            "203.0.113.1",
            "169.254.169.254",
            "10.9.9.9",
            "100.64.0.9",
        ] {
            lab.router.sh(&format!("ip addr add {address}/32 dev lo"));
        }
        for address in [WEB6, "fd00:ec2::254", "64:ff9b::a09:909"] {
            lab.router
                .sh(&format!("ip addr add {address}/128 dev lo nodad"));
        }
        lab.exit.wait_up("warren-exit");
        lab
    }

    /// Makes the exit's uplink, and its default routes.
    pub(crate) fn plug_in(&self) {
        let (e, r) = (&self.exit.name, &self.router.name);
        sh(&format!(
            "ip -n {e} link add eth0 type veth peer name r0 netns {r}"
        ));
        self.exit.sh("ip link set eth0 up; ip addr add 192.168.50.2/24 dev eth0; ip addr add 2001:db8:50::2/64 dev eth0 nodad");
        self.router.sh("ip link set r0 up; ip addr add 192.168.50.1/24 dev r0; ip addr add 192.168.50.9/24 dev r0");
        self.router.sh(
            "ip addr add 2001:db8:50::1/64 dev r0 nodad; ip addr add fd00:50::9/64 dev r0 nodad",
        );
        self.exit.sh(
            "ip route add default via 192.168.50.1; ip -6 route add default via 2001:db8:50::1",
        );
        self.exit.wait_up("eth0");
    }

    /// The exit with [`ExitLab::spec`] on.
    pub(crate) fn enabled(&self, journal: &Path) -> ExitHost {
        let host = self
            .exit
            .block_on(|| ExitHost::enable(journal, Self::spec()));
        host.unwrap()
    }

    pub(crate) fn spec() -> ExitNatSpec {
        ExitNatSpec {
            policy: ExitPolicy::preset(Preset::AllButMail).allow_documentation(),
            // The router's outer address, as a peer told us.
            also_deny: vec!["203.0.113.1/32".parse().unwrap()],
            ..ExitNatSpec::default()
        }
    }

    /// Guest packets that the deny table refused for this reason.
    pub(crate) fn denied(&self, why: &str) -> u64 {
        let listed = self
            .exit
            .sh(&format!("nft list counter inet warren_exit denied_{why}"));
        let mut words = listed.split_whitespace();
        words.find(|it| *it == "packets").unwrap();
        words.next().unwrap().parse().unwrap()
    }

    /// One whole exchange of the guest with the web: what was sent before it has been handled.
    pub(crate) fn fetch(&self, from: &WebServer, at: &str) -> SocketAddr {
        let to = SocketAddr::new(at.parse().unwrap(), 80);
        let client = self
            .guest
            .run(|| TcpStream::connect_timeout(&to, Duration::from_secs(10)).unwrap());
        let (_server, seen_from) = from.accept(to.is_ipv4());
        drop(client);
        seen_from
    }
}

pub(crate) struct WebServer {
    v4: TcpListener,
    v6: TcpListener,
}

impl WebServer {
    pub(crate) fn start(namespace: &Namespace) -> Self {
        let bind = |at: &str| namespace.run(|| TcpListener::bind(at).unwrap());
        Self {
            v4: bind(&format!("{WEB4}:80")),
            v6: bind(&format!("[{WEB6}]:80")),
        }
    }

    pub(crate) fn accept(&self, v4: bool) -> (TcpStream, SocketAddr) {
        if v4 {
            self.v4.accept().unwrap()
        } else {
            self.v6.accept().unwrap()
        }
    }
}
