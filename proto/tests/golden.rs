//! Golden bytes of every message: a change of the wire is a visible diff.
//!
//! `UPDATE_EXPECT=1 cargo nextest run -p warren-proto` rewrites them after a wanted change.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "support/messages.rs"]
mod messages;

use expect_test::expect_file;
use messages::*;
use warren_proto::*;

fn hex_lines(bytes: &[u8]) -> String {
    let text = hex::encode(bytes);
    let lines = text
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned());
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn every_route_frame_has_its_golden_bytes_and_comes_back_whole() {
    for frame in route_frames() {
        let bytes = frame.encode();
        let file = format!("golden/route_{}.hex", frame.name().to_lowercase());
        expect_file![file].assert_eq(&hex_lines(&bytes));
        assert_eq!(RouteFrame::decode(&bytes).as_ref(), Ok(&frame));
    }
}

#[test]
fn a_signed_router_hint_has_its_golden_bytes_and_comes_back_whole() {
    let signed = hint().sign(&NodeKey::from_seed(&[3; 32])).unwrap();
    expect_file!["golden/signed_router_hint.hex"].assert_eq(&hex_lines(signed.as_bytes()));
    let again = SignedRouterHint::decode(signed.as_bytes(), hint().issued).unwrap();
    assert_eq!(again, signed);
    assert!(signed.as_bytes().len() < 350, "gossiped: keep it small");
}

#[test]
fn every_frame_has_its_golden_bytes_and_comes_back_whole() {
    for frame in frames() {
        let bytes = frame.encode();
        let file = format!("golden/{}.hex", frame.name().to_lowercase());
        expect_file![file].assert_eq(&hex_lines(&bytes));
        assert_eq!(SessionFrame::decode(&bytes).as_ref(), Ok(&frame));
    }
}

#[test]
fn the_start_of_a_routed_session_has_its_golden_bytes_and_comes_back_whole() {
    let frame = routed_start();
    let bytes = frame.encode();
    expect_file!["golden/start_routed.hex"].assert_eq(&hex_lines(&bytes));
    assert_eq!(SessionFrame::decode(&bytes).as_ref(), Ok(&frame));
}

#[test]
fn a_signed_offer_has_its_golden_bytes_and_comes_back_whole() {
    let signed = offer().sign(&NodeKey::from_seed(&[1; 32])).unwrap();
    expect_file!["golden/signed_offer.hex"].assert_eq(&hex_lines(signed.as_bytes()));
    let again = SignedOffer::decode(signed.as_bytes(), offer().issued).unwrap();
    assert_eq!(again, signed);
    assert!(
        signed.as_bytes().len() < 600,
        "an offer is gossiped to everyone: keep it small"
    );
}

#[test]
fn the_ids_of_a_channel_and_of_terms_are_golden() {
    let SessionFrame::Start(start) = &frames()[3] else {
        panic!("frames() changed its order")
    };
    let channel = start.payment.as_ref().unwrap().channel.id(&chain());
    let text = format!("channel {channel}\nterms {}\n", terms().hash());
    expect_file!["golden/ids.txt"].assert_eq(&text);
}

#[test]
fn a_receipt_is_signed_as_received_and_a_full_one_fits() {
    let receipt = receipt();
    let again = Receipt::decode(&receipt.encode()).unwrap();
    assert_eq!(again, receipt);
    assert!(again.is_signed_by(Side::Consumer) && again.is_signed_by(Side::Provider));
    assert!(receipt.body().is_of(&terms()));

    let lock = voucher().locks[0];
    let proof = receipt.body().by_channel().unwrap().clone();
    let word = proof.best[0].clone();
    let full = PaidBy::Channel(ChannelProof {
        voucher: Voucher {
            seq: u64::MAX,
            base: Amount::MAX,
            locks: vec![
                Lock {
                    unit_price: Amount::MAX,
                    units: MAX_UNITS,
                    expiry: (1 << 48) - 1,
                    ..lock
                };
                MAX_LOCKS
            ],
            ..voucher()
        },
        best: vec![word; MAX_LOCKS],
        ..proof
    });
    assert_full_fits(full);
}

#[test]
fn a_receipt_of_a_route_has_its_golden_bytes_and_a_full_one_fits() {
    let receipt = routed_receipt();
    let frame = SessionFrame::Receipt(Box::new(receipt.clone()));
    let bytes = frame.encode();
    expect_file!["golden/receipt_routed.hex"].assert_eq(&hex_lines(&bytes));
    assert_eq!(SessionFrame::decode(&bytes).as_ref(), Ok(&frame));
    assert!(receipt.body().is_of(&terms()));
    let route = receipt.body().by_route().unwrap();
    assert_eq!(route.units(), 1012 + 300);

    let lock = LockProof {
        before: MAX_UNITS - 1,
        k: MAX_UNITS,
        ..route.locks[0].clone()
    };
    let full = RouteProof {
        locks: vec![lock; MAX_PROOFS],
        earlier_units: u64::MAX,
        ..route.clone()
    };
    assert_eq!(full.units(), u64::MAX);
    assert_full_fits(PaidBy::Route(full));
}

#[test]
fn a_receipt_of_a_route_is_of_the_terms_that_both_signed() {
    let body = routed_receipt().body().clone();
    for side in [Side::Consumer, Side::Provider] {
        let mut other = body.clone();
        let PaidBy::Route(route) = &mut other.paid_by else {
            panic!("a route paid")
        };
        let stranger = terms().sign(&NodeKey::from_seed(&[9; 32]));
        match side {
            Side::Consumer => route.consumer_terms = stranger,
            Side::Provider => route.provider_terms = stranger,
        }
        assert!(!other.is_of(&terms()), "{side:?}");
    }
}

#[test]
fn a_receipt_says_one_way_of_paying_and_a_route_has_locks() {
    let routed = routed_receipt();
    let route = routed.body().by_route().unwrap().clone();
    let with = |route| {
        let paid_by = PaidBy::Route(route);
        let body = ReceiptBody {
            paid_by,
            ..routed.body().clone()
        };
        Receipt::decode(&Receipt::new(body).encode())
    };
    let none = RouteProof {
        locks: vec![],
        ..route.clone()
    };
    let many = RouteProof {
        locks: vec![route.locks[0].clone(); MAX_PROOFS + 1],
        ..route.clone()
    };
    assert!(matches!(
        with(none),
        Err(WireError::Range { field: "route", .. })
    ));
    assert!(matches!(
        with(many),
        Err(WireError::Range { field: "route", .. })
    ));
    let mut long = route.clone();
    long.locks[0].k = MAX_UNITS + 1;
    assert!(matches!(
        with(long),
        Err(WireError::Range { field: "k", .. })
    ));
    let mut early = route;
    early.locks[0].before = MAX_UNITS + 1;
    assert!(matches!(
        with(early),
        Err(WireError::Range {
            field: "before",
            ..
        })
    ));

    // The routed one's last field, 21, after the fields of one paid by a channel.
    let byte = |it: usize| u8::try_from(it).unwrap();
    let varint = |it: usize| [byte(it & 0x7f) | 0x80, byte(it >> 7)];
    let bytes = routed.signed_bytes();
    let starts = |at: &usize| {
        let rest = bytes.len() - at - 4;
        bytes[*at..at + 4] == [[0xaa, 0x01], varint(rest)].concat()
    };
    let at = (0..bytes.len() - 4).find(starts).unwrap();
    let both = [receipt().signed_bytes(), &bytes[at..]].concat();
    let both = [&[0x0a], varint(both.len()).as_slice(), &both].concat();
    assert!(matches!(
        Receipt::decode(&both),
        Err(WireError::Range { field: "route", .. })
    ));
}

fn assert_full_fits(paid_by: PaidBy) {
    let full = ReceiptBody {
        paid_by,
        consumer_meter: Some(Meter {
            up: u64::MAX,
            down: u64::MAX,
            millis: u64::MAX,
            due_units: u64::MAX,
        }),
        ..receipt().body().clone()
    };
    let key = NodeKey::from_seed(&[2; 32]);
    let full = Receipt::new(full)
        .sign(Side::Consumer, &key)
        .sign(Side::Provider, &key);
    assert!(full.encode().len() <= MAX_RECEIPT_BYTES);
    assert_eq!(Receipt::decode(&full.encode()).as_ref(), Ok(&full));
    assert!(
        !full.is_signed_by(Side::Provider),
        "a signature counts for its side's key only"
    );
}
