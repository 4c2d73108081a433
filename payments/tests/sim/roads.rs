//! Schedules over a route and a tower: all hold, and broken nodes are found out.

use crate::life::check::Verdict;
use crate::life::host::Breach;
use crate::life::road::world::{Road, verdict};
use crate::life::schedule::Schedule;

/// Seeds of every day, and in how many tests they are run.
const FIRST: u64 = 2_000_000_000;
const SEEDS: u64 = 4_000;
const PARTS: u64 = 2;
/// Seeds in which a broken rule must show.
const SOON: u64 = 1_000;

/// Runs a seed. On a failure: what fails, and the least that does.
pub(crate) fn try_seed(seed: u64) -> Verdict {
    let schedule = Schedule::from_seed(seed);
    let Err(words) = verdict(&schedule, None) else {
        return Ok(());
    };
    let small = schedule.shrunk(&mut |it| verdict(it, None).is_err());
    let actions: Vec<_> = small.0.iter().map(|it| format!("  {it:?}")).collect();
    let least = verdict(&small, None).err().unwrap_or_default();
    Err(format!(
        "WARREN_ROAD_SEED={seed}: {words}\nin {} actions: {least}\n{}",
        actions.len(),
        actions.join("\n")
    ))
}

fn part(number: u64) {
    let share = SEEDS / PARTS;
    for seed in FIRST + number * share..FIRST + (number + 1) * share {
        if let Err(words) = try_seed(seed) {
            panic!("{words}");
        }
    }
}

#[test]
fn four_thousand_roads_first_part() {
    part(0);
}

#[test]
fn four_thousand_roads_second_part() {
    part(1);
}

/// The seed in `WARREN_ROAD_SEED`, or the first.
#[test]
fn one_road() {
    let seed = std::env::var("WARREN_ROAD_SEED").ok();
    let seed = seed.map_or(FIRST, |it| it.parse().unwrap());
    let outcome = try_seed(seed);
    println!("WARREN_ROAD_SEED={seed}: {outcome:?}");
    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
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
    assert!(claimed > 50 && absent > 5 && lazy > 5);
}

fn is_found(breach: Breach) {
    let found = (FIRST..FIRST + SOON).find_map(|seed| {
        let schedule = Schedule::from_seed(seed);
        let words = verdict(&schedule, Some(breach)).err();
        words.map(|words| (seed, words))
    });
    let Some((seed, words)) = found else {
        panic!("{breach:?} went unnoticed through {SOON} seeds");
    };
    println!("{breach:?}: seed {seed}: {words}");
}

#[test]
fn a_router_that_gives_a_lock_before_it_holds_one_is_found() {
    is_found(Breach::LocksFirst);
}

#[test]
fn a_router_that_pays_for_words_it_does_not_keep_is_found() {
    is_found(Breach::ForgetsWords);
}

#[test]
fn a_router_that_folds_after_expiry_is_found() {
    is_found(Breach::FoldsLate);
}

#[test]
fn a_router_that_does_not_rescan_is_found() {
    is_found(Breach::NoRescan);
}

#[test]
fn a_tower_that_takes_an_older_proof_is_found() {
    is_found(Breach::TakesOlder);
}
