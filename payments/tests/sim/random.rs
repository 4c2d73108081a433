//! Schedules by seed: all hold, all bad shells are found, and what fails is told in few actions.

use crate::life::check::Verdict;
use crate::life::host::Breach;
use crate::life::schedule::{Kind, Schedule, WEIGHTS, kind};
use crate::life::world::{World, verdict};

/// Seeds of every day, and in how many tests they are run; four thousand more are of routes (`roads.rs`).
const SEEDS: u64 = 6_000;
const PARTS: u64 = 3;
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
        "WARREN_SEED={seed}: {words}\nin {} actions: {least}\n{}",
        actions.len(),
        actions.join("\n")
    ))
}

fn part(number: u64) {
    let share = SEEDS / PARTS;
    for seed in number * share..(number + 1) * share {
        if let Err(words) = try_seed(seed) {
            panic!("{words}");
        }
    }
}

#[test]
fn six_thousand_schedules_first_part() {
    part(0);
}

#[test]
fn six_thousand_schedules_second_part() {
    part(1);
}

#[test]
fn six_thousand_schedules_third_part() {
    part(2);
}

/// The seed in `WARREN_SEED`, or the first.
#[test]
fn one_seed() {
    let seed = std::env::var("WARREN_SEED").ok();
    let seed = seed.map_or(0, |it| it.parse().expect("WARREN_SEED is a number"));
    let outcome = try_seed(seed);
    println!("WARREN_SEED={seed}: {outcome:?}");
    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
}

#[test]
fn the_same_seed_is_the_same_life() {
    let life = |seed| {
        let mut world = World::new(None);
        world.run(&Schedule::from_seed(seed)).unwrap();
        (
            world.chain.blocks.len(),
            world.chain.book(),
            world.truth.served,
            world.truth.most,
        )
    };
    for seed in 0..20 {
        assert_eq!(life(seed), life(seed), "seed {seed}");
    }
}

/// A harness that finds nothing proves nothing: a shell that breaks a rule is found out.
fn is_found(breach: Breach) {
    let found = (0..SOON).find_map(|seed| {
        let schedule = Schedule::from_seed(seed);
        verdict(&schedule, Some(breach))
            .err()
            .map(|words| (seed, words))
    });
    let Some((seed, words)) = found else {
        panic!("{breach:?} went unnoticed through {SOON} seeds");
    };
    println!("{breach:?}: seed {seed}: {words}");
}

#[test]
fn a_shell_that_acts_before_it_saves_is_found() {
    is_found(Breach::ActsFirst);
}

#[test]
fn a_shell_that_does_not_save_words_is_found() {
    is_found(Breach::ForgetsWords);
}

#[test]
fn a_shell_that_sends_transactions_before_it_saves_them_is_found() {
    is_found(Breach::SendsFirst);
}

#[test]
fn a_shell_that_moves_its_cursor_apart_is_found() {
    is_found(Breach::CursorApart);
}

#[test]
fn a_shell_that_does_not_rescan_is_found() {
    is_found(Breach::NoRescan);
}

#[test]
fn every_kind_of_thing_happens_about_as_often_as_it_should() {
    assert_eq!(WEIGHTS.iter().map(|(_, it)| it).sum::<u32>(), 100);
    for (wanted, weight) in WEIGHTS {
        let codes = (0..=u8::MAX).filter(|it| kind(*it) == wanted).count();
        let expected = f64::from(weight) * 2.56;
        assert!(
            (f64::from(u32::try_from(codes).unwrap()) - expected).abs() <= 1.0,
            "{wanted:?}"
        );
    }
}

#[test]
fn a_failing_schedule_shrinks_to_what_makes_it_fail() {
    let schedule = Schedule::from_seed(7);
    let count = |it: &Schedule| it.0.iter().filter(|it| it.kind == Kind::Mine).count();
    assert!(count(&schedule) > 2);
    let small = schedule.shrunk(&mut |it| count(it) >= 2);
    assert_eq!((small.0.len(), count(&small)), (2, 2));
}
