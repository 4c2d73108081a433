//! The exit: what a guest reaches and what it does not, seen from the network behind the exit.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use warren_tunnel::host::{ExitHost, ExitNatSpec, Finding, GuestLimits, check_exit, recover};
use warren_tunnel::policy::{ExitPolicy, Preset};

use crate::capture::{Capture, Seen};
use crate::kill_switch::journal;
use crate::lab::{Namespace, assert_same, can_run, sh};
use crate::probe::{begin_tcp, send_echo, send_udp};

const WEB4: &str = "198.51.100.80";
const WEB6: &str = "2001:db8:80::80";

/// Guest ─ tunnel ─ exit ─ home router, which is also the neighbours, the web and the bad places.
struct ExitLab {
    guest: Namespace,
    exit: Namespace,
    router: Namespace,
}

impl ExitLab {
    fn new() -> Self {
        let lab = Self {
            guest: Namespace::new("g"),
            exit: Namespace::new("e"),
            router: Namespace::new("r"),
        };
        let (g, e, r) = (&lab.guest.name, &lab.exit.name, &lab.router.name);
        // Both ends bear one hardware address: without ARP a frame goes to the sender's own.
        sh(&format!(
            "ip -n {g} link add wg0 address 02:00:00:00:77:61 type veth peer name warren0 address 02:00:00:00:77:61 netns {e}"
        ));
        lab.guest.sh("ip link set wg0 up arp off; ip addr add 10.77.0.2/32 dev wg0; ip addr add fd77:7761::2/128 dev wg0 nodad");
        lab.guest
            .sh("ip route add default dev wg0; ip -6 route add default dev wg0");
        lab.exit.sh("ip link set warren0 up arp off; ip addr add 10.77.0.1/16 dev warren0; ip addr add fd77:7761::1/64 dev warren0 nodad");
        sh(&format!(
            "ip -n {e} link add eth0 type veth peer name r0 netns {r}"
        ));
        lab.exit.sh("ip link set eth0 up; ip addr add 192.168.50.2/24 dev eth0; ip addr add 2001:db8:50::2/64 dev eth0 nodad");
        lab.router.sh("ip link set r0 up; ip addr add 192.168.50.1/24 dev r0; ip addr add 192.168.50.9/24 dev r0");
        lab.router.sh(
            "ip addr add 2001:db8:50::1/64 dev r0 nodad; ip addr add fd00:50::9/64 dev r0 nodad",
        );
        lab.exit.sh(
            "ip route add default via 192.168.50.1; ip -6 route add default via 2001:db8:50::1",
        );
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
        lab.exit.wait_up("eth0");
        lab.exit.wait_up("warren0");
        lab
    }

    fn spec() -> ExitNatSpec {
        ExitNatSpec {
            policy: ExitPolicy::preset(Preset::AllButMail).allow_documentation(),
            // The router's outer address, as a peer told us.
            also_deny: vec!["203.0.113.1/32".parse().unwrap()],
            ..ExitNatSpec::default()
        }
    }

    /// One whole exchange of the guest with the web: what was sent before it has been handled.
    fn fetch(&self, from: &WebServer, at: &str) -> SocketAddr {
        let to = SocketAddr::new(at.parse().unwrap(), 80);
        let client = self
            .guest
            .run(|| TcpStream::connect_timeout(&to, Duration::from_secs(10)).unwrap());
        let (_server, seen_from) = from.accept(to.is_ipv4());
        drop(client);
        seen_from
    }
}

struct WebServer {
    v4: TcpListener,
    v6: TcpListener,
}

impl WebServer {
    fn start(namespace: &Namespace) -> Self {
        let bind = |at: &str| namespace.run(|| TcpListener::bind(at).unwrap());
        Self {
            v4: bind(&format!("{WEB4}:80")),
            v6: bind(&format!("[{WEB6}]:80")),
        }
    }

    fn accept(&self, v4: bool) -> (TcpStream, SocketAddr) {
        if v4 {
            self.v4.accept().unwrap()
        } else {
            self.v6.accept().unwrap()
        }
    }
}

/// Where no guest may go.
const FORBIDDEN: &[&str] = &[
    "192.168.50.9",
    "192.168.50.1",
    "192.168.50.2",
    "203.0.113.1",
    "169.254.169.254",
    "10.9.9.9",
    "10.77.0.1",
    "10.77.0.9",
    "100.64.0.9",
    "127.0.0.1",
    "fd00:50::9",
    "2001:db8:50::2",
    "fd00:ec2::254",
    "64:ff9b::a09:909",
    "fd77:7761::1",
    "::ffff:10.9.9.9",
];

#[test]
fn guests_reach_the_web_and_nothing_of_the_house() {
    if !can_run("guests_reach_the_web_and_nothing_of_the_house") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let web = WebServer::start(&lab.router);
    // A service of the exit itself, on every address.
    let own = lab.exit.run(|| TcpListener::bind("[::]:8080").unwrap());
    own.set_nonblocking(true).unwrap();
    let host = lab
        .exit
        .block_on(|| ExitHost::enable(&path, ExitLab::spec()))
        .unwrap();
    assert_eq!(host.uplinks(), ["eth0"]);

    assert_eq!(
        lab.fetch(&web, WEB4).ip().to_string(),
        "192.168.50.2",
        "the exit's address"
    );
    assert_eq!(lab.fetch(&web, WEB6).ip().to_string(), "2001:db8:50::2");

    let mut capture = Capture::start(&lab.router);
    lab.guest.run(|| {
        for forbidden in FORBIDDEN {
            let forbidden: IpAddr = forbidden.parse().unwrap();
            for port in [22, 53, 80, 8080] {
                send_udp(SocketAddr::new(forbidden, port), None);
                begin_tcp(SocketAddr::new(forbidden, port));
            }
            if !forbidden.to_string().ends_with("::1") && forbidden.to_string() != "10.77.0.1" {
                send_echo(forbidden);
            }
        }
        for web in [WEB4, WEB6] {
            let web: IpAddr = web.parse().unwrap();
            for port in [25, 465, 587, 445, 137] {
                begin_tcp(SocketAddr::new(web, port));
            }
            for port in [25, 137, 1900, 5353] {
                send_udp(SocketAddr::new(web, port), None);
            }
        }
    });
    for at in [WEB4, WEB6] {
        lab.fetch(&web, at);
    }
    let ours =
        |it: &Seen| ["192.168.50.2", "2001:db8:50::2"].contains(&it.source.to_string().as_str());
    let last = |it: &Seen| it.protocol == 6 && it.destination.to_string() == WEB6;
    let seen = capture.until(last);
    let leaked: Vec<&Seen> = seen
        .iter()
        .filter(|it| ours(it) || it.source.to_string().starts_with("10.77"))
        .filter(|it| {
            !(it.port == 80 && [WEB4, WEB6].contains(&it.destination.to_string().as_str()))
        })
        .filter(|it| it.protocol != 58)
        .collect();
    assert_eq!(
        leaked,
        Vec::<&Seen>::new(),
        "packets of a guest reached the house"
    );
    assert!(
        own.accept().is_err(),
        "the exit's own service answered a guest"
    );
    let drops = lab.exit.block_on(|| host.drops()).unwrap();
    assert!(drops.address > 50 && drops.port > 10, "{drops:?}");
}

#[test]
fn the_gateway_answers_an_echo_and_nothing_else() {
    if !can_run("the_gateway_answers_an_echo_and_nothing_else") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let names = lab.exit.run(|| UdpSocket::bind("10.77.0.1:53").unwrap());
    names.set_nonblocking(true).unwrap();
    let host = lab
        .exit
        .block_on(|| ExitHost::enable(&path, ExitLab::spec()))
        .unwrap();
    let mut capture = Capture::start(&lab.guest);
    lab.guest.run(|| {
        send_udp("10.77.0.1:53".parse().unwrap(), None);
        send_echo("10.77.0.1".parse().unwrap());
    });
    let seen = capture.until(|it| it.source.to_string() == "10.77.0.1" && it.protocol == 1);
    assert!(
        !seen
            .iter()
            .any(|it| it.source.to_string() == "10.77.0.1" && it.protocol == 17)
    );
    assert!(names.recv(&mut [0; 8]).is_err(), "names were not offered");

    drop(host);
    let spec = ExitNatSpec {
        dns: warren_tunnel::host::DnsOffer::Gateway,
        ..ExitLab::spec()
    };
    let _host = lab.exit.block_on(|| ExitHost::enable(&path, spec)).unwrap();
    names.set_nonblocking(false).unwrap();
    lab.guest
        .run(|| send_udp("10.77.0.1:53".parse().unwrap(), None));
    assert_eq!(names.recv(&mut [0; 8]).unwrap(), 5);
}

#[test]
fn nothing_outside_reaches_a_guest_and_no_forged_source_leaves() {
    if !can_run("nothing_outside_reaches_a_guest_and_no_forged_source_leaves") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let web = WebServer::start(&lab.router);
    let host = lab
        .exit
        .block_on(|| ExitHost::enable(&path, ExitLab::spec()))
        .unwrap();
    lab.router.sh("ip route add 10.77.0.0/16 via 192.168.50.2");
    lab.guest.sh("ip addr add 192.168.50.77/32 dev wg0");
    let victim = lab.guest.run(|| UdpSocket::bind("10.77.0.2:6000").unwrap());
    victim.set_nonblocking(true).unwrap();
    lab.router
        .run(|| send_udp("10.77.0.2:6000".parse().unwrap(), None));
    lab.guest.run(|| {
        let forged = UdpSocket::bind("192.168.50.77:0").unwrap();
        forged.send_to(b"x", (WEB4, 443)).unwrap();
    });
    lab.fetch(&web, WEB4);
    assert!(victim.recv(&mut [0; 8]).is_err());
    assert!(lab.exit.block_on(|| host.drops()).unwrap().source >= 2);
}

#[test]
fn one_guest_cannot_take_all_connections() {
    if !can_run("one_guest_cannot_take_all_connections") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let web = WebServer::start(&lab.router);
    let limits = GuestLimits {
        flows: 20,
        ..GuestLimits::default()
    };
    let spec = ExitNatSpec {
        limits,
        ..ExitLab::spec()
    };
    let host = lab.exit.block_on(|| ExitHost::enable(&path, spec)).unwrap();
    lab.guest.sh("ip addr add 10.77.0.3/32 dev wg0");
    let mut capture = Capture::start(&lab.router);
    lab.guest.run(|| {
        let greedy = UdpSocket::bind("10.77.0.2:0").unwrap();
        for port in 2000..2100 {
            greedy.send_to(b"x", (WEB4, port)).unwrap();
        }
        // Another guest is not held up by it.
        let modest = UdpSocket::bind("10.77.0.3:0").unwrap();
        modest.send_to(b"x", (WEB4, 443)).unwrap();
    });
    let seen = capture.until(|it| it.protocol == 17 && it.port == 443);
    let passed = seen
        .iter()
        .filter(|it| (2000..2100).contains(&it.port))
        .count();
    assert_eq!(passed, 20, "as many flows as allowed");
    assert_eq!(lab.exit.block_on(|| host.drops()).unwrap().rate, 80);
    drop(web);
}

#[test]
fn undo_and_recover_give_the_exit_host_back_as_it_was() {
    if !can_run("undo_and_recover_give_the_exit_host_back_as_it_was") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let before = lab.exit.snapshot();
    let host = lab
        .exit
        .block_on(|| ExitHost::enable(&path, ExitLab::spec()))
        .unwrap();
    assert_ne!(lab.exit.snapshot(), before);
    assert!(lab.exit.block_on(|| host.undo()).unwrap().is_clean());
    assert_same(&lab.exit.snapshot(), &before, "after undo");

    drop(
        lab.exit
            .block_on(|| ExitHost::enable(&path, ExitLab::spec()))
            .unwrap(),
    );
    assert_ne!(lab.exit.snapshot(), before, "dropping undoes nothing");
    assert!(lab.exit.block_on(|| recover(&path)).unwrap().is_clean());
    assert_same(&lab.exit.snapshot(), &before, "after undo");
}

#[test]
fn other_forwarding_of_the_box_is_as_before() {
    if !can_run("other_forwarding_of_the_box_is_as_before") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let neighbour = Namespace::new("n");
    let (e, n) = (&lab.exit.name, &neighbour.name);
    sh(&format!(
        "ip -n {e} link add eth1 type veth peer name n0 netns {n}"
    ));
    lab.exit
        .sh("ip link set eth1 up; ip addr add 192.168.60.1/24 dev eth1");
    neighbour.sh("ip link set n0 up; ip addr add 192.168.60.2/24 dev n0; ip route add default via 192.168.60.1");
    lab.router
        .sh("ip route add 192.168.60.0/24 via 192.168.50.2");
    let inside = neighbour.run(|| UdpSocket::bind("192.168.60.2:7000").unwrap());
    inside.set_nonblocking(true).unwrap();
    let witness = lab
        .exit
        .run(|| UdpSocket::bind("192.168.50.2:7000").unwrap());
    let knock = || {
        lab.router.run(|| {
            assert!(send_udp("192.168.60.2:7000".parse().unwrap(), None));
            assert!(send_udp("192.168.50.2:7000".parse().unwrap(), None));
        });
        witness.recv(&mut [0; 8]).unwrap(); // It came after the other one.
        inside.recv(&mut [0; 8]).is_ok()
    };

    // Forwarding was off: being an exit must not open the box between its other networks.
    assert!(!knock());
    let host = lab
        .exit
        .block_on(|| ExitHost::enable(&path, ExitLab::spec()))
        .unwrap();
    assert!(
        !knock(),
        "the exit opened the way to another network of the box"
    );
    lab.exit.block_on(|| host.undo()).unwrap();

    // Forwarding was on: being an exit must not close it.
    lab.exit.sh("sysctl -qw net.ipv4.ip_forward=1");
    inside.set_nonblocking(false).unwrap();
    assert!(knock());
    let _host = lab
        .exit
        .block_on(|| ExitHost::enable(&path, ExitLab::spec()))
        .unwrap();
    assert!(
        knock(),
        "the exit closed the way to another network of the box"
    );
}

#[test]
fn a_forward_chain_that_drops_is_found_and_named() {
    if !can_run("a_forward_chain_that_drops_is_found_and_named") {
        return;
    }
    let lab = ExitLab::new();
    let none = lab.exit.block_on(check_exit);
    assert!(
        !none
            .iter()
            .any(|it| matches!(it, Finding::ForwardDropped { .. })),
        "{none:?}"
    );
    // What Docker leaves: the policy, and the chain for its owner.
    lab.exit.sh(
        "iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER",
    );
    let findings = lab.exit.block_on(check_exit);
    let found = findings
        .iter()
        .find(|it| matches!(it, Finding::ForwardDropped { .. }))
        .unwrap();
    let text = found.to_string();
    assert!(
        text.contains("FORWARD") && text.contains("DOCKER-USER -i warren0"),
        "{text}"
    );
}
