//! Reads what a node answers, and trusts no shape, size, address or range in it.

use ethers_core::abi::ParamType::Uint;
use ethers_core::types::H256;
use serde_json::{Value, json};
use warren_proto::{Amount, ChainRef, PayoutAddress, UnixTime};

use crate::abi::Reader;
use crate::error::{ChainError, Revert};
use crate::event::{ChainEvent, EventKind};
use crate::json::{self, field, hex_bytes, quantity};
use crate::{CallRequest, ChannelState, ChannelStatus, Outcome, Receipt};

/// The contract's flags.
const OPEN: u64 = 1;
const CLOSED: u64 = 2;

/// A log, and whether it concerns us.
pub(super) enum Log {
    Ours(ChainEvent),
    Foreign,
    Unreadable,
}

/// Checks the address again: a filter is only a request.
pub(super) fn read_log(log: &Value, contract: PayoutAddress) -> Log {
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

pub(super) fn read_receipt(answer: &Value, pins: &ChainRef) -> Option<Receipt> {
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

pub(super) fn read_channel(answer: &[u8]) -> Option<Option<ChannelState>> {
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

pub(super) fn gas_price(value: &Value) -> Option<Amount> {
    Amount::from_wei(json::u128(value)?).ok()
}

pub(super) fn call_object(request: &CallRequest) -> Value {
    json!({
        "from": hex_bytes(request.from.as_bytes()),
        "to": hex_bytes(request.to.as_bytes()),
        "value": quantity(request.value.wei()),
        "data": hex_bytes(&request.data),
    })
}

pub(super) fn nonsense(method: &str, detail: &str) -> ChainError {
    ChainError::Nonsense {
        method: method.into(),
        detail: detail.into(),
    }
}

pub(super) fn already_known(message: &str) -> bool {
    let said = plain(message);
    let knows = ["alreadyknown", "alreadyimported", "knowntransaction"];
    !said.contains("unknown") && knows.iter().any(|it| said.contains(it))
}

/// Letters alone, all small: one node says "AlreadyKnown" where another says "already known".
fn plain(message: &str) -> String {
    let letters = message.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|it| it.to_ascii_lowercase()).collect()
}

/// Sorts a node's refusal into what we would do about it.
///
/// Nodes agree on few codes, so the words count as well.
pub(crate) fn refusal(method: &str, code: i32, message: &str, data: Option<&Value>) -> ChainError {
    let said = message.to_lowercase();
    let letters = plain(message);
    let has = |words: &[&str]| {
        let mut words = words.iter();
        words.any(|it| letters.contains(&plain(it)))
    };
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
    let low = [
        "nonce too low",
        "nonce is too low",
        "old nonce",
        "below sender account nonce",
    ];
    if has(&low) {
        return ChainError::NonceTooLow;
    }
    if has(&["underpriced", "fee too low"]) {
        return ChainError::Underpriced;
    }
    if has(&["insufficient funds", "upfront cost exceeds"]) {
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
