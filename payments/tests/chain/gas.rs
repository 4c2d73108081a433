//! What each call costs, within bounds: a change of the contract that makes it dearer shows here.

use crate::bill::{LIMITS, bill};
use crate::world::World;

/// Gas used must lie at most this much above or below the figure, in percent.
const SLACK: u64 = 3;

/// What each call cost when it was last looked at.
const EXPECTED: &[(&str, u64)] = &[
    ("approve, once", 46_005),
    ("deposit to the pot, first", 85_492),
    ("deposit to the pot, again", 51_292),
    ("open by transfer", 71_505),
    ("open from the pot", 53_787),
    ("top up by transfer", 52_835),
    ("top up from the pot", 35_720),
    ("claim of a base, the payee's first", 59_266),
    ("claim of a base", 42_166),
    ("claim with 1 word", 47_944),
    ("claim with 16 words", 48_684),
    ("claim with 64 words", 51_156),
    ("claim with 100 words", 53_140),
    ("claim with 256 words", 61_044),
    ("claim, 4 locks of 256 words", 116_468),
    ("claim, 16 locks of 256 words", 339_738),
    ("claimMany of 16", 287_136),
    ("close, both agreed", 46_516),
    ("close by the payee", 35_410),
    ("start to close", 29_812),
    ("finish a close", 35_671),
    ("withdraw", 45_111),
    ("fix a beneficiary, once", 29_496),
    ("pay out to it", 44_801),
];

#[tokio::test]
async fn every_call_costs_what_it_did() {
    let lines = bill(&World::dev()).await;
    let used = |what: &str| lines.iter().find(|it| it.what == what).map(|it| it.gas);
    let dear: Vec<_> = LIMITS
        .iter()
        .filter(|(what, limit)| used(what).is_none_or(|it| it > *limit))
        .collect();
    assert!(dear.is_empty(), "over the limit: {dear:?}\nall: {lines:#?}");
    let off = |expected: u64, used: u64| expected.abs_diff(used) * 100 > expected * SLACK;
    let wrong: Vec<_> = EXPECTED
        .iter()
        .filter(|(what, expected)| used(what).is_none_or(|it| off(*expected, it)))
        .collect();
    let names = lines.len() == EXPECTED.len();
    assert!(
        wrong.is_empty() && names,
        "expected otherwise: {wrong:#?}\nall: {lines:#?}"
    );
}
