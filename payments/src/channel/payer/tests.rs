use warren_proto::VoucherAck;

use super::*;
use crate::channel::event::{LockDraft, Shown, VoucherDraft};
use crate::channel::fixture::{NOON, open_payer, terms, wei};

const PRICE: u64 = 2;

fn ask(channel: &PayerChannel, event: &PayerEvent) -> Step {
    channel.handle(event, NOON)
}

fn in_session(deposit: u64) -> PayerChannel {
    ask(
        &open_payer(deposit),
        &PayerEvent::LockAsked {
            unit_price: wei(PRICE),
        },
    )
    .next
}

fn release(channel: &PayerChannel, units: u64) -> Step {
    ask(channel, &PayerEvent::ReleaseAsked { units })
}

fn vouchers(step: &Step) -> Vec<VoucherDraft> {
    let drafts = step.effects.iter().filter_map(|it| match it {
        PayerEffect::SendVoucher(it) => Some(it.clone()),
        _ => None,
    });
    drafts.collect()
}

fn words(step: &Step) -> Vec<(u64, u32)> {
    let words = step.effects.iter().filter_map(|it| match it {
        PayerEffect::SendWord { tranche, k, .. } => Some((*tranche, *k)),
        _ => None,
    });
    words.collect()
}

fn refusal(step: &Step) -> Option<PayerRefusal> {
    step.effects.iter().find_map(|it| match it {
        PayerEffect::Refuse(it) => Some(*it),
        _ => None,
    })
}

fn ack(channel: &PayerChannel, seq: u64, value_now: u64) -> PayerEvent {
    let value_now = wei(value_now);
    let (channel, covered) = (channel.terms().id, channel.deposit());
    PayerEvent::PayeeSaw(VoucherAck {
        channel,
        seq,
        value_now,
        covered,
    })
}

fn restarted(channel: &PayerChannel) -> PayerChannel {
    PayerChannel::decode(&channel.encode()).unwrap()
}

#[test]
fn opening_is_saved_before_it_is_submitted() {
    let step = PayerChannel::open(terms(), 0, wei(10), 256);
    assert!(step.save);
    let open = PayerEffect::Submit(ChainAction::Open { amount: wei(10) });
    assert_eq!(step.effects, vec![open]);
    let early = ask(&step.next, &PayerEvent::LockAsked { unit_price: wei(1) });
    assert_eq!(refusal(&early), Some(PayerRefusal::NotConfirmed));
}

#[test]
fn a_session_begins_with_a_voucher_that_is_on_disk() {
    let step = ask(
        &open_payer(1000),
        &PayerEvent::LockAsked {
            unit_price: wei(PRICE),
        },
    );
    assert!(step.save);
    let lock = Some(LockDraft {
        tranche: 1,
        unit_price: wei(PRICE),
        units: 256,
    });
    assert_eq!(
        vouchers(&step),
        vec![VoucherDraft {
            seq: 1,
            base: wei(0),
            lock,
            routed: vec![],
        }]
    );
}

#[test]
fn a_lock_is_never_longer_than_the_deposit_covers() {
    let channel = in_session(21);
    assert_eq!(channel.draft().unwrap().lock.unwrap().units, 10);
    let poor = ask(
        &open_payer(1),
        &PayerEvent::LockAsked {
            unit_price: wei(PRICE),
        },
    );
    assert_eq!(
        refusal(&poor),
        Some(PayerRefusal::Exhausted {
            unit_price: wei(PRICE)
        })
    );
    let free = ask(
        &open_payer(1),
        &PayerEvent::LockAsked { unit_price: wei(0) },
    );
    assert_eq!(refusal(&free), Some(PayerRefusal::FreeUnit));
}

#[test]
fn the_next_tranche_comes_before_its_first_word() {
    let channel = release(&in_session(10_000), 250).next;
    let step = release(&channel, 260);
    assert!(step.save);
    assert_eq!(words(&step), vec![(1, 256), (2, 4)]);
    let lock = Some(LockDraft {
        tranche: 2,
        unit_price: wei(PRICE),
        units: 256,
    });
    assert_eq!(
        vouchers(&step),
        vec![VoucherDraft {
            seq: 2,
            base: wei(512),
            lock,
            routed: vec![],
        }]
    );
    let voucher_at = step
        .effects
        .iter()
        .position(|it| matches!(it, PayerEffect::SendVoucher(_)));
    assert!(voucher_at.unwrap() > 0 && voucher_at.unwrap() < step.effects.len() - 1);
    assert_eq!(step.next.value(), wei(520));
}

#[test]
fn words_are_at_most_64_apart() {
    let step = release(&in_session(10_000), 200);
    assert_eq!(words(&step), vec![(1, 64), (1, 128), (1, 192), (1, 200)]);
}

#[test]
fn not_every_word_costs_a_write() {
    let mut channel = in_session(10_000);
    let mut saves = 0;
    for units in 1..=160 {
        let step = release(&channel, units);
        saves += u32::from(step.save);
        channel = step.next;
    }
    assert_eq!(saves, 10);
}

#[test]
fn asking_for_less_or_the_same_releases_nothing() {
    let channel = release(&in_session(1000), 10).next;
    assert_eq!(release(&channel, 10).effects, vec![]);
    assert_eq!(release(&channel, 3).effects, vec![]);
}

#[test]
fn what_the_deposit_does_not_cover_is_asked_for() {
    let step = release(&in_session(21), 12);
    assert_eq!(
        step.effects.last(),
        Some(&PayerEffect::TopUpNeeded { units_short: 2 })
    );
    assert_eq!(step.next.value(), wei(20));
    let fact = ChainFact::Deposit(wei(100));
    let richer = ask(&step.next, &PayerEvent::Chain(fact)).next;
    let step = release(&richer, 12);
    assert_eq!(step.next.value(), wei(24));
    assert_eq!(words(&step), vec![(2, 2)]);
}

#[test]
fn the_final_voucher_folds_all_words() {
    let channel = release(&in_session(1000), 10).next;
    let step = ask(&channel, &PayerEvent::FinalAsked);
    assert!(step.save);
    assert_eq!(
        vouchers(&step),
        vec![VoucherDraft {
            seq: 2,
            base: wei(20),
            lock: None,
            routed: vec![],
        }]
    );
    let again = ask(&step.next, &PayerEvent::FinalAsked);
    assert_eq!(vouchers(&again), vouchers(&step), "asked again, sent again");
    assert!(!again.save);
}

#[test]
fn a_new_session_goes_on_with_the_words_left() {
    let channel = release(&in_session(1000), 10).next;
    let step = ask(
        &channel,
        &PayerEvent::LockAsked {
            unit_price: wei(PRICE),
        },
    );
    assert_eq!(vouchers(&step)[0].seq, 1);
    assert_eq!(words(&release(&step.next, 1)), vec![(1, 11)]);
}

#[test]
fn after_a_crash_the_payee_is_believed_within_the_reserve() {
    let before = release(&in_session(1000), 1).next; // On disk: at most 16 released.
    let after = restarted(&before);
    let step = ask(&after, &ack(&after, 1, 14));
    assert!(step.save);
    assert_eq!(step.next.value(), wei(14));
    assert_eq!(step.next.released(), 7, "the session goes on where it was");
    let lie = ask(&after, &ack(&after, 1, 34));
    assert!(matches!(
        refusal(&lie),
        Some(PayerRefusal::PayeeOverclaims { .. })
    ));
    assert_eq!(lie.next, after);
}

#[test]
fn without_a_crash_the_payee_is_not_believed_at_all() {
    let channel = release(&in_session(1000), 1).next;
    let step = ask(&channel, &ack(&channel, 1, 4));
    assert!(matches!(
        refusal(&step),
        Some(PayerRefusal::PayeeOverclaims { .. })
    ));
}

#[test]
fn words_forgotten_under_a_folded_lock_are_counted_as_released() {
    let before = release(&in_session(1000), 1).next;
    let after = restarted(&before);
    let event = PayerEvent::LockAsked { unit_price: wei(5) };
    let drafts = vouchers(&ask(&after, &event));
    assert_eq!(
        drafts[0].base,
        wei(32),
        "the payee may hold 16 words and takes nothing below"
    );
}

#[test]
fn a_new_session_after_a_crash_sends_words_the_payee_cannot_know() {
    let before = release(&in_session(1000), 1).next;
    let after = restarted(&before);
    let begun = ask(
        &after,
        &PayerEvent::LockAsked {
            unit_price: wei(PRICE),
        },
    )
    .next;
    assert_eq!(words(&release(&begun, 1)), vec![(1, 17)]);
    let told = ask(&begun, &ack(&begun, 1, 14)).next;
    assert_eq!(
        words(&release(&told, 1)),
        vec![(1, 8)],
        "unless the payee said what it holds"
    );
}

#[test]
fn what_is_shown_again_changes_nothing() {
    let mut channel = in_session(10_000);
    for units in 1..=10 {
        channel = release(&channel, units).next;
    }
    let event = PayerEvent::Shown(Shown::default());
    assert_eq!(ask(&channel, &event).next, channel);
}

#[test]
fn closing_takes_the_rest_back_when_the_window_is_over() {
    let channel = release(&in_session(1000), 10).next;
    let step = ask(&channel, &PayerEvent::CloseAsked(None));
    assert_eq!(
        step.effects,
        vec![PayerEffect::Submit(ChainAction::StartClose)]
    );
    let closes_at = NOON.as_secs() + 3600;
    let closing = ask(
        &step.next,
        &PayerEvent::Chain(ChainFact::Closing { closes_at }),
    )
    .next;
    assert_eq!(refusal(&release(&closing, 11)), Some(PayerRefusal::Closing));
    assert_eq!(ask(&closing, &PayerEvent::Tick).effects, vec![]);
    let over = closing.handle(&PayerEvent::Tick, UnixTime::from_secs(closes_at));
    assert_eq!(
        over.effects,
        vec![PayerEffect::Submit(ChainAction::FinishClose)]
    );
    let again = over
        .next
        .handle(&PayerEvent::Tick, UnixTime::from_secs(closes_at));
    assert_eq!(again.effects, vec![], "one is on its way");
    let closed = ask(&over.next, &PayerEvent::Chain(ChainFact::Closed)).next;
    assert_eq!(closed.phase(), Phase::Closed);
}

#[test]
fn a_consent_above_what_was_paid_is_not_used() {
    let channel = release(&in_session(1000), 10).next;
    let consent = |amount| CloseConsent {
        final_amount: wei(amount),
        not_after: NOON,
        signature: [0; 64],
    };
    let greedy = ask(&channel, &PayerEvent::CloseAsked(Some(consent(21))));
    assert!(matches!(
        refusal(&greedy),
        Some(PayerRefusal::PayeeOverclaims { .. })
    ));
    let fair = ask(&channel, &PayerEvent::CloseAsked(Some(consent(20))));
    assert_eq!(fair.effects.len(), 1);
}

#[test]
fn what_a_payee_may_have_missed_is_said_in_steps_that_it_takes() {
    let channel = release(&in_session(10_000), 200).next;
    let step = ask(&channel, &PayerEvent::RepeatAsked);
    assert!(!step.save);
    assert_eq!(vouchers(&step), vec![channel.draft().unwrap()]);
    assert_eq!(words(&step), vec![(1, 64), (1, 128), (1, 192), (1, 200)]);
    let even = release(&in_session(10_000), 128).next;
    let again = words(&ask(&even, &PayerEvent::RepeatAsked));
    assert_eq!(again, vec![(1, 64), (1, 128)]);
    let silent = words(&ask(&in_session(10_000), &PayerEvent::RepeatAsked));
    assert_eq!(silent, vec![]);
}

#[test]
fn the_books_of_a_closed_channel_stay_closed() {
    let channel = release(&in_session(1000), 5).next;
    let closed = ask(&channel, &PayerEvent::Chain(ChainFact::Closed)).next;
    let late = ask(&closed, &PayerEvent::FinalAsked);
    assert_eq!(refusal(&late), Some(PayerRefusal::Closing));
    assert_eq!(ask(&closed, &ack(&closed, 1, 9)), Step::stay(&closed));
}

#[test]
fn an_opening_that_failed_is_not_tried_again_by_a_restart() {
    let opening = PayerChannel::open(terms(), 0, wei(10), 256).next;
    let again = ask(&restarted(&opening), &PayerEvent::Restarted);
    let open = PayerEffect::Submit(ChainAction::Open { amount: wei(10) });
    assert_eq!(again.effects, vec![open], "nobody knows what became of it");
    let failed = ask(&opening, &PayerEvent::ActionFailed).next;
    let quiet = ask(&restarted(&failed), &PayerEvent::Restarted);
    assert_eq!(quiet.effects, vec![]);
}

#[test]
fn a_second_top_up_waits_for_the_first() {
    let ask = PayerEvent::TopUpAsked { amount: wei(10) };
    let channel = open_payer(100);
    let step = channel.handle(&ask, NOON);
    assert_eq!(step.next.pending(), wei(10));
    let twice = step.next.handle(&ask, NOON);
    let refusal = PayerEffect::Refuse(PayerRefusal::TopUpUnderWay);
    assert_eq!(twice.effects, vec![refusal]);
    let deposit = PayerEvent::Chain(ChainFact::Deposit(wei(110)));
    let confirmed = step.next.handle(&deposit, NOON).next;
    assert_eq!(confirmed.pending(), wei(0));
    let failed = step.next.handle(&PayerEvent::ActionFailed, NOON).next;
    for free in [confirmed, failed] {
        let submits = |it: &PayerEffect| matches!(it, PayerEffect::Submit(_));
        assert!(free.handle(&ask, NOON).effects.iter().any(submits));
    }
}
