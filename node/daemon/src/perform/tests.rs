//! What a session is told that it was paid, on the real contract: what its own guest pays, and no more.

use std::sync::Arc;

use tempfile::TempDir;
use warren_payments::chain::dev::{DevChain, DevGenesis};
use warren_payments::store::MemoryStore;
use warren_payments::{PayFrame, PaymentsConfig, RouteAsk, Wallet};
use warren_proto::{LockReady, PaymentId};

pub(crate) use super::second::tests::router;
use super::*;
use crate::lockfile::HomeLock;
use crate::stand::key;
use crate::store::{Store, StoreSpec};

mod over;
mod past;

const UNIT: u64 = 1_000_000_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn units(count: u64) -> Amount {
    Amount::from_wei_u64(UNIT * count)
}

/// A router with a channel to an exit.
pub(crate) struct Pair {
    pub(crate) router: Payments,
    exit: Payments,
    pub(crate) channel: ChannelId,
    pub(crate) chain: DevChain,
    /// The router's.
    wallet: Wallet,
    disk: MemoryStore,
}

fn funded(chain: &DevChain) -> Wallet {
    let wallet = Wallet::generate().unwrap();
    let coin = Amount::from_wei(1_000_000_000_000_000_000).unwrap();
    let account = wallet.account();
    chain.fund(account, coin, units(10_000)).unwrap();
    wallet
}

fn start(chain: &DevChain, wallet: &Wallet, disk: &MemoryStore) -> Payments {
    let config = PaymentsConfig {
        confirmations: 1,
        poll: Duration::from_millis(10),
        max_head_age: None,
        fresh_keys: false,
        ..PaymentsConfig::default()
    };
    let (at, disk) = (Arc::new(chain.clone()), Arc::new(disk.clone()));
    let (payments, _events) = Payments::start(at, disk, wallet.clone(), config).unwrap();
    payments
}

/// What a node pays with, and the disk that must have room for it.
pub(crate) fn purse_of(payments: &Payments) -> (Purse, (TempDir, Store)) {
    let (home, owner) = (tempfile::tempdir().unwrap(), key(1).id());
    let lock = HomeLock::take(home.path(), UnixTime::from_secs(0)).unwrap();
    let store = Store::open(StoreSpec::new(home.path(), owner), lock).unwrap();
    let purse = Purse::new(payments.clone(), store.headroom().clone());
    (purse, (home, store))
}

impl Pair {
    pub(crate) async fn new() -> Self {
        let chain = DevChain::new(&DevGenesis {
            timestamp: UnixTime::from_secs(4_000_000_000),
            ..DevGenesis::default()
        });
        let (wallet, disk) = (funded(&chain), MemoryStore::new());
        let router = start(&chain, &wallet, &disk);
        let payee = funded(&chain);
        let exit = start(&chain, &payee, &MemoryStore::new());
        let opened = router.open_channel(payee.account(), units(1000), DAY);
        let channel = opened.await.unwrap();
        router.wait_usable(channel).await.unwrap();
        exit.refresh().await.unwrap();
        Self {
            router,
            exit,
            channel,
            chain,
            wallet,
            disk,
        }
    }

    /// Pulls the router's plug and starts it again with what is on disk.
    pub(crate) fn restarts_router(&mut self) {
        self.disk = self.disk.snapshot();
        self.router = start(&self.chain, &self.wallet, &self.disk);
    }

    /// A lock whose words somebody says to the exit, for a session of somebody else.
    async fn lock(&self, count: u32) -> LockReady {
        let ask = RouteAsk {
            channel: self.channel,
            unit_price: units(1),
            units: count,
            expiry: self.chain.tip().timestamp.as_secs() + 7200,
            onward: Vec::new(),
            hold_fee: Amount::ZERO,
        };
        let offer = self.router.offer_lock(ask).await.unwrap();
        let taken = self.exit.take_lock(offer, units(1), 0).await.unwrap();
        let ready = taken.ready;
        self.router.lock_ready(self.channel, ready).await.unwrap();
        ready
    }

    async fn say(&self, ready: LockReady, to: u32) {
        let words = self.router.release_routed(self.channel, ready, to).await;
        for word in words.unwrap() {
            self.exit.accept_routed_word(ready, word).await.unwrap();
        }
    }

    async fn fold(&self, payment: PaymentId) {
        let asked = self.exit.unfolded(self.channel).await.unwrap();
        assert_eq!(asked.len(), 1, "{payment}");
        for asked in asked {
            let outs = self.router.route_frame(self.channel, asked.frame).await;
            for out in outs.unwrap() {
                let taken = self.exit.route_frame(self.channel, out.frame).await;
                taken.unwrap();
            }
        }
    }

    /// The router's own session pays up to `total` units; what the session is told of each frame.
    async fn pay(&self, total: u64) -> Vec<Amount> {
        let frames = self.router.release(self.channel, total).await.unwrap();
        let mut told_of = Vec::new();
        for frame in frames {
            let taken = match frame {
                PayFrame::Voucher(it) => self.exit.accept_voucher(it).await,
                PayFrame::Word(it) => self.exit.accept_word(self.channel, it).await,
            };
            let ProviderEvent::Paid { value } = told(taken) else {
                panic!("it is not taken")
            };
            told_of.push(value);
        }
        told_of
    }
}

/// One channel, a guest that pays by it, and others whose words come by it to the same exit: their words, and
/// what is folded of them at any time, open the gate for nobody but themselves.
#[tokio::test]
async fn a_direct_session_is_not_paid_by_the_routes_of_its_channel() {
    let pair = Pair::new().await;
    let ready = pair.lock(100).await;
    pair.say(ready, 20).await;

    let voucher = pair.router.prepare_lock(pair.channel, units(1)).await;
    let voucher = voucher.unwrap();
    let (before, ack) = begin(&pair.exit, units(1), voucher).await.unwrap();
    assert_eq!((before, ack.value_now), (units(0), units(20)));
    assert_eq!(pair.pay(1).await, [units(1)]);
    pair.say(ready, 50).await;
    assert_eq!(pair.pay(2).await, [units(2)], "not 31 more");
    pair.fold(ready.payment).await;
    assert_eq!(pair.pay(3).await, [units(3)], "nor when they are folded");
    let held = pair.exit.held(pair.channel).await.unwrap();
    assert_eq!(held.ack.value_now, units(53), "all of it is the exit's");

    // Nor does the receipt of that session say so.
    let evidence = pair.exit.evidence(pair.channel).await.unwrap().unwrap();
    assert_eq!(evidence.value, units(53));
    assert_eq!(evidence.value_before, units(50));
}

#[tokio::test]
async fn a_channel_whose_opening_failed_is_not_waited_for_again() {
    let pair = Pair::new().await;
    let views = pair.router.channels().await.unwrap();
    let payee = views[0].params.payee;
    let warm = async || {
        let views = pair.router.channels().await.unwrap();
        let fits = |it: &&ChannelView| is_warm(it, payee, 3600, units(1));
        views
            .iter()
            .filter(fits)
            .map(|it| it.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(warm().await, [pair.channel]);
    let dead = pair.router.open_channel(payee, units(1_000_000), DAY);
    let dead = dead.await.unwrap();
    assert!(
        warm().await.contains(&dead),
        "its opening may still succeed"
    );
    let waited = pair.router.wait_usable(dead).await;
    assert!(waited.is_err(), "nobody has so much");
    assert_eq!(warm().await, [pair.channel]);
}
