//! What a plan allows: where, for how much.

#![allow(clippy::unwrap_used, reason = "tests")]

use warren_overlay::offers::OfferQuery;
use warren_proto::{CountryCode, Price};

use super::*;
use crate::perform::RouteWish;
use crate::stand::{free_offer, key};

const NOON: UnixTime = UnixTime::from_secs(1_800_000_000);

fn wei(n: u64) -> Amount {
    Amount::from_wei_u64(n)
}

fn plan(fallback: Fallback, max_spend: Option<Amount>) -> Plan {
    let wanted = Wanted {
        query: OfferQuery::default(),
        exit: None,
        max_spend,
        deposit: wei(100),
        fallback,
        search: Duration::from_secs(30),
        dns: vec![],
        kill_switch: true,
        route: RouteWish::Auto,
        max_route_fee_ppm: 0,
    };
    let (progress, _events) = mpsc::channel(1);
    Plan::new(wanted, progress, NOON, false)
}

#[test]
fn the_next_exit_is_looked_for_where_the_user_said() {
    let lost = free_offer(1, NOON).sign(&key(1)).unwrap();
    let here = lost.offer().region.country;
    let elsewhere: CountryCode = "XX".parse().unwrap();
    for (fallback, wanted) in [
        (Fallback::Country, vec![here]),
        (Fallback::Any, vec![]),
        (Fallback::None, vec![elsewhere]),
    ] {
        let mut plan = plan(fallback, None);
        plan.wanted.query.countries = vec![elsewhere];
        plan.falls_back(&lost);
        assert_eq!(plan.wanted.query.countries, wanted, "{fallback:?}");
    }
}

#[test]
fn all_sessions_of_one_up_share_one_cap() {
    let mut plan = plan(Fallback::Any, Some(wei(100)));
    assert_eq!(plan.may_spend(), Some(wei(100)));
    plan.spent = wei(70);
    assert_eq!(plan.may_spend(), Some(wei(30)));
    plan.spent = wei(101);
    assert_eq!(plan.may_spend(), Some(Amount::ZERO));
    plan.wanted.max_spend = None;
    assert_eq!(plan.may_spend(), None);
}

#[test]
fn an_exit_that_is_dear_by_the_minute_does_not_pass_for_a_cheap_one() {
    let ranked = |per_mib, per_minute| {
        let mut offer = free_offer(1, NOON);
        offer.price = Price {
            per_mib: wei(per_mib),
            per_minute: wei(per_minute),
        };
        // As the ranking reckons it: a minute is some 36 MiB.
        let worth = wei(per_mib + per_minute / 36);
        RankedOffer {
            offer: offer.sign(&key(1)).unwrap(),
            rtt: None,
            by_dht: true,
            by_gossip: true,
            by_snapshot: false,
            points: 0,
            score_reasons: vec![ScoreReason::Price {
                points: 0,
                per_mib: worth,
            }],
        }
    };
    let is_within = |max: Option<u64>, offer| super::is_within(max.map(wei), &offer);
    assert!(is_within(Some(10), ranked(10, 0)));
    assert!(!is_within(Some(10), ranked(11, 0)));
    assert!(is_within(None, ranked(11, 1_000_000)));
    assert!(!is_within(Some(10), ranked(0, 1_000_000)));
}
