//! Lines of every width, and what says "too big": outside the tunnel, inside it, before and behind it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on stops, and says how far it came"
)]

#[path = "plane_netns/traffic.rs"]
mod traffic;
#[path = "plane_netns/world.rs"]
mod world;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use traffic::{tcp_both_ways, udp_echo};
use warren_tunnel::{Gate, Offload};
use world::{GUEST_V4, GUEST_V6, Outer, SERVER_V4, SERVER_V6, World, can_run, wait_until};

/// The two links of the way between consumer and exit: the nearer to the consumer, and the other.
const LINKS: [[(&str, &str); 2]; 2] = [[("c", "c0"), ("r", "r0")], [("r", "r1"), ("e", "e0")]];

fn set_mtu(world: &World, role: &str, link: &str, mtu: u16) {
    world.ip(role, &["link", "set", link, "mtu", &mtu.to_string()]);
}

/// Everything passes, whichever link is narrow: its own host is told by its device, the other end
/// by the router between.
fn passes_lines_of_every_width(outer: Outer) {
    if !can_run() {
        return;
    }
    for mtu in [1280, 1337, 1420, 1500] {
        for (at, link) in LINKS.iter().enumerate() {
            println!("{mtu} bytes on link {at}");
            let world = World::new(&format!("mtu{mtu}{at}{outer:?}").to_lowercase());
            for (role, device) in link {
                set_mtu(&world, role, device, mtu);
            }
            let tunnel = world.tunnel(Offload::Auto, outer);
            tunnel.exit.set_gate(tunnel.guest, Gate::Open).unwrap();
            for server in [SERVER_V4, SERVER_V6] {
                tcp_both_ways(&world, server, 512 << 10);
                first_large_ones_are_lost(&world, server);
                udp_echo(&world, server, &[0, 1, 1200, 1372, 3000]);
            }
        }
    }
}

/// Sends large datagrams until one comes back: it is by losing one that a host learns of a narrow
/// line elsewhere.
fn first_large_ones_are_lost(world: &World, server: IpAddr) {
    let (tell, told) = sync_channel(1);
    let serving = world.spawn("s", move || {
        let socket = UdpSocket::bind((server, 0)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        tell.send(socket.local_addr().unwrap()).unwrap();
        let mut buffer = vec![0; 2000];
        loop {
            match socket.recv_from(&mut buffer).unwrap() {
                (1, _) => break,
                (len, from) => socket.send_to(&buffer[..len], from).unwrap(),
            };
        }
    });
    let to: SocketAddr = told.recv().unwrap();
    world.inside("c", move || {
        let any: IpAddr = if to.is_ipv4() {
            [0; 4].into()
        } else {
            [0; 16].into()
        };
        let socket = UdpSocket::bind((any, 0)).unwrap();
        socket.connect(to).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        let mut buffer = vec![0; 2000];
        let came = |_| {
            socket.send(&[7; 1372]).unwrap();
            socket.recv(&mut buffer).is_ok()
        };
        assert!((0..20).any(came), "nothing large passes");
        socket.send(&[0]).unwrap();
    });
    serving.join().unwrap();
}

#[test]
fn lines_of_every_width_carry_over_ipv4() {
    passes_lines_of_every_width(Outer::V4);
}

#[test]
fn lines_of_every_width_carry_over_ipv6() {
    passes_lines_of_every_width(Outer::V6);
}

/// Waits until the host of `role` has learned how much the way to `to` takes, sending datagrams of
/// `size` bytes that no router may cut.
fn learns(world: &World, role: &str, [from, to]: [IpAddr; 2], size: usize, mtu: u16) {
    let ns = world.ns(role);
    let (from_text, to_text) = (from.to_string(), to.to_string());
    let ask = ["-n", &ns, "route", "get", &to_text, "from", &from_text];
    let told = format!("mtu {mtu} ");
    wait_until(&format!("{role} to learn {told}towards {to}"), || {
        world.inside(role, move || {
            let socket = UdpSocket::bind((from, 0)).unwrap();
            let _ = socket.send_to(&vec![0; size], (to, 9)); // Refused once it is known.
        });
        let output = Command::new("ip").args(ask).output().unwrap();
        format!(
            "{} ",
            String::from_utf8_lossy(&output.stdout).replace('\n', " ")
        )
        .contains(&told)
    });
}

#[test]
fn too_big_is_said_to_the_server_by_the_exit_and_to_the_guest_through_the_tunnel() {
    if !can_run() {
        return;
    }
    let world = World::new("toobig");
    let tunnel = world.tunnel(Offload::Auto, Outer::V4);
    tunnel.exit.set_gate(tunnel.guest, Gate::Open).unwrap();
    // The server knows nothing of a tunnel.
    for (net, via) in [
        ("10.77.0.0/16", "203.0.113.1"),
        ("fd77:7761::/64", "2001:db8:3::1"),
    ] {
        world.ip("s", &["route", "replace", net, "via", via]);
        world.ip("s", &["route", "flush", "cache"]);
    }
    learns(&world, "s", [SERVER_V4, GUEST_V4.into()], 1472, 1420);
    learns(&world, "s", [SERVER_V6, GUEST_V6.into()], 1452, 1420);

    // Behind the exit is a line narrower than the tunnel.
    for link in [("e", "e1"), ("s", "s0")] {
        set_mtu(&world, link.0, link.1, 1300);
    }
    learns(&world, "c", [GUEST_V4.into(), SERVER_V4], 1392, 1300);
    learns(&world, "c", [GUEST_V6.into(), SERVER_V6], 1372, 1300);
    for server in [SERVER_V4, SERVER_V6] {
        tcp_both_ways(&world, server, 1 << 20);
    }
    assert!(tunnel.exit.is_healthy());
}

/// The device follows what the way takes: said by a router, or found where routers say nothing.
#[test]
fn the_device_gets_the_mtu_of_the_way() {
    if !can_run() {
        return;
    }
    for (name, outer, silent) in [
        ("found4", Outer::V4, false),
        ("found6", Outer::V6, false),
        ("hole4", Outer::V4, true),
        ("hole6", Outer::V6, true),
    ] {
        let world = World::new(name);
        let tunnel = world.tunnel(Offload::Auto, outer);
        tunnel.exit.set_gate(tunnel.guest, Gate::Open).unwrap();
        tunnel.consumer.measure("10.77.0.1".parse().unwrap());
        wait_until("the whole MTU", || tunnel.consumer.path_mtu() == Some(1420));
        udp_echo(&world, SERVER_V4, &[1372]);

        let (role, device) = LINKS[1][0];
        set_mtu(&world, role, device, 1400);
        if silent {
            world.forbid_too_big();
        }
        // The same exit at another address: the way is another one.
        let mut moved = tunnel.consumer.state().endpoint.unwrap();
        let (other, plain) = match outer {
            Outer::V4 => ("198.51.100.9", "198.51.100.9/24"),
            Outer::V6 => ("2001:db8:2::9", "2001:db8:2::9/64"),
        };
        world.ip("e", &["addr", "add", plain, "dev", "e0"]);
        moved.set_ip(other.parse().unwrap());
        tunnel.consumer.set_endpoint(moved);
        let most = match outer {
            Outer::V4 => 1400 - 60,
            Outer::V6 => 1400 - 80,
        };
        wait_until(&format!("an MTU near {most}"), || {
            let found = tunnel.consumer.path_mtu().unwrap();
            assert!(found == 1420 || found <= most, "{found}");
            found <= most && most - found <= 15
        });
        let found = tunnel.consumer.path_mtu().unwrap();
        wait_until("the device to follow", || {
            let link = Command::new("ip")
                .args(["-n", &world.ns("c"), "link", "show", "warren0"])
                .output()
                .unwrap();
            String::from_utf8_lossy(&link.stdout).contains(&format!("mtu {found} "))
        });
        tcp_both_ways(&world, SERVER_V4, 1 << 20);
        tcp_both_ways(&world, SERVER_V6, 1 << 20);
        // No echo ever reached a program, and both ends counted them.
        wait_until("equal meters", || {
            let (consumer, exit) = (tunnel.consumer.usage(), tunnel.exit.usage(tunnel.guest));
            let exit = exit.unwrap();
            let close = |a: u64, b: u64| a.abs_diff(b) <= a / 50;
            close(consumer.up.bytes(), exit.up.bytes())
                && close(consumer.down.bytes(), exit.down.bytes())
        });
    }
}

/// From one network to another, as from cable to radio: the exit is where it was, the way is another one, and
/// nobody says that it is narrower.
#[test]
fn another_way_of_ones_own_is_measured_at_once() {
    if !can_run() {
        return;
    }
    let world = World::new("ownway");
    let tunnel = world.tunnel(Offload::Auto, Outer::V4);
    tunnel.exit.set_gate(tunnel.guest, Gate::Open).unwrap();
    tunnel.consumer.measure("10.77.0.1".parse().unwrap());
    wait_until("the whole MTU", || tunnel.consumer.path_mtu() == Some(1420));

    world.link(
        ("c", "c9", "198.18.0.1/24", "2001:db8:9::1/64"),
        ("r", "r9", "198.18.0.2/24", "2001:db8:9::2/64"),
    );
    // What is larger than this end takes is lost without a word; it takes four bytes more, for a VLAN's tag.
    set_mtu(&world, "r", "r9", 1400);
    let via = |role: &str, net: &str, gateway: &str| {
        world.ip(role, &["route", "replace", net, "via", gateway]);
    };
    via("e", "198.18.0.0/24", "198.51.100.1");
    via("c", "198.51.100.0/24", "198.18.0.2");
    let most = 1400 + 4 - 60;
    wait_until(&format!("an MTU near {most}"), || {
        let found = tunnel.consumer.path_mtu().unwrap();
        assert!(found == 1420 || found <= most, "{found}");
        found <= most && most - found <= 15
    });
    tcp_both_ways(&world, SERVER_V4, 1 << 20);
}
