//! Runs of the lab: what must hold in every world, and that a seed says everything.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::Path;

use warren_lab::{Scenario, Summary, World};

fn scenario() -> Scenario {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/scenarios/first-hour.toml");
    let mut scenario = Scenario::load(&root).unwrap();
    scenario.nodes.count = 24;
    scenario.time.minutes = 20;
    scenario.demand.pause_secs = 120;
    scenario.chain.claim_every_secs = 300;
    scenario
}

fn run(scenario: &Scenario, seed: u64) -> Summary {
    let mut world = World::new(scenario, seed).unwrap();
    world.run(|_| {}).unwrap();
    Summary::of(&world, seed).unwrap()
}

#[test]
fn a_swarm_finds_buys_pays_and_settles() {
    let summary = run(&scenario(), 1);
    assert_eq!(summary.broken_bounds(), Vec::<&str>::new(), "{summary:#?}");
    assert!(
        summary.consumers_with_offers > 0 && summary.sessions_completed > 0,
        "{summary:#?}"
    );
    assert!(summary.words_paid > 0 && summary.claims > 0, "{summary:#?}");
    assert!(summary.claimed_wei.wei() > 0, "{summary:#?}");
}

#[test]
fn one_seed_gives_one_log_and_another_seed_another() {
    let scenario = scenario();
    let first = run(&scenario, 7);
    assert_eq!(first, run(&scenario, 7));
    assert_ne!(first.event_log_hash, run(&scenario, 8).event_log_hash);
}

#[test]
fn crashed_exits_lose_nothing_that_was_on_disk() {
    let mut scenario = scenario();
    scenario.faults.exit_crashes = 12;
    scenario.faults.away_secs = 20;
    for seed in 0..4 {
        let summary = run(&scenario, seed);
        assert!(summary.crashes > 0);
        assert_eq!(
            summary.broken_bounds(),
            Vec::<&str>::new(),
            "seed {seed}: {summary:#?}"
        );
    }
}

#[test]
fn liars_are_refused_everywhere() {
    let mut scenario = scenario();
    scenario.faults.liar_percent = 50;
    scenario.time.minutes = 45; // Liars lie when they renew, every 20 minutes.
    let summary = run(&scenario, 3);
    assert!(summary.refused_offers > 0, "{summary:#?}");
    assert_eq!(summary.broken_bounds(), Vec::<&str>::new());
}

#[test]
fn an_impossible_scenario_is_refused_by_key() {
    let mut scenario = scenario();
    scenario.nodes.count = 1;
    assert_eq!(
        scenario.check().unwrap_err().to_string(),
        "nodes.count is 1; it must be 2 to 5000"
    );
}
