//! A session whose receipt is written when its channel pays for the next one already.

use warren_proto::{Meter, PaidBy, ReceiptBody};

use super::*;
use crate::perform::second::tests::terms;
use crate::receipt::{Counters, Receipts, Scribe};

fn paid_in(body: &ReceiptBody) -> Amount {
    let PaidBy::Channel(by) = &body.paid_by else {
        panic!("no route paid")
    };
    by.value_after.checked_sub(by.value_before).unwrap()
}

#[tokio::test]
async fn a_receipt_never_takes_its_money_from_the_next_session() {
    let pair = Pair::new().await;
    let begins = async || {
        let voucher = pair.router.prepare_lock(pair.channel, units(1)).await;
        begin(&pair.exit, units(1), voucher.unwrap()).await.unwrap()
    };
    let (_purse, (_home, store)) = purse_of(&pair.exit);
    let scribe = Scribe::new(
        pair.exit.clone(),
        key(1),
        Receipts::open(Arc::new(store)).unwrap(),
    );
    let own = Counters {
        own: Meter::default(),
        theirs: None,
        started: UnixTime::from_secs(0),
        ended: UnixTime::from_secs(9),
        route: None,
    };
    let ends = || scribe.past(terms(), own.clone(), pair.channel);

    begins().await;
    pair.pay(3).await;
    let first = ends();
    // What was under way at the end counts as long as it can be told apart.
    pair.pay(5).await;
    let half = scribe.own_half(&first).await.unwrap();
    assert_eq!(paid_in(half.body()), units(5));

    let first = ends();
    begins().await;
    pair.pay(1).await;
    let half = scribe.own_half(&first).await.unwrap();
    assert_eq!(paid_in(half.body()), units(5), "not the 1 of the next one");
    let half = scribe.own_half(&ends()).await.unwrap();
    assert_eq!(paid_in(half.body()), units(1));
}
