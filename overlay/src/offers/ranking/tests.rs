use proptest::prelude::*;
use warren_proto::{Capacity, PayoutAddress, Price};

use super::*;
use crate::offers::fixture::{NETWORK, NOON, key, offer};
use crate::offers::{Carrier, IndexLimits, Way};

/// An index of exits `1..`, each with its price, its free places of 16, and whether both ways spoke.
fn index(exits: &[(u64, u32, bool)]) -> OfferIndex {
    let mut index = OfferIndex::new(NETWORK, IndexLimits::default());
    for (n, (wei, free, both)) in (1_u8..).zip(exits) {
        let mut draft = offer(n, 1, NOON);
        draft.price = Price {
            per_mib: Amount::from_wei_u64(*wei),
            per_minute: Amount::ZERO,
        };
        draft.capacity = Capacity {
            guests_max: 16,
            guests_free: *free,
        };
        let offer = draft.sign(&key(n)).unwrap();
        index.hear(offer.as_bytes(), Way::Gossip, Carrier::Asked, NOON);
        if *both {
            index.hear(offer.as_bytes(), Way::Dht, Carrier::Asked, NOON);
        }
    }
    index
}

fn order(index: &OfferIndex, query: &OfferQuery, rtt: &[(u8, u64)]) -> Vec<u8> {
    let millis = |node: &NodeId| {
        rtt.iter()
            .find(|(n, _)| key(*n).id() == *node)
            .map(|(_, ms)| Duration::from_millis(*ms))
    };
    let ranked = rank(index, query, millis, NOON);
    let number = |it: &RankedOffer| {
        (1..=20)
            .find(|n| key(*n).id() == it.offer.offer().node)
            .unwrap()
    };
    ranked.iter().map(number).collect()
}

#[test]
fn the_cheapest_is_first_when_all_else_is_equal() {
    let index = index(&[(300, 16, true), (100, 16, true), (200, 16, true)]);
    assert_eq!(order(&index, &OfferQuery::default(), &[]), [2, 3, 1]);
}

#[test]
fn a_near_exit_beats_a_slightly_cheaper_one_far_away() {
    let index = index(&[(90, 16, true), (100, 16, true)]);
    assert_eq!(
        order(&index, &OfferQuery::default(), &[(1, 300), (2, 20)]),
        [2, 1]
    );
    assert_eq!(
        order(&index, &OfferQuery::default(), &[(1, 30), (2, 20)]),
        [1, 2]
    );
}

#[test]
fn an_order_asked_for_goes_before_the_score() {
    let index = index(&[
        (300, 16, true),
        (90, 16, true),
        (100, 16, true),
        (100, 1, true),
    ]);
    let away = [(1, 20), (2, 400), (3, 25)];
    let by = |order_by| {
        let query = OfferQuery {
            order: order_by,
            ..OfferQuery::default()
        };
        order(&index, &query, &away)
    };
    assert_eq!(by(OfferOrder::Points), [3, 1, 4, 2]);
    assert_eq!(by(OfferOrder::Price), [2, 3, 4, 1], "equals by score");
    assert_eq!(by(OfferOrder::RoundTrip), [1, 3, 2, 4], "unmeasured last");
}

#[test]
fn an_exit_of_one_way_only_comes_after_its_equal() {
    let index = index(&[(100, 16, false), (100, 16, true)]);
    assert_eq!(order(&index, &OfferQuery::default(), &[]), [2, 1]);
}

#[test]
fn an_exit_known_from_one_peers_snapshot_alone_is_no_better_than_one_of_one_way() {
    let mut index = index(&[(100, 16, false)]);
    let told = offer(2, 1, NOON).sign(&key(2)).unwrap();
    index.hear(told.as_bytes(), Way::Snapshot, Carrier::Asked, NOON);
    let ranked = rank(&index, &OfferQuery::default(), |_| None, NOON);
    let is_of_one_way = |it: &RankedOffer| {
        let mut reasons = it.score_reasons.iter();
        reasons.any(|it| matches!(it, ScoreReason::OneWayOnly { .. }))
    };
    assert_eq!(ranked.iter().filter(|it| is_of_one_way(it)).count(), 2);
}

#[test]
fn a_full_exit_is_left_out_unless_asked_for() {
    let index = index(&[(100, 0, true), (200, 16, true)]);
    assert_eq!(order(&index, &OfferQuery::default(), &[]), [2]);
    let all = OfferQuery {
        full_too: true,
        ..OfferQuery::default()
    };
    assert_eq!(order(&index, &all, &[]), [1, 2]);
}

#[test]
fn a_query_is_kept_to() {
    let index = index(&[(100, 16, true), (200, 16, true), (300, 16, true)]);
    let cheap = OfferQuery {
        max_per_mib: Some(Amount::from_wei_u64(200)),
        ..OfferQuery::default()
    };
    assert_eq!(order(&index, &cheap, &[]), [1, 2]);
    let that = OfferQuery {
        nodes: vec![key(3).id()],
        ..OfferQuery::default()
    };
    assert_eq!(order(&index, &that, &[]), [3]);
    let there = OfferQuery {
        countries: vec![CountryCode::new("FR").unwrap()],
        ..OfferQuery::default()
    };
    assert_eq!(order(&index, &there, &[]), [0_u8; 0]);
    let policy = OfferQuery {
        policy: Some("all".to_owned()),
        ..OfferQuery::default()
    };
    assert_eq!(order(&index, &policy, &[]), [0_u8; 0]);
}

/// A chain is for paying: who asks nothing need not have the same one, nor any.
#[test]
fn what_costs_nothing_needs_no_chain_in_common() {
    let nowhere = ChainRef {
        chain_id: 0,
        contract: PayoutAddress::ZERO,
        token: PayoutAddress::ZERO,
    };
    let at = |per_mib: u64, per_minute: u64| Price {
        per_mib: Amount::from_wei_u64(per_mib),
        per_minute: Amount::from_wei_u64(per_minute),
    };
    let pinned = offer(1, 1, NOON).chain;
    let other = ChainRef {
        chain_id: 1,
        ..pinned
    };
    let query = OfferQuery {
        chain: Some(pinned),
        free_too: true,
        ..OfferQuery::default()
    };
    let strict = OfferQuery {
        free_too: false,
        ..query.clone()
    };
    for (chain, price, wanted) in [
        (nowhere, at(0, 0), [true, false]),
        (other, at(0, 0), [true, false]),
        (other, at(1, 0), [false, false]),
        (nowhere, at(0, 1), [false, false]),
        (pinned, at(1, 1), [true, true]),
    ] {
        let mut draft = offer(1, 1, NOON);
        (draft.chain, draft.price, draft.unit_price) = (chain, price, Amount::from_wei_u64(1));
        let signed = draft.sign(&key(1)).unwrap();
        let found = [query.wants(&signed), strict.wants(&signed)];
        assert_eq!(found, wanted, "{chain:?} {price:?}");
    }
}

#[test]
fn an_absurd_price_moves_nobody_else() {
    let index = index(&[(100, 16, true), (10_000, 16, true), (u64::MAX, 16, true)]);
    let ranked = order(&index, &OfferQuery::default(), &[(1, 21), (2, 20)]);
    assert_eq!(ranked, [1, 2, 3]);
}

#[test]
fn each_doubling_of_a_price_weighs_the_same() {
    assert_eq!(price_points(0), 0);
    let most = Amount::MAX.wei();
    for wei in [3, 1 << 20, 77_777, 2_000_000_000_000, most / 2] {
        let more = price_points(wei * 2) - price_points(wei);
        assert!((198..=201).contains(&more) || wei == 3, "{wei}: {more}");
    }
    assert!(price_points(most) > price_points(most / 2));
    assert!(price_points(u128::MAX) < u32::MAX / 2);
}

#[test]
fn whoever_takes_much_with_its_first_word_is_left_out() {
    let mut index = OfferIndex::new(NETWORK, IndexLimits::default());
    let mut add = |n: u8, per_mib: u64, per_minute: u64, word: u64, ahead: u32| {
        let mut draft = offer(n, 1, NOON);
        let [per_mib, per_minute, word] = [per_mib, per_minute, word].map(Amount::from_wei_u64);
        (draft.price, draft.unit_price) = (
            Price {
                per_mib,
                per_minute,
            },
            word,
        );
        draft.prepay_units = ahead;
        let offer = draft.sign(&key(n)).unwrap();
        index.hear(offer.as_bytes(), Way::Gossip, Carrier::Asked, NOON);
    };
    add(1, 1, 0, 50_000_000_000_000_000, 1);
    add(2, 1000, 0, 1000, 1);
    add(3, 0, 1000, 1000, 2);
    add(4, 1000, 0, 1000, 128);
    add(5, 0, 0, 1000, 128);
    add(6, 1, 0, 1, u32::MAX);
    let mut wanted = order(&index, &OfferQuery::default(), &[]);
    wanted.sort_unstable();
    assert_eq!(wanted, [2, 3, 5], "by the MiB, by the minute, for nothing");
}

#[test]
fn what_is_free_has_no_points_for_its_price() {
    let index = index(&[(0, 16, true), (0, 16, true)]);
    let ranked = rank(&index, &OfferQuery::default(), |_| None, NOON);
    assert!(
        ranked.iter().all(|it| it.points == ROUND_TRIP_UNKNOWN),
        "{ranked:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Every point has its reason, the order is total, and the same question has the same answer.
    #[test]
    fn a_ranking_explains_itself(
        exits in proptest::collection::vec((0u64..1_000_000, 1u32..17, any::<bool>()), 0..8),
        rtt in proptest::collection::vec((1u8..9, 0u64..5000), 0..8),
    ) {
        let index = index(&exits);
        let millis = |node: &NodeId| rtt.iter().find(|(n, _)| key(*n).id() == *node)
            .map(|(_, ms)| Duration::from_millis(*ms));
        let ranked = rank(&index, &OfferQuery::default(), millis, NOON);
        prop_assert_eq!(ranked.len(), exits.len());
        for it in &ranked {
            prop_assert_eq!(it.points, it.score_reasons.iter().map(ScoreReason::points).sum::<u32>());
        }
        prop_assert!(ranked.is_sorted_by_key(|it| (it.points, it.offer.offer().node)));
        prop_assert_eq!(ranked, rank(&index, &OfferQuery::default(), millis, NOON));
    }
}
