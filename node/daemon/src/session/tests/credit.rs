//! What an exit serves unpaid, and how that grows.

use warren_proto::{ByteCount, Credit};

use super::{MAX_CREDIT, Room};

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
    for (paid_for, expected) in [(1, 2), (20, 3), (33, 4), (500, u64::from(MAX_CREDIT))] {
        let (paid, unpaid) = served_unpaid(paid_for);
        assert_eq!(credit.units(paid), expected, "{paid} words paid");
        assert_eq!(unpaid, expected, "{paid} words paid");
    }
}
