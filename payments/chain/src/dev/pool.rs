//! Transactions waiting for a block, under the rules real nodes apply.

use std::collections::BTreeMap;

use ethers_core::types::transaction::eip2718::TypedTransaction;
use ethers_core::types::{NameOrAddress, Signature, U256};
use ethers_core::utils::{keccak256, rlp::Rlp};
use warren_proto::{PayoutAddress, TxHash};

use super::engine::{Run, State, TX_GAS};

// Our choice, near what nodes do.
const MAX_POOL: usize = 4096;
const MAX_PER_ACCOUNT: usize = 64;
const MAX_RAW_BYTES: usize = 128 * 1024;
/// A replacement pays this much more, in percent.
const REPLACE_PERCENT: u128 = 10;
const NODE_ERROR: i32 = -32000;
/// Half the order of secp256k1, big endian.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// Why the node says no: JSON-RPC's code, words and data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: i32,
    pub(crate) message: String,
    pub(crate) data: Option<Vec<u8>>,
}

impl Fault {
    pub(super) fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    pub(super) fn node(message: impl Into<String>) -> Self {
        Self::new(NODE_ERROR, message)
    }
}

/// A transaction with its sender recovered.
#[derive(Debug, Clone)]
pub(super) struct PoolTx {
    pub(super) hash: TxHash,
    pub(super) run: Run,
    pub(super) nonce: u64,
    /// EIP-2718's number of its kind.
    pub(super) kind: u8,
    pub(super) signature: Signature,
    arrival: u64,
}

/// What waits, by sender and nonce.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    waiting: BTreeMap<(PayoutAddress, u64), PoolTx>,
    arrivals: u64,
}

impl PoolTx {
    /// Reads a signed transaction and recovers who sent it.
    pub(super) fn decode(raw: &[u8], chain_id: u64) -> Result<Self, Fault> {
        if raw.len() > MAX_RAW_BYTES {
            return Err(Fault::node("oversized data"));
        }
        let bad = || Fault::new(-32602, "failed to decode signed transaction");
        let (tx, signature) = TypedTransaction::decode_signed(&Rlp::new(raw)).map_err(|_| bad())?;
        if tx.chain_id().map(|it| it.as_u64()) != Some(chain_id) {
            return Err(Fault::node("invalid chain id for signer"));
        }
        if tx.rlp_signed(&signature).as_ref() != raw {
            return Err(bad()); // Trailing bytes, or another writing of the same.
        }
        if signature.s > U256::from_big_endian(&HALF_ORDER) {
            return Err(Fault::node("invalid signature values")); // EIP-2: two would fit otherwise.
        }
        let from = signature.recover(tx.sighash()).map_err(|_| bad())?;
        let number = |it: Option<U256>| u128::try_from(it.unwrap_or_default()).map_err(|_| bad());
        let short = |it: Option<U256>| u64::try_from(it.unwrap_or_default()).map_err(|_| bad());
        let (kind, max_fee, tip) = match &tx {
            TypedTransaction::Eip1559(it) => (
                2,
                number(it.max_fee_per_gas)?,
                number(it.max_priority_fee_per_gas)?,
            ),
            TypedTransaction::Eip2930(_) => (1, number(tx.gas_price())?, number(tx.gas_price())?),
            TypedTransaction::Legacy(_) => (0, number(tx.gas_price())?, number(tx.gas_price())?),
        };
        let to = match tx.to() {
            None => None,
            Some(NameOrAddress::Address(it)) => Some(PayoutAddress::from_bytes(it.0)),
            Some(NameOrAddress::Name(_)) => return Err(bad()),
        };
        let nonce = short(tx.nonce().copied())?;
        let run = Run {
            from: PayoutAddress::from_bytes(from.0),
            to,
            value: number(tx.value().copied())?,
            gas_limit: short(tx.gas().copied())?,
            max_fee,
            tip,
            nonce: Some(nonce),
            data: tx.data().map(|it| it.to_vec()).unwrap_or_default(),
        };
        let hash = TxHash::from_bytes(keccak256(raw));
        Ok(Self {
            hash,
            run,
            nonce,
            kind,
            signature,
            arrival: 0,
        })
    }

    fn max_cost(&self) -> Option<U256> {
        let gas = U256::from(self.run.gas_limit).checked_mul(U256::from(self.run.max_fee))?;
        gas.checked_add(U256::from(self.run.value))
    }

    /// What its block's maker would get per gas; `None` if it cannot pay the base fee.
    pub(super) fn effective_tip(&self, base_fee: u64) -> Option<u128> {
        let room = self.run.max_fee.checked_sub(u128::from(base_fee))?;
        Some(room.min(self.run.tip))
    }
}

impl Pool {
    /// Takes a transaction in, or says why not, in the words of real nodes.
    pub(super) fn take(&mut self, mut tx: PoolTx, state: &State) -> Result<TxHash, Fault> {
        let from = tx.run.from;
        if tx.run.tip > tx.run.max_fee {
            return Err(Fault::node(
                "max priority fee per gas higher than max fee per gas",
            ));
        }
        if tx.run.gas_limit < 21_000 {
            return Err(Fault::node("intrinsic gas too low"));
        }
        if tx.run.gas_limit > TX_GAS {
            return Err(Fault::node("exceeds block gas limit"));
        }
        if tx.nonce < state.nonce(from) {
            return Err(Fault::node("nonce too low"));
        }
        let held = U256::from_big_endian(&state.balance(from).to_be_bytes::<32>());
        if tx.max_cost().is_none_or(|it| it > held) {
            return Err(Fault::node("insufficient funds for gas * price + value"));
        }
        match self.waiting.get(&(from, tx.nonce)) {
            Some(old) if old.hash == tx.hash => return Err(Fault::node("already known")),
            Some(old) if !pays_more(&tx.run, &old.run) => {
                return Err(Fault::node("replacement transaction underpriced"));
            }
            Some(_) => {}
            None => {
                let theirs = self.waiting.range((from, 0)..=(from, u64::MAX)).count();
                if self.waiting.len() >= MAX_POOL || theirs >= MAX_PER_ACCOUNT {
                    return Err(Fault::node("txpool is full"));
                }
            }
        }
        tx.arrival = self.arrivals;
        self.arrivals = self.arrivals.saturating_add(1);
        let hash = tx.hash;
        self.waiting.insert((from, tx.nonce), tx);
        Ok(hash)
    }

    /// Takes out what the next block runs next: the best payer whose turn it is.
    pub(super) fn next(&mut self, state: &State, base_fee: u64, gas_left: u64) -> Option<PoolTx> {
        let ready = self
            .waiting
            .values()
            .filter(|it| it.nonce == state.nonce(it.run.from));
        let fitting = ready.filter(|it| it.run.gas_limit <= gas_left);
        let paying = fitting.filter_map(|it| Some((it.effective_tip(base_fee)?, it)));
        let (_, best) = paying.max_by_key(|(tip, it)| (*tip, std::cmp::Reverse(it.arrival)))?;
        let key = (best.run.from, best.nonce);
        self.waiting.remove(&key)
    }

    /// Forgets what can never run any more.
    pub(super) fn sweep(&mut self, state: &State) {
        self.waiting
            .retain(|(from, nonce), _| *nonce >= state.nonce(*from));
    }

    /// Forgets one transaction, as a node under pressure would; says whether it was there.
    pub(super) fn drop_tx(&mut self, hash: TxHash) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|_, it| it.hash != hash);
        self.waiting.len() != before
    }

    pub(super) fn find(&self, hash: TxHash) -> Option<&PoolTx> {
        self.waiting.values().find(|it| it.hash == hash)
    }

    /// The nonce after everything of `owner` that waits in line.
    pub(super) fn next_nonce(&self, owner: PayoutAddress, state: &State) -> u64 {
        let mut nonce = state.nonce(owner);
        while self.waiting.contains_key(&(owner, nonce)) {
            nonce = nonce.saturating_add(1);
        }
        nonce
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

fn pays_more(new: &Run, old: &Run) -> bool {
    let more = |new: u128, old: u128| {
        let Some(bump) = old.checked_mul(REPLACE_PERCENT) else {
            return false;
        };
        old.checked_add(bump.div_ceil(100))
            .is_some_and(|least| new >= least)
    };
    more(new.max_fee, old.max_fee) && more(new.tip, old.tip)
}
