//! Whether a router takes a lock: everything is checked before anything is held.
//!
//! Sans-IO.

use warren_proto::{Amount, Hop, Lock, LockOffer, LockReject, UnixTime};

use super::{RouteEffect, RoutedPayment, RouterRules, Stage, Step};
use crate::channel::router::rules::RouteRefusal;
use crate::channel::{PayeeChannel, PayerChannel};

/// What a router knows when it is asked to lock onward.
#[derive(Debug, Clone, Copy)]
pub struct Admission<'a> {
    /// What it is asked; the voucher's signature is verified.
    pub offer: &'a LockOffer,
    /// The channel the offer came on.
    pub up: &'a PayeeChannel,
    /// The channel to the next hop.
    pub down: &'a PayerChannel,
    /// Locks of the same neighbour that are not settled, and what they come to.
    pub in_flight: (usize, Amount),
    /// What a claim of this lock costs in tokens.
    pub claim_cost: Amount,
}

/// A payment that may be routed, or why not. Nothing is held yet: the upstream voucher and this record
/// go to the disk together, and only then is anything signed downstream (P5).
///
/// # Errors
/// [`RouteRefusal`], by the first rule that it breaks.
pub fn admit(it: &Admission<'_>, rules: &RouterRules, now: UnixTime) -> Result<Step, RouteRefusal> {
    let offer = it.offer;
    let lock = weigh(offer, it.up, (it.in_flight, it.claim_cost), rules, now)?;
    let (room, places) = it.down.lockable();
    if places == 0 {
        return Err(RouteRefusal::Slots);
    }
    rules.value_fits(Amount::ZERO, worth(&lock)?, room)?;
    let onward = offer.onward.get(1..).unwrap_or_default();
    let payment = RoutedPayment {
        payment: offer.payment,
        up: it.up.terms().id,
        down: it.down.terms().id,
        up_lock: offer.lock,
        down_lock: lock,
        offered_at: now,
        stage: Stage::InDurable,
        best: None,
    };
    let effect = RouteEffect::LockOnward {
        lock,
        onward: onward.to_vec(),
        sealed: offer.sealed,
    };
    Ok(Step::to(payment).saved().then(effect))
}

/// The lock to be given for an offer, as far as that does not depend on the channel onward: nothing is spent on a
/// way for what would be refused at its end. Beside the offer: the neighbour's locks that are
/// not settled, and what a claim costs.
///
/// # Errors
/// [`RouteRefusal`], by the first rule that it breaks.
pub fn weigh(
    offer: &LockOffer,
    up: &PayeeChannel,
    ((taken, in_flight), claim_cost): ((usize, Amount), Amount),
    rules: &RouterRules,
    now: UnixTime,
) -> Result<Lock, RouteRefusal> {
    let hop = offer.onward.first().ok_or(RouteRefusal::NoHop)?;
    let lock = onward_lock(&offer.lock, hop);
    rules.r1_hop_gap(offer.lock.expiry, lock.expiry)?;
    rules.r2_close_window(lock.expiry, now, up.terms().params.period_secs)?;
    rules.fee_is_paid(offer.lock.unit_price, lock.unit_price)?;
    rules.hold_fee_is_paid(up.gain(&offer.voucher, now))?;
    rules.slot_is_free(taken)?;
    rules.value_fits(in_flight, worth(&offer.lock)?, Amount::MAX)?;
    rules.tranche_is_worth_it(worth(&lock)?, claim_cost)?;
    Ok(lock)
}

/// The answer to an offer that was not taken. It says no sum: what a router could still lock is nobody's business.
#[must_use]
pub fn rejection(offer: &LockOffer, refusal: &RouteRefusal) -> LockReject {
    let said = LockReject::of(offer.payment, refusal.code(), false);
    match refusal {
        RouteRefusal::HopGap { min_expiry } => LockReject {
            min_expiry: *min_expiry,
            ..said
        },
        RouteRefusal::NoHop
        | RouteRefusal::Known
        | RouteRefusal::Endless
        | RouteRefusal::CloseWindow
        | RouteRefusal::Fee { .. }
        | RouteRefusal::HoldFee { .. }
        | RouteRefusal::Slots
        | RouteRefusal::Value { .. }
        | RouteRefusal::Tranche { .. } => said,
    }
}

const fn onward_lock(lock: &Lock, hop: &Hop) -> Lock {
    Lock {
        anchor: lock.anchor,
        unit_price: hop.unit_price,
        units: lock.units,
        expiry: hop.expiry,
    }
}

/// What a lock can come to.
fn worth(lock: &Lock) -> Result<Amount, RouteRefusal> {
    let most = Amount::MAX;
    lock.unit_price
        .checked_mul(u64::from(lock.units))
        .map_err(|_| RouteRefusal::Value { most })
}
