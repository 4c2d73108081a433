use std::time::Duration;

use proptest::prelude::*;
use warren_proto::Offer;

use super::*;
use crate::names::offer_key;
use crate::offers::fixture::{NETWORK, NOON, after, key, offer, signed};

fn index() -> OfferIndex {
    OfferIndex::new(NETWORK, IndexLimits::default())
}

fn refused(hearing: Hearing) -> &'static str {
    match hearing.verdict {
        Verdict::Refused(why) => why.name(),
        Verdict::Fresh(_) => "fresh",
        Verdict::Known { .. } => "known",
    }
}

fn hear(index: &mut OfferIndex, offer: &SignedOffer, at: UnixTime) -> &'static str {
    refused(index.hear(offer.as_bytes(), Way::Gossip, Carrier::Asked, at))
}

#[test]
fn the_newest_sequence_wins() {
    let mut index = index();
    assert_eq!(hear(&mut index, &signed(1, 5, NOON), NOON), "fresh");
    assert_eq!(hear(&mut index, &signed(1, 4, NOON), NOON), "stale");
    assert_eq!(hear(&mut index, &signed(1, 5, NOON), NOON), "known");
    assert_eq!(
        hear(&mut index, &signed(1, 5, after(1)), after(1)),
        "equivocal"
    );
    assert_eq!(hear(&mut index, &signed(1, 6, NOON), NOON), "fresh");
    assert_eq!(index.get(&key(1).id(), NOON).unwrap().offer().seq, 6);
}

#[test]
fn what_cannot_be_an_offer_here_is_told_apart() {
    let mut index = index();
    let good = signed(1, 5, NOON);
    let mut forged = good.as_bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let foreign = Offer {
        network: "other/1".to_owned(),
        ..offer(1, 5, NOON)
    }
    .sign(&key(1))
    .unwrap();
    let cases: [(&[u8], UnixTime, &str); 6] = [
        (b"no", NOON, "malformed"),
        (&[0; 2049], NOON, "oversized"),
        (&forged, NOON, "forged"),
        (foreign.as_bytes(), NOON, "foreign"),
        (good.as_bytes(), after(3600), "expired"),
        (
            good.as_bytes(),
            UnixTime::from_secs(NOON.as_secs() - 121),
            "future",
        ),
    ];
    for (bytes, at, name) in cases {
        assert_eq!(
            refused(index.hear(bytes, Way::Gossip, Carrier::Asked, at)),
            name
        );
    }
    let elsewhere = index.hear_record(
        &offer_key(&key(2).id()),
        good.as_bytes(),
        Carrier::Asked,
        NOON,
    );
    assert_eq!(refused(elsewhere), "wrong_key");
    assert_eq!(index.counts(), IndexCounts::default());
}

#[test]
fn an_offer_that_died_on_its_way_is_nobodys_fault() {
    let bytes = signed(1, 5, NOON).as_bytes().to_vec();
    let blame = |at| match index()
        .hear(&bytes, Way::Gossip, Carrier::Asked, at)
        .verdict
    {
        Verdict::Refused(why) => why.blame(),
        other @ (Verdict::Fresh(_) | Verdict::Known { .. }) => panic!("{other:?}"),
    };
    assert_eq!(blame(after(3600 + 119)), crate::offers::Blame::Nobody);
    assert_eq!(blame(after(3600 + 120)), crate::offers::Blame::Carrier);
}

#[test]
fn an_offer_that_a_clock_a_minute_off_took_is_nobodys_fault() {
    let bytes = signed(1, 5, NOON).as_bytes().to_vec();
    let blame = |secs| {
        let at = UnixTime::from_secs(NOON.as_secs() - secs);
        match index()
            .hear(&bytes, Way::Gossip, Carrier::Asked, at)
            .verdict
        {
            Verdict::Refused(why) => why.blame(),
            other @ (Verdict::Fresh(_) | Verdict::Known { .. }) => panic!("{other:?}"),
        }
    };
    assert_eq!(blame(121), crate::offers::Blame::Nobody);
    assert_eq!(blame(180), crate::offers::Blame::Carrier);
}

#[test]
fn what_lives_can_be_gone_through_from_anywhere() {
    let mut index = index();
    for n in 1..=5 {
        hear(&mut index, &signed(n, 1, NOON), NOON);
    }
    let all: Vec<_> = index.living(NOON).map(|(it, _)| it.offer().node).collect();
    for start in 0..all.len() {
        let found = index.living_from(all[start], NOON);
        let found: Vec<_> = found.map(|(it, _)| it.offer().node).collect();
        assert_eq!(found, [&all[start..], &all[..start]].concat());
    }
}

#[test]
fn the_ways_are_kept_apart() {
    let (mut index, node) = (index(), key(1).id());
    let bytes = signed(1, 5, NOON).as_bytes().to_vec();
    index.hear(&bytes, Way::Gossip, Carrier::Asked, NOON);
    assert_eq!(
        (index.heard(&node).gossip, index.heard(&node).dht),
        (Some(NOON), None)
    );
    index.hear_record(&offer_key(&node), &bytes, Carrier::Asked, after(9));
    assert_eq!(
        (index.heard(&node).gossip, index.heard(&node).dht),
        (Some(NOON), Some(after(9)))
    );
}

#[test]
fn an_expired_offer_is_gone_but_its_sequence_is_not() {
    let (mut index, node) = (index(), key(1).id());
    let mut short = offer(1, 5, NOON);
    short.valid_until = after(60);
    let longer_but_older = signed(1, 4, NOON);
    assert_eq!(
        hear(&mut index, &short.sign(&key(1)).unwrap(), NOON),
        "fresh"
    );
    assert!(index.get(&node, after(60)).is_none());
    assert_eq!(index.evict(after(60)), [node]);
    assert_eq!(index.evict(after(60)), []);
    assert_eq!(hear(&mut index, &longer_but_older, after(61)), "stale");
    assert_eq!(
        index.counts(),
        IndexCounts {
            offers: 0,
            remembered: 1
        }
    );
    index.evict(after(3600 + 240));
    assert_eq!(index.counts(), IndexCounts::default());
}

#[test]
fn a_full_index_keeps_what_it_knows() {
    let limits = IndexLimits {
        nodes: 3,
        ..IndexLimits::default()
    };
    let mut index = OfferIndex::new(NETWORK, limits);
    for n in 1..=3 {
        assert_eq!(hear(&mut index, &signed(n, 1, NOON), NOON), "fresh");
    }
    assert_eq!(hear(&mut index, &signed(4, 1, NOON), NOON), "full");
    assert_eq!(hear(&mut index, &signed(3, 2, NOON), NOON), "fresh");
    let later = after(2 * 3600);
    assert_eq!(
        hear(&mut index, &signed(4, 1, later), later),
        "fresh",
        "the dead make room"
    );
}

#[test]
fn changes_come_at_a_bounded_rate() {
    let mut index = index();
    let fresh = (1..=20).filter(|seq| hear(&mut index, &signed(1, *seq, NOON), NOON) == "fresh");
    assert_eq!(fresh.count(), 8);
    assert_eq!(hear(&mut index, &signed(1, 21, NOON), after(15)), "fresh");
    assert_eq!(
        hear(&mut index, &signed(1, 22, NOON), after(16)),
        "too_often"
    );
}

#[test]
fn what_is_known_is_passed_on_once_a_minute() {
    let mut index = index();
    let bytes = signed(1, 5, NOON).as_bytes().to_vec();
    let mut passed = |secs| {
        index
            .hear(&bytes, Way::Gossip, Carrier::Asked, after(secs))
            .pass_on
    };
    assert_eq!(
        [0, 1, 59, 60, 61, 119, 120].map(&mut passed),
        [true, false, false, true, false, false, true]
    );
}

fn peer(n: u8) -> Carrier {
    Carrier::Node(key(n).id())
}

fn home(n: u8) -> Carrier {
    Carrier::Household(format!("8.8.8.{n}/32").parse().unwrap())
}

/// An exit of which nobody has heard yet.
fn stranger(n: u32) -> SignedOffer {
    let mut seed = [9; 32];
    seed[..4].copy_from_slice(&n.to_be_bytes());
    let key = warren_proto::NodeKey::from_seed(&seed);
    let mut draft = offer(1, 1, NOON);
    draft.node = key.id();
    draft.sign(&key).unwrap()
}

#[test]
fn one_carrier_cannot_fill_the_index() {
    let (mut index, [flooder, other]) = (index(), [peer(1), peer(2)]);
    let mut told = |n: u32, from| {
        let offer = stranger(n);
        index.hear(offer.as_bytes(), Way::Gossip, from, NOON)
    };
    let mut taken = 0;
    for n in 0..5000 {
        let hearing = told(n, flooder);
        taken += u32::from(hearing.pass_on);
        if !hearing.pass_on {
            assert_eq!(refused(hearing), "crowded");
        }
    }
    assert_eq!(taken, 512, "as many as one answer may hold");
    assert_eq!(refused(told(5000, other)), "fresh");
    // Who is known may change its offer, whoever tells it.
    assert_eq!(refused(told(5000, flooder)), "known");
    assert_eq!(refused(told(0, flooder)), "known");
}

#[test]
fn a_carrier_may_tell_of_new_nodes_again_later() {
    let (mut index, carrier) = (index(), peer(1));
    let mut told = |n: u32, secs| {
        let offer = stranger(n);
        let hearing = index.hear(offer.as_bytes(), Way::Snapshot, carrier, after(secs));
        refused(hearing)
    };
    assert_eq!((0..600).filter(|n| told(*n, 0) == "fresh").count(), 512);
    assert_eq!((600..700).filter(|n| told(*n, 60) == "fresh").count(), 15);
}

#[test]
fn many_carriers_leave_room_for_what_this_node_finds_itself() {
    let limits = IndexLimits {
        nodes: 40,
        ..IndexLimits::default()
    };
    let mut index = OfferIndex::new(NETWORK, limits);
    let told = |index: &mut OfferIndex, n: u32, from| {
        let offer = stranger(n);
        refused(index.hear(offer.as_bytes(), Way::Gossip, from, NOON))
    };
    for n in 0..100_u8 {
        told(&mut index, n.into(), peer(n));
    }
    assert_eq!(index.counts().offers, 30, "a quarter is kept free");
    assert_eq!(told(&mut index, 200, peer(1)), "full");
    // Others repeat it all, in any number: that makes none of it more than hearsay.
    for n in 0..30 {
        assert_eq!(told(&mut index, n, peer(201)), "known");
        assert_eq!(told(&mut index, n, home(7)), "known");
    }
    assert_eq!(told(&mut index, 200, peer(202)), "full");
    // Asked for in the DHT, it has room; and one of the others gives its place to one more if it was asked for.
    assert_eq!(told(&mut index, 200, Carrier::Asked), "fresh");
    assert_eq!(told(&mut index, 0, Carrier::Asked), "known");
    assert_eq!(told(&mut index, 201, peer(1)), "fresh");
    assert_eq!(told(&mut index, 202, peer(1)), "full");
}

#[test]
fn a_household_has_one_quota_however_many_ids_it_has() {
    let mut index = index();
    let mut told = |n: u32, from| {
        let offer = stranger(n);
        refused(index.hear(offer.as_bytes(), Way::Gossip, from, NOON))
    };
    // Whoever brings it: the actor says from where it came, and no id.
    assert_eq!(
        (0..600).filter(|n| told(*n, home(1)) == "fresh").count(),
        512
    );
    assert_eq!(told(601, home(1)), "crowded");
    assert_eq!(told(601, home(2)), "fresh");
}

/// What happens to an index.
#[derive(Debug, Clone)]
enum Action {
    Hear {
        node: u8,
        seq: u64,
        issued: u64,
        life: u64,
    },
    Wait(u64),
    Evict,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (1u8..5, 1u64..6, 0u64..200, 1u64..3600)
            .prop_map(|(node, seq, issued, life)| Action::Hear { node, seq, issued, life }),
        2 => (0u64..900).prop_map(Action::Wait),
        1 => Just(Action::Evict),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Against a plain list of everything ever accepted: the living offer of a node is the one with
    /// the highest sequence, if it lives; bounds hold at every step.
    #[test]
    fn an_index_is_the_newest_of_a_list(actions in proptest::collection::vec(action(), 1..60)) {
        let changes = Allowance { burst: 1000, every: Duration::from_secs(1) };
        let limits = IndexLimits { nodes: 3, changes, ..IndexLimits::default() };
        let mut index = OfferIndex::new(NETWORK, limits);
        let (mut model, mut now): (Vec<SignedOffer>, _) = (Vec::new(), NOON);
        for action in actions {
            match action {
                Action::Wait(secs) => now = now.plus(Duration::from_secs(secs)),
                Action::Evict => { index.evict(now); }
                Action::Hear { node, seq, issued, life } => {
                    let issued = UnixTime::from_secs(now.as_secs() - issued);
                    let mut draft = offer(node, seq, issued);
                    draft.valid_until = issued.plus(Duration::from_secs(life));
                    let offer = draft.sign(&key(node)).unwrap();
                    let hearing = index.hear(offer.as_bytes(), Way::Gossip, Carrier::Asked, now);
                    if let Verdict::Fresh(offer) = hearing.verdict {
                        let best = model.iter().filter(|it| it.offer().node == offer.offer().node);
                        let best = best.filter(|it| it.offer().valid_until > now);
                        prop_assert!(best.map(|it| it.offer().seq).max() < Some(offer.offer().seq));
                        model.push(*offer);
                    }
                }
            }
            for n in 1..5 {
                let node = key(n).id();
                let newest = model.iter().filter(|it| it.offer().node == node).max_by_key(|it| it.offer().seq);
                let living = newest.filter(|it| it.offer().valid_until > now);
                // A sequence is remembered for an hour: none here is played again after that.
                prop_assert!(living.is_none() || index.get(&node, now) == living);
            }
            let counts = index.counts();
            prop_assert!(counts.offers + counts.remembered <= 3);
            prop_assert!(index.living(now).all(|(it, _)| it.offer().valid_until > now));
        }
    }

    /// No bytes, however strange, are more than a refusal.
    #[test]
    fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let hearing = index().hear(&bytes, Way::Gossip, Carrier::Asked, NOON);
        prop_assert!(matches!(hearing.verdict, Verdict::Refused(_)) && !hearing.pass_on);
    }
}
