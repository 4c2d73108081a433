//! The exit's host: limits, forged packets, other forwarding of the box, undo.

use std::net::UdpSocket;
use std::time::Duration;

use warren_tunnel::host::{
    ExitHost, ExitNatSpec, Finding, GuestLimits, HostError, check_exit, forget_flows, recover,
};

use crate::capture::Capture;
use crate::exit_lab::{ExitLab, WEB4, WEB6, WebServer};
use crate::kill_switch::journal;
use crate::lab::{Namespace, assert_same, can_run, sh};
use crate::probe::send_udp;

#[test]
fn nothing_outside_reaches_a_guest_and_no_forged_source_leaves() {
    if !can_run("nothing_outside_reaches_a_guest_and_no_forged_source_leaves") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let web = WebServer::start(&lab.router);
    let _host = lab.enabled(&path);
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
    assert!(lab.denied("source") >= 2);
}

fn twenty_flows_each() -> ExitNatSpec {
    let limits = GuestLimits {
        flows: 20,
        ..GuestLimits::default()
    };
    ExitNatSpec {
        limits,
        ..ExitLab::spec()
    }
}

#[test]
fn one_guest_cannot_take_all_connections() {
    if !can_run("one_guest_cannot_take_all_connections") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let web = WebServer::start(&lab.router);
    let spec = twenty_flows_each();
    let _host = lab.exit.block_on(|| ExitHost::enable(&path, spec)).unwrap();
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
    assert_eq!(lab.denied("rate"), 80);
    drop(web);
}

#[test]
fn who_gets_the_address_of_a_guest_that_left_gets_none_of_its_flows() {
    if !can_run("who_gets_the_address_of_a_guest_that_left_gets_none_of_its_flows") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let spec = twenty_flows_each();
    let _host = lab.exit.block_on(|| ExitHost::enable(&path, spec)).unwrap();
    let tables = [
        (WEB4, "10.77.0.2", "10.77.0.3"),
        (WEB6, "fd77:7761::2", "fd77:7761::3"),
    ];
    lab.guest
        .sh("ip addr add 10.77.0.3/32 dev wg0; ip addr add fd77:7761::3/128 dev wg0 nodad");
    for (web, guest, neighbour) in tables {
        let far = lab.router.run(|| UdpSocket::bind((web, 443)).unwrap());
        far.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let near = |from: &str| lab.guest.run(|| UdpSocket::bind((from, 0)).unwrap());
        let kept = near(neighbour);
        kept.send_to(b"n", (web, 443)).unwrap();
        let (_, kept_at) = far.recv_from(&mut [0; 8]).unwrap();
        // It fills what is its own, and more does not pass.
        let first = near(guest);
        first.send_to(b"x", (web, 443)).unwrap();
        let (_, first_at) = far.recv_from(&mut [0; 8]).unwrap();
        for port in 2000..2100 {
            first.send_to(b"x", (web, port)).unwrap();
        }

        // It leaves; another one gets its address.
        let gone = [guest.parse().unwrap()].into();
        let forgotten = lab.exit.run(|| forget_flows(&gone)).unwrap();
        assert_eq!(forgotten, 20, "{web}");
        near(guest).send_to(b"y", (web, 443)).unwrap();
        let mut said = [0; 1];
        far.recv_from(&mut said).unwrap();
        assert_eq!(&said, b"y", "its first flow passes");
        // What the other side still sends goes to nobody; the neighbour's flow stands.
        far.send_to(b"late", first_at).unwrap();
        far.send_to(b"n", kept_at).unwrap();
        kept.recv_from(&mut [0; 8]).unwrap();
        first.set_nonblocking(true).unwrap();
        assert!(first.recv_from(&mut [0; 8]).is_err());
    }
}

#[test]
fn undo_and_recover_give_the_exit_host_back_as_it_was() {
    if !can_run("undo_and_recover_give_the_exit_host_back_as_it_was") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let before = lab.exit.snapshot();
    let host = lab.enabled(&path);
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

/// Another network of the box, which the exit must neither open nor close.
struct Other {
    neighbour: Namespace,
    inside: UdpSocket,
    witness: UdpSocket,
}

impl Other {
    fn beside(lab: &ExitLab) -> Self {
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
        Self {
            neighbour,
            inside,
            witness,
        }
    }

    /// Whether the router reaches that network through the exit.
    fn is_reached(&self, lab: &ExitLab) -> bool {
        lab.router.run(|| {
            assert!(send_udp("192.168.60.2:7000".parse().unwrap(), None));
            assert!(send_udp("192.168.50.2:7000".parse().unwrap(), None));
        });
        self.witness.recv(&mut [0; 8]).unwrap(); // It came after the other one.
        self.inside.recv(&mut [0; 8]).is_ok()
    }
}

#[test]
fn other_forwarding_of_the_box_is_as_before() {
    if !can_run("other_forwarding_of_the_box_is_as_before") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let other = Other::beside(&lab);
    // Forwarding was off: being an exit must not open the box between its other networks.
    assert!(!other.is_reached(&lab));
    let host = lab.enabled(&path);
    assert!(
        !other.is_reached(&lab),
        "the exit opened the way to another network of the box"
    );
    lab.exit.block_on(|| host.undo()).unwrap();

    // Forwarding was on: being an exit must not close it.
    lab.exit.sh("sysctl -qw net.ipv4.ip_forward=1");
    other.inside.set_nonblocking(false).unwrap();
    assert!(other.is_reached(&lab));
    let _host = lab.enabled(&path);
    assert!(
        other.is_reached(&lab),
        "the exit closed the way to another network of the box"
    );
}

#[test]
fn an_uplink_that_was_left_forwards_for_nobody() {
    if !can_run("an_uplink_that_was_left_forwards_for_nobody") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let other = Other::beside(&lab);
    lab.exit.sh("ip -6 route del default");
    let mut host = lab.enabled(&path);
    lab.exit.wait_up("eth1");
    for (via, uplink) in [("192.168.60.2", "eth1"), ("192.168.50.1", "eth0")] {
        lab.exit.sh(&format!("ip route replace default via {via}"));
        assert!(lab.exit.block_on(|| host.refresh()).unwrap());
        assert_eq!(host.uplinks(), [uplink]);
        assert!(!other.is_reached(&lab), "after the move to {uplink}");
    }
    drop(other.neighbour);
}

#[test]
fn a_forward_chain_that_drops_is_found_and_named() {
    if !can_run("a_forward_chain_that_drops_is_found_and_named") {
        return;
    }
    let lab = ExitLab::new();
    let none = lab.exit.block_on(check_exit);
    assert_eq!(none, [], "a fresh host with a default route can be an exit");
    // What Docker leaves: the policy, and the chain for its owner.
    lab.exit.sh(
        "iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER",
    );
    let (_folder, path) = journal();
    let find = || {
        let mut found = lab.exit.block_on(check_exit);
        found.retain(|it| matches!(it, Finding::ForwardDropped { .. }));
        found
    };
    let text = find()[0].to_string();
    assert!(
        text.contains("FORWARD") && text.contains("DOCKER-USER -i warren-exit"),
        "{text}"
    );
    let before = lab.exit.snapshot();
    let refused = lab
        .exit
        .block_on(|| ExitHost::enable(&path, ExitLab::spec()));
    assert!(
        matches!(refused, Err(HostError::InTheWay(_))),
        "{refused:?}"
    );
    assert_same(&lab.exit.snapshot(), &before, "after a refusal");

    // What it says is typed, line by line.
    let (_, remedy) = text.split_once('`').unwrap();
    let lines: Vec<&str> = remedy.trim_end_matches('`').split("; ").collect();
    lab.exit.sh(lines[0]);
    assert_eq!(find().len(), 1, "answers are still dropped");
    lab.exit.sh(lines[1]);
    assert_eq!(lab.exit.block_on(check_exit), []);
    let web = WebServer::start(&lab.router);
    let mut host = lab.enabled(&path);
    assert_eq!(lab.fetch(&web, WEB4).ip().to_string(), "192.168.50.2");

    // Somebody else's firewall begins, after the exit, and is mended.
    let mut dropped = || lab.exit.block_on(|| host.in_the_way()).unwrap();
    assert_eq!((dropped(), dropped()), (vec![], vec![]));
    lab.exit
        .sh("iptables -F DOCKER-USER; ip6tables -P FORWARD DROP");
    let (found, again) = (dropped(), dropped());
    assert_eq!((found.len(), &found), (2, &again), "{found:?}");
    for found in found {
        let text = found.to_string();
        let (_, remedy) = text.split_once('`').unwrap();
        lab.exit.sh(remedy.trim_end_matches('`'));
    }
    assert_eq!(dropped(), []);
    lab.fetch(&web, WEB4);
    lab.fetch(&web, WEB6);
}

#[test]
fn a_guest_cannot_appear_from_a_port_of_the_exit() {
    if !can_run("a_guest_cannot_appear_from_a_port_of_the_exit") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let _host = lab.enabled(&path);
    for at in [WEB4, WEB6] {
        let other = lab.router.run(|| UdpSocket::bind((at, 443)).unwrap());
        // 41820 is the exit's own WireGuard port, 4077 its overlay's, 40000 an ephemeral one.
        for port in [41820, 4077, 40000] {
            let any = if at == WEB4 { "0.0.0.0" } else { "::" };
            let guest = lab.guest.run(|| UdpSocket::bind((any, port)).unwrap());
            guest.send_to(b"x", (at, 443)).unwrap();
            let (_, from) = other.recv_from(&mut [0; 8]).unwrap();
            assert!(
                (10_000..32_768).contains(&from.port()),
                "{port} became {from}"
            );
        }
    }
}
