//! Terms of routers: what this node says of itself, and what is believed of others.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use warren_payments::channel::Phase;
use warren_payments::channel::router::rules;
use warren_payments::{ChannelView, Role};
use warren_proto::{Amount, ChannelId, NodeId, RouterHint, SignedRouterHint, UnixTime};

use super::Own;
use crate::error::{ErrorCode, Problem};

// Specification: docs/payments.md, "Times" (R1, R2).
const HOP_GAP_SECS: u32 = 3600;
/// Outlasts every lock of a route (R2).
pub(crate) const CLOSE_WINDOW_SECS: u32 = 86_400;

// Our choices.
/// A hint is signed anew when it is so old.
const RENEW: Duration = Duration::from_secs(600);
const LIFE: Duration = Duration::from_secs(3600);
/// Routers of the DHT that are asked for their terms; anybody may say there that it is one.
const ASKED: usize = 16;
const ASKED_AT_ONCE: usize = 8;
/// For all of them to answer; whoever is slower is not waited for.
const ASKING: Duration = Duration::from_secs(20);
/// What was found so long ago is good for another choice.
const LATELY: Duration = Duration::from_secs(60);

impl Own {
    /// This node's terms as a router; `None` if it does not route.
    pub(super) async fn terms(&self) -> Option<SignedRouterHint> {
        if !self.router.enabled {
            return None;
        }
        let now = self.clock.now();
        if let Some(hint) = &self.book().own_hint
            && now.since(hint.hint().issued) < RENEW
        {
            return Some(hint.clone());
        }
        let channels = self.payments().channels().await.ok()?;
        let hint = RouterHint {
            node: self.key.id(),
            seq: now.as_millis(),
            issued: now,
            valid_until: now.plus(LIFE),
            chain: self.payments().chain_ref(),
            payee: self.payments().account(),
            capacity_log2: capacity_log2(&channels, |it| self.is_onward(it), self.router.budget),
            fee_ppm: self.router.policy.fee_ppm,
            hold_fee: self.router.policy.hold_fee,
            hop_gap_secs: HOP_GAP_SECS,
            close_window_secs: CLOSE_WINDOW_SECS,
        };
        let signed = hint.sign(&self.key).ok()?;
        self.book().own_hint = Some(signed.clone());
        Some(signed)
    }
}

impl Own {
    /// Routers of this node's chain that the DHT knows of and that say their terms, the cheapest first.
    pub(super) async fn found(self: &Arc<Self>) -> Result<Vec<SignedRouterHint>, Problem> {
        let failed = |error| Problem::new(ErrorCode::OverlayFailed, error);
        let known = self.overlay.routers().await.map_err(failed)?;
        let chain = self.payments().chain_ref();
        let asked = known.into_iter().take(ASKED).map(|node| {
            let own = Arc::clone(self);
            async move { own.terms_of(node).await }
        });
        let asked: Vec<_> = futures::stream::iter(asked)
            .buffer_unordered(ASKED_AT_ONCE)
            .take_until(tokio::time::sleep(ASKING))
            .collect()
            .await;
        let mut found: Vec<_> = asked.into_iter().filter_map(Result::ok).collect();
        found.retain(|it| it.hint().chain == chain);
        found.sort_by_key(|it| {
            let it = it.hint();
            (it.fee_ppm, it.hold_fee, Reverse(it.capacity_log2), it.node)
        });
        self.book().found = Some((self.clock.now(), found.clone()));
        Ok(found)
    }

    /// What was found within the last minute, or what is found now.
    pub(super) async fn found_lately(self: &Arc<Self>) -> Result<Vec<SignedRouterHint>, Problem> {
        let (now, lately) = (self.clock.now(), self.book().found.clone());
        let fresh = lately.filter(|(at, it)| !it.is_empty() && now.since(*at) < LATELY);
        match fresh {
            Some((_, found)) => Ok(found),
            None => self.found().await,
        }
    }
}

/// What is left in channels onward or may lie in them in all, whichever is more, as a power of two.
fn capacity_log2(
    channels: &[ChannelView],
    is_onward: impl Fn(ChannelId) -> bool,
    budget: Amount,
) -> u32 {
    let onward = channels
        .iter()
        .filter(|it| it.role == Role::Payer && it.phase == Phase::Open && it.usable)
        .filter(|it| is_onward(it.id));
    let left = onward.fold(Amount::ZERO, |sum, it| {
        let left = it.deposit.saturating_sub(it.value);
        sum.checked_add(left).unwrap_or(Amount::MAX)
    });
    left.max(budget).wei().checked_ilog2().unwrap_or(0)
}

/// Terms that a node said, with its own signature and of this time; `None` if it does not route.
pub(super) fn checked(
    bytes: Option<&[u8]>,
    node: NodeId,
    now: UnixTime,
) -> Result<Option<SignedRouterHint>, Problem> {
    let Some(bytes) = bytes else {
        return Ok(None);
    };
    let hint = SignedRouterHint::decode(bytes, now)
        .map_err(|error| Problem::new(ErrorCode::RouterLies, error))?;
    if hint.hint().node != node {
        let (said, node) = (hint.hint().node.short(), node.short());
        let seen = format!("{node} shows the terms of {said}");
        return Err(Problem::new(ErrorCode::RouterLies, seen));
    }
    Ok(Some(hint))
}

/// What one lock through a router, or two, costs, if their terms are within what this node allows.
///
/// `lock`: what a word is worth at the exit, and how many there are. Answers the price of a word here.
///
/// # Errors
/// [`Problem`] if one routes on another chain, or both ask more than `max_ppm` millionths, hold fee included.
pub(crate) fn believe(
    (first, second): (&RouterHint, Option<&RouterHint>),
    chain: warren_proto::ChainRef,
    (exit_price, units): (Amount, u32),
    max_ppm: u32,
) -> Result<Amount, Problem> {
    let mut routers = [first].into_iter().chain(second);
    if let Some(it) = routers.find(|it| it.chain != chain) {
        let seen = format!("{} routes on another chain", it.node.short());
        return Err(Problem::new(ErrorCode::RouterUnusable, seen));
    }
    let worth = exit_price.wei().saturating_mul(units.into());
    let most = worth.saturating_mul(max_ppm.into()).div_ceil(1_000_000);
    let onward = second.map_or(exit_price, |it| rules::with_fee(exit_price, it.fee_ppm));
    let price = rules::with_fee(onward, first.fee_ppm);
    let fee = price.saturating_sub(exit_price).wei();
    let asked = fee
        .saturating_mul(units.into())
        .saturating_add(first.hold_fee.wei());
    let ppm = first
        .fee_ppm
        .saturating_add(second.map_or(0, |it| it.fee_ppm));
    if ppm > max_ppm || asked > most {
        let beyond = second.map_or_else(String::new, |it| {
            format!(", {} beyond it {} ppm", it.node.short(), it.fee_ppm)
        });
        let all = asked.saturating_mul(1_000_000).div_ceil(worth.max(1));
        let seen = format!(
            "{} asks {} ppm and {} base units for holding a lock{beyond}; with prices of whole base units these come to \
             {all} ppm, and at most {max_ppm} ppm in all is allowed",
            first.node.short(),
            first.fee_ppm,
            first.hold_fee
        );
        return Err(Problem::new(ErrorCode::RouteTooDear, seen));
    }
    Ok(price)
}

pub(super) fn no_money() -> Problem {
    let seen = "routes need a wallet and a chain";
    Problem::new(ErrorCode::WalletMissing, seen)
}

#[cfg(test)]
mod tests;
