//! Route frames and router hints to bytes and back.

use pb::route_frame::Kind;
use prost::Message as _;

use super::parts::{
    Result, ack, ack_pb, amount, chain, chain_pb, channel, close_window, code, decode, fixed, lane,
    need, params, params_pb, pay_error, pay_error_pb, range, units, voucher, voucher_pb,
};
use super::{WireError, pb};
use crate::id::{NodeId, PaymentId, PayoutAddress};
use crate::key::Signature;
use crate::lock::{HashLock, Preimage};
use crate::route::{
    Fulfill, HelloChannel, Hop, LockOffer, LockReady, LockReject, MAX_CAPACITY_LOG2, MAX_FEE_PPM,
    MAX_HINT_BYTES, MAX_HOP_GAP_SECS, MAX_HOPS, RouteFrame, RouteHello, RouteWelcome, RouterHint,
};
use crate::session::MAX_FRAME_BYTES;
use crate::unit::UnixTime;

pub(super) fn hello_pb(it: &RouteHello) -> pb::RouteHello {
    let channel = it.channel.as_ref();
    pb::RouteHello {
        channel: channel.map(|it| params_pb(&it.params)),
        not_after: channel.map_or(0, |it| it.not_after.as_millis()),
        auth: channel.map(|it| it.auth.to_vec()).unwrap_or_default(),
    }
}

pub(super) fn read_hello(it: &pb::RouteHello) -> Result<RouteHello> {
    let channel = it.channel.as_ref().map(|channel| {
        Ok(HelloChannel {
            params: params(channel)?,
            not_after: UnixTime::from_millis(it.not_after),
            auth: fixed(&it.auth, "auth")?,
        })
    });
    Ok(RouteHello {
        channel: channel.transpose()?,
    })
}

pub(super) fn welcome_pb(it: &RouteWelcome) -> pb::RouteWelcome {
    pb::RouteWelcome {
        hint: it.hint.clone().unwrap_or_default(),
    }
}

/// The hint is checked by whoever believes it: that needs a clock.
pub(super) fn read_welcome(it: pb::RouteWelcome) -> Result<RouteWelcome> {
    if it.hint.len() > MAX_HINT_BYTES {
        return Err(WireError::TooLong {
            bytes: it.hint.len(),
            limit: MAX_HINT_BYTES,
        });
    }
    Ok(RouteWelcome {
        hint: Some(it.hint).filter(|it| !it.is_empty()),
    })
}

pub(crate) fn encode_route_frame(frame: &RouteFrame) -> Vec<u8> {
    route_frame_pb(frame).encode_to_vec()
}

pub(super) fn route_frame_pb(frame: &RouteFrame) -> pb::RouteFrame {
    let kind = match frame {
        RouteFrame::Offer(it) => Kind::LockOffer(offer_pb(it)),
        RouteFrame::Ready(it) => Kind::LockReady(ready_pb(it)),
        RouteFrame::Reject(it) => Kind::LockReject(pb::LockReject {
            payment: it.payment.as_bytes().to_vec(),
            code: it.code.code(),
            held: it.held,
            max_amount: it.max_amount.to_be_bytes().to_vec(),
            min_expiry: it.min_expiry,
        }),
        RouteFrame::Fulfill(it) => Kind::Fulfill(pb::Fulfill {
            payment: it.payment.as_bytes().to_vec(),
            anchor: it.anchor.as_bytes().to_vec(),
            k: it.k,
            word: it.word.expose().to_vec(),
            last: it.last,
        }),
        RouteFrame::Voucher(it) => Kind::Voucher(voucher_pb(it)),
        RouteFrame::VoucherAck(it) => Kind::VoucherAck(ack_pb(it)),
        RouteFrame::PayError {
            channel,
            code,
            detail,
        } => Kind::PayError(pay_error_pb(channel, *code, detail)),
    };
    pb::RouteFrame { kind: Some(kind) }
}

pub(crate) fn decode_route_frame(bytes: &[u8]) -> Result<RouteFrame> {
    read_route_frame(decode(bytes, MAX_FRAME_BYTES)?)
}

pub(super) fn read_route_frame(frame: pb::RouteFrame) -> Result<RouteFrame> {
    Ok(match need(frame.kind, "kind")? {
        Kind::LockOffer(it) => RouteFrame::Offer(Box::new(offer(&it)?)),
        Kind::LockReady(it) => RouteFrame::Ready(ready(&it)?),
        Kind::LockReject(it) => RouteFrame::Reject(LockReject {
            payment: payment(&it.payment)?,
            code: code(it.code)?,
            held: it.held,
            max_amount: amount(&it.max_amount, "max_amount")?,
            min_expiry: it.min_expiry,
        }),
        Kind::Fulfill(it) => RouteFrame::Fulfill(Fulfill {
            payment: payment(&it.payment)?,
            anchor: anchor(&it.anchor)?,
            k: units(it.k)?,
            word: Preimage::from_bytes(fixed(&it.word, "word")?),
            last: it.last,
        }),
        Kind::Voucher(it) => RouteFrame::Voucher(voucher(&it)?),
        Kind::VoucherAck(it) => RouteFrame::VoucherAck(ack(&it)?),
        Kind::PayError(it) => {
            let (channel, code, detail) = pay_error(it)?;
            RouteFrame::PayError {
                channel,
                code,
                detail,
            }
        }
    })
}

fn offer(it: &pb::LockOffer) -> Result<LockOffer> {
    if it.onward.len() > MAX_HOPS {
        return Err(WireError::Range {
            field: "onward",
            value: it.onward.len() as u64,
        });
    }
    let voucher = voucher(need(it.voucher.as_ref(), "voucher")?)?;
    let anchor = anchor(&it.anchor)?;
    let lock = voucher.locks.iter().find(|it| it.anchor == anchor).copied();
    Ok(LockOffer {
        payment: payment(&it.payment)?,
        lock: need(lock, "anchor")?,
        voucher,
        onward: it.onward.iter().map(hop).collect::<Result<_>>()?,
        hold_fee: amount(&it.hold_fee, "hold_fee")?,
        sealed: match it.sealed.as_slice() {
            [] => None,
            some => Some(fixed(some, "sealed")?),
        },
    })
}

fn offer_pb(it: &LockOffer) -> pb::LockOffer {
    let hop = |it: &Hop| pb::Hop {
        node: it.node.as_bytes().to_vec(),
        unit_price: it.unit_price.to_be_bytes().to_vec(),
        expiry: it.expiry,
    };
    pb::LockOffer {
        payment: it.payment.as_bytes().to_vec(),
        voucher: Some(voucher_pb(&it.voucher)),
        anchor: it.lock.anchor.as_bytes().to_vec(),
        onward: it.onward.iter().map(hop).collect(),
        hold_fee: it.hold_fee.to_be_bytes().to_vec(),
        sealed: it.sealed.map(|it| it.to_vec()).unwrap_or_default(),
    }
}

fn hop(it: &pb::Hop) -> Result<Hop> {
    // The contract keeps expiry in 48 bits; a routed lock has one.
    if it.expiry == 0 || it.expiry >= 1 << 48 {
        return Err(WireError::Range {
            field: "expiry",
            value: it.expiry,
        });
    }
    Ok(Hop {
        node: NodeId::from_bytes(fixed(&it.node, "node")?),
        unit_price: amount(&it.unit_price, "unit_price")?,
        expiry: it.expiry,
    })
}

pub(super) fn ready(it: &pb::LockReady) -> Result<LockReady> {
    Ok(LockReady {
        payment: payment(&it.payment)?,
        anchor: anchor(&it.anchor)?,
        channel: channel(&it.channel)?,
        seq: it.seq,
        lane: lane(it.lane)?,
    })
}

pub(super) fn ready_pb(it: &LockReady) -> pb::LockReady {
    pb::LockReady {
        payment: it.payment.as_bytes().to_vec(),
        anchor: it.anchor.as_bytes().to_vec(),
        channel: it.channel.as_bytes().to_vec(),
        seq: it.seq,
        lane: it.lane,
    }
}

pub(super) fn payment(bytes: &[u8]) -> Result<PaymentId> {
    Ok(PaymentId::from_bytes(fixed(bytes, "payment")?))
}

fn anchor(bytes: &[u8]) -> Result<HashLock> {
    Ok(HashLock::from_bytes(fixed(bytes, "anchor")?))
}

pub(crate) fn hint_bytes(hint: &RouterHint) -> Vec<u8> {
    pb::RouterHint {
        node: hint.node.as_bytes().to_vec(),
        seq: hint.seq,
        issued: hint.issued.as_millis(),
        valid_until: hint.valid_until.as_millis(),
        chain: Some(chain_pb(&hint.chain)),
        payee: hint.payee.as_bytes().to_vec(),
        capacity_log2: hint.capacity_log2,
        fee_ppm: hint.fee_ppm,
        hold_fee: hint.hold_fee.to_be_bytes().to_vec(),
        hop_gap_secs: hint.hop_gap_secs,
        close_window_secs: hint.close_window_secs,
    }
    .encode_to_vec()
}

pub(crate) fn signed_hint_bytes(body: &[u8], signature: &Signature) -> Vec<u8> {
    pb::SignedRouterHint {
        hint: body.to_vec(),
        signature: signature.as_bytes().to_vec(),
    }
    .encode_to_vec()
}

/// Splits a signed hint into the signed bytes, the signature, and what the bytes say.
pub(crate) fn read_signed_hint(bytes: &[u8]) -> Result<(Vec<u8>, [u8; 64], RouterHint)> {
    let signed: pb::SignedRouterHint = decode(bytes, MAX_HINT_BYTES)?;
    let hint = hint(decode(&signed.hint, MAX_HINT_BYTES)?)?;
    Ok((signed.hint, fixed(&signed.signature, "signature")?, hint))
}

fn hint(it: pb::RouterHint) -> Result<RouterHint> {
    if it.capacity_log2 > MAX_CAPACITY_LOG2 {
        return Err(range("capacity_log2", it.capacity_log2));
    }
    if it.fee_ppm > MAX_FEE_PPM {
        return Err(range("fee_ppm", it.fee_ppm));
    }
    if it.hop_gap_secs > MAX_HOP_GAP_SECS {
        return Err(range("hop_gap_secs", it.hop_gap_secs));
    }
    Ok(RouterHint {
        node: NodeId::from_bytes(fixed(&it.node, "node")?),
        seq: it.seq,
        issued: UnixTime::from_millis(it.issued),
        valid_until: UnixTime::from_millis(it.valid_until),
        chain: chain(it.chain)?,
        payee: PayoutAddress::from_bytes(fixed(&it.payee, "payee")?),
        capacity_log2: it.capacity_log2,
        fee_ppm: it.fee_ppm,
        hold_fee: amount(&it.hold_fee, "hold_fee")?,
        hop_gap_secs: it.hop_gap_secs,
        close_window_secs: close_window(it.close_window_secs)?,
    })
}
