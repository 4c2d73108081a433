//! What happens to a running tunnel when the world around it changes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

#[path = "plane_netns/traffic.rs"]
mod traffic;
#[path = "plane_netns/world.rs"]
mod world;

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use traffic::{tcp_both_ways, udp_down, udp_echo, udp_shout};
use warren_tunnel::host::{ConsumerHost, KillSwitchSpec};
use warren_tunnel::{Gate, Offload};
use world::{GUEST_V4, Outer, SERVER_V4, SERVER_V6, Tunnel, World, can_run, wait_until};

fn open_tunnel(world: &World) -> Tunnel {
    open_tunnel_over(world, Outer::V4)
}

fn open_tunnel_over(world: &World, outer: Outer) -> Tunnel {
    let tunnel = world.tunnel(Offload::Auto, outer);
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

/// TCP goes on while both ends get other addresses, again and again.
#[test]
fn either_end_roams_under_load() {
    if !can_run() {
        return;
    }
    let world = std::sync::Arc::new(World::new("roamload"));
    let tunnel = open_tunnel(&world);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (theirs, ended) = (std::sync::Arc::clone(&world), std::sync::Arc::clone(&stop));
    let load = std::thread::spawn(move || {
        let mut rounds = 0;
        while !ended.load(std::sync::atomic::Ordering::Relaxed) || rounds == 0 {
            tcp_both_ways(&theirs, SERVER_V4, 4 << 20);
            rounds += 1;
        }
    });
    let mut was = [1, 2];
    for round in 0..3 {
        let now = [11 + round, 21 + round];
        for (role, link, net, at) in [("c", "c0", "192.0.2", 0), ("e", "e0", "198.51.100", 1)] {
            let address = |host: u8| format!("{net}.{host}/24");
            world.ip(role, &["addr", "del", &address(was[at]), "dev", link]);
            world.ip(role, &["addr", "add", &address(now[at]), "dev", link]);
            let (away, via) = match role {
                "c" => ("198.51.100.0/24", "192.0.2.2"),
                _ => ("192.0.2.0/24", "198.51.100.1"),
            };
            world.ip(role, &["route", "replace", away, "via", via]);
            // One at a time: two who move at once find each other by no packet.
            let seen = |endpoint: Option<std::net::SocketAddr>| endpoint.unwrap().ip().to_string();
            let moved = format!("{net}.{}", now[at]);
            wait_until(&format!("{role} at {moved}"), || {
                // An exit that moved is found by what it sends.
                udp_down(&world, GUEST_V4.into());
                seen(match role {
                    "c" => tunnel.exit.guest_state(tunnel.guest).unwrap().endpoint,
                    _ => tunnel.consumer.state().endpoint,
                }) == moved
            });
            was[at] = now[at];
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    load.join().unwrap();
}

/// A line with several addresses is common for IPv6. A guest behind a firewall hears only the one
/// it spoke to.
#[test]
fn an_exit_answers_from_the_address_it_was_spoken_to() {
    if !can_run() {
        return;
    }
    for (name, outer) in [("multi4", Outer::V4), ("multi6", Outer::V6)] {
        let world = World::new(name);
        world.ip("e", &["addr", "add", "198.51.100.9/24", "dev", "e0"]);
        world.ip(
            "e",
            &["addr", "add", "2001:db8:2::9/64", "dev", "e0", "nodad"],
        );
        let tunnel = open_tunnel_over(&world, outer);
        let mut spoken_to = tunnel.consumer.state().endpoint.unwrap();
        spoken_to.set_ip(match outer {
            Outer::V4 => "198.51.100.9".parse().unwrap(),
            Outer::V6 => "2001:db8:2::9".parse().unwrap(),
        });
        tunnel.consumer.set_endpoint(spoken_to);
        udp_echo(&world, SERVER_V4, &[100, 100]);
        assert_eq!(tunnel.consumer.state().endpoint, Some(spoken_to));

        // Once that address is gone, answers come from another and are followed.
        world.ip("e", &["addr", "del", "198.51.100.9/24", "dev", "e0"]);
        world.ip("e", &["addr", "del", "2001:db8:2::9/64", "dev", "e0"]);
        udp_down(&world, GUEST_V4.into());
        wait_until(&format!("the new address of {name}"), || {
            tunnel.consumer.state().endpoint != Some(spoken_to)
        });
        udp_echo(&world, SERVER_V4, &[100]);
    }
}

/// Networks that carry only one of the two IPs are common: the exit is found over the other.
#[test]
fn an_exit_blocked_at_one_address_is_found_at_the_other() {
    if !can_run() {
        return;
    }
    for (name, first, second) in [
        ("block4", Outer::V4, Outer::V6),
        ("block6", Outer::V6, Outer::V4),
    ] {
        let world = World::new(name);
        world.block(first, true);
        let tunnel = world.tunnel_over(Offload::Auto, &[first, second]);
        tunnel.exit.set_gate(tunnel.guest, Gate::Open).unwrap();
        let used = || tunnel.consumer.state().endpoint.unwrap().ip();
        assert_eq!(used(), second.exit());
        udp_echo(&world, SERVER_V4, &[100]);

        // What is in use is blocked in the middle of a session, and the other is free again.
        world.block(first, false);
        world.block(second, true);
        let shout = |what: &str, done: &dyn Fn() -> bool| {
            wait_until(what, || {
                udp_shout(&world, SERVER_V4);
                done()
            });
        };
        shout("the other address", &|| used() == first.exit());
        tcp_both_ways(&world, SERVER_V6, 1 << 20);
        udp_echo(&world, SERVER_V4, &[100]);
    }
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
    // The exit meters a datagram once the kernel took it: the consumer may have it before that.
    wait_until("both meters to agree", || {
        first.exit.usage(first.guest).unwrap() == first.consumer.usage()
    });
    let usage = first.exit.remove_guest(first.guest).unwrap();
    assert_eq!(usage, first.consumer.usage());
    drop(first);
    // Same device name, same addresses, new keys.
    let second = open_tunnel(&world);
    udp_echo(&world, SERVER_V4, &[100]);
    wait_until("the new guest's meter to run", || {
        second.exit.usage(second.guest).unwrap().up.bytes() > 0
    });
}

/// Keys are made anew after two minutes without losing a datagram.
#[test]
#[ignore = "two minutes; tests/long.sh tunnel runs it"]
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

/// The kill switch lets the tunnel's packets go where the exit is, and where it was said to be, and nowhere else.
#[test]
fn a_kill_switch_lets_the_tunnel_follow_its_exit() {
    if !can_run() {
        return;
    }
    let world = World::new("roamwall");
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("undo.jsonl");
    let mut host = None;
    let tunnel = world.tunnel_after(Offload::Auto, &[Outer::V4], |places| {
        let places = places.to_vec();
        host = Some(inside_c(&world, async move || {
            let spec = KillSwitchSpec::default();
            let mut host = ConsumerHost::protect(&journal, &spec).await.unwrap();
            host.allow_endpoints(&places).await.unwrap();
            host
        }));
    });
    tunnel.exit.set_gate(tunnel.guest, Gate::Open).unwrap();
    let named = tunnel.consumer.state().endpoint.unwrap();
    let mut host = host.unwrap();
    udp_echo(&world, SERVER_V4, &[100]);
    for (old, new) in [
        ("198.51.100.2", "198.51.100.8"),
        ("198.51.100.8", "198.51.100.9"),
    ] {
        let net = |host: &str| format!("{host}/24");
        world.ip("e", &["addr", "del", &net(old), "dev", "e0"]);
        world.ip("e", &["addr", "add", &net(new), "dev", "e0"]);
        let back = ["route", "replace", "192.0.2.0/24", "via", "198.51.100.1"];
        world.ip("e", &back);
        let moved = SocketAddr::new(new.parse().unwrap(), named.port());
        wait_until(&format!("the exit at {new}"), || {
            udp_down(&world, GUEST_V4.into()); // It is found by what it sends.
            tunnel.consumer.state().endpoint == Some(moved)
        });
        host = inside_c(&world, async move || {
            assert!(host.follow(moved).await.unwrap());
            assert!(
                !host.follow(moved).await.unwrap(),
                "it is let through already"
            );
            assert!(host.stands().await);
            host
        });
        udp_echo(&world, SERVER_V4, &[100, 1000]);
    }
    let sets = world.inside("c", || {
        let mut list = Command::new("nft");
        list.args(["list", "set", "inet", "warren", "endpoint4"]);
        String::from_utf8(list.output().unwrap().stdout).unwrap()
    });
    let allowed = |host: &str| sets.contains(&format!("{host} . {}", named.port()));
    assert!(allowed("198.51.100.2") && allowed("198.51.100.9"), "{sets}");
    assert!(!allowed("198.51.100.8"), "{sets}");
    inside_c(&world, async move || drop(host.undo().await.unwrap()));
}

/// Runs async `work` on the consumer's machine.
fn inside_c<T: Send + 'static, F: Future<Output = T>>(
    world: &World,
    work: impl FnOnce() -> F + Send + 'static,
) -> T {
    world.inside("c", move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(work())
    })
}

/// Whoever switches the device off and on again takes its IPv6 address with it.
#[test]
fn a_device_that_was_down_has_its_addresses_again() {
    if !can_run() {
        return;
    }
    let world = World::new("downup");
    let tunnel = open_tunnel(&world);
    udp_echo(&world, SERVER_V6, &[100]);
    for role in ["c", "e"] {
        for state in ["down", "up"] {
            world.ip(role, &["link", "set", "warren0", state]);
        }
    }
    for (role, address) in [("c", "fd77:7761::2"), ("e", "fd77:7761::1")] {
        wait_until(&format!("{address} of {role}"), || {
            let mut list = Command::new("ip");
            list.args([
                "-n",
                &world.ns(role),
                "-6",
                "addr",
                "show",
                "dev",
                "warren0",
            ]);
            String::from_utf8_lossy(&list.output().unwrap().stdout).contains(address)
        });
    }
    world.route_into("warren0");
    udp_echo(&world, SERVER_V4, &[100]);
    udp_echo(&world, SERVER_V6, &[100]);
    assert!(tunnel.consumer.is_healthy() && tunnel.exit.is_healthy());
}
