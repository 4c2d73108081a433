//! Whose words count for what: locks that are not there, are held from before, or belong to another session.

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
