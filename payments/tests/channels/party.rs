//! A node's money side in a test: a wallet, a disk in memory, and the task over both.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use warren_payments::chain::Chain;
use warren_payments::chain::dev::{DevChain, DevGenesis};
use warren_payments::store::MemoryStore;
use warren_payments::{
    Accepted, PayFrame, PaymentEvent, Payments, PaymentsConfig, Rate, SettlePolicy, Wallet,
};
use warren_proto::{Amount, ChannelId, PayErrorCode, PayoutAddress, Voucher};

pub(crate) const UNIT: u64 = 1_000_000_000;
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const fn wei(amount: u64) -> Amount {
    Amount::from_wei_u64(amount)
}

pub(crate) fn units(count: u64) -> Amount {
    wei(UNIT * count)
}

/// One node.
pub(crate) struct Party {
    pub(crate) wallet: Wallet,
    pub(crate) store: MemoryStore,
    pub(crate) payments: Payments,
    pub(crate) events: mpsc::Receiver<PaymentEvent>,
    chain: DevChain,
}

pub(crate) fn config() -> PaymentsConfig {
    PaymentsConfig {
        confirmations: 1,
        poll: Duration::from_millis(10),
        max_head_age: None,
        // Stories of one channel are told with one key; `keys.rs` tells of the others.
        fresh_keys: false,
        // Tests claim when they say so, or when they must.
        settle: SettlePolicy {
            worth_factor: 0,
            rate: Rate::Guessed(wei(1_000_000_000_000)),
            ..Default::default()
        },
        ..PaymentsConfig::default()
    }
}

/// One coin of the chain, in wei.
pub(crate) fn a_coin() -> Amount {
    Amount::from_wei(1_000_000_000_000_000_000).unwrap()
}

/// A new wallet with a coin for gas and so many tokens.
pub(crate) fn funded(chain: &DevChain, tokens: Amount) -> Wallet {
    let wallet = Wallet::generate().unwrap();
    chain.fund(wallet.account(), a_coin(), tokens).unwrap();
    wallet
}

impl Party {
    /// A new node with money on `chain`.
    pub(crate) async fn rich(chain: &DevChain) -> Self {
        let wallet = funded(chain, units(1_000_000));
        let party = Self::start(chain, wallet, MemoryStore::new());
        // What is opened from here on is no older than this store.
        party.payments.refresh().await.unwrap();
        party
    }

    pub(crate) fn start(chain: &DevChain, wallet: Wallet, store: MemoryStore) -> Self {
        Self::start_as(chain, wallet, store, config())
    }

    pub(crate) fn start_as(
        chain: &DevChain,
        wallet: Wallet,
        store: MemoryStore,
        config: PaymentsConfig,
    ) -> Self {
        let way: Arc<dyn Chain> = Arc::new(chain.clone());
        Self::start_by(way, chain, wallet, store, config)
    }

    /// The same for one that is told of `chain` by others.
    pub(crate) fn start_by(
        way: Arc<dyn Chain>,
        chain: &DevChain,
        wallet: Wallet,
        store: MemoryStore,
        config: PaymentsConfig,
    ) -> Self {
        let disk = Arc::new(store.clone());
        let (payments, events) = Payments::start(way, disk, wallet.clone(), config).unwrap();
        Self {
            wallet,
            store,
            payments,
            events,
            chain: chain.clone(),
        }
    }

    /// Pulls the plug: what is not on disk now is gone.
    pub(crate) fn stop(self) -> (DevChain, Wallet, MemoryStore) {
        let disk = self.store.snapshot();
        (self.chain, self.wallet, disk)
    }

    pub(crate) async fn restarted(self) -> Self {
        let (chain, wallet, store) = self.stop();
        let party = Self::start(&chain, wallet, store);
        party.payments.refresh().await.unwrap();
        party
    }

    pub(crate) const fn chain(&self) -> &DevChain {
        &self.chain
    }

    pub(crate) fn account(&self) -> PayoutAddress {
        self.wallet.account()
    }

    /// Takes what a payer sent, in order.
    pub(crate) async fn take(
        &self,
        channel: ChannelId,
        frames: Vec<PayFrame>,
    ) -> Result<Option<Accepted>, PayErrorCode> {
        let mut last = None;
        for frame in frames {
            last = Some(match frame {
                PayFrame::Voucher(it) => self.payments.accept_voucher(it).await?,
                PayFrame::Word(it) => self.payments.accept_word(channel, it).await?,
            });
        }
        Ok(last)
    }

    /// Waits for news that `wanted` likes.
    pub(crate) async fn hear(&mut self, wanted: impl Fn(&PaymentEvent) -> bool) -> PaymentEvent {
        let heard = async {
            loop {
                match self.events.recv().await {
                    Some(event) if wanted(&event) => return event,
                    Some(_) => {}
                    None => panic!("the task ended"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, heard).await.unwrap()
    }

    pub(crate) async fn pot(&self) -> Amount {
        self.payments.balances().await.unwrap().pot
    }
}

/// A channel between two nodes, confirmed on both sides.
pub(crate) async fn open(payer: &Party, payee: &Party, deposit: Amount) -> ChannelId {
    let opened = payer
        .payments
        .open_channel(payee.account(), deposit, HOUR)
        .await
        .unwrap();
    tokio::time::timeout(PATIENCE, payer.payments.wait_usable(opened))
        .await
        .unwrap()
        .unwrap();
    payee.payments.refresh().await.unwrap();
    opened
}

/// The first voucher of a session that the payee has begun.
pub(crate) async fn first_voucher(payer: &Party, payee: &Party, channel: ChannelId) -> Voucher {
    let begun = payee.payments.begin_session(channel, wei(UNIT)).await;
    begun.unwrap();
    let voucher = payer.payments.prepare_lock(channel, wei(UNIT)).await;
    voucher.unwrap()
}

/// Begins a session: the first voucher lies with the payee.
pub(crate) async fn begin(payer: &Party, payee: &Party, channel: ChannelId) {
    let voucher = first_voucher(payer, payee, channel).await;
    let accepted = payee.payments.accept_voucher(voucher).await.unwrap();
    let frames = payer.payments.payee_saw(accepted.ack).await.unwrap();
    payee.take(channel, frames).await.unwrap();
}

/// Pays units `from + 1 ..= to`, one by one.
pub(crate) async fn pay(payer: &Party, payee: &Party, channel: ChannelId, from: u64, to: u64) {
    for total in from + 1..=to {
        let frames = payer.payments.release(channel, total).await.unwrap();
        let accepted = payee.take(channel, frames).await.unwrap().unwrap();
        assert_eq!(accepted.units, total);
    }
}

pub(crate) fn world() -> DevChain {
    DevChain::new(&DevGenesis::default())
}

/// Every token the contract holds is in a pot or in an open channel.
pub(crate) async fn assert_conserved(
    chain: &DevChain,
    owners: &[PayoutAddress],
    channels: &[ChannelId],
) {
    let mut sum = 0;
    for owner in owners {
        sum += chain.balance(*owner).await.unwrap().wei();
    }
    for id in channels {
        let state = chain.channel(*id).await.unwrap().unwrap();
        if state.status == warren_payments::chain::ChannelStatus::Open {
            sum += state.deposit.wei() - state.claimed.wei();
        }
    }
    let contract = chain.chain_ref().contract;
    assert_eq!(chain.token_balance(contract).await.unwrap().wei(), sum);
}
