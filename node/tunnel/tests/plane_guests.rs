//! Many guests of one exit, in memory: what idle ones cost, what a flood costs, how fast each is carried.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on stops, and says what it measured"
)]

#[path = "plane_engine/pair.rs"]
mod pair;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use pair::{
    GUEST_V4, Pair, consumer_spec, datagrams, exit_engine, inbox, outbox, packets, to_guest,
    to_server,
};
use warren_proto::ByteCount;
use warren_tunnel::engine::{ConsumerEngine, ExitEngine, Origin, Received};
use warren_tunnel::{
    DEFAULT_HANDSHAKE_LIMIT, DropReason, Gate, GuestId, GuestSpec, MAX_GUESTS, Shape, ShapeCounts,
    TunnelError, TunnelKey,
};

/// Guest number `at` of an exit: its addresses, and where it is seen.
fn place(at: u16) -> (Ipv4Addr, Ipv6Addr, SocketAddr) {
    let number = u32::from(at) + 2;
    let v4 = Ipv4Addr::from_bits(Ipv4Addr::new(10, 77, 0, 0).to_bits() + number);
    let v6 = Ipv6Addr::from_bits((0xfd77_7761 << 96) + u128::from(number));
    let seen = Ipv4Addr::from_bits(Ipv4Addr::new(198, 18, 0, 0).to_bits() + number);
    (v4, v6, SocketAddr::new(seen.into(), 1111))
}

fn to_exit(exit: &ExitEngine, from: SocketAddr, datagram: &[u8]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut inbox, mut out) = (inbox(), outbox());
    let origin = Origin {
        from: from.into(),
        at: Instant::now(),
    };
    exit.open_datagrams(Received::one(origin, datagram), &mut inbox, &mut out);
    exit.written_all(&inbox);
    exit.sent_all(&out);
    (packets(&inbox), datagrams(&out))
}

fn to_consumer(consumer: &ConsumerEngine, datagram: &[u8]) -> Vec<Vec<u8>> {
    let (mut inbox, mut out) = (inbox(), outbox());
    let origin = Origin {
        from: pair::exit_address().into(),
        at: Instant::now(),
    };
    consumer.open_datagrams(Received::one(origin, datagram), &mut inbox, &mut out);
    datagrams(&out)
}

fn init(consumer: &ConsumerEngine) -> Vec<u8> {
    let mut out = outbox();
    consumer.connect(&mut out);
    datagrams(&out).remove(0)
}

/// Takes guest number `at` in; shakes hands if asked for.
fn take_in(
    exit: &ExitEngine,
    exit_key: &TunnelKey,
    at: u16,
    meet: bool,
) -> (ConsumerEngine, GuestId) {
    let (v4, v6, seen) = place(at);
    let key = TunnelKey::generate();
    let spec = GuestSpec {
        peer_key: key.public(),
        v4,
        v6,
    };
    let guest = exit.add_guest(spec).unwrap();
    exit.set_gate(guest, Gate::Open).unwrap();
    let consumer = ConsumerEngine::new(&consumer_spec(key, exit_key.public(), v4, v6));
    if meet {
        let answer = to_exit(exit, seen, &init(&consumer)).1;
        for keepalive in to_consumer(&consumer, &answer[0]) {
            to_exit(exit, seen, &keepalive);
        }
    }
    (consumer, guest)
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// A guest that sends nothing costs its memory and two looks at the clock: when its keys end, and
/// when the rest of its handshake does. One that never came costs none.
#[test]
fn idle_guests_cost_little_memory_and_no_looks_at_the_clock() {
    let exit_key = TunnelKey::generate();
    let exit = exit_engine(exit_key.clone(), u64::MAX);
    let (met, never) = (600_u16, 400_u16);
    take_in(&exit, &exit_key, met + never, true);
    let before = resident_bytes();
    for at in 0..met + never {
        take_in(&exit, &exit_key, at, at < met);
    }
    let each = (resident_bytes() - before) / usize::from(met + never);
    println!("{each} bytes for each of {} idle guests", met + never);
    assert!(each <= 25 * 1024, "{each} bytes a guest");

    let (start, mut looks) = (Instant::now(), Vec::new());
    for tenth in 0..36_000 {
        let now = start + Duration::from_millis(100) * tenth;
        looks.push(exit.tick_at(now, &mut outbox()));
    }
    let late: usize = looks[300..].iter().sum();
    let all: usize = looks.iter().sum();
    println!("{all} looks in an hour, {late} of them after the first 30 s");
    assert!(looks[0] > usize::from(met), "all who met were awake");
    assert_eq!(late, 2 * (usize::from(met) + 1), "keys end, then the rest");
}

/// After its clock rested, a guest is served as before.
#[test]
fn a_guest_that_rested_is_carried_at_once() {
    let pair = Pair::connected();
    let later = Instant::now() + Duration::from_secs(60);
    for _ in 0..3 {
        pair.exit.tick_at(later, &mut outbox());
    }
    let asleep = pair
        .exit
        .tick_at(later + Duration::from_secs(25), &mut outbox());
    let asleep = asleep
        + pair
            .exit
            .tick_at(later + Duration::from_secs(26), &mut outbox());
    assert!(asleep <= 1, "the clock rests");
    assert_eq!(pair.down(&to_guest(10)).len(), 1);
    assert_eq!(pair.to_exit(&pair.up(&to_server(10))[0]).0.len(), 1);
    let now = later + Duration::from_secs(27);
    assert_eq!(pair.exit.tick_at(now, &mut outbox()), 1, "it runs again");
}

/// Whatever guests come, go and speak, whoever is awake is looked at, and nobody twice.
#[test]
fn a_slot_that_is_used_again_is_looked_at_once() {
    let exit_key = TunnelKey::generate();
    let exit = exit_engine(exit_key.clone(), u64::MAX);
    for _ in 0..5 {
        let (_, guest) = take_in(&exit, &exit_key, 1, true);
        assert_eq!(exit.tick_at(Instant::now(), &mut outbox()), 1);
        exit.remove_guest(guest).unwrap();
    }
    assert_eq!(exit.tick_at(Instant::now(), &mut outbox()), 0);
}

#[test]
fn all_places_can_be_taken_and_each_guest_is_found_by_index_and_address() {
    let exit_key = TunnelKey::generate();
    let exit = exit_engine(exit_key.clone(), u64::MAX);
    let most = u16::try_from(MAX_GUESTS).unwrap();
    let mut some = Vec::new();
    for at in 0..most {
        let meet = at % 512 == 0 || at == most - 1;
        let (consumer, guest) = take_in(&exit, &exit_key, at, meet);
        if meet {
            some.push((at, consumer, guest));
        }
    }
    let (v4, v6, _) = place(most);
    let peer_key = TunnelKey::generate().public();
    let more = exit.add_guest(GuestSpec { peer_key, v4, v6 });
    assert!(matches!(more, Err(TunnelError::Full(MAX_GUESTS))));
    for (at, consumer, guest) in some {
        let (v4, _, seen) = place(at);
        let mut out = outbox();
        consumer.seal_packet(
            &pair::packet(v4.into(), pair::SERVER_V4.into(), 100),
            &mut out,
        );
        assert_eq!(to_exit(&exit, seen, &datagrams(&out)[0]).0.len(), 1);
        let mut out = outbox();
        exit.seal_packet(
            &pair::packet(pair::SERVER_V4.into(), v4.into(), 100),
            &mut out,
        );
        assert_eq!(out.items()[0].to.remote, seen);
        assert_eq!(exit.usage(guest).unwrap().up.bytes(), 120);
    }
}

/// A stranger who knows the exit's key can make it work for so many handshakes a second as it
/// allows, and no more; who proves its address gets in meanwhile.
#[test]
fn a_flood_of_handshakes_costs_no_more_than_the_limit_and_a_guest_gets_in() {
    const FLOOD: u32 = 10_000;
    let pair = Pair::strangers(GUEST_V4, DEFAULT_HANDSHAKE_LIMIT);
    let exit_key = pair.exit_key;
    let stranger = |_| {
        let spec = consumer_spec(TunnelKey::generate(), exit_key, GUEST_V4, pair::GUEST_V6);
        init(&ConsumerEngine::new(&spec))
    };
    // Different ones, repeated: a repetition costs the exit as much.
    let inits: Vec<_> = (0..50).map(stranger).collect();
    let from = |at: u32| SocketAddr::new(Ipv4Addr::from_bits(0x0b00_0000 + at).into(), 9);
    for at in 0..FLOOD {
        let init = &inits[at as usize % inits.len()];
        for answer in to_exit(&pair.exit, from(at), init).1 {
            assert_eq!(answer.len(), 64, "nothing but cookies");
        }
    }
    let counts = pair.exit.handshake_counts();
    println!("{FLOOD} handshakes of strangers: {counts:?}");
    assert_eq!(counts.computed, DEFAULT_HANDSHAKE_LIMIT);
    assert_eq!(counts.cookies, u64::from(FLOOD) - DEFAULT_HANDSHAKE_LIMIT);

    let cookie = pair.to_exit(&init(&pair.consumer)).1;
    assert_eq!(cookie[0].len(), 64);
    pair.to_consumer(&cookie[0]);
    let response = pair.to_exit(&init(&pair.consumer)).1;
    assert_eq!(response[0].len(), 92, "with the cookie, a session");
    assert_eq!(
        pair.exit.handshake_counts().computed,
        DEFAULT_HANDSHAKE_LIMIT + 1
    );

    // A stranger who shows a cookie is computed for a few times, not as often as it likes.
    let spec = consumer_spec(TunnelKey::generate(), exit_key, GUEST_V4, pair::GUEST_V6);
    let proven = ConsumerEngine::new(&spec);
    let before = pair.exit.handshake_counts();
    to_consumer(&proven, &to_exit(&pair.exit, from(1), &init(&proven)).1[0]);
    let again = init(&proven);
    for _ in 0..1000 {
        to_exit(&pair.exit, from(1), &again);
    }
    let counts = pair.exit.handshake_counts();
    assert_eq!(counts.computed - before.computed, 10);
    assert_eq!(counts.refused - before.refused, 990);
}

/// Noise without the exit's key is not worth a cookie, and crowds nobody out.
#[test]
fn noise_at_the_door_is_refused_for_the_price_of_a_hash() {
    let pair = Pair::strangers(GUEST_V4, 1);
    let mut noise = vec![7; 148];
    noise[..4].copy_from_slice(&[1, 0, 0, 0]);
    for _ in 0..1000 {
        assert!(pair.to_exit(&noise).1.is_empty());
    }
    let counts = pair.exit.handshake_counts();
    assert_eq!(
        (counts.computed, counts.cookies, counts.refused),
        (0, 0, 1000)
    );
    assert_eq!(pair.to_exit(&init(&pair.consumer)).1[0].len(), 92);
}

/// As slow as can be: whatever waits, waits for the whole test.
const CRAWL: Shape = Shape {
    guest: NonZeroU64::new(1),
    line: None,
};

#[test]
fn packets_above_a_guests_rate_wait_and_come_in_order() {
    let pair = Pair::connected();
    pair.exit.set_shape(CRAWL);
    let sizes: Vec<usize> = (100..120).collect();
    let (mut there, mut back) = (Vec::new(), Vec::new());
    for size in &sizes {
        there.extend(pair.to_exit(&pair.up(&to_server(*size))[0]).0);
        back.extend(pair.down(&to_guest(*size)));
    }
    assert_eq!(
        (there.len(), back.len()),
        (1, 1),
        "one is always let through"
    );
    let (mut waiting, mut out) = (inbox(), outbox());
    assert!(pair.exit.open_waiting(&mut waiting).is_some());
    assert!(pair.exit.seal_waiting(&mut out).is_some());
    assert!(waiting.items().is_empty() && out.items().is_empty());
    assert_eq!(
        pair.exit.shape_counts(),
        ShapeCounts {
            delayed: 38,
            dropped: 0
        }
    );
    assert_eq!(
        pair.exit.usage(pair.guest).unwrap().up.bytes(),
        120,
        "metered when carried"
    );

    pair.exit.set_shape(Shape::default());
    assert!(pair.exit.open_waiting(&mut waiting).is_none());
    assert!(pair.exit.seal_waiting(&mut out).is_none());
    there.extend(packets(&waiting));
    back.extend(datagrams(&out));
    let wanted: Vec<_> = sizes.iter().map(|it| to_server(*it)).collect();
    assert_eq!(there, wanted);
    let came: Vec<_> = back.iter().flat_map(|it| pair.to_consumer(it).0).collect();
    let wanted: Vec<_> = sizes.iter().map(|it| to_guest(*it)).collect();
    assert_eq!(came, wanted);
    assert_eq!(pair.exit.drop_counts().total(), 0);
}

#[test]
fn what_waits_for_a_shut_gate_or_a_guest_that_left_is_carried_by_nobody() {
    for leaves in [false, true] {
        let pair = Pair::connected();
        pair.exit.set_shape(CRAWL);
        for _ in 0..5 {
            pair.to_exit(&pair.up(&to_server(10))[0]);
            pair.down(&to_guest(10));
        }
        if leaves {
            pair.exit.remove_guest(pair.guest).unwrap();
        } else {
            pair.exit.set_gate(pair.guest, Gate::Paused).unwrap();
        }
        pair.exit.set_shape(Shape::default());
        let (mut waiting, mut out) = (inbox(), outbox());
        assert!(pair.exit.open_waiting(&mut waiting).is_none());
        assert!(pair.exit.seal_waiting(&mut out).is_none());
        assert!(waiting.items().is_empty() && out.items().is_empty());
        let paused = pair.exit.drop_counts().of(DropReason::Paused);
        assert_eq!(paused, if leaves { 0 } else { 8 });
    }
}

#[test]
fn a_guest_far_above_its_rate_loses_what_its_queue_cannot_hold_and_nobody_elses() {
    let exit_key = TunnelKey::generate();
    let exit = exit_engine(exit_key.clone(), u64::MAX);
    let guests = [1, 2].map(|at| (at, take_in(&exit, &exit_key, at, true)));
    exit.set_shape(CRAWL);
    let send = |at: u16| {
        let mut out = outbox();
        let packet = pair::packet(pair::SERVER_V4.into(), place(at).0.into(), 1380);
        exit.seal_packet(&packet, &mut out);
        out.items().len()
    };
    let through: usize = (0..1000).map(|_| send(1)).sum();
    assert_eq!(through, 1);
    let dropped = exit.drop_counts().of(DropReason::AboveRate);
    assert_eq!(exit.shape_counts().dropped, dropped);
    assert!(dropped > 900, "{dropped}");
    assert_eq!(send(2), 1, "the other one is not slower for it");
    drop(guests);
}

/// Of a line that all share, who does not pay gets nothing: neither its turn nor its bytes.
#[test]
fn a_guest_whose_gate_is_shut_takes_nothing_of_a_shared_line() {
    let exit_key = TunnelKey::generate();
    let exit = exit_engine(exit_key.clone(), u64::MAX);
    let (shut, id) = take_in(&exit, &exit_key, 1, true);
    let (paying, _) = take_in(&exit, &exit_key, 2, true);
    let shape = Shape {
        guest: None,
        line: NonZeroU64::new(1),
    };
    for gate in [Gate::Paused, Gate::Until(ByteCount::from_bytes(99))] {
        exit.set_gate(id, gate).unwrap();
        exit.set_shape(shape);
        let down = |at: u16| {
            let mut out = outbox();
            let packet = pair::packet(pair::SERVER_V4.into(), place(at).0.into(), 100);
            exit.seal_packet(&packet, &mut out);
            out.items().len()
        };
        let up = |consumer: &ConsumerEngine, at: u16| {
            let ((v4, _, seen), mut out) = (place(at), outbox());
            let packet = pair::packet(v4.into(), pair::SERVER_V4.into(), 100);
            consumer.seal_packet(&packet, &mut out);
            to_exit(&exit, seen, &datagrams(&out)[0]).0.len()
        };
        for _ in 0..3 {
            assert_eq!((down(1), up(&shut, 1)), (0, 0));
        }
        assert_eq!((down(2), up(&paying, 2)), (1, 1), "at once, for {gate:?}");
    }
    assert_eq!(exit.drop_counts().of(DropReason::Paused), 12);
    assert_eq!(exit.shape_counts(), ShapeCounts::default());
}
