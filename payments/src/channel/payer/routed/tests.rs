//! The payer of routes' locks: what is promised, said and folded.

use warren_proto::{Lock, PaymentId, VoucherAck};

use super::*;
use crate::channel::event::VoucherDraft;
use crate::channel::fixture::routed::{LIFE, PAYMENT, at, late, rest, routed_lock};
use crate::channel::fixture::{NOON, lock, open_payer, terms, wei};
use crate::channel::{PayerEvent, Proof, RoutedLock, RoutedOrder};

fn order(channel: &PayerChannel, order: RoutedOrder) -> Step {
    channel.handle(&PayerEvent::Routed(order), NOON)
}

fn locked(own: bool, hold_fee: u64) -> PayerChannel {
    let channel = open_payer(100);
    let own = own.then(|| channel.next_tranche());
    let asked = RoutedLock {
        payment: PAYMENT,
        lock: routed_lock(),
        own,
        hold_fee: wei(hold_fee),
    };
    order(&channel, RoutedOrder::Lock(asked)).next
}

fn ready() -> PayerChannel {
    let (payment, anchor) = (PAYMENT, routed_lock().anchor);
    order(&locked(true, 3), RoutedOrder::Ready { payment, anchor }).next
}

fn release(units: u32) -> RoutedOrder {
    RoutedOrder::Release {
        payment: PAYMENT,
        units,
    }
}

fn fold(k: u32, proof: Proof) -> RoutedOrder {
    RoutedOrder::Fold {
        payment: PAYMENT,
        k,
        word: at(k),
        proof,
    }
}

fn draft(effects: &[PayerEffect]) -> Option<VoucherDraft> {
    effects.iter().find_map(|it| match it {
        PayerEffect::SendVoucher(it) => Some(it.clone()),
        _ => None,
    })
}

fn refusal(effects: &[PayerEffect]) -> Option<PayerRefusal> {
    effects.iter().find_map(|it| match it {
        PayerEffect::Refuse(it) => Some(*it),
        _ => None,
    })
}

#[test]
fn p1_a_lock_is_saved_before_its_voucher_is_sent_and_binds_the_deposit() {
    let asked = RoutedLock {
        payment: PAYMENT,
        lock: routed_lock(),
        own: None,
        hold_fee: wei(3),
    };
    let step = order(&open_payer(100), RoutedOrder::Lock(asked.clone()));
    assert!(step.save);
    let draft = draft(&step.effects).unwrap();
    assert_eq!((draft.base, draft.routed), (wei(3), vec![routed_lock()]));
    assert_eq!(step.next.value(), wei(3));
    assert_eq!(step.next.spendable(), wei(100 - 3 - 50));

    let poor = order(&open_payer(52), RoutedOrder::Lock(asked.clone()));
    let unit_price = wei(5);
    assert_eq!(
        refusal(&poor.effects),
        Some(PayerRefusal::Exhausted { unit_price })
    );
    let twice = order(&step.next, RoutedOrder::Lock(asked));
    let payment = PAYMENT;
    assert_eq!(
        refusal(&twice.effects),
        Some(PayerRefusal::LockTwice { payment })
    );
    // What the route has bound, a session of the same channel cannot promise.
    let session = step
        .next
        .handle(&PayerEvent::LockAsked { unit_price: wei(1) }, NOON);
    let own = session.next.draft().unwrap().lock.unwrap();
    assert_eq!(own.units, 47);
}

#[test]
fn no_word_is_said_before_the_exit_is_ready_nor_after_the_lock_is_dead() {
    let payment = PAYMENT;
    let not_ready = Some(PayerRefusal::NotReady { payment });
    let offered = locked(true, 3);
    assert_eq!(refusal(&order(&offered, release(1)).effects), not_ready);
    let anchor = rest(1).anchor;
    let other = order(&offered, RoutedOrder::Ready { payment, anchor });
    assert_eq!(refusal(&other.effects), not_ready);
    let anchor = routed_lock().anchor;
    let ready_late = PayerEvent::Routed(RoutedOrder::Ready { payment, anchor });
    let step = offered.handle(&ready_late, late(30));
    assert_eq!(refusal(&step.effects), not_ready, "R6");
    let dead = order(&ready(), RoutedOrder::Dead(payment)).next;
    assert_eq!(refusal(&order(&dead, release(1)).effects), not_ready);
    assert_eq!(
        dead.draft().unwrap().routed,
        vec![routed_lock()],
        "held until it expires"
    );
    let expired = ready().handle(&PayerEvent::Routed(release(1)), late(LIFE));
    assert_eq!(
        refusal(&expired.effects),
        Some(PayerRefusal::LockExpired { payment })
    );
}

#[test]
fn words_are_said_up_to_the_end_of_the_lock_and_what_is_said_counts() {
    let step = order(&ready(), release(4));
    assert!(step.save, "the record runs ahead");
    assert_eq!(step.next.value(), wei(3 + 20));
    let more = order(&step.next, release(99));
    assert_eq!(more.next.value(), wei(3 + 50));
    let said = more.effects.iter().map(|it| match it {
        PayerEffect::SendRoutedWord {
            k, tranche, units, ..
        } => (*k, *tranche, *units),
        other => panic!("{other:?}"),
    });
    let said: Vec<_> = said.collect();
    assert_eq!(said, [(10, 1, 10)]);
}

#[test]
fn a_fold_moves_the_anchor_to_the_word_and_its_worth_into_the_base() {
    let step = order(&locked(false, 0), fold(4, Proof::Told));
    assert!(step.save);
    let voucher = draft(&step.effects).unwrap();
    assert_eq!((voucher.base, voucher.routed), (wei(20), vec![rest(4)]));
    let step = order(&step.next, fold(7, Proof::Told));
    let voucher = draft(&step.effects).unwrap();
    assert_eq!((voucher.base, voucher.routed), (wei(35), vec![rest(7)]));
    let step = order(&step.next, fold(10, Proof::Told));
    let voucher = draft(&step.effects).unwrap();
    assert_eq!(
        (voucher.base, voucher.routed),
        (wei(50), vec![]),
        "nothing is left"
    );
}

#[test]
fn r3_is_for_what_is_told_not_for_what_the_chain_has_paid() {
    let payment = PAYMENT;
    let told = locked(false, 0).handle(&PayerEvent::Routed(fold(4, Proof::Told)), late(LIFE));
    assert_eq!(
        refusal(&told.effects),
        Some(PayerRefusal::LockExpired { payment })
    );
    let public = PayerEvent::Routed(fold(4, Proof::OnChain));
    let step = locked(false, 0).handle(&public, late(LIFE));
    assert_eq!(step.next.draft().unwrap().base, wei(20));
}

#[test]
fn a_wrong_word_is_refused_and_an_old_one_repeats_the_voucher() {
    let payment = PAYMENT;
    let channel = order(&locked(false, 0), fold(4, Proof::Told)).next;
    let wrong = RoutedOrder::Fold {
        payment,
        k: 6,
        word: at(7),
        proof: Proof::Told,
    };
    let refused = refusal(&order(&channel, wrong).effects);
    assert_eq!(refused, Some(PayerRefusal::BadWord { payment }));
    let again = order(&channel, fold(4, Proof::Told));
    assert!(!again.save);
    assert_eq!(draft(&again.effects), channel.draft());
}

#[test]
fn what_nobody_holds_is_taken_back_with_its_fee() {
    let step = order(&locked(true, 3), RoutedOrder::Dropped(PAYMENT));
    let voucher = draft(&step.effects).unwrap();
    assert_eq!(
        (voucher.seq, voucher.base, voucher.routed),
        (2, wei(0), vec![])
    );
    // Words were said: whatever the router says, it stays.
    let said = order(&ready(), release(1)).next;
    let kept = order(&said, RoutedOrder::Dropped(PAYMENT)).next;
    assert_eq!(kept.draft().unwrap().routed, vec![routed_lock()]);
}

#[test]
fn an_acknowledgement_of_words_not_shown_moves_nothing() {
    let channel = locked(false, 0);
    let ack = |value_now| {
        PayerEvent::PayeeSaw(VoucherAck {
            channel: terms().id,
            seq: 1,
            value_now: wei(value_now),
            covered: wei(100),
        })
    };
    let step = channel.handle(&ack(50), NOON);
    assert_eq!(step.next, channel);
    assert!(step.effects.is_empty());
    let over = channel.handle(&ack(51), NOON);
    assert!(matches!(
        refusal(&over.effects),
        Some(PayerRefusal::PayeeOverclaims { .. })
    ));
}

#[test]
fn a_restart_counts_no_word_twice_and_believes_the_exit_within_reason() {
    let said = order(&ready(), release(4)).next;
    let again = PayerChannel::decode(&said.encode()).unwrap();
    assert_eq!(again.encode(), said.encode());
    let payment = PAYMENT;
    let heard = order(&again, RoutedOrder::Heard { payment, k: 9 }).next;
    assert_eq!(heard.routed_lock(&PAYMENT).unwrap().released, Some(9));
    let folded = order(&again, fold(10, Proof::Told)).next;
    assert_eq!(folded.value(), wei(53), "a word that comes back was said");
}

#[test]
fn a_lock_stays_in_the_voucher_until_the_chain_was_heard_beyond_its_end() {
    // The clock says that it is long over; what was claimed of it meanwhile, nobody knows yet.
    let (after, later) = (late(LIFE + 3600), NOON.as_secs() + 2 * LIFE);
    let next = RoutedLock {
        payment: PaymentId::from_bytes([9; 16]),
        lock: Lock {
            expiry: later,
            ..rest(1)
        },
        own: None,
        hold_fee: wei(0),
    };
    let lock = PayerEvent::Routed(RoutedOrder::Lock(next));
    let locks = |channel: &PayerChannel| {
        let said = draft(&channel.handle(&lock, after).effects);
        said.unwrap().routed.len()
    };
    let deaf = ready();
    assert_eq!(locks(&deaf), 2);
    let told = deaf.handle(&PayerEvent::HeardUntil(after), after);
    assert!(!told.save);
    assert_eq!(locks(&told.next), 1);
}

/// A router whose channel onward was full when it fell quiet: nothing is folded, and no lock asked for before it says
/// that there is room.
#[test]
fn locks_that_are_over_take_no_place_once_the_chain_was_heard_beyond_them() {
    let expiry = routed_lock().expiry;
    let mut full = open_payer(100);
    for number in 1..=15 {
        let asked = RoutedLock {
            payment: PaymentId::from_bytes([number; 16]),
            lock: Lock {
                expiry,
                ..lock(number.into(), 1, 5)
            },
            own: None,
            hold_fee: wei(0),
        };
        full = order(&full, RoutedOrder::Lock(asked)).next;
    }
    assert_eq!(full.lockable(), (wei(25), 0));
    let heard = |at| full.handle(&PayerEvent::HeardUntil(at), at).next;
    assert_eq!(heard(late(LIFE + 3599)).lockable(), (wei(25), 0));
    let quiet = heard(late(LIFE + 3600));
    assert_eq!(quiet.lockable(), (wei(100), 15));
    assert_eq!(quiet.spendable(), wei(100));
    assert_eq!(quiet.draft(), full.draft(), "no voucher changes");
}
