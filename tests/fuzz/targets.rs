//! What each fuzz target does with its bytes: reads them as a stranger's, and holds what was read to a law.
//!
//! The fuzzer (`fuzz_targets/`) and the replay of the corpora (`replay.rs`) call these same functions.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use serde_json::Value;
use warren_payments::chain::eth::EthNode;
use warren_payments::chain::{CallRequest, Chain as _, ChainError, ChainFuture, Revert};
use warren_payments::channel::router::RoutedPayment;
use warren_payments::channel::{PayeeChannel, PayerChannel, Rules};
use warren_payments::ledger::Entry;
use warren_payments::store::Table;
use warren_payments::tower::{Appointment, Closing};
use warren_payments::tx::{TxManager, TxRules};
use warren_proto::{
    Amount, ChainRef, ChannelId, NodeKey, PayoutAddress, Receipt, RouteFrame, SessionFrame,
    SessionTerms, SignedOffer, SignedRouterHint, TowerClaim, TxHash, UnixTime,
};
use warren_tunnel::MOST_MTU;

use crate::admission::admit;
use crate::heads::Head;
use crate::receipts;

mod payee;
mod payer;
pub(crate) mod router;
pub(crate) mod script;
mod tower;
mod transactions;

#[path = "../../payments/tests/sim/life/lib.rs"]
#[allow(dead_code, reason = "the schedules' own tests use all of it")]
mod life;
#[path = "../../node/tunnel/tests/plane_engine/pair.rs"]
pub(crate) mod pair;
#[path = "../../node/tunnel/tests/plane_offload/model.rs"]
mod super_packet_model;

use life::schedule::Schedule;
use pair::Pair;

/// What a target does.
pub(crate) type Target = fn(&[u8]);

/// Every target, by the name of its corpus.
pub(crate) const ALL: [(&str, Target); 18] = [
    ("frame", frame),
    ("offer", offer),
    ("terms", terms),
    ("records", records),
    ("answers", answers),
    ("reverts", reverts),
    ("datagrams", datagrams),
    ("packets", packets),
    ("super_packets", super_packets),
    ("schedules", schedules),
    ("roads", roads),
    ("payer", payer),
    ("payee", payee),
    ("router", router),
    ("tower", tower),
    ("transactions", transactions),
    ("receipt", receipt),
    ("heads", heads),
];

const NOON: UnixTime = UnixTime::from_secs(1_800_000_000);

/// A frame of a session or a route, or a receipt: what can be read can be written, and reads the same.
pub(crate) fn frame(bytes: &[u8]) {
    if let Ok(frame) = RouteFrame::decode(bytes) {
        let again = RouteFrame::decode(&frame.encode());
        assert_eq!(again.as_ref(), Ok(&frame));
    }
    if let Ok(receipt) = Receipt::decode(bytes) {
        let again = Receipt::decode(&receipt.encode());
        assert_eq!(again.as_ref(), Ok(&receipt));
    }
    if let Ok(frame) = SessionFrame::decode(bytes) {
        let again = SessionFrame::decode(&frame.encode());
        assert_eq!(again.as_ref(), Ok(&frame));
    }
}

/// An offer, as the overlay admits it. All of it is read before its signature is looked at.
pub(crate) fn offer(bytes: &[u8]) {
    if let Ok(offer) = admit(bytes, "warren/1", NOON) {
        assert_eq!(offer.as_bytes(), bytes);
        let key = NodeKey::from_seed(&[1; 32]);
        // Somebody else's offer is not ours to sign.
        assert_eq!(
            offer.offer().clone().sign(&key).is_ok(),
            offer.offer().node == key.id()
        );
    }
    let _whatever = SignedOffer::decode(bytes, UnixTime::default());
    if let Ok(hint) = SignedRouterHint::decode(bytes, NOON) {
        assert_eq!(hint.as_bytes(), bytes);
    }
}

/// The whole deal of a session.
pub(crate) fn terms(bytes: &[u8]) {
    if let Ok(terms) = SessionTerms::decode(bytes) {
        assert_eq!(SessionTerms::decode(&terms.encode()).as_ref(), Ok(&terms));
    }
}

/// Records of payments; the first byte says whose. What a disk gave back is written the same again, but
/// for what a restart makes of it.
pub(crate) fn records(bytes: &[u8]) {
    let Some((kind, record)) = bytes.split_first() else {
        return;
    };
    match kind % 8 {
        0 => {
            if let Ok(channel) = PayerChannel::decode(record) {
                assert_same(&channel.encode(), record);
            }
        }
        1 => {
            if let Ok(channel) = PayeeChannel::decode(record, Rules::default()) {
                assert_same(&channel.encode(), record);
                let _worth = channel.claimable(NOON);
            }
        }
        2 => {
            if let Ok(entry) = Entry::decode(record) {
                assert_same(&entry.encode(), record);
            }
        }
        3 => flights(record),
        4 => {
            if let Ok(payment) = RoutedPayment::decode(record) {
                assert_same(&payment.encode(), record);
            }
        }
        5 => {
            if let Ok(put) = Appointment::decode(record) {
                assert_same(&put.encode(), record);
            }
        }
        6 => {
            if let Ok(closing) = Closing::decode(record) {
                assert_same(&closing.encode(), record);
            }
        }
        _ => {
            if let Ok(claim) = TowerClaim::decode(record) {
                assert_eq!(TowerClaim::decode(&claim.encode()).as_ref(), Ok(&claim));
            }
        }
    }
}

/// What was read is written as it was, unless an older version wrote it.
fn assert_same(written: &[u8], read: &[u8]) {
    if written.first() == read.first() {
        assert_eq!(written, read);
    }
}

fn flights(record: &[u8]) {
    let account = PayoutAddress::from_bytes([1; 20]);
    let rules = TxRules {
        chain_id: 1,
        confirmations: 6,
        bump_after_blocks: 3,
        fee_cap: Amount::MAX,
        urgent: Duration::ZERO,
    };
    let key = [account.as_bytes().as_slice(), &[0; 8]].concat();
    let rows = vec![(key, record.to_vec())];
    if let Ok(manager) = TxManager::restored(rules, account, &rows) {
        let empty = TxManager::new(rules);
        let puts = empty.puts(&manager, account);
        // A record without a version is never written.
        if let Some(put) = puts.first() {
            assert_eq!(put.table, Table::Tx);
            assert_same(put.value.as_deref().unwrap_or_default(), record);
        }
    }
}

/// A chain's node that gives the same answer to everything.
#[derive(Debug)]
struct Oracle(Value);

impl EthNode for Oracle {
    fn pins(&self) -> ChainRef {
        ChainRef {
            chain_id: 1,
            contract: PayoutAddress::from_bytes([0xc0; 20]),
            token: PayoutAddress::from_bytes([0x70; 20]),
        }
    }

    fn ask(&self, _: &'static str, _: Value) -> ChainFuture<'_, Value> {
        let answer: Result<Value, ChainError> = Ok(self.0.clone());
        Box::pin(std::future::ready(answer))
    }
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(it) => it,
        Poll::Pending => panic!("nothing here waits"),
    }
}

/// The JSON that a node far away answers with, to each question.
pub(crate) fn answers(bytes: &[u8]) {
    let Ok(answer) = serde_json::from_slice(bytes) else {
        return;
    };
    let (node, nobody) = (Oracle(answer), PayoutAddress::ZERO);
    let request = CallRequest {
        from: nobody,
        to: nobody,
        value: Amount::ZERO,
        data: Vec::new(),
    };
    at_once(async {
        let _ = node.verify_contract().await;
        let _ = node.head().await;
        let _ = node.block(7).await;
        let _ = node.channel(ChannelId::from_bytes([1; 32])).await;
        let _ = node.balance(nobody).await;
        let _ = node.beneficiary(nobody).await;
        let _ = node.token_balance(nobody).await;
        let _ = node.allowance(nobody).await;
        let _ = node.native_balance(nobody).await;
        let _ = node.nonce(nobody).await;
        let _ = node.submit_raw(vec![1]).await;
        let _ = node.receipt(TxHash::from_bytes([2; 32])).await;
        let _ = node.calldata(TxHash::from_bytes([2; 32])).await;
        let _ = node.call(request.clone()).await;
        let _ = node.estimate(request).await;
        let _ = node.fees().await;
        if let Ok(events) = node.events(0, 9).await {
            assert!(events.iter().all(|it| it.block <= 9));
        }
    });
}

/// What a contract gave back when it undid a call.
pub(crate) fn reverts(bytes: &[u8]) {
    let _words = Revert::read(bytes).to_string();
}

/// A tunnel's keys are good for three minutes; a fuzzer runs longer.
const PAIR_LIFE: Duration = Duration::from_secs(100);

thread_local! {
    static PAIR: RefCell<Option<(Instant, Pair)>> = const { RefCell::new(None) };
}

fn with_pair(act: impl FnOnce(&Pair)) {
    let fresh = || (Instant::now(), Pair::connected());
    PAIR.with_borrow_mut(|it| {
        it.take_if(|(made, _)| made.elapsed() > PAIR_LIFE);
        act(&it.get_or_insert_with(fresh).1);
    });
}

/// Datagrams from anywhere, at both ends of a tunnel that is up.
pub(crate) fn datagrams(bytes: &[u8]) {
    with_pair(|pair| {
        let (inner, _) = pair.to_exit(bytes);
        assert!(inner.is_empty(), "a stranger's datagram came through");
        let (inner, _) = pair.to_consumer(bytes);
        assert!(inner.is_empty(), "a stranger's datagram came through");
    });
}

/// Inner packets of a guest, and of the internet to a guest: only those that bear the guest's address
/// come through.
pub(crate) fn packets(bytes: &[u8]) {
    // A device gives no longer ones.
    let bytes = &bytes[..bytes.len().min(usize::from(MOST_MTU))];
    with_pair(|pair| {
        for datagram in pair.up(bytes) {
            for inner in pair.to_exit(&datagram).0 {
                let source = match inner[0] >> 4 {
                    4 => inner.get(12..16) == Some(&pair::GUEST_V4.octets()[..]),
                    _ => inner.get(8..24) == Some(&pair::GUEST_V6.octets()[..]),
                };
                assert!(source, "a guest speaks for another");
            }
        }
        for datagram in pair.down(bytes) {
            let _inner = pair.to_consumer(&datagram);
        }
    });
}

/// What a device hands out, or packets to be merged for one: cutting undoes merging, by the book.
pub(crate) fn super_packets(bytes: &[u8]) {
    super_packet_model::check(bytes);
}

/// Money under every fault: four bytes an action.
pub(crate) fn schedules(bytes: &[u8]) {
    // Longer ones find no more and cost time.
    let schedule = Schedule::from_bytes(&bytes[..bytes.len().min(800)]);
    if let Err(words) = life::world::World::new(None).run(&schedule) {
        panic!("{words}");
    }
}

/// The same over a route and a tower.
pub(crate) fn roads(bytes: &[u8]) {
    let schedule = Schedule::from_bytes(&bytes[..bytes.len().min(800)]);
    if let Err(words) = life::road::world::Road::new(None).run(&schedule) {
        panic!("{words}");
    }
}

/// The payer's core: anything, in any order.
pub(crate) fn payer(bytes: &[u8]) {
    payer::live(bytes);
}

/// The payee's core: anything, in any order.
pub(crate) fn payee(bytes: &[u8]) {
    payee::live(bytes);
}

/// A router's core: anything, in any order.
pub(crate) fn router(bytes: &[u8]) {
    router::live(bytes);
}

/// A tower's core: anything, in any order.
pub(crate) fn tower(bytes: &[u8]) {
    tower::live(bytes);
}

/// The transaction manager: anything, in any order.
pub(crate) fn transactions(bytes: &[u8]) {
    transactions::live(bytes);
}

/// A receipt, as bytes or as a file: written the same, and verified by itself without a panic.
pub(crate) fn receipt(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let read = Receipt::decode(bytes).ok();
    let Some(receipt) = read.or_else(|| receipts::from_text(&text).ok()) else {
        return;
    };
    let again = receipts::from_text(&receipts::to_text(&receipt)).ok();
    assert_eq!(again.as_ref(), Some(&receipt));
    let _verdict = receipts::verify(&receipt);
}

/// A head of the store's hash chain: what is read is written the same.
pub(crate) fn heads(bytes: &[u8]) {
    if let Some(head) = Head::decode(bytes) {
        assert_eq!(head.encode(), bytes);
    }
}
