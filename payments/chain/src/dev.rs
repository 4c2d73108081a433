//! A whole chain in this process: the real EVM, the real contract, no socket and no clock.
//!
//! ```text
//! submit_raw ──▶ pool ──mine──▶ block ──▶ receipts, logs, state
//!                  ▲              │
//!                  └───reorg──────┘
//! ```
//!
//! Deterministic: the same calls in the same order make the same hashes. Time moves only when
//! told to. It answers the same JSON-RPC a node far away would, so the same client runs on it.

mod answer;
mod engine;
mod genesis;
mod pool;
mod shape;
mod world;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ethers_core::utils::keccak256;
use ethers_signers::{LocalWallet, Signer as _};
use serde_json::Value;
use warren_proto::{Amount, ChainRef, PayoutAddress, TxHash, UnixTime};

use super::eth::{EthNode, refusal};
use super::{ChainError, ChainFuture, Head, json};
use crate::calls::Call;
use crate::tx::UnsignedTx;
pub(super) use answer::METHODS;
pub use genesis::{DevAccount, DevGenesis};
use pool::Fault;
use world::World;

/// JSON-RPC's door to the faucet: address, native wei, token wei.
pub(super) const FUND: &str = "warren_fund";
/// The going tip.
const GWEI: u64 = 1_000_000_000;

/// A development chain. Clones are handles to the same chain.
#[derive(Debug, Clone)]
pub struct DevChain {
    world: Arc<Mutex<World>>,
    pins: ChainRef,
}

/// When blocks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mining {
    /// With each transaction that is handed in.
    Auto,
    /// When asked to.
    Manual,
}

/// What becomes of the transactions in blocks that are taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reorg {
    /// They go into the new blocks where they still fit.
    Keep,
    /// They are gone.
    Drop,
}

/// The chain does not remember that far back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot take back {depth} blocks, only {kept}")]
pub struct TooDeep {
    /// How many were asked for.
    pub depth: usize,
    /// How many could be taken back.
    pub kept: usize,
}

impl DevChain {
    /// Starts a chain: token and contract deployed, accounts funded.
    #[must_use]
    pub fn new(genesis: &DevGenesis) -> Self {
        let (state, pins) = genesis.state(owner(&faucet()));
        let mut world = World::new(genesis.chain_id, state, genesis.timestamp);
        world.mining = genesis.mining;
        world.block_secs = u64::from(genesis.block_secs);
        world.set_base_fee(genesis.base_fee);
        world.tip = GWEI;
        Self {
            world: Arc::new(Mutex::new(world)),
            pins,
        }
    }

    /// The public secret of a rich dev account. Worth nothing on any real chain.
    #[must_use]
    pub fn secret(index: u32) -> [u8; 32] {
        keccak256(format!("warren/dev/account/{index}"))
    }

    /// The newest block.
    #[must_use]
    pub fn tip(&self) -> Head {
        self.world().head()
    }

    /// Makes a block now, which is one block time after the last.
    pub fn mine(&self) -> Head {
        self.world().mine()
    }

    /// Makes this many blocks.
    pub fn mine_many(&self, blocks: u32) -> Head {
        let mut world = self.world();
        for _ in 0..blocks {
            world.mine();
        }
        world.head()
    }

    /// Makes a block at this time, or at the last block's time if that is later.
    pub fn mine_at(&self, time: UnixTime) -> Head {
        self.world().mine_at(time.as_secs())
    }

    /// Makes a block that much later than the last.
    pub fn advance(&self, span: Duration) -> Head {
        let mut world = self.world();
        let time = world.head().timestamp.plus(span);
        world.mine_at(time.as_secs())
    }

    /// Makes blocks at the clock's time from now on, for a shell that has one.
    pub fn set_clock(&self, now: UnixTime) {
        self.world().set_clock(now);
    }

    /// Changes when blocks are made.
    pub fn set_mining(&self, mining: Mining) {
        self.world().mining = mining;
    }

    /// Changes what is burnt per gas from the next block on.
    pub fn set_base_fee(&self, fee: Amount) {
        self.world().set_base_fee(fee);
    }

    /// Takes back the newest blocks and makes one more than that in their place.
    ///
    /// # Errors
    /// [`TooDeep`] beyond 128 blocks or the first one.
    pub fn reorg(&self, depth: usize, fate: Reorg) -> Result<Head, TooDeep> {
        self.world().reorg(depth, fate)
    }

    /// Forgets a waiting transaction; says whether it was there.
    pub fn drop_tx(&self, tx: TxHash) -> bool {
        self.world().pool.drop_tx(tx)
    }

    /// How many transactions wait for a block.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.world().pool.len()
    }

    /// Gives money from the faucet: native for gas, tokens to pay with.
    ///
    /// Two transactions like any other: where blocks are made by hand, they wait for one.
    ///
    /// # Errors
    /// [`ChainError`] if the pool is full.
    pub fn fund(
        &self,
        to: PayoutAddress,
        native: Amount,
        tokens: Amount,
    ) -> Result<(), ChainError> {
        let mint = Call::Mint { to, amount: tokens };
        self.grant(to, native, Vec::new())
            .and_then(|()| self.grant(self.pins.token, Amount::ZERO, mint.data(&self.pins)))
            .map_err(|fault| fault.into_error("fund"))
    }

    fn grant(&self, to: PayoutAddress, value: Amount, data: Vec<u8>) -> Result<(), Fault> {
        let mut world = self.world();
        let key = faucet();
        let fee = Amount::from_wei_u64(world.base_fee.saturating_add(GWEI));
        let tx = UnsignedTx {
            chain_id: world.chain_id,
            nonce: world.pool.next_nonce(owner(&key), &world.state),
            to,
            value,
            gas_limit: 200_000,
            max_fee: fee,
            tip: Amount::from_wei_u64(GWEI),
            data,
        };
        world
            .submit(&tx.seal(&sign(&key, &tx.signing_hash())).raw)
            .map(|_| ())
    }

    /// Answers a JSON-RPC request.
    pub(crate) fn answer(&self, method: &str, params: &Value) -> Result<Value, ChainError> {
        self.reply(method, params)
            .map_err(|fault| fault.into_error(method))
    }

    pub(super) fn reply(&self, method: &str, params: &Value) -> Result<Value, Fault> {
        match (method, params.as_array().map(Vec::as_slice)) {
            (FUND, Some([to, native, tokens])) => {
                let money = |it| json::u128(it).and_then(|it| Amount::from_wei(it).ok());
                let bad = || Fault::new(-32602, "expected address, native wei, token wei");
                let to = json::address(to).ok_or_else(bad)?;
                let (native, tokens) = (
                    money(native).ok_or_else(bad)?,
                    money(tokens).ok_or_else(bad)?,
                );
                let mint = Call::Mint { to, amount: tokens };
                self.grant(to, native, Vec::new())?;
                self.grant(self.pins.token, Amount::ZERO, mint.data(&self.pins))?;
                Ok(Value::Bool(true))
            }
            (_, Some(params)) => self.world().answer(method, params),
            (_, None) => Err(Fault::new(-32602, "parameters must be a list")),
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EthNode for DevChain {
    fn pins(&self) -> ChainRef {
        self.pins
    }

    fn ask(&self, method: &'static str, params: Value) -> ChainFuture<'_, Value> {
        let answer = self.answer(method, &params);
        Box::pin(std::future::ready(answer))
    }
}

impl Fault {
    fn into_error(self, method: &str) -> ChainError {
        let data = self.data.map(json::hex_bytes);
        refusal(method, self.code, &self.message, data.as_ref())
    }
}

fn faucet() -> [u8; 32] {
    keccak256("warren/dev/faucet")
}

fn owner(secret: &[u8; 32]) -> PayoutAddress {
    PayoutAddress::from_bytes(key(secret).address().0)
}

fn sign(secret: &[u8; 32], hash: &[u8; 32]) -> [u8; 65] {
    #[expect(
        clippy::expect_used,
        reason = "fails only where r or s is 0: nobody can find one"
    )]
    let signature = key(secret).sign_hash((*hash).into()).expect("a signature");
    let mut bytes: [u8; 65] = (&signature).into();
    bytes[64] = bytes[64].saturating_sub(27);
    bytes
}

#[expect(
    clippy::expect_used,
    reason = "a hash is no key with a chance of 2^-127"
)]
fn key(secret: &[u8; 32]) -> LocalWallet {
    LocalWallet::from_bytes(secret).expect("a key")
}

#[cfg(test)]
mod tests;
