//! What happens to a running tunnel when the world around it changes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

#[path = "plane_netns/traffic.rs"]
mod traffic;
#[path = "plane_netns/world.rs"]
mod world;

use std::time::{Duration, Instant};

use traffic::{tcp_both_ways, udp_echo};
use warren_tunnel::{Gate, Offload};
use world::{Outer, SERVER_V4, SERVER_V6, Tunnel, World, can_run, wait_until};

fn open_tunnel(world: &World) -> Tunnel {
    let tunnel = world.tunnel(Offload::Auto, Outer::V4);
    tunnel.exit.set_gate(tunnel.guest, Gate::Open).unwrap();
    tunnel
}

#[test]
fn a_consumer_whose_address_changes_is_followed() {
    if !can_run() {
        return;
    }
    let world = World::new("roam");
    let tunnel = open_tunnel(&world);
    udp_echo(&world, SERVER_V4, &[100]);
    let before = tunnel.exit.guest_state(tunnel.guest).unwrap().endpoint;
    assert_eq!(before.unwrap().ip().to_string(), "192.0.2.1");

    world.ip("c", &["addr", "del", "192.0.2.1/24", "dev", "c0"]);
    world.ip("c", &["addr", "add", "192.0.2.7/24", "dev", "c0"]);
    world.ip(
        "c",
        &["route", "replace", "198.51.100.0/24", "via", "192.0.2.2"],
    );
    udp_echo(&world, SERVER_V4, &[100, 1000]);
    tcp_both_ways(&world, SERVER_V6, 1 << 20);
    let after = tunnel.exit.guest_state(tunnel.guest).unwrap().endpoint;
    assert_eq!(after.unwrap().ip().to_string(), "192.0.2.7");
}

#[test]
fn a_device_that_somebody_removes_is_noticed() {
    if !can_run() {
        return;
    }
    let world = World::new("lost");
    let tunnel = open_tunnel(&world);
    assert!(tunnel.consumer.is_healthy() && tunnel.exit.is_healthy());
    world.ip("c", &["link", "del", "warren0"]);
    wait_until("the loss", || !tunnel.consumer.is_healthy());
    assert!(tunnel.exit.is_healthy());
}

#[test]
fn a_removed_guest_is_cut_off_and_another_takes_its_place() {
    if !can_run() {
        return;
    }
    let world = World::new("again");
    let first = open_tunnel(&world);
    udp_echo(&world, SERVER_V4, &[100]);
    let usage = first.exit.remove_guest(first.guest).unwrap();
    assert_eq!(usage, first.consumer.usage());
    drop(first);
    // Same device name, same addresses, new keys.
    let second = open_tunnel(&world);
    udp_echo(&world, SERVER_V4, &[100]);
    assert!(second.exit.usage(second.guest).unwrap().up.bytes() > 0);
}

/// Keys are made anew after two minutes without losing a datagram.
#[test]
#[ignore = "takes more than two minutes"]
fn a_tunnel_outlives_its_keys() {
    if !can_run() {
        return;
    }
    let world = World::new("rekey");
    let tunnel = open_tunnel(&world);
    let begun = Instant::now();
    let (mut oldest, mut renewed) = (Duration::ZERO, 0);
    while begun.elapsed() < Duration::from_secs(150) {
        udp_echo(&world, SERVER_V4, &[500; 20]);
        let age = tunnel.consumer.state().since_handshake.unwrap();
        renewed += u32::from(age < oldest);
        oldest = age;
    }
    assert_eq!(
        renewed, 1,
        "one new key in two minutes and a half, not more"
    );
}
