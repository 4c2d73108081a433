//! The exit's deny table: what a guest reaches and what it does not, seen from behind the exit.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};

use ipnet::IpNet;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use warren_tunnel::host::{Carries, ExitHost, default_uplinks};

use crate::capture::{Capture, Seen};
use crate::exit_lab::{ExitLab, WEB4, WEB6, WebServer};
use crate::kill_switch::journal;
use crate::lab::{can_run, sh};
use crate::probe::{begin_tcp, send_echo, send_udp};

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
    let host = lab.enabled(&path);
    assert_eq!(host.uplinks(), ["eth0"]);
    assert_eq!(host.carries(), Carries::Both);

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
    let (address, port) = (lab.denied("address"), lab.denied("port"));
    assert!(address > 50 && port > 10, "{address} {port}");
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
    let _host = lab.enabled(&path);
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
}

#[test]
fn a_plain_forwarding_exit_would_show_the_whole_house() {
    if !can_run("a_plain_forwarding_exit_would_show_the_whole_house") {
        return;
    }
    // Without our table, so that the tests above prove the table and not the lab.
    let lab = ExitLab::new();
    let web = WebServer::start(&lab.router);
    lab.exit
        .sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    lab.exit.sh("nft add table inet n; nft 'add chain inet n p { type nat hook postrouting priority 100; }'");
    lab.exit.sh("nft add rule inet n p oifname eth0 masquerade");
    let mut capture = Capture::start(&lab.router);
    lab.guest.run(|| {
        for forbidden in FORBIDDEN {
            send_udp(SocketAddr::new(forbidden.parse().unwrap(), 9), None);
        }
        begin_tcp(SocketAddr::new(WEB4.parse().unwrap(), 25));
    });
    lab.fetch(&web, WEB6);
    let seen = capture.until(|it| it.protocol == 6 && it.destination.to_string() == WEB6);
    let reached: BTreeSet<String> = seen
        .iter()
        .filter(|it| it.port == 9)
        .map(|it| it.destination.to_string())
        .collect();
    for place in [
        "192.168.50.9",
        "192.168.50.1",
        "203.0.113.1",
        "169.254.169.254",
        "10.9.9.9",
    ] {
        assert!(reached.contains(place), "{place}: {reached:?}");
    }
    for place in [
        "100.64.0.9",
        "fd00:50::9",
        "fd00:ec2::254",
        "64:ff9b::a09:909",
    ] {
        assert!(reached.contains(place), "{place}: {reached:?}");
    }
    assert!(seen.iter().any(|it| it.port == 25));
}

#[test]
fn a_thousand_addresses_of_denied_blocks_stay_silent() {
    if !can_run("a_thousand_addresses_of_denied_blocks_stay_silent") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let web = WebServer::start(&lab.router);
    let spec = ExitLab::spec();
    let v4 = spec.policy.denied_v4().iter().copied().map(IpNet::V4);
    let blocks: Vec<IpNet> = v4
        .chain(spec.policy.denied_v6().iter().copied().map(IpNet::V6))
        .collect();
    let _host = lab.exit.block_on(|| ExitHost::enable(&path, spec)).unwrap();
    let mut capture = Capture::start(&lab.router);
    let mut random = StdRng::seed_from_u64(0x7761);
    let sent = lab.guest.run(|| {
        let mut sent = 0;
        while sent < 1000 {
            let block = blocks[random.random_range(0..blocks.len())];
            let address = match block {
                IpNet::V4(net) => IpAddr::from(
                    (u32::from(net.network())
                        | (random.random::<u32>() & u32::from(net.hostmask())))
                    .to_be_bytes(),
                ),
                IpNet::V6(net) => IpAddr::from(
                    (u128::from(net.network())
                        | (random.random::<u128>() & u128::from(net.hostmask())))
                    .to_be_bytes(),
                ),
            };
            // The guest's own kernel refuses some, as loopback; those never leave.
            sent += u32::from(send_udp(SocketAddr::new(address, 443), None));
        }
        sent
    });
    for at in [WEB4, WEB6] {
        lab.fetch(&web, at);
    }
    let seen = capture.until(|it| it.protocol == 6 && it.destination.to_string() == WEB6);
    let leaked: Vec<&Seen> = seen.iter().filter(|it| it.protocol == 17).collect();
    assert_eq!(leaked, Vec::<&Seen>::new(), "of {sent}");
}

#[test]
fn an_exit_follows_the_default_routes_to_other_uplinks() {
    if !can_run("an_exit_follows_the_default_routes_to_other_uplinks") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let web = WebServer::start(&lab.router);
    let mut host = lab.enabled(&path);
    let (e, r) = (&lab.exit.name, &lab.router.name);
    sh(&format!(
        "ip -n {e} link add eth1 type veth peer name r1 netns {r}"
    ));
    lab.router
        .sh("ip link set r1 up; ip addr add 192.168.51.1/24 dev r1");
    lab.exit
        .sh("ip link set eth1 up; ip addr add 192.168.51.2/24 dev eth1");
    lab.exit.wait_up("eth1");
    // A cable instead of the other; and it has no IPv6.
    lab.exit
        .sh("ip route replace default via 192.168.51.1; ip -6 route del default");
    assert!(lab.exit.block_on(|| host.refresh()).unwrap());
    assert_eq!(host.uplinks(), ["eth1"]);
    assert_eq!(host.carries(), Carries::V4);
    assert_eq!(lab.fetch(&web, WEB4).ip().to_string(), "192.168.51.2");
    // IPv6 forwards on every device: this one too must go on hearing routers.
    let hears = lab.exit.sh("cat /proc/sys/net/ipv6/conf/eth1/accept_ra");
    assert_eq!(hears.trim(), "2");
    assert!(!lab.exit.block_on(|| host.refresh()).unwrap(), "as it was");
    // IPv6 comes late, by the first one.
    lab.exit.sh("ip -6 route add default via 2001:db8:50::1");
    assert!(lab.exit.block_on(|| host.refresh()).unwrap());
    assert_eq!(host.uplinks(), ["eth0", "eth1"]);
    assert_eq!(host.carries(), Carries::Both);
    assert_eq!(lab.fetch(&web, WEB6).ip().to_string(), "2001:db8:50::2");
    // While the line is down, nothing is known of where it will lead.
    lab.exit.sh("ip route del default; ip -6 route del default");
    assert!(!lab.exit.block_on(|| host.refresh()).unwrap());
    assert_eq!(host.uplinks(), ["eth0", "eth1"]);
    let report = lab.exit.block_on(|| host.undo()).unwrap();
    assert!(report.is_clean(), "{report}");
}

/// No rule can name every device that the kernel can.
#[test]
fn a_network_is_denied_though_the_exit_cannot_follow_the_route_into_it() {
    if !can_run("a_network_is_denied_though_the_exit_cannot_follow_the_route_into_it") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let mut host = lab.enabled(&path);
    let (e, r) = (&lab.exit.name, &lab.router.name);
    sh(&format!(
        "ip -n {e} link add 'up(1)' type veth peer name r1 netns {r}"
    ));
    lab.router.sh("ip link set r1 up");
    lab.exit
        .sh("ip link set 'up(1)' up; ip addr add 192.168.61.2/24 dev 'up(1)'");
    lab.exit.wait_up("'up(1)'");
    lab.exit
        .sh("ip route add default via 192.168.61.1 metric 900");
    let denied = || lab.exit.sh("nft list set inet warren_exit own4");
    assert!(!denied().contains("192.168.61.0/24"), "{}", denied());
    // Twice: the second time nothing is new but what still fails.
    let _new = lab.exit.block_on(|| host.refresh());
    let refused = lab.exit.block_on(|| host.refresh());
    assert!(refused.is_err(), "{refused:?}");
    assert!(denied().contains("192.168.61.0/24"), "{}", denied());
    assert_eq!(host.uplinks(), ["eth0"]);
}

#[test]
fn an_exit_with_a_way_out_by_ipv6_alone_says_so() {
    if !can_run("an_exit_with_a_way_out_by_ipv6_alone_says_so") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    lab.exit.sh("ip route del default");
    let host = lab.enabled(&path);
    assert_eq!(host.carries(), Carries::V6);
}

/// As `ppp0` is after each night: same name, same routes, and the kernel's settings as of a new device.
#[test]
fn an_uplink_that_is_made_anew_carries_guests_again() {
    if !can_run("an_uplink_that_is_made_anew_carries_guests_again") {
        return;
    }
    let lab = ExitLab::new();
    lab.exit.sh("sysctl -qw net.ipv4.ip_forward=0");
    let (_folder, path) = journal();
    let web = WebServer::start(&lab.router);
    let before = lab.exit.snapshot();
    let mut host = lab.enabled(&path);
    for _ in 0..2 {
        lab.fetch(&web, WEB4);
        lab.exit.sh("ip link del eth0");
        lab.plug_in();
        assert!(lab.exit.block_on(|| host.refresh()).unwrap());
        assert!(!lab.exit.block_on(|| host.refresh()).unwrap(), "as it was");
    }
    lab.fetch(&web, WEB4);
    let lines = std::fs::read_to_string(&path).unwrap().lines().count();
    let report = lab.exit.block_on(|| host.undo()).unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(lines < 12, "the journal grows with each: {lines} lines");
    let forwarding = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|it| it.contains("forwarding:"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(forwarding(&lab.exit.snapshot()), forwarding(&before));
}

/// The kernel names a device for some routes that lead nowhere, and none for one with several ways.
#[test]
fn a_default_route_to_nowhere_is_no_uplink_and_one_of_two_ways_is_two() {
    if !can_run("a_default_route_to_nowhere_is_no_uplink_and_one_of_two_ways_is_two") {
        return;
    }
    let lab = ExitLab::new();
    let (e, r) = (&lab.exit.name, &lab.router.name);
    sh(&format!(
        "ip -n {e} link add eth1 type veth peer name r1 netns {r}"
    ));
    lab.exit
        .sh("ip link set eth1 up; ip addr add 192.168.51.2/24 dev eth1");
    lab.router.sh("ip link set r1 up");
    lab.exit.wait_up("eth1");
    lab.exit
        .sh("ip -6 route del default; ip -6 route add unreachable default");
    lab.exit.sh("ip route del default; ip route add default nexthop via 192.168.50.1 nexthop via 192.168.51.1");
    let found = lab.exit.block_on(default_uplinks).unwrap();
    assert_eq!(found, ["eth0", "eth1"]);
}

/// Whoever measures the way asks the gateway for echoes; one guest must not use up those of all.
#[test]
fn a_guest_that_floods_the_gateway_leaves_others_their_echoes() {
    if !can_run("a_guest_that_floods_the_gateway_leaves_others_their_echoes") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let _host = lab.enabled(&path);
    lab.guest.sh("ip addr add 10.77.0.3/32 dev wg0");
    let done = AtomicBool::new(false);
    let others = std::thread::scope(|scope| {
        scope.spawn(|| {
            lab.guest.run(|| {
                while !done.load(Ordering::Relaxed) {
                    send_echo("10.77.0.1".parse().unwrap());
                }
            });
        });
        while lab.denied("address") < 1000 {}
        let ping = "ping -q -n -c 1 -W 1 -I 10.77.0.3 10.77.0.1 >/dev/null && echo came";
        let others: Vec<String> = (0..5)
            .map(|_| lab.guest.sh(&format!("{ping} || true")))
            .collect();
        done.store(true, Ordering::Relaxed);
        others
    });
    assert_eq!(others.concat().matches("came").count(), 5);
}
