//! The consumers of one namespace: a device for each, and one thread that pays for all.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use warren_tunnel::{ConsumerTunnel, DEFAULT_KEEPALIVE, DEFAULT_MTU, Offload, TunnelSpec};

use crate::args::Args;
use crate::known;
use crate::words::{Chain, Frame, TICK, UNIT};

/// Devices `NAME0`, `NAME1`…, up until the process ends; says `up` when all have shaken hands.
pub(crate) fn run(args: &Args) {
    let guests: u16 = args.number("guests", 1);
    let exit: SocketAddr = args.text("exit", "").parse().expect("--exit ADDRESS:PORT");
    let name = args.text("device", "warren");
    let tunnels: Vec<_> = (0..guests).map(|it| tunnel(&name, it, exit)).collect();
    let is_up = |it: &ConsumerTunnel| it.state().since_handshake.is_some();
    while !tunnels.iter().all(is_up) {
        std::thread::sleep(Duration::from_millis(5));
    }
    println!("up {:?}", tunnels[0].rungs());
    if !args.is_on("words") {
        loop {
            std::thread::park();
        }
    }
    let words = args.text("words", "").parse::<SocketAddr>();
    pay(
        &tunnels,
        words.expect("--words ADDRESS:PORT"),
        args.number("prepay", 1),
        &PathBuf::from(args.text("free", "")),
    );
}

fn tunnel(name: &str, guest: u16, exit: SocketAddr) -> ConsumerTunnel {
    let tunnel = ConsumerTunnel::up(TunnelSpec {
        device: format!("{name}{guest}"),
        private_key: known::key("guest", guest),
        peer_key: known::key("exit", 0).public(),
        endpoints: vec![exit],
        port: 0,
        local_v4: Some(known::v4(guest)),
        local_v6: Some(known::v6(guest)),
        mtu: DEFAULT_MTU,
        keepalive: Some(DEFAULT_KEEPALIVE),
        mark: None,
        offload: Offload::Auto,
    });
    tunnel.unwrap()
}

/// Releases what each guest's own meter says is due, and the prepaid words ahead of it, but none while there is a
/// file `free`.
fn pay(tunnels: &[ConsumerTunnel], to: SocketAddr, prepay: u64, free: &Path) {
    let chains: Vec<_> = (0..tunnels.len()).map(|it| Chain::of(it as u16)).collect();
    let mut released = vec![0_u32; tunnels.len()];
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_nodelay(true).unwrap();
    loop {
        std::thread::sleep(TICK);
        if free.exists() {
            continue;
        }
        for (at, tunnel) in tunnels.iter().enumerate() {
            let usage = tunnel.usage();
            let due = usage.up.plus(usage.down).bytes().div_ceil(UNIT) + prepay;
            let due = u32::try_from(due).unwrap();
            if due > released[at] {
                let frame = Frame::new(at as u16, due, chains[at].word(due));
                if frame.write(&mut stream).is_err() {
                    return; // The exit has ended: so does the measurement.
                }
                released[at] = due;
            }
        }
        let _ = stream.flush();
    }
}
