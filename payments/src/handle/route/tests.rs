//! What a route over one router or two is asked for.

#![allow(clippy::unwrap_used, reason = "tests")]

use warren_proto::{ChainRef, PayoutAddress};

use super::*;
use crate::channel::router::{RouterPolicy, RouterRules};

const NOON: UnixTime = UnixTime::from_secs(1_800_000_000);
const DAY_SECS: u32 = 86_400;

fn wei(wei: u64) -> Amount {
    Amount::from_wei_u64(wei)
}

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn hint(n: u8, fee_ppm: u32, hop_gap_secs: u32) -> RouterHint {
    let at = PayoutAddress::from_bytes([n; 20]);
    RouterHint {
        node: node(n),
        seq: 1,
        issued: NOON,
        valid_until: NOON,
        chain: ChainRef {
            chain_id: 1,
            contract: at,
            token: at,
        },
        payee: at,
        capacity_log2: 40,
        fee_ppm,
        hold_fee: wei(0),
        hop_gap_secs,
        close_window_secs: DAY_SECS,
    }
}

fn ask(first: &RouterHint, second: Option<&RouterHint>) -> Result<RouteAsk, RouteAskError> {
    let channel = ChannelId::from_bytes([9; 32]);
    RouteAsk::through((first, second), channel, (node(3), wei(1000)), 64, NOON)
}

#[test]
fn each_router_takes_its_own_part_of_what_it_passes_on() {
    let (first, second) = (hint(1, 20_000, 3600), hint(2, 10_001, 3600));
    let one = ask(&first, None).unwrap();
    assert_eq!((one.unit_price, one.onward.len()), (wei(1020), 1));
    // 1000 and 10.001, rounded up; of 1011 the first one's 20.22, rounded up.
    let two = ask(&first, Some(&second)).unwrap();
    let hops: Vec<_> = two
        .onward
        .iter()
        .map(|it| (it.node, it.unit_price))
        .collect();
    assert_eq!(hops, [(node(2), wei(1011)), (node(3), wei(1000))]);
    assert_eq!(two.unit_price, wei(1032));
    // Each router's own rules take it, and a wei less none of them.
    let takes = |up, down, fee_ppm| {
        let policy = RouterPolicy {
            fee_ppm,
            ..RouterPolicy::default()
        };
        RouterRules::new(policy).fee_is_paid(up, down).is_ok()
    };
    assert!(takes(wei(1032), wei(1011), 20_000) && takes(wei(1011), wei(1000), 10_001));
    assert!(!takes(wei(1031), wei(1011), 20_000) && !takes(wei(1010), wei(1000), 10_001));
}

#[test]
fn each_lock_outlives_the_next_by_the_gap_that_its_router_asks_and_a_day_holds_all() {
    let rules = RouterRules::new(RouterPolicy::default());
    for (first, second) in [(3600, 3600), (7200, 3600), (3600, 7200), (7200, 7200)] {
        let asked = ask(&hint(1, 0, first), Some(&hint(2, 0, second))).unwrap();
        let [up, down] = [asked.expiry, asked.onward[0].expiry];
        let last = asked.onward[1].expiry;
        assert!(up >= down + u64::from(first) && down >= last + u64::from(second));
        for (up, down) in [(up, down), (down, last)] {
            assert_eq!(rules.r1_hop_gap(up, down), Ok(()));
            assert_eq!(rules.r2_close_window(down, NOON, DAY_SECS), Ok(()));
        }
    }
}

#[test]
fn a_second_router_that_asks_a_hold_fee_is_none() {
    let (first, second) = (hint(1, 0, 3600), hint(2, 0, 3600));
    let fee = |it| RouterHint {
        hold_fee: wei(1),
        ..it
    };
    assert_eq!(ask(&fee(first), Some(&second)).unwrap().hold_fee, wei(1));
    let refused = ask(&first, Some(&fee(second))).unwrap_err();
    let (node, asked) = (node(2), wei(1));
    assert_eq!(refused, RouteAskError::HoldFee { node, asked });
}

#[test]
fn a_price_out_of_range_is_an_error() {
    let (first, second) = (hint(1, 1_000_000, 3600), hint(2, 1_000_000, 3600));
    let channel = ChannelId::from_bytes([9; 32]);
    let quarter = Amount::from_wei(Amount::MAX.wei() / 4).unwrap();
    for (price, fits) in [(Amount::MAX, false), (quarter, false), (wei(1), true)] {
        let to = (node(3), price);
        let asked = RouteAsk::through((&first, Some(&second)), channel, to, 2, NOON);
        assert_eq!(asked.is_ok(), fits, "{price}");
    }
}
