//! What the owner lets go beside the tunnel, and nothing else does.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use warren_tunnel::host::{ConsumerHost, KillSwitchSpec, LocalAccess, RouteSpec};

use crate::capture::{Capture, Seen};
use crate::kill_switch::{endpoint, journal, leaks, spec};
use crate::lab::{ConsumerLab, Namespace, assert_same, can_run, net};
use crate::probe::{NOBODY, begin_tcp, send_echo, send_udp, try_everything};

/// The router's address in the network that both are in.
const NEAR: [&str; 2] = ["192.168.7.1", "fd00:7::1"];
/// Private, and of no network that this host is in.
const FAR: [&str; 2] = ["192.168.8.1", "fd00:8::1"];
const SERVICE: u16 = 2222;

fn lab() -> ConsumerLab {
    let lab = ConsumerLab::new();
    lab.router
        .sh("ip addr add 192.168.7.1/24 dev r0; ip addr add fd00:7::1/64 dev r0 nodad");
    lab.consumer
        .sh("ip addr add 192.168.7.2/24 dev eth0; ip addr add fd00:7::2/64 dev eth0 nodad");
    lab
}

/// The consumer with a tunnel, a kill switch or none, and what its owner lets go.
fn up(
    lab: &ConsumerLab,
    path: &std::path::Path,
    blocks: bool,
    local: &LocalAccess,
) -> ConsumerHost {
    lab.consumer.block_on(|| async {
        let blocking = KillSwitchSpec {
            local: local.clone(),
            ..spec()
        };
        let mut host = if blocks {
            ConsumerHost::protect(path, &blocking).await.unwrap()
        } else {
            ConsumerHost::exposed(path).await.unwrap()
        };
        let routes = RouteSpec {
            local: local.clone(),
            ..RouteSpec::default()
        };
        host.route(&routes).await.unwrap();
        host
    })
}

fn try_private(consumer: &Namespace, addresses: [&str; 2]) {
    consumer.run(|| {
        for address in addresses {
            let address: IpAddr = address.parse().unwrap();
            for port in [9, 53, 443, 853] {
                send_udp(SocketAddr::new(address, port), None);
                begin_tcp(SocketAddr::new(address, port));
            }
            send_echo(address);
        }
    });
}

/// Which protocols and ports of the private networks the router saw, of both families, but for ICMPv6.
fn seen_private(capture: &mut Capture, lab: &ConsumerLab) -> Vec<(u8, u16)> {
    for server in [net::SERVER4, net::SERVER6] {
        crate::probe::send_marked(&lab.consumer, server);
    }
    let last = endpoint(net::SERVER6);
    let seen = capture.until(|it| it.port == last.port() && it.destination == last.ip());
    let is_private = |it: &IpAddr| {
        let text = it.to_string();
        [NEAR, FAR].concat().contains(&text.as_str())
    };
    let mut ports: Vec<_> = seen
        .iter()
        .filter(|it| is_private(&it.destination))
        // Neighbours ask for each other whenever they like.
        .filter(|it| it.protocol != 58)
        .map(|it| (it.protocol, it.port))
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

#[test]
fn the_network_one_is_in_stays_reachable_where_that_is_wanted_and_nothing_else_does() {
    if !can_run("the_network_one_is_in_stays_reachable_where_that_is_wanted") {
        return;
    }
    let near = LocalAccess {
        lan: true,
        inbound_tcp: Vec::new(),
    };
    for blocks in [true, false] {
        let lab = lab();
        let before = lab.consumer.snapshot();
        let (_folder, path) = journal();
        let host = up(&lab, &path, blocks, &LocalAccess::default());
        let mut capture = Capture::start(&lab.router);
        try_private(&lab.consumer, NEAR);
        assert_eq!(seen_private(&mut capture, &lab), [], "by default");
        lab.consumer.block_on(|| host.undo()).unwrap();
        assert_same(&lab.consumer.snapshot(), &before, "after undo");

        let host = up(&lab, &path, blocks, &near);
        try_private(&lab.consumer, NEAR);
        let seen = seen_private(&mut capture, &lab);
        let wanted = [(1, 0), (6, 9), (6, 443), (17, 9), (17, 443)];
        let of_names = |it: &&(u8, u16)| [53, 853].contains(&it.1);
        assert!(wanted.iter().all(|it| seen.contains(it)), "{seen:?}");
        assert_eq!(seen.iter().find(of_names), None, "names go into the tunnel");

        try_private(&lab.consumer, FAR);
        assert_eq!(
            seen_private(&mut capture, &lab),
            [],
            "private, and not near"
        );
        try_everything(&lab.consumer, NOBODY);
        assert_eq!(leaked(&mut capture, &lab, blocks), []);
        lab.consumer.block_on(|| host.undo()).unwrap();
        assert_same(&lab.consumer.snapshot(), &before, "after undo");
    }
}

/// Without a kill switch, what is for all of one's own network goes there.
fn leaked(capture: &mut Capture, lab: &ConsumerLab, blocks: bool) -> Vec<Seen> {
    let to_all: IpAddr = "192.0.2.255".parse().unwrap();
    let seen = leaks(capture, lab).into_iter();
    seen.filter(|it| blocks || it.destination != to_all)
        .collect()
}

/// Whether somebody outside, at an address that is not private, gets an answer of a service on the consumer.
fn answers(lab: &ConsumerLab, address: &str) -> bool {
    let at = SocketAddr::new(address.parse().unwrap(), SERVICE);
    let listener = lab.consumer.run(|| TcpListener::bind(at).unwrap());
    let asker = lab.router.run(|| {
        let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP));
        let socket = socket.unwrap();
        let came = socket.connect_timeout(&at.into(), Duration::from_millis(800));
        came.is_ok().then(|| TcpStream::from(socket))
    });
    let Some(mut asker) = asker else {
        return false;
    };
    let (mut served, _) = listener.accept().unwrap();
    served.write_all(b"here").unwrap();
    let mut said = [0; 4];
    asker.read_exact(&mut said).unwrap();
    &said == b"here"
}

#[test]
fn a_service_answers_whoever_asks_from_outside_where_that_is_wanted_and_begins_nothing() {
    if !can_run("a_service_answers_whoever_asks_from_outside_where_that_is_wanted") {
        return;
    }
    let service = LocalAccess {
        lan: false,
        inbound_tcp: vec![SERVICE],
    };
    let addresses = [net::CONSUMER4, net::CONSUMER6];
    for blocks in [true, false] {
        let lab = lab();
        let before = lab.consumer.snapshot();
        let (_folder, path) = journal();
        let host = up(&lab, &path, blocks, &LocalAccess::default());
        assert_eq!(addresses.map(|it| answers(&lab, it)), [false; 2]);
        lab.consumer.block_on(|| host.undo()).unwrap();

        let host = up(&lab, &path, blocks, &service);
        assert_eq!(addresses.map(|it| answers(&lab, it)), [true; 2]);
        let mut capture = Capture::start(&lab.router);
        try_everything(&lab.consumer, NOBODY);
        if blocks {
            lab.consumer.run(|| begin_from_service(net::SERVER4));
        }
        assert_eq!(leaked(&mut capture, &lab, blocks), []);
        lab.consumer.block_on(|| host.undo()).unwrap();
        assert_same(&lab.consumer.snapshot(), &before, "after undo");
    }
}

fn begin_from_service(to: &str) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_nonblocking(true).unwrap();
    let from = SocketAddr::new(net::CONSUMER4.parse().unwrap(), SERVICE);
    socket.bind(&from.into()).unwrap();
    let to = SocketAddr::new(to.parse().unwrap(), 443);
    let _ = socket.connect(&to.into());
}
