//! What once went wrong for good, and is got over now: a task that a failing disk ended, and a node that shows an
//! older chain than it did before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use warren_payments::chain::{Chain, ChainEvent, EventKind};
use warren_payments::store::{Fault, MemoryStore};
use warren_payments::{PaymentEvent, PaymentsConfig, Phase};

use crate::party::{HOUR, Party, begin, config, funded, open, pay, units, world};
use crate::twisted::{Twisted, truth};

#[tokio::test]
async fn a_sender_that_a_failing_disk_ended_is_replaced() {
    // The first write is the channel's, the ones after it are the sender's own.
    for write in 1..4 {
        let chain = world();
        let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
        let channel = open(&payer, &payee, units(100)).await;
        begin(&payer, &payee, channel).await;
        pay(&payer, &payee, channel, 0, 30).await;
        payee.store.inject(Some(Fault::LoseFrom(write)));
        let _fails_or_not = payee.payments.claim(channel).await;
        payee.store.inject(None);
        payee.payments.refresh().await.unwrap();
        // Whatever the first one came to: all of it is claimed by the time the second answers.
        let claimed = payee.payments.claim(channel).await;
        payee.payments.refresh().await.unwrap();
        let on_chain = chain.channel(channel).await.unwrap().unwrap().claimed;
        assert_eq!(on_chain, units(30), "write {write}: {claimed:?}");
        assert!(claimed.is_ok(), "write {write}: {claimed:?}");
    }
}

/// Everything that is asked of the newest block is answered as of an older one.
fn as_of(block: u64) -> impl Fn(&str, &Value) -> Option<Value> {
    let then = format!("{block:#x}");
    move |method, params| {
        let place = match method {
            "eth_getBlockByNumber" => 0,
            "eth_call" => 1,
            _ => return None,
        };
        let mut params = params.clone();
        if params[place] == json!("latest") {
            params[place] = json!(then);
        }
        Some(params)
    }
}

#[tokio::test]
async fn a_node_that_lags_takes_no_history_back() {
    let chain = world();
    let payer = Party::rich(&chain).await;
    let node = Twisted::honest(&chain);
    let wallet = funded(&chain, units(1));
    let way: Arc<dyn Chain> = Arc::new(node.clone());
    let payee = Party::start_by(way, &chain, wallet, MemoryStore::new(), config());
    let before = chain.tip().number;
    let channel = open(&payer, &payee, units(100)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 5).await;

    // One of several nodes behind one door has not heard of the channel yet.
    let older = as_of(before);
    node.becomes(move |method, params, chain| {
        let params = older(method, params)?;
        let beyond = params[0].as_str().and_then(|it| {
            let number = it.strip_prefix("0x")?;
            u64::from_str_radix(number, 16).ok()
        });
        if method == "eth_getBlockByNumber" && beyond.is_some_and(|it| it > before) {
            return Some(Ok(Value::Null));
        }
        Some(truth(chain, method, &params))
    });
    for _ in 0..3 {
        assert!(payee.payments.refresh().await.is_err(), "it is no news");
        let known = payee.payments.channels().await.unwrap();
        let (phase, deposit) = (known[0].phase, known[0].deposit);
        assert_eq!((phase, deposit), (Phase::Open, units(100)));
    }
    node.mends();
    payee.payments.refresh().await.unwrap();
    pay(&payer, &payee, channel, 5, 9).await;
}

/// A node stopped while its opening waited, and that comes into a block just when the chain has said that there is
/// no such channel.
#[tokio::test]
async fn an_opening_that_is_mined_between_two_questions_gives_its_key_nothing_twice() {
    let chain = world();
    let settings = PaymentsConfig {
        fresh_keys: true,
        ..config()
    };
    let (wallet, payee) = (funded(&chain, units(1000)), Party::rich(&chain).await);
    let payer = Party::start_as(&chain, wallet, MemoryStore::new(), settings.clone());
    let opened = payer
        .payments
        .open_channel(payee.account(), units(100), HOUR);
    let id = opened.await.unwrap();
    let store = payer.store.snapshot();
    payer.payments.wait_usable(id).await.unwrap();
    let account = payer.account();
    let (_, wallet, _) = payer.stop();
    assert_eq!(chain.token_balance(account).await.unwrap(), units(900));
    let opening = |it: &&ChainEvent| matches!(it.kind, EventKind::Opened { .. });
    let events = chain.events(0, chain.tip().number).await.unwrap();
    let older = as_of(events.iter().find(opening).unwrap().block - 1);

    let (node, asked) = (Twisted::honest(&chain), AtomicBool::new(false));
    let digits = id.to_string().split_off(2);
    node.becomes(move |method, params, chain| {
        let about_it = params.to_string().contains(&digits);
        let mined = asked.load(Ordering::Relaxed) && !about_it;
        if method != "eth_call" || mined {
            return None;
        }
        asked.fetch_or(about_it, Ordering::Relaxed);
        Some(truth(chain, method, &older(method, params)?))
    });
    let way: Arc<dyn Chain> = Arc::new(node);
    let mut payer = Party::start_by(way, &chain, wallet, store, settings);
    payer
        .hear(|it| matches!(it, PaymentEvent::ActionFailed { .. }))
        .await;
    assert_eq!(chain.token_balance(account).await.unwrap(), units(900));
}
