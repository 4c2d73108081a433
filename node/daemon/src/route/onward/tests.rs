//! Which channel is the way to a payee.

use warren_proto::ChannelParams;

use super::*;

mod ways;

const ACCOUNT: PayoutAddress = PayoutAddress::from_bytes([5; 20]);

fn node(byte: u8) -> NodeId {
    NodeId::from_bytes([byte; 32])
}

fn payee(byte: u8) -> Payee {
    Payee {
        node: node(byte),
        account: ACCOUNT,
        window_secs: 0,
    }
}

fn known(byte: u8, kind: Kind) -> Option<Neighbour> {
    let node = node(byte);
    Some(Neighbour { node, kind })
}

fn channel() -> ChannelView {
    ChannelView {
        id: ChannelId::from_bytes([1; 32]),
        params: ChannelParams {
            payer: PayoutAddress::from_bytes([4; 20]),
            payee: ACCOUNT,
            period_secs: CLOSE_WINDOW_SECS,
            salt: 0,
        },
        role: Role::Payer,
        phase: Phase::Open,
        deposit: Amount::from_wei_u64(100),
        pending: Amount::ZERO,
        value: Amount::ZERO,
        claimed: Amount::ZERO,
        usable: true,
        shared: false,
    }
}

/// Anybody may say that the exit's account is its own.
#[test]
fn a_channel_to_a_node_is_no_way_to_another_that_names_the_same_account() {
    let it = channel();
    assert!(pays(&it, known(1, Kind::Onward), &payee(1)));
    assert!(!pays(&it, known(1, Kind::Onward), &payee(2)));
    assert!(!pays(&it, None, &payee(1)));
    assert!(!pays(&it, known(1, Kind::Router), &payee(1)), "the user's");
}

#[test]
fn a_way_outlasts_what_is_locked_and_can_be_paid_by() {
    let way = |it: ChannelView, payee: &Payee| pays(&it, known(1, Kind::Onward), payee);
    let longer = Payee {
        window_secs: CLOSE_WINDOW_SECS + 1,
        ..payee(1)
    };
    assert!(!way(channel(), &longer));
    let mut short = channel();
    short.params.period_secs = CLOSE_WINDOW_SECS - 1;
    assert!(!way(short, &payee(1)));
    let closing = ChannelView {
        usable: false,
        ..channel()
    };
    assert!(!way(closing, &payee(1)));
    let theirs = ChannelView {
        role: Role::Payee,
        ..channel()
    };
    assert!(!way(theirs, &payee(1)));
}
