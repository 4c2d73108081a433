//! Verifies a receipt with nothing but the receipt: no chain, no node, no clock.
//!
//! Sans-IO. What it shows: both sides said this, and the payer's own voucher and words are worth that
//! much to the payee. What only the chain can say: that the deposit was there, and what was claimed.

use std::time::Duration;

use warren_payments::voucher::worth;
use warren_payments::{VerifiedVoucher, VoucherError};
use warren_proto::{Amount, ByteCount, Meter, Receipt, ReceiptBody, Side};

use crate::error::{ErrorCode, Problem};

/// Words that a crash of the payer may have hidden and that then count as released: see
/// `RESERVE_UNITS` in warren-payments.
const HIDDEN_UNITS: u64 = 16;

/// Who signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// Both sides.
    Both,
    /// One side only: what it says, and nothing the other agreed to.
    Only(Side),
}

/// What a receipt that verifies says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// By whom.
    pub signed: Signed,
    /// Paid in the session.
    pub paid: Amount,
    /// Due for it by the consumer's meter; `None` if that side did not say.
    pub due_consumer: Option<Amount>,
    /// Due for it by the provider's meter; `None` if that side did not say.
    pub due_provider: Option<Amount>,
}

/// What is wrong with a receipt: the first thing found, in this order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A signature that is there is not the consumer's.
    #[error("the consumer's signature is not by node {}", .0.short())]
    Consumer(warren_proto::NodeId),
    /// A signature that is there is not the provider's.
    #[error("the provider's signature is not by node {}", .0.short())]
    Provider(warren_proto::NodeId),
    /// Nobody signed.
    #[error("nobody signed it")]
    Unsigned,
    /// The voucher is not the payer's, or of another channel.
    #[error("{0}")]
    Voucher(VoucherError),
    /// A word does not open its lock.
    #[error("the word for lock {lane} does not hash to its anchor")]
    Word {
        /// Index of the lock.
        lane: u32,
    },
    /// Voucher and words come to another amount.
    #[error("voucher and words come to {found}, the receipt says {said}")]
    Value {
        /// What they come to.
        found: Amount,
        /// What it says.
        said: Amount,
    },
    /// It says that the channel lost value in the session.
    #[error("the channel was worth {before} before and {after} after")]
    Falls {
        /// Before.
        before: Amount,
        /// After.
        after: Amount,
    },
    /// A meter and the price come to another number of words.
    #[error("the {side:?}'s meter comes to {found} words, the receipt says {said}")]
    Due {
        /// Whose meter.
        side: Side,
        /// What it comes to.
        found: u64,
        /// What it says.
        said: u64,
    },
    /// More was paid than the consumer's own meter and the words ahead of it allow.
    #[error("{paid} words were paid, at most {most} were due or ahead")]
    Overpaid {
        /// Words paid.
        paid: u128,
        /// The most there can be.
        most: u64,
    },
    /// It ends before it begins.
    #[error("it ends before it begins")]
    Times,
}

impl Fault {
    /// The same as a user sees it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let code = match self {
            Self::Consumer(_) => ErrorCode::ReceiptConsumer,
            Self::Provider(_) => ErrorCode::ReceiptProvider,
            Self::Unsigned => ErrorCode::ReceiptUnsigned,
            Self::Voucher(_) => ErrorCode::ReceiptVoucher,
            Self::Word { .. } => ErrorCode::ReceiptWord,
            Self::Value { .. } | Self::Falls { .. } | Self::Overpaid { .. } => {
                ErrorCode::ReceiptAmount
            }
            Self::Due { .. } => ErrorCode::ReceiptMeter,
            Self::Times => ErrorCode::ReceiptTimes,
        };
        Problem::new(code, self)
    }
}

/// Verifies everything a receipt shows. At most 16 · 1024 hashes and three signatures.
///
/// # Errors
/// The first [`Fault`] found.
pub fn verify(receipt: &Receipt) -> Result<Verdict, Fault> {
    let body = receipt.body();
    let signed = signatures(receipt)?;
    let voucher = VerifiedVoucher::verify(body.voucher.clone(), &body.channel, &body.chain)
        .map_err(Fault::Voucher)?;
    let found =
        worth(voucher.get(), &body.best).map_err(|error| Fault::Word { lane: error.lane })?;
    let (before, after) = (body.value_before, body.value_after);
    if found != after {
        let said = after;
        return Err(Fault::Value { found, said });
    }
    let paid = after
        .checked_sub(before)
        .map_err(|_| Fault::Falls { before, after })?;
    let due_consumer = due(body, Side::Consumer, body.consumer_meter.as_ref())?;
    let due_provider = due(body, Side::Provider, body.provider_meter.as_ref())?;
    if let Some(meter) = &body.consumer_meter {
        let most = meter
            .due_units
            .saturating_add(body.prepay_units.into())
            .saturating_add(HIDDEN_UNITS);
        let words = paid.wei().checked_div(body.unit_price.wei());
        let words = words.unwrap_or(paid.wei());
        if words > u128::from(most) {
            return Err(Fault::Overpaid { paid: words, most });
        }
    }
    if body.ended < body.started {
        return Err(Fault::Times);
    }
    Ok(Verdict {
        signed,
        paid,
        due_consumer,
        due_provider,
    })
}

fn signatures(receipt: &Receipt) -> Result<Signed, Fault> {
    let body = receipt.body();
    let is_there = |side| receipt.signature(side).is_some();
    if is_there(Side::Consumer) && !receipt.is_signed_by(Side::Consumer) {
        return Err(Fault::Consumer(body.consumer));
    }
    if is_there(Side::Provider) && !receipt.is_signed_by(Side::Provider) {
        return Err(Fault::Provider(body.provider));
    }
    match (is_there(Side::Consumer), is_there(Side::Provider)) {
        (true, true) => Ok(Signed::Both),
        (true, false) => Ok(Signed::Only(Side::Consumer)),
        (false, true) => Ok(Signed::Only(Side::Provider)),
        (false, false) => Err(Fault::Unsigned),
    }
}

/// What a meter makes due, if it says so itself.
fn due(body: &ReceiptBody, side: Side, meter: Option<&Meter>) -> Result<Option<Amount>, Fault> {
    let Some(meter) = meter else {
        return Ok(None);
    };
    let used = ByteCount::from_bytes(meter.up.saturating_add(meter.down));
    let served = Duration::from_millis(meter.millis);
    let due = body.price.due(used, served).unwrap_or(Amount::MAX);
    let words = if body.unit_price == Amount::ZERO {
        0
    } else {
        due.wei().div_ceil(body.unit_price.wei())
    };
    let found = u64::try_from(words).unwrap_or(u64::MAX);
    if found != meter.due_units {
        let said = meter.due_units;
        return Err(Fault::Due { side, found, said });
    }
    Ok(Some(due))
}
