//! Who goes with whom, and at what price.

use super::*;
use crate::settle::CLAIM_GAS;

const NOW: UnixTime = UnixTime::from_secs(1_000_000);

fn id(name: u8) -> ChannelId {
    ChannelId::from_bytes([name; 32])
}

fn ids(names: impl IntoIterator<Item = u8>) -> Vec<ChannelId> {
    names.into_iter().map(id).collect()
}

/// An open channel; a gas costs one base unit.
fn open(name: u8, claimable: u64) -> (ChannelId, ClaimView) {
    let view = ClaimView {
        phase: Phase::Open,
        claimable: Amount::from_wei_u64(claimable),
        words: 0,
        gas_price: Amount::from_wei_u64(1),
        expiry: None,
        apart: false,
    };
    (id(name), view)
}

fn with(
    mut claim: (ChannelId, ClaimView),
    change: impl FnOnce(&mut ClaimView),
) -> (ChannelId, ClaimView) {
    change(&mut claim.1);
    claim
}

fn policy() -> SettlePolicy {
    SettlePolicy::default() // A claim waits until it brings twenty times its gas.
}

/// Worth a transaction of its own.
const RICH: u64 = 20 * CLAIM_GAS;
/// Worth its share of one, and little more.
const POOR: u64 = 20 * super::super::EACH_GAS + 1;

#[test]
fn what_is_due_together_goes_together_sixteen_at_a_time() {
    let all: Vec<_> = (1..=20).map(|it| open(it, RICH)).collect();
    let plan = policy().plan(&all, NOW);
    assert_eq!(plan.together, [ids(1..=16), ids(17..=20)]);
    assert_eq!((plan.alone, plan.poor), (vec![], vec![]));
    let one = policy().plan(&all[..1], NOW);
    assert_eq!((one.alone, one.together), (ids([1]), vec![]));
}

#[test]
fn a_claim_worth_its_share_goes_with_one_that_is_made_anyway() {
    let all = [open(1, POOR), open(2, POOR - 1), open(3, RICH)];
    let plan = policy().plan(&all, NOW);
    assert_eq!(plan.together, [ids([3, 1])]);
    assert_eq!((plan.alone, plan.poor), (vec![], ids([1])));
}

#[test]
fn several_are_worth_a_transaction_that_none_of_them_is_worth() {
    // Each brings a fifth of what the transaction itself asks beyond its share.
    let each = POOR - 1 + 20 * FIRST_GAS / 5;
    assert!(each < RICH);
    let four: Vec<_> = (1..=4).map(|it| open(it, each)).collect();
    assert_eq!(policy().plan(&four, NOW), Plan::default());
    let five: Vec<_> = (1..=5).map(|it| open(it, each)).collect();
    let plan = policy().plan(&five, NOW);
    assert_eq!(plan.together, [ids([5, 4, 3, 2, 1])]);
    assert_eq!(plan.poor.len(), 5);
}

#[test]
fn what_is_in_danger_is_alone_and_waits_for_nobody() {
    let soon = NOW.as_secs() + 7200;
    let closing = |at| move |it: &mut ClaimView| it.phase = Phase::Closing { closes_at: at };
    let expiring = |at| move |it: &mut ClaimView| it.expiry = Some(at);
    let all = [
        open(1, RICH),
        with(open(2, RICH), closing(soon)),
        with(open(3, RICH), expiring(soon)),
        open(4, RICH),
        with(open(5, RICH), closing(soon + 1)),
        with(open(6, RICH), expiring(soon + 1)),
    ];
    let plan = policy().plan(&all, NOW);
    assert_eq!(plan.alone, ids([2, 3]));
    assert_eq!(plan.together, [ids([1, 4, 5, 6])]);
    assert_eq!(policy().plan_all(&all, NOW), plan);
}

#[test]
fn who_claims_only_when_told_is_told_of_nothing_else() {
    let told = SettlePolicy {
        worth_factor: 0,
        ..policy()
    };
    let all: Vec<_> = (1..=16).map(|it| open(it, RICH * 9)).collect();
    assert_eq!(told.plan(&all, NOW), Plan::default());
    assert_eq!(told.plan_all(&all, NOW).together, [ids(1..=16)]);
    // Not even in the company of one that must be made.
    let closes_at = NOW.as_secs() + 86_400;
    let must = with(open(9, RICH), |it| it.phase = Phase::Closing { closes_at });
    let plan = told.plan(&[open(1, RICH), must], NOW);
    assert_eq!((plan.alone, plan.together), (ids([9]), vec![]));
}

#[test]
fn no_transaction_takes_more_gas_than_an_estimate_may_say() {
    // The longest claim there is: 16 locks of 1024 words.
    let long = |name| with(open(name, u64::MAX), |it| it.words = 16 * 1024);
    let all: Vec<_> = (1..=7).map(long).collect();
    let plan = policy().plan_all(&all, NOW);
    assert_eq!(plan.together, [ids(1..=3), ids(4..=6)]);
    assert_eq!(plan.alone, ids([7]));
    let endless = with(open(1, u64::MAX), |it| it.words = u32::MAX);
    let plan = policy().plan_all(&[endless, open(2, RICH), open(3, RICH)], NOW);
    assert_eq!((plan.alone, plan.together), (ids([1]), vec![ids([2, 3])]));
}

#[test]
fn together_costs_the_first_gas_once() {
    let all: Vec<_> = (1..=16).map(|it| open(it, RICH)).collect();
    let plan = policy().plan_all(&all, NOW);
    let together = policy().gas_of(&plan, &all);
    assert_eq!(
        together,
        Amount::from_wei_u64(FIRST_GAS + 16 * super::super::EACH_GAS)
    );
    let alone = Plan {
        alone: ids(1..=16),
        ..Plan::default()
    };
    let alone = policy().gas_of(&alone, &all);
    assert_eq!(alone, Amount::from_wei_u64(16 * CLAIM_GAS));
    assert_eq!(plan.transactions(), 1);
}

#[test]
fn who_was_undone_in_company_stays_alone() {
    let apart = |name| with(open(name, RICH), |it| it.apart = true);
    let plan = policy().plan(&[apart(1), open(2, RICH), apart(3)], NOW);
    assert_eq!((plan.alone, plan.together), (ids([1, 3, 2]), vec![]));
}

#[test]
fn nothing_goes_where_there_is_nothing() {
    let over = |phase| with(open(1, RICH), |it| it.phase = phase);
    for claim in [open(1, 0), over(Phase::Opening), over(Phase::Closed)] {
        assert_eq!(policy().plan(&[claim], NOW), Plan::default());
        assert_eq!(policy().plan_all(&[claim], NOW), Plan::default());
    }
}
