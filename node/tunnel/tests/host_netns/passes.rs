//! What the kill switch lets pass, and only that.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use warren_tunnel::host::{ConsumerHost, KillSwitchSpec, MARK, RouteSpec, adopt_control_uid};

use crate::capture::Capture;
use crate::kill_switch::{journal, spec};
use crate::lab::{ConsumerLab, can_run, net};
use crate::probe::{ENDPOINT_PORT, send_udp};

#[test]
fn a_control_connection_works_to_its_last_packet() {
    if !can_run("a_control_connection_works_to_its_last_packet") {
        return;
    }
    let lab = ConsumerLab::new();
    let (_folder, path) = journal();
    // Some distributions ask for answers to come in where the routes point.
    lab.consumer.sh("sysctl -qw net.ipv4.conf.all.rp_filter=1");
    lab.consumer.block_on(|| async {
        let mut host = ConsumerHost::protect(&path, &spec()).await.unwrap();
        host.route(&RouteSpec::default()).await.unwrap();
    });
    for at in [net::SERVER4, net::SERVER6] {
        let at = SocketAddr::new(at.parse().unwrap(), 4077);
        let server = lab.router.run(|| TcpListener::bind(at).unwrap());
        lab.consumer.run(|| {
            adopt_control_uid().unwrap();
            let mut stream = TcpStream::connect(at).unwrap();
            stream.write_all(&[7; 200_000]).unwrap();
            // Dropped with data still on its way: what follows belongs to no process.
        });
        let (mut stream, _) = server.accept().unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), 200_000, "the end of the stream came through");
    }
    // And the other way round: somebody dials our listener.
    let listen: SocketAddr = "192.0.2.2:4077".parse().unwrap();
    let server = lab.consumer.run(|| {
        adopt_control_uid().unwrap();
        TcpListener::bind(listen).unwrap()
    });
    let mut dialled = lab.router.run(|| TcpStream::connect(listen).unwrap());
    let mut accepted = lab.consumer.run(|| {
        adopt_control_uid().unwrap();
        server.accept().unwrap().0
    });
    accepted.write_all(b"hello").unwrap();
    drop(accepted);
    let mut text = String::new();
    dialled.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}

#[test]
fn marked_packets_follow_the_endpoints() {
    if !can_run("marked_packets_follow_the_endpoints") {
        return;
    }
    let lab = ConsumerLab::new();
    let (_folder, path) = journal();
    let endpoint = |port| SocketAddr::new(net::SERVER4.parse().unwrap(), port);
    let none = KillSwitchSpec::default();
    let mut host = lab
        .consumer
        .block_on(|| async { ConsumerHost::protect(&path, &none).await.unwrap() });
    let mut capture = Capture::start(&lab.router);
    lab.consumer
        .run(|| send_udp(endpoint(ENDPOINT_PORT), Some(MARK)));
    for (port, old) in [(1111, ENDPOINT_PORT), (2222, 1111)] {
        let to = [endpoint(port)];
        lab.consumer
            .block_on(|| async { host.allow_endpoints(&to).await.unwrap() });
        lab.consumer.run(|| send_udp(endpoint(old), Some(MARK)));
        lab.consumer
            .run(|| assert!(send_udp(endpoint(port), Some(MARK))));
        let seen = capture.until(|it| it.port == port);
        assert!(
            !seen.iter().any(|it| it.port == old && it.protocol == 17),
            "{seen:#?}"
        );
    }
}

#[test]
fn nobody_on_the_wire_learns_the_tunnel_address_by_arp() {
    if !can_run("nobody_on_the_wire_learns_the_tunnel_address_by_arp") {
        return;
    }
    let lab = ConsumerLab::new();
    let (_folder, path) = journal();
    lab.router.sh("ip route add 10.77.0.2/32 dev r0");
    let answer = || {
        lab.router
            .run(|| send_udp("10.77.0.2:9".parse().unwrap(), None));
        let state = || lab.router.sh("ip neigh show 10.77.0.2 dev r0");
        // The kernel asks three times, one second apart; it says so itself when it is done.
        let done = |it: &String| {
            ["FAILED", "REACHABLE", "STALE", "DELAY"]
                .iter()
                .any(|w| it.contains(w))
        };
        (0..5000).map(|_| state()).find(done).unwrap()
    };
    assert!(
        !answer().contains("FAILED"),
        "without protection it is told"
    );
    lab.router.sh("ip neigh flush dev r0");
    lab.consumer.block_on(|| async {
        let mut host = ConsumerHost::protect(&path, &spec()).await.unwrap();
        host.route(&RouteSpec::default()).await.unwrap();
    });
    assert!(answer().contains("FAILED"));
}

#[test]
fn own_packets_never_enter_the_own_tunnel_even_without_another_way() {
    if !can_run("own_packets_never_enter_the_own_tunnel_even_without_another_way") {
        return;
    }
    let lab = ConsumerLab::new();
    let (_folder, path) = journal();
    lab.consumer.block_on(|| async {
        let mut host = ConsumerHost::protect(&path, &spec()).await.unwrap();
        host.route(&RouteSpec::default()).await.unwrap();
    });
    // The network is gone, as between two access points.
    lab.consumer
        .sh("ip route del default; ip -6 route del default");
    let mut tunnel = Capture::start(&lab.far_end);
    let to = |server: &str, port| SocketAddr::new(server.parse().unwrap(), port);
    for server in [net::SERVER4, net::SERVER6] {
        lab.consumer.run(|| {
            assert!(
                !send_udp(to(server, ENDPOINT_PORT), Some(MARK)),
                "an error at once"
            );
            adopt_control_uid().unwrap();
            assert!(!send_udp(to(server, 4077), None), "an error at once");
        });
    }
    lab.consumer
        .run(|| assert!(send_udp(to(net::SERVER4, 7777), None)));
    let seen = tunnel.until(|it| it.port == 7777);
    assert!(
        !seen
            .iter()
            .any(|it| [ENDPOINT_PORT, 4077].contains(&it.port)),
        "{seen:#?}"
    );
}
