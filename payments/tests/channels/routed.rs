//! Four nodes, three channels: a consumer with one channel, to a router, pays two exits.

use std::time::Duration;

use warren_payments::chain::Chain as _;
use warren_payments::chain::dev::{DevChain, DevGenesis};
use warren_payments::channel::PayerRefusal;
use warren_payments::channel::router::Stage;
use warren_payments::{PaymentsError, RouteAsk, RouteOut};
use warren_proto::{Amount, ChannelId, LockReject, NodeId, PayErrorCode, RouteFrame, UnixTime};

use crate::party::{Party, UNIT, assert_conserved, units, wei};
use crate::street::{DAY, End, HOLD_FEE, Street, UP_PRICE, hint, routing};

const UNITS: u32 = 200;
/// Words that a crash of the consumer may hide.
const RESERVE: u32 = 16;

/// A chain whose time is ahead of every clock, so that it alone says what time it is.
pub(crate) fn tomorrow() -> DevChain {
    DevChain::new(&DevGenesis {
        timestamp: UnixTime::from_secs(4_000_000_000),
        ..DevGenesis::default()
    })
}

pub(crate) fn now(chain: &DevChain) -> UnixTime {
    chain.tip().timestamp
}

pub(crate) async fn router_on(chain: &DevChain) -> Party {
    let (_, wallet, disk) = Party::rich(chain).await.stop();
    Party::start_as(chain, wallet, disk, routing())
}

/// Like [`crate::party::open`], with a close window that outlasts a route's locks.
pub(crate) async fn open_for_a_day(payer: &Party, payee: &Party, deposit: Amount) -> ChannelId {
    let opened = payer.payments.open_channel(payee.account(), deposit, DAY);
    let opened = opened.await.unwrap();
    payer.payments.wait_usable(opened).await.unwrap();
    payee.payments.refresh().await.unwrap();
    opened
}

/// A consumer, a router and an exit in a row, and the two channels between them.
pub(crate) async fn three_on(chain: &DevChain) -> ([Party; 3], ChannelId, ChannelId) {
    let consumer = Party::rich(chain).await;
    let router = router_on(chain).await;
    let exit = Party::rich(chain).await;
    let up = open_for_a_day(&consumer, &router, units(1000)).await;
    let down = open_for_a_day(&router, &exit, units(1000)).await;
    ([consumer, router, exit], up, down)
}

pub(crate) fn street(parties: [&Party; 3], up: ChannelId, down: ChannelId) -> Street {
    let [consumer, router, exit] = parties.map(End::of);
    Street {
        consumer,
        router,
        exit,
        up,
        down,
    }
}

pub(crate) async fn claimed(chain: &DevChain, channel: ChannelId) -> Amount {
    chain.channel(channel).await.unwrap().unwrap().claimed
}

async fn stages(router: &Party) -> Vec<Stage> {
    let routes = router.payments.routes().await.unwrap();
    routes.iter().map(|it| it.stage).collect()
}

/// Waits until the chain says that so much was claimed: what a node does by itself takes its time.
pub(crate) async fn until_claimed(chain: &DevChain, channel: ChannelId, least: Amount) {
    let wait = async {
        while claimed(chain, channel).await < least {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
    waited.unwrap();
}

/// To make a way costs gas and binds a deposit: a stranger whose offer comes to nothing has none made.
#[tokio::test]
async fn what_the_rules_refuse_is_refused_before_there_is_a_way_onward() {
    let chain = tomorrow();
    let (_, wallet, disk) = Party::rich(&chain).await.stop();
    let mut config = routing();
    let policy = config.router.as_mut().unwrap();
    policy.min_tranche = units(10);
    let (consumer, router) = (
        Party::rich(&chain).await,
        Party::start_as(&chain, wallet, disk, config),
    );
    let up = open_for_a_day(&consumer, &router, units(1000)).await;
    let terms = hint(router.payments.chain_ref(), router.account());
    let exit = (NodeId::from_bytes([2; 32]), wei(UNIT));
    let would = async |count| {
        let ask = RouteAsk::through((&terms, None), up, exit, count, now(&chain)).unwrap();
        let offer = consumer.payments.offer_lock(ask).await.unwrap();
        let forged = warren_proto::Voucher {
            signature: [1; 64],
            ..offer.voucher.clone()
        };
        let forged = warren_proto::LockOffer {
            voucher: forged,
            ..offer.clone()
        };
        let code = |it: PaymentsError| it.code();
        let judged = [offer, forged].map(|it| router.payments.would_lock(it));
        let [good, bad] = judged;
        (good.await.map_err(code), bad.await.map_err(code))
    };
    let forged = Err(PayErrorCode::BadSignature);
    assert_eq!(would(9).await, (Err(PayErrorCode::UnitTooSmall), forged));
    assert_eq!(would(10).await, (Ok(()), forged));
    assert_eq!(router.payments.routes().await.unwrap().len(), 0);
}

#[tokio::test]
async fn one_channel_pays_two_exits_and_the_books_balance_to_the_wei() {
    let chain = tomorrow();
    let consumer = Party::rich(&chain).await;
    let mut router = router_on(&chain).await;
    let (exit, gone) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let up = open_for_a_day(&consumer, &router, units(2000)).await;
    let to_exit = open_for_a_day(&router, &exit, units(1000)).await;
    let to_gone = open_for_a_day(&router, &gone, units(1000)).await;

    // The first exit is paid, and folds: twice, and then it has nothing more to fold.
    let first = street([&consumer, &router, &exit], up, to_exit);
    let ready = first.lock(UNITS, now(&chain)).await.unwrap();
    assert_eq!(stages(&router).await, [Stage::Live]);
    assert_eq!(first.pay(ready, 1).await.unwrap(), units(1));
    assert_eq!(first.pay(ready, 90).await.unwrap(), units(90));
    first.fold(ready).await.unwrap();
    assert_eq!(first.pay(ready, 130).await.unwrap(), units(130));
    first.fold(ready).await.unwrap();
    assert_eq!(exit.payments.fulfill(ready, true).await.unwrap(), None);

    // The second exit is paid and vanishes, with words that nobody else knows.
    let second = street([&consumer, &router, &gone], up, to_gone);
    let ready = second.lock(UNITS, now(&chain)).await.unwrap();
    assert_eq!(second.pay(ready, 77).await.unwrap(), units(77));
    let (_, wallet, disk) = gone.stop();
    assert_eq!(
        claimed(&chain, up).await,
        wei(0),
        "not a wei has moved on the chain"
    );

    // It comes back a quarter of an hour before its lock expires, and claims without being told.
    chain.advance(Duration::from_secs(5400 - 900));
    let gone = Party::start(&chain, wallet, disk);
    until_claimed(&chain, to_gone, units(77)).await;

    // The router reads the words on the chain, and the consumer folds what they say.
    router.payments.refresh().await.unwrap();
    second.carry_news(&mut router).await.unwrap();
    chain.advance(Duration::from_secs(2500));
    router.payments.refresh().await.unwrap();
    assert_eq!(stages(&router).await, [Stage::InFolded, Stage::InFolded]);

    // Everybody takes what is theirs.
    exit.payments.claim(to_exit).await.unwrap().unwrap();
    router.payments.claim(up).await.unwrap().unwrap();
    let fees = wei(2 * HOLD_FEE);
    let words = wei(UP_PRICE * (130 + 77));
    assert_eq!(claimed(&chain, up).await, words.checked_add(fees).unwrap());
    assert_eq!(claimed(&chain, to_exit).await, wei(UNIT * 130));
    assert_eq!(claimed(&chain, to_gone).await, wei(UNIT * 77));
    assert_eq!(exit.pot().await, units(130));
    assert_eq!(gone.pot().await, units(77));
    let parties = [&consumer, &router, &exit, &gone];
    let accounts = parties.map(Party::account);
    assert_conserved(&chain, &accounts, &[up, to_exit, to_gone]).await;
}

#[tokio::test]
async fn a_router_claims_upstream_by_itself_when_the_consumer_does_not_fold() {
    let chain = tomorrow();
    let ([consumer, router, exit], up, down) = three_on(&chain).await;
    let street = street([&consumer, &router, &exit], up, down);
    let ready = street.lock(UNITS, now(&chain)).await.unwrap();
    street.pay(ready, 150).await.unwrap();

    // The consumer is gone with what it knows; the exit and the router go on.
    let asked = exit.payments.fulfill(ready, true).await.unwrap().unwrap();
    let outs = router
        .payments
        .route_frame(down, asked.frame)
        .await
        .unwrap();
    let folded = outs.into_iter().find(|it| it.channel == down).unwrap();
    exit.payments.route_frame(down, folded.frame).await.unwrap();
    exit.payments.claim(down).await.unwrap().unwrap();
    assert_eq!(claimed(&chain, down).await, units(150));

    chain.advance(Duration::from_secs(9300 - 600));
    let owed = wei(UP_PRICE * 150 + HOLD_FEE);
    until_claimed(&chain, up, owed).await;
    assert_eq!(claimed(&chain, up).await, owed);
    chain.advance(Duration::from_secs(7200));
    router.payments.refresh().await.unwrap();
    router.payments.refresh().await.unwrap();
    assert_eq!(
        router.payments.routes().await.unwrap(),
        [],
        "settled and forgotten"
    );
}

#[tokio::test]
async fn a_consumer_that_closes_in_the_middle_takes_nothing_from_the_router() {
    let chain = tomorrow();
    let ([consumer, router, exit], up, down) = three_on(&chain).await;
    let street = street([&consumer, &router, &exit], up, down);
    let ready = street.lock(UNITS, now(&chain)).await.unwrap();
    street.pay(ready, 60).await.unwrap();

    consumer.payments.close(up, None).await.unwrap();
    router.payments.refresh().await.unwrap();
    // Neither a consent nor a gift while words may still come.
    let until = UnixTime::from_secs(4_100_000_000);
    let consent = router.payments.consent_to_close(up, until).await;
    assert!(consent.is_err());
    assert!(router.payments.give_back(up).await.is_err());

    exit.payments.claim(down).await.unwrap().unwrap();
    router.payments.refresh().await.unwrap();
    until_claimed(&chain, up, wei(UP_PRICE * 60 + HOLD_FEE)).await;
    assert_eq!(claimed(&chain, down).await, units(60));
}

#[tokio::test]
async fn who_does_not_route_rejects_and_the_fee_comes_back() {
    let chain = tomorrow();
    let (consumer, other) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let exit = Party::rich(&chain).await;
    let up = open_for_a_day(&consumer, &other, units(1000)).await;
    let down = open_for_a_day(&other, &exit, units(1000)).await;
    let before = consumer.payments.channels().await.unwrap()[0].value;
    let street = street([&consumer, &other, &exit], up, down);
    let locked = street.lock(UNITS, now(&chain)).await;
    assert_eq!(locked, Err(PaymentsError::Stopped), "nobody became ready");
    let after = consumer.payments.channels().await.unwrap()[0].value;
    assert_eq!(after, before);
    assert_eq!(other.payments.held(up).await.unwrap().ack.value_now, before);
}

#[tokio::test]
async fn no_word_is_said_of_a_lock_that_was_rejected_further_on() {
    let chain = tomorrow();
    let ([consumer, router, exit], up, down) = three_on(&chain).await;
    let street = street([&consumer, &router, &exit], up, down);
    let ready = street.lock(UNITS, now(&chain)).await.unwrap();

    // A second lock, which the exit holds but does not answer for in time.
    let hint = crate::street::hint(chain.chain_ref(), router.account());
    let to = (warren_proto::NodeId::from_bytes([2; 32]), wei(UNIT));
    let ask = warren_payments::RouteAsk::through((&hint, None), up, to, 10, now(&chain)).unwrap();
    let offer = consumer.payments.offer_lock(ask).await.unwrap();
    let payment = offer.payment;
    let outs = router.payments.lock_onward(offer, down).await.unwrap();
    let [RouteOut { frame, .. }] = outs.as_slice() else {
        panic!("one offer onward")
    };
    let RouteFrame::Offer(onward) = frame.clone() else {
        panic!("an offer")
    };
    let late = exit
        .payments
        .take_lock(*onward, wei(UNIT), 1)
        .await
        .unwrap();
    let rejected = LockReject::of(payment, PayErrorCode::Busy, false);
    let told = router
        .payments
        .route_frame(down, RouteFrame::Reject(rejected));
    let told = told.await.unwrap();
    street.carry(&street.router.clone(), told).await.unwrap();

    let refused = consumer.payments.lock_ready(up, late.ready).await;
    let refusal = PayerRefusal::NotReady { payment };
    let expected = PaymentsError::Refused {
        channel: up,
        refusal,
    };
    assert_eq!(refused, Err(expected.clone()));
    let said = consumer.payments.release_routed(up, late.ready, 1).await;
    assert_eq!(said, Err(expected));
    // The other lock is as good as before.
    assert_eq!(street.pay(ready, 3).await.unwrap(), units(3));
}

#[tokio::test]
async fn a_consumer_and_an_exit_restart_in_the_middle() {
    let chain = tomorrow();
    let ([mut consumer, mut router, mut exit], up, down) = three_on(&chain).await;
    let before = street([&consumer, &router, &exit], up, down);
    let ready = before.lock(UNITS, now(&chain)).await.unwrap();
    before.pay(ready, 40).await.unwrap();

    let own = consumer.payments.own_locks(up).await.unwrap();
    assert_eq!((own.len(), own[0].released), (1, Some(40)));
    (consumer, exit) = (consumer.restarted().await, exit.restarted().await);
    // Words beyond those that may have been said are new to the exit, and few are given away for it.
    let own = consumer.payments.own_locks(up).await.unwrap();
    let fresh = own[0].fresh_from.unwrap();
    assert_eq!((own[0].payment, own[0].units), (ready.payment, UNITS));
    assert!((40..40 + RESERVE).contains(&fresh), "{fresh}");
    let (_, wallet, disk) = router.stop();
    router = Party::start_as(&chain, wallet, disk, routing());
    router.payments.refresh().await.unwrap();
    let after = street([&consumer, &router, &exit], up, down);
    // The exit says what it knows; what the consumer forgot, it believes.
    let told = exit.payments.held_lock(ready.payment, wei(UNIT), 0);
    let told = told.await.unwrap();
    let told = told.unwrap().ready;
    assert_eq!(told, ready, "told again on the new stream");
    let payments = &consumer.payments;
    payments.lock_ready(up, told).await.unwrap();
    payments.routed_heard(up, ready.payment, 40).await.unwrap();
    assert_eq!(after.pay(ready, 45).await.unwrap(), units(45));
    after.fold(ready).await.unwrap();
    let held = router.payments.held(up).await.unwrap();
    assert_eq!(held.ack.value_now, wei(UP_PRICE * 45 + HOLD_FEE));
}

#[tokio::test]
async fn an_exit_that_restarted_asks_for_every_fold_that_it_is_owed() {
    let chain = tomorrow();
    let ([consumer, router, mut exit], up, down) = three_on(&chain).await;
    let before = street([&consumer, &router, &exit], up, down);
    let folded = before.lock(UNITS, now(&chain)).await.unwrap();
    before.pay(folded, 20).await.unwrap();
    before.fold(folded).await.unwrap();
    let owed = before.lock(UNITS, now(&chain)).await.unwrap();
    before.pay(owed, 40).await.unwrap();

    // Its sessions are gone with it; what they paid is not.
    exit = exit.restarted().await;
    let after = street([&consumer, &router, &exit], up, down);
    let asked = exit.payments.unfolded(down).await.unwrap();
    let shown: Vec<_> = asked.iter().map(|it| it.frame.clone()).collect();
    let [RouteFrame::Fulfill(shown)] = shown.as_slice() else {
        panic!("one lock has words that are not folded: {shown:?}")
    };
    assert_eq!((shown.payment, shown.k), (owed.payment, 40));
    after.carry(&after.exit, asked).await.unwrap();
    assert_eq!(exit.payments.unfolded(down).await.unwrap(), []);
    let held = router.payments.held(up).await.unwrap();
    let words = wei(UP_PRICE * (20 + 40) + 2 * HOLD_FEE);
    assert_eq!(held.ack.value_now, words);
    // And the router has nothing to ask for: all of it is folded.
    assert_eq!(router.payments.unfolded(up).await.unwrap(), []);
    let claim = exit.payments.claim(down).await.unwrap();
    assert!(claim.is_some());
    assert_eq!(claimed(&chain, down).await, units(60));
}
