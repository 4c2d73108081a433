//! Numbers for a monitor that must be asked for: of the overlay, the money, the disk.
//!
//! A scrape must not wait for them, so they are looked up aside, again and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use warren_overlay::OverlayStats;
use warren_payments::channel::Phase;

use super::Node;
use crate::error::Problem;
use crate::events::News;
use crate::metrics::Metric;

/// Between two looks: shorter than any monitor's.
const EVERY: Duration = Duration::from_secs(5);

impl Node {
    /// Keeps the numbers until the node ends.
    pub(super) async fn tell_numbers(self: Arc<Self>) {
        let mut ending = self.ending.subscribe();
        let mut looks = interval(EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known = Vec::new();
        loop {
            tokio::select! {
                _ = ending.wait_for(|it| *it) => return,
                _ = looks.tick() => {}
            }
            if let Ok(stats) = self.overlay.stats().await {
                self.tell_of_overlay(&stats);
                for problem in news_among(self.troubles(&stats), &mut known) {
                    self.events.tell(News::warning(&problem));
                }
            }
            self.tell_of_money().await;
        }
    }

    fn tell_of_overlay(&self, stats: &OverlayStats) {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        for (metric, n) in [
            (Metric::RoutingTable, stats.routing_table),
            (Metric::GossipMesh, stats.mesh),
            (Metric::RecordsHeld, stats.held),
        ] {
            self.metrics.set(metric, count(n));
        }
        let refused = stats.counters.get("offer.refused").copied();
        self.metrics.set(Metric::Peers, count(stats.peers));
        self.metrics.set(Metric::Offers, count(stats.offers));
        let refused = refused.unwrap_or(0);
        self.metrics.set(Metric::OffersRefused, refused);
        self.metrics.set_overlay(stats.counters.clone());
    }

    /// Nothing to tell without a wallet.
    async fn tell_of_money(&self) {
        let (Ok(held), Ok(books)) = (self.held().await, self.books().await) else {
            return;
        };
        let sum = books.total();
        let open = held.iter().filter(|it| it.phase == Phase::Open).count();
        let open = u64::try_from(open).unwrap_or(u64::MAX);
        self.metrics.set(Metric::ChannelsOpen, open);
        for (metric, sum) in [
            (Metric::Paid, sum.paid),
            (Metric::Earned, sum.earned),
            (Metric::Claimable, sum.claimable()),
        ] {
            self.metrics.set_sum(metric, sum.wei());
        }
    }
}

/// What was not wrong at the look before, by its code: its words may tell of seconds and bytes.
fn news_among(now: Vec<Problem>, known: &mut Vec<String>) -> Vec<Problem> {
    let codes = now.iter().map(|it| it.code.clone()).collect();
    let before = std::mem::replace(known, codes);
    let is_news = |it: &Problem| !before.contains(&it.code);
    now.into_iter().filter(is_news).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    #[test]
    fn what_goes_on_is_told_once_and_again_when_it_comes_back() {
        let behind = |secs: u32| Problem::new(ErrorCode::ClockSetBack, format!("by {secs} s"));
        let other = || Problem::new(ErrorCode::ClockBehind, "seen");
        let known = &mut Vec::new();
        assert_eq!(news_among(vec![behind(1)], known), [behind(1)]);
        assert_eq!(news_among(vec![behind(2), other()], known), [other()]);
        assert_eq!(news_among(vec![other()], known), []);
        assert_eq!(news_among(vec![behind(3), other()], known), [behind(3)]);
    }
}
