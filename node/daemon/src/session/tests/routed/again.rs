//! What is tried again: locks that nobody answered for, or a busy router refused; words that could not be said.

use super::*;

fn waits(route: &mut Route, secs: u32) {
    for _ in 0..secs {
        route.wait(Duration::from_secs(1));
    }
}

#[test]
fn a_router_that_never_answers_costs_nothing_and_no_tunnel_is_raised() {
    let mut route = Route::new(false);
    assert_eq!(route.consumer.phase(), ConsumerPhase::Starting);
    for _ in 0..40 {
        route.wait(Duration::from_secs(1));
    }
    let end = ConsumerEnd::PaymentRefused(PayErrorCode::NoRoute);
    assert!(end.try_next());
    assert_eq!(route.ended.0, Some(end));
    assert_eq!(route.dropped, [payment(1)]);
    assert!(
        !route.connected,
        "nothing is connected before a lock is held"
    );
    assert_eq!((route.words(), route.allowed), (0, 0));
}

#[test]
fn a_router_that_never_answers_is_passed_over_for_another() {
    let mut route = Route::with(None, |it| (it.router_lives, it.others) = (false, 2));
    waits(&mut route, 34);
    assert_eq!((route.locks_made, &route.ended), (2, &(None, None)));
    route.router_lives = true;
    waits(&mut route, 34);
    // The exit has waited for more than a minute; it was named another lock in between.
    assert_eq!(route.ended, (None, None));
    assert_eq!(route.consumer.phase(), ConsumerPhase::Active);
    assert_eq!(route.dropped, [payment(1), payment(2)]);
    route.pass(ByteCount::MIB);
    assert_eq!(route.known.keys().collect::<Vec<_>>(), [&payment(3)]);
}

#[test]
fn an_exit_does_not_wait_for_ever_for_locks_that_are_named_one_after_the_other() {
    let mut route = Route::with(None, |it| (it.router_lives, it.others) = (false, 9));
    for _ in 0..10 {
        waits(&mut route, 30);
    }
    assert!(route.ended.1.is_some());
}

#[test]
fn a_router_that_is_busy_is_tried_again_before_the_exit_is_given_up() {
    let mut route = Route::with(None, |it| it.busy = 2);
    assert_eq!(route.ended, (None, None));
    waits(&mut route, 12);
    assert_eq!(route.consumer.phase(), ConsumerPhase::Active);
    assert_eq!((route.locks_made, route.words()), (3, 1));

    let mut route = Route::with(None, |it| it.busy = 3);
    waits(&mut route, 12);
    let end = ConsumerEnd::PaymentRefused(PayErrorCode::Busy);
    assert_eq!(route.ended.0, Some(end));
    assert!(!route.connected);
}

#[test]
fn words_that_could_not_be_said_are_said_in_a_while() {
    let mut route = Route::new(true);
    route.pass(ByteCount::MIB);
    let said = route.consumer.released();
    assert_eq!(said, route.words());
    route.unsaid = Some(false);
    route.pass(ByteCount::MIB);
    assert_eq!(route.unsaid, None, "it was tried");
    assert_eq!(route.consumer.released(), said, "they do not count as said");
    route.consumer_hears(ConsumerEvent::Tick);
    route.settle();
    assert_eq!(route.words(), said, "not at once");
    waits(&mut route, 2);
    assert_eq!(route.consumer.released(), route.words());
    assert!(route.words() > said);
    route.pass(ByteCount::MIB);
    assert_eq!((route.locks_made, &route.ended), (1, &(None, None)));
}

#[test]
fn a_lock_of_which_no_word_can_be_said_any_more_is_left_for_the_next_one() {
    let mut route = Route::new(true);
    route.pass(ByteCount::MIB);
    let before = route.words();
    route.unsaid = Some(true);
    for _ in 0..4 {
        waits(&mut route, 2);
        route.pass(ByteCount::MIB);
    }
    assert_eq!((route.locks_made, &route.ended), (2, &(None, None)));
    assert_eq!(u64::from(route.known[&payment(1)]), before);
    assert!(route.known[&payment(2)] > 0);
    assert_eq!(route.consumer.released(), route.words());
}

#[test]
fn hold_fees_count_for_what_the_user_allows() {
    let cap = 20 * UNIT;
    let mut route = Route::with(Some(cap), |it| {
        it.hold_fee = Amount::from_wei_u64(10 * UNIT)
    });
    for _ in 0..30 {
        route.pass(ByteCount::MIB);
    }
    assert_eq!(route.ended.0, Some(ConsumerEnd::CapReached));
    assert!(route.words() > 5, "half is left for words");
    let fee = Amount::from_wei_u64(10 * UNIT);
    let words = Amount::from_wei_u64((UNIT + UNIT / 100) * route.consumer.released());
    assert_eq!(route.consumer.cost(), fee.checked_add(words).unwrap());
    assert!(route.consumer.cost() <= Amount::from_wei_u64(cap));

    // More than all: no lock is even offered.
    let route = Route::with(Some(cap), |it| {
        it.hold_fee = Amount::from_wei_u64(21 * UNIT)
    });
    assert_eq!(route.ended.0, Some(ConsumerEnd::CapReached));
    assert_eq!(route.provider.awaits_lock(&payment(1)), None);
    assert_eq!(route.consumer.cost(), Amount::ZERO);
}
