//! Readers of single fields, shared by all messages.

use prost::Message;

use super::{WireError, pb};
use crate::id::{ChannelId, PayoutAddress};
use crate::lock::{HashLock, Preimage};
use crate::offer::CLOSE_WINDOWS;
use crate::payment::{
    ChainRef, ChannelParams, Lock, MAX_LOCKS, MAX_UNITS, PayErrorCode, Voucher, VoucherAck,
    WordFrame,
};
use crate::session::Meter;
use crate::unit::{Amount, Price};

/// Longest text for people in a frame.
pub(super) const MAX_DETAIL: usize = 200;

pub(super) type Result<T> = std::result::Result<T, WireError>;

/// Checks the size, then decodes.
pub(super) fn decode<M: Message + Default>(bytes: &[u8], limit: usize) -> Result<M> {
    if bytes.len() > limit {
        return Err(WireError::TooLong {
            bytes: bytes.len(),
            limit,
        });
    }
    M::decode(bytes).map_err(|e| WireError::Malformed {
        detail: e.to_string(),
    })
}

pub(super) fn need<T>(value: Option<T>, field: &'static str) -> Result<T> {
    value.ok_or(WireError::Missing { field })
}

pub(super) fn fixed<const N: usize>(bytes: &[u8], field: &'static str) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| WireError::Length {
        field,
        found: bytes.len(),
    })
}

pub(super) fn amount(bytes: &[u8], field: &'static str) -> Result<Amount> {
    Amount::from_be_slice(bytes).ok_or(WireError::Length {
        field,
        found: bytes.len(),
    })
}

/// Whether a character does nothing to a terminal that shows it, and does not turn the text around it.
#[must_use]
pub fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text for people or a name: bounded, without control or direction-changing characters.
pub(super) fn text(value: String, max: usize, field: &'static str) -> Result<String> {
    if value.len() <= max && value.chars().all(is_plain) {
        Ok(value)
    } else {
        Err(WireError::Text { field })
    }
}

/// Cuts our own text so that every receiver takes it.
pub(super) fn cut(value: &str, max: usize) -> String {
    let mut out = String::new();
    for c in value.chars().filter(|c| !c.is_control()) {
        if out.len().saturating_add(c.len_utf8()) > max {
            break;
        }
        out.push(c);
    }
    out
}

pub(super) fn price(per_mib: &[u8], per_minute: &[u8]) -> Result<Price> {
    Ok(Price {
        per_mib: amount(per_mib, "per_mib")?,
        per_minute: amount(per_minute, "per_minute")?,
    })
}

pub(super) fn chain(value: Option<pb::Chain>) -> Result<ChainRef> {
    let value = need(value, "chain")?;
    Ok(ChainRef {
        chain_id: value.chain_id,
        contract: PayoutAddress::from_bytes(fixed(&value.contract, "contract")?),
        token: PayoutAddress::from_bytes(fixed(&value.token, "token")?),
    })
}

pub(super) fn chain_pb(chain: &ChainRef) -> pb::Chain {
    pb::Chain {
        chain_id: chain.chain_id,
        contract: chain.contract.as_bytes().to_vec(),
        token: chain.token.as_bytes().to_vec(),
    }
}

pub(super) fn params(value: &pb::ChannelParams) -> Result<ChannelParams> {
    Ok(ChannelParams {
        payer: PayoutAddress::from_bytes(fixed(&value.payer, "payer")?),
        payee: PayoutAddress::from_bytes(fixed(&value.payee, "payee")?),
        period_secs: value.period_secs,
        salt: value.salt,
    })
}

pub(super) fn params_pb(params: &ChannelParams) -> pb::ChannelParams {
    pb::ChannelParams {
        payer: params.payer.as_bytes().to_vec(),
        payee: params.payee.as_bytes().to_vec(),
        period_secs: params.period_secs,
        salt: params.salt,
    }
}

pub(super) fn voucher(value: &pb::Voucher) -> Result<Voucher> {
    if value.locks.len() > MAX_LOCKS {
        return Err(WireError::Range {
            field: "locks",
            value: value.locks.len() as u64,
        });
    }
    Ok(Voucher {
        channel: ChannelId::from_bytes(fixed(&value.channel, "channel")?),
        seq: value.seq,
        base: amount(&value.base, "base")?,
        locks: value.locks.iter().map(lock).collect::<Result<_>>()?,
        signature: fixed(&value.signature, "signature")?,
    })
}

fn lock(value: &pb::Lock) -> Result<Lock> {
    if value.units == 0 || value.units > MAX_UNITS {
        return Err(WireError::Range {
            field: "units",
            value: value.units.into(),
        });
    }
    // The contract keeps expiry in 48 bits.
    if value.expiry >= 1 << 48 {
        return Err(WireError::Range {
            field: "expiry",
            value: value.expiry,
        });
    }
    Ok(Lock {
        anchor: HashLock::from_bytes(fixed(&value.anchor, "anchor")?),
        unit_price: amount(&value.unit_price, "unit_price")?,
        units: value.units,
        expiry: value.expiry,
    })
}

pub(super) fn voucher_pb(voucher: &Voucher) -> pb::Voucher {
    let lock = |lock: &Lock| pb::Lock {
        anchor: lock.anchor.as_bytes().to_vec(),
        unit_price: lock.unit_price.to_be_bytes().to_vec(),
        units: lock.units,
        expiry: lock.expiry,
    };
    pb::Voucher {
        channel: voucher.channel.as_bytes().to_vec(),
        seq: voucher.seq,
        base: voucher.base.to_be_bytes().to_vec(),
        locks: voucher.locks.iter().map(lock).collect(),
        signature: voucher.signature.to_vec(),
    }
}

pub(super) fn ack(it: &pb::VoucherAck) -> Result<VoucherAck> {
    Ok(VoucherAck {
        channel: channel(&it.channel)?,
        seq: it.seq,
        value_now: amount(&it.value_now, "value_now")?,
        covered: amount(&it.covered, "covered")?,
    })
}

pub(super) fn ack_pb(it: &VoucherAck) -> pb::VoucherAck {
    pb::VoucherAck {
        channel: it.channel.as_bytes().to_vec(),
        seq: it.seq,
        value_now: it.value_now.to_be_bytes().to_vec(),
        covered: it.covered.to_be_bytes().to_vec(),
    }
}

pub(super) fn pay_error(it: pb::PayError) -> Result<(ChannelId, PayErrorCode, String)> {
    Ok((
        channel(&it.channel)?,
        code(it.code)?,
        text(it.detail, MAX_DETAIL, "detail")?,
    ))
}

pub(super) fn pay_error_pb(channel: &ChannelId, code: PayErrorCode, detail: &str) -> pb::PayError {
    pb::PayError {
        channel: channel.as_bytes().to_vec(),
        code: code.code(),
        detail: cut(detail, MAX_DETAIL),
    }
}

pub(super) fn code(value: u32) -> Result<PayErrorCode> {
    PayErrorCode::from_code(value).ok_or(range("code", value))
}

pub(super) fn channel(bytes: &[u8]) -> Result<ChannelId> {
    Ok(ChannelId::from_bytes(fixed(bytes, "channel")?))
}

pub(super) fn word(it: &pb::Word) -> Result<WordFrame> {
    Ok(WordFrame {
        lane: lane(it.lane)?,
        k: units(it.k)?,
        word: Preimage::from_bytes(fixed(&it.word, "word")?),
    })
}

pub(super) fn word_pb(it: &WordFrame) -> pb::Word {
    pb::Word {
        lane: it.lane,
        k: it.k,
        word: it.word.expose().to_vec(),
    }
}

/// At most one word for each lock of a voucher.
pub(super) fn words(list: &[pb::Word]) -> Result<Vec<WordFrame>> {
    if list.len() > MAX_LOCKS {
        return Err(WireError::Range {
            field: "best",
            value: list.len() as u64,
        });
    }
    list.iter().map(word).collect()
}

pub(super) fn meter(it: &pb::Meter) -> Meter {
    Meter {
        up: it.up,
        down: it.down,
        millis: it.millis,
        due_units: it.due_units,
    }
}

pub(super) fn meter_pb(it: &Meter) -> pb::Meter {
    pb::Meter {
        up: it.up,
        down: it.down,
        millis: it.millis,
        due_units: it.due_units,
    }
}

/// A close window that the contract takes.
pub(super) fn close_window(secs: u32) -> Result<u32> {
    if CLOSE_WINDOWS.contains(&secs) {
        Ok(secs)
    } else {
        Err(range("close_window_secs", secs))
    }
}

pub(super) fn range(field: &'static str, value: u32) -> WireError {
    WireError::Range {
        field,
        value: value.into(),
    }
}

pub(super) fn lane(value: u32) -> Result<u32> {
    if (value as usize) < MAX_LOCKS {
        Ok(value)
    } else {
        Err(range("lane", value))
    }
}

pub(super) fn units(value: u32) -> Result<u32> {
    if (1..=MAX_UNITS).contains(&value) {
        Ok(value)
    } else {
        Err(range("k", value))
    }
}
