//! A receipt in the words of the API.
//!
//! Sans-IO.

use warren_proto::{ByteCount, Meter, NodeId, Receipt, Side};

use super::to_text;
use crate::api::types::{MeterView, Money, ReceiptSide, ReceiptView, Timestamp, UsageView};
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
    ReceiptView {
        session: it.session,
        offer: it.offer,
        terms: it.terms,
        consumer: it.consumer,
        provider: it.provider,
        signed_by: signed.map(|it| it.1).collect(),
        role: sides.iter().find(|it| Some(it.2) == own).map(|it| it.1),
        paid: money(it.value_after.saturating_sub(it.value_before)),
        unit_price: money(it.unit_price),
        channel: it.voucher.channel,
        chain_id: it.chain.chain_id,
        payer: it.channel.payer,
        payee: it.channel.payee,
        value_before: money(it.value_before),
        value_after: money(it.value_after),
        voucher_seq: it.voucher.seq,
        words: it.best.iter().map(|it| u64::from(it.k)).sum(),
        consumer_meter: it.consumer_meter.as_ref().map(meter),
        provider_meter: it.provider_meter.as_ref().map(meter),
        started: Timestamp(it.started),
        ended: Timestamp(it.ended),
        text: to_text(receipt),
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
