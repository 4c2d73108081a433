//! What a lock costs, on the real contract: within what the user allows, however few words it has.

#![allow(clippy::unwrap_used, reason = "tests")]

use warren_proto::RouterHint;

use super::*;
use crate::perform::second::tests::{router, terms};
use crate::perform::tests::{Pair, purse_of, units};

/// A twentieth.
const ALLOWED_PPM: u32 = 50_000;

/// Of the words of a lock, by a router that asks so much for holding one.
async fn locked(capacity_log2: u32, hold_fee: u64) -> Result<LockMade, Problem> {
    let pair = Pair::new().await;
    let now = pair.chain.tip().timestamp;
    let (purse, _disk) = purse_of(&pair.router);
    let hint = RouterHint {
        capacity_log2,
        hold_fee: units(hold_fee),
        fee_ppm: 0,
        ..router(4)
    };
    let terms = SessionTerms {
        unit_price: units(1),
        ..terms()
    };
    let way = Way {
        channel: pair.channel,
        router: hint.node,
        hint,
        second: None,
        unit_price: units(1),
    };
    let how = (&Routes::none().0, ALLOWED_PPM);
    let locked = lock(&purse, how, &way, &terms, now).await;
    Ok(locked?.made)
}

#[tokio::test]
async fn a_hold_fee_that_is_a_twentieth_of_a_lock_is_none_of_a_smaller_one() {
    // The channel covers 1000 words: half of the most that a lock has, or as many as the router holds.
    for (capacity_log2, hold_fee, count) in [(60, 25, 512), (0, 3, 64)] {
        let made = locked(capacity_log2, hold_fee).await.unwrap();
        assert_eq!((made.units, made.hold_fee), (count, units(hold_fee)));
    }
    for (capacity_log2, hold_fee) in [(60, 51), (60, 26), (0, 51), (0, 4)] {
        let refused = locked(capacity_log2, hold_fee).await.unwrap_err();
        assert!(refused.is(ErrorCode::RouteTooDear), "{hold_fee}: {refused}");
    }
}
