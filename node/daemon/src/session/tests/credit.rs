//! What an exit serves unpaid, and how that grows.

use super::deals::{allowed, granted, paid_a_word};
use super::*;

/// What is served once nothing more is paid, in MiB, after `paid_for` were.
fn served_unpaid(paid_for: u64) -> (u64, u64) {
    let mut room = Room::new(None);
    for _ in 0..paid_for {
        room.pass(ByteCount::MIB);
    }
    let paid = room.released;
    room.pays = false;
    room.pass(1000 * ByteCount::MIB);
    (paid, room.passed / ByteCount::MIB - paid)
}

#[test]
fn who_has_paid_more_is_served_a_little_more_unpaid_up_to_a_bound() {
    let credit = Credit {
        first: 2,
        most: MAX_CREDIT,
    };
    let most = u64::from(MAX_CREDIT);
    for (paid_for, expected) in [(1, 2), (20, 3), (33, 4), (500, most + 500 / 64)] {
        let (paid, unpaid) = served_unpaid(paid_for);
        assert_eq!(credit.units(paid), expected, "{paid} words paid");
        assert_eq!(unpaid, expected, "{paid} words paid");
    }
}

#[test]
fn who_left_owing_is_served_that_much_less_the_next_time() {
    let terms = || granted(SessionId::from_bytes([3; 16]));
    let mib = |it: u64| ByteCount::from_bytes(it * ByteCount::MIB);
    let (mut first, effects) = paid_a_word(terms(), 0);
    assert_eq!(
        allowed(&effects),
        Some(mib(3)),
        "a word and a credit of two"
    );
    let up = mib(3);
    first.handle(ProviderEvent::Usage { up, down: mib(0) }, NOON);
    assert_eq!(first.leaves_owing(NOON), 2);

    let (mut again, effects) = paid_a_word(terms(), 2);
    assert_eq!(allowed(&effects), Some(mib(1)), "no second credit");
    assert_eq!(again.leaves_owing(NOON), 2, "not forgotten by going on");
    let value = Amount::from_wei_u64(32 * UNIT);
    again.handle(ProviderEvent::Paid { value }, NOON);
    assert_eq!(again.leaves_owing(NOON), 0, "who pays on makes up for it");
    assert_eq!(again.credit_units(), 2);
}

/// An exit counts what it sent, a guest pays for what came: however long they go on, one that loses a packet in a
/// hundred is served.
#[test]
fn what_is_lost_on_the_way_pauses_nobody_however_long() {
    let terms = granted(SessionId::from_bytes([3; 16]));
    let (mut exit, _) = paid_a_word(terms, 0);
    for gib in 1..=100_u64 {
        let sent = ByteCount::from_bytes(gib << 30);
        let paid = Amount::from_wei_u64(UNIT * (gib * 1024 * 99 / 100 + 1));
        exit.handle(ProviderEvent::Paid { value: paid }, NOON);
        let down = sent;
        let up = ByteCount::default();
        exit.handle(ProviderEvent::Usage { up, down }, NOON);
        assert_eq!(exit.phase(), ProviderPhase::Serving, "{gib} GiB");
    }
}
