//! Which router comes second, where the user wishes for two.
//!
//! One of those that fit is taken by lot: if the cheapest were, whoever undercuts all others would be the second
//! router of everybody, and with a first one of its own see both ends of each payment.

use warren_payments::RouteAsk;
use warren_payments::channel::Rules;
use warren_proto::{
    Amount, ChannelId, NodeId, PaymentId, RouterHint, SessionTerms, SignedRouterHint, UnixTime,
};

use super::lock::{LEAST_UNITS, most_units};
use crate::error::{ErrorCode, Problem};
use crate::route::{LockFor, Routes, believe};

/// What a second router is wanted for.
pub(super) struct Need<'a> {
    /// The router that this node pays.
    pub(super) first: &'a RouterHint,
    pub(super) terms: &'a SessionTerms,
    /// The most both may cost.
    pub(super) max_fee_ppm: u32,
    /// Those that took no lock.
    pub(super) refused: &'a [NodeId],
    /// The one that was second before, if any.
    pub(super) before: Option<NodeId>,
}

/// By which second router the last of these locks went: an older one may be gone by now.
pub(super) fn newest(made_for: &[(PaymentId, LockFor)]) -> Option<NodeId> {
    let by_two = made_for.iter().filter(|(_, it)| it.second.is_some());
    by_two.max_by_key(|(_, it)| it.serve_until)?.1.second
}

/// The terms of a second router, and what a word costs here by both.
///
/// # Errors
/// [`ErrorCode::NoSecondRouter`] if no other router that is found fits.
pub(super) async fn chosen(
    routes: &Routes,
    need: &Need<'_>,
    now: UnixTime,
) -> Result<(RouterHint, Amount), Problem> {
    let found = routes.found_lately().await?;
    let (mut fitting, why) = fitting(&found, need, now);
    if fitting.is_empty() {
        return Err(none(found.len(), why));
    }
    let before = fitting
        .iter()
        .position(|(it, _)| Some(it.node) == need.before);
    let at = before.unwrap_or_else(|| rand::random_range(0..fitting.len()));
    Ok(fitting.swap_remove(at))
}

/// Those that may come second, each with what a word costs then; and why the last one of the others may not.
fn fitting(
    found: &[SignedRouterHint],
    need: &Need<'_>,
    now: UnixTime,
) -> (Vec<(RouterHint, Amount)>, Option<Problem>) {
    let (mut fitting, mut why) = (Vec::new(), None);
    for it in found.iter().map(|it| *it.hint()) {
        match fits(&it, need, now) {
            Ok(price) => fitting.push((it, price)),
            Err(problem) => why = problem.or(why),
        }
    }
    (fitting, why)
}

/// What a word costs with it. `Err(None)`: it is one of those that this payment is to be hidden from, or refused.
fn fits(it: &RouterHint, need: &Need<'_>, now: UnixTime) -> Result<Amount, Option<Problem>> {
    let (first, terms) = (need.first, need.terms);
    // Two nodes that are paid by one account are one router.
    let known = it.node == first.node || it.payee == first.payee;
    let ends = [terms.provider, terms.consumer].contains(&it.node) || it.payee == terms.payee;
    if known || ends || need.refused.contains(&it.node) || it.valid_until <= now {
        return Err(None);
    }
    let unusable = |seen: String| Some(Problem::new(ErrorCode::RouterUnusable, seen));
    let capacity_log2 = first.capacity_log2.min(it.capacity_log2);
    let deal = (
        terms.unit_price,
        most_units(capacity_log2, terms.unit_price),
    );
    let price = believe((first, Some(it)), terms.chain, deal, need.max_fee_ppm)?;
    let worth = terms.unit_price.wei().saturating_mul(LEAST_UNITS.into());
    if worth >> it.capacity_log2 > 1 {
        let seen = format!("{} holds too little", it.node.short());
        return Err(unusable(seen));
    }
    let (exit, channel) = (
        (terms.provider, terms.unit_price),
        ChannelId::from_bytes([0; 32]),
    );
    let ask = RouteAsk::through((first, Some(it)), channel, exit, LEAST_UNITS, now);
    let ask = ask.map_err(|error| unusable(error.to_string()))?;
    if ask.expiry.saturating_sub(now.as_secs()) > Rules::default().max_life_secs {
        let seen = format!("{} asks for longer locks than any takes", it.node.short());
        return Err(unusable(seen));
    }
    Ok(price)
}

/// No second router: never one alone instead.
pub(crate) fn none(found: usize, why: Option<Problem>) -> Problem {
    let why = why.map_or_else(String::new, |it| format!(" (one of them: {})", it.seen));
    let seen =
        format!("{found} routers answered, and none but the first can be one of this route{why}");
    Problem::new(ErrorCode::NoSecondRouter, seen)
}

#[cfg(test)]
pub(super) mod tests;
