//! The ends of a channel: together, by the payer alone, by the payee alone.

use std::time::Duration;

use warren_payments::{PaymentEvent, Phase, StopReason};
use warren_proto::{PayErrorCode, UnixTime};

use crate::party::{HOUR, Party, assert_conserved, begin, open, pay, units, world};

#[tokio::test]
async fn both_agree_and_close_at_once() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(100)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 30).await;
    let last = payer.payments.finish(channel).await.unwrap();
    payee.payments.accept_voucher(last).await.unwrap();

    let not_after = UnixTime::from_secs(4_000_000_000);
    let consent = payee
        .payments
        .consent_to_close(channel, not_after)
        .await
        .unwrap();
    assert_eq!(consent.final_amount, units(30));
    payer.payments.close(channel, Some(consent)).await.unwrap();

    assert_eq!(payer.pot().await, units(70));
    assert_eq!(payee.pot().await, units(30));
    assert_conserved(&chain, &[payer.account(), payee.account()], &[channel]).await;
    payee.payments.refresh().await.unwrap();
    assert_eq!(payee.payments.claimable().await.unwrap(), units(0));
    let phases: Vec<_> = payee
        .payments
        .channels()
        .await
        .unwrap()
        .iter()
        .map(|it| it.phase)
        .collect();
    assert_eq!(phases, vec![Phase::Closed]);
}

#[tokio::test]
async fn a_payee_that_was_away_comes_back_in_time_and_gets_everything() {
    let chain = world();
    let (mut payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(1000)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 320).await;

    let (_, wallet, disk) = payee.stop();
    payer.payments.close(channel, None).await.unwrap();
    chain.advance(HOUR / 2);

    // It comes back knowing nothing of the closing, and claims without being told.
    let mut payee = Party::start(&chain, wallet, disk);
    let claimed = payee
        .hear(|it| matches!(it, PaymentEvent::Claimed { .. }))
        .await;
    assert_eq!(
        claimed,
        PaymentEvent::Claimed {
            channel,
            total: units(320)
        }
    );
    assert_eq!(payee.pot().await, units(320));

    // The payer takes the rest by itself when the window is over.
    chain.advance(HOUR);
    payer.hear(|it| *it == PaymentEvent::Closed(channel)).await;
    assert_eq!(payer.pot().await, units(680));
    assert_conserved(&chain, &[payer.account(), payee.account()], &[channel]).await;
}

#[tokio::test]
async fn a_closing_stops_the_session_at_once() {
    let chain = world();
    let (payer, mut payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(100)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 5).await;
    let held_back = payer.payments.release(channel, 6).await.unwrap();

    payer.payments.close(channel, None).await.unwrap();
    let stop = PaymentEvent::Stop {
        channel,
        reason: StopReason::Closing,
    };
    payee.hear(|it| *it == stop).await;
    assert!(payer.payments.release(channel, 7).await.is_err());
    // A word that was on its way is still money.
    assert!(payee.take(channel, held_back).await.is_ok());
    assert_eq!(
        payee.payments.held(channel).await.unwrap().ack.value_now,
        units(6)
    );
}

#[tokio::test]
async fn a_payee_that_leaves_claims_and_gives_the_rest_back() {
    let chain = world();
    let (mut payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(100)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 12).await;
    payee.payments.claim(channel).await.unwrap().unwrap();
    payee.payments.give_back(channel).await.unwrap();
    payer.hear(|it| *it == PaymentEvent::Closed(channel)).await;
    assert_eq!(payer.pot().await, units(88));
    assert_eq!(payee.pot().await, units(12));
}

#[tokio::test]
async fn a_closed_channel_takes_nothing_more() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(100)).await;
    begin(&payer, &payee, channel).await;
    let voucher = payer.payments.finish(channel).await.unwrap();
    payer.payments.close(channel, None).await.unwrap();
    payee.payments.refresh().await.unwrap();
    assert_eq!(
        payee.payments.accept_voucher(voucher).await,
        Err(PayErrorCode::Closing)
    );
    let not_after = UnixTime::from_secs(4_000_000_000);
    assert!(
        payee
            .payments
            .consent_to_close(channel, not_after)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_payer_without_tokens_learns_that_the_channel_was_not_opened() {
    let chain = world();
    let payee = Party::rich(&chain).await;
    let payer = Party::rich(&chain).await;
    let too_much = units(2_000_000);
    let channel = payer
        .payments
        .open_channel(payee.account(), too_much, HOUR)
        .await
        .unwrap();
    let usable = async || {
        let held = payer.payments.channels().await.unwrap();
        held.iter().find(|it| it.id == channel).unwrap().usable
    };
    let waited =
        tokio::time::timeout(Duration::from_secs(60), payer.payments.wait_usable(channel)).await;
    assert!(waited.unwrap().is_err());
    assert!(
        !usable().await,
        "or whoever needs a channel would choose it for ever"
    );
}

#[tokio::test]
async fn a_ledger_ends_as_the_chain_does_when_little_was_claimed() {
    use warren_payments::ledger::{Account, Balances};
    let chain = world();
    let (mut payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(100)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 12).await;
    payee.payments.claim(channel).await.unwrap().unwrap();
    pay(&payer, &payee, channel, 12, 20).await;
    payer.payments.finish(channel).await.unwrap(); // The payee never sees it, and never claims.
    payee.payments.give_back(channel).await.unwrap();
    payer.hear(|it| *it == PaymentEvent::Closed(channel)).await;
    let entries = payer.payments.ledger().await.unwrap();
    let balances = Balances::of(entries.iter().map(|it| &it.posting));
    assert_eq!(balances.net(Account::Spent), units(12).wei().cast_signed());
    assert_eq!(balances.net(Account::Pot), units(88).wei().cast_signed());
    assert_eq!(balances.net(Account::Deposited), 0);
}

#[tokio::test]
async fn a_closing_that_a_reorganisation_undoes_is_forgotten() {
    use std::sync::Arc;
    use warren_payments::chain::dev::Reorg;
    use warren_payments::{MemoryStore, Payments, PaymentsConfig, Wallet};
    let chain = world();
    let payer = Party::rich(&chain).await;
    let wallet = Wallet::generate().unwrap();
    let careful = PaymentsConfig {
        confirmations: 4,
        ..crate::party::config()
    };
    let disk = Arc::new(MemoryStore::new());
    let (payee, _events) =
        Payments::start(Arc::new(chain.clone()), disk, wallet.clone(), careful).unwrap();
    let channel = payer
        .payments
        .open_channel(wallet.account(), units(10), HOUR)
        .await
        .unwrap();
    payer.payments.wait_usable(channel).await.unwrap();
    chain.mine_many(4);
    payee.wait_usable(channel).await.unwrap();

    payer.payments.close(channel, None).await.unwrap();
    payee.refresh().await.unwrap();
    let phase = payee.channels().await.unwrap()[0].phase;
    assert!(
        matches!(phase, Phase::Closing { .. }),
        "believed at first sight"
    );
    chain.reorg(1, Reorg::Drop).unwrap();
    payee.refresh().await.unwrap();
    assert_eq!(payee.channels().await.unwrap()[0].phase, Phase::Open);
}
