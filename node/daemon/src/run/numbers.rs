//! Numbers for a monitor that must be asked for: of the overlay, the money, the disk.
//!
//! A scrape must not wait for them, so they are looked up aside, again and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use warren_payments::channel::Phase;

use super::Node;
use crate::metrics::Metric;

/// Between two looks: shorter than any monitor's.
const EVERY: Duration = Duration::from_secs(5);

impl Node {
    /// Keeps the numbers until the node ends.
    pub(super) async fn tell_numbers(self: Arc<Self>) {
        let mut ending = self.ending.subscribe();
        let mut looks = interval(EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ending.wait_for(|it| *it) => return,
                _ = looks.tick() => {}
            }
            self.tell_of_overlay().await;
            self.tell_of_money().await;
        }
    }

    async fn tell_of_overlay(&self) {
        let Ok(stats) = self.overlay.stats().await else {
            return;
        };
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
        self.metrics.set_overlay(stats.counters);
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
