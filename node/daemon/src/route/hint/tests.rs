//! A router's terms: its own, of this time, and within what the consumer allows.

#![allow(clippy::unwrap_used, reason = "tests")]

use warren_proto::{ChainRef, NodeKey, PayoutAddress};

use super::*;

const NOON: UnixTime = UnixTime::from_secs(1_800_000_000);
const ALLOWED_PPM: u32 = 50_000;

fn chain(chain_id: u64) -> ChainRef {
    let at = |byte| PayoutAddress::from_bytes([byte; 20]);
    ChainRef {
        chain_id,
        contract: at(0xc0),
        token: at(0x70),
    }
}

fn wei(wei: u64) -> Amount {
    Amount::from_wei_u64(wei)
}

fn key() -> NodeKey {
    NodeKey::from_seed(&[3; 32])
}

fn terms() -> RouterHint {
    RouterHint {
        node: key().id(),
        seq: 1,
        issued: NOON,
        valid_until: NOON.plus(LIFE),
        chain: chain(1),
        payee: PayoutAddress::from_bytes([5; 20]),
        capacity_log2: 60,
        fee_ppm: 10_000,
        hold_fee: wei(7),
        hop_gap_secs: HOP_GAP_SECS,
        close_window_secs: CLOSE_WINDOW_SECS,
    }
}

fn code(result: Result<impl Sized, Problem>) -> Option<ErrorCode> {
    let problem = result.err()?;
    let codes = [
        ErrorCode::RouterLies,
        ErrorCode::RouterUnusable,
        ErrorCode::RouteTooDear,
    ];
    codes.into_iter().find(|it| problem.is(*it))
}

#[test]
fn only_a_routers_own_terms_of_this_time_are_believed() {
    let signed = terms().sign(&key()).unwrap();
    let bytes = signed.as_bytes();
    assert_eq!(
        checked(Some(bytes), key().id(), NOON).unwrap(),
        Some(signed.clone())
    );
    assert_eq!(checked(None, key().id(), NOON).unwrap(), None);
    // Another node's, shown by this one.
    let other = NodeKey::from_seed(&[4; 32]).id();
    assert_eq!(
        code(checked(Some(bytes), other, NOON)),
        Some(ErrorCode::RouterLies)
    );
    // Old ones.
    let late = checked(Some(bytes), key().id(), NOON.plus(LIFE));
    assert_eq!(code(late), Some(ErrorCode::RouterLies));
    // Changed ones, wherever a bit is changed.
    for at in 0..bytes.len() {
        let mut forged = bytes.to_vec();
        forged[at] ^= 1;
        let forged = checked(Some(&forged), key().id(), NOON);
        assert_eq!(code(forged), Some(ErrorCode::RouterLies), "byte {at}");
    }
}

#[test]
fn a_fee_above_the_cap_is_refused_hold_fee_included() {
    let deal = (wei(1000), 100);
    let asks = |fee_ppm, hold_fee| {
        let hint = RouterHint {
            fee_ppm,
            hold_fee: wei(hold_fee),
            ..terms()
        };
        believe((&hint, None), chain(1), deal, ALLOWED_PPM)
    };
    // A twentieth of 100 000.
    assert_eq!(asks(50_000, 0).unwrap(), wei(1050));
    assert_eq!(asks(10_000, 4000).unwrap(), wei(1010));
    for (fee_ppm, hold_fee) in [(50_001, 0), (50_000, 1), (10_000, 4001), (1_000_000, 0)] {
        let refused = code(asks(fee_ppm, hold_fee));
        assert_eq!(
            refused,
            Some(ErrorCode::RouteTooDear),
            "{fee_ppm} {hold_fee}"
        );
    }
}

#[test]
fn a_router_on_another_chain_is_of_no_use() {
    let deal = (wei(1000), 100);
    let refused = believe((&terms(), None), chain(2), deal, ALLOWED_PPM);
    assert_eq!(code(refused), Some(ErrorCode::RouterUnusable));
    let stray = RouterHint {
        chain: chain(2),
        ..terms()
    };
    let refused = believe((&terms(), Some(&stray)), chain(1), deal, ALLOWED_PPM);
    assert_eq!(code(refused), Some(ErrorCode::RouterUnusable));
}

#[test]
fn what_two_routers_ask_together_is_within_the_cap_or_refused() {
    let asks = |first_ppm, second_ppm, hold_fee| {
        let hint = |fee_ppm, hold_fee| RouterHint {
            fee_ppm,
            hold_fee: wei(hold_fee),
            ..terms()
        };
        let (first, second) = (hint(first_ppm, hold_fee), hint(second_ppm, 0));
        let deal = (wei(100_000), 100);
        believe((&first, Some(&second)), chain(1), deal, ALLOWED_PPM)
    };
    // The first one's part is of what the second one gets, too.
    assert_eq!(asks(10_000, 20_000, 0).unwrap(), wei(103_020));
    assert_eq!(asks(20_000, 10_000, 198_000).unwrap(), wei(103_020));
    for (first, second, hold_fee) in [
        (25_000, 25_000, 0),
        (10_000, 40_000, 0),
        (0, 50_001, 0),
        (20_000, 10_000, 198_001),
    ] {
        let refused = code(asks(first, second, hold_fee));
        let told = format!("{first} {second} {hold_fee}");
        assert_eq!(refused, Some(ErrorCode::RouteTooDear), "{told}");
    }
}

#[test]
fn a_capacity_is_told_as_a_power_of_two() {
    let told = |budget| capacity_log2(&[], |_| true, budget);
    assert_eq!(told(Amount::ZERO), 0);
    assert_eq!(told(wei(1023)), 9);
    assert_eq!(told(wei(1024)), 10);
}

/// Nobody is told what the user of this node has.
#[test]
fn a_capacity_is_of_channels_onward_alone() {
    let channel = |byte, deposit| ChannelView {
        id: ChannelId::from_bytes([byte; 32]),
        params: warren_proto::ChannelParams {
            payer: PayoutAddress::from_bytes([4; 20]),
            payee: PayoutAddress::from_bytes([5; 20]),
            period_secs: CLOSE_WINDOW_SECS,
            salt: byte.into(),
        },
        role: Role::Payer,
        phase: Phase::Open,
        deposit: wei(deposit),
        pending: Amount::ZERO,
        value: Amount::ZERO,
        claimed: Amount::ZERO,
        usable: true,
        shared: false,
    };
    let (own, onward) = (channel(1, 4096), channel(2, 64));
    let told = capacity_log2(&[own, onward], |it| it == onward.id, wei(16));
    assert_eq!(told, 6);
}

/// At a price of a few base units, a part of one costs a whole one.
#[test]
fn what_rounding_makes_too_dear_is_said_as_it_is() {
    let cheap = RouterHint {
        hold_fee: wei(0),
        ..terms()
    };
    let routers = (&cheap, Some(&cheap));
    let refused = believe(routers, chain(1), (wei(5), 100), ALLOWED_PPM).unwrap_err();
    assert!(refused.is(ErrorCode::RouteTooDear));
    let seen = refused.seen;
    assert!(seen.contains("come to 400000 ppm"), "{seen}");
    assert!(seen.contains("at most 50000 ppm"), "{seen}");
    let all = believe(routers, chain(1), (wei(5), 100), 400_000);
    assert_eq!(all.unwrap(), wei(7));
}

#[test]
fn a_channel_to_a_router_outlasts_a_route_over_two_whatever_gaps_they_ask() {
    use warren_payments::channel::RouterRules;
    use warren_payments::{RouteAsk, RouterPolicy};
    let widest = RouterHint {
        hop_gap_secs: 7200,
        hold_fee: wei(0),
        ..terms()
    };
    let (channel, exit) = (warren_proto::ChannelId::from_bytes([1; 32]), key().id());
    let routers = (&widest, Some(&widest));
    let ask = RouteAsk::through(routers, channel, (exit, wei(1)), 1, NOON).unwrap();
    let rules = RouterRules::new(RouterPolicy::default());
    for hop in &ask.onward {
        let fits = rules.r2_close_window(hop.expiry, NOON, CLOSE_WINDOW_SECS);
        assert_eq!(fits, Ok(()));
    }
    assert!(ask.expiry < NOON.as_secs() + u64::from(CLOSE_WINDOW_SECS));
}
