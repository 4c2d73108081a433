//! Verifies a receipt with nothing but the receipt: no chain, no node, no clock.
//!
//! Sans-IO. What it shows: both sides said this, and the payer's own voucher and words are worth that
//! much to the payee; of a route, that both agreed to the deal, and that these words of these locks were
//! known, each counted once. What only the chain can say: that the deposit was there, what was claimed,
//! and in whose voucher a route's lock stood.

use std::collections::BTreeSet;
use std::time::Duration;

use warren_payments::voucher::worth;
use warren_payments::{VerifiedVoucher, VoucherError};
use warren_proto::{
    Amount, ByteCount, ChannelProof, LockProof, MAX_PROOFS, Meter, PaidBy, Receipt, ReceiptBody,
    RouteProof, Side,
};

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
    /// Words of `paid` that whoever signed says and nothing here shows: of a route's locks before the
    /// last [`MAX_PROOFS`].
    pub unshown: u64,
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
    /// A side did not sign the terms of a session that a route paid.
    #[error("the {0:?}'s signature under the terms is not its own")]
    Terms(Side),
    /// A word does not open its lock.
    #[error("the word for lock {lane} does not hash to its anchor")]
    Word {
        /// Index of the lock.
        lane: u32,
    },
    /// A word of a route is counted twice.
    #[error("words of lock {lane} are those of a lock before it")]
    Twice {
        /// Index of the second one.
        lane: u32,
    },
    /// A lock of a route paid nothing.
    #[error("lock {lane} is at word {k}, and was at word {before} before")]
    Unpaid {
        /// Index of the lock.
        lane: u32,
        /// Before.
        before: u32,
        /// After.
        k: u32,
    },
    /// Words are said and not shown, though there was room to show them.
    #[error("{units} words are not shown, beside {locks} locks that are")]
    Unshown {
        /// How many.
        units: u64,
        /// How many locks are shown.
        locks: usize,
    },
    /// The words come to more than there is.
    #[error("{units} words come to no amount of money")]
    Sum {
        /// How many.
        units: u64,
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
            Self::Terms(_) => ErrorCode::ReceiptTerms,
            Self::Word { .. } => ErrorCode::ReceiptWord,
            Self::Twice { .. } => ErrorCode::ReceiptTwice,
            Self::Value { .. }
            | Self::Falls { .. }
            | Self::Unpaid { .. }
            | Self::Unshown { .. }
            | Self::Sum { .. }
            | Self::Overpaid { .. } => ErrorCode::ReceiptAmount,
            Self::Due { .. } => ErrorCode::ReceiptMeter,
            Self::Times => ErrorCode::ReceiptTimes,
        };
        Problem::new(code, self)
    }
}

/// Verifies everything a receipt shows. At most 32 · 1024 hashes and four signatures.
///
/// # Errors
/// The first [`Fault`] found.
pub fn verify(receipt: &Receipt) -> Result<Verdict, Fault> {
    let body = receipt.body();
    let signed = signatures(receipt)?;
    let (paid, unshown) = match &body.paid_by {
        PaidBy::Channel(by) => (by_channel(body, by)?, 0),
        PaidBy::Route(by) => (by_route(body, by)?, by.earlier_units),
    };
    let due_consumer = due(body, Side::Consumer, body.consumer_meter.as_ref())?;
    let due_provider = due(body, Side::Provider, body.provider_meter.as_ref())?;
    overpaid(body, paid)?;
    if body.ended < body.started {
        return Err(Fault::Times);
    }
    Ok(Verdict {
        signed,
        paid,
        unshown,
        due_consumer,
        due_provider,
    })
}

/// Whether what `side` says it counted stands in a receipt that is to verify; also if it says nothing.
pub(super) fn is_sound(body: &ReceiptBody, side: Side) -> bool {
    let paid = match &body.paid_by {
        PaidBy::Channel(by) => by.value_after.saturating_sub(by.value_before),
        PaidBy::Route(by) => body
            .unit_price
            .checked_mul(by.units())
            .unwrap_or(Amount::MAX),
    };
    match side {
        Side::Consumer => {
            due(body, side, body.consumer_meter.as_ref()).is_ok() && overpaid(body, paid).is_ok()
        }
        Side::Provider => due(body, side, body.provider_meter.as_ref()).is_ok(),
    }
}

/// Whether more was paid than the consumer's own meter allows.
fn overpaid(body: &ReceiptBody, paid: Amount) -> Result<(), Fault> {
    let Some(meter) = &body.consumer_meter else {
        return Ok(());
    };
    let most = meter
        .due_units
        .saturating_add(body.prepay_units.into())
        .saturating_add(HIDDEN_UNITS);
    let words = paid.wei().checked_div(body.unit_price.wei());
    let paid = words.unwrap_or(paid.wei());
    if paid > u128::from(most) {
        return Err(Fault::Overpaid { paid, most });
    }
    Ok(())
}

/// What the channel gained in the session, by its own voucher and words.
fn by_channel(body: &ReceiptBody, by: &ChannelProof) -> Result<Amount, Fault> {
    let voucher = VerifiedVoucher::verify(by.voucher.clone(), &by.channel, &body.chain)
        .map_err(Fault::Voucher)?;
    let found = worth(voucher.get(), &by.best).map_err(|error| Fault::Word { lane: error.lane })?;
    let (before, after) = (by.value_before, by.value_after);
    if found != after {
        let said = after;
        return Err(Fault::Value { found, said });
    }
    let fell = |_| Fault::Falls { before, after };
    after.checked_sub(before).map_err(fell)
}

/// What the words of a route's locks are worth at the session's price, each counted once.
fn by_route(body: &ReceiptBody, by: &RouteProof) -> Result<Amount, Fault> {
    for side in [Side::Consumer, Side::Provider] {
        if !body.agreed(side, by) {
            return Err(Fault::Terms(side));
        }
    }
    let mut seen = BTreeSet::new();
    for (lane, lock) in (0..).zip(&by.locks) {
        opens(lane, lock, &mut seen)?;
    }
    let (units, locks) = (by.earlier_units, by.locks.len());
    if units > 0 && locks < MAX_PROOFS {
        return Err(Fault::Unshown { units, locks });
    }
    let units = by.units();
    let paid = body.unit_price.checked_mul(units);
    paid.map_err(|_| Fault::Sum { units })
}

/// Hashes from the word to the anchor. A hash on the way that was seen before is a word of another lock
/// here: one chain of words cut into two locks would be counted twice.
fn opens(lane: u32, lock: &LockProof, seen: &mut BTreeSet<[u8; 32]>) -> Result<(), Fault> {
    let (before, k) = (lock.before, lock.k);
    let mut word = lock.word.clone();
    let mut twice = !seen.insert(*word.expose());
    for _ in 0..k {
        word = word.advance(1);
        twice |= !seen.insert(*word.expose());
    }
    if word.expose() != lock.anchor.as_bytes() {
        return Err(Fault::Word { lane });
    }
    if twice {
        return Err(Fault::Twice { lane });
    }
    if k <= before {
        return Err(Fault::Unpaid { lane, before, k });
    }
    Ok(())
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
