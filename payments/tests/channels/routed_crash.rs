//! The router's plug is pulled before and after every single save of a routed payment.
//!
//! However it falls: when the exit has claimed all it can, and the router, started again from its
//! disk, all it can, the router has been paid at least what it paid. Consumer and exit do nothing to
//! help: the exit claims from the chain, and the consumer is not there.

use std::time::Duration;

use warren_payments::store::Fault;

use crate::party::{Party, units};
use crate::routed::{claimed, now, street, three_on, tomorrow};
use crate::street::{Street, routing};

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
