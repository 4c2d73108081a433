//! The chain of the world: the product's contract in an EVM of this process, one block at a time.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use warren_payments::calls::Call;
use warren_payments::chain::dev::{DevAccount, DevChain, DevGenesis, Mining};
use warren_payments::chain::{Chain, ChainEvent};
use warren_payments::tx::UnsignedTx;
use warren_payments::wallet::WalletKey;
use warren_proto::{Amount, ChainRef, PayoutAddress, UnixTime};

use crate::run::LabError;

/// Coins of everybody at the beginning: 10 whole ones, for gas.
const COINS: u64 = 10_000_000_000_000_000_000;
/// Enough gas for any call of the lab (a claim of 256 words takes some 70 000).
const GAS: u64 = 1_000_000;
/// Gas price of the lab, in wei: above the base fee of a chain that is never full.
const FEE: Amount = Amount::from_wei_u64(100_000_000_000);

/// The chain and the nonces of those who use it.
#[derive(Debug)]
pub(crate) struct Bank {
    chain: DevChain,
    nonces: BTreeMap<PayoutAddress, u64>,
    read: u64,
}

impl Bank {
    /// A chain on which `owners` have coins and tokens enough for any run.
    pub(crate) fn new(start: UnixTime, block_secs: u32, owners: &[PayoutAddress]) -> Self {
        let account = |owner: &PayoutAddress| DevAccount {
            owner: *owner,
            native: Amount::from_wei_u64(COINS),
            tokens: Amount::from_wei_u64(u64::MAX),
        };
        let genesis = DevGenesis {
            timestamp: start,
            mining: Mining::Manual,
            block_secs,
            accounts: owners.iter().map(account).collect(),
            ..DevGenesis::default()
        };
        let chain = DevChain::new(&genesis);
        let read = chain.tip().number;
        Self {
            chain,
            nonces: BTreeMap::new(),
            read,
        }
    }

    pub(crate) fn pins(&self) -> ChainRef {
        self.chain.chain_ref()
    }

    /// Hands a signed transaction in; it counts from the next block on.
    pub(crate) fn submit(&mut self, key: &WalletKey, call: &Call) -> Result<(), LabError> {
        let pins = self.pins();
        let nonce = self.nonces.entry(key.address()).or_default();
        let tx = UnsignedTx {
            chain_id: pins.chain_id,
            nonce: *nonce,
            to: call.to(&pins),
            value: Amount::ZERO,
            gas_limit: GAS,
            max_fee: FEE,
            tip: Amount::from_wei_u64(1_000_000_000),
            data: call.data(&pins),
        };
        let signed = tx.seal(&key.sign_tx_hash(&tx.signing_hash()));
        ready(self.chain.submit_raw(signed.raw))
            .map_err(|error| LabError::Chain(error.to_string()))?;
        *nonce += 1;
        Ok(())
    }

    /// Makes a block at `now` and returns what is `confirmations` deep by it.
    pub(crate) fn block(
        &mut self,
        now: UnixTime,
        confirmations: u32,
    ) -> Result<Vec<ChainEvent>, LabError> {
        let head = self.chain.mine_at(now).number;
        let deep = head.saturating_sub(u64::from(confirmations));
        if deep <= self.read {
            return Ok(Vec::new());
        }
        let events = ready(self.chain.events(self.read + 1, deep));
        self.read = deep;
        events.map_err(|error| LabError::Chain(error.to_string()))
    }

    /// Tokens the contract holds.
    pub(crate) fn held(&self) -> Result<Amount, LabError> {
        ready(self.chain.token_balance(self.pins().contract))
            .map_err(|error| LabError::Chain(error.to_string()))
    }

    /// An account's share of the contract's pot.
    pub(crate) fn pot(&self, owner: PayoutAddress) -> Result<Amount, LabError> {
        ready(self.chain.balance(owner)).map_err(|error| LabError::Chain(error.to_string()))
    }

    /// Deposit and claimed sum of a channel; zero for one that never opened.
    pub(crate) fn channel(
        &self,
        id: warren_proto::ChannelId,
    ) -> Result<(Amount, Amount), LabError> {
        let state =
            ready(self.chain.channel(id)).map_err(|error| LabError::Chain(error.to_string()))?;
        Ok(state.map_or((Amount::ZERO, Amount::ZERO), |it| (it.deposit, it.claimed)))
    }
}

/// The chain of this process answers at once; a future that waits would be a fault of the lab.
fn ready<T>(
    future: impl Future<Output = Result<T, warren_payments::chain::ChainError>>,
) -> Result<T, String> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(answer) => answer.map_err(|error| error.to_string()),
        Poll::Pending => Err("the chain of this process did not answer at once".to_owned()),
    }
}
