//! Schedules over a route and a tower: all hold, and broken nodes are found out.

use crate::life::host::Breach;
use crate::life::road::world::{Road, verdict};
use crate::life::schedule::Schedule;
use crate::seeds::Seeds;

/// Schedules of routes: those after all others' seeds.
pub(crate) const ROADS: Seeds = Seeds {
    variable: "WARREN_ROAD_SEED",
    first: FIRST,
    daily: 4_000,
    parts: 2,
    verdict,
};
const FIRST: u64 = 2_000_000_000;

#[test]
fn four_thousand_roads_first_part() {
    ROADS.part(0);
}

#[test]
fn four_thousand_roads_second_part() {
    ROADS.part(1);
}

/// A put that comes in the last moments of its lock is kept, and not all of it can be claimed.
#[test]
fn of_a_put_of_the_last_moment_less_may_be_claimed() {
    ROADS.try_seed(1_251_183).unwrap();
}

/// The channel ends on an older consent while an offer with a fee is on its way; the rejection comes afterwards.
#[test]
fn an_offer_that_is_rejected_after_the_end_is_reckoned_once() {
    ROADS.try_seed(1_419_233).unwrap();
}

/// A router whose own consent has lapsed takes a lock, is down, and learns a word before it has looked.
#[test]
fn a_lapsed_consent_binds_no_lock_that_came_after_it() {
    ROADS.try_seed(1_524_253).unwrap();
}

/// The seed in `WARREN_ROAD_SEED`, or the first.
#[test]
fn one_road() {
    ROADS.one();
}

/// What schedules bring about: a harness in which nothing happens proves nothing.
#[test]
fn roads_are_walked() {
    let (mut paid, mut claimed, mut absent, mut lazy) = (0, 0, 0, 0);
    for seed in FIRST..FIRST + 100 {
        let mut road = Road::new(None);
        road.run(&Schedule::from_seed(seed)).unwrap();
        let sums = road.sums();
        paid += u32::from(sums.0 > 0);
        claimed += u32::from(sums.1 > 0);
        absent += u32::from(road.truth.absent);
        lazy += u32::from(road.truth.lazy);
    }
    println!(
        "of 100 roads {paid} paid the router, {claimed} the exit, {absent} lost it, {lazy} had a lazy one"
    );
    assert!(paid > 50 && claimed > 50 && absent > 5 && lazy > 5);
}

#[test]
fn a_router_that_gives_a_lock_before_it_holds_one_is_found() {
    ROADS.find(Breach::LocksFirst);
}

#[test]
fn a_router_that_pays_for_words_it_does_not_keep_is_found() {
    ROADS.find(Breach::ForgetsWords);
}

#[test]
fn a_router_that_folds_after_expiry_is_found() {
    ROADS.find(Breach::FoldsLate);
}

#[test]
fn a_router_that_does_not_rescan_is_found() {
    ROADS.find(Breach::NoRescan);
}

#[test]
fn a_tower_that_takes_an_older_proof_is_found() {
    ROADS.find(Breach::TakesOlder);
}

#[test]
fn a_router_that_locks_dust_is_found() {
    ROADS.find(Breach::TakesDust);
}

#[test]
fn a_node_of_a_route_that_believes_one_endpoint_is_found() {
    ROADS.find(Breach::BelievesOne);
}
