//! Which exit first, and why.
//!
//! Sans-IO.
//!
//! A score is a sum of penalty points, each with its reason; the lowest sum is first. Nothing enters
//! it but what this node saw or measured itself: the signed price, its own round trips, the ways the
//! offer was heard by, and the free places. Who asks for another order gets it, and the score decides
//! between equals. Equal scores are in the order of the nodes' ids.

use std::time::Duration;

use warren_proto::{Amount, ChainRef, CountryCode, NodeId, SignedOffer, UnixTime};

use super::index::{Heard, OfferIndex};

// Our choice. One point is about one millisecond of round trip.
/// Points of the dearest offer in view; the others in proportion.
const PRICE_POINTS: u128 = 1000;
/// Points per millisecond of round trip, up to [`ROUND_TRIP_MAX`].
const ROUND_TRIP_PER_MS: u128 = 2;
const ROUND_TRIP_MAX: u128 = 1000;
/// Points of an exit that was not measured: as of one 200 ms away.
const ROUND_TRIP_UNKNOWN: u32 = 400;
/// Points of an exit that only the DHT or only gossip speaks of: part of the network may be hidden.
const ONE_WAY_ONLY: u32 = 50;
/// Points of an exit with one free place in eight or fewer.
const NEARLY_FULL: u32 = 100;
/// A way that has been silent for so long does not speak of the exit any more.
const HEARD_WITHIN: Duration = Duration::from_secs(3600);
/// The traffic the price of a minute is compared at: a film at 5 Mbit/s is some 36 MiB a minute.
const MIB_PER_MINUTE: u64 = 36;

/// Which exit comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OfferOrder {
    /// The fewest penalty points.
    #[default]
    Points,
    /// The cheapest: price of a MiB with its share of a minute.
    Price,
    /// The shortest round trip of our own; those not measured come last.
    RoundTrip,
}

/// What a consumer wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OfferQuery {
    /// In one of these countries; empty means anywhere.
    pub countries: Vec<CountryCode>,
    /// These exits only; empty means any.
    pub nodes: Vec<NodeId>,
    /// At most this price per MiB.
    pub max_per_mib: Option<Amount>,
    /// At most this price per minute.
    pub max_per_minute: Option<Amount>,
    /// Paid on this chain.
    pub chain: Option<ChainRef>,
    /// With an exit policy of this name.
    pub policy: Option<String>,
    /// Must reach the IPv6 internet.
    pub ipv6: bool,
    /// Also exits without a free place.
    pub full_too: bool,
    /// Which comes first.
    pub order: OfferOrder,
    /// At most so many; 0 means all.
    pub limit: usize,
}

/// One part of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreReason {
    /// What it asks, against the dearest in view.
    Price {
        /// Points.
        points: u32,
        /// Price of a MiB with its share of a minute.
        per_mib: Amount,
    },
    /// Our own round trip to it.
    RoundTrip {
        /// Points.
        points: u32,
        /// Milliseconds.
        millis: u64,
    },
    /// No round trip was measured.
    RoundTripUnknown {
        /// Points.
        points: u32,
    },
    /// Only one of DHT and gossip speaks of it.
    OneWayOnly {
        /// Points.
        points: u32,
    },
    /// Few places are free.
    NearlyFull {
        /// Points.
        points: u32,
        /// Free places.
        free: u32,
    },
}

impl ScoreReason {
    /// The points it adds.
    #[must_use]
    pub const fn points(&self) -> u32 {
        match *self {
            Self::Price { points, .. }
            | Self::RoundTrip { points, .. }
            | Self::RoundTripUnknown { points }
            | Self::OneWayOnly { points }
            | Self::NearlyFull { points, .. } => points,
        }
    }
}

/// An offer in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RankedOffer {
    /// The offer.
    pub offer: SignedOffer,
    /// Our round trip to the exit. `None` if it was not measured.
    pub rtt: Option<Duration>,
    /// Whether the DHT speaks of it.
    pub by_dht: bool,
    /// Whether gossip speaks of it.
    pub by_gossip: bool,
    /// Whether another node's snapshot speaks of it.
    pub by_snapshot: bool,
    /// The sum of all reasons; less is better.
    pub points: u32,
    /// Why it stands where it stands.
    pub score_reasons: Vec<ScoreReason>,
}

/// Ranks what the index knows and the query wants.
pub fn rank(
    index: &OfferIndex,
    query: &OfferQuery,
    round_trip: impl Fn(&NodeId) -> Option<Duration>,
    now: UnixTime,
) -> Vec<RankedOffer> {
    let wanted: Vec<_> = index
        .living(now)
        .filter(|(it, _)| query.wants(it))
        .collect();
    let dearest = wanted
        .iter()
        .map(|(it, _)| worth(it))
        .max()
        .unwrap_or(0)
        .max(1);
    let mut ranked: Vec<RankedOffer> = wanted
        .into_iter()
        .map(|(offer, heard)| judge(offer, heard, dearest, round_trip(&offer.offer().node), now))
        .collect();
    ranked.sort_by_key(|it| {
        let first = match query.order {
            OfferOrder::Points => 0,
            OfferOrder::Price => worth(&it.offer),
            OfferOrder::RoundTrip => it.rtt.map_or(u128::MAX, |rtt| rtt.as_nanos()),
        };
        (first, it.points, it.offer.offer().node)
    });
    if query.limit > 0 {
        ranked.truncate(query.limit);
    }
    ranked
}

impl OfferQuery {
    /// Says whether an offer is what is asked for. A withdrawal never is.
    #[must_use]
    pub fn wants(&self, offer: &SignedOffer) -> bool {
        let it = offer.offer();
        let place = self.countries.is_empty() || self.countries.contains(&it.region.country);
        let node = self.nodes.is_empty() || self.nodes.contains(&it.node);
        let price = self.max_per_mib.is_none_or(|max| it.price.per_mib <= max)
            && self
                .max_per_minute
                .is_none_or(|max| it.price.per_minute <= max);
        let chain = self.chain.as_ref().is_none_or(|chain| *chain == it.chain);
        let policy = self
            .policy
            .as_ref()
            .is_none_or(|name| *name == it.policy.name);
        let room = self.full_too || it.capacity.guests_free > 0;
        !it.is_withdrawal()
            && place
            && node
            && price
            && chain
            && policy
            && room
            && (it.ipv6 || !self.ipv6)
    }
}

/// Price of a MiB with its share of a minute, so that both ways of asking compare.
fn worth(offer: &SignedOffer) -> u128 {
    let price = &offer.offer().price;
    let minute = price.per_minute.wei() / u128::from(MIB_PER_MINUTE);
    price.per_mib.wei().saturating_add(minute)
}

fn judge(
    offer: &SignedOffer,
    heard: Heard,
    dearest: u128,
    rtt: Option<Duration>,
    now: UnixTime,
) -> RankedOffer {
    let lately = |at: Option<UnixTime>| at.is_some_and(|at| now.since(at) <= HEARD_WITHIN);
    let (by_dht, by_gossip) = (lately(heard.dht), lately(heard.gossip));
    let worth = worth(offer);
    let mut reasons = vec![ScoreReason::Price {
        points: points(worth.saturating_mul(PRICE_POINTS) / dearest, PRICE_POINTS),
        per_mib: Amount::from_wei(worth).unwrap_or(Amount::MAX),
    }];
    reasons.push(rtt.map_or(
        ScoreReason::RoundTripUnknown {
            points: ROUND_TRIP_UNKNOWN,
        },
        |rtt| {
            let millis = rtt.as_millis();
            let points = points(millis.saturating_mul(ROUND_TRIP_PER_MS), ROUND_TRIP_MAX);
            ScoreReason::RoundTrip {
                points,
                millis: u64::try_from(millis).unwrap_or(u64::MAX),
            }
        },
    ));
    if by_dht != by_gossip {
        reasons.push(ScoreReason::OneWayOnly {
            points: ONE_WAY_ONLY,
        });
    }
    let capacity = offer.offer().capacity;
    if u64::from(capacity.guests_free) * 8 <= u64::from(capacity.guests_max) {
        reasons.push(ScoreReason::NearlyFull {
            points: NEARLY_FULL,
            free: capacity.guests_free,
        });
    }
    RankedOffer {
        offer: offer.clone(),
        rtt,
        by_dht,
        by_gossip,
        by_snapshot: lately(heard.snapshot),
        points: reasons.iter().map(ScoreReason::points).sum(),
        score_reasons: reasons,
    }
}

fn points(value: u128, most: u128) -> u32 {
    u32::try_from(value.min(most)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
