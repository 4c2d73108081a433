//! The payee of routes' locks: what counts, what is kept, and what is counted apart.

use warren_proto::Lock;

use super::*;
use crate::channel::Rules;
use crate::channel::event::{ChainFact, PayeeEvent};
use crate::channel::fixture::routed::{LIFE, PAYMENT, at, late, rest, routed_lock};
use crate::channel::fixture::{NOON, lock, open_payee, voucher, wei};

fn take(channel: &PayeeChannel, news: RoutedNews, now: UnixTime) -> Step {
    channel.handle(&PayeeEvent::Routed(news), now)
}

fn new_lock(seq: u64, base: u64, locks: Vec<Lock>) -> RoutedNews {
    RoutedNews::Lock {
        voucher: voucher(seq, base, locks),
        payment: PAYMENT,
        anchor: routed_lock().anchor,
        unit_price: wei(5),
    }
}

fn news(k: u32) -> RoutedNews {
    RoutedNews::Word {
        payment: PAYMENT,
        k,
        word: at(k),
        via: Via::Consumer,
    }
}

fn holding(k: u32) -> PayeeChannel {
    let held = take(&open_payee(1000), new_lock(1, 3, vec![routed_lock()]), NOON).next;
    take(&held, news(k), NOON).next
}

fn code(effects: &[PayeeEffect]) -> Option<PayErrorCode> {
    effects.iter().find_map(|it| match it {
        PayeeEffect::Refuse(it) => Some(*it),
        _ => None,
    })
}

fn update(channel: &PayeeChannel, voucher: VerifiedVoucher, now: UnixTime) -> Step {
    channel.handle(&PayeeEvent::Voucher(voucher), now)
}

#[test]
fn p3_p4_lock_and_words_are_saved_before_they_count() {
    let step = take(&open_payee(1000), new_lock(1, 3, vec![routed_lock()]), NOON);
    assert!(step.save);
    let step = take(&step.next, news(4), NOON);
    assert!(step.save);
    let accepted = step.next.routed(&PAYMENT).unwrap();
    assert_eq!((accepted.units, accepted.paid), (4, wei(20)));
    assert_eq!(accepted.serve_until, late(LIFE - 1800), "R5");
    let read = PayeeChannel::decode(&step.next.encode(), Rules::default()).unwrap();
    assert_eq!(read, step.next);
}

#[test]
fn a_lock_for_a_route_must_expire_be_new_and_pay_what_is_asked() {
    let endless = Lock {
        expiry: 0,
        ..routed_lock()
    };
    let step = take(&open_payee(1000), new_lock(1, 0, vec![endless]), NOON);
    assert_eq!(code(&step.effects), Some(PayErrorCode::ExpiryTooFar));
    let cheap = Lock {
        unit_price: wei(4),
        ..routed_lock()
    };
    let step = take(&open_payee(1000), new_lock(1, 0, vec![cheap]), NOON);
    assert_eq!(code(&step.effects), Some(PayErrorCode::UnitTooSmall));
    let step = take(&holding(2), new_lock(2, 3, vec![routed_lock()]), NOON);
    assert_eq!(code(&step.effects), Some(PayErrorCode::AnchorReused));
    let again = take(&holding(2), new_lock(1, 3, vec![routed_lock()]), NOON);
    assert_eq!(code(&again.effects), None, "sent again, acknowledged again");
}

/// Words of a lock that is almost over are no part of a claim: the rest of it is done when the rest is paid.
#[test]
fn a_claim_in_a_locks_last_moment_ends_when_it_has_brought_the_rest() {
    let step = holding(4).handle(&PayeeEvent::ClaimAsked, late(LIFE - 100));
    assert!(step.next.is_claiming());
    let paid = PayeeEvent::Chain(ChainFact::Claimed(wei(3)));
    let done = step.next.handle(&paid, late(LIFE - 90)).next;
    assert!(!done.is_claiming());
}

#[test]
fn a_live_lock_of_a_route_cannot_be_dropped() {
    let dropped = update(&holding(4), voucher(2, 23, vec![]), NOON);
    assert_eq!(code(&dropped.effects), Some(PayErrorCode::NotDominating));
    let expired = update(&holding(4), voucher(2, 23, vec![]), late(LIFE));
    assert_eq!(code(&expired.effects), None);
}

#[test]
fn a_fold_at_any_known_word_keeps_those_beyond_it() {
    let step = update(&holding(7), voucher(2, 3 + 20, vec![rest(4)]), NOON);
    assert_eq!(code(&step.effects), None);
    let channel = step.next;
    assert_eq!(channel.value(NOON), wei(3 + 35));
    assert_eq!(channel.routed_folded(&PAYMENT), Some(4));
    assert_eq!(channel.routed_word(&PAYMENT), Some((7, at(7))));
    let on = take(&channel, news(9), NOON).next;
    assert_eq!(on.routed(&PAYMENT).unwrap().units, 9);
    let ahead = update(&holding(3), voucher(2, 3 + 20, vec![rest(4)]), NOON);
    assert_eq!(
        code(&ahead.effects),
        Some(PayErrorCode::NotDominating),
        "not a word it knows"
    );
}

#[test]
fn a_session_on_the_same_channel_does_not_count_what_routes_pay() {
    let begun = holding(2)
        .handle(&PayeeEvent::RunBegins { unit_price: wei(2) }, NOON)
        .next;
    let with_own = voucher(2, 3, vec![lock(1, 2, 100), routed_lock()]);
    let begun = update(&begun, with_own, NOON).next;
    let own = PayeeEvent::Word(crate::channel::fixture::word(1, 100, 6));
    let paid = begun.handle(&own, NOON).next;
    let routed = take(&paid, news(9), NOON).next;
    let folded = update(
        &routed,
        voucher(3, 3 + 45, vec![lock(1, 2, 100), rest(9)]),
        NOON,
    )
    .next;
    for channel in [paid, routed, folded] {
        let accepted = channel.accepted(NOON);
        assert_eq!((accepted.units, accepted.paid), (6, wei(12)));
    }
}

#[test]
fn i5_no_consent_and_no_gift_while_words_may_come() {
    let not_after = late(600);
    let asked = PayeeEvent::ConsentAsked { not_after };
    let step = holding(2).handle(&asked, NOON);
    assert_eq!(code(&step.effects), Some(PayErrorCode::Busy));
    let step = holding(2).handle(&PayeeEvent::CloseAsked, NOON);
    assert_eq!(code(&step.effects), Some(PayErrorCode::Busy));
    let step = holding(2).handle(&asked, late(LIFE));
    assert_eq!(code(&step.effects), None);
}

#[test]
fn a_consumers_word_of_an_expired_lock_is_no_money_but_one_from_the_route_is_kept() {
    let step = take(&holding(2), news(4), late(LIFE));
    assert_eq!(code(&step.effects), Some(PayErrorCode::ExpiryTooSoon));
    let learned = RoutedNews::Word {
        payment: PAYMENT,
        k: 4,
        word: at(4),
        via: Via::Route,
    };
    let step = take(&holding(2), learned, late(LIFE));
    assert!(step.save);
    assert_eq!(step.next.routed_word(&PAYMENT), Some((4, at(4))));
}

/// A router that learned a word of a closed channel would pay it onward and be paid by nobody.
#[test]
fn i5_a_word_of_a_closed_channel_is_no_money_whoever_says_it() {
    let closed = holding(2)
        .handle(&PayeeEvent::Chain(ChainFact::Closed), NOON)
        .next;
    for via in [Via::Consumer, Via::Route] {
        let word = RoutedNews::Word {
            payment: PAYMENT,
            k: 4,
            word: at(4),
            via,
        };
        let step = take(&closed, word, NOON);
        assert_eq!(code(&step.effects), Some(PayErrorCode::Closing));
        assert_eq!(step.next, closed);
    }
}

#[test]
fn words_count_while_the_payer_closes_whatever_was_consented_to_long_ago() {
    let not_after = late(600);
    let consented = open_payee(1000)
        .handle(&PayeeEvent::ConsentAsked { not_after }, NOON)
        .next;
    // It binds five minutes longer than it says.
    let bound = take(&consented, new_lock(1, 3, vec![routed_lock()]), late(900));
    assert_eq!(code(&bound.effects), Some(PayErrorCode::Closing));
    let held = take(&consented, new_lock(1, 3, vec![routed_lock()]), late(901)).next;
    let closes_at = NOON.as_secs() + LIFE;
    let closing = held
        .handle(
            &PayeeEvent::Chain(ChainFact::Closing { closes_at }),
            late(1000),
        )
        .next;
    let step = take(&closing, news(4), late(1100));
    assert_eq!(code(&step.effects), None);
    assert_eq!(step.next.value(late(1100)), wei(23));
}

#[test]
fn the_gain_of_a_voucher_is_what_it_is_worth_more() {
    let held = holding(4);
    let gain = |base, locks| held.gain(voucher(2, base, locks).get(), NOON);
    assert_eq!(gain(3, vec![routed_lock()]), wei(0));
    assert_eq!(gain(8, vec![routed_lock()]), wei(5));
    assert_eq!(gain(23, vec![rest(4)]), wei(0), "folded, not paid");
    assert_eq!(gain(28, vec![rest(4)]), wei(5));
}

#[test]
fn words_of_a_lock_that_is_over_are_no_gain() {
    let over = |held: &PayeeChannel, base, locks| {
        let offered = voucher(2, base, locks);
        held.gain(offered.get(), late(LIFE))
    };
    let held = holding(4);
    assert_eq!(over(&held, 3, vec![routed_lock()]), wei(0));
    assert_eq!(over(&held, 5, vec![routed_lock()]), wei(2));
    let claimed = ChainFact::Claimed(wei(23));
    let claimed = held.handle(&PayeeEvent::Chain(claimed), NOON).next;
    assert_eq!(over(&claimed, 23, vec![]), wei(0), "paid by the chain");
    assert_eq!(over(&claimed, 25, vec![routed_lock()]), wei(2));
}

#[test]
fn r4_the_first_expiry_of_words_held_is_known() {
    assert_eq!(holding(2).first_expiry(NOON), Some(NOON.as_secs() + LIFE));
    let held = take(&open_payee(1000), new_lock(1, 3, vec![routed_lock()]), NOON).next;
    assert_eq!(held.first_expiry(NOON), None, "no word, no risk");
    assert_eq!(holding(2).first_expiry(late(LIFE)), None, "too late");
}

#[test]
fn what_was_claimed_with_an_expired_lock_must_be_in_the_base_of_what_follows() {
    let claimed = holding(4)
        .handle(&PayeeEvent::Chain(ChainFact::Claimed(wei(23))), NOON)
        .next;
    let blind = update(&claimed, voucher(2, 3, vec![lock(2, 2, 5)]), late(LIFE));
    assert_eq!(code(&blind.effects), Some(PayErrorCode::NotDominating));
    let seeing = update(&claimed, voucher(2, 23, vec![lock(2, 2, 5)]), late(LIFE));
    assert_eq!(code(&seeing.effects), None);
}

/// A router is paid for by nobody but itself when it is a guest here, too: what its route owed and the chain has paid
/// already is no pay for its own session.
#[test]
fn what_was_claimed_of_an_expired_lock_pays_for_no_session_of_the_router() {
    let claimed = holding(4)
        .handle(&PayeeEvent::Chain(ChainFact::Claimed(wei(23))), NOON)
        .next;
    let run = PayeeEvent::RunBegins { unit_price: wei(2) };
    let begun = claimed.handle(&run, late(LIFE)).next;
    let still_there = voucher(2, 23, vec![lock(1, 2, 100), routed_lock()]);
    let dropped = voucher(2, 23, vec![lock(1, 2, 100)]);
    for folded in [still_there, dropped] {
        let taken = update(&begun, folded, late(LIFE)).next;
        assert_eq!(taken.accepted(late(LIFE)).paid, wei(0));
        let own = PayeeEvent::Word(crate::channel::fixture::word(1, 100, 6));
        let paid = taken.handle(&own, late(LIFE)).next;
        assert_eq!(paid.accepted(late(LIFE)).paid, wei(12));
    }
    let more = update(&begun, voucher(2, 25, vec![routed_lock()]), late(LIFE)).next;
    assert_eq!(more.accepted(late(LIFE)).paid, wei(2), "what is on top");
    let routed_too = Lock {
        anchor: lock(9, 5, 20).anchor,
        ..routed_lock()
    };
    let another = RoutedNews::Lock {
        voucher: voucher(
            2,
            24,
            vec![Lock {
                expiry: NOON.as_secs() + 2 * LIFE,
                ..routed_too
            }],
        ),
        payment: warren_proto::PaymentId::from_bytes([9; 16]),
        anchor: routed_too.anchor,
        unit_price: wei(5),
    };
    let taken = take(&begun, another, late(LIFE));
    assert_eq!(code(&taken.effects), None);
    assert_eq!(
        taken.next.accepted(late(LIFE)).paid,
        wei(0),
        "a fee is no pay for it either"
    );
}

/// Its own clock may be hours ahead; what the chain has not heard of is not over.
#[test]
fn i5_a_payee_that_hears_no_chain_consents_to_nothing() {
    let deaf = holding(2).handle(&PayeeEvent::Stale(true), NOON).next;
    let asked = PayeeEvent::ConsentAsked {
        not_after: late(LIFE + 600),
    };
    for event in [asked, PayeeEvent::CloseAsked] {
        let step = deaf.handle(&event, late(LIFE));
        assert_eq!(code(&step.effects), Some(PayErrorCode::ChainStale));
        assert_eq!(step.next, deaf);
    }
}
