//! The exit's host: limits, forged packets, undo.

use std::net::UdpSocket;
use std::time::Duration;

use warren_tunnel::host::{ExitHost, ExitNatSpec, GuestLimits, forget_flows, recover};

use crate::capture::Capture;
use crate::exit_lab::{ExitLab, WEB4, WEB6, WebServer};
use crate::kill_switch::journal;
use crate::lab::{assert_same, can_run};
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
