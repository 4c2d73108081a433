//! The ends of a paid tunnel and what runs through them, for `tests/bench/tunnel.sh`.
//!
//! `exit` is an exit with everything a paid session needs switched on: the meter, a gate with an
//! allowance to the byte that grows as words come (each verified, and on the disk before it
//! counts), the check of source addresses, and the host part with its deny table and NAT.
//! `consumer` is its guests: for each a device, and one thread that pays them all every 20 ms, as
//! the daemon does. What is not in it: finding the exit, agreeing, the chain, the store; they cost
//! nothing per packet. `serve` and `load` are TCP for many guests at once; `usage` asks the exit's
//! meters.
//!
//! Keys are made of numbers and protect nothing: only for namespaces without a way out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a program for measuring"
)]

mod args;
mod consumer;
mod exit;
mod load;
mod words;

use args::Args;

fn main() {
    let args = Args::read();
    match args.role() {
        "exit" => exit::run(&args),
        "consumer" => consumer::run(&args),
        "usage" => exit::ask_usage(&args),
        "serve" => load::serve(&args),
        "load" => load::run(&args),
        other => panic!("no such role: {other:?} (exit, consumer, usage, serve, load)"),
    }
}

/// Both ends and all tools know each other's keys and addresses by number.
mod known {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use sha2::{Digest as _, Sha256};
    use warren_tunnel::TunnelKey;

    pub(crate) const GATEWAY_V4: &str = "10.77.0.1/16";
    pub(crate) const GATEWAY_V6: &str = "fd77:7761::1/64";

    pub(crate) fn key(whose: &str, number: u16) -> TunnelKey {
        TunnelKey::from_bytes(seed(whose, number))
    }

    pub(crate) fn seed(whose: &str, number: u16) -> [u8; 32] {
        Sha256::digest(format!("warren bench {whose} {number}")).into()
    }

    pub(crate) fn v4(guest: u16) -> Ipv4Addr {
        Ipv4Addr::from_bits(Ipv4Addr::new(10, 77, 0, 2).to_bits() + u32::from(guest))
    }

    pub(crate) fn v6(guest: u16) -> Ipv6Addr {
        Ipv6Addr::new(0xfd77, 0x7761, 0, 0, 0, 0, 0, guest + 2)
    }
}
