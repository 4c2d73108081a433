//! Receipts that lie: written and signed as no honest node would, and verified by a program that has nothing but
//! the file. Each lie has its code; none is money.

use std::fs;

use warren_daemon::receipt::to_text;
use warren_proto::{
    Amount, ByteCount, ChainRef, Domain, HashLock, LockProof, Meter, NodeKey, OfferHash, PaidBy,
    PayoutAddress, Preimage, Price, Receipt, ReceiptBody, RouteProof, SessionId, Side, TermsHash,
    UnixTime,
};

use crate::home::Home;

const UNIT: u64 = 1000;
/// Words of each lock.
const UNITS: u32 = 100;

fn key(side: Side) -> NodeKey {
    match side {
        Side::Consumer => NodeKey::from_seed(&[1; 32]),
        Side::Provider => NodeKey::from_seed(&[2; 32]),
    }
}

fn word(number: u8, k: u32) -> Preimage {
    Preimage::from_bytes([number; 32]).advance(UNITS - k)
}

fn lock(number: u8, before: u32, k: u32) -> LockProof {
    LockProof {
        anchor: HashLock::from_bytes(*word(number, 0).expose()),
        before,
        k,
        word: word(number, k),
    }
}

/// A session that two locks of a route paid 40 words.
fn truth() -> ReceiptBody {
    let terms = TermsHash::from_bytes([6; 32]);
    let agreed = |side| key(side).sign(Domain::Terms, terms.as_bytes());
    let meter = Meter {
        up: ByteCount::MIB,
        down: 38 * ByteCount::MIB,
        millis: 61_000,
        due_units: 39,
    };
    ReceiptBody {
        session: SessionId::from_bytes([3; 16]),
        offer: OfferHash::from_bytes([4; 32]),
        terms,
        consumer: key(Side::Consumer).id(),
        provider: key(Side::Provider).id(),
        price: Price {
            per_mib: Amount::from_wei_u64(UNIT),
            per_minute: Amount::ZERO,
        },
        unit_price: Amount::from_wei_u64(UNIT),
        prepay_units: 1,
        credit_units: 4,
        chain: ChainRef {
            chain_id: 31337,
            contract: PayoutAddress::from_bytes([7; 20]),
            token: PayoutAddress::from_bytes([8; 20]),
        },
        paid_by: PaidBy::Route(RouteProof {
            locks: vec![lock(1, 64, UNITS), lock(2, 0, 4)],
            earlier_units: 0,
            consumer_terms: agreed(Side::Consumer),
            provider_terms: agreed(Side::Provider),
        }),
        consumer_meter: Some(meter),
        provider_meter: Some(meter),
        started: UnixTime::from_secs(1_800_000_000),
        ended: UnixTime::from_secs(1_800_000_062),
    }
}

fn signed(body: ReceiptBody) -> Receipt {
    Receipt::new(body)
        .sign(Side::Consumer, &key(Side::Consumer))
        .sign(Side::Provider, &key(Side::Provider))
}

/// One lie, told by both sides together or by whoever made the file.
#[derive(Debug, Clone, Copy)]
enum Lie {
    NobodySigned,
    OthersSignAsConsumer,
    OthersSignAsProvider,
    ConsumerNeverAgreed,
    ProviderNeverAgreed,
    OtherTerms,
    MoreWords,
    OtherLock,
    LockTwice,
    ChainInTwo,
    NothingPaid,
    WordsNotShown,
    MoreThanDue,
    MeterOff,
    EndsBeforeItBegins,
}

impl Lie {
    const ALL: [(Self, &'static str); 15] = [
        (Self::NobodySigned, "W5202"),
        (Self::OthersSignAsConsumer, "W5203"),
        (Self::OthersSignAsProvider, "W5204"),
        (Self::ConsumerNeverAgreed, "W5211"),
        (Self::ProviderNeverAgreed, "W5211"),
        (Self::OtherTerms, "W5211"),
        (Self::MoreWords, "W5207"),
        (Self::OtherLock, "W5207"),
        (Self::LockTwice, "W5212"),
        (Self::ChainInTwo, "W5212"),
        (Self::NothingPaid, "W5208"),
        (Self::WordsNotShown, "W5208"),
        (Self::MoreThanDue, "W5208"),
        (Self::MeterOff, "W5209"),
        (Self::EndsBeforeItBegins, "W5210"),
    ];

    fn told(self) -> Receipt {
        let mut body = truth();
        let PaidBy::Route(route) = &mut body.paid_by else {
            panic!("a route paid")
        };
        match self {
            Self::NobodySigned => return Receipt::new(body),
            Self::OthersSignAsConsumer => {
                return Receipt::new(body).sign(Side::Consumer, &key(Side::Provider));
            }
            Self::OthersSignAsProvider => {
                return Receipt::new(body).sign(Side::Provider, &key(Side::Consumer));
            }
            Self::ConsumerNeverAgreed => route.consumer_terms = route.provider_terms,
            Self::ProviderNeverAgreed => route.provider_terms = route.consumer_terms,
            Self::OtherTerms => body.terms = TermsHash::from_bytes([9; 32]),
            Self::MoreWords => route.locks[1].k = 5,
            Self::OtherLock => route.locks[1].word = word(3, 4),
            Self::LockTwice => route.locks.push(lock(2, 0, 3)),
            Self::ChainInTwo => {
                route.locks[1] = LockProof {
                    anchor: HashLock::from_bytes(*word(1, 50).expose()),
                    before: 0,
                    k: 4,
                    word: word(1, 54),
                }
            }
            Self::NothingPaid => route.locks[0].before = UNITS,
            Self::WordsNotShown => route.earlier_units = 1,
            Self::MoreThanDue => route.locks[0].before = 0,
            Self::MeterOff => {
                body.provider_meter = body.provider_meter.map(|it| Meter {
                    due_units: 38,
                    ..it
                });
            }
            Self::EndsBeforeItBegins => body.ended = UnixTime::from_secs(1),
        }
        signed(body)
    }
}

#[test]
fn each_lie_about_a_routed_session_ends_with_its_code() {
    let home = Home::bare();
    let file = home.file("receipt");
    let verify = ["receipt", "verify", file.to_str().unwrap()];
    for (lie, code) in Lie::ALL {
        println!("{lie:?}");
        fs::write(&file, to_text(&lie.told())).unwrap();
        home.refused(&verify, 8, code);
    }
    // And the truth that all of them were made from.
    fs::write(&file, to_text(&signed(truth()))).unwrap();
    let verdict = home.ask(&verify).data();
    assert_eq!(verdict["paid"]["base_units"], (40 * UNIT).to_string());
    assert_eq!(verdict["receipt"]["words"], 40);
    assert!(!home.file("node.key").exists(), "nothing was made");
}

/// What one side says alone is shown, and said to be no more than that.
#[test]
fn a_half_receipt_of_a_route_says_whose_it_is() {
    let home = Home::bare();
    let file = home.file("half");
    let half = Receipt::new(truth()).sign(Side::Consumer, &key(Side::Consumer));
    fs::write(&file, to_text(&half)).unwrap();
    let typed = ["receipt", "verify", file.to_str().unwrap()];
    let told = home.run(&typed);
    assert_eq!(told.exit, 12, "{told:?}");
    assert!(told.out.contains("W5205"), "{told:?}");
    assert!(told.out.contains("only the consumer signed"), "{told:?}");
}
