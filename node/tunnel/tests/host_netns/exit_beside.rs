//! What else the exit's host does, and has: other forwarding, other firewalls, other networks.

use std::net::UdpSocket;
use std::time::Duration;

use warren_tunnel::host::{ExitHost, ExitNatSpec, Finding, HostError, check_exit, recover};

use crate::exit_lab::{ExitLab, WEB4, WEB6, WebServer};
use crate::kill_switch::journal;
use crate::lab::{Namespace, assert_same, can_run, sh};
use crate::probe::send_udp;

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
fn forwarding_that_others_turn_on_meanwhile_stays_theirs() {
    if !can_run("forwarding_that_others_turn_on_meanwhile_stays_theirs") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let other = Other::beside(&lab);
    let web = WebServer::start(&lab.router);
    let patience = Some(Duration::from_secs(20));
    other.inside.set_read_timeout(patience).unwrap();
    for dies in [false, true] {
        lab.exit.sh("sysctl -qw net.ipv4.ip_forward=0");
        let mut host = lab.enabled(&path);
        let mut refresh = || lab.exit.block_on(|| host.refresh()).unwrap();
        other.inside.set_nonblocking(true).unwrap();
        assert!(!refresh() && !other.is_reached(&lab));
        // As Docker does when it begins.
        lab.exit.sh("sysctl -qw net.ipv4.ip_forward=1");
        assert!(refresh());
        other.inside.set_nonblocking(false).unwrap();
        assert!(other.is_reached(&lab), "others are as free as they want");
        assert!(!refresh(), "it is theirs by now");
        lab.fetch(&web, WEB4);
        let report = if dies {
            drop(host);
            lab.exit.block_on(|| recover(&path))
        } else {
            lab.exit.block_on(|| host.undo())
        };
        assert!(report.unwrap().is_clean());
        assert!(other.is_reached(&lab), "after the exit's end");
        let off = "grep -rl 0 /proc/sys/net/ipv4/conf/*/forwarding || true";
        assert_eq!(lab.exit.sh(off), "");
    }
    // Its end comes before it has looked.
    lab.exit.sh("sysctl -qw net.ipv4.ip_forward=0");
    let host = lab.enabled(&path);
    lab.exit.sh("sysctl -qw net.ipv4.ip_forward=1");
    assert!(lab.exit.block_on(|| host.undo()).unwrap().is_clean());
    assert!(other.is_reached(&lab));
    // What was on for all before, and off for this one, is nobody's wish but its owner's.
    lab.exit.sh("sysctl -qw net.ipv4.conf.eth0.forwarding=0");
    let host = lab.enabled(&path);
    lab.exit.block_on(|| host.undo()).unwrap();
    let now = lab.exit.sh("cat /proc/sys/net/ipv4/conf/eth0/forwarding");
    assert_eq!(now, "0\n");
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
    let spec = ExitLab::spec();
    let check = || lab.exit.block_on(|| check_exit(&spec));
    let none = check();
    assert_eq!(none, [], "a fresh host with a default route can be an exit");
    // What Docker leaves: the policy, and the chain for its owner.
    lab.exit.sh(
        "iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER",
    );
    let (_folder, path) = journal();
    let find = || {
        let mut found = check();
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
    assert_eq!(check(), []);
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
fn an_exit_in_the_guests_own_net_is_refused_and_cut_off_from_nothing() {
    if !can_run("an_exit_in_the_guests_own_net_is_refused_and_cut_off_from_nothing") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let spec = ExitLab::spec();
    let own = lab.exit.run(|| UdpSocket::bind("0.0.0.0:7000").unwrap());
    own.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let ways = [
        (
            "ip addr add 10.77.5.9/24 dev eth0",
            "ip addr del 10.77.5.9/24 dev eth0",
            "10.77.5.9 of eth0",
        ),
        (
            "ip route add 10.77.6.0/24 via 192.168.50.1",
            "ip route del 10.77.6.0/24",
            "10.77.6.0/24",
        ),
    ];
    lab.router.sh("ip addr add 10.77.5.1/24 dev r0");
    for (change, back, seen) in ways {
        lab.exit.sh(change);
        let refused = lab
            .exit
            .block_on(|| ExitHost::enable(&path, ExitLab::spec()));
        let Err(HostError::InTheWay(found)) = refused else {
            panic!("{refused:?}");
        };
        let text = found.to_string();
        assert!(
            text.contains(seen) && text.contains("exit.inner_v4"),
            "{text}"
        );
        let found = lab.exit.block_on(|| check_exit(&spec));
        assert!(
            matches!(&found[..], [Finding::GuestsInner { .. }]),
            "{found:?}"
        );
        if seen.contains("eth0") {
            let to = "10.77.5.9:7000".parse().unwrap();
            lab.router.run(|| assert!(send_udp(to, None)));
            own.recv(&mut [0; 8]).unwrap();
        }
        // In another net it can be one.
        let elsewhere = ExitNatSpec {
            inner4: "10.78.0.0/16".parse().unwrap(),
            ..ExitLab::spec()
        };
        let host = lab.exit.block_on(|| ExitHost::enable(&path, elsewhere));
        lab.exit.block_on(|| host.unwrap().undo()).unwrap();
        lab.exit.sh(back);
    }
}
