//! The JSON forms of blocks, transactions, receipts and logs.

use ethers_core::types::U256;
use revm::primitives::Log;
use serde_json::{Map, Value, json};
use warren_proto::PayoutAddress;

use super::engine::BLOCK_GAS;
use super::pool::PoolTx;
use super::world::{Block, Mined, World};
use crate::json::{hex_bytes, quantity, word};

/// keccak256 of an empty list of uncles, as every block since the merge has it.
const NO_UNCLES: &str = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347";

pub(super) fn block(world: &World, block: &Block, full: bool) -> Value {
    let zero = hex_bytes([0; 32]);
    let txs = block.txs.iter().enumerate().map(|(place, it)| {
        if full {
            mined_tx(world, (block, it, place))
        } else {
            hex_bytes(it.tx.hash.as_bytes())
        }
    });
    json!({
        "number": quantity(block.head.number),
        "hash": hex_bytes(block.head.hash.as_bytes()),
        "parentHash": hex_bytes(block.head.parent.as_bytes()),
        "timestamp": quantity(block.head.timestamp.as_secs()),
        "baseFeePerGas": quantity(block.base_fee),
        "gasLimit": quantity(BLOCK_GAS),
        "gasUsed": quantity(block.gas_used),
        "miner": hex_bytes([0x77; 20]),
        "transactions": Value::Array(txs.collect()),
        "uncles": [],
        "withdrawals": [],
        "difficulty": "0x0",
        "totalDifficulty": "0x0",
        "size": "0x0",
        "nonce": hex_bytes([0; 8]),
        "extraData": "0x",
        "logsBloom": hex_bytes([0xff; 256]),
        "sha3Uncles": NO_UNCLES,
        "mixHash": zero,
        "stateRoot": zero,
        "transactionsRoot": zero,
        "receiptsRoot": zero,
    })
}

pub(super) fn waiting_tx(world: &World, tx: &PoolTx) -> Value {
    Value::Object(transaction(world, tx, tx.run.max_fee))
}

pub(super) fn mined_tx(world: &World, (block, mined, place): (&Block, &Mined, usize)) -> Value {
    let mut object = transaction(world, &mined.tx, mined.gas_price);
    object.insert("blockHash".into(), hex_bytes(block.head.hash.as_bytes()));
    object.insert("blockNumber".into(), quantity(block.head.number));
    object.insert("transactionIndex".into(), quantity(place as u64));
    Value::Object(object)
}

fn transaction(world: &World, tx: &PoolTx, gas_price: u128) -> Map<String, Value> {
    let big = |it: U256| json!(format!("{it:#x}"));
    let parts = [
        ("type", quantity(tx.kind)),
        ("chainId", quantity(world.chain_id)),
        ("hash", hex_bytes(tx.hash.as_bytes())),
        ("nonce", quantity(tx.nonce)),
        ("blockHash", Value::Null),
        ("blockNumber", Value::Null),
        ("transactionIndex", Value::Null),
        ("from", hex_bytes(tx.run.from.as_bytes())),
        ("to", maybe(tx.run.to)),
        ("value", quantity(tx.run.value)),
        ("gas", quantity(tx.run.gas_limit)),
        ("gasPrice", quantity(gas_price)),
        ("maxFeePerGas", quantity(tx.run.max_fee)),
        ("maxPriorityFeePerGas", quantity(tx.run.tip)),
        ("input", hex_bytes(&tx.run.data)),
        ("accessList", json!([])),
        ("r", big(tx.signature.r)),
        ("s", big(tx.signature.s)),
        ("v", quantity(tx.signature.v)),
        ("yParity", quantity(tx.signature.v)),
    ];
    parts
        .into_iter()
        .map(|(name, value)| (name.into(), value))
        .collect()
}

pub(super) fn receipt((block, mined, place): (&Block, &Mined, usize)) -> Value {
    json!({
        "type": quantity(mined.tx.kind),
        "transactionHash": hex_bytes(mined.tx.hash.as_bytes()),
        "transactionIndex": quantity(place as u64),
        "blockHash": hex_bytes(block.head.hash.as_bytes()),
        "blockNumber": quantity(block.head.number),
        "from": hex_bytes(mined.tx.run.from.as_bytes()),
        "to": maybe(mined.tx.run.to),
        "contractAddress": maybe(mined.created),
        "status": quantity(u8::from(mined.success)),
        "gasUsed": quantity(mined.gas_used),
        "cumulativeGasUsed": quantity(mined.gas_before.saturating_add(mined.gas_used)),
        "effectiveGasPrice": quantity(mined.gas_price),
        "logs": Value::Array(mined_logs(block, mined, place).map(|(_, it)| it).collect()),
        "logsBloom": hex_bytes([0xff; 256]),
    })
}

/// The logs of a block that are from one of `addresses` and fit `topics`.
pub(super) fn logs(block: &Block, addresses: &[PayoutAddress], topics: &[Value]) -> Vec<Value> {
    let all = block.txs.iter().enumerate();
    let all = all.flat_map(|(place, mined)| mined_logs(block, mined, place));
    let fitting = all.filter(|(log, _)| {
        let from = PayoutAddress::from_bytes(log.address.into_array());
        (addresses.is_empty() || addresses.contains(&from)) && fits(log, topics)
    });
    fitting.map(|(_, value)| value).collect()
}

fn mined_logs<'a>(
    block: &'a Block,
    mined: &'a Mined,
    place: usize,
) -> impl Iterator<Item = (&'a Log, Value)> {
    mined
        .logs
        .iter()
        .zip(mined.first_log..)
        .map(move |(log, index)| {
            let topics: Vec<Value> = log.topics().iter().map(|it| hex_bytes(it.0)).collect();
            let value = json!({
                "address": hex_bytes(log.address),
                "topics": topics,
                "data": hex_bytes(&log.data.data),
                "blockNumber": quantity(block.head.number),
                "blockHash": hex_bytes(block.head.hash.as_bytes()),
                "blockTimestamp": quantity(block.head.timestamp.as_secs()),
                "transactionHash": hex_bytes(mined.tx.hash.as_bytes()),
                "transactionIndex": quantity(place as u64),
                "logIndex": quantity(index),
                "removed": false,
            });
            (log, value)
        })
}

/// Each place of a filter is nothing (anything fits), a topic, or a list to choose from.
fn fits(log: &Log, filter: &[Value]) -> bool {
    filter.iter().enumerate().all(|(place, wanted)| {
        let found = log.topics().get(place).map(|it| it.0);
        match wanted {
            Value::Null => true,
            Value::Array(choice) => choice.iter().any(|it| found.is_some() && word(it) == found),
            Value::String(_) => found.is_some() && word(wanted) == found,
            Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
        }
    })
}

pub(super) fn fee_history(world: &World, blocks: u64) -> Value {
    let count = usize::try_from(blocks).unwrap_or(usize::MAX).clamp(1, 1024);
    let first = world.blocks.len().saturating_sub(count);
    let shown = world.blocks.get(first..).unwrap_or_default();
    let mut fees: Vec<Value> = shown.iter().map(|it| quantity(it.base_fee)).collect();
    fees.push(quantity(world.base_fee));
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share for people and fee guessers"
    )]
    let used = shown.iter().map(|it| it.gas_used as f64 / BLOCK_GAS as f64);
    let tips: Vec<Value> = shown.iter().map(|_| json!([quantity(world.tip)])).collect();
    json!({
        "oldestBlock": quantity(first as u64),
        "baseFeePerGas": fees,
        "gasUsedRatio": used.collect::<Vec<f64>>(),
        "reward": tips,
    })
}

fn maybe(address: Option<PayoutAddress>) -> Value {
    address.map_or(Value::Null, |it| hex_bytes(it.as_bytes()))
}
