//! A consumer's lock is made here: of how many words, at what cost, and what it was made for.

use std::time::Duration;

use warren_payments::channel::PayerRefusal;
use warren_payments::{PaymentsError, RouteAsk};
use warren_proto::{Amount, MAX_UNITS, NodeId, SessionTerms, UnixTime};

use super::second::{self, Need};
use super::way::{Locked, Way};
use super::{Payable, Purse, problem};
use crate::error::{ErrorCode, Problem};
use crate::route::{LockFor, Routes, believe};
use crate::session::LockMade;

// Our choice.
/// A lock of fewer words would not be worth a router's trouble.
pub(super) const LEAST_UNITS: u32 = 64;
/// Specification: R5, half an hour before the exit's lock ends.
const SERVE_LEAD: Duration = Duration::from_secs(30 * 60);

/// Makes another lock, by the second router that the last one went by, unless that one is among `refused`; on
/// the terms that the router says by now.
///
/// # Errors
/// [`Problem`] as for the first lock.
pub(crate) async fn next_lock(
    purse: &Purse,
    (routes, max_fee_ppm, payable): (&Routes, u32, &Payable),
    (mut way, refused): (Way, &[NodeId]),
    terms: &SessionTerms,
    now: UnixTime,
) -> Result<(Way, Locked), Problem> {
    if let Some(said) = routes.said_by(way.router) {
        way.hint = *said.hint();
    }
    if way.second.is_some_and(|it| refused.contains(&it.node)) {
        let need = Need {
            first: &way.hint,
            terms,
            max_fee_ppm,
            refused,
            before: None,
        };
        way = way.over(second::chosen(routes, &need, now).await?);
    }
    payable.demand()?;
    let locked = lock(purse, (routes, max_fee_ppm), &way, terms, now).await?;
    way.unit_price = locked.made.unit_price;
    Ok((way, locked))
}

/// About so many words can be locked where 2^`capacity_log2` wei can: no use in asking for twice as much.
pub(super) fn most_units(capacity_log2: u32, price: Amount) -> u32 {
    let worth = |units: u32| price.wei().saturating_mul(units.into());
    let mut units = MAX_UNITS;
    while units > LEAST_UNITS && worth(units) >> capacity_log2 > 1 {
        units /= 2;
    }
    units
}

/// Makes a lock of as many words as the channel's deposit covers; it is on disk when this answers.
///
/// # Errors
/// [`Problem`] if it does not cover [`LEAST_UNITS`], or so many words cost more by this way than is allowed: the
/// fewer there are, the more of each goes into the hold fee.
pub(super) async fn lock(
    purse: &Purse,
    (routes, max_fee_ppm): (&Routes, u32),
    way: &Way,
    terms: &SessionTerms,
    now: UnixTime,
) -> Result<Locked, Problem> {
    purse.headroom.demand()?;
    let exit = (terms.provider, terms.unit_price);
    let mut units = most_units(way.capacity_log2(), terms.unit_price);
    loop {
        let deal = (terms.unit_price, units);
        let unit_price = believe(way.hints(), terms.chain, deal, max_fee_ppm)?;
        let ask = RouteAsk::through(way.hints(), way.channel, exit, units, now);
        let ask = ask.map_err(|error| Problem::new(ErrorCode::RouterUnusable, error))?;
        let exit_expiry = ask.onward.last().map_or(0, |it| it.expiry);
        let until = UnixTime::from_secs(ask.expiry);
        match purse.payments().offer_lock(ask).await {
            Ok(offer) => {
                // Until then the router may ask for folds.
                routes.hold(way.channel, until);
                let serve_secs = exit_expiry.saturating_sub(SERVE_LEAD.as_secs());
                let made_for = LockFor {
                    exit: terms.provider,
                    exit_price: terms.unit_price,
                    serve_until: UnixTime::from_secs(serve_secs),
                    second: way.second.map(|it| it.node),
                };
                routes.made_lock(offer.payment, made_for).await;
                let made = LockMade {
                    payment: offer.payment,
                    units,
                    said: 0,
                    unit_price,
                    serve_until: made_for.serve_until,
                    hold_fee: way.hint.hold_fee,
                };
                let offer = Some(Box::new(offer));
                return Ok(Locked { offer, made });
            }
            Err(PaymentsError::Refused {
                refusal: PayerRefusal::Exhausted { .. },
                ..
            }) if units > LEAST_UNITS => units /= 2,
            Err(error) => return Err(problem(&error)),
        }
    }
}

#[cfg(test)]
mod tests;
