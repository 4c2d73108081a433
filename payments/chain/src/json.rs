//! JSON-RPC's ways to write numbers and bytes, read strictly.

use serde_json::{Map, Value, json};
use warren_proto::{PayoutAddress, TxHash, UnixTime};

use super::{BlockHash, Head};

/// `"0x1f"`.
pub(crate) fn quantity(value: impl Into<u128>) -> Value {
    json!(format!("{:#x}", value.into()))
}

/// `"0x001f…"`.
pub(crate) fn hex_bytes(bytes: impl AsRef<[u8]>) -> Value {
    json!(format!("0x{}", hex::encode(bytes)))
}

/// Reads a quantity of at most 128 bits.
pub(crate) fn u128(value: &Value) -> Option<u128> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    if digits.starts_with('+') {
        return None;
    }
    u128::from_str_radix(digits, 16).ok()
}

/// Reads a quantity of at most 64 bits.
pub(crate) fn u64(value: &Value) -> Option<u64> {
    u64::try_from(u128(value)?).ok()
}

/// Reads bytes.
pub(crate) fn bytes(value: &Value) -> Option<Vec<u8>> {
    hex::decode(value.as_str()?.strip_prefix("0x")?).ok()
}

/// Reads exactly 32 bytes.
pub(crate) fn word(value: &Value) -> Option<[u8; 32]> {
    bytes(value)?.try_into().ok()
}

/// Reads an address.
pub(crate) fn address(value: &Value) -> Option<PayoutAddress> {
    PayoutAddress::from_slice(&bytes(value)?)
}

/// Reads a transaction hash.
pub(crate) fn tx_hash(value: &Value) -> Option<TxHash> {
    word(value).map(TxHash::from_bytes)
}

/// Reads a block hash.
pub(crate) fn block_hash(value: &Value) -> Option<BlockHash> {
    word(value).map(BlockHash::from_bytes)
}

/// A field of an object; null is none.
pub(crate) fn field<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object
        .as_object()
        .and_then(|it: &Map<String, Value>| it.get(name))
        .filter(|it| !it.is_null())
}

/// Reads a block's head.
pub(crate) fn head(block: &Value) -> Option<Head> {
    Some(Head {
        number: u64(field(block, "number")?)?,
        hash: block_hash(field(block, "hash")?)?,
        parent: block_hash(field(block, "parentHash")?)?,
        timestamp: UnixTime::from_secs(u64(field(block, "timestamp")?)?),
    })
}
