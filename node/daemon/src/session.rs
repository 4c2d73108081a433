//! The session: one deal from request to goodbye, as two machines that never meet.
//!
//! [`ConsumerSession`] chooses, pays and connects; [`ProviderSession`] grants, meters and gates;
//! [`Admission`] decides what is granted at all. All three are sans-IO: the role loops bring in
//! frames, money news, meter readings and the time, and perform the effects.
//!
//! ```text
//! consumer  Negotiating ─▶ Funding ─▶ Starting ─▶ Connecting ─▶ Active ⇄ Stalled ─▶ Closed
//! provider  Granted ─▶ AwaitingFunds ─▶ AwaitingWord ─▶ Serving ⇄ Paused ─▶ Closed
//! ```
//!
//! A session is paid by a channel to its exit, or by a route: then its start names a payment, a router brings
//! the exit a lock for it, and words are said of that lock, and of the next ones, past the router.
//!
//! A closed session of which something was paid stays in [`ConsumerClosing`] or [`ProviderClosing`] for
//! a moment, beside whatever comes next, until its receipt has both signatures.
//!
//! Invariants: the consumer never releases more than `due + prepay_units` by its own meter; the
//! provider never opens the gate beyond what is paid and its credit by its own.

mod admission;
mod arrears;
mod closing;
mod consumer;
mod guests;
mod limits;
mod provider;
mod reach;
#[cfg(test)]
mod tests;

pub use admission::{Admission, ExitTerms, Fresh, min_deposit_units};
pub use arrears::{Arrears, Ower};
pub use closing::{ConsumerClosing, ConsumerClosingEffect, ProviderClosing, ProviderClosingEffect};
pub use consumer::{
    ConsumerEffect, ConsumerEnd, ConsumerEvent, ConsumerPhase, ConsumerSession, LockMade,
    RouteNews, RouteOrder, Wish,
};
pub use guests::GuestList;
pub use limits::SessionLimits;
pub use provider::{
    LockNews, LockOrder, ProviderEffect, ProviderEnd, ProviderEvent, ProviderPhase, ProviderSession,
};
pub use reach::Reach;

use std::time::Duration;

use warren_proto::{Amount, AmountOverflow, ByteCount, Price, SessionTerms};

/// Words due under `terms` for a whole session so far, rounded up to the next word.
///
/// # Errors
/// [`AmountOverflow`] if the due amount leaves the range of money.
pub fn due_units(
    terms: &SessionTerms,
    used: ByteCount,
    served: Duration,
) -> Result<u64, AmountOverflow> {
    let due = terms.price.due(used, served)?;
    if terms.unit_price == Amount::ZERO {
        return Ok(0);
    }
    u64::try_from(due.wei().div_ceil(terms.unit_price.wei())).map_err(|_| AmountOverflow)
}

/// Inner bytes that `units` words pay for after `served`; what the gate may let through.
///
/// The inverse of [`due_units`], rounded down: passing exactly so many bytes makes at most `units`
/// due. A price of zero per MiB never runs out by bytes, but a price per minute runs out by time: then
/// nothing is covered, not even what would be free by itself. A free session never runs out.
#[must_use]
pub fn bytes_covered(terms: &SessionTerms, units: u64, served: Duration) -> ByteCount {
    const MINUTE_MS: u128 = 60_000;
    if terms.price == Price::default() {
        return ByteCount::from_bytes(u64::MAX);
    }
    let paid = terms.unit_price.wei().saturating_mul(u128::from(units));
    let by_time = terms
        .price
        .per_minute
        .wei()
        .saturating_mul(served.as_millis());
    let left = paid.saturating_mul(MINUTE_MS).saturating_sub(by_time);
    let scaled = left.saturating_mul(u128::from(ByteCount::MIB));
    let per_mib = terms.price.per_mib.wei().saturating_mul(MINUTE_MS);
    match scaled.checked_div(per_mib) {
        Some(bytes) => ByteCount::from_bytes(u64::try_from(bytes).unwrap_or(u64::MAX)),
        None if left > 0 => ByteCount::from_bytes(u64::MAX),
        None => ByteCount::default(),
    }
}
