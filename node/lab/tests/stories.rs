//! Runs of the lab: what must hold in every world, and that a seed says everything.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::Path;

use sha2::{Digest as _, Sha256};
use warren_lab::{LabError, Scenario, Summary, World, run_scenario};

/// As README runs it.
fn first_hour() -> Scenario {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/scenarios/first-hour.toml");
    Scenario::load(&root).unwrap()
}

fn scenario() -> Scenario {
    let mut scenario = first_hour();
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
fn the_first_hour_of_a_hundred_nodes_keeps_every_bound() {
    let summary = run(&first_hour(), 7);
    assert_eq!(summary.broken_bounds(), Vec::<&str>::new(), "{summary:#?}");
    assert_eq!(summary.nodes, 100);
    assert!(
        summary.most_unpaid_units > 4,
        "a line that loses: {summary:#?}"
    );
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
    scenario.time.minutes = 12;
    // Slow lines, so that an exit that crashes has guests.
    (scenario.links.rate_min_mbit, scenario.links.rate_max_mbit) = (4, 8);
    scenario.faults.exit_crashes = 12;
    scenario.faults.away_secs = 20;
    let mut cut_off = 0;
    for seed in 0..4 {
        let summary = run(&scenario, seed);
        assert!(summary.crashes > 0 && summary.claimed_wei.wei() > 0);
        cut_off += summary.failovers;
        assert_eq!(
            summary.broken_bounds(),
            Vec::<&str>::new(),
            "seed {seed}: {summary:#?}"
        );
    }
    assert!(cut_off > 0, "no crash met a guest");
}

#[test]
fn an_exit_that_is_away_crashes_no_second_time() {
    let mut scenario = scenario();
    scenario.time.minutes = 12;
    scenario.faults.exit_crashes = 50;
    scenario.faults.away_secs = scenario.time.minutes * 60;
    let summary = run(&scenario, 1);
    let exits = u64::from(summary.exits);
    assert!((1..=exits).contains(&summary.crashes), "{summary:#?}");
    assert_eq!(summary.broken_bounds(), Vec::<&str>::new());
}

#[test]
fn liars_are_refused_everywhere() {
    let mut scenario = scenario();
    scenario.faults.liar_percent = 50;
    scenario.time.minutes = 45; // Liars lie when they renew, every 20 minutes.
    let summary = run(&scenario, 3);
    assert!(summary.refused_offers > 0, "{summary:#?}");
    assert_eq!(summary.forgeries_taken, 0, "{summary:#?}");
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

#[test]
fn a_channel_that_is_used_up_is_no_session_completed() {
    let mut scenario = scenario();
    scenario.demand.deposit_units = 64;
    scenario.demand.session_min_mib = 128;
    scenario.demand.session_max_mib = 128;
    let summary = run(&scenario, 2);
    assert!(summary.words_paid > 0, "{summary:#?}");
    assert_eq!(summary.sessions_completed, 0, "{summary:#?}");
    assert!(summary.sessions_used_up > 0, "{summary:#?}");
    assert_eq!(summary.broken_bounds(), Vec::<&str>::new(), "{summary:#?}");
}

#[test]
fn nobody_takes_over_what_nobody_carried() {
    let mut scenario = scenario();
    scenario.time.minutes = 60;
    scenario.chain.block_secs = 600;
    scenario.chain.confirmations = 6; // More than a consumer waits for its deposit.
    let summary = run(&scenario, 2);
    assert!(summary.sessions_started > 0, "{summary:#?}");
    assert_eq!(summary.sessions_active, 0, "{summary:#?}");
    assert_eq!(summary.failovers, 0, "{summary:#?}");
    assert!(summary.sessions_failed > 0, "{summary:#?}");
    // All else held, and nothing was shown by it.
    let broken = summary.broken_bounds();
    assert_eq!(broken, ["some session carries traffic"], "{summary:#?}");
}

#[test]
fn a_claim_is_not_made_again_while_it_waits_for_a_block() {
    let mut scenario = scenario();
    scenario.chain.block_secs = 120;
    scenario.chain.confirmations = 0;
    scenario.chain.claim_every_secs = 1;
    let summary = run(&scenario, 2);
    assert!(summary.claims > 0, "{summary:#?}");
    // A channel is claimed once in a block at most, and once more at the end.
    let blocks = summary.virtual_secs / 120 + 2;
    assert!(summary.claims <= summary.channels * blocks, "{summary:#?}");
    assert_eq!(summary.broken_bounds(), Vec::<&str>::new(), "{summary:#?}");
}

#[test]
fn a_value_that_would_end_in_the_middle_of_a_run_is_refused_before() {
    let refused = |change: &dyn Fn(&mut Scenario)| {
        let mut scenario = scenario();
        change(&mut scenario);
        scenario.check().map_err(|it| it.to_string())
    };
    for (key, change) in [
        (
            "links.jitter_millis",
            &(|it: &mut Scenario| it.links.jitter_millis = u32::MAX) as &dyn Fn(&mut Scenario),
        ),
        ("demand.session_min_mib", &|it| {
            it.demand.session_min_mib = 0
        }),
        ("chain.confirmations", &|it| {
            it.chain.confirmations = u32::MAX
        }),
        ("faults.exit_crashes", &|it| {
            it.faults.exit_crashes = u32::MAX
        }),
        ("faults.away_secs", &|it| it.faults.away_secs = u32::MAX),
        ("faults.liar_percent", &|it| it.faults.liar_percent = 101),
        // As the product's own: more, and no consumer would look at any offer, or no exit take a deposit.
        ("market.prepay_units", &|it| it.market.prepay_units = 128),
        ("market.credit_units", &|it| it.market.credit_units = 0),
        ("market.credit_units", &|it| it.market.credit_units = 1025),
        ("demand.deposit_units", &|it| it.demand.deposit_units = 63),
        ("demand.deposit_units", &|it| {
            (it.market.prepay_units, it.demand.deposit_units) = (100, 99);
        }),
        ("market.per_mib_max_wei", &|it| {
            it.market.per_mib_max_wei = u64::MAX
        }),
    ] {
        let said = refused(change).expect_err(key);
        assert!(said.starts_with(key), "{key}: {said}");
    }
}

/// A small world, for what does not need many.
fn hamlet() -> Scenario {
    let mut scenario = scenario();
    scenario.nodes.count = 6;
    scenario.time.minutes = 10;
    scenario.demand.pause_secs = 30;
    scenario.demand.session_max_mib = 8;
    scenario
}

#[test]
fn what_a_run_leaves_is_whole_and_of_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("deep/out");
    let ran = run_scenario(&hamlet(), 4, &out, |_| {}).unwrap();
    let read = |file: &Path| std::fs::read_to_string(file).unwrap();
    let summary: Summary = serde_json::from_str(&read(&ran.summary_file)).unwrap();
    assert_eq!(summary, ran.summary);
    let events = read(&ran.events_file);
    let (header, lines) = events.split_once('\n').unwrap();
    assert_eq!(header, "millis,node,event,subject,value");
    assert_eq!(lines.lines().count() as u64, summary.events);
    assert_eq!(
        hex::encode(Sha256::digest(lines.as_bytes())),
        summary.event_log_hash
    );
    let page = read(&ran.report_file);
    assert!(page.contains(&summary.event_log_hash) && page.matches("<svg").count() == 4);
    assert!(page.contains("Every promise held"), "{summary:#?}");
    assert!(summary.sessions_completed > 0, "{summary:#?}");

    // A run that comes to nothing does not leave the results of the one before beside its own events.
    let mut broken = hamlet();
    broken.market.countries = vec!["nowhere".to_owned()];
    run_scenario(&broken, 4, &out, |_| {}).unwrap_err();
    assert!(ran.report_file.exists(), "it did not even begin");
    std::fs::remove_file(&ran.events_file).unwrap();
    std::fs::create_dir(&ran.events_file).unwrap();
    let mut minutes = 0;
    let failed = run_scenario(&hamlet(), 4, &out, |_| minutes += 1).unwrap_err();
    assert!(matches!(failed, LabError::Unwritable { .. }), "{failed}");
    assert_eq!(minutes, 0, "said before the run, not after");
    assert!(!ran.report_file.exists() && !ran.summary_file.exists());
}

/// Two exits, and guests whose own lines are no slower: together they get what the exits' lines carry, and no more.
#[test]
fn the_guests_of_an_exit_share_its_line() {
    let mut scenario = scenario();
    scenario.nodes.exit_percent = 10;
    scenario.links.rate_min_mbit = 8;
    scenario.links.rate_max_mbit = 8;
    scenario.demand.pause_secs = 1;
    scenario.faults.exit_crashes = 0;
    let summary = run(&scenario, 3);
    let line = u64::from(summary.exits) * 1_000_000 * summary.virtual_secs;
    let carried = summary.bytes_delivered;
    assert!((line / 4..=line).contains(&carried), "{carried} of {line}");
}
