//! Schedules by seed: all hold, all bad shells are found, and what fails is told in few actions.

use crate::life::host::Breach;
use crate::life::schedule::{Kind, Schedule, WEIGHTS, kind};
use crate::life::world::{World, verdict};
use crate::seeds::Seeds;

/// Schedules of one channel; four thousand more are of routes (`roads.rs`).
pub(crate) const LIVES: Seeds = Seeds {
    variable: "WARREN_SEED",
    first: 0,
    daily: 6_000,
    parts: 3,
    verdict,
};

#[test]
fn six_thousand_schedules_first_part() {
    LIVES.part(0);
}

#[test]
fn six_thousand_schedules_second_part() {
    LIVES.part(1);
}

#[test]
fn six_thousand_schedules_third_part() {
    LIVES.part(2);
}

/// A payer that has crashed believes its payee up to what the crash may have hidden, and closes with that.
#[test]
fn a_payee_may_close_with_what_a_crash_may_have_hidden() {
    LIVES.try_seed(1_102_726).unwrap();
}

/// A disk that takes minutes, and a voucher that waits meanwhile while the channel ends on a consent.
#[test]
fn whoever_was_away_takes_no_voucher_before_it_has_looked() {
    LIVES.try_seed(1_282_899).unwrap();
}

/// A payee that consents behind its own core's back, and serves on.
#[test]
fn what_is_served_after_such_a_consent_is_the_payees_own_loss() {
    LIVES.try_seed(1_323_069).unwrap();
}

/// A payee that was down while its consent was used, and hears a word before it has looked.
#[test]
fn whoever_was_down_earns_nothing_on_a_consent_that_may_have_been_used() {
    LIVES.try_seed(1_523_066).unwrap();
}

/// Two sessions of two prices, the second asked for while the disk is still at the first one's end.
#[test]
fn a_session_waits_for_the_end_of_the_one_before() {
    LIVES.try_seed(1_703_785).unwrap();
}

/// The same, where the payee had claimed more than it consented to by then.
#[test]
fn a_consent_behind_its_own_cores_back_may_be_below_what_was_claimed() {
    LIVES.try_seed(1_728_274).unwrap();
}

/// The seed in `WARREN_SEED`, or the first.
#[test]
fn one_seed() {
    LIVES.one();
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

#[test]
fn a_shell_that_acts_before_it_saves_is_found() {
    LIVES.find(Breach::ActsFirst);
}

#[test]
fn a_shell_that_does_not_save_words_is_found() {
    LIVES.find(Breach::ForgetsWords);
}

#[test]
fn a_shell_that_sends_transactions_before_it_saves_them_is_found() {
    LIVES.find(Breach::SendsFirst);
}

#[test]
fn a_shell_that_moves_its_cursor_apart_is_found() {
    LIVES.find(Breach::CursorApart);
}

#[test]
fn a_shell_that_does_not_rescan_is_found() {
    LIVES.find(Breach::NoRescan);
}

#[test]
fn a_shell_that_believes_one_endpoint_is_found() {
    LIVES.find(Breach::BelievesOne);
}

#[test]
fn a_payee_that_takes_vouchers_for_another_place_is_found() {
    LIVES.find(Breach::TakesForeign);
}

#[test]
fn a_contract_that_forgets_its_dead_is_found() {
    LIVES.find(Breach::Reopens);
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
