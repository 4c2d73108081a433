//! The common life: open, pay, claim, withdraw; and a restart of either side in the middle.

use warren_payments::ledger::{Account, Balances};
use warren_payments::{PaymentEvent, SessionAuth};
use warren_proto::{NodeId, PayErrorCode, UnixTime, Voucher};

use crate::party::{Party, UNIT, assert_conserved, begin, open, pay, units, wei, world};

#[tokio::test]
async fn six_hundred_units_over_three_tranches() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(1000)).await;

    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 600).await;
    assert_eq!(payee.payments.claimable().await.unwrap(), units(600));
    assert_eq!(
        payee.payments.held(channel).await.unwrap().ack.seq,
        3,
        "a voucher per tranche"
    );

    assert!(payee.payments.claim(channel).await.unwrap().is_some());
    assert_eq!(payee.pot().await, units(600));
    assert!(
        payee.payments.claim(channel).await.unwrap().is_none(),
        "nothing new to claim"
    );
    assert_conserved(&chain, &[payer.account(), payee.account()], &[channel]).await;

    let final_voucher = payer.payments.finish(channel).await.unwrap();
    assert!(final_voucher.locks.is_empty());
    assert_eq!(final_voucher.base, units(600));
    let accepted = payee.payments.accept_voucher(final_voucher).await.unwrap();
    assert_eq!(accepted.ack.value_now, units(600));

    payee
        .payments
        .withdraw(payee.account(), units(600))
        .await
        .unwrap();
    assert_eq!(payee.pot().await, wei(0));
    assert_conserved(&chain, &[payer.account(), payee.account()], &[channel]).await;

    // The ledgers of both say the same, each from its side.
    let paid = ledger(&payer).await;
    assert_eq!(paid.total_in(Account::Spent), units(600).wei());
    assert_eq!(paid.net(Account::Deposited), units(400).wei().cast_signed());
    assert!(paid.total_in(Account::Gas) > 0);
    let earned = ledger(&payee).await;
    assert_eq!(earned.total_out(Account::Customers), units(600).wei());
    assert_eq!(earned.net(Account::Claimable), 0);
    assert_eq!(earned.net(Account::Pot), 0);
    let entries = payee.payments.ledger().await.unwrap();
    let words = entries
        .iter()
        .filter(|it| it.posting.from == Account::Customers);
    assert!(words.count() <= 6, "600 words are a few entries");
}

async fn ledger(party: &Party) -> Balances {
    let entries = party.payments.ledger().await.unwrap();
    for (number, entry) in (0..).zip(&entries) {
        assert_eq!(entry.number, number, "no gap, no repetition");
    }
    Balances::of(entries.iter().map(|it| &it.posting))
}

#[tokio::test]
async fn a_second_session_counts_from_zero_and_pays_on_top() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(1000)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 40).await;
    let last = payer.payments.finish(channel).await.unwrap();
    payee.payments.accept_voucher(last).await.unwrap();

    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 25).await;
    assert_eq!(payee.payments.claimable().await.unwrap(), units(65));
}

#[tokio::test]
async fn either_side_restarts_in_the_middle_and_nothing_is_lost() {
    let chain = world();
    let (mut payer, mut payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(1000)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 300).await;

    payee = payee.restarted().await;
    assert_eq!(payee.payments.claimable().await.unwrap(), units(300));
    pay(&payer, &payee, channel, 300, 310).await;

    payer = payer.restarted().await;
    let held = payee.payments.held(channel).await.unwrap();
    payer.payments.payee_saw(held.ack).await.unwrap();
    pay(&payer, &payee, channel, 310, 320).await;

    let last = payer.payments.finish(channel).await.unwrap();
    payee.payments.accept_voucher(last).await.unwrap();
    payee.payments.claim(channel).await.unwrap().unwrap();
    assert_eq!(payee.pot().await, units(320));
    assert_conserved(&chain, &[payer.account(), payee.account()], &[channel]).await;
}

#[tokio::test]
async fn an_empty_channel_says_how_much_is_missing_and_a_top_up_mends_it() {
    let chain = world();
    let (mut payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(10)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 10).await;

    assert_eq!(payer.payments.release(channel, 13).await.unwrap(), vec![]);
    let wanted = PaymentEvent::TopUpNeeded {
        channel,
        units_short: 3,
    };
    payer.hear(|it| *it == wanted).await;

    payer.payments.top_up(channel, units(5)).await.unwrap();
    payee.payments.refresh().await.unwrap();
    pay(&payer, &payee, channel, 10, 15).await;
    assert_eq!(payee.payments.claimable().await.unwrap(), units(15));
}

#[tokio::test]
async fn a_deposit_counts_only_after_its_confirmations() {
    use std::sync::Arc;
    use warren_payments::{MemoryStore, Payments, PaymentsConfig, Wallet};

    let chain = world();
    let payer = Party::rich(&chain).await;
    let wallet = Wallet::generate().unwrap();
    let careful = PaymentsConfig {
        confirmations: 3,
        ..crate::party::config()
    };
    let disk = Arc::new(MemoryStore::new());
    let (payee, _events) =
        Payments::start(Arc::new(chain.clone()), disk, wallet.clone(), careful).unwrap();

    let channel = payer
        .payments
        .open_channel(wallet.account(), units(10), crate::party::HOUR)
        .await
        .unwrap();
    payer.payments.wait_usable(channel).await.unwrap();
    payee.refresh().await.unwrap();
    let early = payer
        .payments
        .prepare_lock(channel, wei(UNIT))
        .await
        .unwrap();
    assert_eq!(
        payee.accept_voucher(early.clone()).await,
        Err(PayErrorCode::UnknownChannel)
    );

    chain.mine_many(2);
    payee.refresh().await.unwrap();
    assert!(payee.accept_voucher(early).await.is_ok());
}

#[tokio::test]
async fn strangers_and_replays_get_nothing() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let (one, two) = (
        open(&payer, &payee, units(10)).await,
        open(&payer, &payee, units(10)).await,
    );
    begin(&payer, &payee, one).await;
    let good = payer.payments.prepare_lock(one, wei(UNIT)).await.unwrap();

    let moved = Voucher {
        channel: two,
        ..good.clone()
    };
    assert_eq!(
        payee.payments.accept_voucher(moved).await,
        Err(PayErrorCode::BadSignature)
    );
    let forged = Voucher {
        base: units(5),
        seq: 9,
        ..good
    };
    assert_eq!(
        payee.payments.accept_voucher(forged).await,
        Err(PayErrorCode::BadSignature)
    );

    let view = payer.payments.channels().await.unwrap();
    let params = view.iter().find(|it| it.id == one).unwrap().params;
    let auth = SessionAuth {
        channel: one,
        payee_nonce: [1; 32],
        payee: NodeId::from_bytes([2; 32]),
        not_after: UnixTime::from_secs(4_000_000_000),
    };
    let signature = payer.payments.sign_auth(auth).await.unwrap();
    assert!(payee.payments.watch(params, auth, signature).await.is_ok());
    let replayed = SessionAuth {
        payee_nonce: [9; 32],
        ..auth
    };
    assert!(
        payee
            .payments
            .watch(params, replayed, signature)
            .await
            .is_err()
    );
    let late = SessionAuth {
        not_after: UnixTime::from_secs(1),
        ..auth
    };
    let signature = payer.payments.sign_auth(late).await.unwrap();
    assert!(payee.payments.watch(params, late, signature).await.is_err());
}

#[tokio::test]
async fn a_payee_waits_for_a_channel_it_was_only_told_of() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let opened = payer
        .payments
        .open_channel(payee.account(), units(10), crate::party::HOUR)
        .await
        .unwrap();
    payee.payments.wait_usable(opened).await.unwrap();
    assert_eq!(
        payee.payments.held(opened).await.unwrap().ack.covered,
        units(10)
    );
}

#[tokio::test]
async fn pot_and_wallet_together_open_a_channel() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let first = open(&payer, &payee, units(400_000)).await;
    payee.payments.give_back(first).await.unwrap();
    payer.payments.refresh().await.unwrap();
    assert_eq!(payer.pot().await, units(400_000));
    // 600 000 are left outside: neither suffices alone.
    let second = open(&payer, &payee, units(900_000)).await;
    assert_eq!(payer.pot().await, wei(0));
    assert_conserved(
        &chain,
        &[payer.account(), payee.account()],
        &[first, second],
    )
    .await;
}

#[tokio::test]
async fn a_new_stream_mends_any_number_of_lost_words_and_vouchers() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(1000)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 3).await;
    for lost_up_to in [200, 650] {
        let _lost = payer.payments.release(channel, lost_up_to).await.unwrap();
        let frames = payer.payments.repeat(channel).await.unwrap();
        let held = payee.take(channel, frames).await.unwrap().unwrap();
        assert_eq!(held.units, lost_up_to);
    }
    pay(&payer, &payee, channel, 650, 660).await;
}
