//! A foreign WireGuard as guest of our exit, and our consumer as peer of a foreign WireGuard.
//!
//! Needs root, `wg` (wireguard-tools), and `wireguard-go` or `boringtun-cli` (in `PATH`, or where
//! `WARREN_BORINGTUN` says); says so aloud if they are not there.
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
use std::time::Duration;

use traffic::{tcp_both_ways, udp_echo};
use warren_proto::ByteCount;
use warren_tunnel::{
    ConsumerTunnel, DEFAULT_KEEPALIVE, DEFAULT_MTU, Gate, Offload, TunnelKey, TunnelSpec, Usage,
};
use world::{GUEST_V4, GUEST_V6, Outer, SERVER_V4, SERVER_V6, World, can_run, wait_until};

/// Somebody else's WireGuard in a process of its own.
#[derive(Debug, Clone, Copy)]
enum Maker {
    WireguardGo,
    Boringtun,
}

impl Maker {
    fn program(self) -> String {
        match self {
            Self::WireguardGo => "wireguard-go".to_owned(),
            Self::Boringtun => {
                std::env::var("WARREN_BORINGTUN").unwrap_or_else(|_| "boringtun-cli".to_owned())
            }
        }
    }

    /// A name of its own: the tools' control sockets are in no namespace.
    fn device(self, role: &str) -> String {
        let maker = match self {
            Self::WireguardGo => 'w',
            Self::Boringtun => 'b',
        };
        format!("wr-{maker}{role}{}", std::process::id())
    }

    fn args(self) -> &'static [&'static str] {
        match self {
            Self::WireguardGo => &["-f"],
            Self::Boringtun => &["-f", "--disable-drop-privileges"],
        }
    }

    fn can_meet(self) -> bool {
        let have = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
        let both = have("wg") && have(&self.program());
        if !both {
            println!("SKIPPED: needs wg and {}", self.program());
        }
        both && can_run()
    }
}

/// A running one; its device is gone when dropped.
struct Foreign {
    child: Child,
    ns: String,
    device: String,
}

impl Foreign {
    /// Starts it with `config` in the namespace of `role`. Device names are unique in the system,
    /// for the tool's control sockets are not in any namespace.
    fn start(maker: Maker, world: &World, role: &str, device: &str, config: &str) -> Self {
        let inside = |program: &str, args: &[&str]| {
            let mut command = Command::new("ip");
            command
                .args(["netns", "exec", &world.ns(role), program])
                .args(args);
            command
        };
        let child = inside(&maker.program(), &[maker.args(), &[device]].concat())
            .env("WG_PROCESS_FOREGROUND", "1")
            .spawn()
            .unwrap();
        let path = std::env::temp_dir().join(format!("{device}.conf"));
        std::fs::File::create(&path)
            .unwrap()
            .write_all(config.as_bytes())
            .unwrap();
        let path = path.to_str().unwrap();
        wait_until(&maker.program(), || {
            inside("wg", &["setconf", device, path])
                .output()
                .unwrap()
                .status
                .success()
        });
        std::fs::remove_file(path).unwrap();
        Self {
            child,
            ns: world.ns(role),
            device: device.to_owned(),
        }
    }

    /// Inner bytes its device took from the kernel and gave to it.
    fn carried(&self) -> Usage {
        let output = Command::new("ip")
            .args(["-n", &self.ns, "-s", "-j", "link", "show", &self.device])
            .output()
            .unwrap();
        let links: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let bytes = |way: &str| links[0]["stats64"][way]["bytes"].as_u64().unwrap();
        Usage {
            up: ByteCount::from_bytes(bytes("tx")),
            down: ByteCount::from_bytes(bytes("rx")),
        }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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

/// How long they stay together.
#[derive(Debug, Clone, Copy)]
enum Stay {
    Short,
    /// Until new keys were made twice.
    OverRekeys,
}

/// Sends both ways, then datagrams one at a time until the keys are new, `age` being how old they
/// are; `counted` is what both ends counted. Of streams the kernel counts the headers of many
/// packets once, so it is the datagrams that both ends must agree about.
fn traffic(
    world: &World,
    stay: Stay,
    age: impl Fn() -> Option<Duration>,
    counted: impl Fn() -> [Usage; 2],
) {
    for server in [SERVER_V4, SERVER_V6] {
        udp_echo(world, server, &[0, 1, 100, 1372]);
        tcp_both_ways(world, server, 4 << 20);
    }
    // What is under way is counted a moment later.
    let at_rest = || {
        wait_until("both counters to rest", || {
            let before = counted();
            std::thread::sleep(Duration::from_millis(300));
            before == counted()
        });
        counted()
    };
    let before = at_rest();
    let (mut oldest, mut renewed, mut rounds) = (Duration::ZERO, 0, 0);
    while rounds < 5 || (matches!(stay, Stay::OverRekeys) && renewed < 2) {
        udp_echo(world, SERVER_V4, &[700; 50]);
        udp_echo(world, SERVER_V6, &[1300; 50]);
        let age = age().unwrap();
        renewed += u32::from(age < oldest);
        (oldest, rounds) = (age, rounds + 1);
        assert!(
            oldest < Duration::from_secs(175),
            "keys as old as this serve no more"
        );
    }
    let [ours, theirs] = at_rest();
    println!("{rounds} rounds, new keys {renewed} times: ours {ours:?}, theirs {theirs:?}");
    let more = |now: Usage, then: Usage| {
        [
            now.up.bytes() - then.up.bytes(),
            now.down.bytes() - then.down.bytes(),
        ]
    };
    for (one, other) in more(ours, before[0]).iter().zip(more(theirs, before[1])) {
        assert!(one.abs_diff(other) * 100 <= *one, "{one} and {other} bytes");
    }
}

fn is_a_guest_like_any_other(maker: Maker, stay: Stay) {
    if !maker.can_meet() {
        return;
    }
    let world = World::new(&format!("guest{maker:?}{stay:?}").to_lowercase());
    let key = TunnelKey::generate();
    let (exit, guest, exit_key, endpoint) = world.exit(Offload::Auto, Outer::V4, key.public());
    exit.set_gate(guest, Gate::Open).unwrap();
    let device = maker.device("g");
    let config = format!(
        "[Interface]\nPrivateKey = {}\n[Peer]\nPublicKey = {}\nEndpoint = {endpoint}\n\
         AllowedIPs = 0.0.0.0/0, ::/0\n",
        text(&key.to_bytes()),
        text(exit_key.as_bytes()),
    );
    let foreign = Foreign::start(maker, &world, "c", &device, &config);
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
    traffic(
        &world,
        stay,
        || exit.guest_state(guest).unwrap().since_handshake,
        || [exit.usage(guest).unwrap(), foreign.carried()],
    );
    assert!(exit.usage(guest).unwrap().up.bytes() > 8 << 20);
}

fn carries_a_consumer_of_ours(maker: Maker, stay: Stay) {
    if !maker.can_meet() {
        return;
    }
    let world = World::new(&format!("exit{maker:?}{stay:?}").to_lowercase());
    let (key, foreign_key) = (TunnelKey::generate(), TunnelKey::generate());
    let device = maker.device("e");
    let config = format!(
        "[Interface]\nPrivateKey = {}\nListenPort = 41820\n[Peer]\nPublicKey = {}\n\
         AllowedIPs = {GUEST_V4}/32, {GUEST_V6}/128\n",
        text(&foreign_key.to_bytes()),
        text(key.public().as_bytes()),
    );
    let foreign = Foreign::start(maker, &world, "e", &device, &config);
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
    traffic(
        &world,
        stay,
        || consumer.state().since_handshake,
        || {
            let theirs = foreign.carried();
            let as_consumer = Usage {
                up: theirs.down,
                down: theirs.up,
            };
            [consumer.usage(), as_consumer]
        },
    );
    assert!(consumer.usage().down.bytes() > 8 << 20);
}

#[test]
fn wireguard_go_is_a_guest_like_any_other() {
    is_a_guest_like_any_other(Maker::WireguardGo, Stay::Short);
}

#[test]
fn a_consumer_of_ours_goes_through_wireguard_go() {
    carries_a_consumer_of_ours(Maker::WireguardGo, Stay::Short);
}

#[test]
fn boringtun_is_a_guest_like_any_other() {
    is_a_guest_like_any_other(Maker::Boringtun, Stay::Short);
}

#[test]
fn a_consumer_of_ours_goes_through_boringtun() {
    carries_a_consumer_of_ours(Maker::Boringtun, Stay::Short);
}

#[test]
#[ignore = "four minutes; tests/long.sh tunnel runs it"]
fn wireguard_go_is_a_guest_over_rekeys() {
    is_a_guest_like_any_other(Maker::WireguardGo, Stay::OverRekeys);
}

#[test]
#[ignore = "four minutes; tests/long.sh tunnel runs it"]
fn a_consumer_of_ours_goes_through_wireguard_go_over_rekeys() {
    carries_a_consumer_of_ours(Maker::WireguardGo, Stay::OverRekeys);
}

#[test]
#[ignore = "four minutes; tests/long.sh tunnel runs it"]
fn boringtun_is_a_guest_over_rekeys() {
    is_a_guest_like_any_other(Maker::Boringtun, Stay::OverRekeys);
}

#[test]
#[ignore = "four minutes; tests/long.sh tunnel runs it"]
fn a_consumer_of_ours_goes_through_boringtun_over_rekeys() {
    carries_a_consumer_of_ours(Maker::Boringtun, Stay::OverRekeys);
}
