//! Claims that share a transaction, and what befalls it: one of them undoes all, the plug is pulled, history is
//! rewritten, the disk fails.

use std::time::Duration;

use warren_payments::chain::dev::{Mining, Reorg};
use warren_payments::store::Fault;
use warren_payments::{PaymentsConfig, RouteAsk};
use warren_proto::{Amount, ChannelId, LockReady};

use crate::books::agreed;
use crate::company::{all_claimed, burnt, paid, restarted_as, sent, until_claimed, weighing};
use crate::party::{HOUR, Party, begin, config, pay, units, wei, world};
use crate::routed::{claimed, open_for_a_day, tomorrow};
use crate::street::say;

/// A lock that lives for longer than two hours, on words that its payer says itself.
async fn lock_for(payer: &Party, payee: &Party, channel: ChannelId, span: Duration) -> LockReady {
    let ask = RouteAsk {
        channel,
        unit_price: units(1),
        units: 100,
        expiry: payer.chain().tip().timestamp.plus(span).as_secs(),
        onward: Vec::new(),
        hold_fee: Amount::ZERO,
    };
    let offer = payer.payments.offer_lock(ask).await.unwrap();
    let taken = payee.payments.take_lock(offer, units(1), 0).await.unwrap();
    payer
        .payments
        .lock_ready(channel, taken.ready)
        .await
        .unwrap();
    taken.ready
}

/// The transaction waits for hours, and a lock in it expires meanwhile: the contract undoes all of it.
#[tokio::test]
async fn if_one_undoes_all_the_others_are_claimed_alone() {
    for asked in [true, false] {
        let chain = tomorrow();
        let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
        let expiring = open_for_a_day(&payer, &payee, units(100)).await;
        let ready = lock_for(&payer, &payee, expiring, HOUR * 3).await;
        say(&payer, &payee, ready, 50).await;
        let mut good = Vec::new();
        for count in [40, 60] {
            let channel = open_for_a_day(&payer, &payee, units(100)).await;
            begin(&payer, &payee, channel).await;
            pay(&payer, &payee, channel, 0, count).await;
            good.push(channel);
        }
        chain.set_mining(Mining::Manual);
        let settings = if asked {
            config()
        } else {
            weighing(&chain).await
        };
        let payee = restarted_as(payee, settings).await;
        payee.payments.refresh().await.unwrap();
        let payments = payee.payments.clone();
        let claims = tokio::spawn(async move {
            if asked {
                let done = payments.claim_all().await.unwrap();
                let failed = done.iter().filter(|it| it.result.is_err());
                assert!(failed.count() <= 1);
            }
        });
        while chain.waiting() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        chain.advance(HOUR * 4);
        chain.set_mining(Mining::Auto);
        until_claimed(&chain, &payee, (&good, &[units(40), units(60)])).await;
        claims.await.unwrap();
        assert_eq!(
            claimed(&chain, expiring).await,
            wei(0),
            "it is too late for it"
        );
        assert_eq!(payee.pot().await, units(100));
        assert_eq!(sent(&chain, &payee).await, 3, "one undone, and two alone");
        agreed_but_for_what_expired(&payee).await;
    }
}

/// What was undone cost gas too; the last of it is written when its transaction is heard of.
async fn agreed_but_for_what_expired(payee: &Party) {
    let written = async {
        while burnt(payee).await.1 != 3 {
            payee.payments.refresh().await.unwrap();
        }
    };
    let written = tokio::time::timeout(Duration::from_secs(60), written).await;
    assert!(written.is_ok(), "{:?}", burnt(payee).await);
}

#[tokio::test]
async fn a_restart_in_the_middle_makes_it_once_and_wastes_nothing() {
    for mined_meanwhile in [true, false] {
        let chain = world();
        let (_payer, payee, channels) = paid(&chain, &[40, 50, 60]).await;
        let settings = weighing(&chain).await;
        chain.set_mining(Mining::Manual);
        let payee = restarted_as(payee, settings.clone()).await;
        while chain.waiting() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let payee = restarted_as(payee, settings.clone()).await;
        payee.payments.refresh().await.unwrap();
        if mined_meanwhile {
            chain.mine();
        }
        chain.set_mining(Mining::Auto);
        chain.mine();
        let wanted = [units(40), units(50), units(60)];
        until_claimed(&chain, &payee, (&channels, &wanted)).await;
        for _ in 0..10 {
            chain.mine();
            payee.payments.refresh().await.unwrap();
        }
        assert_eq!(sent(&chain, &payee).await, 1);
        assert_eq!(burnt(&payee).await.1, 1);
        agreed(&payee).await;
    }
}

#[tokio::test]
async fn what_a_reorganisation_takes_back_or_a_pool_forgets_is_sent_again() {
    let chain = world();
    let (_payer, payee, channels) = paid(&chain, &[40, 50]).await;
    let deep = PaymentsConfig {
        confirmations: 4,
        ..weighing(&chain).await
    };
    chain.mine_many(4);
    let payee = restarted_as(payee, deep).await;
    let wanted = [units(40), units(50)];
    until_claimed(&chain, &payee, (&channels, &wanted)).await;
    chain.reorg(1, Reorg::Drop).unwrap();
    assert_eq!(all_claimed(&chain, &channels).await, [wei(0); 2]);
    let again = async {
        while all_claimed(&chain, &channels).await != wanted {
            chain.mine();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), again)
        .await
        .unwrap();
    for _ in 0..10 {
        chain.mine();
        payee.payments.refresh().await.unwrap();
    }
    assert_eq!(sent(&chain, &payee).await, 1);
    assert_eq!(payee.pot().await, units(90));
    agreed(&payee).await;
}

/// Whichever write the disk fails at: all is claimed in the end, and once.
#[tokio::test]
async fn a_disk_that_fails_in_the_middle_loses_no_claim() {
    for fault in [Fault::LoseFrom, Fault::KeepThenFail] {
        for write in 0..5 {
            let chain = world();
            let (_payer, payee, channels) = paid(&chain, &[10, 20]).await;
            payee.store.inject(Some(fault(write)));
            let _fails_or_not = payee.payments.claim_all().await;
            payee.store.inject(None);
            let payee = payee.restarted().await;
            let _nothing_or_all = payee.payments.claim_all().await.unwrap();
            until_claimed(&chain, &payee, (&channels, &[units(10), units(20)])).await;
            assert_eq!(payee.pot().await, units(30), "write {write}");
            agreed(&payee).await;
        }
    }
}
