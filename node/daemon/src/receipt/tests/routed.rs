//! Receipts of routes: what verifies, how each lie is found, and what nobody learns.

use proptest::prelude::*;
use warren_proto::{HashLock, LockProof, MAX_PROOFS, Preimage, RouteProof};

use super::*;
use crate::receipt::{Tally, view};

/// Words of each lock.
const UNITS: u32 = 64;

/// Word `k` of lock `number`; word 0 is the anchor.
fn word(number: u8, k: u32) -> Preimage {
    Preimage::from_bytes([number; 32]).advance(UNITS - k)
}

fn anchor(number: u8) -> HashLock {
    HashLock::from_bytes(*word(number, 0).expose())
}

fn lock(number: u8, before: u32, k: u32) -> LockProof {
    LockProof {
        anchor: anchor(number),
        before,
        k,
        word: word(number, k),
    }
}

/// A session that 40 words of two locks paid, 24 of the first one having paid another session.
fn routed() -> ReceiptBody {
    let body = paid(&Wallet::generate().unwrap(), 1);
    let terms = |key: NodeKey| key.sign(warren_proto::Domain::Terms, body.terms.as_bytes());
    ReceiptBody {
        paid_by: PaidBy::Route(RouteProof {
            locks: vec![lock(1, 24, 60), lock(2, 0, 4)],
            earlier_units: 0,
            consumer_terms: terms(consumer()),
            provider_terms: terms(provider()),
        }),
        ..body
    }
}

trait With {
    fn with(self, change: impl FnOnce(&mut RouteProof)) -> Self;
}

impl With for ReceiptBody {
    fn with(mut self, change: impl FnOnce(&mut RouteProof)) -> Self {
        if let PaidBy::Route(it) = &mut self.paid_by {
            change(it);
        }
        self
    }
}

#[test]
fn an_honest_receipt_of_a_route_verifies_from_its_text_alone() {
    let text = to_text(&signed(routed()));
    let verdict = verify(&from_text(&text).unwrap()).unwrap();
    assert_eq!((verdict.signed, verdict.unshown), (Signed::Both, 0));
    assert_eq!(verdict.paid, wei(40 * UNIT));
    let half = Receipt::new(routed()).sign(Side::Provider, &provider());
    let verdict = verify(&half).unwrap();
    assert_eq!(verdict.signed, Signed::Only(Side::Provider));
    assert_eq!(verify(&Receipt::new(routed())), Err(Fault::Unsigned));
}

#[test]
fn each_lie_about_a_route_is_found_and_has_its_code() {
    let lie = |change: &dyn Fn(&mut RouteProof)| {
        let body = routed().with(change);
        verify(&signed(body)).unwrap_err().problem().code
    };
    let code = |it: ErrorCode| it.to_string();
    let (terms, word_code) = (code(ErrorCode::ReceiptTerms), code(ErrorCode::ReceiptWord));
    let (twice, amount) = (
        code(ErrorCode::ReceiptTwice),
        code(ErrorCode::ReceiptAmount),
    );

    // A deal that one side never agreed to.
    assert_eq!(lie(&|it| it.consumer_terms = it.provider_terms), terms);
    assert_eq!(lie(&|it| it.provider_terms = it.consumer_terms), terms);
    // Words that do not lead to the anchor.
    assert_eq!(lie(&|it| it.locks[0].k = 61), word_code);
    assert_eq!(lie(&|it| it.locks[1].anchor = anchor(3)), word_code);
    assert_eq!(lie(&|it| it.locks[1].word = word(3, 4)), word_code);
    // One lock twice; and one chain of words cut into two locks, that share the words between.
    assert_eq!(lie(&|it| it.locks.push(lock(1, 60, 64))), twice);
    assert_eq!(lie(&|it| it.locks.push(lock(1, 0, 24))), twice);
    let cut = |from: u32, k: u32| LockProof {
        anchor: HashLock::from_bytes(*word(1, from).expose()),
        before: 0,
        k,
        word: word(1, from + k),
    };
    assert_eq!(lie(&|it| it.locks.push(cut(20, 30))), twice);
    assert_eq!(lie(&|it| it.locks.insert(0, cut(60, 4))), twice);
    // Sums.
    assert_eq!(lie(&|it| it.locks[0].before = 60), amount);
    assert_eq!(lie(&|it| it.locks[0].before = 61), amount);
    assert_eq!(
        lie(&|it| it.earlier_units = 1),
        amount,
        "there is room to show it"
    );
    assert_eq!(
        lie(&|it| it.locks[0].before = 0),
        amount,
        "64 words for 39 due"
    );

    let found = |body| verify(&signed(body)).unwrap_err().problem().code;
    let meter = ReceiptBody {
        provider_meter: routed().provider_meter.map(|meter| Meter {
            due_units: 38,
            ..meter
        }),
        ..routed()
    };
    assert_eq!(found(meter), code(ErrorCode::ReceiptMeter));
    let times = ReceiptBody {
        ended: UnixTime::from_secs(1),
        ..routed()
    };
    assert_eq!(found(times), code(ErrorCode::ReceiptTimes));
    // Other terms than those that were signed.
    let other = ReceiptBody {
        terms: TermsHash::from_bytes([7; 32]),
        ..routed()
    };
    assert_eq!(found(other), terms);
    // Signatures, over a body that is true.
    let swapped = Receipt::new(routed())
        .sign(Side::Consumer, &provider())
        .sign(Side::Provider, &provider());
    assert_eq!(verify(&swapped), Err(Fault::Consumer(consumer().id())));
    let other = Receipt::new(routed()).sign(Side::Provider, &consumer());
    assert_eq!(verify(&other), Err(Fault::Provider(provider().id())));
}

#[test]
fn a_sum_that_is_no_money_is_said_to_be_none() {
    let mut body = routed().with(|it| {
        it.locks = (1..=32).map(|it| lock(it, 0, 1)).collect();
        assert_eq!(it.locks.len(), MAX_PROOFS);
        it.earlier_units = u64::MAX;
    });
    body.unit_price = Amount::MAX;
    let fault = verify(&signed(body)).unwrap_err();
    assert!(matches!(fault, Fault::Sum { .. }), "{fault}");
}

#[test]
fn not_one_bit_of_a_routes_receipt_can_be_changed() {
    no_bit_can_be_changed(&signed(routed()));
}

#[test]
fn a_routes_receipt_shows_as_fields_of_its_own() {
    let token = crate::config::Token {
        symbol: "T".into(),
        decimals: 0,
    };
    let shown = serde_json::to_value(view(&signed(routed()), None, &token)).unwrap();
    assert_eq!(shown["words"], 40);
    assert_eq!(shown["locks"][0]["before"], 24);
    assert_eq!(shown["words_not_shown"], 0);
    for absent in ["channel", "payer", "payee", "voucher_seq"] {
        assert_eq!(shown.get(absent), None);
    }
    let back: crate::api::types::ReceiptView = serde_json::from_value(shown).unwrap();
    assert_eq!(back, view(&signed(routed()), None, &token));
    // One of a channel has the fields that it always had.
    let wallet = Wallet::generate().unwrap();
    let direct = view(&signed(paid(&wallet, 1)), None, &token);
    let shown = serde_json::to_value(&direct).unwrap();
    assert_eq!(shown["voucher_seq"], 2);
    assert_eq!(shown.get("locks"), None);
    assert_eq!(
        serde_json::from_value::<crate::api::types::ReceiptView>(shown).unwrap(),
        direct
    );
}

proptest! {
    /// Whatever words come, in whatever order and however often: a receipt that the tally makes verifies,
    /// and comes to the best word of each lock, less what paid before.
    #[test]
    fn a_tally_proves_each_word_once(
        before in proptest::collection::vec(0..UNITS, 1..12),
        said in proptest::collection::vec((0..12_usize, 1..=UNITS), 0..60),
    ) {
        let mut tally = Tally::default();
        let mut best = vec![0; before.len()];
        for (at, k) in said {
            let at = at % before.len();
            let number = u8::try_from(at).unwrap() + 1;
            let word = WordFrame { lane: 0, k, word: word(number, k) };
            tally.count(anchor(number), before[at], &word);
            best[at] = k.max(best[at]);
        }
        let worth = best.iter().zip(&before).map(|(k, before)| u64::from(k.saturating_sub(*before)));
        let worth = worth.sum::<u64>();
        let signature = |key: NodeKey| key.sign(warren_proto::Domain::Terms, routed().terms.as_bytes());
        let Some(proof) = tally.proof(signature(consumer()), signature(provider())) else {
            prop_assert_eq!(worth, 0);
            return Ok(());
        };
        let body = ReceiptBody {
            paid_by: PaidBy::Route(proof),
            consumer_meter: None,
            ..routed()
        };
        let receipt = Receipt::decode(&signed(body).encode()).unwrap();
        prop_assert_eq!(verify(&receipt).unwrap().paid, wei(worth * UNIT));
    }
}
