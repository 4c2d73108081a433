//! EIO on sync: what is not on the disk is not believed, not by a word, and nothing that was is lost.

use std::sync::Arc;
use std::time::Duration;

use warren_daemon::lockfile::HomeLock;
use warren_daemon::store::{Store, Write, tables};
use warren_payments::chain::Chain;
use warren_payments::chain::dev::{DevChain, DevGenesis};
use warren_payments::{
    Accepted, MemoryStore, PayFrame, Payments, PaymentsConfig, Rate, SettlePolicy, Wallet,
};
use warren_proto::{Amount, ChannelId, PayErrorCode, UnixTime};

use crate::bad_disk::BadDisk;
use crate::fixture::{assert_records, counter, open, spec, write_next};

const UNIT: u64 = 1_000_000_000;

fn units(count: u64) -> Amount {
    Amount::from_wei_u64(UNIT * count)
}

#[test]
fn a_failed_sync_confirms_nothing_and_loses_nothing() {
    let Some(disk) = BadDisk::mount() else { return };
    let home = disk.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let mut confirmed = 0;
    for round in 0..6 {
        let store = open(&home).unwrap();
        let kept = assert_records(&store);
        let late = store.get(tables::CONSENT, b"late").unwrap();
        assert!(late.is_none_or(|it| it == [9; 3000]), "half a batch");
        // What was being written when the disk fell ill may be there; nothing confirmed is missing.
        assert!(kept >= confirmed, "round {round}: {kept} of {confirmed}");
        for _ in 0..5 + round {
            confirmed = write_next(&store).unwrap();
        }
        disk.fall_ill();
        for _ in 0..3 {
            let failed = store.put(&[Write::put(tables::CONSENT, *b"late", vec![9; 3000])]);
            assert!(
                failed.is_err(),
                "round {round}: confirmed by a disk that fails"
            );
        }
        if round % 2 == 0 {
            // The disk gets well under the running program: it goes on by itself.
            disk.get_well();
            assert!(counter(&store) >= confirmed);
            confirmed = write_next(&store).unwrap();
        }
        drop(store);
        disk.get_well();
        disk.power_cycle();
    }
    let store = open(&home).unwrap();
    assert!(counter(&store) >= confirmed);
}

/// A payee whose records are on the disk, and a payer with a disk of its own.
struct Deal {
    chain: DevChain,
    payer: Payments,
    payee: Payments,
    channel: ChannelId,
}

fn config() -> PaymentsConfig {
    let never = SettlePolicy {
        worth_factor: 0,
        rate: Rate::Guessed(Amount::from_wei_u64(1_000_000_000_000)),
        ..SettlePolicy::default()
    };
    PaymentsConfig {
        confirmations: 1,
        poll: Duration::from_millis(10),
        max_head_age: None,
        fresh_keys: false,
        settle: never,
        ..PaymentsConfig::default()
    }
}

fn payee_on(chain: &DevChain, wallet: &Wallet, home: &std::path::Path) -> Payments {
    let lock = HomeLock::take(home, UnixTime::from_secs(1)).unwrap();
    let store = Arc::new(Store::open(spec(home), lock).unwrap());
    let chain: Arc<dyn Chain> = Arc::new(chain.clone());
    Payments::start(chain, store, wallet.clone(), config())
        .unwrap()
        .0
}

impl Deal {
    async fn begin(wallet: &Wallet, home: &std::path::Path) -> Self {
        let chain = DevChain::new(&DevGenesis::default());
        let payer = Wallet::generate().unwrap();
        let coin = Amount::from_wei(1_000_000_000_000_000_000).unwrap();
        for account in [payer.account(), wallet.account()] {
            chain.fund(account, coin, units(1000)).unwrap();
        }
        let payee = payee_on(&chain, wallet, home);
        let to: Arc<dyn Chain> = Arc::new(chain.clone());
        let disk = Arc::new(MemoryStore::new());
        let (payer, _news) = Payments::start(to, disk, payer, config()).unwrap();
        let hour = Duration::from_secs(3600);
        let channel = payer
            .open_channel(wallet.account(), units(100), hour)
            .await
            .unwrap();
        payer.wait_usable(channel).await.unwrap();
        payee.refresh().await.unwrap();
        payee.begin_session(channel, units(1)).await.unwrap();
        let voucher = payer.prepare_lock(channel, units(1)).await.unwrap();
        payee.accept_voucher(voucher).await.unwrap();
        Self {
            chain,
            payer,
            payee,
            channel,
        }
    }

    /// Pays up to so many units; what the payee says to the last frame.
    async fn pay(&self, total: u64) -> Result<Accepted, PayErrorCode> {
        let frames = self.payer.release(self.channel, total).await.unwrap();
        let frames = if frames.is_empty() {
            self.payer.repeat(self.channel).await.unwrap()
        } else {
            frames
        };
        let mut last = Err(PayErrorCode::Internal);
        for frame in frames {
            last = match frame {
                PayFrame::Voucher(it) => self.payee.accept_voucher(it).await,
                PayFrame::Word(it) => self.payee.accept_word(self.channel, it).await,
            };
            last?;
        }
        last
    }

    async fn claimed(&self) -> Amount {
        self.chain
            .channel(self.channel)
            .await
            .unwrap()
            .unwrap()
            .claimed
    }
}

#[tokio::test]
async fn no_liability_is_taken_on_a_failing_disk_and_claims_work_when_it_is_well() {
    let Some(disk) = BadDisk::mount() else { return };
    let home = disk.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let wallet = Wallet::generate().unwrap();
    let deal = Deal::begin(&wallet, &home).await;
    assert_eq!(deal.pay(7).await.unwrap().units, 7);

    disk.fall_ill();
    assert_eq!(
        deal.pay(8).await,
        Err(PayErrorCode::Internal),
        "a word counts that is not on disk"
    );
    let late = UnixTime::from_secs(4_000_000_000);
    assert!(
        deal.payee
            .consent_to_close(deal.channel, late)
            .await
            .is_err()
    );
    let last = deal.payer.finish(deal.channel).await.unwrap();
    assert!(deal.payee.accept_voucher(last.clone()).await.is_err());
    assert!(
        deal.payee.claim(deal.channel).await.is_err(),
        "sent, and not on disk"
    );
    assert_eq!(deal.claimed().await, units(0));
    assert_eq!(deal.payee.held(deal.channel).await.unwrap().units, 7);

    disk.get_well();
    assert_eq!(deal.payee.accept_voucher(last).await.unwrap().units, 8);
    deal.payee.claim(deal.channel).await.unwrap().unwrap();
    assert_eq!(deal.claimed().await, units(8));
}

#[tokio::test]
async fn a_restart_after_a_failed_sync_is_lossless() {
    let Some(disk) = BadDisk::mount() else { return };
    let home = disk.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let wallet = Wallet::generate().unwrap();
    let mut deal = Deal::begin(&wallet, &home).await;
    let acknowledged = deal.pay(11).await.unwrap().ack.value_now;
    disk.fall_ill();
    for total in 12..15 {
        assert!(deal.pay(total).await.is_err());
    }

    // The power goes with the program: what never reached the disk is gone.
    let fallen = std::mem::replace(&mut deal.payee, deal.payer.clone());
    drop(fallen);
    while HomeLock::take(&home, UnixTime::from_secs(2)).is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await; // Its tasks end one after the other.
    }
    disk.get_well();
    disk.power_cycle();
    deal.payee = payee_on(&deal.chain, &wallet, &home);
    deal.payee.refresh().await.unwrap();
    let held = deal.payee.held(deal.channel).await.unwrap().ack.value_now;
    assert!(
        held >= acknowledged,
        "{held} held, {acknowledged} acknowledged"
    );
    assert!(held <= units(14));
    deal.payee.claim(deal.channel).await.unwrap().unwrap();
    assert_eq!(deal.claimed().await, held);
}
