//! One claim for a payee that is away: asked for what it would bring, then made.

use warren_proto::{Amount, UnixTime};

use super::event::Job;
use crate::chain::{Chain, ChannelStatus};
use crate::handle::{Payments, PaymentsError};

/// What became of a claim.
pub(super) enum Outcome {
    /// It brought the payee so much; `None` where the endpoints did not agree on what was claimed before.
    Paid(Option<Amount>),
    /// There is nothing in it worth the gas.
    Idle,
    /// It was sent and undone, and its gas is spent; it may succeed later.
    Undone(String),
    /// It may succeed later, and nothing is spent.
    Failed(String),
}

/// Asks the chain what a claim would bring, and makes it if that is something.
pub(super) async fn claim(
    chain: &dyn Chain,
    payments: &Payments,
    job: &Job,
    min_gain: Amount,
) -> Outcome {
    let state = match chain.channel(job.channel).await {
        Ok(Some(state)) if state.status == ChannelStatus::Open => Some(state),
        Ok(_) => return Outcome::Idle,
        // It could be too late once they agree. The gas is asked for first, and one that brings nothing has none.
        Err(error) if error.is_unagreed() => None,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let known = state.as_ref();
    let gain = known.map(|it| job.value.min(it.deposit).saturating_sub(it.claimed));
    let most = gain.unwrap_or(job.value);
    if most == Amount::ZERO || most < min_gain {
        return Outcome::Idle;
    }
    let locks = &job.claim.voucher.locks;
    let shown = job.claim.reveals.iter();
    let shown = shown.filter_map(|it| locks.get(usize::from(it.index)));
    let expiries = shown.map(|it| it.expiry).filter(|it| *it > 0);
    let first = expiries
        .map(UnixTime::from_secs)
        .chain(known.and_then(|it| it.closes_at))
        .min();
    match payments.claim_for(job.claim.clone(), first).await {
        Ok(_) => Outcome::Paid(gain),
        Err(error @ PaymentsError::Undone { .. }) => Outcome::Undone(error.to_string()),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}
