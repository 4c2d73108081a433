//! Whose words count for what: locks that are not there, are held from before, are near their end, or belong to
//! another session.

use super::*;

fn paid(units: u32) -> LockNews {
    let payment = payment(1);
    LockNews::Paid {
        payment,
        units,
        word: WordFrame {
            lane: 0,
            k: units,
            word: word(payment, units),
        },
    }
}

#[test]
fn words_of_a_lock_that_is_not_there_pay_nothing() {
    let mut route = Route::new(true);
    let paid = route.provider.paid_units();
    let word = WordFrame {
        lane: 7,
        k: 100,
        word: Preimage::from_bytes([0; 32]),
    };
    let effects = route
        .provider
        .handle(ProviderEvent::Frame(SessionFrame::Word(word)), route.now);
    let refused = matches!(
        effects.as_slice(),
        [ProviderEffect::Send(SessionFrame::PayError {
            code: PayErrorCode::BadWord,
            ..
        })]
    );
    assert!(refused, "{effects:?}");
    assert_eq!(route.provider.paid_units(), paid);
}

#[test]
fn a_lock_held_before_counts_only_the_words_beyond_those_known() {
    let mut route = Route::new(false);
    // The exit knew 50 words of it, from a session before.
    let ready = lock(payment(1), 0);
    let serve_until = route.now.plus(route.serve_for);
    route.provider_hears(ProviderEvent::Lock(LockNews::Held {
        ready,
        units: 50,
        serve_until,
    }));
    route.provider_hears(ProviderEvent::Lock(paid(50)));
    assert_eq!((route.provider.paid_units(), route.allowed), (0, 0));
    route.provider_hears(ProviderEvent::Lock(paid(53)));
    assert_eq!(route.provider.paid_units(), 3);
}

#[test]
fn a_payment_is_known_to_be_one_sessions_until_that_ends() {
    let mut route = Route::new(true);
    assert!(route.provider.holds_lock(&payment(1)));
    assert!(!route.provider.holds_lock(&payment(2)));
    route.consumer_hears(ConsumerEvent::Stop);
    route.settle();
    assert!(route.ended.1.is_some());
    assert!(!route.provider.holds_lock(&payment(1)));
}

#[test]
fn that_a_lock_is_held_is_said_again_if_the_stream_took_it_along() {
    let mut route = Route::new(false);
    // The router passes it on after all; the exit's word of it never arrives.
    let held = LockNews::Held {
        ready: lock(payment(1), 0),
        units: 0,
        serve_until: route.now.plus(route.serve_for),
    };
    route.provider_hears(ProviderEvent::Lock(held));
    assert!(matches!(
        route.to_consumer.pop_back(),
        Some(SessionFrame::LockReady(_))
    ));
    route.consumer_hears(ConsumerEvent::StreamLost);
    route.provider_hears(ProviderEvent::StreamLost);
    route.provider_hears(ProviderEvent::Resumed);
    route.settle();
    for _ in 0..40 {
        route.wait(Duration::from_secs(1));
    }
    assert_eq!(route.ended, (None, None));
    assert_eq!(route.dropped, []);
    assert_eq!(route.consumer.phase(), ConsumerPhase::Active);
}

/// The exit refuses each word that was under way when a lock ended.
#[test]
fn words_under_way_at_a_locks_end_do_not_end_the_next_one() {
    let mut route = Route::new(true);
    // By the exit's clock, which is ahead by a little more than is left.
    for _ in 0..route.serve_for.as_secs() - 600 {
        route.wait(Duration::from_secs(1));
    }
    // So few words are left of the first lock that a second one is held.
    while route.locks_made < 2 {
        route.pass(ByteCount::MIB);
    }
    let before = route.known.get(&payment(2)).copied();
    assert_eq!(before, None, "the first one has words left");
    for _ in 0..3 {
        let refused = SessionFrame::PayError {
            channel: ChannelId::from_bytes([2; 32]),
            code: PayErrorCode::ExpiryTooSoon,
            detail: String::new(),
        };
        route.consumer_hears(ConsumerEvent::Frame(refused));
        route.settle();
    }
    for _ in 0..4 {
        route.pass(ByteCount::MIB);
    }
    assert!(route.known.get(&payment(2)).is_some_and(|it| *it >= 4));
    assert_eq!((route.locks_made, &route.ended), (2, &(None, None)));
}
