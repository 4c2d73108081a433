//! Each rule alone, at its edge.

use super::*;

fn wei(amount: u64) -> Amount {
    Amount::from_wei_u64(amount)
}

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

fn strict(policy: RouterPolicy) -> RouterRules {
    RouterRules::new(policy)
}

fn free() -> RouterPolicy {
    RouterPolicy {
        fee_ppm: 0,
        ..RouterPolicy::default()
    }
}

#[test]
fn r1_the_upstream_lock_outlives_the_downstream_one_by_an_hour() {
    let rules = strict(free());
    assert_eq!(rules.r1_hop_gap(13_600, 10_000), Ok(()));
    let short = RouteRefusal::HopGap { min_expiry: 13_600 };
    assert_eq!(rules.r1_hop_gap(13_599, 10_000), Err(short));
    assert_eq!(rules.r1_hop_gap(10_000, 10_000), Err(short));
}

#[test]
fn r1_a_lock_without_an_end_is_none_for_a_route() {
    let rules = strict(free());
    assert_eq!(rules.r1_hop_gap(0, 10_000), Err(RouteRefusal::Endless));
    assert_eq!(rules.r1_hop_gap(99_999, 0), Err(RouteRefusal::Endless));
}

#[test]
fn r2_what_becomes_public_downstream_is_in_time_for_a_closing_that_starts_now() {
    let rules = strict(free());
    assert_eq!(rules.r2_close_window(10_000, at(3_600), 10_000), Ok(()));
    let late = rules.r2_close_window(10_000, at(3_599), 10_000);
    assert_eq!(late, Err(RouteRefusal::CloseWindow));
}

#[test]
fn r3_a_lock_is_folded_before_its_expiry_only() {
    assert!(r3_may_fold(100, at(99)));
    assert!(!r3_may_fold(100, at(100)));
    assert!(!r3_may_fold(100, at(101)));
}

#[test]
fn r4_r5_r6_at_their_very_second() {
    assert!(!r4_must_claim(10_000, at(8_799)));
    assert!(r4_must_claim(10_000, at(8_800)));
    assert_eq!(r5_serve_until(10_000), at(8_200));
    assert!(!r6_offer_is_dead(at(50), at(79)));
    assert!(r6_offer_is_dead(at(50), at(80)));
}

#[test]
fn the_fee_is_rounded_up_and_a_wei_less_is_refused() {
    assert_eq!(with_fee(wei(150), 10_000), wei(152));
    let rules = strict(RouterPolicy::default());
    assert_eq!(rules.fee_is_paid(wei(152), wei(150)), Ok(()));
    let least = wei(152);
    assert_eq!(
        rules.fee_is_paid(wei(151), wei(150)),
        Err(RouteRefusal::Fee { least })
    );
}

#[test]
fn jamming_is_bounded_in_locks_and_in_value_and_costs_a_fee() {
    let rules = strict(RouterPolicy {
        hold_fee: wei(5),
        slots: 2,
        max_in_flight: wei(100),
        ..free()
    });
    assert_eq!(rules.hold_fee_is_paid(wei(5)), Ok(()));
    let asked = wei(5);
    let unpaid = Err(RouteRefusal::HoldFee { asked });
    assert_eq!(rules.hold_fee_is_paid(wei(4)), unpaid);
    assert_eq!(rules.slot_is_free(1), Ok(()));
    assert_eq!(rules.slot_is_free(2), Err(RouteRefusal::Slots));
    assert_eq!(rules.value_fits(wei(70), wei(30), wei(999)), Ok(()));
    let most = wei(30);
    let over = rules.value_fits(wei(70), wei(31), wei(999));
    assert_eq!(over, Err(RouteRefusal::Value { most }));
    let most = wei(7);
    let no_room = rules.value_fits(wei(0), wei(8), wei(7));
    assert_eq!(no_room, Err(RouteRefusal::Value { most }));
}

#[test]
fn a_tranche_is_worth_four_claims_or_what_the_operator_says() {
    let rules = strict(RouterPolicy {
        min_tranche: wei(10),
        ..free()
    });
    assert_eq!(rules.tranche_is_worth_it(wei(10), wei(2)), Ok(()));
    let least = wei(12);
    let gas = rules.tranche_is_worth_it(wei(11), wei(3));
    assert_eq!(gas, Err(RouteRefusal::Tranche { least }));
}

#[test]
fn planned_expiries_pass_r1_and_live_as_long_as_payees_ask() {
    let rules = strict(free());
    const START: u64 = 1_800_000_000;
    let planned = expiries(at(START), 2);
    for pair in planned.windows(2) {
        assert_eq!(rules.r1_hop_gap(pair[0], pair[1]), Ok(()));
    }
    let payee = crate::channel::Rules::default();
    for expiry in planned {
        let life = expiry - START;
        assert!((payee.min_life_secs..=payee.max_life_secs).contains(&life));
    }
}
