//! Receipts to bytes and back.

use prost::Message as _;

use super::parts::{
    Result, amount, chain, chain_pb, decode, fixed, meter, meter_pb, need, params, params_pb,
    price, range, units, voucher, voucher_pb, word_pb, words,
};
use super::{WireError, pb};
use crate::id::{NodeId, OfferHash, SessionId, TermsHash};
use crate::key::Signature;
use crate::lock::{HashLock, Preimage};
use crate::payment::MAX_UNITS;
use crate::receipt::{
    ChannelProof, LockProof, MAX_PROOFS, MAX_RECEIPT_BYTES, PaidBy, Receipt, ReceiptBody,
    RouteProof, Side,
};
use crate::unit::UnixTime;

pub(crate) fn receipt_bytes(receipt: &Receipt) -> Vec<u8> {
    receipt_pb(receipt).encode_to_vec()
}

pub(crate) fn receipt_from_bytes(bytes: &[u8]) -> Result<Receipt> {
    read_receipt(decode(bytes, MAX_RECEIPT_BYTES)?)
}

pub(super) fn receipt_pb(it: &Receipt) -> pb::Receipt {
    let signature = |side| {
        let signature = it.signature(side);
        signature.map_or_else(Vec::new, |it| it.as_bytes().to_vec())
    };
    pb::Receipt {
        body: it.signed_bytes().to_vec(),
        consumer_signature: signature(Side::Consumer),
        provider_signature: signature(Side::Provider),
    }
}

pub(super) fn read_receipt(it: pb::Receipt) -> Result<Receipt> {
    let body = read_body(&decode(&it.body, MAX_RECEIPT_BYTES)?)?;
    let consumer = signature(&it.consumer_signature, "consumer_signature")?;
    let provider = signature(&it.provider_signature, "provider_signature")?;
    let receipt = Receipt::from_parts(body, it.body, consumer, provider);
    // In a frame, what surrounds it counts for the frame.
    let bytes = receipt_pb(&receipt).encoded_len();
    if bytes > MAX_RECEIPT_BYTES {
        return Err(WireError::TooLong {
            bytes,
            limit: MAX_RECEIPT_BYTES,
        });
    }
    Ok(receipt)
}

fn signature(bytes: &[u8], field: &'static str) -> Result<Option<Signature>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    Ok(Some(Signature::from_bytes(fixed(bytes, field)?)))
}

pub(crate) fn receipt_body_bytes(it: &ReceiptBody) -> Vec<u8> {
    let common = pb::ReceiptBody {
        session: it.session.as_bytes().to_vec(),
        offer: it.offer.as_bytes().to_vec(),
        terms: it.terms.as_bytes().to_vec(),
        consumer: it.consumer.as_bytes().to_vec(),
        provider: it.provider.as_bytes().to_vec(),
        per_mib: it.price.per_mib.to_be_bytes().to_vec(),
        per_minute: it.price.per_minute.to_be_bytes().to_vec(),
        unit_price: it.unit_price.to_be_bytes().to_vec(),
        prepay_units: it.prepay_units,
        credit_units: it.credit_units,
        chain: Some(chain_pb(&it.chain)),
        consumer_meter: it.consumer_meter.as_ref().map(meter_pb),
        provider_meter: it.provider_meter.as_ref().map(meter_pb),
        started: it.started.as_millis(),
        ended: it.ended.as_millis(),
        ..pb::ReceiptBody::default()
    };
    let body = match &it.paid_by {
        PaidBy::Channel(by) => pb::ReceiptBody {
            channel: Some(params_pb(&by.channel)),
            value_before: by.value_before.to_be_bytes().to_vec(),
            value_after: by.value_after.to_be_bytes().to_vec(),
            voucher: Some(voucher_pb(&by.voucher)),
            best: by.best.iter().map(word_pb).collect(),
            ..common
        },
        PaidBy::Route(by) => pb::ReceiptBody {
            route: Some(route_pb(by)),
            ..common
        },
    };
    body.encode_to_vec()
}

fn route_pb(it: &RouteProof) -> pb::RouteProof {
    let lock = |it: &LockProof| pb::LockProof {
        anchor: it.anchor.as_bytes().to_vec(),
        before: it.before,
        k: it.k,
        word: it.word.expose().to_vec(),
    };
    pb::RouteProof {
        locks: it.locks.iter().map(lock).collect(),
        earlier_units: it.earlier_units,
        consumer_terms: it.consumer_terms.as_bytes().to_vec(),
        provider_terms: it.provider_terms.as_bytes().to_vec(),
    }
}

fn read_body(it: &pb::ReceiptBody) -> Result<ReceiptBody> {
    Ok(ReceiptBody {
        session: SessionId::from_bytes(fixed(&it.session, "session")?),
        offer: OfferHash::from_bytes(fixed(&it.offer, "offer")?),
        terms: TermsHash::from_bytes(fixed(&it.terms, "terms")?),
        consumer: NodeId::from_bytes(fixed(&it.consumer, "consumer")?),
        provider: NodeId::from_bytes(fixed(&it.provider, "provider")?),
        price: price(&it.per_mib, &it.per_minute)?,
        unit_price: amount(&it.unit_price, "unit_price")?,
        prepay_units: it.prepay_units,
        credit_units: it.credit_units,
        chain: chain(it.chain.clone())?,
        paid_by: match &it.route {
            Some(route) => PaidBy::Route(read_route(it, route)?),
            None => PaidBy::Channel(ChannelProof {
                channel: params(need(it.channel.as_ref(), "channel")?)?,
                value_before: amount(&it.value_before, "value_before")?,
                value_after: amount(&it.value_after, "value_after")?,
                voucher: voucher(need(it.voucher.as_ref(), "voucher")?)?,
                best: words(&it.best)?,
            }),
        },
        consumer_meter: it.consumer_meter.as_ref().map(meter),
        provider_meter: it.provider_meter.as_ref().map(meter),
        started: UnixTime::from_millis(it.started),
        ended: UnixTime::from_millis(it.ended),
    })
}

/// What paid is said in one way only.
fn read_route(body: &pb::ReceiptBody, it: &pb::RouteProof) -> Result<RouteProof> {
    let others = [
        body.value_before.len(),
        body.value_after.len(),
        body.best.len(),
        body.channel.iter().count(),
        body.voucher.iter().count(),
    ];
    let (locks, bytes) = (it.locks.len(), others.iter().sum::<usize>());
    if bytes > 0 || locks == 0 || locks > MAX_PROOFS {
        return Err(WireError::Range {
            field: "route",
            value: locks as u64,
        });
    }
    Ok(RouteProof {
        locks: it.locks.iter().map(read_lock).collect::<Result<_>>()?,
        earlier_units: it.earlier_units,
        consumer_terms: Signature::from_bytes(fixed(&it.consumer_terms, "consumer_terms")?),
        provider_terms: Signature::from_bytes(fixed(&it.provider_terms, "provider_terms")?),
    })
}

fn read_lock(it: &pb::LockProof) -> Result<LockProof> {
    if it.before > MAX_UNITS {
        return Err(range("before", it.before));
    }
    Ok(LockProof {
        anchor: HashLock::from_bytes(fixed(&it.anchor, "anchor")?),
        before: it.before,
        k: units(it.k)?,
        word: Preimage::from_bytes(fixed(&it.word, "word")?),
    })
}
