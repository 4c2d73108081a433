//! A foreign WireGuard as guest of our exit, and our consumer as peer of a foreign WireGuard.
//!
//! Needs root, `wg` (wireguard-tools) and `wireguard-go`; says so aloud if they are not there.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on stops"
)]

#[path = "plane_netns/traffic.rs"]
mod traffic;
#[path = "plane_netns/world.rs"]
mod world;

use std::io::Write;
use std::process::{Child, Command};

use traffic::{tcp_both_ways, udp_echo};
use warren_tunnel::{
    ConsumerTunnel, DEFAULT_KEEPALIVE, DEFAULT_MTU, Gate, Offload, TunnelKey, TunnelSpec,
};
use world::{GUEST_V4, GUEST_V6, Outer, SERVER_V4, SERVER_V6, World, can_run, wait_until};

fn can_meet() -> bool {
    let have = |tool: &str, ask: &str| Command::new(tool).arg(ask).output().is_ok();
    let both = have("wg", "--version") && have("wireguard-go", "--version");
    if !both {
        println!("SKIPPED: needs wg and wireguard-go");
    }
    both && can_run()
}

/// A running wireguard-go; its device is gone when dropped.
struct Foreign(Child);

impl Foreign {
    /// Starts it with `config` in the namespace of `role`. Device names are unique in the system,
    /// for the tool's control sockets are not in any namespace.
    fn start(world: &World, role: &str, device: &str, config: &str) -> Self {
        let inside = |program: &str, args: &[&str]| {
            let mut command = Command::new("ip");
            command
                .args(["netns", "exec", &world.ns(role), program])
                .args(args);
            command
        };
        let child = inside("wireguard-go", &["-f", device])
            .env("WG_PROCESS_FOREGROUND", "1")
            .spawn()
            .unwrap();
        let path = std::env::temp_dir().join(format!("{device}.conf"));
        std::fs::File::create(&path)
            .unwrap()
            .write_all(config.as_bytes())
            .unwrap();
        let path = path.to_str().unwrap();
        wait_until("wireguard-go", || {
            inside("wg", &["setconf", device, path])
                .output()
                .unwrap()
                .status
                .success()
        });
        std::fs::remove_file(path).unwrap();
        Self(child)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Base64, as WireGuard's configuration has keys.
fn text(key: &[u8; 32]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in key.chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= chunk.len() {
                letter as char
            } else {
                '='
            });
        }
    }
    text
}

#[test]
fn a_foreign_wireguard_is_a_guest_like_any_other() {
    if !can_meet() {
        return;
    }
    let world = World::new("guest");
    let key = TunnelKey::generate();
    let (exit, guest, exit_key, endpoint) = world.exit(Offload::Auto, Outer::V4, key.public());
    exit.set_gate(guest, Gate::Open).unwrap();
    let device = format!("wr-pl-g{}", std::process::id());
    let config = format!(
        "[Interface]\nPrivateKey = {}\n[Peer]\nPublicKey = {}\nEndpoint = {endpoint}\n\
         AllowedIPs = 0.0.0.0/0, ::/0\n",
        text(&key.to_bytes()),
        text(exit_key.as_bytes()),
    );
    let _foreign = Foreign::start(&world, "c", &device, &config);
    world.ip(
        "c",
        &["addr", "add", &format!("{GUEST_V4}/32"), "dev", &device],
    );
    world.ip(
        "c",
        &[
            "addr",
            "add",
            &format!("{GUEST_V6}/128"),
            "dev",
            &device,
            "nodad",
        ],
    );
    world.ip("c", &["link", "set", &device, "mtu", "1420", "up"]);
    world.route_into(&device);
    for server in [SERVER_V4, SERVER_V6] {
        udp_echo(&world, server, &[0, 1, 100, 1372]);
        tcp_both_ways(&world, server, 4 << 20);
    }
    assert!(exit.usage(guest).unwrap().up.bytes() > 8 << 20);
}

#[test]
fn a_consumer_of_ours_goes_through_a_foreign_wireguard() {
    if !can_meet() {
        return;
    }
    let world = World::new("exit");
    let (key, foreign_key) = (TunnelKey::generate(), TunnelKey::generate());
    let device = format!("wr-pl-e{}", std::process::id());
    let config = format!(
        "[Interface]\nPrivateKey = {}\nListenPort = 41820\n[Peer]\nPublicKey = {}\n\
         AllowedIPs = {GUEST_V4}/32, {GUEST_V6}/128\n",
        text(&foreign_key.to_bytes()),
        text(key.public().as_bytes()),
    );
    let _foreign = Foreign::start(&world, "e", &device, &config);
    world.ip("e", &["addr", "add", "10.77.0.1/16", "dev", &device]);
    world.ip(
        "e",
        &["addr", "add", "fd77:7761::1/64", "dev", &device, "nodad"],
    );
    world.ip("e", &["link", "set", &device, "mtu", "1420", "up"]);
    let peer_key = foreign_key.public();
    let consumer = world.inside("c", move || {
        let consumer = ConsumerTunnel::up(TunnelSpec {
            device: "warren0".to_owned(),
            private_key: key,
            peer_key,
            endpoints: vec!["198.51.100.2:41820".parse().unwrap()],
            port: 0,
            local_v4: Some(GUEST_V4),
            local_v6: Some(GUEST_V6),
            mtu: DEFAULT_MTU,
            keepalive: Some(DEFAULT_KEEPALIVE),
            mark: None,
            offload: Offload::Auto,
        });
        consumer.unwrap()
    });
    world.route_into("warren0");
    for server in [SERVER_V4, SERVER_V6] {
        udp_echo(&world, server, &[0, 1, 100, 1372]);
        tcp_both_ways(&world, server, 4 << 20);
    }
    assert!(consumer.usage().down.bytes() > 8 << 20);
}
