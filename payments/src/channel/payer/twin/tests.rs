//! Two machines with one wallet: what the payer's core makes of what it hears, and what a restored one goes on with.

use warren_proto::{Lock, PaymentId, UnixTime, Voucher, VoucherAck};

use super::*;
use crate::channel::event::{ChainFact, PayerEvent, Shown};
use crate::channel::fixture::{NOON, lock, open_payer, terms, voucher, wei, word, words};
use crate::channel::{Phase, RoutedLock, RoutedOrder};

fn ask(channel: &PayerChannel, event: &PayerEvent) -> Step {
    channel.handle(event, NOON)
}

fn lock_asked() -> PayerEvent {
    PayerEvent::LockAsked { unit_price: wei(2) }
}

/// In a session: voucher 1, ten words of two wei each said.
fn in_session() -> PayerChannel {
    let begun = ask(&open_payer(1000), &lock_asked()).next;
    ask(&begun, &PayerEvent::ReleaseAsked { units: 10 }).next
}

fn found() -> PayerChannel {
    let found = PayerChannel::found(terms(), 1, 256);
    let deposit = ChainFact::Deposit(wei(1000));
    ask(&found, &PayerEvent::Chain(deposit)).next
}

fn says(seq: u64, value: u64) -> PayerEvent {
    PayerEvent::PayeeSaw(VoucherAck {
        channel: terms().id,
        seq,
        value_now: wei(value),
        covered: wei(1000),
    })
}

fn shows(it: crate::VerifiedVoucher, said: &[warren_proto::WordFrame]) -> PayerEvent {
    PayerEvent::Shown(Shown::prove(it, said).unwrap())
}

fn refusal(step: &Step) -> Option<PayerRefusal> {
    step.effects.iter().find_map(|it| match it {
        PayerEffect::Refuse(it) => Some(*it),
        _ => None,
    })
}

fn sent(step: &Step) -> Option<crate::channel::VoucherDraft> {
    step.effects.iter().find_map(|it| match it {
        PayerEffect::SendVoucher(it) => Some(it.clone()),
        _ => None,
    })
}

/// Signs nothing and says nothing, now and after a restart; and can still be closed.
fn stands_still(channel: &PayerChannel) {
    let payment = PaymentId::from_bytes([1; 16]);
    let routed = RoutedLock {
        payment,
        lock: Lock {
            expiry: NOON.as_secs() + 7200,
            ..lock(7, 2, 4)
        },
        hold_fee: wei(0),
        own: None,
    };
    let word = words(7, 4).word(2).unwrap().clone();
    let fold = RoutedOrder::Fold {
        payment,
        k: 2,
        word,
        proof: crate::channel::Proof::OnChain,
    };
    for channel in [
        channel.clone(),
        PayerChannel::decode(&channel.encode()).unwrap(),
    ] {
        assert!(!channel.is_usable());
        for event in [
            lock_asked(),
            PayerEvent::ReleaseAsked { units: 11 },
            PayerEvent::TopUpAsked { amount: wei(1) },
            PayerEvent::Routed(RoutedOrder::Lock(routed.clone())),
        ] {
            let step = ask(&channel, &event);
            assert_eq!(refusal(&step), Some(PayerRefusal::Shared), "{event:?}");
            assert_eq!(step.next, channel);
        }
        for event in [PayerEvent::FinalAsked, PayerEvent::Routed(fold.clone())] {
            assert_eq!(ask(&channel, &event).next, channel, "{event:?}");
        }
        let closed = ask(&channel, &PayerEvent::CloseAsked(None));
        assert_eq!(closed.effects.len(), 1, "its money comes home");
        assert_eq!(refusal(&closed), None);
    }
}

#[test]
fn a_voucher_beyond_ours_that_is_said_stops_the_channel_until_the_payee_shows_that_there_is_none() {
    let channel = in_session();
    let step = ask(&channel, &says(2, 20));
    assert!(step.save, "not forgotten at a restart");
    assert_eq!(refusal(&step), Some(PayerRefusal::Shared));
    stands_still(&step.next);
    assert!(
        !step.next.is_shared(),
        "a payee that lies stops its own channel only"
    );

    let held = voucher(1, 0, vec![lock(1, 2, 256)]);
    let cleared = ask(&step.next, &shows(held, &[word(1, 256, 10)]));
    assert!(cleared.save && cleared.next.is_usable());
    let more = ask(&cleared.next, &PayerEvent::ReleaseAsked { units: 11 });
    assert_eq!(refusal(&more), None);
}

#[test]
fn a_voucher_beyond_ours_that_is_shown_stops_the_channel_for_good() {
    let channel = ask(&in_session(), &says(5, 90)).next;
    let theirs = shows(voucher(5, 90, Vec::new()), &[]);
    let step = ask(&channel, &theirs);
    assert!(step.save && step.effects.contains(&PayerEffect::Stranger));
    assert!(step.next.is_shared());
    assert_eq!(
        step.next.value(),
        wei(90),
        "a consent to close at that is believed"
    );
    stands_still(&step.next);
    let ours = shows(voucher(1, 0, vec![lock(1, 2, 256)]), &[]);
    let later = ask(&step.next, &ours);
    assert!(later.next.is_shared(), "an older one clears nothing");
    let again = ask(&step.next, &theirs);
    assert_eq!((again.next, again.effects), (step.next.clone(), Vec::new()));

    let closed = ask(&step.next, &PayerEvent::Chain(ChainFact::Closed)).next;
    assert!(!closed.is_shared(), "what is over holds up nobody");
}

#[test]
fn a_claim_of_more_than_was_ever_promised_is_another_machines() {
    let channel = in_session();
    let most = 2 * 256;
    let fair = ask(&channel, &PayerEvent::Chain(ChainFact::Claimed(wei(most))));
    assert!(fair.next.is_usable(), "these words may have been said");
    let step = ask(
        &channel,
        &PayerEvent::Chain(ChainFact::Claimed(wei(most + 1))),
    );
    assert!(step.save && step.effects.contains(&PayerEffect::Stranger));
    stands_still(&step.next);
    let lost = ask(&found(), &PayerEvent::Chain(ChainFact::Claimed(wei(999))));
    assert!(
        !lost.next.is_shared(),
        "who has lost the books knows nothing of that"
    );
}

#[test]
fn a_channel_of_another_machine_is_only_closed() {
    let theirs = found().of_another();
    assert!(theirs.is_shared());
    let shown = ask(&theirs, &shows(voucher(9, 100, Vec::new()), &[])).next;
    assert_eq!(shown.value(), wei(100));
    stands_still(&shown);
}

#[test]
fn a_restored_wallet_goes_on_where_the_payee_says_under_fresh_numbers() {
    let shown = shows(voucher(9, 100, vec![lock(9, 2, 10)]), &[word(9, 10, 3)]);
    let early = ask(&found(), &lock_asked());
    assert_eq!(refusal(&early), Some(PayerRefusal::Unknown));
    let step = ask(&found(), &shown);
    assert!(step.save && step.next.is_usable());
    assert_eq!(step.next.value(), wei(106));
    let draft = sent(&ask(&step.next, &lock_asked())).unwrap();
    assert_eq!(draft.base, wei(106));
    assert!(
        draft.seq > NOON.as_millis(),
        "no number, so no word chain, is ever used twice"
    );
    assert_eq!(ask(&step.next, &shown).next, step.next, "once is enough");
}

#[test]
fn an_older_store_says_nothing_before_it_has_heard_what_was_promised_since() {
    let old = PayerChannel::decode(&in_session().rolled_back().encode()).unwrap();
    assert!(!old.is_usable());
    for event in [lock_asked(), PayerEvent::ReleaseAsked { units: 11 }] {
        assert_eq!(refusal(&ask(&old, &event)), Some(PayerRefusal::Unknown));
    }
    let heard = ask(&old, &shows(voucher(5, 90, Vec::new()), &[])).next;
    assert!(heard.is_usable() && !heard.is_shared(), "it was itself");
    assert_eq!(heard.value(), wei(90));
    let closed = ask(&in_session(), &PayerEvent::Chain(ChainFact::Closed)).next;
    assert_eq!(closed.clone().rolled_back(), closed);
    assert_eq!(closed.phase(), Phase::Closed);
}

/// A router claims the words of a lock while the consumer, who alone could fold them, has lost its disk.
#[test]
fn what_the_chain_paid_by_a_lost_lock_is_in_the_base_once_it_is_over() {
    let routed = Lock {
        expiry: NOON.as_secs() + 7200,
        ..lock(8, 3, 20)
    };
    let claimed = ask(&found(), &PayerEvent::Chain(ChainFact::Claimed(wei(25)))).next;
    let shown = ask(&claimed, &shows(voucher(9, 10, vec![routed]), &[])).next;
    let early = ask(&shown, &lock_asked());
    assert_eq!(
        sent(&early).unwrap().base,
        wei(10),
        "its words are worth something until then"
    );
    let over = UnixTime::from_secs(routed.expiry + 3600);
    let heard = ask(&shown, &PayerEvent::HeardUntil(over)).next;
    let step = ask(&heard, &lock_asked());
    let draft = sent(&step).unwrap();
    assert_eq!((draft.base, draft.routed.len()), (wei(25), 0));
    let paid = crate::ledger::Posting::paid(terms().id, wei(15));
    assert!(step.effects.contains(&PayerEffect::Book(paid)));
    // One that was restored when all of that was over.
    let late = ask(&claimed, &shows(voucher(9, 10, Vec::new()), &[])).next;
    assert_eq!(late.value(), wei(25));
}

/// The payee takes no voucher without the locks of routes that live, and what they pay is not in the base.
#[test]
fn a_restored_wallet_keeps_the_locks_of_routes_in_its_vouchers() {
    let routed = Lock {
        expiry: NOON.as_secs() + 7200,
        ..lock(8, 3, 20)
    };
    let theirs: Voucher = voucher(9, 100, vec![lock(9, 2, 10), routed]).get().clone();
    let mut said = [word(9, 10, 3), word(8, 20, 5)];
    said[1].lane = 1;
    let verified = crate::VerifiedVoucher::verify(theirs, &terms().params, &terms().chain).unwrap();
    let heard = ask(&found(), &shows(verified, &said)).next;
    let draft = sent(&ask(&heard, &lock_asked())).unwrap();
    assert_eq!(
        draft.base,
        wei(106),
        "the route's words are still in its lock"
    );
    assert_eq!(draft.routed, vec![routed]);
    let most = draft.base.wei() + 2 * u128::from(draft.lock.unwrap().units) + 60;
    assert!(most <= 1000, "{most} promised");
}
