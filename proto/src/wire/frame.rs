//! Session frames to bytes and back.

use pb::frame::Kind;
use prost::Message as _;

use super::parts::{
    MAX_DETAIL, Result, ack, ack_pb, amount, chain, chain_pb, channel, cut, decode, fixed, lane,
    meter, meter_pb, need, params, params_pb, pay_error, pay_error_pb, price, range, text, units,
    voucher, voucher_pb, word, word_pb, words,
};
use super::receipt::{read_receipt, receipt_pb};
use super::route::{
    hello_pb, payment, read_hello, read_route_frame, read_welcome, ready, ready_pb, route_frame_pb,
    welcome_pb,
};
use super::terms::{read_terms, terms_pb};
use super::tower::{put_pb, read_put, read_tower_answer, tower_answer_pb};
use super::{WireError, pb};
use crate::id::{OfferHash, SessionId};
use crate::key::{Signature, TunnelPublicKey};
use crate::payment::{ChannelAnswer, ChannelAsk, CloseConsent};
use crate::session::{
    Goodbye, GoodbyeReason, Grant, MAX_FRAME_BYTES, Refusal, RefusalReason, SessionFrame,
    SessionRequest, SessionStart, StartPayment,
};
use crate::unit::UnixTime;

pub(crate) fn encode_frame(frame: &SessionFrame) -> Vec<u8> {
    pb::Frame {
        kind: Some(kind(frame)),
    }
    .encode_to_vec()
}

fn kind(frame: &SessionFrame) -> Kind {
    match frame {
        SessionFrame::Request(it) => Kind::Request(pb::Request {
            session: it.session.as_bytes().to_vec(),
            offer: it.offer.as_bytes().to_vec(),
            per_mib: it.price.per_mib.to_be_bytes().to_vec(),
            per_minute: it.price.per_minute.to_be_bytes().to_vec(),
            tunnel_key: it.tunnel_key.as_bytes().to_vec(),
            chain: Some(chain_pb(&it.chain)),
            resume: it.resume,
        }),
        SessionFrame::Grant(it) => Kind::Grant(pb::Grant {
            terms: Some(terms_pb(&it.terms)),
            signature: it.signature.as_bytes().to_vec(),
        }),
        SessionFrame::Refusal(it) => Kind::Refusal(pb::Refusal {
            session: it.session.as_bytes().to_vec(),
            reason: it.reason.code(),
            detail: cut(&it.detail, MAX_DETAIL),
        }),
        SessionFrame::Start(it) => Kind::Start(pb::Start {
            session: it.session.as_bytes().to_vec(),
            signature: it.signature.as_bytes().to_vec(),
            channel: it.payment.as_ref().map(|p| params_pb(&p.channel)),
            auth: it
                .payment
                .as_ref()
                .map(|p| p.auth.to_vec())
                .unwrap_or_default(),
            voucher: it.payment.as_ref().map(|p| voucher_pb(&p.voucher)),
            payment: it
                .routed
                .map(|id| id.as_bytes().to_vec())
                .unwrap_or_default(),
        }),
        SessionFrame::Ready(id) => Kind::Ready(pb::Ready {
            session: id.as_bytes().to_vec(),
        }),
        SessionFrame::Voucher(it) => Kind::Voucher(voucher_pb(it)),
        SessionFrame::VoucherAck(it) => Kind::VoucherAck(ack_pb(it)),
        SessionFrame::Word(it) => Kind::Word(word_pb(it)),
        SessionFrame::Receipt(it) => Kind::Receipt(receipt_pb(it)),
        SessionFrame::ChannelAsk(it) => Kind::ChannelAsk(pb::ChannelAsk {
            channel: Some(params_pb(&it.channel)),
            close: it.close,
            not_after: it.not_after.as_millis(),
            signature: it.signature.to_vec(),
        }),
        SessionFrame::ChannelAnswer(it) => Kind::ChannelAnswer(answer_pb(it)),
        SessionFrame::LockReady(it) => Kind::LockReady(ready_pb(it)),
        SessionFrame::TowerPut(it) => Kind::TowerPut(put_pb(it)),
        SessionFrame::TowerAnswer(it) => Kind::TowerAnswer(tower_answer_pb(it)),
        SessionFrame::RouteHello(it) => Kind::RouteHello(hello_pb(it)),
        SessionFrame::RouteWelcome(it) => Kind::RouteWelcome(welcome_pb(it)),
        SessionFrame::Route(it) => Kind::Route(route_frame_pb(it)),
        SessionFrame::WordAck { lane, k } => Kind::WordAck(pb::WordAck { lane: *lane, k: *k }),
        SessionFrame::Meter(it) => Kind::Meter(meter_pb(it)),
        SessionFrame::PayError {
            channel,
            code,
            detail,
        } => Kind::PayError(pay_error_pb(channel, *code, detail)),
        SessionFrame::Goodbye(it) => Kind::Goodbye(pb::Goodbye {
            session: it.session.as_bytes().to_vec(),
            reason: it.reason.code(),
        }),
    }
}

pub(crate) fn decode_frame(bytes: &[u8]) -> Result<SessionFrame> {
    let frame: pb::Frame = decode(bytes, MAX_FRAME_BYTES)?;
    Ok(match need(frame.kind, "kind")? {
        Kind::Request(it) => SessionFrame::Request(SessionRequest {
            session: session(&it.session)?,
            offer: OfferHash::from_bytes(fixed(&it.offer, "offer")?),
            price: price(&it.per_mib, &it.per_minute)?,
            tunnel_key: TunnelPublicKey::from_bytes(fixed(&it.tunnel_key, "tunnel_key")?),
            chain: chain(it.chain)?,
            resume: it.resume,
        }),
        Kind::Grant(it) => SessionFrame::Grant(Box::new(Grant {
            terms: read_terms(need(it.terms, "terms")?)?,
            signature: Signature::from_bytes(fixed(&it.signature, "signature")?),
        })),
        Kind::Refusal(it) => SessionFrame::Refusal(Refusal {
            session: session(&it.session)?,
            reason: RefusalReason::from_code(it.reason).ok_or(range("reason", it.reason))?,
            detail: text(it.detail, MAX_DETAIL, "detail")?,
        }),
        Kind::Start(it) => SessionFrame::Start(Box::new(start(it)?)),
        Kind::Ready(it) => SessionFrame::Ready(session(&it.session)?),
        Kind::Voucher(it) => SessionFrame::Voucher(voucher(&it)?),
        Kind::VoucherAck(it) => SessionFrame::VoucherAck(ack(&it)?),
        Kind::Word(it) => SessionFrame::Word(word(&it)?),
        Kind::Receipt(it) => SessionFrame::Receipt(Box::new(read_receipt(it)?)),
        Kind::ChannelAsk(it) => SessionFrame::ChannelAsk(Box::new(ChannelAsk {
            channel: params(&need(it.channel, "channel")?)?,
            close: it.close,
            not_after: UnixTime::from_millis(it.not_after),
            signature: fixed(&it.signature, "signature")?,
        })),
        Kind::ChannelAnswer(it) => SessionFrame::ChannelAnswer(Box::new(answer(&it)?)),
        Kind::LockReady(it) => SessionFrame::LockReady(ready(&it)?),
        Kind::TowerPut(it) => SessionFrame::TowerPut(Box::new(read_put(&it)?)),
        Kind::TowerAnswer(it) => SessionFrame::TowerAnswer(read_tower_answer(&it)?),
        Kind::RouteHello(it) => SessionFrame::RouteHello(Box::new(read_hello(&it)?)),
        Kind::RouteWelcome(it) => SessionFrame::RouteWelcome(Box::new(read_welcome(it)?)),
        Kind::Route(it) => SessionFrame::Route(Box::new(read_route_frame(it)?)),
        Kind::WordAck(it) => SessionFrame::WordAck {
            lane: lane(it.lane)?,
            k: units(it.k)?,
        },
        Kind::Meter(it) => SessionFrame::Meter(meter(&it)),
        Kind::PayError(it) => {
            let (channel, code, detail) = pay_error(it)?;
            SessionFrame::PayError {
                channel,
                code,
                detail,
            }
        }
        Kind::Goodbye(it) => SessionFrame::Goodbye(Goodbye {
            session: session(&it.session)?,
            reason: GoodbyeReason::from_code(it.reason).ok_or(range("reason", it.reason))?,
        }),
    })
}

fn start(it: pb::Start) -> Result<SessionStart> {
    let payment = match (&it.channel, &it.voucher) {
        (None, None) => None,
        (Some(channel), Some(first)) => Some(StartPayment {
            channel: params(channel)?,
            auth: fixed(&it.auth, "auth")?,
            voucher: voucher(first)?,
        }),
        (Some(_), None) => return Err(WireError::Missing { field: "voucher" }),
        (None, Some(_)) => return Err(WireError::Missing { field: "channel" }),
    };
    let routed = match it.payment.as_slice() {
        [] => None,
        bytes => Some(self::payment(bytes)?),
    };
    if routed.is_some() && payment.is_some() {
        // Paid by a channel of its own or by a route: whoever says both means neither.
        return Err(WireError::Range {
            field: "payment",
            value: 2,
        });
    }
    Ok(SessionStart {
        session: session(&it.session)?,
        signature: Signature::from_bytes(fixed(&it.signature, "signature")?),
        payment,
        routed,
    })
}

fn answer(it: &pb::ChannelAnswer) -> Result<ChannelAnswer> {
    let consent = it.consent.as_ref().map(|it| {
        Ok(CloseConsent {
            final_amount: amount(&it.final_amount, "final_amount")?,
            not_after: UnixTime::from_millis(it.not_after),
            signature: fixed(&it.signature, "signature")?,
        })
    });
    Ok(ChannelAnswer {
        channel: channel(&it.channel)?,
        voucher: it.voucher.as_ref().map(voucher).transpose()?,
        best: words(&it.best)?,
        consent: consent.transpose()?,
    })
}

fn answer_pb(it: &ChannelAnswer) -> pb::ChannelAnswer {
    let consent = |it: &CloseConsent| pb::Consent {
        final_amount: it.final_amount.to_be_bytes().to_vec(),
        not_after: it.not_after.as_millis(),
        signature: it.signature.to_vec(),
    };
    pb::ChannelAnswer {
        channel: it.channel.as_bytes().to_vec(),
        voucher: it.voucher.as_ref().map(voucher_pb),
        best: it.best.iter().map(word_pb).collect(),
        consent: it.consent.as_ref().map(consent),
    }
}

fn session(bytes: &[u8]) -> Result<SessionId> {
    Ok(SessionId::from_bytes(fixed(bytes, "session")?))
}
