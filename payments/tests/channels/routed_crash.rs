//! The router's plug is pulled before and after every single save of a routed payment.
//!
//! However it falls: when the exit has claimed all it can, and the router, started again from its
//! disk, all it can, the router has been paid at least what it paid. Consumer and exit do nothing to
//! help: the exit claims from the chain, and the consumer is not there.

use std::time::Duration;

use warren_payments::RouteOut;
use warren_payments::store::Fault;
use warren_proto::{ChannelId, Fulfill, RouteFrame};

use crate::party::{Party, units, wei};
use crate::routed::{claimed, now, street, three_on, tomorrow};
use crate::street::{HOLD_FEE, Street, UP_PRICE, routing};

const UNITS: u32 = 100;

/// Locks, pays, folds in part, pays on; how far it gets does not matter.
async fn route_while_it_lasts(street: &Street, now: warren_proto::UnixTime) -> Option<()> {
    let ready = street.lock(UNITS, now).await.ok()?;
    street.pay(ready, 30).await.ok()?;
    street.fold(ready).await.ok()?;
    street.pay(ready, 55).await.ok()?;
    street.fold(ready).await.ok()?;
    street.pay(ready, UNITS).await.ok()?;
    street.fold(ready).await.ok()?;
    Some(())
}

async fn pull_the_plug(fault: fn(u64) -> Fault) {
    for save in 0.. {
        let chain = tomorrow();
        let ([consumer, router, exit], up, down) = three_on(&chain).await;

        router.store.inject(Some(fault(save)));
        let before = street([&consumer, &router, &exit], up, down);
        let survived = route_while_it_lasts(&before, now(&chain)).await.is_some();

        // The consumer never comes back. The exit claims whatever it has.
        drop(consumer);
        exit.payments.claim(down).await.unwrap();
        let (_, wallet, disk) = router.stop();
        let router = Party::start_as(&chain, wallet, disk, routing());
        router.payments.refresh().await.unwrap();
        chain.advance(Duration::from_secs(6000));
        router.payments.refresh().await.unwrap();
        let _nothing_new = router.payments.claim(up).await;

        let (paid, got) = (claimed(&chain, down).await, claimed(&chain, up).await);
        assert!(
            got >= paid,
            "save {save}: the router paid {paid}, and got {got}"
        );
        if survived {
            assert!(save > 5, "every save of the router was a crash once");
            assert_eq!(paid, units(u64::from(UNITS)));
            return;
        }
    }
}

#[tokio::test]
async fn a_router_crashes_before_any_save() {
    pull_the_plug(Fault::LoseFrom).await;
}

#[tokio::test]
async fn a_router_crashes_after_any_save() {
    pull_the_plug(Fault::KeepThenFail).await;
}

/// The folds that these frames ask the payer of `channel` for.
fn asked_for(outs: &[RouteOut], channel: ChannelId) -> Vec<Fulfill> {
    let mine = outs.iter().filter(|it| it.channel == channel);
    let asked = mine.filter_map(|it| match &it.frame {
        RouteFrame::Fulfill(it) => Some(it.clone()),
        RouteFrame::Offer(_)
        | RouteFrame::Ready(_)
        | RouteFrame::Reject(_)
        | RouteFrame::Voucher(_)
        | RouteFrame::VoucherAck(_)
        | RouteFrame::PayError { .. } => None,
    });
    asked.collect()
}

/// The consumer's machine sleeps as the session ends: what the router says to it then is lost.
#[tokio::test]
async fn a_router_asks_again_for_a_fold_that_was_lost_on_the_way() {
    let chain = tomorrow();
    let ([consumer, mut router, exit], up, down) = three_on(&chain).await;
    let before = street([&consumer, &router, &exit], up, down);
    let ready = before.lock(UNITS, now(&chain)).await.unwrap();
    before.pay(ready, 20).await.unwrap();
    let end = exit.payments.fulfill(ready, true).await.unwrap().unwrap();
    let once = router.payments.route_frame(down, end.frame.clone()).await;
    let once = asked_for(&once.unwrap(), up);
    let [lost] = once.as_slice() else {
        panic!("one fold to ask for: {once:?}")
    };
    let lost = Fulfill {
        last: false,
        ..lost.clone()
    };
    assert_eq!((lost.payment, lost.k), (ready.payment, 20));

    let again = router.payments.route_frame(down, end.frame.clone()).await;
    assert_eq!(asked_for(&again.unwrap(), up), std::slice::from_ref(&lost));
    let asked = router.payments.unfolded(up).await.unwrap();
    assert_eq!(asked_for(&asked, up), std::slice::from_ref(&lost));
    let (_, wallet, disk) = router.stop();
    router = Party::start_as(&chain, wallet, disk, routing());
    router.payments.refresh().await.unwrap();
    let asked = router.payments.unfolded(up).await.unwrap();
    assert_eq!(asked_for(&asked, up), [lost]);

    // This time the consumer is there; then nobody asks any more.
    let after = street([&consumer, &router, &exit], up, down);
    after.carry(&after.router, asked).await.unwrap();
    let held = router.payments.held(up).await.unwrap();
    assert_eq!(held.ack.value_now, wei(UP_PRICE * 20 + HOLD_FEE));
    assert_eq!(router.payments.unfolded(up).await.unwrap(), []);
    let again = router.payments.route_frame(down, end.frame).await;
    assert_eq!(asked_for(&again.unwrap(), up), []);
}
