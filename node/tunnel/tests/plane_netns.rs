//! Both ends of the tunnel on real devices and sockets, in network namespaces, on every rung.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

#[path = "plane_netns/traffic.rs"]
mod traffic;
#[path = "plane_netns/world.rs"]
mod world;

use std::net::UdpSocket;
use std::num::NonZeroU64;
use std::time::Duration;

use traffic::{tcp_both_ways, udp_echo, udp_segments, udp_shout};
use warren_tunnel::{
    DeviceRung, DropReason, Gate, GuestSpec, Offload, ReceiveRung, Rungs, SendRung, Shape,
    TunnelKey, Usage,
};
use world::{GUEST_V4, Outer, SERVER_V4, SERVER_V6, World, can_run, wait_until};

const MIB: usize = 1 << 20;

/// Carries everything a tunnel is for, and checks what came out and what was metered.
fn carries(name: &str, offload: Offload, outer: Outer, expected: Rungs) {
    if !can_run() {
        return;
    }
    let world = World::new(name);
    let tunnel = world.tunnel(offload, outer);
    let rungs = [tunnel.consumer.rungs(), tunnel.exit.rungs()];
    assert_eq!(rungs, [expected; 2], "rungs of this kernel");
    tunnel.exit.set_gate(tunnel.guest, Gate::Open).unwrap();

    // Nothing is lost when one datagram goes at a time, so both ends count the same.
    for server in [SERVER_V4, SERVER_V6] {
        udp_echo(&world, server, &[0, 1, 2, 3, 100, 999, 1372, 1372, 3000]);
    }
    wait_until("equal meters", || usages(&tunnel)[0] == usages(&tunnel)[1]);

    for server in [SERVER_V4, SERVER_V6] {
        udp_segments(&world, server, 1200, 40);
        udp_segments(&world, server, 3, 60);
        tcp_both_ways(&world, server, 16 * MIB);
    }
    // A sender meters what the kernel took: for a moment the receiver may be ahead of it.
    wait_until("no end to have received more than was sent", || {
        let [consumer, exit] = usages(&tunnel);
        exit.up <= consumer.up && consumer.down <= exit.down
    });
    let [consumer, exit] = usages(&tunnel);
    let least = 32 * MIB as u64;
    assert!(
        exit.up.bytes() > least && consumer.down.bytes() > least,
        "{consumer:?} {exit:?}"
    );
    assert_eq!(
        [tunnel.consumer.rungs(), tunnel.exit.rungs()],
        [expected; 2],
        "nothing refused"
    );
    assert!(
        tunnel.consumer.warnings().is_empty(),
        "{:?}",
        tunnel.consumer.warnings()
    );

    pauses(&world, &tunnel);
    let last = tunnel.consumer.down();
    assert!(last.up.bytes() >= consumer.up.bytes());
    tunnel.exit.stop();
    for role in ["c", "e"] {
        let left = world.inside(role, || nix::net::if_::if_nametoindex("warren0"));
        assert!(left.is_err(), "the device is gone");
    }
}

fn usages(tunnel: &world::Tunnel) -> [Usage; 2] {
    [
        tunnel.consumer.usage(),
        tunnel.exit.usage(tunnel.guest).unwrap(),
    ]
}

fn pauses(world: &World, tunnel: &world::Tunnel) {
    // Late answers of the transfers before may still be under way; a lone echo drains them.
    udp_echo(world, SERVER_V4, &[10]);
    // What the kernel took last is metered a moment later.
    wait_until("the meters to rest", || {
        let before = usages(tunnel);
        std::thread::sleep(std::time::Duration::from_millis(20));
        before == usages(tunnel)
    });
    tunnel.exit.set_gate(tunnel.guest, Gate::Paused).unwrap();
    let (before, dropped) = (
        usages(tunnel)[1],
        tunnel.exit.drop_counts().of(DropReason::Paused),
    );
    udp_shout(world, SERVER_V4);
    wait_until("the gate", || {
        tunnel.exit.drop_counts().of(DropReason::Paused) > dropped
    });
    assert_eq!(
        usages(tunnel)[1].up,
        before.up,
        "a shut gate carries nothing"
    );
    tunnel.exit.set_gate(tunnel.guest, Gate::Open).unwrap();
    udp_echo(world, SERVER_V4, &[10]);
}

fn at_most(rungs: Rungs) -> Offload {
    Offload::AtMost(rungs)
}

#[test]
fn the_best_rungs_carry_over_ipv4() {
    carries("best4", Offload::Auto, Outer::V4, Rungs::BEST);
}

#[test]
fn the_best_rungs_carry_over_ipv6() {
    carries("best6", Offload::Auto, Outer::V6, Rungs::BEST);
}

#[test]
fn the_plain_rungs_carry() {
    carries("off", Offload::Off, Outer::V4, Rungs::PLAIN);
}

#[test]
fn tcp_super_packets_alone_carry() {
    let rungs = Rungs {
        device: DeviceRung::Tcp,
        ..Rungs::BEST
    };
    carries("tcp", at_most(rungs), Outer::V4, rungs);
}

#[test]
fn a_plain_device_on_a_segmenting_socket_carries() {
    let rungs = Rungs {
        device: DeviceRung::Plain,
        ..Rungs::BEST
    };
    carries("plaindev", at_most(rungs), Outer::V6, rungs);
}

#[test]
fn super_packets_on_a_plain_socket_carry() {
    let rungs = Rungs {
        send: SendRung::Many,
        receive: ReceiveRung::Many,
        ..Rungs::BEST
    };
    carries("plainsock", at_most(rungs), Outer::V4, rungs);
}

#[test]
fn sending_merged_and_receiving_plain_carries() {
    let rungs = Rungs {
        receive: ReceiveRung::Many,
        ..Rungs::BEST
    };
    carries("nogro", at_most(rungs), Outer::V6, rungs);
}

/// Datagrams of the tunnel do not fit the line: segments are refused, single ones are cut.
#[test]
fn a_line_too_narrow_for_segments_carries() {
    if !can_run() {
        return;
    }
    let world = World::new("narrow");
    for (role, link) in [("c", "c0"), ("r", "r0"), ("r", "r1"), ("e", "e0")] {
        world.ip(role, &["link", "set", link, "mtu", "1300"]);
    }
    let tunnel = world.tunnel(Offload::Auto, Outer::V4);
    tunnel.exit.set_gate(tunnel.guest, Gate::Open).unwrap();
    tcp_both_ways(&world, SERVER_V4, 2 * MIB);
    tcp_both_ways(&world, SERVER_V6, 2 * MIB);
}

/// A packet that must wait for its guest's rate leaves when its time has come, not with the next one of somebody.
#[test]
fn a_packet_that_waits_for_its_turn_leaves_though_nobody_speaks() {
    if !can_run() {
        return;
    }
    let world = World::new("turn");
    // Nothing of the exit's own is to wake it: what IPv6 says of a new device would.
    world.inside("e", || {
        std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
    });
    let tunnel = world.tunnel(Offload::Auto, Outer::V4);
    tunnel.exit.set_gate(tunnel.guest, Gate::Open).unwrap();
    let other = GuestSpec {
        peer_key: TunnelKey::generate().public(),
        v4: "10.77.0.3".parse().unwrap(),
        v6: "fd77:7761::3".parse().unwrap(),
    };
    tunnel.exit.add_guest(other).unwrap();
    udp_echo(&world, SERVER_V4, &[100]);
    let near = world.inside("c", || UdpSocket::bind((GUEST_V4, 7000)).unwrap());
    near.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let far = world.inside("s", || UdpSocket::bind((SERVER_V4, 0)).unwrap());
    // 1000 bytes a second: the first packet passes, the second waits for a good half of one.
    tunnel.exit.set_shape(Shape {
        guest: NonZeroU64::new(1000),
        line: None,
    });
    // As long as several speak, the exit reads ahead.
    far.send_to(&[0; 10], (other.v4, 7000)).unwrap();
    for mark in [1, 2] {
        far.send_to(&[mark; 600], (GUEST_V4, 7000)).unwrap();
        let mut got = [0; 700];
        let len = near.recv(&mut got).unwrap();
        assert_eq!(got[..len], [mark; 600]);
    }
}
