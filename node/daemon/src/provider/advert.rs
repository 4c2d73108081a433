//! What the market hears of this exit while it is on: how many places are free, and that it still is there.

use std::time::Duration;

use warren_overlay::offers::quota::{Allowance, Quota};
use warren_proto::{Offer, SignedOffer, UnixTime};

use super::{Exit, Shell};
use crate::metrics::Metric;

// Our choice.
/// How often the number of free places is said: half as often as others take changes of one node.
const SAYINGS: Allowance = Allowance {
    burst: 4,
    every: Duration::from_secs(30),
};

/// How often free places may still be said.
#[derive(Debug)]
pub(super) struct Places(Quota);

impl Places {
    /// Nothing was said yet but the first offer.
    pub(super) const fn new(now: UnixTime) -> Self {
        Self(Quota::full(SAYINGS, now))
    }

    /// Whether `free` of `most` are to be said now that `said` was said last: whenever the exit becomes
    /// full or is full no more, else when a quarter of all places has come or gone.
    fn due(&mut self, said: u32, free: u32, most: u32, now: UnixTime) -> bool {
        let turned = (free == 0) != (said == 0);
        let step = (most / 4).max(1);
        (turned || free.abs_diff(said) >= step) && self.0.take(SAYINGS, now)
    }
}

impl Shell {
    /// Says how many places are free, if that is news.
    pub(super) async fn say_places(&mut self) {
        let now = self.parts.clock.now();
        let Some(exit) = &mut self.exit else { return };
        let capacity = exit.offer.offer().capacity;
        let free = capacity.guests_max.saturating_sub(exit.admission.guests());
        let (said, most) = (capacity.guests_free, capacity.guests_max);
        if !exit.places.due(said, free, most, now) {
            return;
        }
        match self.parts.overlay.free_places(free).await {
            Ok(Some(offer)) => {
                self.parts.metrics.add(Metric::OffersPublished, 1);
                self.renewed(offer);
            }
            Ok(None) => self.advertise().await,
            Err(error) => tracing::warn!(%error, "free places are not said"),
        }
    }

    /// What is out now. Old news are passed over: what was published by hand may come before them.
    pub(super) fn renewed(&mut self, offer: SignedOffer) {
        if let Some(exit) = &mut self.exit
            && offer.offer().seq > exit.offer.offer().seq
            && !offer.offer().is_withdrawal()
        {
            exit.take(offer);
        }
    }

    /// Nothing is out though the exit is on: it is published anew.
    pub(super) async fn advertise(&mut self) {
        tracing::warn!("the exit is on and not advertised; it is published anew");
        self.publish(|_| ()).await;
    }

    /// Publishes this exit's offer with a change.
    pub(super) async fn publish(&mut self, change: impl FnOnce(&mut Offer)) {
        // What is dated ahead, strangers take for forged.
        let now = self.parts.clock.wall();
        let out = self.parts.overlay.own_offer().await.ok().flatten();
        let held = out.map_or(0, |it| it.offer().seq);
        let Some(exit) = &mut self.exit else { return };
        let mut offer = exit.offer.offer().clone();
        let life = offer.valid_until.since(offer.issued);
        offer.seq = offer.seq.max(held).saturating_add(1).max(now.as_millis());
        (offer.issued, offer.valid_until) = (now, now.plus(life));
        change(&mut offer);
        let published = match offer.sign(&self.parts.key) {
            Ok(offer) => {
                let sent = self.parts.overlay.publish_offer(offer.clone()).await;
                sent.map(|()| exit.take(offer)).map_err(|it| it.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match published {
            Ok(()) => self.parts.metrics.add(Metric::OffersPublished, 1),
            Err(error) => tracing::error!(error, "the exit's offer is not published"),
        }
    }
}

impl Exit {
    fn take(&mut self, offer: SignedOffer) {
        self.admission.offered(offer.clone());
        self.offer = offer;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixTime = UnixTime::from_secs(1_800_000_000);

    #[test]
    fn full_and_not_full_are_said_and_quarters_but_not_each_guest() {
        let mut places = Places::new(NOON);
        assert!(!places.due(16, 15, 16, NOON) && !places.due(16, 13, 16, NOON));
        assert!(places.due(16, 12, 16, NOON), "a quarter");
        assert!(places.due(3, 0, 16, NOON), "full");
        assert!(places.due(0, 1, 16, NOON), "full no more");
    }

    #[test]
    fn a_guest_that_comes_and_goes_is_said_at_a_bounded_rate() {
        let mut places = Places::new(NOON);
        let said = (0..3600_u64).filter(|secs| {
            let free = u32::from(secs % 2 == 0);
            places.due(1 - free, free, 1, NOON.plus(Duration::from_secs(*secs)))
        });
        assert_eq!(said.count(), 4 + 119);
    }
}
