//! Real vouchers, real words: what verifies, and how each lie is found.

use std::sync::Arc;

use warren_payments::{Wallet, WordChain};
use warren_proto::{
    Amount, ByteCount, ChainRef, ChannelParams, ChannelProof, Lock, Meter, NodeKey, OfferHash,
    PaidBy, PayoutAddress, Price, Receipt, ReceiptBody, SessionId, Side, TermsHash, UnixTime,
    Voucher, WordFrame,
};

mod routed;

use super::{Fault, Receipts, Signed, from_text, to_text, verify};
use crate::error::ErrorCode;
use crate::lockfile::HomeLock;
use crate::store::{Store, StoreSpec};

const UNIT: u64 = 1000;
const NOON: UnixTime = UnixTime::from_secs(1_800_000_000);

fn wei(amount: u64) -> Amount {
    Amount::from_wei_u64(amount)
}

fn consumer() -> NodeKey {
    NodeKey::from_seed(&[1; 32])
}

fn provider() -> NodeKey {
    NodeKey::from_seed(&[2; 32])
}

/// A session that paid 40 words on a channel that was worth 10 before.
fn paid(wallet: &Wallet, session: u8) -> ReceiptBody {
    let chain = ChainRef {
        chain_id: 31337,
        contract: PayoutAddress::from_bytes([7; 20]),
        token: PayoutAddress::from_bytes([8; 20]),
    };
    let channel = ChannelParams {
        payer: wallet.account(),
        payee: PayoutAddress::from_bytes([5; 20]),
        period_secs: 3600,
        salt: 1,
    };
    let id = channel.id(&chain);
    let words = WordChain::derive(wallet.word_master(), &id, 2, 256);
    let draft = Voucher {
        channel: id,
        seq: 2,
        base: wei(10 * UNIT),
        locks: vec![Lock {
            anchor: words.anchor(),
            unit_price: wei(UNIT),
            units: 256,
            expiry: 0,
        }],
        signature: [0; 64],
    };
    let meter = Meter {
        up: ByteCount::MIB,
        down: 38 * ByteCount::MIB,
        millis: 61_000,
        due_units: 39,
    };
    ReceiptBody {
        session: SessionId::from_bytes([session; 16]),
        offer: OfferHash::from_bytes([4; 32]),
        terms: TermsHash::from_bytes([6; 32]),
        consumer: consumer().id(),
        provider: provider().id(),
        price: Price {
            per_mib: wei(UNIT),
            per_minute: Amount::ZERO,
        },
        unit_price: wei(UNIT),
        prepay_units: 1,
        credit_units: 4,
        chain,
        paid_by: PaidBy::Channel(ChannelProof {
            channel,
            value_before: wei(10 * UNIT),
            value_after: wei(50 * UNIT),
            voucher: wallet.account_key().sign_voucher(draft, &chain),
            best: vec![WordFrame {
                lane: 0,
                k: 40,
                word: words.word(40).unwrap().clone(),
            }],
        }),
        consumer_meter: Some(meter),
        provider_meter: Some(meter),
        started: NOON,
        ended: UnixTime::from_secs(NOON.as_secs() + 62),
    }
}

fn signed(body: ReceiptBody) -> Receipt {
    Receipt::new(body)
        .sign(Side::Consumer, &consumer())
        .sign(Side::Provider, &provider())
}

#[test]
fn an_honest_receipt_verifies_from_its_text_alone() {
    let wallet = Wallet::generate().unwrap();
    let text = to_text(&signed(paid(&wallet, 1)));
    assert!(text.lines().all(|line| line.len() <= 64), "{text}");
    let verdict = verify(&from_text(&text.replace('\n', "\r\n")).unwrap()).unwrap();
    assert_eq!(verdict.signed, Signed::Both);
    assert_eq!(verdict.paid, wei(40 * UNIT));
    assert_eq!(verdict.due_consumer, Some(wei(39 * UNIT)));
}

#[test]
fn a_half_receipt_says_whose_it_is() {
    let wallet = Wallet::generate().unwrap();
    let half = Receipt::new(paid(&wallet, 1)).sign(Side::Provider, &provider());
    let verdict = verify(&half).unwrap();
    assert_eq!(verdict.signed, Signed::Only(Side::Provider));
    let nobody = verify(&Receipt::new(paid(&wallet, 1)));
    assert_eq!(nobody, Err(Fault::Unsigned));
}

#[test]
fn each_lie_is_found_and_has_a_code_of_its_own() {
    let wallet = Wallet::generate().unwrap();
    let stranger = Wallet::generate().unwrap();
    let found = |change: &dyn Fn(&mut ReceiptBody)| {
        let mut body = paid(&wallet, 1);
        change(&mut body);
        verify(&signed(body)).unwrap_err().problem().code
    };
    let proof = |change: &dyn Fn(&mut ChannelProof)| {
        found(&|body| {
            if let PaidBy::Channel(it) = &mut body.paid_by {
                change(it);
            }
        })
    };
    let code = |it: ErrorCode| it.to_string();
    let (voucher, word) = (
        code(ErrorCode::ReceiptVoucher),
        code(ErrorCode::ReceiptWord),
    );
    let (amount, meter) = (
        code(ErrorCode::ReceiptAmount),
        code(ErrorCode::ReceiptMeter),
    );
    let chain = paid(&wallet, 1).chain;

    // Vouchers of somebody else, of another channel, changed after they were signed.
    let forged = |it: &mut ChannelProof| {
        let key = stranger.account_key();
        it.voucher = key.sign_voucher(it.voucher.clone(), &chain);
    };
    assert_eq!(proof(&forged), voucher);
    assert_eq!(proof(&|it| it.channel.salt = 2), voucher);
    assert_eq!(found(&|it| it.chain.chain_id = 1), voucher);
    assert_eq!(proof(&|it| it.voucher.base = wei(11 * UNIT)), voucher);
    // Words that do not lead to the anchor, or count twice.
    assert_eq!(proof(&|it| it.best[0].k = 41), word);
    assert_eq!(proof(&|it| it.best[0].lane = 1), word);
    assert_eq!(proof(&|it| it.best.push(it.best[0].clone())), word);
    // Sums.
    assert_eq!(proof(&|it| it.value_after = wei(51 * UNIT)), amount);
    assert_eq!(proof(&|it| it.best.clear()), amount);
    assert_eq!(proof(&|it| it.value_before = wei(51 * UNIT)), amount);
    let meters = |it: &mut ReceiptBody, mib: u64| {
        let meter = Meter {
            up: 0,
            down: mib * ByteCount::MIB,
            millis: 0,
            due_units: mib,
        };
        it.consumer_meter = Some(meter);
    };
    assert_eq!(found(&|it| meters(it, 22)), amount, "40 words for 22 MiB");
    // Meters that do not come to the words they name.
    let off = |it: &mut ReceiptBody| {
        it.provider_meter = it.provider_meter.map(|meter| Meter {
            due_units: 38,
            ..meter
        });
    };
    assert_eq!(found(&off), meter);
    let times = |it: &mut ReceiptBody| it.ended = UnixTime::from_secs(1);
    assert_eq!(found(&times), code(ErrorCode::ReceiptTimes));

    // Signatures, over a body that is true.
    let swapped = Receipt::new(paid(&wallet, 1))
        .sign(Side::Consumer, &provider())
        .sign(Side::Provider, &provider());
    assert_eq!(verify(&swapped), Err(Fault::Consumer(consumer().id())));
    let other = Receipt::new(paid(&wallet, 1)).sign(Side::Provider, &consumer());
    assert_eq!(verify(&other), Err(Fault::Provider(provider().id())));
}

fn no_bit_can_be_changed(receipt: &Receipt) {
    let bytes = receipt.encode();
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        let passes = Receipt::decode(&bad)
            .is_ok_and(|it| verify(&it).is_ok_and(|it| it.signed == Signed::Both));
        assert!(!passes, "byte {at}");
    }
}

#[test]
fn not_one_bit_of_a_receipt_can_be_changed() {
    let wallet = Wallet::generate().unwrap();
    no_bit_can_be_changed(&signed(paid(&wallet, 1)));
}

#[test]
fn what_is_no_receipt_is_said_to_be_none() {
    let wallet = Wallet::generate().unwrap();
    let text = to_text(&signed(paid(&wallet, 1)));
    let cut = &text[..text.len() - 3];
    let long = format!("{text}{}", "00".repeat(8000));
    let other = text.replace("receipt/1", "receipt/2");
    let odd = format!("{text}g");
    for bad in ["", "hello", cut, &long, &other, &odd, "warren-receipt/1\n"] {
        let problem = from_text(bad).unwrap_err();
        assert!(problem.is(ErrorCode::ReceiptUnreadable), "{problem}");
    }
}

fn open(home: &std::path::Path) -> Receipts {
    let owner = consumer().id();
    let lock = HomeLock::take(home, NOON).unwrap();
    let store = Store::open(StoreSpec::new(home, owner), lock).unwrap();
    Receipts::open(Arc::new(store)).unwrap()
}

#[test]
fn receipts_outlive_a_restart_and_a_half_never_replaces_a_whole_one() {
    let home = tempfile::tempdir().unwrap();
    let wallet = Wallet::generate().unwrap();
    let whole = signed(paid(&wallet, 1));
    let half = Receipt::new(paid(&wallet, 1)).sign(Side::Consumer, &consumer());
    let receipts = open(home.path());
    receipts.keep(&half).unwrap();
    receipts.keep(&whole).unwrap();
    receipts.keep(&half).unwrap();
    let later = ReceiptBody {
        ended: UnixTime::from_secs(NOON.as_secs() + 600),
        ..paid(&wallet, 2)
    };
    receipts.keep(&signed(later)).unwrap();
    drop(receipts);

    let receipts = open(home.path());
    assert_eq!(receipts.count(), 2);
    assert_eq!(
        receipts.get(whole.body().session).unwrap(),
        Some(whole.clone())
    );
    assert_eq!(receipts.all().unwrap()[1], whole, "newest first");
}
