//! One of every message.

use std::time::Duration;

use warren_proto::*;

pub(crate) fn wei(wei: u64) -> Amount {
    Amount::from_wei_u64(wei)
}

pub(crate) fn chain() -> ChainRef {
    let at = |byte| PayoutAddress::from_bytes([byte; 20]);
    ChainRef {
        chain_id: 31337,
        contract: at(0xc0),
        token: at(0x70),
    }
}

pub(crate) fn offer() -> Offer {
    let noon = UnixTime::from_secs(1_800_000_000);
    Offer {
        node: NodeKey::from_seed(&[1; 32]).id(),
        seq: 7,
        issued: noon,
        valid_until: noon.plus(Duration::from_secs(3600)),
        network: "warren/1".into(),
        region: Region {
            country: "de".parse().unwrap(),
            city: "Leipzig".into(),
        },
        addresses: vec!["/ip4/192.0.2.1/udp/4077/quic-v1".into()],
        price: Price {
            per_mib: wei(3),
            per_minute: wei(1),
        },
        chain: chain(),
        payee: PayoutAddress::from_bytes([0xee; 20]),
        unit_price: wei(3),
        prepay_units: 1,
        credit_units: 4,
        close_window_secs: 86_400,
        policy: PolicyId {
            name: "web+dns".into(),
            hash: [0xaa; 32],
        },
        capacity: Capacity {
            guests_max: 8,
            guests_free: 6,
        },
        ipv4: true,
        ipv6: true,
        rootless: false,
        version: "0.1.0".into(),
    }
}

pub(crate) fn voucher() -> Voucher {
    let lock = |byte, units| Lock {
        anchor: HashLock::from_bytes([byte; 32]),
        unit_price: wei(3),
        units,
        expiry: 0,
    };
    Voucher {
        channel: ChannelId::from_bytes([0xcc; 32]),
        seq: 2,
        base: wei(768),
        locks: vec![lock(1, 256), lock(2, 1024)],
        signature: [0x55; 64],
    }
}

pub(crate) fn terms() -> SessionTerms {
    let offer = offer();
    SessionTerms {
        session: SessionId::from_bytes([0x5e; 16]),
        consumer: NodeKey::from_seed(&[2; 32]).id(),
        provider: offer.node,
        offer: OfferHash::from_bytes([0x0f; 32]),
        price: offer.price,
        unit_price: offer.unit_price,
        prepay_units: 1,
        credit_units: 4,
        min_deposit: wei(192),
        chain: offer.chain,
        payee: offer.payee,
        close_window_secs: 86_400,
        policy_hash: offer.policy.hash,
        consumer_key: TunnelPublicKey::from_bytes([0x11; 32]),
        provider_key: TunnelPublicKey::from_bytes([0x22; 32]),
        consumer_v4: "10.77.0.2".parse().unwrap(),
        consumer_v6: "fd77:7761::2".parse().unwrap(),
        gateway_v4: "10.77.0.1".parse().unwrap(),
        gateway_v6: "fd77:7761::1".parse().unwrap(),
        dns: vec![
            "10.77.0.1".parse().unwrap(),
            "fd77:7761::1".parse().unwrap(),
        ],
        mtu: 1380,
        endpoints: vec![
            Candidate {
                kind: CandidateKind::Mapped,
                address: "192.0.2.1:41820".parse().unwrap(),
            },
            Candidate {
                kind: CandidateKind::Host,
                address: "[2001:db8::1]:41820".parse().unwrap(),
            },
        ],
        payee_nonce: [0x33; 32],
        valid_until: UnixTime::from_secs(1_800_000_300),
    }
}

pub(crate) fn receipt() -> Receipt {
    signed_receipt(PaidBy::Channel(ChannelProof {
        channel: ChannelParams {
            payer: PayoutAddress::from_bytes([0xaa; 20]),
            payee: terms().payee,
            period_secs: 86_400,
            salt: 9,
        },
        value_before: wei(768),
        value_after: wei(1668),
        voucher: voucher(),
        best: vec![WordFrame {
            lane: 1,
            k: 300,
            word: Preimage::from_bytes([0x99; 32]),
        }],
    }))
}

pub(crate) fn routed_receipt() -> Receipt {
    let sign = |seed| terms().sign(&NodeKey::from_seed(&[seed; 32]));
    let lock = |seed, before, k| LockProof {
        anchor: HashLock::from_bytes([seed; 32]),
        before,
        k,
        word: Preimage::from_bytes([0x99; 32]),
    };
    signed_receipt(PaidBy::Route(RouteProof {
        locks: vec![lock(2, 12, 1024), lock(3, 0, 300)],
        earlier_units: 0,
        consumer_terms: sign(2),
        provider_terms: sign(1),
    }))
}

fn signed_receipt(paid_by: PaidBy) -> Receipt {
    let (consumer, provider) = (NodeKey::from_seed(&[2; 32]), NodeKey::from_seed(&[1; 32]));
    let meter = |down, due_units| Meter {
        up: 5,
        down,
        millis: 60_000,
        due_units,
    };
    let terms = terms();
    let body = ReceiptBody {
        session: terms.session,
        offer: terms.offer,
        terms: terms.hash(),
        consumer: consumer.id(),
        provider: provider.id(),
        price: terms.price,
        unit_price: terms.unit_price,
        prepay_units: terms.prepay_units,
        credit_units: terms.credit_units,
        chain: chain(),
        paid_by,
        consumer_meter: Some(meter(1 << 20, 2)),
        provider_meter: Some(meter((1 << 20) - 7, 2)),
        started: UnixTime::from_secs(1_800_000_000),
        ended: UnixTime::from_secs(1_800_000_060),
    };
    Receipt::new(body)
        .sign(Side::Consumer, &consumer)
        .sign(Side::Provider, &provider)
}

pub(crate) fn frames() -> Vec<SessionFrame> {
    let session = SessionId::from_bytes([0x5e; 16]);
    let channel = ChannelParams {
        payer: PayoutAddress::from_bytes([0xaa; 20]),
        payee: PayoutAddress::from_bytes([0xee; 20]),
        period_secs: 86_400,
        salt: 9,
    };
    let signature = Signature::from_bytes([0x66; 64]);
    vec![
        SessionFrame::Request(SessionRequest {
            session,
            offer: OfferHash::from_bytes([0x0f; 32]),
            price: offer().price,
            tunnel_key: TunnelPublicKey::from_bytes([0x11; 32]),
            chain: chain(),
            resume: true,
        }),
        SessionFrame::Grant(Box::new(Grant {
            terms: terms(),
            signature,
        })),
        SessionFrame::Refusal(Refusal {
            session,
            reason: RefusalReason::Full,
            detail: "no free place".into(),
        }),
        SessionFrame::Start(Box::new(SessionStart {
            session,
            signature,
            payment: Some(StartPayment {
                channel,
                auth: [0x77; 64],
                voucher: voucher(),
            }),
            routed: None,
        })),
        SessionFrame::Ready(session),
        SessionFrame::Voucher(voucher()),
        SessionFrame::VoucherAck(VoucherAck {
            channel: ChannelId::from_bytes([0xcc; 32]),
            seq: 2,
            value_now: wei(771),
            covered: wei(5000),
        }),
        SessionFrame::Word(WordFrame {
            lane: 1,
            k: 300,
            word: Preimage::from_bytes([0x99; 32]),
        }),
        SessionFrame::WordAck { lane: 1, k: 300 },
        SessionFrame::Meter(Meter {
            up: 1,
            down: 2,
            millis: 3,
            due_units: 4,
        }),
        SessionFrame::PayError {
            channel: ChannelId::from_bytes([0xcc; 32]),
            code: PayErrorCode::OverCommitted,
            detail: "deposit too small".into(),
        },
        SessionFrame::Goodbye(Goodbye {
            session,
            reason: GoodbyeReason::Asked,
        }),
        SessionFrame::Receipt(Box::new(receipt())),
        SessionFrame::ChannelAsk(Box::new(ChannelAsk {
            channel,
            close: true,
            not_after: UnixTime::from_secs(1_800_000_060),
            signature: [0x44; 64],
        })),
        SessionFrame::TowerPut(Box::new(TowerPut {
            locator: Locator::of(&ChannelId::from_bytes([0xcc; 32])),
            number: 1_800_000_000_000,
            until: 1_802_592_000,
            sealed: vec![0x5a; 600],
            deadline: Some(TowerDeadline {
                channel: ChannelId::from_bytes([0xcc; 32]),
                act_at: 1_800_003_600,
            }),
        })),
        SessionFrame::TowerAnswer(TowerAnswer {
            locator: Locator::of(&ChannelId::from_bytes([0xcc; 32])),
            verdict: TowerVerdict::Kept,
            number: 1_800_000_000_000,
        }),
        SessionFrame::ChannelAnswer(Box::new(ChannelAnswer {
            channel: ChannelId::from_bytes([0xcc; 32]),
            voucher: Some(voucher()),
            best: vec![WordFrame {
                lane: 1,
                k: 300,
                word: Preimage::from_bytes([0x99; 32]),
            }],
            consent: Some(CloseConsent {
                final_amount: wei(771),
                not_after: UnixTime::from_secs(1_800_000_060),
                signature: [0x88; 64],
            }),
        })),
        SessionFrame::LockReady(lock_ready()),
        SessionFrame::RouteHello(Box::new(RouteHello {
            channel: Some(HelloChannel {
                params: channel,
                not_after: UnixTime::from_secs(1_800_000_060),
                auth: [0x77; 64],
            }),
        })),
        SessionFrame::RouteWelcome(Box::new(RouteWelcome {
            hint: Some(
                hint()
                    .sign(&NodeKey::from_seed(&[3; 32]))
                    .unwrap()
                    .as_bytes()
                    .to_vec(),
            ),
        })),
        SessionFrame::Route(Box::new(RouteFrame::Ready(lock_ready()))),
    ]
}

pub(crate) fn routed_start() -> SessionFrame {
    SessionFrame::Start(Box::new(SessionStart {
        session: SessionId::from_bytes([0x5e; 16]),
        signature: Signature::from_bytes([0x66; 64]),
        payment: None,
        routed: Some(PaymentId::from_bytes([0x7a; 16])),
    }))
}

pub(crate) fn lock_ready() -> LockReady {
    LockReady {
        payment: PaymentId::from_bytes([0x7a; 16]),
        anchor: HashLock::from_bytes([2; 32]),
        channel: ChannelId::from_bytes([0xcc; 32]),
        seq: 2,
        lane: 1,
    }
}

pub(crate) fn route_frames() -> Vec<RouteFrame> {
    let payment = PaymentId::from_bytes([0x7a; 16]);
    let hop = |seed| Hop {
        node: NodeKey::from_seed(&[seed; 32]).id(),
        unit_price: wei(3),
        expiry: 1_800_005_400,
    };
    vec![
        RouteFrame::Offer(Box::new(LockOffer {
            payment,
            lock: voucher().locks[1],
            voucher: voucher(),
            onward: vec![hop(1), hop(2)],
            hold_fee: wei(5),
            sealed: Some([0x5e; warren_proto::SEALED_HOP_BYTES]),
        })),
        RouteFrame::Ready(lock_ready()),
        RouteFrame::Reject(LockReject {
            payment,
            code: PayErrorCode::NoCapacity,
            held: true,
            max_amount: wei(500),
            min_expiry: 1_800_009_000,
        }),
        RouteFrame::Fulfill(Fulfill {
            payment,
            anchor: HashLock::from_bytes([2; 32]),
            k: 300,
            word: Preimage::from_bytes([0x99; 32]),
            last: true,
        }),
        RouteFrame::Voucher(voucher()),
        RouteFrame::VoucherAck(VoucherAck {
            channel: ChannelId::from_bytes([0xcc; 32]),
            seq: 2,
            value_now: wei(771),
            covered: wei(5000),
        }),
        RouteFrame::PayError {
            channel: ChannelId::from_bytes([0xcc; 32]),
            code: PayErrorCode::NotDominating,
            detail: "a word more is known".into(),
        },
    ]
}

pub(crate) fn hint() -> RouterHint {
    let noon = UnixTime::from_secs(1_800_000_000);
    RouterHint {
        node: NodeKey::from_seed(&[3; 32]).id(),
        seq: 4,
        issued: noon,
        valid_until: noon.plus(Duration::from_secs(3600)),
        chain: chain(),
        payee: PayoutAddress::from_bytes([0xee; 20]),
        capacity_log2: 60,
        fee_ppm: 10_000,
        hold_fee: wei(5),
        hop_gap_secs: 3600,
        close_window_secs: 86_400,
    }
}
