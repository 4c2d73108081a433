//! Which second router is passed over, and which is tried again.

use warren_proto::{ChainRef, ChannelId, PayoutAddress, RouterHint, UnixTime};

use super::*;

fn hint(n: u8) -> RouterHint {
    let account = PayoutAddress::from_bytes([n; 20]);
    RouterHint {
        node: NodeId::from_bytes([n; 32]),
        seq: 1,
        issued: UnixTime::from_secs(0),
        valid_until: UnixTime::from_secs(3600),
        chain: ChainRef {
            chain_id: 1,
            contract: account,
            token: account,
        },
        payee: account,
        capacity_log2: 60,
        fee_ppm: 0,
        hold_fee: Amount::ZERO,
        hop_gap_secs: 3600,
        close_window_secs: 86_400,
    }
}

fn line(second: Option<u8>) -> RouteLine {
    RouteLine::new(Way {
        channel: ChannelId::from_bytes([1; 32]),
        router: hint(1).node,
        hint: hint(1),
        second: second.map(hint),
        unit_price: Amount::ZERO,
    })
}

#[test]
fn a_second_router_that_is_busy_is_not_passed_over() {
    let mut line = line(Some(2));
    assert!(!line.passes_over_second(PayErrorCode::Busy));
    assert_eq!(line.refused, []);
    assert!(line.passes_over_second(PayErrorCode::NoCapacity));
    assert_eq!(line.refused, [hint(2).node]);
}

#[test]
fn a_few_are_passed_over_and_the_only_one_never() {
    let mut two = line(Some(2));
    let more = (2..=4).map(|n| {
        two.way.second = Some(hint(n));
        two.passes_over_second(PayErrorCode::NoRoute)
    });
    assert_eq!(more.collect::<Vec<_>>(), [true, true, false]);
    assert!(!line(None).passes_over_second(PayErrorCode::NoRoute));
}
