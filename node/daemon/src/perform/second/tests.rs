//! Who may come second behind a router, and who never.

#![allow(clippy::unwrap_used, reason = "tests")]

use warren_proto::{
    ChainRef, NodeKey, OfferHash, PayoutAddress, Price, SessionId, TunnelPublicKey,
};

use super::*;

const NOON: UnixTime = UnixTime::from_secs(1_800_000_000);

fn wei(wei: u64) -> Amount {
    Amount::from_wei_u64(wei)
}

fn key(n: u8) -> NodeKey {
    NodeKey::from_seed(&[n; 32])
}

fn account(n: u8) -> PayoutAddress {
    PayoutAddress::from_bytes([n; 20])
}

fn chain(chain_id: u64) -> ChainRef {
    ChainRef {
        chain_id,
        contract: account(0xc0),
        token: account(0x70),
    }
}

/// What router `n` says of itself.
pub(crate) fn router(n: u8) -> RouterHint {
    RouterHint {
        node: key(n).id(),
        seq: 1,
        issued: NOON,
        valid_until: NOON.plus(warren_proto::MAX_HINT_LIFE),
        chain: chain(1),
        payee: account(n),
        capacity_log2: 60,
        fee_ppm: 10_000,
        hold_fee: wei(0),
        hop_gap_secs: 3600,
        close_window_secs: 86_400,
    }
}

const FIRST: u8 = 1;
const CONSUMER: u8 = 2;
const EXIT: u8 = 3;

pub(in crate::perform) fn terms() -> SessionTerms {
    SessionTerms {
        session: SessionId::from_bytes([7; 16]),
        consumer: key(CONSUMER).id(),
        provider: key(EXIT).id(),
        offer: OfferHash::from_bytes([7; 32]),
        price: Price::default(),
        unit_price: wei(1_000_000),
        prepay_units: 1,
        credit_units: 1,
        min_deposit: wei(1),
        chain: chain(1),
        payee: account(EXIT),
        close_window_secs: 86_400,
        policy_hash: [7; 32],
        consumer_key: TunnelPublicKey::from_bytes([7; 32]),
        provider_key: TunnelPublicKey::from_bytes([8; 32]),
        consumer_v4: "10.77.0.2".parse().unwrap(),
        consumer_v6: "fd77:7761::2".parse().unwrap(),
        gateway_v4: "10.77.0.1".parse().unwrap(),
        gateway_v6: "fd77:7761::1".parse().unwrap(),
        dns: Vec::new(),
        mtu: 1380,
        endpoints: Vec::new(),
        payee_nonce: [7; 32],
        valid_until: NOON,
    }
}

/// Which of these may come second, with what a word costs then; and why another may not.
fn seconds(
    said: &[(u8, RouterHint)],
    refused: &[NodeId],
) -> (Vec<(NodeId, Amount)>, Option<Problem>) {
    let signed = said.iter().map(|(n, it)| it.sign(&key(*n)).unwrap());
    let need = Need {
        first: &router(FIRST),
        terms: &terms(),
        max_fee_ppm: 50_000,
        refused,
        before: None,
    };
    let (fitting, why) = fitting(&signed.collect::<Vec<_>>(), &need, NOON);
    let fitting = fitting.into_iter().map(|(it, price)| (it.node, price));
    (fitting.collect(), why)
}

#[test]
fn neither_the_first_nor_an_end_of_the_payment_nor_one_that_refused_comes_second() {
    let all = [FIRST, CONSUMER, EXIT, 4, 5].map(|n| (n, router(n)));
    let (found, why) = seconds(&all, &[key(4).id()]);
    assert_eq!(found, [(key(5).id(), wei(1_020_100))]);
    assert_eq!(why, None, "nobody is told of those");
    // By other nodes of theirs, neither: an account is one router.
    let theirs = |n, of| RouterHint {
        payee: account(of),
        ..router(n)
    };
    let (found, _) = seconds(&[(6, theirs(6, FIRST)), (7, theirs(7, EXIT))], &[]);
    assert_eq!(found, []);
}

#[test]
fn one_whose_terms_do_not_fit_does_not_come_second_and_says_why() {
    let it = router(4);
    for (what, hint) in [
        (
            "chain",
            RouterHint {
                chain: chain(2),
                ..it
            },
        ),
        (
            "hold",
            RouterHint {
                hold_fee: wei(1),
                ..it
            },
        ),
        (
            "little",
            RouterHint {
                capacity_log2: 20,
                ..it
            },
        ),
        (
            "ppm",
            RouterHint {
                fee_ppm: 39_900,
                ..it
            },
        ),
        (
            "longer",
            RouterHint {
                hop_gap_secs: 7200,
                ..it
            },
        ),
    ] {
        let (found, why) = seconds(&[(4, hint)], &[]);
        assert_eq!(found, [], "{what}");
        let why = why.unwrap();
        assert!(why.seen.contains(what), "{what}: {why}");
        let told = none(1, Some(why));
        assert!(told.is(ErrorCode::NoSecondRouter) && told.seen.contains(what));
    }
    // A little less than that, and both together are within the cap.
    let cheap = RouterHint {
        fee_ppm: 39_600,
        ..it
    };
    let (found, why) = seconds(&[(4, cheap)], &[]);
    assert_eq!((found.len(), why), (1, None));
}

#[test]
fn the_router_that_came_second_last_comes_first() {
    let lock = |number, hours: u64, second: Option<u8>| {
        let it = LockFor {
            exit: key(EXIT).id(),
            exit_price: wei(1),
            serve_until: UnixTime::from_secs(NOON.as_secs() + 3600 * hours),
            second: second.map(|it| key(it).id()),
        };
        (PaymentId::from_bytes([number; 16]), it)
    };
    let made_for = [lock(1, 1, Some(4)), lock(2, 2, Some(5)), lock(3, 3, None)];
    assert_eq!(newest(&made_for), Some(key(5).id()));
    assert_eq!(newest(&made_for[2..]), None);
}

#[test]
fn one_that_holds_little_leaves_the_first_ones_hold_fee_to_few_words() {
    // Less than a twentieth of 1024 words, and more than one of 512.
    let first = RouterHint {
        hold_fee: wei(30_000_000),
        fee_ppm: 0,
        ..router(FIRST)
    };
    let need = Need {
        first: &first,
        terms: &terms(),
        max_fee_ppm: 50_000,
        refused: &[],
        before: None,
    };
    let fit = |capacity_log2| {
        let it = RouterHint {
            capacity_log2,
            ..router(4)
        };
        let fitting = fitting(&[it.sign(&key(4)).unwrap()], &need, NOON);
        fitting.0.len()
    };
    assert_eq!((fit(60), fit(28)), (1, 0));
}
