//! What is looked at before a wish is begun: money and chain, so that a hopeless `up` changes nothing.

use std::sync::atomic::Ordering;
use std::time::Duration;

use warren_overlay::offers::OfferQuery;
use warren_payments::chain::{Chain, ChainError, Head};
use warren_payments::{ChannelView, Phase, Role};
use warren_proto::Price;

use super::Node;
use crate::api::types::{ChainView, Timestamp};
use crate::consumer::Wanted;
use crate::error::{ErrorCode, Problem};
use crate::perform::{covers, problem};

/// How long a person who asks for the status waits for the chain.
const PATIENCE: Duration = Duration::from_secs(1);

impl Node {
    /// Whether any known exit could be paid. An exit that is not known yet is not judged.
    pub(super) async fn can_pay(&self, wanted: &Wanted) -> Result<(), Problem> {
        if !self.all_want_money(wanted.query.clone()).await {
            return Ok(());
        }
        let payments = self.purse()?.payments();
        let held = payments.channels().await.map_err(|it| problem(&it))?;
        let is_usable = |it: &ChannelView| {
            it.role == Role::Payer
                && matches!(it.phase, Phase::Open | Phase::Opening)
                && it.deposit > it.value
        };
        if held.iter().any(is_usable) {
            return Ok(()); // Maybe with this very exit: then there is nothing to deposit.
        }
        let funds = payments.balances().await.map_err(|it| problem(&it))?;
        covers(&funds, wanted.deposit, |have| {
            let (deposit, have) = (self.money(wanted.deposit), self.money(have));
            format!("a channel is opened with {deposit}; the wallet has {have}")
        })
    }

    async fn all_want_money(&self, query: OfferQuery) -> bool {
        let known = self.overlay.offers(query).await.unwrap_or_default();
        let is_free = |price: Price| price == Price::default();
        !known.is_empty() && !known.iter().any(|it| is_free(it.offer.offer().price))
    }

    /// The chain as it answers now, and what is wrong with it; it holds nobody up.
    pub(super) async fn chain_view(&self) -> (Option<ChainView>, Option<Problem>) {
        let Some(chain) = &self.chain else {
            return (None, None);
        };
        let looked = tokio::time::timeout(PATIENCE, self.look_at(chain.as_ref())).await;
        let secs = PATIENCE.as_secs();
        let looked = looked.unwrap_or_else(|_| {
            let seen = format!("no answer within {secs} s");
            Err(Problem::new(ErrorCode::ChainUnreachable, seen))
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
        };
        (Some(view), looked.err())
    }

    /// A chain that was away may come back as another one: it is looked at anew.
    async fn look_at(&self, chain: &dyn Chain) -> Result<Head, Problem> {
        if !self.chain_known.load(Ordering::Relaxed) {
            chain.verify_contract().await.map_err(|it| of_chain(&it))?;
            self.chain_known.store(true, Ordering::Relaxed);
        }
        chain.head().await.map_err(|it| of_chain(&it))
    }
}

/// A chain that does not answer, or answers as another one.
pub(super) fn of_chain(error: &ChainError) -> Problem {
    match error {
        ChainError::Mismatch { what, .. } => {
            let key = match *what {
                "chain id" => "chain.chain_id",
                "token" => "chain.token",
                _ => "chain.contract",
            };
            Problem::new(ErrorCode::WrongChain, error)
                .with_next(format_args!("warren config explain {key}"))
        }
        ChainError::BadUrl { .. } => Problem::new(ErrorCode::ConfigBadValue, error)
            .with_next("warren config explain chain.rpc_url"),
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
