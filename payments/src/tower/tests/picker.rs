//! The payee's side: whom it asks, and when again.

use super::*;

fn picker(towers: usize) -> TowerPicker {
    TowerPicker::new(PickerRules {
        towers,
        step: wei(100),
        every: Duration::from_secs(600),
        keep: Duration::from_secs(30 * 24 * HOUR),
    })
}

fn holding(value: u64, now: UnixTime) -> Holding {
    Holding {
        value: wei(value),
        number: now.as_millis(),
        until: now.as_secs() + 30 * 24 * HOUR,
    }
}

#[test]
fn a_payee_asks_as_many_towers_as_it_wants_and_again_as_it_earns() {
    let channel = ChannelId::from_bytes([3; 32]);
    let peers: Vec<_> = (1..=5).map(owner).collect();
    let mut picker = picker(2);
    let worth = |value| [(channel, wei(value))];
    let sorted = |mut it: Vec<_>| {
        it.sort();
        it
    };
    let first = sorted(picker.wanted(&worth(50), &peers, NOON));
    assert_eq!(first.len(), 2);
    let kept = Some(TowerVerdict::Kept);
    for (id, tower) in &first {
        picker.answered(*id, *tower, (kept, holding(50, NOON)), NOON);
    }
    assert!(picker.wanted(&worth(149), &peers, NOON).is_empty());
    let grown = picker.wanted(&worth(150), &peers, NOON);
    assert_eq!(sorted(grown), first, "the same towers, with more");
    let later = picker.wanted(&worth(51), &peers, after(601));
    assert_eq!(sorted(later), first, "or later");
    assert!(picker.wanted(&worth(50), &peers, after(601)).is_empty());
    let old = picker.wanted(&worth(50), &peers, after(16 * 24 * HOUR));
    assert_eq!(sorted(old), first, "before it would be forgotten");

    // One left, with less than is worth now: another takes its place.
    let left = &peers[..]
        .iter()
        .copied()
        .filter(|it| *it != first[0].1)
        .collect::<Vec<_>>();
    let now = picker.wanted(&worth(500), left, NOON);
    assert_eq!(now.len(), 2);
    assert!(now.contains(&first[1]) && now.iter().all(|it| it.1 != first[0].1));

    picker.forget(|it| *it == channel);
    assert_eq!(picker.held().count(), 0);
}

#[test]
fn a_tower_that_refuses_is_left_alone_for_a_while() {
    let channel = ChannelId::from_bytes([3; 32]);
    let peers = [owner(1)];
    let mut picker = picker(1);
    let channels = [(channel, wei(50))];
    for verdict in [Some(TowerVerdict::NoTower), None] {
        let now = NOON;
        picker.answered(channel, owner(1), (verdict, holding(50, now)), now);
        assert!(picker.wanted(&channels, &peers, after(599)).is_empty());
        assert_eq!(picker.wanted(&channels, &peers, after(600)).len(), 1);
    }
    assert!(picker.wanted(&channels, &[], after(600)).is_empty());
    let none = TowerPicker::new(PickerRules {
        towers: 0,
        step: wei(1),
        every: Duration::from_secs(1),
        keep: Duration::from_secs(2),
    });
    assert!(none.wanted(&channels, &peers, NOON).is_empty(), "off");
}
