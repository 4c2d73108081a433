//! The far end of the tunnel is a stranger: it is answered nothing it did not get asked, and believed nothing.

use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use warren_tunnel::host::{ConsumerHost, RouteSpec};

use crate::kill_switch::{journal, protected};
use crate::lab::{ConsumerLab, can_run, net};

const FAR4: &str = "10.77.0.1";

/// Gives the far end addresses and a router's own; packets of both sides really arrive.
fn far_end_speaks(lab: &ConsumerLab) {
    let mac = lab.consumer.sh("cat /sys/class/net/warren0/address");
    let far = &lab.far_end;
    // Without ARP a frame bears the address of its sender.
    far.sh(&format!(
        "ip link set t0 down; ip link set t0 address {}",
        mac.trim()
    ));
    far.sh("ip link set t0 up; ip addr add 10.77.0.1/32 dev t0");
    far.sh("ip addr add fe80::1/64 dev t0 nodad; ip addr add fd77:7761::1/128 dev t0 nodad");
    far.sh("ip route add 10.77.0.2/32 dev t0; ip -6 route add fd77:7761::2/128 dev t0");
    far.wait_up("t0");
    lab.consumer.wait_up("warren0");
}

/// Says that a router is at the far end (RFC 4861, 4.2); the kernel adds the checksum.
fn advertise(lab: &ConsumerLab) {
    let index = lab.far_end.sh("cat /sys/class/net/t0/ifindex");
    let index = index.trim().parse().unwrap();
    lab.far_end.run(|| {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).unwrap();
        socket.set_unicast_hops_v6(255).unwrap();
        let router: Ipv6Addr = "fe80::1".parse().unwrap();
        let from = SocketAddrV6::new(router, 0, 0, index);
        socket.bind(&SockAddr::from(from)).unwrap();
        let to = SocketAddrV6::new(net::TUNNEL6.parse().unwrap(), 0, 0, 0);
        let lives_secs = 1800_u16.to_be_bytes();
        let mut packet = vec![134, 0, 0, 0, 64, 0];
        packet.extend(lives_secs);
        packet.extend([0; 8]); // Reachable and retransmission time: as they are.
        socket.send_to(&packet, &SockAddr::from(to)).unwrap();
    });
}

/// Asks the far end for a byte, and returns once it came: whatever was sent before has been handled.
fn ask_far_end(lab: &ConsumerLab) {
    let at: SocketAddr = format!("{FAR4}:443").parse().unwrap();
    let server = lab.far_end.run(|| TcpListener::bind(at).unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| server.accept().unwrap().0.write_all(b"!").unwrap());
        let mut asked = lab
            .consumer
            .run(|| TcpStream::connect_timeout(&at, Duration::from_secs(60)))
            .expect("what is asked is answered");
        asked.read_exact(&mut [0]).unwrap();
    });
}

fn assert_no_router(lab: &ConsumerLab) {
    let believed = lab.consumer.sh("ip -6 route show table main");
    assert!(!believed.contains("fe80::1"), "{believed}");
}

fn nobody_gets_in(lab: &ConsumerLab, mut host: ConsumerHost) {
    far_end_speaks(lab);
    advertise(lab);
    lab.consumer
        .block_on(|| async { host.route(&RouteSpec::default()).await.unwrap() });
    ask_far_end(lab);
    assert_no_router(lab);
    let listener = lab.consumer.run(|| TcpListener::bind("[::]:22").unwrap());
    listener.set_nonblocking(true).unwrap();
    for to in [net::TUNNEL4, net::TUNNEL6] {
        let to = SocketAddr::new(to.parse().unwrap(), 22);
        let got_in = lab
            .far_end
            .run(|| TcpStream::connect_timeout(&to, Duration::from_millis(500)));
        let error = got_in.expect_err("a stranger got in").kind();
        assert_eq!(error, std::io::ErrorKind::TimedOut, "no answer at all");
    }
    assert!(listener.accept().is_err());
    // In the moment after a flush the kernel does not listen to routers either.
    lab.consumer.sh("nft flush ruleset");
    advertise(lab);
    ask_far_end(lab);
    assert_no_router(lab);
    assert!(!lab.consumer.block_on(|| host.stands()), "it is missed");
    lab.consumer.block_on(|| host.restore()).unwrap();
    assert!(lab.consumer.block_on(|| host.stands()));
    ask_far_end(lab);
    assert!(lab.consumer.block_on(|| host.undo()).unwrap().is_clean());
    assert_eq!(lab.consumer.sh("nft list ruleset"), "");
}

/// The consumer without a kill switch.
pub(crate) fn exposed(lab: &ConsumerLab, journal: &Path) -> ConsumerHost {
    let host = || async { ConsumerHost::exposed(journal).await.unwrap() };
    lab.consumer.block_on(host)
}

#[test]
fn the_far_end_gets_into_nothing_and_is_no_router_behind_the_kill_switch() {
    if !can_run("the_far_end_gets_into_nothing_and_is_no_router_behind_the_kill_switch") {
        return;
    }
    let (lab, (_folder, path)) = (ConsumerLab::new(), journal());
    let host = protected(&lab, &path);
    nobody_gets_in(&lab, host);
}

#[test]
fn the_far_end_gets_into_nothing_and_is_no_router_without_a_kill_switch() {
    if !can_run("the_far_end_gets_into_nothing_and_is_no_router_without_a_kill_switch") {
        return;
    }
    let (lab, (_folder, path)) = (ConsumerLab::new(), journal());
    let host = exposed(&lab, &path);
    nobody_gets_in(&lab, host);
}
