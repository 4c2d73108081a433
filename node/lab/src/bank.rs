//! The chain of the world: the product's contract in an EVM of this process, one block at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use warren_payments::calls::Call;
use warren_payments::chain::dev::{DevAccount, DevChain, DevGenesis, Mining};
use warren_payments::chain::{Chain, ChainError, ChainEvent, Outcome};
use warren_payments::tx::UnsignedTx;
use warren_payments::wallet::WalletKey;
use warren_proto::{Amount, ChainRef, PayoutAddress, TxHash, UnixTime};

use crate::run::LabError;

/// Everybody's coins and tokens at the beginning: 65 536 of the largest deposits, and all of 5000 owners'
/// together still an amount of money.
const WEALTH: u128 = 1 << 80;
/// Enough gas for any call of the lab (a claim of 256 words takes some 70 000).
const GAS: u64 = 1_000_000;
/// Gas price of the lab, in wei, of which the base fee is paid: above it even after a hundred full blocks.
const FEE: Amount = Amount::from_wei_u64(1_000_000_000_000_000);
/// So many owners whose transactions the chain does not take now are asked before the rest waits, too.
const FULL: usize = 64;

/// The chain and the nonces of those who use it.
#[derive(Debug)]
pub(crate) struct Bank {
    chain: DevChain,
    nonces: BTreeMap<PayoutAddress, u64>,
    /// What the chain has no room for yet, in order.
    unsent: VecDeque<(WalletKey, Call)>,
    /// What is in no block yet.
    sent: Vec<TxHash>,
    read: u64,
}

impl Bank {
    /// A chain on which `owners` have coins and tokens enough for any run.
    pub(crate) fn new(start: UnixTime, block_secs: u32, owners: &[PayoutAddress]) -> Self {
        let wealth = Amount::from_wei(WEALTH).unwrap_or(Amount::MAX);
        let account = |owner: &PayoutAddress| DevAccount {
            owner: *owner,
            native: wealth,
            tokens: wealth,
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
            unsent: VecDeque::new(),
            sent: Vec::new(),
            read,
        }
    }

    pub(crate) fn pins(&self) -> ChainRef {
        self.chain.chain_ref()
    }

    /// Hands a signed transaction in; it counts from the next block on that has room for it.
    pub(crate) fn submit(&mut self, key: &WalletKey, call: Call) -> Result<(), LabError> {
        let queues = |it: &(WalletKey, Call)| it.0.address() == key.address();
        if self.unsent.iter().any(queues) || !self.send(key, &call)? {
            self.unsent.push_back((key.clone(), call));
        }
        Ok(())
    }

    /// Whether the chain has room for it.
    fn send(&mut self, key: &WalletKey, call: &Call) -> Result<bool, LabError> {
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
        match at_once(self.chain.submit_raw(signed.raw)) {
            Ok(tx) => {
                self.sent.push(tx);
                *nonce += 1;
                Ok(true)
            }
            Err(error) if error.to_string().contains("txpool is full") => Ok(false),
            Err(error) => Err(LabError::Chain(error.to_string())),
        }
    }

    /// Hands in what waits, in each owner's order.
    fn send_waiting(&mut self) -> Result<(), LabError> {
        let mut full = BTreeSet::new();
        for (key, call) in std::mem::take(&mut self.unsent) {
            let owner = key.address();
            let waits = full.len() >= FULL || full.contains(&owner);
            if waits || !self.send(&key, &call)? {
                full.insert(owner);
                self.unsent.push_back((key, call));
            }
        }
        Ok(())
    }

    /// Looks what became of what was sent.
    fn look(&mut self) -> Result<(), LabError> {
        let mut waiting = Vec::new();
        for tx in std::mem::take(&mut self.sent) {
            match ready(self.chain.receipt(tx)).map_err(LabError::Chain)? {
                Some(it) if it.outcome == Outcome::Reverted => {
                    return Err(LabError::Chain(format!("{tx:?} was reverted")));
                }
                Some(_) => {}
                None => waiting.push(tx),
            }
        }
        self.sent = waiting;
        Ok(())
    }

    /// Whether everything that was handed in is in a block.
    pub(crate) fn is_idle(&self) -> bool {
        self.sent.is_empty() && self.unsent.is_empty()
    }

    /// Makes a block at `now` and returns what is `confirmations` deep by it.
    pub(crate) fn block(
        &mut self,
        now: UnixTime,
        confirmations: u32,
    ) -> Result<Vec<ChainEvent>, LabError> {
        let head = self.chain.mine_at(now).number;
        self.look()?;
        self.send_waiting()?;
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

fn ready<T>(future: impl Future<Output = Result<T, ChainError>>) -> Result<T, String> {
    at_once(future).map_err(|error| error.to_string())
}

/// The chain of this process answers at once; a future that waits would be a fault of the lab.
fn at_once<T>(future: impl Future<Output = Result<T, ChainError>>) -> Result<T, ChainError> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(answer) => answer,
        Poll::Pending => Err(ChainError::TimedOut {
            method: "a call that answers at once".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use warren_payments::chain::EventKind;
    use warren_proto::ChannelParams;

    use super::*;

    const DAWN: UnixTime = UnixTime::from_secs(1_800_000_000);

    fn bank() -> (Bank, [WalletKey; 2]) {
        let keys = [1, 2].map(|it| WalletKey::from_bytes(&[it; 32]).expect("a key"));
        let owners = [keys[0].address(), keys[1].address()];
        (Bank::new(DAWN, 1, &owners), keys)
    }

    fn open(bank: &mut Bank, keys: &[WalletKey; 2], salt: u64, amount: Amount) {
        let params = ChannelParams {
            payer: keys[0].address(),
            payee: keys[1].address(),
            period_secs: 3600,
            salt,
        };
        for call in [Call::Approve { amount }, Call::Open { params, amount }] {
            bank.submit(&keys[0], call).expect("taken");
        }
    }

    fn opened(events: &[ChainEvent]) -> usize {
        let is_it = |it: &&ChainEvent| matches!(it.kind, EventKind::Opened { .. });
        events.iter().filter(is_it).count()
    }

    #[test]
    fn the_largest_deposits_are_there_again_and_again() {
        let (mut bank, keys) = bank();
        for salt in 1..=4 {
            open(&mut bank, &keys, salt, Amount::from_wei_u64(u64::MAX));
        }
        let events = bank.block(DAWN.plus(std::time::Duration::from_secs(1)), 0);
        assert_eq!(opened(&events.expect("a block")), 4);
    }

    #[test]
    fn what_the_chain_undoes_is_not_passed_over() {
        let (mut bank, keys) = bank();
        open(&mut bank, &keys, 1, Amount::MAX);
        let told = bank.block(DAWN.plus(std::time::Duration::from_secs(1)), 0);
        assert!(told.unwrap_err().to_string().contains("reverted"));
    }

    #[test]
    fn what_the_chain_has_no_room_for_goes_along_later() {
        let (mut bank, keys) = bank();
        for salt in 1..=100 {
            open(&mut bank, &keys, salt, Amount::from_wei_u64(5));
        }
        let (mut seen, mut blocks) = (0, 0);
        while !bank.is_idle() {
            blocks += 1;
            let now = DAWN.plus(std::time::Duration::from_secs(blocks));
            seen += opened(&bank.block(now, 0).expect("a block"));
        }
        assert!(seen == 100 && blocks > 1, "{seen} in {blocks} blocks");
    }
}
