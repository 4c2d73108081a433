//! The neighbourhood in numbers, and whether the ways to offers agree.

use std::time::Duration;

use tokio::time::timeout;
use warren_overlay::offers::OfferQuery;

use super::{Node, ways};
use crate::api::types::{Check, CheckVerdict, NetStats, OfferWays};
use crate::error::{ErrorCode, Problem};

// Our choice.
/// For the DHT to tell of its offers: a little longer than a search lives, so that one which nobody answers counts.
const ASKING: Duration = Duration::from_secs(20);

impl Node {
    /// All offers known, also of exits that are full.
    async fn ways(&self) -> Result<OfferWays, Problem> {
        let failed = |error| Problem::new(ErrorCode::OverlayFailed, error);
        let known = self.overlay.offers(every()).await.map_err(failed)?;
        Ok(ways::count(&known))
    }

    pub(super) async fn stats_view(&self) -> Result<NetStats, Problem> {
        let failed = |error| Problem::new(ErrorCode::OverlayFailed, error);
        let stats = self.overlay.stats().await.map_err(failed)?;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(NetStats {
            peers: count(stats.peers),
            routing_table: count(stats.routing_table),
            mesh: count(stats.mesh),
            offers: count(stats.offers),
            held: count(stats.held),
            questions: count(stats.questions),
            ways: self.ways().await?,
            counted: stats.counters,
        })
    }

    /// Asks the DHT anew: what it told an hour ago says nothing of who answers now.
    pub(super) async fn ways_checked(&self) -> Check {
        let asked = timeout(ASKING, self.overlay.refresh(every())).await;
        let asked = matches!(asked, Ok(Ok(_)));
        let up = self.clock.now().since(self.started);
        match self.ways().await {
            Ok(it) => match ways::disagreement(it, asked, up) {
                Some(problem) => Check::not_fine("offers", CheckVerdict::Warn, problem),
                None => Check::pass("offers", it),
            },
            Err(problem) => Check::not_fine("offers", CheckVerdict::Warn, problem),
        }
    }
}

fn every() -> OfferQuery {
    OfferQuery {
        full_too: true,
        ..OfferQuery::default()
    }
}
