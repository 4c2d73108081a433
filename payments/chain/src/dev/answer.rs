//! Answers JSON-RPC, so that our client, `curl` and `cast` find the chain they know.

use serde_json::{Value, json};
use warren_proto::{Amount, PayoutAddress};

use super::Mining;
use super::engine::{Frame, Ran, Run, State, TX_GAS};
use super::pool::Fault;
use super::shape;
use super::world::{Block, World};
use crate::json::{self, field, hex_bytes, quantity};

const INVALID: i32 = -32602;
const UNKNOWN_METHOD: i32 = -32601;
/// Blocks behind the newest that count as final.
const FINAL_DEPTH: u64 = 2;

/// Every method [`World::answer`] knows.
pub(crate) const METHODS: &[&str] = &[
    "web3_clientVersion",
    "net_version",
    "eth_chainId",
    "eth_syncing",
    "eth_accounts",
    "eth_blockNumber",
    "eth_gasPrice",
    "eth_maxPriorityFeePerGas",
    "eth_feeHistory",
    "eth_getBlockByNumber",
    "eth_getBlockByHash",
    "eth_getTransactionByHash",
    "eth_getTransactionReceipt",
    "eth_getTransactionCount",
    "eth_getBalance",
    "eth_getCode",
    "eth_getStorageAt",
    "eth_getLogs",
    "eth_call",
    "eth_estimateGas",
    "eth_sendRawTransaction",
    "evm_mine",
    "evm_increaseTime",
    "evm_setNextBlockTimestamp",
    "evm_setAutomine",
    "anvil_setNextBlockBaseFeePerGas",
    "anvil_dropTransaction",
];

impl World {
    pub(super) fn answer(&mut self, method: &str, params: &[Value]) -> Result<Value, Fault> {
        match method {
            "web3_clientVersion" => Ok(json!("warren-dev-chain")),
            "net_version" => Ok(json!(self.chain_id.to_string())),
            "eth_chainId" => Ok(quantity(self.chain_id)),
            "eth_syncing" => Ok(json!(false)),
            "eth_accounts" => Ok(json!([])),
            "eth_blockNumber" => Ok(quantity(self.head().number)),
            "eth_gasPrice" => Ok(quantity(self.base_fee.saturating_add(self.tip))),
            "eth_maxPriorityFeePerGas" => Ok(quantity(self.tip)),
            "eth_feeHistory" => Ok(shape::fee_history(self, arg(params, 0, json::u64)?)),
            "eth_getBlockByNumber" => {
                let number = self.number(params.first())?;
                Ok(self.block_answer(self.block_of(number), params.get(1)))
            }
            "eth_getBlockByHash" => {
                let hash = arg(params, 0, json::block_hash)?;
                let block = self.blocks.iter().rev().find(|it| it.head.hash == hash);
                Ok(self.block_answer(block, params.get(1)))
            }
            "eth_getTransactionByHash" => {
                let hash = arg(params, 0, json::tx_hash)?;
                let mined = self.find(hash).map(|it| shape::mined_tx(self, it));
                let waiting = || self.pool.find(hash).map(|it| shape::waiting_tx(self, it));
                Ok(mined.or_else(waiting).unwrap_or(Value::Null))
            }
            "eth_getTransactionReceipt" => {
                let hash = arg(params, 0, json::tx_hash)?;
                Ok(self.find(hash).map_or(Value::Null, shape::receipt))
            }
            "eth_getTransactionCount" => {
                let owner = arg(params, 0, json::address)?;
                if params.get(1).and_then(Value::as_str) == Some("pending") {
                    return Ok(quantity(self.pool.next_nonce(owner, &self.state)));
                }
                Ok(quantity(self.state_at(params.get(1))?.nonce(owner)))
            }
            "eth_getBalance" => {
                let owner = arg(params, 0, json::address)?;
                Ok(json!(format!(
                    "{:#x}",
                    self.state_at(params.get(1))?.balance(owner)
                )))
            }
            "eth_getCode" => {
                let owner = arg(params, 0, json::address)?;
                Ok(hex_bytes(self.state_at(params.get(1))?.code(owner)))
            }
            "eth_getStorageAt" => {
                let owner = arg(params, 0, json::address)?;
                let slot = arg(params, 1, slot)?;
                Ok(hex_bytes(
                    self.state_at(params.get(2))?.storage(owner, slot),
                ))
            }
            "eth_getLogs" => self.logs(params.first().unwrap_or(&Value::Null)),
            "eth_call" => {
                let run = run(params.first().unwrap_or(&Value::Null))?;
                let frame = self.next_frame();
                let ran = self.state_at(params.get(1))?.simulate(&frame, &run);
                Ok(hex_bytes(finished(ran)?.output))
            }
            "eth_estimateGas" => {
                let run = run(params.first().unwrap_or(&Value::Null))?;
                estimate(&self.state, &self.next_frame(), run).map(quantity)
            }
            "eth_sendRawTransaction" => {
                let raw = arg(params, 0, json::bytes)?;
                self.submit(&raw).map(|hash| hex_bytes(hash.as_bytes()))
            }
            _ => self.control(method, params),
        }
    }

    /// What only a development chain does.
    fn control(&mut self, method: &str, params: &[Value]) -> Result<Value, Fault> {
        match method {
            "evm_mine" => {
                match params.first().and_then(number) {
                    Some(secs) => self.mine_at(secs),
                    None => self.mine(),
                };
                Ok(json!("0x0"))
            }
            "evm_increaseTime" => {
                let more = arg(params, 0, number)?;
                self.leap(more);
                Ok(quantity(more))
            }
            "evm_setNextBlockTimestamp" => {
                self.set_floor(arg(params, 0, number)?);
                Ok(Value::Null)
            }
            "evm_setAutomine" => {
                let auto = arg(params, 0, Value::as_bool)?;
                self.mining = if auto { Mining::Auto } else { Mining::Manual };
                Ok(json!(true))
            }
            "anvil_setNextBlockBaseFeePerGas" => {
                self.base_fee = arg(params, 0, number)?;
                Ok(Value::Null)
            }
            "anvil_dropTransaction" => {
                let hash = arg(params, 0, json::tx_hash)?;
                let known = self.pool.drop_tx(hash);
                Ok(if known {
                    hex_bytes(hash.as_bytes())
                } else {
                    Value::Null
                })
            }
            _ => Err(Fault::new(
                UNKNOWN_METHOD,
                format!("the method {method} does not exist"),
            )),
        }
    }

    fn block_answer(&self, block: Option<&Block>, full: Option<&Value>) -> Value {
        let full = full.and_then(Value::as_bool).unwrap_or(false);
        block.map_or(Value::Null, |it| shape::block(self, it, full))
    }

    fn block_of(&self, number: u64) -> Option<&Block> {
        self.blocks.get(usize::try_from(number).ok()?)
    }

    /// Reads a block tag; a number may lie beyond the newest block.
    fn number(&self, tag: Option<&Value>) -> Result<u64, Fault> {
        let newest = self.head().number;
        let Some(tag) = tag.filter(|it| !it.is_null()) else {
            return Ok(newest);
        };
        match tag.as_str() {
            Some("latest" | "pending") => Ok(newest),
            Some("earliest") => Ok(0),
            Some("safe" | "finalized") => Ok(newest.saturating_sub(FINAL_DEPTH)),
            _ => json::u64(tag).ok_or_else(|| Fault::new(INVALID, "invalid block tag")),
        }
    }

    fn state_at(&self, tag: Option<&Value>) -> Result<&State, Fault> {
        let number = self.number(tag)?;
        let missing = || Fault::node("historical state is not available");
        self.state_after(number).ok_or_else(missing)
    }

    fn logs(&self, filter: &Value) -> Result<Value, Fault> {
        let wanted = addresses(field(filter, "address"))?;
        let topics = field(filter, "topics").and_then(Value::as_array);
        let topics = topics.map_or(&[] as &[Value], Vec::as_slice);
        let (from, to) = match field(filter, "blockHash").and_then(json::block_hash) {
            Some(hash) => {
                let block = self.blocks.iter().find(|it| it.head.hash == hash);
                let number = block
                    .ok_or_else(|| Fault::node("unknown block"))?
                    .head
                    .number;
                (number, number)
            }
            None => (
                self.number(field(filter, "fromBlock"))?,
                self.number(field(filter, "toBlock"))?,
            ),
        };
        let in_range = self
            .blocks
            .iter()
            .filter(|it| (from..=to).contains(&it.head.number));
        let logs = in_range.flat_map(|block| shape::logs(block, &wanted, topics));
        Ok(Value::Array(logs.collect()))
    }
}

fn arg<T>(params: &[Value], place: usize, read: impl Fn(&Value) -> Option<T>) -> Result<T, Fault> {
    let missing = || Fault::new(INVALID, format!("invalid argument {place}"));
    params.get(place).and_then(read).ok_or_else(missing)
}

/// Reads a number as `"0x1f"`, `"31"` or `31`.
fn number(value: &Value) -> Option<u64> {
    let text = || value.as_str().and_then(|it| it.parse().ok());
    json::u64(value).or_else(|| value.as_u64()).or_else(text)
}

fn slot(value: &Value) -> Option<[u8; 32]> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    let padded = format!("{digits:0>64}");
    hex::decode(padded).ok()?.try_into().ok()
}

fn addresses(value: Option<&Value>) -> Result<Vec<PayoutAddress>, Fault> {
    let read = |it: &Value| json::address(it).ok_or_else(|| Fault::new(INVALID, "invalid address"));
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(read).collect(),
        Some(one) => read(one).map(|it| vec![it]),
    }
}

/// Reads a call: who, whom, what.
fn run(call: &Value) -> Result<Run, Fault> {
    let bad = |name: &str| Fault::new(INVALID, format!("invalid {name}"));
    let part = |name| field(call, name);
    let data = part("input").or_else(|| part("data"));
    let gas_limit = part("gas")
        .map(|it| json::u64(it).ok_or_else(|| bad("gas")))
        .transpose()?;
    Ok(Run {
        from: match part("from") {
            Some(it) => json::address(it).ok_or_else(|| bad("from"))?,
            None => PayoutAddress::ZERO,
        },
        to: part("to")
            .map(|it| json::address(it).ok_or_else(|| bad("to")))
            .transpose()?,
        value: match part("value") {
            Some(it) => json::u128(it).ok_or_else(|| bad("value"))?,
            None => Amount::ZERO.wei(),
        },
        gas_limit: gas_limit.unwrap_or(TX_GAS).min(TX_GAS),
        max_fee: 0,
        tip: 0,
        nonce: None,
        data: data.map_or(Ok(Vec::new()), |it| {
            json::bytes(it).ok_or_else(|| bad("data"))
        })?,
    })
}

fn finished(ran: Result<Ran, String>) -> Result<Ran, Fault> {
    let ran = ran.map_err(Fault::node)?;
    match (&ran.halted, ran.success) {
        (Some(reason), _) => Err(Fault::node(format!("execution halted: {reason}"))),
        (None, false) => Err(Fault {
            code: 3,
            message: "execution reverted".into(),
            data: Some(ran.output),
        }),
        (None, true) => Ok(ran),
    }
}

/// The least gas limit with which the call succeeds, near enough.
///
/// More is needed than used: refunds come after, and an inner call gets 63/64 at most.
fn estimate(state: &State, frame: &Frame, run: Run) -> Result<u64, Fault> {
    let enough = |gas_limit| {
        let trial = Run {
            gas_limit,
            ..run.clone()
        };
        state.simulate(frame, &trial).is_ok_and(|it| it.success)
    };
    let used = finished(state.simulate(frame, &run))?.gas_used;
    if enough(used) {
        return Ok(used);
    }
    let (mut low, mut high) = (used, run.gas_limit);
    while high.saturating_sub(low) > low / 100 {
        let middle = low.midpoint(high);
        if enough(middle) {
            high = middle
        } else {
            low = middle
        }
    }
    Ok(high)
}
