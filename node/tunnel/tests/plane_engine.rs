//! The packet plane without IO: what passes between two engines, and what does not.

#[path = "plane_engine/pair.rs"]
mod pair;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use pair::{
    GUEST_V4, GUEST_V6, Pair, SERVER_V4, SERVER_V6, away, exit_engine, home, inbox, outbox, packet,
    to_guest, to_server,
};
use proptest::prelude::*;
use warren_tunnel::engine::{Origin, Received};
use warren_tunnel::{DEFAULT_HANDSHAKE_LIMIT, DropReason, Gate, GuestSpec, TunnelError, TunnelKey};

#[test]
fn packets_of_both_kinds_pass_both_ways() {
    let pair = Pair::connected();
    let there = [
        to_server(0),
        to_server(1400),
        packet(GUEST_V6.into(), SERVER_V6.into(), 1000),
    ];
    for sent in &there {
        let sealed = pair.up(sent);
        assert_eq!(sealed.len(), 1);
        assert_eq!(pair.to_exit(&sealed[0]).0, std::slice::from_ref(sent));
    }
    let back = [
        to_guest(0),
        to_guest(1400),
        packet(SERVER_V6.into(), GUEST_V6.into(), 1000),
    ];
    for sent in &back {
        let sealed = pair.down(sent);
        assert_eq!(pair.to_consumer(&sealed[0]).0, std::slice::from_ref(sent));
    }
    assert_eq!(
        pair.consumer.drop_counts().total() + pair.exit.drop_counts().total(),
        0
    );
}

#[test]
fn both_ends_meter_the_same_inner_bytes() {
    let pair = Pair::connected();
    for size in [0, 1, 700, 1380] {
        pair.to_exit(&pair.up(&to_server(size))[0]);
        pair.to_consumer(&pair.down(&to_guest(size / 2))[0]);
    }
    let (consumer, exit) = (pair.consumer.usage(), pair.exit.usage(pair.guest).unwrap());
    assert_eq!(consumer, exit);
    assert_eq!(exit.up.bytes(), 4 * 20 + 2081);
    assert_eq!(exit.down.bytes(), 4 * 20 + 1040);
}

#[test]
fn an_exit_that_sends_what_nobody_asked_for_is_paid_for_little_of_it() {
    const MOST: u64 = 16 << 20;
    let pair = Pair::connected();
    // What is paid for until nothing more is taken.
    let flood = |pair: &Pair| {
        let before = pair.consumer.usage().down.bytes();
        let paid = |pair: &Pair| pair.consumer.usage().down.bytes() - before;
        while paid(pair) <= 2 * MOST {
            let taken = paid(pair);
            pair.to_consumer(&pair.down(&to_guest(1380))[0]);
            if paid(pair) == taken {
                break;
            }
        }
        paid(pair)
    };
    let paid = flood(&pair);
    assert!(paid <= MOST, "{paid}");
    assert_eq!(flood(&pair), 0, "silence asks for nothing");
    assert_eq!(pair.consumer.drop_counts().of(DropReason::Unasked), 2);
    pair.to_exit(&pair.up(&to_server(100))[0]);
    let more = flood(&pair);
    let word = (3 << 20) - 1400..=(3 << 20) + 1400;
    assert!(word.contains(&more), "a word asks for a little: {more}");
}

#[test]
fn packets_sent_too_early_wait_for_the_handshake() {
    let pair = Pair::strangers(GUEST_V4, DEFAULT_HANDSHAKE_LIMIT);
    pair.exit.set_gate(pair.guest, Gate::Open).unwrap();
    let init = pair.up(&to_server(100));
    assert_eq!(
        pair.consumer.usage().up.bytes(),
        0,
        "nothing was sealed yet"
    );
    let response = pair.to_exit(&init[0]).1;
    let sealed = pair.to_consumer(&response[0]).1;
    let came: Vec<_> = sealed.iter().flat_map(|it| pair.to_exit(it).0).collect();
    assert_eq!(came, [to_server(100)]);
    assert_eq!(pair.consumer.usage(), pair.exit.usage(pair.guest).unwrap());
}

#[test]
fn a_source_that_was_not_assigned_is_refused_at_both_ends() {
    let pair = Pair::connected();
    let forged = packet(
        IpAddr::V4(Ipv4Addr::new(10, 77, 0, 3)),
        SERVER_V4.into(),
        10,
    );
    assert!(pair.up(&forged).is_empty());
    assert_eq!(pair.consumer.drop_counts().of(DropReason::WrongSource), 1);

    // A consumer that lies about its address gets its packets sealed, and no further.
    let liar = Pair::connected_from(Ipv4Addr::new(10, 77, 0, 3));
    let sealed = liar.up(&forged);
    assert!(liar.to_exit(&sealed[0]).0.is_empty());
    assert_eq!(liar.exit.drop_counts().of(DropReason::WrongSource), 1);
    assert_eq!(liar.exit.usage(liar.guest).unwrap().up.bytes(), 0);
}

#[test]
fn a_shut_gate_stops_data_and_lets_handshakes_pass() {
    let pair = Pair::strangers(GUEST_V4, DEFAULT_HANDSHAKE_LIMIT);
    pair.shake_hands();
    assert!(
        pair.consumer
            .state(Instant::now())
            .since_handshake
            .is_some()
    );
    assert!(pair.to_exit(&pair.up(&to_server(10))[0]).0.is_empty());
    assert!(pair.down(&to_guest(10)).is_empty());
    assert_eq!(pair.exit.drop_counts().of(DropReason::Paused), 2);
    assert_eq!(pair.exit.usage(pair.guest).unwrap().up.bytes(), 0);

    pair.exit.set_gate(pair.guest, Gate::Open).unwrap();
    assert_eq!(pair.to_exit(&pair.up(&to_server(10))[0]).0, [to_server(10)]);
}

#[test]
fn a_replayed_datagram_is_refused() {
    let pair = Pair::connected();
    let sealed = pair.up(&to_server(10));
    assert_eq!(pair.to_exit(&sealed[0]).0.len(), 1);
    assert!(pair.to_exit(&sealed[0]).0.is_empty());
    assert_eq!(pair.exit.drop_counts().of(DropReason::Replayed), 1);
    assert_eq!(
        pair.exit.usage(pair.guest).unwrap().up.bytes(),
        30,
        "metered once"
    );
}

#[test]
fn a_guest_roams_by_an_authentic_packet_only() {
    let mut pair = Pair::connected();
    let seen = pair.up(&to_server(10));
    pair.to_exit(&seen[0]);
    assert_eq!(pair.endpoint(), Some(home()));

    pair.from = away();
    pair.to_exit(&seen[0]); // Replayed.
    let mut harmed = pair.up(&to_server(10));
    *harmed[0].last_mut().unwrap() ^= 1;
    pair.to_exit(&harmed[0]);
    pair.to_exit(&[4; 64]);
    assert_eq!(
        pair.endpoint(),
        Some(home()),
        "nobody roams by a packet that proves nothing"
    );

    pair.to_exit(&pair.up(&to_server(10))[0]);
    assert_eq!(pair.endpoint(), Some(away()));
    assert_eq!(pair.down(&to_guest(1)).len(), 1);
}

#[test]
fn nobody_roams_to_a_port_that_nothing_can_be_sent_to() {
    let mut pair = Pair::connected();
    pair.to_exit(&pair.up(&to_server(10))[0]);
    let nowhere = std::net::SocketAddr::new(away().ip(), 0);
    pair.from = nowhere;
    let came = pair.to_exit(&pair.up(&to_server(10))[0]).0;
    assert_eq!(came, [to_server(10)], "it is authentic, and carried");
    assert_eq!(pair.endpoint(), Some(home()));
}

#[test]
fn guests_do_not_reach_each_other() {
    let pair = Pair::connected();
    let neighbour = Ipv4Addr::new(10, 77, 0, 9);
    let sealed = pair.up(&packet(GUEST_V4.into(), neighbour.into(), 10));
    assert!(pair.to_exit(&sealed[0]).0.is_empty());
    assert!(
        pair.down(&packet(neighbour.into(), GUEST_V4.into(), 10))
            .is_empty()
    );
    assert_eq!(pair.exit.drop_counts().of(DropReason::GuestToGuest), 2);
    // The exit itself can be reached.
    let gateway = packet(GUEST_V4.into(), Ipv4Addr::new(10, 77, 0, 1).into(), 10);
    assert_eq!(pair.to_exit(&pair.up(&gateway)[0]).0, [gateway]);
}

#[test]
fn a_removed_guest_is_a_stranger() {
    let pair = Pair::connected();
    pair.to_exit(&pair.up(&to_server(10))[0]);
    assert_eq!(pair.exit.remove_guest(pair.guest).unwrap().up.bytes(), 30);
    assert!(pair.to_exit(&pair.up(&to_server(10))[0]).0.is_empty());
    assert!(pair.down(&to_guest(10)).is_empty());
    assert!(matches!(
        pair.exit.usage(pair.guest),
        Err(TunnelError::NoSuchGuest(_))
    ));
}

#[test]
fn two_guests_of_one_exit_are_kept_apart() {
    let pair = Pair::connected();
    let key = TunnelKey::generate();
    let (v4, v6) = (Ipv4Addr::new(10, 77, 0, 3), "fd77:7761::3".parse().unwrap());
    let other = GuestSpec {
        peer_key: key.public(),
        v4,
        v6,
    };
    let other = pair.exit.add_guest(other).unwrap();
    pair.exit.set_gate(other, Gate::Open).unwrap();
    pair.to_exit(&pair.up(&to_server(100))[0]);
    assert!(
        pair.down(&packet(SERVER_V4.into(), v4.into(), 9))
            .is_empty(),
        "never heard of"
    );
    assert_eq!(pair.exit.drop_counts().of(DropReason::NotConnected), 1);
    assert_eq!(pair.exit.usage(other).unwrap().up.bytes(), 0);
    assert_eq!(pair.exit.usage(pair.guest).unwrap().up.bytes(), 120);
    // What one guest sealed says nothing under the other's index.
    let mut sealed = pair.up(&to_server(100));
    sealed[0][5] ^= 1;
    assert!(pair.to_exit(&sealed[0]).0.is_empty());
    assert_eq!(pair.exit.drop_counts().of(DropReason::Forged), 1);
}

#[test]
fn keys_and_addresses_are_given_once_and_from_our_networks_only() {
    let exit = exit_engine(TunnelKey::generate(), DEFAULT_HANDSHAKE_LIMIT);
    let spec = |v4: [u8; 4], last: u16| GuestSpec {
        peer_key: TunnelKey::generate().public(),
        v4: v4.into(),
        v6: format!("fd77:7761::{last:x}").parse().unwrap(),
    };
    let first = exit.add_guest(spec([10, 77, 0, 2], 2)).unwrap();
    let taken = [spec([10, 77, 0, 2], 3), spec([10, 77, 0, 3], 2)];
    for again in taken {
        assert!(matches!(exit.add_guest(again), Err(TunnelError::Taken(by)) if by == first));
    }
    for outside in [
        spec([10, 78, 0, 2], 9),
        spec([10, 77, 0, 1], 9),
        spec([10, 77, 0, 9], 1),
    ] {
        assert!(matches!(
            exit.add_guest(outside),
            Err(TunnelError::AddressOutside(_))
        ));
    }
    exit.remove_guest(first).unwrap();
    let second = exit.add_guest(spec([10, 77, 0, 2], 2)).unwrap();
    assert_ne!(first, second, "an id is never used again");
}

#[test]
fn a_crowded_door_asks_for_a_cookie_and_then_lets_in() {
    let pair = Pair::strangers(GUEST_V4, 0);
    let connect = || {
        let mut out = outbox();
        pair.consumer.connect(&mut out);
        let item = out.items()[0];
        out.bytes(&item).to_vec()
    };
    let cookie = pair.to_exit(&connect()).1;
    assert_eq!(cookie[0].len(), 64, "a cookie, not a session");
    assert_eq!(pair.endpoint(), None, "nobody roams by asking");
    pair.to_consumer(&cookie[0]);
    let response = pair.to_exit(&connect()).1;
    assert_eq!(response[0].len(), 92, "with the cookie, a session");
    pair.to_consumer(&response[0]);
    assert!(
        pair.consumer
            .state(Instant::now())
            .since_handshake
            .is_some()
    );
}

#[test]
fn a_full_outbox_drops_and_counts() {
    let pair = Pair::connected();
    let mut out = warren_tunnel::engine::Outbox::new(2000, 8);
    pair.consumer.seal_packet(&to_server(1400), &mut out);
    pair.consumer.seal_packet(&to_server(1400), &mut out);
    assert_eq!(out.items().len(), 1);
    assert_eq!(pair.consumer.drop_counts().of(DropReason::Overflow), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a stranger sends, it is counted, answered by nothing but a cookie, and forwarded
    /// by nobody.
    #[test]
    fn garbage_is_counted_and_never_carried(
        kind in 0_u8..6, body in proptest::collection::vec(any::<u8>(), 0..3000), index in 0_u32..4,
    ) {
        let pair = Pair::connected();
        let mut datagram = vec![kind, 0, 0, 0];
        datagram.extend(&(index << 8).to_le_bytes());
        datagram.extend(&body);
        for length in [datagram.len(), 0, 3, 148, 92, 64, 32, 31] {
            let cut = &datagram[..length.min(datagram.len())];
            let before = pair.exit.drop_counts().total();
            let (mut inner, mut out) = (inbox(), outbox());
            let origin = Origin { from: away().into(), at: Instant::now() };
            pair.exit.open_datagrams(Received::one(origin, cut), &mut inner, &mut out);
            prop_assert!(inner.items().is_empty() && out.items().is_empty());
            prop_assert_eq!(pair.exit.drop_counts().total(), before + u64::from(!cut.is_empty()));
            let before = pair.consumer.drop_counts().total();
            pair.consumer.open_datagrams(Received::one(origin, cut), &mut inner, &mut out);
            prop_assert!(inner.items().is_empty() && out.items().is_empty());
            prop_assert_eq!(pair.consumer.drop_counts().total(), before + u64::from(!cut.is_empty()));
        }
        prop_assert_eq!(pair.endpoint(), Some(home()));
    }

    /// Whatever the device yields, nothing panics, and what is sealed opens to the same bytes.
    #[test]
    fn any_packet_passes_whole_or_not_at_all(
        body in proptest::collection::vec(any::<u8>(), 0..2000), honest in any::<bool>(),
    ) {
        let pair = Pair::connected();
        let mut inner = to_server(body.len());
        if honest { inner[20..].copy_from_slice(&body) } else { inner = body };
        for sealed in pair.up(&inner) {
            let came = pair.to_exit(&sealed).0;
            prop_assert_eq!(came, vec![inner.clone()]);
        }
        pair.down(&inner);
    }
}
