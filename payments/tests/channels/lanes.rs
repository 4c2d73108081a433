//! Locks of routes at the node that holds them: which of them pay a session, and with which words.

use warren_payments::channel::PayerRefusal;
use warren_payments::{PaymentsError, RouteAsk};
use warren_proto::{LockOffer, NodeId, PayErrorCode};

use crate::party::{Party, UNIT, units, wei};
use crate::routed::{now, open_for_a_day, street, three_on, tomorrow};
use crate::street::{hint, lock_of, offer_of, say};

/// A session here could be paid by words that this node pays onward, or that are worth less than it asks.
#[tokio::test]
async fn a_session_is_paid_by_no_lock_that_is_routed_onward_and_by_no_cheaper_one() {
    let chain = tomorrow();
    let ([consumer, router, exit], up, down) = three_on(&chain).await;
    let street = street([&consumer, &router, &exit], up, down);
    let ready = street.lock(200, now(&chain)).await.unwrap();
    street.pay(ready, 50).await.unwrap();
    street.fold(ready).await.unwrap();

    let held = |party: &Party, price: u64| {
        let payments = party.payments.clone();
        async move { payments.held_lock(ready.payment, wei(price), 0).await }
    };
    assert_eq!(held(&router, 1).await, Ok(None), "it belongs to the exit");
    assert_eq!(held(&exit, UNIT + 1).await, Ok(None), "it is worth less");
    let told = held(&exit, UNIT).await.unwrap().unwrap();
    assert_eq!((told.ready.channel, told.units), (down, 50));
}

/// Whoever names a payment chooses its name: one that is taken must not lead to another's lock.
#[tokio::test]
async fn a_lock_under_a_name_that_is_taken_is_not_taken() {
    let chain = tomorrow();
    let ([consumer, router, exit], up, down) = three_on(&chain).await;
    let street = street([&consumer, &router, &exit], up, down);
    let ready = street.lock(200, now(&chain)).await.unwrap();
    let other = Party::rich(&chain).await;
    for payee in [&router, &exit] {
        let channel = open_for_a_day(&other, payee, units(1000)).await;
        let offer = offer_of(&other, (channel, wei(UNIT)), 100).await;
        let offer = LockOffer {
            payment: ready.payment,
            ..offer
        };
        let taken = payee.payments.take_lock(offer, wei(UNIT), 0).await;
        let code = PayErrorCode::AnchorReused;
        assert_eq!(
            taken.unwrap_err(),
            PaymentsError::NotTaken { channel, code }
        );
    }
}

/// A payer's every voucher has all its locks. An offer takes its time, and what was signed after it may come first.
#[tokio::test]
async fn a_lock_is_taken_though_a_later_voucher_brought_it_first() {
    let chain = tomorrow();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open_for_a_day(&payer, &payee, units(1000)).await;
    let folded = lock_of(&payer, &payee, (channel, wei(UNIT)), 100).await;
    say(&payer, &payee, folded, 5).await;
    let offer = offer_of(&payer, (channel, wei(UNIT)), 100).await;
    let asked = payee.payments.fulfill(folded, false).await.unwrap();
    let fold = payer.payments.route_frame(channel, asked.unwrap().frame);
    for out in fold.await.unwrap() {
        payee
            .payments
            .route_frame(channel, out.frame)
            .await
            .unwrap();
    }
    let held = payee.payments.held(channel).await.unwrap().ack;
    assert_eq!((held.seq, held.value_now), (3, units(5)));

    let (seq, payment) = (offer.voucher.seq, offer.payment);
    assert_eq!(seq, 2, "the fold was signed after it");
    let dearer = payee
        .payments
        .take_lock(offer.clone(), wei(UNIT + 1), 0)
        .await;
    let code = PayErrorCode::UnitTooSmall;
    assert_eq!(
        dearer.unwrap_err(),
        PaymentsError::NotTaken { channel, code },
        "it must be as good as it would have been before"
    );
    let taken = payee.payments.take_lock(offer, wei(UNIT), 0).await.unwrap();
    assert_eq!((taken.ready.payment, taken.units), (payment, 0));
    payer
        .payments
        .lock_ready(channel, taken.ready)
        .await
        .unwrap();
    say(&payer, &payee, taken.ready, 7).await;
    let held = payee.payments.held(channel).await.unwrap().ack;
    assert_eq!(held.value_now, units(5 + 7));
}

/// As the daemon does: what the deposit does not cover is asked for first, then half of it.
#[tokio::test]
async fn words_of_a_shorter_lock_are_its_own_whatever_was_asked_for_before() {
    let chain = tomorrow();
    let ([mut consumer, router, exit], up, down) = three_on(&chain).await;
    let to = (NodeId::from_bytes([2; 32]), wei(UNIT));
    let router_hint = hint(router.payments.chain_ref(), router.account());
    let ask = RouteAsk::through((&router_hint, None), up, to, 1024, now(&chain)).unwrap();
    let refused = consumer.payments.offer_lock(ask).await.unwrap_err();
    let is_exhausted = matches!(
        refused,
        PaymentsError::Refused {
            refusal: PayerRefusal::Exhausted { .. },
            ..
        }
    );
    assert!(is_exhausted, "{refused}");

    let before = street([&consumer, &router, &exit], up, down);
    let ready = before.lock(512, now(&chain)).await.unwrap();
    assert_eq!(before.pay(ready, 1).await.unwrap(), units(1));
    consumer = consumer.restarted().await;
    let payments = &consumer.payments;
    payments.routed_heard(up, ready.payment, 1).await.unwrap();
    let after = street([&consumer, &router, &exit], up, down);
    let fresh = payments.own_locks(up).await.unwrap()[0].fresh_from.unwrap();
    let paid = after.pay(ready, fresh + 3).await.unwrap();
    assert_eq!(paid, units(u64::from(fresh) + 3), "no word more");
}
