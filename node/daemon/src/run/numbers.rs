//! Numbers for a monitor that must be asked for: of the overlay, the money, the disk.
//!
//! A scrape must not wait for them, so they are looked up aside, again and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use warren_payments::channel::Phase;
use warren_proto::Amount;

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
        let refused = stats.counters.get("offer.refused").copied();
        self.metrics.set(Metric::Peers, count(stats.peers));
        self.metrics.set(Metric::Offers, count(stats.offers));
        let refused = refused.unwrap_or(0);
        self.metrics.set(Metric::OffersRefused, refused);
    }

    /// Nothing to tell without a wallet.
    async fn tell_of_money(&self) {
        let (Ok(held), Ok(books)) = (self.held().await, self.books().await) else {
            return;
        };
        let sum = books.total();
        let units = |it: Amount| u64::try_from(it.wei()).unwrap_or(u64::MAX);
        let open = held.iter().filter(|it| it.phase == Phase::Open).count();
        for (metric, value) in [
            (Metric::Paid, units(sum.paid)),
            (Metric::Earned, units(sum.earned)),
            (Metric::Claimable, units(sum.claimable())),
            (
                Metric::ChannelsOpen,
                u64::try_from(open).unwrap_or(u64::MAX),
            ),
        ] {
            self.metrics.set(metric, value);
        }
    }
}
