use std::time::Duration;

use warren_proto::{HashLock, Lock};

use super::*;
use crate::channel::event::Accepted;
use crate::channel::fixture::{NOON, lock, open_payee, terms, voucher, wei, word};

fn accepted(step: &Step) -> Option<Accepted> {
    step.effects.iter().find_map(|it| match it {
        PayeeEffect::Credit(it) => Some(*it),
        _ => None,
    })
}

fn refused(step: &Step) -> Option<PayErrorCode> {
    step.effects.iter().find_map(|it| match it {
        PayeeEffect::Refuse(it) => Some(*it),
        _ => None,
    })
}

/// A session at 2 wei a unit: 100 units promised, none paid.
fn in_session() -> PayeeChannel {
    let begun = open_payee(1000)
        .handle(&PayeeEvent::RunBegins { unit_price: wei(2) }, NOON)
        .next;
    begun
        .handle(
            &PayeeEvent::Voucher(voucher(1, 0, vec![lock(1, 2, 100)])),
            NOON,
        )
        .next
}

fn paid(channel: &PayeeChannel, k: u32) -> Step {
    channel.handle(&PayeeEvent::Word(word(1, 100, k)), NOON)
}

#[test]
fn a_voucher_is_saved_before_it_counts() {
    let step = open_payee(1000).handle(&PayeeEvent::Voucher(voucher(1, 5, vec![])), NOON);
    assert!(step.save);
    assert_eq!(accepted(&step).unwrap().ack.value_now, wei(5));
    assert_eq!(accepted(&step).unwrap().ack.covered, wei(1000));
}

#[test]
fn the_same_voucher_again_is_acknowledged_again() {
    let step = in_session().handle(
        &PayeeEvent::Voucher(voucher(1, 0, vec![lock(1, 2, 100)])),
        NOON,
    );
    assert!(!step.save);
    assert_eq!(accepted(&step).unwrap().ack.seq, 1);
}

#[test]
fn every_word_is_saved_before_it_counts() {
    let mut channel = in_session();
    for k in 1..=64 {
        let step = paid(&channel, k);
        assert!(step.save, "word {k}");
        assert_eq!(accepted(&step).unwrap().units, u64::from(k));
        channel = PayeeChannel::decode(&step.next.encode(), Rules::default()).unwrap();
        assert_eq!(
            channel.value(NOON),
            wei(2 * u64::from(k)),
            "a kill after word {k}"
        );
    }
}

#[test]
fn a_run_counts_from_its_beginning() {
    let channel = paid(&in_session(), 30).next;
    let again = channel
        .handle(&PayeeEvent::RunBegins { unit_price: wei(2) }, NOON)
        .next;
    let step = paid(&again, 34);
    let it = accepted(&step).unwrap();
    assert_eq!((it.units, it.paid, it.ack.value_now), (4, wei(8), wei(68)));
}

#[test]
fn a_session_takes_no_cheaper_unit() {
    let begun = open_payee(1000)
        .handle(&PayeeEvent::RunBegins { unit_price: wei(3) }, NOON)
        .next;
    let step = begun.handle(
        &PayeeEvent::Voucher(voucher(1, 0, vec![lock(1, 2, 10)])),
        NOON,
    );
    assert_eq!(refused(&step), Some(PayErrorCode::UnitTooSmall));
    assert_eq!(step.next, begun);
}

#[test]
fn without_a_confirmed_deposit_nothing_is_taken() {
    let watching = PayeeChannel::watch(terms(), Rules::default());
    let step = watching.handle(&PayeeEvent::Voucher(voucher(1, 0, vec![])), NOON);
    assert_eq!(refused(&step), Some(PayErrorCode::NotConfirmed));
}

#[test]
fn a_closing_stops_the_session_and_leaves_the_claim() {
    let channel = paid(&in_session(), 30).next;
    let closing = PayeeEvent::Chain(ChainFact::Closing {
        closes_at: NOON.as_secs() + 3600,
    });
    let step = channel.handle(&closing, NOON);
    assert!(step.save);
    assert!(
        step.effects
            .contains(&PayeeEffect::Stop(StopReason::Closing))
    );
    let refusal = step
        .next
        .handle(&PayeeEvent::Voucher(voucher(2, 900, vec![])), NOON);
    assert_eq!(refused(&refusal), Some(PayErrorCode::Closing));
    assert_eq!(step.next.claimable(NOON), wei(60));
    assert_eq!(
        step.next.handle(&closing, NOON).effects,
        vec![],
        "news once heard"
    );
}

#[test]
fn a_claim_carries_the_best_word_and_goes_out_once() {
    let channel = paid(&in_session(), 30).next;
    let step = channel.handle(&PayeeEvent::ClaimAsked, NOON);
    assert!(step.save, "the words are on disk before they are public");
    let claim = step.effects.iter().find_map(|it| match it {
        PayeeEffect::Submit(ChainAction::Claim(it)) => Some(it.clone()),
        _ => None,
    });
    let claim = claim.unwrap();
    assert_eq!((claim.reveals[0].index, claim.reveals[0].k), (0, 30));
    assert_eq!(
        step.next.handle(&PayeeEvent::ClaimAsked, NOON).effects,
        vec![]
    );
    let failed = step.next.handle(&PayeeEvent::ClaimFailed, NOON).next;
    assert_ne!(failed.handle(&PayeeEvent::ClaimAsked, NOON).effects, vec![]);
    let done = step
        .next
        .handle(&PayeeEvent::Chain(ChainFact::Claimed(wei(60))), NOON)
        .next;
    assert_eq!(done.claimable(NOON), wei(0));
    assert_eq!(done.handle(&PayeeEvent::ClaimAsked, NOON).effects, vec![]);
}

#[test]
fn after_a_consent_to_close_nothing_more_is_earned() {
    let channel = paid(&in_session(), 30).next;
    let not_after = NOON.plus(Duration::from_secs(60));
    let step = channel.handle(&PayeeEvent::ConsentAsked { not_after }, NOON);
    assert!(step.save);
    let consent = PayeeEffect::Consent {
        final_amount: wei(60),
        not_after,
    };
    assert!(step.effects.contains(&consent));
    assert_eq!(refused(&paid(&step.next, 31)), Some(PayErrorCode::Closing));
    let later = |late: Duration| {
        let at = not_after.plus(late);
        step.next.handle(&PayeeEvent::Word(word(1, 100, 31)), at)
    };
    let early = later(Duration::from_secs(120));
    assert_eq!(
        refused(&early),
        Some(PayErrorCode::Closing),
        "a clock may be wrong"
    );
    let after = later(DOUBT + Duration::from_millis(1));
    assert!(accepted(&after).is_some(), "an unused consent ends");
}

#[test]
fn on_an_old_view_a_consent_may_have_been_used() {
    let channel = paid(&in_session(), 30).next;
    let not_after = NOON.plus(Duration::from_secs(60));
    let consented = channel.handle(&PayeeEvent::ConsentAsked { not_after }, NOON);
    let later = not_after.plus(Duration::from_secs(3600));
    let word = |it: &PayeeChannel| it.handle(&PayeeEvent::Word(word(1, 100, 31)), later);
    let stale = |it: &PayeeChannel, stale| it.handle(&PayeeEvent::Stale(stale), later);
    let away = stale(&consented.next, true).next;
    assert_eq!(refused(&word(&away)), Some(PayErrorCode::Closing));
    let looked = stale(&away, false);
    assert!(looked.save, "it is over");
    assert!(accepted(&word(&looked.next)).is_some());
    let blind = stale(&looked.next, true).next;
    assert!(accepted(&word(&blind)).is_some(), "and binds no more");
}

/// A payer keeps every consent that it was given: the longest of them binds.
#[test]
fn a_shorter_consent_takes_nothing_from_a_longer_one() {
    let ask = |channel: &PayeeChannel, secs| {
        let not_after = NOON.plus(Duration::from_secs(secs));
        let step = channel.handle(&PayeeEvent::ConsentAsked { not_after }, NOON);
        let told = |it: &PayeeEffect| matches!(it, PayeeEffect::Consent { not_after: it, .. } if *it == not_after);
        assert!(
            step.effects.iter().any(told),
            "what was asked for is signed"
        );
        step.next
    };
    let channel = paid(&in_session(), 30).next;
    let consented = ask(&ask(&channel, 600), 0);
    let word = |channel: &PayeeChannel, secs| {
        let at = NOON.plus(Duration::from_secs(secs));
        channel.handle(&PayeeEvent::Word(word(1, 100, 31)), at)
    };
    let refusal = refused(&word(&consented, 301));
    assert_eq!(refusal, Some(PayErrorCode::Closing), "the first one stands");
    assert_eq!(refused(&word(&consented, 901)), None);
    let gone = channel.handle(&PayeeEvent::CloseAsked, NOON).next;
    let refusal = refused(&word(&ask(&gone, 600), 10_000));
    assert_eq!(refusal, Some(PayErrorCode::Closing), "it has left for good");
}

#[test]
fn on_an_old_view_of_the_chain_no_voucher_is_taken() {
    let step = in_session().handle(&PayeeEvent::Stale(true), NOON);
    assert_eq!(step.effects, vec![], "what was taken goes on");
    let refusal = step
        .next
        .handle(&PayeeEvent::Voucher(voucher(2, 900, vec![])), NOON);
    assert_eq!(refused(&refusal), Some(PayErrorCode::ChainStale));
    let fresh = step.next.handle(&PayeeEvent::Stale(false), NOON).next;
    let step = fresh.handle(&PayeeEvent::Voucher(voucher(2, 900, vec![])), NOON);
    assert!(accepted(&step).is_some());
}

#[test]
fn everything_needed_for_a_claim_survives_the_record() {
    let channel = paid(&in_session(), 30).next;
    let read = PayeeChannel::decode(&channel.encode(), Rules::default()).unwrap();
    assert_eq!(read.claim_now(NOON), channel.claim_now(NOON));
    assert_eq!(read.accepted(NOON), channel.accepted(NOON));
    let stranger = Lock {
        anchor: HashLock::from_bytes([3; 32]),
        ..lock(1, 2, 10)
    };
    assert!(
        accepted(&read.handle(&PayeeEvent::Voucher(voucher(2, 60, vec![stranger])), NOON))
            .is_some()
    );
}

fn deposit(channel: &PayeeChannel, amount: u64) -> Step {
    let fact = ChainFact::Deposit(wei(amount));
    channel.handle(&PayeeEvent::Chain(fact), NOON)
}

#[test]
fn a_deposit_that_a_rewritten_history_took_back_serves_nothing_more() {
    let channel = paid(&in_session(), 10).next;
    let step = deposit(&channel, 0);
    assert!(step.save);
    let stop = PayeeEffect::Stop(StopReason::Undone);
    assert!(step.effects.contains(&stop), "{:?}", step.effects);
    let refusal = refused(&paid(&step.next, 11));
    assert_eq!(refusal, Some(PayErrorCode::NotConfirmed));
    let back = deposit(&step.next, 1000).next;
    assert_eq!(back.phase(), Phase::Open);
    assert_eq!(accepted(&paid(&back, 11)).unwrap().ack.value_now, wei(22));
}

#[test]
fn words_beyond_what_is_left_of_a_deposit_do_not_count() {
    let channel = deposit(&in_session(), 10).next;
    let step = paid(&channel, 5);
    assert_eq!(accepted(&step).unwrap().ack.value_now, wei(10));
    let refusal = refused(&paid(&step.next, 6));
    assert_eq!(refusal, Some(PayErrorCode::OverCommitted));
}

#[test]
fn a_word_in_a_closed_channel_is_no_money() {
    let channel = paid(&in_session(), 3).next;
    let closed = channel
        .handle(&PayeeEvent::Chain(ChainFact::Closed), NOON)
        .next;
    assert_eq!(refused(&paid(&closed, 4)), Some(PayErrorCode::Closing));
}

#[test]
fn a_payee_that_gives_the_channel_back_earns_nothing_more() {
    let channel = paid(&in_session(), 3).next;
    let step = channel.handle(&PayeeEvent::CloseAsked, NOON);
    assert!(step.save);
    let stop = PayeeEffect::Stop(StopReason::Closing);
    let close = PayeeEffect::Submit(ChainAction::CloseByPayee);
    let book = PayeeEffect::Book(Posting::earned(channel.terms().id, wei(6)));
    assert_eq!(step.effects, vec![book, stop, close]);
    let later = PayeeChannel::decode(&step.next.encode(), Rules::default()).unwrap();
    assert_eq!(refused(&paid(&later, 4)), Some(PayErrorCode::Closing));
    let voucher = PayeeEvent::Voucher(voucher(2, 900, vec![]));
    let refusal = later.handle(&voucher, NOON.plus(Duration::from_secs(1 << 20)));
    assert_eq!(refused(&refusal), Some(PayErrorCode::Closing));
}

/// Its words would be worth nothing when the lock has expired, and the session would have been served for them.
#[test]
fn r5_a_word_of_a_lock_that_expires_pays_no_session() {
    let expiring = Lock {
        expiry: NOON.as_secs() + 3700,
        ..lock(1, 2, 100)
    };
    let begun = open_payee(1000)
        .handle(&PayeeEvent::RunBegins { unit_price: wei(2) }, NOON)
        .next;
    let held = begun
        .handle(&PayeeEvent::Voucher(voucher(1, 0, vec![expiring])), NOON)
        .next;
    for at in [NOON, NOON.plus(Duration::from_secs(3699))] {
        let step = held.handle(&PayeeEvent::Word(word(1, 100, 30)), at);
        assert_eq!(refused(&step), Some(PayErrorCode::ExpiryTooSoon));
        assert_eq!(step.next, held);
    }
}
