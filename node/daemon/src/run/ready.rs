//! What is looked at before a wish is begun: money and chain, so that a hopeless `up` changes nothing.

use std::sync::atomic::Ordering;
use std::time::Duration;

use warren_overlay::offers::RankedOffer;
use warren_payments::chain::{Chain, ChainError, Endpoint, EndpointState, Endpoints, Head};
use warren_payments::{Phase, Role};
use warren_proto::{Amount, Price, RouterHint};

use super::Node;
use crate::api::types::{ChainView, EndpointStanding, EndpointView, Timestamp};
use crate::consumer::Wanted;
use crate::error::{ErrorCode, Problem};
use crate::perform::{
    RouteWish, Routers, covers, hear_chain, no_first, no_second, payees, problem,
};
use crate::route::Kind;

/// How long a person who asks for the status waits for the chain.
const PATIENCE: Duration = Duration::from_secs(1);

impl Node {
    /// Whether any known exit could be paid. An exit that is not known yet is not judged.
    pub(super) async fn can_pay(&self, wanted: &Wanted) -> Result<(), Problem> {
        let known = self.known_offers(wanted).await;
        if known.is_empty() || has_free(&known) {
            return Ok(());
        }
        let purse = self.purse()?;
        // A store that is new does not know yet which channels there are.
        hear_chain(purse).await?;
        if !payees(purse).await?.is_empty() {
            return Ok(()); // Maybe this very exit: then there is nothing to deposit.
        }
        let funds = purse.payments().balances().await;
        let funds = funds.map_err(|it| problem(&it))?;
        covers(&funds, wanted.deposit, |have| {
            let (deposit, have) = (self.money(wanted.deposit), self.money(have));
            format!("a channel is opened with {deposit}; the wallet has {have}")
        })
    }

    /// Whether two routers can be had, where two are wished for. Which two, the session's terms say.
    pub(super) async fn can_route(&self, wanted: &Wanted) -> Result<(), Problem> {
        if wanted.routers == Routers::One
            || wanted.route == RouteWish::Direct
            || has_free(&self.known_offers(wanted).await)
        {
            return Ok(());
        }
        let payments = self.purse()?.payments();
        let held = payments.channels().await.map_err(|it| problem(&it))?;
        let mut own = held.iter().filter(|it| it.role == Role::Payer);
        if own.all(|it| it.phase == Phase::Closed) {
            return Err(no_first());
        }
        let found = self.routes.found_lately().await?;
        let may_be_second =
            |it: &RouterHint| it.hold_fee == Amount::ZERO && !self.is_only_first(it);
        if found.iter().any(|it| may_be_second(it.hint())) {
            return Ok(());
        }
        Err(no_second(found.len(), None))
    }

    /// Whether all channels that are known to begin a route lead to this router.
    fn is_only_first(&self, it: &RouterHint) -> bool {
        let own = self.routes.neighbours().into_iter();
        let own = own.filter(|(_, known, _)| known.kind == Kind::Router);
        let firsts: Vec<_> = own.map(|(_, known, _)| known.node).collect();
        !firsts.is_empty() && firsts.iter().all(|first| *first == it.node)
    }

    async fn known_offers(&self, wanted: &Wanted) -> Vec<RankedOffer> {
        let known = self.overlay.offers(wanted.query.clone()).await;
        known.unwrap_or_default()
    }

    /// The chain as it answers now, and what is wrong with it; it holds nobody up.
    pub(super) async fn chain_view(&self) -> (Option<ChainView>, Option<Problem>) {
        let Some(chain) = &self.chain else {
            return (None, None);
        };
        let looked = tokio::time::timeout(PATIENCE, self.look_at(chain.as_ref())).await;
        let secs = PATIENCE.as_secs();
        let known = chain.endpoints();
        let looked = looked.unwrap_or_else(|_| {
            // Slow ones hold up a person no longer than this: what is known of them says enough.
            let up = known.as_ref().map_or(0, Endpoints::up);
            let code = match &known {
                Some(it) if up > 0 && up < it.must_agree => ErrorCode::ChainNoQuorum,
                Some(_) | None => ErrorCode::ChainUnreachable,
            };
            let of = known.as_ref().map_or(1, |it| it.each.len());
            let seen = format!("no answer within {secs} s; {up} of {of} chain endpoints are up");
            Err(Problem::new(code, seen))
        });
        if looked.is_err() {
            self.chain_known.store(false, Ordering::Relaxed);
        }
        let pins = chain.chain_ref();
        let head = looked.as_ref().ok().copied();
        let view = ChainView {
            chain_id: pins.chain_id,
            contract: pins.contract,
            head_block: head.map(|it| it.number),
            head_time: head.map(|it| Timestamp(it.timestamp)),
            fresh: head.is_some(),
            must_agree: known.as_ref().map_or(1, |it| count(it.must_agree)),
            endpoints: known.iter().flat_map(|it| &it.each).map(shown).collect(),
        };
        (Some(view), looked.err())
    }

    /// A chain that was away may come back as another one: it is looked at anew.
    async fn look_at(&self, chain: &dyn Chain) -> Result<Head, Problem> {
        if !self.chain_known.load(Ordering::Relaxed) {
            let decimals = self.config.token.decimals;
            fits(chain, decimals).await.map_err(|it| of_chain(&it))?;
            self.chain_known.store(true, Ordering::Relaxed);
        }
        chain.head().await.map_err(|it| of_chain(&it))
    }
}

fn has_free(known: &[RankedOffer]) -> bool {
    let mut prices = known.iter().map(|it| it.offer.offer().price);
    prices.any(|it| it == Price::default())
}

/// Whether this is the chain, contract and token that the configuration speaks of.
///
/// A wrong number of decimals would turn each price and each sum on the screen into another.
pub(super) async fn fits(chain: &dyn Chain, decimals: u8) -> Result<(), ChainError> {
    chain.verify_contract().await?;
    match chain.token_decimals().await? {
        Some(found) if found != decimals => Err(ChainError::Mismatch {
            what: "number of the token's decimals",
            expected: decimals.to_string(),
            found: found.to_string(),
        }),
        Some(_) | None => Ok(()),
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn shown(it: &Endpoint) -> EndpointView {
    EndpointView {
        url: it.name.clone(),
        state: match it.state {
            EndpointState::Unasked => EndpointStanding::Unasked,
            EndpointState::Up => EndpointStanding::Up,
            EndpointState::Down => EndpointStanding::Down,
            EndpointState::Wrong => EndpointStanding::Wrong,
        },
        latency_millis: it
            .latency
            .map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX)),
        head_block: it.head,
        lag_blocks: it.lag,
        asked: it.asked,
        errors: it.errors,
        overruled: it.overruled,
        resting: it.resting,
        trouble: it.trouble.clone(),
    }
}

/// A chain that does not answer, or answers as another one.
pub(super) fn of_chain(error: &ChainError) -> Problem {
    match error {
        ChainError::Mismatch { what, .. } => {
            let key = match *what {
                "chain id" => "chain.chain_id",
                "token" => "chain.token",
                "number of the token's decimals" => "chain.token_decimals",
                _ => "chain.contract",
            };
            Problem::new(ErrorCode::WrongChain, error)
                .with_next(format_args!("warren config explain {key}"))
        }
        ChainError::BadUrl { .. } => Problem::new(ErrorCode::ConfigBadValue, error)
            .with_next("warren config explain chain.rpc_url"),
        ChainError::NoQuorum { .. } => Problem::new(ErrorCode::ChainNoQuorum, error),
        ChainError::Disputed { .. } => Problem::new(ErrorCode::ChainDisputed, error),
        ChainError::Unreachable { .. }
        | ChainError::TimedOut { .. }
        | ChainError::Busy { .. }
        | ChainError::Nonsense { .. }
        | ChainError::Reverted(_)
        | ChainError::NonceTooLow
        | ChainError::Underpriced
        | ChainError::NoGasMoney
        | ChainError::Refused { .. } => Problem::new(ErrorCode::ChainUnreachable, error),
    }
}
