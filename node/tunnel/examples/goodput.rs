//! Prints how fast the tunnel carries TCP between network namespaces on this machine.
//!
//! Needs root. `cargo run --release -p warren-tunnel --example goodput [SECONDS]`; each line is one
//! direction on one set of rungs. All four ends share this machine's processors, so compare lines
//! of one run, not runs of two machines.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "an example that prints"
)]

#[path = "../tests/plane_netns/traffic.rs"]
mod traffic;
#[path = "../tests/plane_netns/world.rs"]
mod world;

use std::time::Duration;

use warren_tunnel::{Gate, Offload};
use world::{Outer, SERVER_V4, World, can_run};

fn main() {
    if !can_run() {
        return;
    }
    let seconds = std::env::args()
        .nth(1)
        .and_then(|it| it.parse().ok())
        .unwrap_or(4);
    println!(
        "{:<10} {:<5} {:>12} {:>10}",
        "offload", "way", "Gbit/s", "CPU-s/GB"
    );
    for (name, offload) in [("plain", Offload::Off), ("best", Offload::Auto)] {
        let world = World::new("goodput");
        let tunnel = world.tunnel(offload, Outer::V4);
        tunnel.exit.set_gate(tunnel.guest, Gate::Open).unwrap();
        for up in [true, false] {
            let before = cpu_secs();
            let bytes = traffic::tcp_for(&world, SERVER_V4, up, Duration::from_secs(seconds));
            let (gigabytes, cpu) = (bytes as f64 / 1e9, cpu_secs() - before);
            let way = if up { "up" } else { "down" };
            let rate = gigabytes * 8.0 / seconds as f64;
            println!("{name:<10} {way:<5} {rate:>12.2} {:>10.2}", cpu / gigabytes);
        }
    }
}

/// Processor time of this process: both tunnel ends, sender and receiver.
fn cpu_secs() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    // Fields 14 and 15 of proc(5), in ticks; the name was the second.
    let ticks: f64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|it| it.parse::<f64>().unwrap())
        .sum();
    ticks / 100.0
}
