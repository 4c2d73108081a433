//! The typed client over raw JSON-RPC, the same for the chain in this process and one far away.
//!
//! A node's answer is believed no further than it must be: shapes, sizes, addresses and ranges
//! are checked, and what does not fit is [`ChainError::Nonsense`].

mod logs;
mod read;

use std::fmt;

use ethers_core::abi::ParamType::{Address, Uint};
use ethers_core::types::U256;
use ethers_core::utils::keccak256;
use serde_json::{Value, json};
use warren_proto::{Amount, ChainRef, ChannelId, PayoutAddress, TxHash};

use super::abi::{Artefact, Reader, address, calldata, cap, word};
use super::error::ChainError;
use super::event::ChainEvent;
use super::json::{self, field, hex_bytes, quantity};
use super::{CallRequest, Chain, ChainFuture, ChannelState, Fees, Head, Interest, Receipt};
pub(crate) use read::refusal;
use read::{already_known, call_object, gas_price, nonsense, read_channel, read_receipt};

/// Where gas for a call that has no limit is capped.
const CALL_GAS: u64 = 16_000_000;

/// Something that answers JSON-RPC: whatever does is a [`Chain`].
pub trait EthNode: Send + Sync + fmt::Debug {
    /// What it is pinned to.
    fn pins(&self) -> ChainRef;

    /// Asks; the parameters are a JSON array.
    fn ask(&self, method: &'static str, params: Value) -> ChainFuture<'_, Value>;
}

impl<T: EthNode> Chain for T {
    fn chain_ref(&self) -> ChainRef {
        self.pins()
    }

    fn verify_contract(&self) -> ChainFuture<'_, ()> {
        Box::pin(verify(self))
    }

    fn head(&self) -> ChainFuture<'_, Head> {
        Box::pin(async {
            let block = self
                .ask("eth_getBlockByNumber", json!(["latest", false]))
                .await?;
            json::head(&block).ok_or_else(|| nonsense("eth_getBlockByNumber", "no block"))
        })
    }

    fn block(&self, number: u64) -> ChainFuture<'_, Option<Head>> {
        Box::pin(async move {
            let method = "eth_getBlockByNumber";
            let block = self.ask(method, json!([quantity(number), false])).await?;
            if block.is_null() {
                return Ok(None);
            }
            let head = json::head(&block).filter(|it| it.number == number);
            head.map(Some)
                .ok_or_else(|| nonsense(method, "not the block asked for"))
        })
    }

    fn channel(&self, id: ChannelId) -> ChainFuture<'_, Option<ChannelState>> {
        Box::pin(async move {
            let data = calldata("channels(bytes32)", &[word(id.as_bytes())]);
            let answer = view(self, self.pins().contract, data).await?;
            read_channel(&answer).ok_or_else(|| nonsense("channels", "no channel"))
        })
    }

    fn balance(&self, owner: PayoutAddress) -> ChainFuture<'_, Amount> {
        let data = calldata("balances(address)", &[address(owner)]);
        Box::pin(capped(self, self.pins().contract, data))
    }

    fn beneficiary(&self, owner: PayoutAddress) -> ChainFuture<'_, Option<PayoutAddress>> {
        Box::pin(async move {
            let data = calldata("beneficiaries(address)", &[address(owner)]);
            let answer = view(self, self.pins().contract, data).await?;
            let to = Reader::new(&[Address], &answer)
                .and_then(|mut it| it.address())
                .ok_or_else(|| nonsense("beneficiaries", "no address"))?;
            Ok((to != PayoutAddress::ZERO).then_some(to))
        })
    }

    fn token_decimals(&self) -> ChainFuture<'_, Option<u8>> {
        Box::pin(async move {
            let data = calldata("decimals()", &[]);
            let answer = match view(self, self.pins().token, data).await {
                // ERC-20 lets a token keep it to itself.
                Err(ChainError::Reverted(_)) => return Ok(None),
                answer => answer?,
            };
            let decimals = Reader::new(&[Uint(8)], &answer).and_then(|mut it| it.u64());
            Ok(decimals.and_then(|it| u8::try_from(it).ok()))
        })
    }

    fn token_balance(&self, owner: PayoutAddress) -> ChainFuture<'_, Amount> {
        let data = calldata("balanceOf(address)", &[address(owner)]);
        Box::pin(capped(self, self.pins().token, data))
    }

    fn allowance(&self, owner: PayoutAddress) -> ChainFuture<'_, Amount> {
        let pins = self.pins();
        let data = calldata(
            "allowance(address,address)",
            &[address(owner), address(pins.contract)],
        );
        Box::pin(capped(self, pins.token, data))
    }

    fn native_balance(&self, owner: PayoutAddress) -> ChainFuture<'_, Amount> {
        Box::pin(async move {
            let method = "eth_getBalance";
            let answer = self
                .ask(method, json!([hex_bytes(owner.as_bytes()), "latest"]))
                .await?;
            let text = answer
                .as_str()
                .ok_or_else(|| nonsense(method, "no number"))?;
            let wei = U256::from_str_radix(text, 16).map_err(|_| nonsense(method, "no number"))?;
            Ok(cap(wei))
        })
    }

    fn events(&self, from: u64, to: u64) -> ChainFuture<'_, Vec<ChainEvent>> {
        self.events_of(from, to, Interest::all())
    }

    fn events_of(&self, from: u64, to: u64, whom: Interest) -> ChainFuture<'_, Vec<ChainEvent>> {
        Box::pin(logs::events(self, (from, to), whom))
    }

    fn nonce(&self, owner: PayoutAddress) -> ChainFuture<'_, u64> {
        Box::pin(async move {
            let method = "eth_getTransactionCount";
            let answer = self
                .ask(method, json!([hex_bytes(owner.as_bytes()), "latest"]))
                .await?;
            json::u64(&answer).ok_or_else(|| nonsense(method, "no number"))
        })
    }

    fn submit_raw(&self, raw: Vec<u8>) -> ChainFuture<'_, TxHash> {
        Box::pin(async move {
            let method = "eth_sendRawTransaction";
            let ours = TxHash::from_bytes(keccak256(&raw));
            match self.ask(method, json!([hex_bytes(&raw)])).await {
                Ok(answer) if json::tx_hash(&answer) == Some(ours) => Ok(ours),
                Ok(_) => Err(nonsense(method, "another transaction's hash")),
                Err(ChainError::Refused { message, .. }) if already_known(&message) => Ok(ours),
                Err(error) => Err(error),
            }
        })
    }

    fn receipt(&self, tx: TxHash) -> ChainFuture<'_, Option<Receipt>> {
        Box::pin(async move {
            let method = "eth_getTransactionReceipt";
            let answer = self.ask(method, json!([hex_bytes(tx.as_bytes())])).await?;
            if answer.is_null() || field(&answer, "blockHash").is_none() {
                return Ok(None);
            }
            let receipt = read_receipt(&answer, &self.pins()).filter(|it| it.tx == tx);
            receipt
                .map(Some)
                .ok_or_else(|| nonsense(method, "not the receipt asked for"))
        })
    }

    fn calldata(&self, tx: TxHash) -> ChainFuture<'_, Option<Vec<u8>>> {
        Box::pin(async move {
            let method = "eth_getTransactionByHash";
            let answer = self.ask(method, json!([hex_bytes(tx.as_bytes())])).await?;
            let to = field(&answer, "to").and_then(json::address);
            Ok(to
                .filter(|it| *it == self.pins().contract)
                .and_then(|_| json::bytes(field(&answer, "input")?)))
        })
    }

    fn call(&self, request: CallRequest) -> ChainFuture<'_, Vec<u8>> {
        Box::pin(async move {
            let mut call = call_object(&request);
            call["gas"] = quantity(CALL_GAS);
            let answer = self.ask("eth_call", json!([call, "latest"])).await?;
            json::bytes(&answer).ok_or_else(|| nonsense("eth_call", "no bytes"))
        })
    }

    fn estimate(&self, request: CallRequest) -> ChainFuture<'_, u64> {
        Box::pin(async move {
            let method = "eth_estimateGas";
            let answer = self.ask(method, json!([call_object(&request)])).await?;
            json::u64(&answer).ok_or_else(|| nonsense(method, "no number"))
        })
    }

    fn fees(&self) -> ChainFuture<'_, Fees> {
        Box::pin(async move {
            let base_fee = next_base_fee(self).await?;
            let method = "eth_maxPriorityFeePerGas";
            let tip = self.ask(method, json!([])).await?;
            let tip = gas_price(&tip).ok_or_else(|| nonsense(method, "no fee"))?;
            Ok(Fees {
                base_fee,
                floor: base_fee,
                tip,
            })
        })
    }
}

/// What the block after the newest one burns per gas.
pub(super) async fn next_base_fee<T: EthNode>(node: &T) -> Result<Amount, ChainError> {
    let method = "eth_feeHistory";
    let history = node.ask(method, json!([quantity(1_u8), "latest", []]));
    let history = history.await?;
    let next = field(&history, "baseFeePerGas").and_then(|it| it.as_array()?.last());
    let next = next.and_then(gas_price);
    next.ok_or_else(|| nonsense(method, "no fee"))
}

async fn verify<T: EthNode>(node: &T) -> Result<(), ChainError> {
    let pins = node.pins();
    let found = node.ask("eth_chainId", json!([])).await?;
    let found = json::u64(&found).ok_or_else(|| nonsense("eth_chainId", "no number"))?;
    let mismatch = |what, expected: String, found: String| {
        Err(ChainError::Mismatch {
            what,
            expected,
            found,
        })
    };
    if found != pins.chain_id {
        return mismatch("chain id", pins.chain_id.to_string(), found.to_string());
    }
    let contract = hex_bytes(pins.contract.as_bytes());
    let code = node.ask("eth_getCode", json!([contract, "latest"])).await?;
    let code = json::bytes(&code).ok_or_else(|| nonsense("eth_getCode", "no bytes"))?;
    let ours = Artefact::chain_lock();
    if code.is_empty() {
        let nothing = format!("nothing at {}", pins.contract);
        return mismatch("contract code", "ChainLock".to_owned(), nothing);
    }
    if !ours.is(&code) {
        let hash = |code: &[u8]| format!("keccak 0x{}", hex::encode(keccak256(code)));
        return mismatch("contract code", hash(&ours.deployed_bytecode), hash(&code));
    }
    let answer = view(node, pins.contract, calldata("token()", &[])).await?;
    let token = Reader::new(&[Address], &answer).and_then(|mut it| it.address());
    let token = token.ok_or_else(|| nonsense("token", "no address"))?;
    if token != pins.token {
        return mismatch("token", pins.token.to_string(), token.to_string());
    }
    Ok(())
}

async fn view<T: EthNode>(
    node: &T,
    to: PayoutAddress,
    data: Vec<u8>,
) -> Result<Vec<u8>, ChainError> {
    node.call(CallRequest {
        from: PayoutAddress::ZERO,
        to,
        value: Amount::ZERO,
        data,
    })
    .await
}

async fn capped<T: EthNode>(
    node: &T,
    to: PayoutAddress,
    data: Vec<u8>,
) -> Result<Amount, ChainError> {
    let answer = view(node, to, data).await?;
    let amount = Reader::new(&[Uint(256)], &answer).and_then(|mut it| it.capped());
    amount.ok_or_else(|| nonsense("eth_call", "no number"))
}
