//! Which second router is passed over, and which is tried again.

use warren_proto::ChannelId;

use super::*;
use crate::perform::tests::router;

fn line(second: Option<u8>) -> RouteLine {
    RouteLine::new(Way {
        channel: ChannelId::from_bytes([1; 32]),
        router: router(1).node,
        hint: router(1),
        second: second.map(router),
        unit_price: Amount::ZERO,
    })
}

#[test]
fn a_second_router_that_is_busy_is_not_passed_over() {
    let mut line = line(Some(2));
    assert!(!line.passes_over_second(PayErrorCode::Busy));
    assert_eq!(line.refused, []);
    assert!(line.passes_over_second(PayErrorCode::NoCapacity));
    assert_eq!(line.refused, [router(2).node]);
}

#[test]
fn a_few_are_passed_over_and_the_only_one_never() {
    let mut two = line(Some(2));
    let more = (2..=4).map(|n| {
        two.way.second = Some(router(n));
        two.passes_over_second(PayErrorCode::NoRoute)
    });
    assert_eq!(more.collect::<Vec<_>>(), [true, true, false]);
    assert!(!line(None).passes_over_second(PayErrorCode::NoRoute));
}
