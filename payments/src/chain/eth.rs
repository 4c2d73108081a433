//! The typed client over raw JSON-RPC, the same for the chain in this process and one far away.
//!
//! A node's answer is believed no further than it must be: shapes, sizes, addresses and ranges
//! are checked, and what does not fit is [`ChainError::Nonsense`].

use std::fmt;

use ethers_core::abi::ParamType::{Address, Uint};
use ethers_core::types::{H256, U256};
use ethers_core::utils::keccak256;
use serde_json::{Value, json};
use warren_proto::{Amount, ChainRef, ChannelId, PayoutAddress, TxHash, UnixTime};

use super::abi::{Artefact, Reader, address, calldata, cap, topic, word};
use super::error::{ChainError, Revert};
use super::event::{self, ChainEvent, EventKind};
use super::json::{self, field, hex_bytes, quantity};
use super::{
    CallRequest, Chain, ChainFuture, ChannelState, ChannelStatus, Fees, Head, Outcome, Receipt,
};

/// Blocks asked for in one `eth_getLogs`; public nodes refuse more than some thousands.
const LOG_SPAN: u64 = 1000;
/// Where gas for a call that has no limit is capped.
const CALL_GAS: u64 = 16_000_000;
const OPEN: u64 = 1;
const CLOSED: u64 = 2;

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
        Box::pin(async move {
            let mut all = Vec::new();
            let mut start = from;
            while start <= to {
                let end = to.min(start.saturating_add(LOG_SPAN - 1));
                all.extend(logs(self, start, end).await?);
                start = end.saturating_add(1);
                if end == u64::MAX {
                    break;
                }
            }
            Ok(all)
        })
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
            let method = "eth_feeHistory";
            let history = self
                .ask(method, json!([quantity(1_u8), "latest", []]))
                .await?;
            let next = field(&history, "baseFeePerGas").and_then(|it| it.as_array()?.last());
            let base_fee = next
                .and_then(gas_price)
                .ok_or_else(|| nonsense(method, "no fee"))?;
            let method = "eth_maxPriorityFeePerGas";
            let tip = self.ask(method, json!([])).await?;
            let tip = gas_price(&tip).ok_or_else(|| nonsense(method, "no fee"))?;
            Ok(Fees { base_fee, tip })
        })
    }
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

async fn logs<T: EthNode>(node: &T, from: u64, to: u64) -> Result<Vec<ChainEvent>, ChainError> {
    let method = "eth_getLogs";
    let contract = node.pins().contract;
    let ours: Vec<Value> = event::ALL.iter().map(|it| hex_bytes(topic(it))).collect();
    let filter = json!({
        "address": hex_bytes(contract.as_bytes()),
        "fromBlock": quantity(from),
        "toBlock": quantity(to),
        "topics": [ours],
    });
    let answer = node.ask(method, json!([filter])).await?;
    let logs = answer
        .as_array()
        .ok_or_else(|| nonsense(method, "no list"))?;
    let mut events = Vec::with_capacity(logs.len());
    for log in logs {
        match read_log(log, contract) {
            Log::Ours(event) if (from..=to).contains(&event.block) => events.push(event),
            Log::Foreign => {}
            Log::Ours(_) => return Err(nonsense(method, "a log outside the range asked for")),
            Log::Unreadable => return Err(nonsense(method, "an unreadable log")),
        }
    }
    events.sort_by_key(|it| (it.block, it.log_index));
    Ok(events)
}

enum Log {
    Ours(ChainEvent),
    Foreign,
    Unreadable,
}

/// Checks the address again: a filter is only a request.
fn read_log(log: &Value, contract: PayoutAddress) -> Log {
    let removed = field(log, "removed")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    match field(log, "address").and_then(json::address) {
        Some(it) if it == contract && !removed => {
            read_event(log).map_or(Log::Unreadable, Log::Ours)
        }
        Some(_) => Log::Foreign,
        None => Log::Unreadable,
    }
}

fn read_event(log: &Value) -> Option<ChainEvent> {
    let topics = field(log, "topics")?.as_array()?;
    let topics: Option<Vec<H256>> = topics.iter().map(|it| json::word(it).map(H256)).collect();
    Some(ChainEvent {
        block: json::u64(field(log, "blockNumber")?)?,
        block_hash: json::block_hash(field(log, "blockHash")?)?,
        log_index: json::u64(field(log, "logIndex")?)?,
        tx: json::tx_hash(field(log, "transactionHash")?)?,
        kind: EventKind::read(&topics?, &json::bytes(field(log, "data")?)?)?,
    })
}

fn read_receipt(answer: &Value, pins: &ChainRef) -> Option<Receipt> {
    let mut events = Vec::new();
    for log in field(answer, "logs")?.as_array()? {
        match read_log(log, pins.contract) {
            Log::Ours(event) => events.push(event),
            Log::Foreign => {}
            Log::Unreadable => return None,
        }
    }
    let outcome = match json::u64(field(answer, "status")?)? {
        1 => Outcome::Done,
        0 => Outcome::Reverted,
        _ => return None,
    };
    Some(Receipt {
        tx: json::tx_hash(field(answer, "transactionHash")?)?,
        block: json::u64(field(answer, "blockNumber")?)?,
        block_hash: json::block_hash(field(answer, "blockHash")?)?,
        outcome,
        gas_used: json::u64(field(answer, "gasUsed")?)?,
        gas_price: gas_price(field(answer, "effectiveGasPrice")?)?,
        events,
    })
}

fn read_channel(answer: &[u8]) -> Option<Option<ChannelState>> {
    let mut it = Reader::new(&[Uint(96), Uint(96), Uint(48), Uint(16)], answer)?;
    let (deposit, claimed) = (it.amount()?, it.amount()?);
    let closes_at = Some(it.secs()?).filter(|it| *it != UnixTime::from_secs(0));
    let status = match it.u64()? {
        0 => return Some(None),
        OPEN => ChannelStatus::Open,
        CLOSED => ChannelStatus::Closed,
        _ => return None,
    };
    Some(Some(ChannelState {
        deposit,
        claimed,
        closes_at,
        status,
    }))
}

fn gas_price(value: &Value) -> Option<Amount> {
    Amount::from_wei(json::u128(value)?).ok()
}

fn call_object(request: &CallRequest) -> Value {
    json!({
        "from": hex_bytes(request.from.as_bytes()),
        "to": hex_bytes(request.to.as_bytes()),
        "data": hex_bytes(&request.data),
    })
}

fn nonsense(method: &str, detail: &str) -> ChainError {
    ChainError::Nonsense {
        method: method.into(),
        detail: detail.into(),
    }
}

fn already_known(message: &str) -> bool {
    let message = message.to_lowercase();
    message.contains("already known") || message.contains("already imported")
}

/// Sorts a node's refusal into what we would do about it.
///
/// Nodes agree on few codes, so the words count as well.
pub(crate) fn refusal(method: &str, code: i32, message: &str, data: Option<&Value>) -> ChainError {
    let said = message.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|it| said.contains(it));
    let message: String = message.chars().take(200).collect();
    if code == 3 || said.contains("execution reverted") {
        let data = data.and_then(|it| json::bytes(it).or_else(|| json::bytes(field(it, "data")?)));
        return ChainError::Reverted(Revert::read(&data.unwrap_or_default()));
    }
    if already_known(&said) {
        return ChainError::Refused {
            method: method.into(),
            code,
            message,
        };
    }
    if has(&["nonce too low", "nonce is too low", "old nonce"]) {
        return ChainError::NonceTooLow;
    }
    if has(&["underpriced", "fee too low"]) {
        return ChainError::Underpriced;
    }
    if has(&["insufficient funds"]) {
        return ChainError::NoGasMoney;
    }
    if matches!(code, -32005 | -32097 | -32603 | 429)
        || has(&[
            "too many",
            "rate limit",
            "header not found",
            "syncing",
            "timeout",
            "pool is full",
        ])
    {
        return ChainError::Busy { code, message };
    }
    ChainError::Refused {
        method: method.into(),
        code,
        message,
    }
}
