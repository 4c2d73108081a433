//! Which exit first, and why.
//!
//! Sans-IO.
//!
//! A score is a sum of penalty points, each with its reason; the lowest sum is first. Nothing enters
//! it but what this node saw or measured itself: the signed price, its own round trips, the ways the
//! offer was heard by, and the free places. Who asks for another order gets it, and the score decides
//! between equals. Equal scores are in the order of the nodes' ids.

use std::time::Duration;

use warren_proto::{
    Amount, ChainRef, CountryCode, MIB_PER_MINUTE, NodeId, Price, SignedOffer, UnixTime,
};

use super::index::{Heard, OfferIndex};

// Our choice. One point is about one millisecond of round trip.
/// Points per doubling of the price: an exit at twice the price is worth it if it is 100 ms nearer. Nothing is
/// measured by the dearest or the cheapest in view: whoever names a price must not move the others.
const PRICE_PER_DOUBLING: u32 = 200;
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
    /// Paid on this chain.
    pub chain: Option<ChainRef>,
    /// Also exits that ask nothing, on whatever chain: whoever pays nothing needs none in common with them. Not for
    /// whoever looks for somebody to pay.
    pub free_too: bool,
    /// With an exit policy of this name.
    pub policy: Option<String>,
    /// Also exits that would take nobody: without a free place, or asking for more ahead than any consumer
    /// pays ([`asks_too_much_ahead`]).
    pub full_too: bool,
    /// Which comes first.
    pub order: OfferOrder,
}

/// One part of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreReason {
    /// What it asks: so much for each doubling.
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
    /// DHT and gossip do not both speak of it: one does, or neither, and it is known from a peer's snapshot alone.
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
    let mut ranked: Vec<RankedOffer> = index
        .living(now)
        .filter(|(it, _)| query.wants(it))
        .map(|(offer, heard)| judge(offer, heard, round_trip(&offer.offer().node), now))
        .collect();
    ranked.sort_by_key(|it| {
        let first = match query.order {
            OfferOrder::Points => 0,
            OfferOrder::Price => worth(&it.offer),
            OfferOrder::RoundTrip => it.rtt.map_or(u128::MAX, |rtt| rtt.as_nanos()),
        };
        (first, it.points, it.offer.offer().node)
    });
    ranked
}

impl OfferQuery {
    /// Says whether an offer is what is asked for. A withdrawal never is.
    #[must_use]
    pub fn wants(&self, offer: &SignedOffer) -> bool {
        let it = offer.offer();
        let place = self.countries.is_empty() || self.countries.contains(&it.region.country);
        let node = self.nodes.is_empty() || self.nodes.contains(&it.node);
        let price = self.max_per_mib.is_none_or(|max| it.price.per_mib <= max);
        let is_free = self.free_too && it.price == Price::default();
        let chain = is_free || self.chain.as_ref().is_none_or(|chain| *chain == it.chain);
        let policy = self
            .policy
            .as_ref()
            .is_none_or(|name| *name == it.policy.name);
        let usable = it.capacity.guests_free > 0 && !asks_too_much_ahead(offer);
        !it.is_withdrawal()
            && place
            && node
            && price
            && chain
            && policy
            && (self.full_too || usable)
    }
}

/// Price of a MiB with its share of a minute, so that both ways of asking compare.
fn worth(offer: &SignedOffer) -> u128 {
    let price = &offer.offer().price;
    let minute = price.per_minute.wei() / u128::from(MIB_PER_MINUTE);
    price.per_mib.wei().saturating_add(minute)
}

/// Whether the words to pay ahead are worth more than [`warren_proto::MAX_MIB_AHEAD`] MiB of its own price: a
/// low price would win the ranking, and the first word would take all that a consumer allows.
#[must_use]
pub fn asks_too_much_ahead(offer: &SignedOffer) -> bool {
    let it = offer.offer();
    !it.price.allows_ahead(it.prepay_units, it.unit_price)
}

fn judge(offer: &SignedOffer, heard: Heard, rtt: Option<Duration>, now: UnixTime) -> RankedOffer {
    let lately = |at: Option<UnixTime>| at.is_some_and(|at| now.since(at) <= HEARD_WITHIN);
    let (by_dht, by_gossip) = (lately(heard.dht), lately(heard.gossip));
    let worth = worth(offer);
    let mut reasons = vec![ScoreReason::Price {
        points: price_points(worth),
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
    if !(by_dht && by_gossip) {
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

/// [`PRICE_PER_DOUBLING`] for each bit of the price, and its part for a part of one; none for what is free.
fn price_points(worth: u128) -> u32 {
    /// Bits of a logarithm behind the point.
    const PARTS: u32 = 8;
    /// Bits of a mantissa behind the point; its square has room in 128.
    const POINT: u32 = 32;
    let worth = worth.saturating_add(1);
    let whole = worth.ilog2();
    let mut mantissa = if whole >= POINT {
        worth >> (whole - POINT)
    } else {
        worth << (POINT - whole)
    };
    let mut log = whole;
    for _ in 0..PARTS {
        mantissa = (mantissa * mantissa) >> POINT;
        let bit = u32::from(mantissa >> POINT >= 2);
        mantissa >>= bit;
        log = log << 1 | bit;
    }
    (log * PRICE_PER_DOUBLING) >> PARTS
}

fn points(value: u128, most: u128) -> u32 {
    u32::try_from(value.min(most)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
