//! What others do to our firewall, and the world to our networks, while we stand.

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use ipnet::IpNet;
use warren_tunnel::host::{ConsumerHost, RouteSpec};

use crate::capture::Capture;
use crate::exit_lab::{ExitLab, WEB4, WebServer};
use crate::kill_switch::{endpoint, journal, leaks, protected};
use crate::lab::{ConsumerLab, can_run, net};
use crate::probe::{NOBODY, send_udp, try_everything};

#[test]
fn a_kill_switch_that_was_flushed_is_back_before_the_routes_go() {
    if !can_run("a_kill_switch_that_was_flushed_is_back_before_the_routes_go") {
        return;
    }
    let lab = ConsumerLab::new();
    let (_folder, path) = journal();
    let mut host = protected(&lab, &path);
    lab.consumer
        .block_on(|| async { host.route(&RouteSpec::default()).await.unwrap() });
    assert!(lab.consumer.block_on(|| host.stands()));
    lab.consumer.sh("nft flush ruleset");
    assert!(!lab.consumer.block_on(|| host.stands()));

    // A fail-over: nothing between two tunnels may leave in the clear.
    lab.consumer.block_on(|| host.release()).unwrap();
    let mut capture = Capture::start(&lab.router);
    try_everything(&lab.consumer, NOBODY);
    assert_eq!(leaks(&mut capture, &lab), []);
    assert!(lab.consumer.block_on(|| host.stands()));
    assert!(lab.consumer.block_on(|| host.undo()).unwrap().is_clean());
}

#[test]
fn whoever_opens_the_kill_switch_is_found_out_and_whoever_minds_his_own_is_not() {
    if !can_run("whoever_opens_the_kill_switch_is_found_out_and_whoever_minds_his_own_is_not") {
        return;
    }
    let lab = ConsumerLab::new();
    let (_folder, path) = journal();
    let mut host = protected(&lab, &path);
    let stands = |host: &mut ConsumerHost| lab.consumer.block_on(|| host.stands());
    // What moves by itself: counters, and others' tables.
    try_everything(&lab.consumer, NOBODY);
    lab.consumer
        .sh("nft add table inet other; nft add chain inet other c");
    assert!(stands(&mut host));
    // What we do ourselves.
    let moved = [endpoint(net::SERVER6)];
    lab.consumer
        .block_on(|| host.allow_endpoints(&moved))
        .unwrap();
    assert!(stands(&mut host));
    for opened in [
        "nft insert rule inet warren output accept",
        "nft flush chain inet warren output",
        "nft add element inet warren endpoint4 { 198.51.100.1 . 443 }",
        "nft delete element inet warren inner4 { 10.77.0.0/16 }",
        "nft chain inet warren forward { policy accept\\; }",
        "nft delete table inet warren",
    ] {
        lab.consumer.sh(opened);
        assert!(!stands(&mut host), "{opened}");
        assert!(!stands(&mut host), "still: {opened}");
        lab.consumer.block_on(|| host.restore()).unwrap();
        assert!(stands(&mut host), "{opened}");
    }
    // The endpoint is still the one that was allowed last.
    let rules = lab.consumer.sh("nft list table inet warren");
    assert!(
        rules.contains("2001:db8:2::1 . 41820") && !rules.contains("198.51.100.1 ."),
        "{rules}"
    );
    lab.consumer.sh("nft delete table inet other");
    assert!(lab.consumer.block_on(|| host.undo()).unwrap().is_clean());
}

/// Whether a guest's datagram gets to `at`, a place behind the exit.
fn reaches(lab: &ExitLab, web: &WebServer, at: &str) -> bool {
    let at = SocketAddr::new(at.parse().unwrap(), 7000);
    let there = lab.router.run(|| UdpSocket::bind(at).unwrap());
    there.set_nonblocking(true).unwrap();
    lab.guest.run(|| send_udp(at, None));
    // What was sent before it has been handled once this is through.
    lab.fetch(web, WEB4);
    there.recv(&mut [0; 8]).is_ok()
}

#[test]
fn a_deny_table_that_was_flushed_is_seen_and_made_again() {
    if !can_run("a_deny_table_that_was_flushed_is_seen_and_made_again") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let web = WebServer::start(&lab.router);
    let mut host = lab.enabled(&path);
    // Guests' packets fill sets and counters of the table: that is no change of it.
    assert!(!reaches(&lab, &web, "192.168.50.9"));
    lab.exit.sh("nft add table inet other");
    assert!(lab.exit.block_on(|| host.stands()));
    lab.exit.sh("nft flush ruleset");
    assert!(!lab.exit.block_on(|| host.stands()));
    lab.exit.block_on(|| host.restore()).unwrap();
    assert!(lab.exit.block_on(|| host.stands()));
    assert!(!reaches(&lab, &web, "192.168.50.9"));
    lab.exit
        .sh("nft delete element inet warren_exit deny4 { 192.168.0.0/16 }");
    assert!(!lab.exit.block_on(|| host.stands()));
}

#[test]
fn networks_the_exit_comes_into_are_denied_and_open_flows_to_them_end() {
    if !can_run("networks_the_exit_comes_into_are_denied_and_open_flows_to_them_end") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let web = WebServer::start(&lab.router);
    let mut host = lab.enabled(&path);
    assert!(!lab.exit.block_on(|| host.refresh()).unwrap(), "as it was");
    // The provider gives the home another prefix, and the owner plugs a cable.
    lab.router
        .sh("ip addr add 2a0e:77:1::9/64 dev r0 nodad; ip addr add 5.9.77.9/24 dev r0");
    lab.exit
        .sh("ip addr add 2a0e:77:1::2/64 dev eth0 nodad; ip addr add 5.9.77.2/24 dev eth0");
    for neighbour in ["2a0e:77:1::9", "5.9.77.9"] {
        assert!(reaches(&lab, &web, neighbour), "not known yet");
    }
    let to = SocketAddr::new("5.9.77.9".parse().unwrap(), 7000);
    let there = lab.router.run(|| UdpSocket::bind(to).unwrap());
    let here = lab.guest.run(|| UdpSocket::bind("10.77.0.2:7001").unwrap());
    here.connect(to).unwrap();
    here.send(b"open").unwrap();
    assert_eq!(there.recv(&mut [0; 8]).unwrap(), 4);

    assert!(lab.exit.block_on(|| host.refresh()).unwrap());
    for neighbour in ["2a0e:77:1::9", "192.168.50.9"] {
        assert!(!reaches(&lab, &web, neighbour), "{neighbour}");
    }
    let _ = here.send(b"again");
    lab.fetch(&web, WEB4);
    there.set_nonblocking(true).unwrap();
    assert!(there.recv(&mut [0; 8]).is_err(), "an open flow goes on");
    assert!(lab.exit.block_on(|| host.stands()));
    let denied = lab.denied("address");
    assert!(denied >= 3, "counters go on: {denied}");
}

#[test]
fn an_address_the_exit_is_newly_known_by_is_denied_and_the_old_one_is_not() {
    if !can_run("an_address_the_exit_is_newly_known_by_is_denied_and_the_old_one_is_not") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let web = WebServer::start(&lab.router);
    for address in ["203.0.113.7/32 dev lo", "2001:db8:9::7/128 dev lo nodad"] {
        lab.router.sh(&format!("ip addr add {address}"));
    }
    let mut host = lab.enabled(&path);
    assert!(!reaches(&lab, &web, "203.0.113.1"));
    assert!(reaches(&lab, &web, "203.0.113.7") && reaches(&lab, &web, "2001:db8:9::7"));
    let nets: [IpNet; 2] = ["203.0.113.7/32", "2001:db8:9::7/128"].map(|it| it.parse().unwrap());
    lab.exit.block_on(|| host.also_deny(nets.to_vec())).unwrap();
    assert!(!reaches(&lab, &web, "203.0.113.7") && !reaches(&lab, &web, "2001:db8:9::7"));
    assert!(reaches(&lab, &web, "203.0.113.1"), "somebody else's by now");
    assert!(lab.exit.block_on(|| host.stands()));
    // Its pages, too: a guest's browser is refused at once or never answered, but not served.
    let pages = lab
        .router
        .run(|| std::net::TcpListener::bind("203.0.113.7:80").unwrap());
    pages.set_nonblocking(true).unwrap();
    let to: SocketAddr = "203.0.113.7:80".parse().unwrap();
    let asked = lab
        .guest
        .run(|| TcpStream::connect_timeout(&to, Duration::from_millis(500)));
    assert!(asked.is_err() && pages.accept().is_err());
}
