//! The plug is pulled before and after every single save of either side.
//!
//! However it falls: what the payee may claim is at most what the payer released, and what both
//! agree on afterwards is at most 16 units away from what was asked for.

use warren_payments::store::{Fault, MemoryStore};
use warren_proto::ChannelId;

use crate::party::{Party, begin, open, pay, units, world};

const UNITS: u64 = 300;

#[derive(Clone, Copy, Debug)]
enum Victim {
    Payer,
    Payee,
}

/// Pays until something fails; how far it got does not matter.
async fn pay_while_it_lasts(payer: &Party, payee: &Party, channel: ChannelId) -> Option<()> {
    payee
        .payments
        .begin_session(channel, crate::party::wei(crate::party::UNIT))
        .await
        .ok()?;
    let voucher = payer
        .payments
        .prepare_lock(channel, crate::party::wei(crate::party::UNIT))
        .await
        .ok()?;
    payee.payments.accept_voucher(voucher).await.ok()?;
    for total in 1..=UNITS {
        let frames = payer.payments.release(channel, total).await.ok()?;
        payee.take(channel, frames).await.ok()?;
    }
    let last = payer.payments.finish(channel).await.ok()?;
    payee.payments.accept_voucher(last).await.ok()?;
    Some(())
}

async fn pull_the_plug(victim: Victim, fault: fn(u64) -> Fault) {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(1000)).await;
    let (_, payer_wallet, payer_disk) = payer.stop();
    let (_, payee_wallet, payee_disk) = payee.stop();

    for save in 0.. {
        let (payer_disk, payee_disk) = (payer_disk.snapshot(), payee_disk.snapshot());
        let payer = Party::start(&chain, payer_wallet.clone(), payer_disk);
        let payee = Party::start(&chain, payee_wallet.clone(), payee_disk);
        payer.payments.refresh().await.unwrap();
        payee.payments.refresh().await.unwrap();
        let disk: &MemoryStore = match victim {
            Victim::Payer => &payer.store,
            Victim::Payee => &payee.store,
        };
        disk.inject(Some(fault(save)));
        let survived = pay_while_it_lasts(&payer, &payee, channel).await.is_some();

        // Both come back from their disks and go on as new sessions do.
        let (payer, payee) = (payer.restarted().await, payee.restarted().await);
        let spent = payer_value(&payer).await;
        begin(&payer, &payee, channel).await;
        let held = payee.payments.held(channel).await.unwrap().ack.value_now;
        assert!(
            held <= units(UNITS),
            "{victim:?} save {save}: {held} claimable"
        );
        let agreed = payer_value(&payer).await;
        assert!(
            agreed >= held,
            "{victim:?} save {save}: payer knows {agreed}, payee {held}"
        );
        let lost = agreed.checked_sub(held).unwrap();
        assert!(
            lost <= units(16),
            "{victim:?} save {save}: {lost} paid for nothing"
        );
        assert!(spent <= units(UNITS + 15), "{victim:?} save {save}");
        pay_some(&payer, &payee, channel).await;
        if survived {
            return;
        }
    }
}

async fn payer_value(payer: &Party) -> warren_proto::Amount {
    payer.payments.channels().await.unwrap()[0].value
}

/// After any crash the channel works again: units arrive as asked, give or take those that a
/// payee's crash took and the next word brings back.
async fn pay_some(payer: &Party, payee: &Party, channel: ChannelId) {
    let before = payee.payments.held(channel).await.unwrap().units;
    let frames = payer.payments.release(channel, 40).await.unwrap();
    let after = payee.take(channel, frames).await.unwrap().unwrap().units;
    assert!(after >= before + 40, "{before} then {after}");
}

#[tokio::test]
async fn a_payee_crashes_before_any_save() {
    pull_the_plug(Victim::Payee, Fault::LoseFrom).await;
}

#[tokio::test]
async fn a_payee_crashes_after_any_save() {
    pull_the_plug(Victim::Payee, Fault::KeepThenFail).await;
}

#[tokio::test]
async fn a_payer_crashes_before_any_save() {
    pull_the_plug(Victim::Payer, Fault::LoseFrom).await;
}

#[tokio::test]
async fn a_payer_crashes_after_any_save() {
    pull_the_plug(Victim::Payer, Fault::KeepThenFail).await;
}

#[tokio::test]
async fn a_full_disk_refuses_money_and_a_mended_one_takes_it_again() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(1000)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 250).await;
    payee.store.inject(Some(Fault::LoseFrom(0)));
    let frames = payer.payments.release(channel, 260).await.unwrap();
    let refused = payee.take(channel, frames.clone()).await;
    assert_eq!(refused, Err(warren_proto::PayErrorCode::Internal));
    payee.store.inject(None);
    let taken = payee.take(channel, frames).await.unwrap().unwrap();
    assert_eq!(taken.units, 260);
}

/// The disk fails between the decision to claim and the transaction that was signed for it.
#[tokio::test]
async fn a_claim_that_could_not_be_saved_is_made_once_the_disk_is_well() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(1000)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 25).await;
    payee.store.inject(Some(Fault::LoseFrom(1)));
    assert!(payee.payments.claim(channel).await.is_err());
    assert_eq!(payee.pot().await, units(0));
    payee.store.inject(None);
    payee.payments.claim(channel).await.unwrap().unwrap();
    assert_eq!(payee.pot().await, units(25));
}
