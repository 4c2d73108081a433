//! What each step of the packet path costs alone, on one core.
//!
//! `cargo bench -p warren-tunnel --bench micro`. Prints the median of many batches, the least
//! beside it, in ns for a packet of 1420 bytes (`_64`: of 64).
#![allow(
    dead_code,
    unused_imports,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a program for measuring; it takes in modules of the crate whole"
)]

#[path = "../src/offload"]
mod offload {
    pub(crate) mod checksum;
    pub(crate) mod coalesce;
    pub(crate) mod headers;
    mod split;
    pub(crate) mod vnet;

    pub(crate) use split::Splitter;
}
#[path = "../tests/plane_engine/pair.rs"]
mod pair;

use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use offload::Splitter;
use offload::coalesce::{Coalescer, Merge};
use offload::headers::Layout;
use offload::vnet::{Segmentation, VnetHeader};
use pair::{GUEST_V4, Pair, SERVER_V4, home};
use warren_tunnel::engine::{Inbox, Origin, Outbox, Received};
use warren_tunnel::{GuestSpec, TunnelKey};

/// Bytes of a full packet.
const FULL: usize = 1420;
/// Packets in one batch, as many as a super-packet stands for.
const BATCH: u32 = 46;
const RUN: Duration = Duration::from_millis(500);
/// Guests that the exit knows beside the one that is served.
const OTHERS: u16 = 1000;

fn main() {
    let pair = Pair::connected();
    for number in 0..OTHERS {
        pair.exit.add_guest(other(number)).unwrap();
    }
    let up = tcp(GUEST_V4, SERVER_V4, 0, FULL - 40);
    let down = tcp(SERVER_V4, GUEST_V4, 0, FULL - 40);
    let small = tcp(GUEST_V4, SERVER_V4, 0, 24);
    let nobody = tcp(SERVER_V4, Ipv4Addr::new(10, 77, 99, 99), 0, FULL - 40);
    let (mut out, mut inbox) = (Outbox::new(1 << 20, 4096), Inbox::new(1 << 20, 4096));

    report("seal", || {
        out.clear();
        timed(|| (0..BATCH).for_each(|_| pair.consumer.seal_packet(&up, &mut out)))
    });
    report("seal_64", || {
        out.clear();
        timed(|| (0..BATCH).for_each(|_| pair.consumer.seal_packet(&small, &mut out)))
    });
    report("seal_exit", || {
        out.clear();
        timed(|| (0..BATCH).for_each(|_| pair.exit.seal_packet(&down, &mut out)))
    });
    report("route", || {
        timed(|| (0..BATCH).for_each(|_| pair.exit.seal_packet(&nobody, &mut out)))
    });
    for (name, packet) in [("open", &up), ("open_64", &small)] {
        report(name, || {
            out.clear();
            inbox.clear();
            (0..BATCH).for_each(|_| pair.consumer.seal_packet(packet, &mut out));
            let (first, last) = (out.items()[0], out.items()[BATCH as usize - 1]);
            let all: Vec<u8> = out
                .items()
                .iter()
                .flat_map(|it| out.bytes(it))
                .copied()
                .collect();
            assert_eq!(last.start + last.len, all.len());
            let mut answers = Outbox::new(1 << 16, 64);
            let origin = Origin {
                from: home().into(),
                at: Instant::now(),
            };
            timed(|| {
                for datagram in all.chunks(first.len) {
                    let received = Received::one(origin, datagram);
                    pair.exit.open_datagrams(received, &mut inbox, &mut answers);
                }
            })
        });
        assert_eq!(inbox.items().len(), BATCH as usize, "all were opened");
    }
    report("meter", || {
        timed(|| pair.exit.written_all(black_box(&inbox)))
    });

    let mut super_packet = tcp(GUEST_V4, SERVER_V4, 0, (FULL - 40) * BATCH as usize);
    let header = VnetHeader {
        needs_checksum: true,
        segmentation: Segmentation::TcpV4,
        header_len: 40,
        segment_len: (FULL - 40) as u16,
        checksum_start: 20,
        checksum_offset: 16,
    };
    report("split", || {
        timed(|| {
            let mut splitter = Splitter::new(&header, &mut super_packet).unwrap();
            while let Some(segment) = splitter.next_segment() {
                black_box(segment);
            }
        })
    });
    let packets: Vec<_> = (0..BATCH)
        .map(|at| tcp(GUEST_V4, SERVER_V4, at * (FULL as u32 - 40), FULL - 40))
        .collect();
    let mut coalescer = Coalescer::new(Merge::TcpUdp);
    report("merge", || {
        timed(|| {
            coalescer.group(packets.len(), |at| &packets[at]);
            black_box(coalescer.groups()[0].head(&packets[0]));
        })
    });
    assert_eq!(coalescer.groups().len(), 1, "all were merged");
}

/// Runs batches for a while; each says how long its part took. The median of many short batches
/// does not mind that now and then another program runs in between.
fn report(name: &str, mut batch: impl FnMut() -> Duration) {
    let begun = Instant::now();
    let mut runs = Vec::new();
    while begun.elapsed() < RUN {
        runs.push(batch().as_nanos() as f64 / f64::from(BATCH));
    }
    runs.sort_by(f64::total_cmp);
    let middle = runs[runs.len() / 2];
    println!("{name:<10} {middle:>8.1} ns, least {:>8.1}", runs[0]);
}

fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

fn other(number: u16) -> GuestSpec {
    GuestSpec {
        peer_key: TunnelKey::generate().public(),
        v4: Ipv4Addr::from_bits(Ipv4Addr::new(10, 77, 1, 0).to_bits() + u32::from(number)),
        v6: Ipv6Addr::new(0xfd77, 0x7761, 0, 0, 0, 0, 1, number),
    }
}

/// A TCP packet whose checksums hold, unless it is longer than a packet can be.
fn tcp(from: Ipv4Addr, to: Ipv4Addr, sequence: u32, payload: usize) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend([0, 80, 0, 90]);
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 0, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
    packet.extend((0..payload).map(|at| (at % 251) as u8));
    let (layout, len) = (Layout::of(&packet).unwrap(), packet.len());
    layout.set_lengths(&mut packet, len);
    layout.set_checksum(&mut packet);
    packet
}
