//! A receipt in the words of the API.
//!
//! Sans-IO.

use warren_proto::{Amount, ByteCount, LockProof, Meter, NodeId, PaidBy, Receipt, Side};

use super::to_text;
use crate::api::types::{
    ChannelProofView, LockProofView, MeterView, Money, PaidByView, ReceiptSide, ReceiptView,
    RouteProofView, Timestamp, UsageView,
};
use crate::config::Token;

/// Shows `receipt`; `own` is this node, if it knows who it is. Nothing is verified here.
#[must_use]
pub fn view(receipt: &Receipt, own: Option<NodeId>, token: &Token) -> ReceiptView {
    let it = receipt.body();
    let sides = [
        (Side::Consumer, ReceiptSide::Consumer, it.consumer),
        (Side::Provider, ReceiptSide::Provider, it.provider),
    ];
    let signed = sides.iter().filter(|it| receipt.signature(it.0).is_some());
    let money = |amount| Money::of(amount, token);
    let (paid, words, paid_by) = match &it.paid_by {
        PaidBy::Channel(by) => {
            let words = by.best.iter().map(|it| u64::from(it.k)).sum();
            let view = ChannelProofView {
                channel: by.voucher.channel,
                payer: by.channel.payer,
                payee: by.channel.payee,
                value_before: money(by.value_before),
                value_after: money(by.value_after),
                voucher_seq: by.voucher.seq,
            };
            let paid = by.value_after.saturating_sub(by.value_before);
            (paid, words, PaidByView::Channel(view))
        }
        PaidBy::Route(by) => {
            let view = RouteProofView {
                locks: by.locks.iter().map(lock).collect(),
                words_not_shown: by.earlier_units,
            };
            let paid = it.unit_price.checked_mul(by.units());
            let words = by.units().saturating_sub(by.earlier_units);
            (paid.unwrap_or(Amount::MAX), words, PaidByView::Route(view))
        }
    };
    ReceiptView {
        session: it.session,
        offer: it.offer,
        terms: it.terms,
        consumer: it.consumer,
        provider: it.provider,
        signed_by: signed.map(|it| it.1).collect(),
        role: sides.iter().find(|it| Some(it.2) == own).map(|it| it.1),
        paid: money(paid),
        unit_price: money(it.unit_price),
        chain_id: it.chain.chain_id,
        words,
        paid_by,
        consumer_meter: it.consumer_meter.as_ref().map(meter),
        provider_meter: it.provider_meter.as_ref().map(meter),
        started: Timestamp(it.started),
        ended: Timestamp(it.ended),
        text: to_text(receipt),
    }
}

/// The same without what makes it long, as one of many: its text, and the locks of a route.
#[must_use]
pub fn row(receipt: &Receipt, own: Option<NodeId>, token: &Token) -> ReceiptView {
    let mut row = view(receipt, own, token);
    row.text.clear();
    if let PaidByView::Route(by) = &mut row.paid_by {
        by.locks.clear();
    }
    row
}

fn lock(it: &LockProof) -> LockProofView {
    LockProofView {
        anchor: hex::encode(it.anchor.as_bytes()),
        before: it.before,
        word: it.k,
    }
}

fn meter(it: &Meter) -> MeterView {
    MeterView {
        used: UsageView {
            up_bytes: ByteCount::from_bytes(it.up),
            down_bytes: ByteCount::from_bytes(it.down),
        },
        served_millis: it.millis,
        due_units: it.due_units,
    }
}
