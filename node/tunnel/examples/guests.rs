//! Prints how fast and how fairly one exit carries several guests on this machine.
//!
//! Needs root. `cargo run --release -p warren-tunnel --example guests [SECONDS]`. All ends share this
//! machine's processors, so a guest's delay under load has the scheduler's in it: compare lines of
//! one run, not runs of two machines.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "an example that prints"
)]

#[path = "../tests/plane_netns/traffic.rs"]
mod traffic;
#[path = "../tests/plane_netns/world.rs"]
mod world;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use warren_tunnel::{
    ConsumerTunnel, DEFAULT_KEEPALIVE, DEFAULT_MTU, ExitTunnel, Gate, GuestId, GuestSpec, Offload,
    Shape, TunnelKey, TunnelSpec,
};
use world::{Outer, SERVER_V4, World, can_run, wait_until};

/// An exit and its guests, all of whom live in one namespace, told apart by their addresses.
struct Place {
    world: World,
    exit: Arc<ExitTunnel>,
    guests: Vec<(ConsumerTunnel, GuestId, Ipv4Addr)>,
}

fn address(at: u8) -> (Ipv4Addr, Ipv6Addr) {
    let v6 = Ipv6Addr::new(0xfd77, 0x7761, 0, 0, 0, 0, 0, 2 + u16::from(at));
    (Ipv4Addr::new(10, 77, 0, 2 + at), v6)
}

impl Place {
    fn new(count: u8) -> Self {
        let world = World::new("guests");
        let keys: Vec<_> = (0..count).map(|_| TunnelKey::generate()).collect();
        let (exit, first, exit_key, endpoint) =
            world.exit(Offload::Auto, Outer::V4, keys[0].public());
        let mut guests = Vec::new();
        for (at, key) in (0..count).zip(keys) {
            let (v4, v6) = address(at);
            let peer_key = key.public();
            let guest = match at {
                0 => first,
                _ => exit.add_guest(GuestSpec { peer_key, v4, v6 }).unwrap(),
            };
            exit.set_gate(guest, Gate::Open).unwrap();
            let device = format!("warren{at}");
            let spec = TunnelSpec {
                device: device.clone(),
                private_key: key,
                peer_key: exit_key,
                endpoints: vec![endpoint],
                port: 0,
                local_v4: Some(v4),
                local_v6: Some(v6),
                mtu: DEFAULT_MTU,
                keepalive: Some(DEFAULT_KEEPALIVE),
                mark: None,
                offload: Offload::Auto,
            };
            let consumer = world.inside("c", move || ConsumerTunnel::up(spec).unwrap());
            let (table, from) = ((100 + u32::from(at)).to_string(), v4.to_string());
            world.ip(
                "c",
                &["route", "add", "default", "dev", &device, "table", &table],
            );
            world.ip("c", &["rule", "add", "from", &from, "table", &table]);
            wait_until("the handshake", || {
                consumer.state().since_handshake.is_some()
            });
            guests.push((consumer, guest, v4));
        }
        Self {
            world,
            exit: Arc::new(exit),
            guests,
        }
    }

    fn bytes(&self, at: usize, up: bool) -> u64 {
        let usage = self.exit.usage(self.guests[at].1).unwrap();
        if up { usage.up } else { usage.down }.bytes()
    }

    /// Keeps `flows` of TCP busy for a guest until told to stop.
    fn load(&self, at: usize, up: bool, flows: usize) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for _ in 0..flows {
            let (tell, told) = sync_channel(1);
            let ends = [Arc::clone(&stop), Arc::clone(&stop)];
            let [here, there] = ends;
            threads.push(self.world.spawn("s", move || {
                let listener = TcpListener::bind((SERVER_V4, 0)).unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let (stream, _) = listener.accept().unwrap();
                busy(stream, !up, &there);
            }));
            let to: SocketAddr = told.recv().unwrap();
            let from = self.guests[at].2;
            threads.push(self.world.spawn("c", move || {
                let socket =
                    socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
                let socket = socket.unwrap();
                socket
                    .bind(&SocketAddr::new(from.into(), 0).into())
                    .unwrap();
                socket.connect(&to.into()).unwrap();
                busy(socket.into(), up, &here);
            }));
        }
        Load { stop, threads }
    }

    /// Round trips of small datagrams of a guest, in milliseconds, sorted.
    fn round_trips(&self, at: usize, time: Duration) -> Vec<f64> {
        let (tell, told) = sync_channel(1);
        let done = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&done);
        let serving = self.world.spawn("s", move || {
            let socket = UdpSocket::bind((SERVER_V4, 0)).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_millis(50)))
                .unwrap();
            tell.send(socket.local_addr().unwrap()).unwrap();
            let mut buffer = [0; 200];
            while !ended.load(Ordering::Relaxed) {
                if let Ok((len, from)) = socket.recv_from(&mut buffer) {
                    socket.send_to(&buffer[..len], from).unwrap();
                }
            }
        });
        let (to, from): (SocketAddr, IpAddr) = (told.recv().unwrap(), self.guests[at].2.into());
        let mut trips = self.world.inside("c", move || {
            let socket = UdpSocket::bind((from, 0)).unwrap();
            socket.connect(to).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_millis(500)))
                .unwrap();
            let (begun, mut trips, mut number) = (Instant::now(), Vec::new(), 0_u64);
            while begun.elapsed() < time {
                number += 1;
                let sent = Instant::now();
                socket
                    .send(&[&number.to_le_bytes()[..], &[0; 56]].concat())
                    .unwrap();
                let mut buffer = [0; 200];
                let answered = loop {
                    match socket.recv(&mut buffer) {
                        Ok(64) if buffer[..8] == number.to_le_bytes() => break true,
                        Ok(_) => {}
                        Err(_) => break false,
                    }
                };
                trips.push(if answered {
                    sent.elapsed().as_secs_f64() * 1e3
                } else {
                    f64::INFINITY
                });
                std::thread::sleep(Duration::from_millis(5));
            }
            trips
        });
        done.store(true, Ordering::Relaxed);
        serving.join().unwrap();
        trips.sort_by(f64::total_cmp);
        trips
    }
}

struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

fn busy(mut stream: TcpStream, sends: bool, stop: &AtomicBool) {
    let mut block = vec![7; 1 << 17];
    let patience = Some(Duration::from_millis(100));
    stream.set_write_timeout(patience).unwrap();
    stream.set_read_timeout(patience).unwrap();
    while !stop.load(Ordering::Relaxed) {
        let _ = if sends {
            stream.write(&block)
        } else {
            stream.read(&mut block)
        };
    }
}

fn rate(mbit: f64) -> Option<NonZeroU64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small number"
    )]
    NonZeroU64::new((mbit * 125_000.0) as u64)
}

fn percent(sorted: &[f64], of: usize) -> f64 {
    sorted[(sorted.len() - 1) * of / 100]
}

/// Switches of the thread that looks at the clock, in so long.
fn wakes(time: Duration) -> u64 {
    let count = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let paths = tasks.map(|it| it.unwrap().path());
        let mine = |path: &std::path::PathBuf| {
            let name = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
            name.trim() == "warren-control"
        };
        let switches = |path: std::path::PathBuf| {
            let status = std::fs::read_to_string(path.join("status")).unwrap();
            let line = status
                .lines()
                .find(|it| it.starts_with("voluntary"))
                .unwrap();
            line.split_whitespace()
                .last()
                .unwrap()
                .parse::<u64>()
                .unwrap()
        };
        paths.filter(mine).map(switches).sum::<u64>()
    };
    let before = count();
    std::thread::sleep(time);
    count() - before
}

fn main() {
    if !can_run() {
        return;
    }
    let seconds = std::env::args()
        .nth(1)
        .and_then(|it| it.parse().ok())
        .unwrap_or(4);
    let time = Duration::from_secs(seconds);
    let place = Place::new(2);
    let both = Shape::default();

    println!("a guest's rate, kept:      asked      got     off");
    for mbit in [1.0, 10.0, 100.0, 500.0] {
        for up in [false, true] {
            place.exit.set_shape(Shape {
                guest: rate(mbit),
                ..both
            });
            let load = place.load(0, up, 2);
            std::thread::sleep(Duration::from_secs(1));
            let (begun, before) = (Instant::now(), place.bytes(0, up));
            std::thread::sleep(time);
            let got = (place.bytes(0, up) - before) as f64 / begun.elapsed().as_secs_f64() / 125e3;
            load.end();
            let way = if up { "up" } else { "down" };
            println!(
                "  {way:<5} Mbit/s        {mbit:>11.1} {got:>8.2} {:>+6.2} %",
                (got / mbit - 1.0) * 100.0
            );
        }
    }
    println!("  {:?}", place.exit.shape_counts());

    println!("a light guest's round trip, ms:       p50     p99   heavy Mbit/s");
    for (name, line, up, flows) in [
        ("alone", None, false, 0),
        ("heavy down", None, false, 4),
        ("heavy up", None, true, 4),
        ("heavy down, line 300 Mbit/s", rate(300.0), false, 4),
        ("heavy up, line 300 Mbit/s", rate(300.0), true, 4),
        ("heavy down, line 50 Mbit/s", rate(50.0), false, 4),
    ] {
        place.exit.set_shape(Shape { line, ..both });
        let load = place.load(0, up, flows);
        std::thread::sleep(Duration::from_secs(1));
        let (begun, before) = (Instant::now(), place.bytes(0, up));
        let trips = place.round_trips(1, time);
        let heavy = (place.bytes(0, up) - before) as f64 / begun.elapsed().as_secs_f64() / 125e3;
        load.end();
        println!(
            "  {name:<32} {:>7.2} {:>7.2} {heavy:>10.0}",
            percent(&trips, 50),
            percent(&trips, 99)
        );
    }
    place.exit.set_shape(both);
    println!("drops at the exit: {:?}", place.exit.drop_counts());
    // The consumers' clocks go on: they keep their NATs open.
    let Place {
        world,
        exit,
        guests,
    } = place;
    let quiet = guests.len();
    drop(guests);
    std::thread::sleep(Duration::from_secs(25));
    let woken = wakes(Duration::from_secs(10));
    println!("wakes of the exit's clock in 10 s, {quiet} guests idle: {woken}");
    drop((exit, world));
}
