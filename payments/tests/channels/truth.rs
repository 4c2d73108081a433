//! Money whose chain is told by endpoints that lie, hide, lag or die: nothing of it is lost.

use std::sync::Arc;
use std::time::Duration;

use ethers_core::utils::keccak256;
use serde_json::{Value, json};
use warren_payments::chain::Chain;
use warren_payments::chain::dev::DevChain;
use warren_payments::store::MemoryStore;
use warren_payments::{ChainTrouble, PaymentEvent, PaymentsConfig, PaymentsError, Wallet};
use warren_proto::{Amount, ChannelId, PayErrorCode};

use crate::party::{HOUR, Party, begin, config, first_voucher, funded, open, pay, units, world};
use crate::twisted::{Twisted, quorum};

/// A payee that hears of the chain through two endpoints, and a payer who sees it itself.
struct Scene {
    chain: DevChain,
    a: Twisted,
    b: Twisted,
    payer: Party,
    payee: Party,
}

async fn scene() -> Scene {
    scene_with(config()).await
}

async fn scene_with(settings: PaymentsConfig) -> Scene {
    let chain = world();
    let [a, b] = [0, 1].map(|_| Twisted::honest(&chain));
    let payer = Party::rich(&chain).await;
    let wallet = funded(&chain, units(1));
    let way: Arc<dyn Chain> = Arc::new(quorum(&[&a, &b]));
    let payee = Party::start_by(way, &chain, wallet, MemoryStore::new(), settings);
    Scene {
        chain,
        a,
        b,
        payer,
        payee,
    }
}

impl Scene {
    /// A channel on which so many units are paid.
    async fn paid(&self, count: u64) -> ChannelId {
        let channel = open(&self.payer, &self.payee, units(1000)).await;
        begin(&self.payer, &self.payee, channel).await;
        pay(&self.payer, &self.payee, channel, 0, count).await;
        channel
    }

    async fn claimed(&self, channel: ChannelId) -> Amount {
        self.chain.channel(channel).await.unwrap().unwrap().claimed
    }

    /// Waits until the chain has seen a claim of so much.
    async fn is_claimed(&self, channel: ChannelId, amount: Amount) {
        let claimed = async {
            while self.claimed(channel).await != amount {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let patience = Duration::from_secs(60);
        tokio::time::timeout(patience, claimed).await.unwrap();
    }
}

fn trouble(error: PaymentsError) -> ChainTrouble {
    let PaymentsError::Chain { trouble, .. } = error else {
        panic!("{error}")
    };
    trouble
}

/// The channel's id in a log of its opening, its top-ups and its closing.
fn topic(log: &Value) -> &str {
    log["topics"][1].as_str().unwrap_or_default()
}

fn is_closing(log: &Value) -> bool {
    let name = keccak256("Closing(bytes32,address,uint48)");
    log["topics"][0] == json!(format!("0x{}", hex::encode(name)))
}

#[tokio::test]
async fn an_invented_deposit_gives_no_credit() {
    let scene = scene().await;
    // The truth is a deposit of 10 units; the liar says 16 times that.
    scene.b.changes_logs(|logs| {
        for log in logs
            .iter_mut()
            .filter(|it| it["topics"].as_array().map_or(0, Vec::len) == 4)
        {
            let data = log["data"].as_str().unwrap_or_default();
            let (rest, deposit) = data.split_at(data.len() - 64);
            let (zero, more) = deposit.split_at(1);
            log["data"] = json!(format!("{rest}{more}{zero}"));
        }
    });
    let payee = scene.payee.account();
    let opened = scene
        .payer
        .payments
        .open_channel(payee, units(10), crate::party::HOUR)
        .await;
    let channel = opened.unwrap();
    scene.payer.payments.wait_usable(channel).await.unwrap();
    let error = scene.payee.payments.refresh().await.unwrap_err();
    assert_eq!(trouble(error), ChainTrouble::Disputed);
    assert_eq!(scene.payee.payments.channels().await.unwrap(), []);
    scene.b.mends();
    scene.payee.payments.refresh().await.unwrap();
    let known = scene.payee.payments.channels().await.unwrap();
    assert_eq!(
        known.iter().map(|it| it.deposit).collect::<Vec<_>>(),
        [units(10)]
    );
}

#[tokio::test]
async fn a_hidden_closing_is_answered_with_a_claim_though_nobody_agrees() {
    let scene = scene().await;
    let channel = scene.paid(320).await;
    scene
        .b
        .changes_logs(|logs| logs.retain(|it| !is_closing(it)));
    scene.payer.payments.close(channel, None).await.unwrap();
    scene.is_claimed(channel, units(320)).await;
    // The record holds what is agreed on, and takes nothing new meanwhile.
    let frames = scene.payer.payments.release(channel, 321).await;
    assert!(frames.is_err(), "the payer closes");
    scene.b.mends();
    scene.payee.payments.refresh().await.unwrap();
    let held = scene.payee.payments.channels().await.unwrap();
    assert_eq!(held[0].claimed, units(320));
}

#[tokio::test]
async fn a_claim_goes_out_with_one_endpoint_dead_while_the_window_runs() {
    for victim in [0, 1] {
        let scene = scene().await;
        let channel = scene.paid(320).await;
        [&scene.a, &scene.b][victim].dies();
        scene.payer.payments.close(channel, None).await.unwrap();
        scene.is_claimed(channel, units(320)).await;
        let error = scene.payee.payments.refresh().await.unwrap_err();
        assert_eq!(trouble(error), ChainTrouble::TooFew);
        [&scene.a, &scene.b][victim].mends();
        scene.payee.payments.refresh().await.unwrap();
        let held = scene.payee.payments.channels().await.unwrap();
        assert_eq!(held[0].claimed, units(320));
    }
}

/// It answers as it should, only of no later block: so both agree, on what is old.
#[tokio::test]
async fn a_claim_goes_out_with_one_endpoint_standing_still_while_the_window_runs() {
    for victim in [0, 1] {
        let scene = scene_with(PaymentsConfig {
            max_silence: Duration::from_millis(300),
            ..config()
        })
        .await;
        let channel = scene.paid(320).await;
        let slow = [&scene.a, &scene.b][victim];
        slow.stands_still();
        scene.payer.payments.close(channel, None).await.unwrap();
        scene.is_claimed(channel, units(320)).await;
        scene.payee.payments.refresh().await.unwrap();
        let held = scene.payee.payments.channels().await.unwrap();
        assert_eq!(held[0].claimed, units(0), "what they agree on is old");
        slow.mends();
        scene.payee.payments.refresh().await.unwrap();
        let held = scene.payee.payments.channels().await.unwrap();
        assert_eq!(held[0].claimed, units(320));
    }
}

/// One of two says an old nonce for good and takes whatever has it: a claim goes out under the true one too.
#[tokio::test]
async fn a_claim_is_not_held_up_by_one_that_makes_a_nonce_up() {
    let scene = scene().await;
    let channel = scene.paid(40).await;
    scene.payee.payments.claim(channel).await.unwrap();
    scene.is_claimed(channel, units(40)).await;
    pay(&scene.payer, &scene.payee, channel, 40, 320).await;
    scene.b.becomes(|method, params, _| match method {
        "eth_getTransactionCount" => Some(Ok(json!("0x0"))),
        "eth_sendRawTransaction" => {
            let raw = params[0].as_str()?.strip_prefix("0x")?;
            let hash = keccak256(hex::decode(raw).ok()?);
            Some(Ok(json!(format!("0x{}", hex::encode(hash)))))
        }
        _ => None,
    });
    scene.payer.payments.close(channel, None).await.unwrap();
    scene.is_claimed(channel, units(320)).await;
}

#[tokio::test]
async fn an_invented_closing_costs_a_claims_gas_and_nothing_else() {
    let scene = scene().await;
    let channel = scene.paid(320).await;
    let name = channel.to_string();
    let id = format!("0x{}", name.trim_start_matches("0x"));
    // A real closing of another channel, retold as one of this.
    let other = open(&scene.payer, &scene.payee, units(1)).await;
    let (told, theirs) = (id.clone(), other.to_string());
    scene.b.changes_logs(move |logs| {
        let theirs = theirs.trim_start_matches("0x");
        for log in logs
            .iter_mut()
            .filter(|it| is_closing(it) && topic(it).contains(theirs))
        {
            log["topics"][1] = json!(told);
        }
    });
    scene.payer.payments.close(other, None).await.unwrap();
    scene.is_claimed(channel, units(320)).await;
    // Words of a voucher that was taken stay money meanwhile.
    pay(&scene.payer, &scene.payee, channel, 320, 325).await;
    scene.b.mends();
    scene.payee.payments.refresh().await.unwrap();
    let held = scene.payee.payments.held(channel).await.unwrap();
    assert_eq!(held.ack.value_now, units(325));
    // Credit is given again: the channel was never closing.
    pay(&scene.payer, &scene.payee, channel, 325, 330).await;
}

#[tokio::test]
async fn without_agreement_no_new_credit_is_given_and_old_words_stay_money() {
    let chain = world();
    let [a, b] = [0, 1].map(|_| Twisted::honest(&chain));
    let payer = Party::rich(&chain).await;
    let way: Arc<dyn Chain> = Arc::new(quorum(&[&a, &b]));
    let settings = PaymentsConfig {
        max_silence: Duration::from_millis(300),
        ..config()
    };
    let wallet = Wallet::generate().unwrap();
    let mut payee = Party::start_by(way, &chain, wallet, MemoryStore::new(), settings);
    let channel = open(&payer, &payee, units(1000)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 5).await;
    let held_back = payer.payments.release(channel, 6).await.unwrap();
    let last = payer.payments.finish(channel).await.unwrap();
    b.dies();
    payee.hear(|it| *it == PaymentEvent::ChainStale(true)).await;
    let refused = payee.payments.accept_voucher(last.clone()).await;
    assert_eq!(refused, Err(PayErrorCode::ChainStale));
    let taken = payee.take(channel, held_back).await.unwrap().unwrap();
    assert_eq!(
        taken.ack.value_now,
        units(6),
        "a word for service already given"
    );
    b.mends();
    payee
        .hear(|it| *it == PaymentEvent::ChainStale(false))
        .await;
    payee.payments.accept_voucher(last).await.unwrap();
}

#[tokio::test]
async fn a_payee_that_was_away_takes_no_voucher_before_it_has_looked() {
    let chain = world();
    let payer = Party::rich(&chain).await;
    let silence = Duration::from_millis(300);
    let settings = PaymentsConfig {
        // It looks when it is told to.
        poll: HOUR,
        max_silence: silence,
        ..config()
    };
    let wallet = Wallet::generate().unwrap();
    let payee = Party::start_as(&chain, wallet, MemoryStore::new(), settings);
    let channel = open(&payer, &payee, units(1000)).await;
    let voucher = first_voucher(&payer, &payee, channel).await;
    // As a machine that sleeps: nothing happens, and time passes.
    tokio::time::sleep(2 * silence).await;
    let refused = payee.payments.accept_voucher(voucher.clone()).await;
    assert_eq!(refused, Err(PayErrorCode::ChainStale));
    // A busy machine may be away again between the two.
    for _ in 0..50 {
        payee.payments.refresh().await.unwrap();
        if payee.payments.accept_voucher(voucher.clone()).await.is_ok() {
            return;
        }
    }
    panic!("a payee that has looked takes no voucher");
}
