//! What strangers may send: anything. Each gets a clear error; none panics.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::Duration;

use proptest::prelude::*;
use warren_proto::*;

const NOON: UnixTime = UnixTime::from_secs(1_800_000_000);

fn key() -> NodeKey {
    NodeKey::from_seed(&[1; 32])
}

fn offer() -> Offer {
    Offer {
        node: key().id(),
        seq: 1,
        issued: NOON,
        valid_until: NOON.plus(Duration::from_secs(3600)),
        network: "warren/1".into(),
        region: Region {
            country: CountryCode::new("NL").unwrap(),
            city: String::new(),
        },
        addresses: vec![],
        price: Price::default(),
        chain: ChainRef {
            chain_id: 1,
            contract: PayoutAddress::ZERO,
            token: PayoutAddress::ZERO,
        },
        payee: PayoutAddress::ZERO,
        unit_price: Amount::from_wei_u64(1),
        prepay_units: 1,
        credit_units: 0,
        close_window_secs: 3600,
        policy: PolicyId {
            name: "all".into(),
            hash: [0; 32],
        },
        capacity: Capacity {
            guests_max: 1,
            guests_free: 1,
        },
        ipv4: true,
        ipv6: false,
        rootless: false,
        version: String::new(),
    }
}

fn hint() -> RouterHint {
    RouterHint {
        node: key().id(),
        seq: 1,
        issued: NOON,
        valid_until: NOON.plus(Duration::from_secs(3600)),
        chain: offer().chain,
        payee: PayoutAddress::ZERO,
        capacity_log2: 40,
        fee_ppm: 1,
        hold_fee: Amount::ZERO,
        hop_gap_secs: 3600,
        close_window_secs: 86_400,
    }
}

#[test]
fn an_offer_is_forged_if_any_bit_of_it_changes() {
    let good = offer().sign(&key()).unwrap();
    for at in 0..good.as_bytes().len() {
        for bit in 0..8 {
            let mut bad = good.as_bytes().to_vec();
            bad[at] ^= 1 << bit;
            assert!(
                SignedOffer::decode(&bad, NOON).is_err(),
                "byte {at} bit {bit}"
            );
        }
    }
}

#[test]
fn an_offer_signed_by_another_key_is_forged() {
    let error = offer().sign(&NodeKey::from_seed(&[2; 32])).unwrap_err();
    assert_eq!(error, OfferError::Forged { node: key().id() });
}

#[test]
fn an_offer_is_refused_before_and_after_its_time() {
    let signed = offer().sign(&key()).unwrap();
    let at = |time| SignedOffer::decode(signed.as_bytes(), time);
    assert!(at(NOON).is_ok());
    let late = at(NOON.plus(Duration::from_secs(3600)));
    assert!(matches!(late, Err(OfferError::Expired { .. })));
    let early = at(UnixTime::from_secs(NOON.as_secs() - 121));
    assert!(matches!(early, Err(OfferError::FromTheFuture { .. })));
    let long = Offer {
        valid_until: NOON.plus(Duration::from_secs(3601)),
        ..offer()
    };
    assert!(matches!(long.sign(&key()), Err(OfferError::TooLong { .. })));
}

#[test]
fn an_oversized_offer_is_refused_by_its_size_alone() {
    let error = SignedOffer::decode(&vec![0; MAX_OFFER_BYTES + 1], NOON).unwrap_err();
    assert_eq!(
        error,
        OfferError::TooLarge {
            bytes: MAX_OFFER_BYTES + 1
        }
    );
    let error = SessionFrame::decode(&vec![0; MAX_FRAME_BYTES + 1]).unwrap_err();
    assert!(matches!(error, WireError::TooLong { .. }));
}

fn lock_offer(onward: usize, anchor: u8) -> LockOffer {
    let lock = Lock {
        anchor: HashLock::from_bytes([anchor; 32]),
        unit_price: Amount::from_wei_u64(3),
        units: 8,
        expiry: 1_800_009_000,
    };
    let hop = Hop {
        node: key().id(),
        unit_price: Amount::from_wei_u64(3),
        expiry: 1_800_005_400,
    };
    LockOffer {
        payment: PaymentId::from_bytes([1; 16]),
        voucher: Voucher {
            channel: ChannelId::from_bytes([2; 32]),
            seq: 1,
            base: Amount::ZERO,
            locks: vec![Lock {
                anchor: HashLock::from_bytes([7; 32]),
                ..lock
            }],
            signature: [0; 64],
        },
        lock,
        onward: vec![hop; onward],
        hold_fee: Amount::ZERO,
        sealed: Some([0x5e; SEALED_HOP_BYTES]),
    }
}

#[test]
fn a_lock_offer_names_a_lock_of_its_voucher_and_two_hops_at_most() {
    let decode = |it: LockOffer| RouteFrame::decode(&RouteFrame::Offer(Box::new(it)).encode());
    assert!(decode(lock_offer(2, 7)).is_ok());
    assert_eq!(
        decode(lock_offer(1, 8)),
        Err(WireError::Missing { field: "anchor" })
    );
    let long = decode(lock_offer(3, 7));
    assert!(matches!(
        long,
        Err(WireError::Range {
            field: "onward",
            ..
        })
    ));
    let mut free = lock_offer(1, 7);
    free.onward[0].expiry = 0;
    assert!(matches!(
        decode(free),
        Err(WireError::Range {
            field: "expiry",
            ..
        })
    ));
    let error = RouteFrame::decode(&vec![0; MAX_FRAME_BYTES + 1]).unwrap_err();
    assert!(matches!(error, WireError::TooLong { .. }));
}

#[test]
fn a_router_hint_is_forged_if_any_bit_of_it_changes() {
    let hint = hint();
    let good = hint.sign(&key()).unwrap();
    assert!(SignedRouterHint::decode(good.as_bytes(), NOON).is_ok());
    for at in 0..good.as_bytes().len() {
        let mut bad = good.as_bytes().to_vec();
        bad[at] ^= 1;
        assert!(SignedRouterHint::decode(&bad, NOON).is_err(), "byte {at}");
    }
    let late = SignedRouterHint::decode(good.as_bytes(), NOON.plus(Duration::from_secs(3600)));
    assert!(late.is_err());
    let long = RouterHint {
        valid_until: NOON.plus(Duration::from_secs(3601)),
        ..hint
    };
    assert!(long.sign(&key()).is_err());
    // All that a lock holds would be bound for as long as it lives.
    let endless = RouterHint {
        hop_gap_secs: 7201,
        ..hint
    };
    let signed = endless.sign(&key());
    assert!(signed.is_err() || SignedRouterHint::decode(signed.unwrap().as_bytes(), NOON).is_err());
}

#[test]
fn a_close_window_is_one_that_the_contract_takes() {
    for (close_window_secs, fits) in [
        (0, false),
        (3599, false),
        (3600, true),
        (2_592_000, true),
        (2_592_001, false),
        (u32::MAX, false),
    ] {
        let offer = Offer {
            close_window_secs,
            ..offer()
        };
        assert_eq!(offer.sign(&key()).is_ok(), fits, "{close_window_secs}");
        let hint = RouterHint {
            close_window_secs,
            ..hint()
        };
        assert_eq!(hint.sign(&key()).is_ok(), fits, "{close_window_secs}");
    }
}

#[test]
fn texts_of_strangers_carry_no_control_characters() {
    for city in ["a\nb", "\u{1b}[2J", "\u{202e}evil", &"x".repeat(49)] {
        let region = Region {
            city: city.to_owned(),
            ..offer().region
        };
        let error = Offer { region, ..offer() }.sign(&key()).unwrap_err();
        assert_eq!(
            error,
            OfferError::Malformed(WireError::Text { field: "city" })
        );
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = SessionFrame::decode(&bytes);
        let _ = SignedOffer::decode(&bytes, NOON);
        let _ = SessionTerms::decode(&bytes);
        let _ = Receipt::decode(&bytes);
        let _ = RouteFrame::decode(&bytes);
        let _ = SignedRouterHint::decode(&bytes, NOON);
    }

    #[test]
    fn a_route_frame_that_decodes_encodes_to_itself(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(frame) = RouteFrame::decode(&bytes) {
            prop_assert_eq!(RouteFrame::decode(&frame.encode()), Ok(frame));
        }
    }

    #[test]
    fn a_frame_that_decodes_encodes_to_itself(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(frame) = SessionFrame::decode(&bytes) {
            prop_assert_eq!(SessionFrame::decode(&frame.encode()), Ok(frame));
        }
    }

    #[test]
    fn dues_grow_and_are_never_undercharged(per_mib in 0_u64..1 << 40, a in 0_u64..1 << 40, b in 0_u64..1 << 40) {
        let price = Price { per_mib: Amount::from_wei_u64(per_mib), per_minute: Amount::ZERO };
        let due = |bytes| price.due(ByteCount::from_bytes(bytes), Duration::ZERO).unwrap().wei();
        prop_assert!(due(a.min(b)) <= due(a.max(b)));
        let exact = u128::from(per_mib) * u128::from(a);
        prop_assert!(due(a) * (1 << 20) >= exact);
        prop_assert!(due(a) * (1 << 20) < exact + (1 << 20));
    }
}

#[test]
fn a_start_is_paid_by_a_channel_or_by_a_route_and_not_by_both() {
    let params = ChannelParams {
        payer: PayoutAddress::ZERO,
        payee: PayoutAddress::ZERO,
        period_secs: 3600,
        salt: 1,
    };
    let start = |payment, routed| {
        SessionFrame::Start(Box::new(SessionStart {
            session: SessionId::from_bytes([1; 16]),
            signature: Signature::from_bytes([2; 64]),
            payment,
            routed,
        }))
        .encode()
    };
    let channel = StartPayment {
        channel: params,
        auth: [3; 64],
        voucher: lock_offer(0, 7).voucher,
    };
    let payment = PaymentId::from_bytes([4; 16]);
    assert!(SessionFrame::decode(&start(Some(channel.clone()), None)).is_ok());
    assert!(SessionFrame::decode(&start(None, Some(payment))).is_ok());
    let both = SessionFrame::decode(&start(Some(channel), Some(payment)));
    assert!(matches!(
        both,
        Err(WireError::Range {
            field: "payment",
            ..
        })
    ));
}

#[test]
fn a_hello_with_half_a_signature_and_a_welcome_of_any_size_are_refused() {
    let hello = SessionFrame::RouteHello(Box::new(RouteHello {
        channel: Some(HelloChannel {
            params: ChannelParams {
                payer: PayoutAddress::ZERO,
                payee: PayoutAddress::ZERO,
                period_secs: 3600,
                salt: 1,
            },
            not_after: NOON,
            auth: [3; 64],
        }),
    }));
    let bytes = hello.encode();
    assert_eq!(SessionFrame::decode(&bytes), Ok(hello));
    for cut in 1..bytes.len() {
        // A prefix of it may be a frame, but never a hello with a signature of another length.
        let read = SessionFrame::decode(&bytes[..cut]);
        assert!(read.is_err(), "{cut} of {} bytes", bytes.len());
    }
    let welcome = |bytes| {
        let hint = Some(vec![0; bytes]);
        SessionFrame::decode(&SessionFrame::RouteWelcome(Box::new(RouteWelcome { hint })).encode())
    };
    assert!(welcome(MAX_HINT_BYTES).is_ok());
    assert!(matches!(
        welcome(MAX_HINT_BYTES + 1),
        Err(WireError::TooLong { .. })
    ));
}
