//! By which ways offers are known, and whether the ways disagree as they would around an eclipsed node.
//!
//! Sans-IO. Single offers differ all the time: one way is a renewal ahead, or an exit is new. That one way knows nothing
//! at all while the other knows many has few causes, and that peers show only what they like is one (ADR 0008).

use std::time::Duration;

use warren_overlay::offers::RankedOffer;

use crate::api::types::OfferWays;
use crate::error::{ErrorCode, Problem};

// Our choice.
/// So many offers by one way, and none by the other, are no chance.
const MANY: u32 = 8;
/// Gossip says an offer again each 20 minutes, a little sooner or later: before that a node need not have heard any.
const GOSSIP_ROUND: Duration = Duration::from_secs(30 * 60);

/// Counts what is known by which way.
pub(super) fn count(offers: &[RankedOffer]) -> OfferWays {
    let mut ways = OfferWays::default();
    for it in offers {
        let slot = match (it.by_dht, it.by_gossip) {
            (true, true) => &mut ways.both,
            (true, false) => &mut ways.dht,
            (false, true) => &mut ways.gossip,
            (false, false) => &mut ways.neither,
        };
        *slot = slot.saturating_add(1);
    }
    ways
}

/// What the ways say against each other, at a node that ran for `up` and has just asked the DHT if `asked`.
/// `None` if nothing, or if one of them could not know anything yet.
pub(super) fn disagreement(ways: OfferWays, asked: bool, up: Duration) -> Option<Problem> {
    let dht = ways.dht.saturating_add(ways.both);
    let gossip = ways.gossip.saturating_add(ways.both);
    let seen = if asked && dht == 0 && gossip >= MANY {
        format!("gossip tells of {gossip} offers; the DHT, asked just now, of none")
    } else if up >= GOSSIP_ROUND && gossip == 0 && dht >= MANY {
        let minutes = up.as_secs() / 60;
        format!("the DHT tells of {dht} offers; gossip, heard for {minutes} min, of none")
    } else {
        return None;
    };
    Some(Problem::new(ErrorCode::WaysDisagree, seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn ways(dht: u32, gossip: u32, both: u32) -> OfferWays {
        OfferWays {
            dht,
            gossip,
            both,
            neither: 3,
        }
    }

    #[test]
    fn one_way_that_knows_nothing_while_the_other_knows_many_is_said() {
        for (seen, silent) in [(ways(0, MANY, 0), "DHT"), (ways(MANY, 0, 0), "gossip")] {
            let problem = disagreement(seen, true, HOUR).expect("they disagree");
            assert!(problem.is(ErrorCode::WaysDisagree));
            let last = problem.seen.rsplit(';').next().unwrap_or_default();
            assert!(last.contains(silent) && last.ends_with("none"), "{last}");
        }
    }

    #[test]
    fn few_offers_or_one_known_by_both_say_nothing() {
        for fine in [
            ways(0, MANY - 1, 0),
            ways(MANY - 1, 0, 0),
            ways(0, 100, 1),
            ways(100, 0, 1),
            ways(0, 0, 0),
        ] {
            assert_eq!(disagreement(fine, true, HOUR), None);
        }
    }

    #[test]
    fn a_way_that_could_not_know_anything_yet_is_not_blamed() {
        assert_eq!(disagreement(ways(0, 100, 0), false, HOUR), None);
        let young = GOSSIP_ROUND - Duration::from_secs(1);
        assert_eq!(disagreement(ways(100, 0, 0), true, young), None);
    }
}
