//! Nodes that say no, or too much, to what would work: it happens all the same, and once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use warren_payments::calls::Call;
use warren_payments::chain::dev::Mining;
use warren_payments::chain::{Chain as _, ChainError};
use warren_payments::store::{ChannelStore as _, MemoryStore, Table};
use warren_payments::tx::{Stake, Submitter, SubmitterConfig, TxError, TxRules};
use warren_proto::Amount;

use crate::quorum::{hex, scene};
use crate::submitter::{POLL, Rig, TO, ask, transfer};
use crate::twisted::Twisted;
use crate::world::wei;

fn no(message: &str) -> ChainError {
    ChainError::Refused {
        method: "eth_sendRawTransaction".to_owned(),
        code: -32000,
        message: message.to_owned(),
    }
}

/// Its node has what it sends once more, and says so in words that are known or not.
#[tokio::test(start_paused = true)]
async fn a_transaction_that_the_node_has_already_is_not_given_up() {
    for message in ["Known transaction", "AlreadyKnown", "seen that one before"] {
        let rig = Rig::new();
        let node = Twisted::honest(&rig.chain);
        let known = Mutex::new(BTreeSet::new());
        node.becomes(move |method, params, _| {
            let is_new = || known.lock().unwrap().insert(params[0].to_string());
            (method == "eth_sendRawTransaction" && !is_new()).then(|| Err(no(message)))
        });
        let submitter = rig.submitter_on(Arc::new(node.clone()), 1);
        let task = ask(&submitter, transfer(5));
        tokio::time::sleep(3 * POLL).await;
        task.abort();
        drop(submitter);
        tokio::time::sleep(3 * POLL).await;
        let again = rig.submitter_on(Arc::new(node), 1);
        tokio::time::sleep(3 * POLL).await;
        assert_eq!(rig.chain.waiting(), 1);
        let saved = rig.store.scan(Table::Tx).unwrap();
        assert_eq!(saved.len(), 1, "{message}: it is on its way");
        let later = ask(&again, transfer(7));
        rig.blocks_until(later).await.unwrap();
        assert_eq!(rig.chain.token_balance(TO).await, Ok(wei(12)), "each once");
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_node_takes_is_refused_for_the_reason_that_it_gives() {
    let rig = Rig::new();
    let node = Twisted::honest(&rig.chain);
    let reason = "exceeds block gas limit";
    node.becomes(move |method, _, _| (method == "eth_sendRawTransaction").then(|| Err(no(reason))));
    let submitter = rig.submitter_on(Arc::new(node), 1);
    let told = ask(&submitter, transfer(5)).await.unwrap();
    let refused = TxError::Refused {
        call: "transfer",
        source: no(reason),
    };
    assert_eq!(told, Err(refused));
    assert_eq!(rig.store.scan(Table::Tx).unwrap(), vec![]);
}

fn sending(chain_id: u64, max_silence: Duration) -> SubmitterConfig {
    SubmitterConfig {
        rules: TxRules {
            chain_id,
            confirmations: 1,
            bump_after_blocks: 2,
            fee_cap: wei(1_000_000_000_000),
            urgent: Duration::from_secs(1200),
        },
        poll: Duration::from_millis(10),
        max_silence,
    }
}

/// One says that a claim takes 4 million gas: by that, what it brings would pay for none of it.
#[tokio::test]
async fn one_that_says_a_claim_takes_much_gas_keeps_it_out_of_no_block() {
    for three in [true, false] {
        let scene = scene().await;
        scene
            .b
            .becomes(|method, _, _| (method == "eth_estimateGas").then(|| Ok(hex(4_000_000))));
        let params = scene.world.params(1);
        let quorum = if three { scene.three() } else { scene.two() };
        let config = sending(scene.world.pins.chain_id, Duration::from_secs(60));
        let store = Arc::new(MemoryStore::new());
        let key = crate::world::key(1);
        let submitter = Submitter::start(Arc::new(quorum), store, key, config).unwrap();
        let fees = scene.chain.fees().await.unwrap();
        let price = fees.base_fee.wei() + fees.tip.wei();
        let stake = Stake {
            worth: Some(Amount::from_wei(20 * 65_000 * price).unwrap()),
            deadline: None,
        };
        let claim = Call::Claim(scene.world.claim(&params, wei(700), &[]));
        let done = submitter.submit_at_stake(claim, stake).await.unwrap();
        assert!(done.gas_used < 70_000, "{done:?}");
        assert_eq!(scene.world.pot(&scene.world.payee).await, wei(700));
    }
}

/// One of two stands still, so that both agree on a block that never gets older: by that, there is always time.
#[tokio::test]
async fn a_claim_pays_more_though_the_newest_block_that_is_agreed_on_stands_still() {
    let scene = scene().await;
    let params = scene.world.params(1);
    scene.chain.set_mining(Mining::Manual);
    scene.b.stands_still();
    let config = sending(scene.world.pins.chain_id, Duration::from_millis(50));
    let (store, key) = (Arc::new(MemoryStore::new()), crate::world::key(1));
    let submitter = Submitter::start(Arc::new(scene.two()), store, key, config).unwrap();
    let stake = Stake {
        worth: None,
        deadline: None,
    };
    let claim = Call::Claim(scene.world.claim(&params, wei(700), &[]));
    tokio::spawn(async move { submitter.submit_at_stake(claim, stake).await });
    let taken = async {
        while scene.chain.waiting() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let base_fee = scene.chain.fees().await.unwrap().base_fee;
        let dear = base_fee.checked_mul(5_u64).unwrap();
        while scene.world.pot(&scene.world.payee).await != wei(700) {
            scene.chain.set_base_fee(dear);
            scene.chain.mine();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, taken).await.unwrap();
}
