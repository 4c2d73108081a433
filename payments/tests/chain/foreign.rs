//! Trouble on a foreign node: anvil drops, forgets and gets dear, and two of them are two worlds.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use warren_payments::calls::Call;
use warren_payments::chain::eth::EthNode;
use warren_payments::chain::quorum::Quorum;
use warren_payments::chain::rpc::{RpcChain, RpcLimits};
use warren_payments::chain::{Chain as _, ChainError, EndpointState};
use warren_payments::store::MemoryStore;
use warren_payments::tx::{Done, Submitter, SubmitterConfig, TxError, TxRules};
use warren_proto::{Amount, PayoutAddress};

use crate::anvil::Anvil;
use crate::world::{Hands, key};

const GWEI: u64 = 1_000_000_000;
const POLL: Duration = Duration::from_millis(50);

type Asked = tokio::task::JoinHandle<Result<Done, TxError>>;

impl Anvil {
    /// Makes blocks, each at this base fee, until the call is done.
    async fn blocks_until(&self, base_fee: u64, task: &mut Asked) -> Result<Done, TxError> {
        let done = async {
            loop {
                let fee = json!([format!("{base_fee:#x}")]);
                self.ask("anvil_setNextBlockBaseFeePerGas", fee).await;
                self.ask("evm_mine", json!([])).await;
                // Time for the task to look at this block.
                if let Ok(done) = tokio::time::timeout(4 * POLL, &mut *task).await {
                    return done.unwrap();
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), done)
            .await
            .unwrap()
    }

    /// Waits until so many transactions wait for a block.
    async fn has_waiting(&self, count: u64) {
        let wanted = json!(format!("{count:#x}"));
        let waits = async {
            while self.ask("txpool_status", json!([])).await["pending"] != wanted {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waits)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_foreign_node_that_drops_forgets_and_raises_fees_takes_each_call_once() {
    let Some(anvil) = Anvil::start() else {
        eprintln!("SKIPPED: no anvil; run `npm ci` in payments/contracts");
        return;
    };
    let world = anvil.world().await;
    let Hands::Anvil(node) = &world.hands else {
        panic!("an anvil")
    };
    node.ask("evm_setAutomine", json!([false])).await;
    let rules = TxRules {
        chain_id: 31337,
        confirmations: 2,
        bump_after_blocks: 2,
        fee_cap: Amount::from_wei_u64(2000 * GWEI),
        urgent: Duration::from_secs(1200),
    };
    let config = SubmitterConfig {
        rules,
        poll: POLL,
        max_silence: Duration::from_secs(60),
    };
    let store = Arc::new(MemoryStore::new());
    let submitter = Submitter::start(Arc::clone(&world.chain), store, key(0), config).unwrap();
    let to = PayoutAddress::from_bytes([0xaa; 20]);
    let submit = |amount| {
        let (submitter, amount) = (submitter.clone(), Amount::from_wei_u64(amount));
        tokio::spawn(async move { submitter.submit(Call::Transfer { to, amount }).await })
    };
    // Dropped from the pool while this node waits for it.
    let mut dropped = submit(5);
    node.has_waiting(1).await;
    node.ask("anvil_dropAllTransactions", json!([])).await;
    node.has_waiting(0).await;
    node.blocks_until(GWEI, &mut dropped).await.unwrap();
    assert_eq!(world.tokens(to).await, Amount::from_wei_u64(5));
    // Stuck: gas costs many times what it did when it was sent.
    let mut stuck = submit(7);
    node.has_waiting(1).await;
    let done = node.blocks_until(40 * GWEI, &mut stuck).await.unwrap();
    let receipt = world.chain.receipt(done.tx).await.unwrap().unwrap();
    assert!(receipt.gas_price >= Amount::from_wei_u64(40 * GWEI));
    assert_eq!(
        world.tokens(to).await,
        Amount::from_wei_u64(12),
        "each once"
    );
    // Replaced by another of the same account: both happen, none twice.
    let mut replaced = submit(100);
    node.has_waiting(1).await;
    let other = Call::Transfer {
        to,
        amount: Amount::from_wei_u64(1000),
    };
    let theirs = world.sign(&key(0), &other, 100_000).await;
    let _taken_or_not = world.chain.submit_raw(theirs.raw).await;
    node.blocks_until(41 * GWEI, &mut replaced).await.unwrap();
    let balance = world.tokens(to).await.wei();
    assert!(balance == 112 || balance == 1112, "{balance}");
}

#[tokio::test]
async fn two_foreign_nodes_make_a_quorum_and_two_worlds_do_not() {
    let (Some(ours), Some(other)) = (Anvil::start(), Anvil::start()) else {
        eprintln!("SKIPPED: no anvil; run `npm ci` in payments/contracts");
        return;
    };
    let (url, foreign) = (ours.url.clone(), other.url.clone());
    let world = ours.world().await;
    let way = |url: &str| -> (String, Arc<dyn EthNode>) {
        let chain = RpcChain::new(url, world.pins, RpcLimits::default()).unwrap();
        (chain.name(), Arc::new(chain))
    };
    // The same node by two names: as like each other as two honest nodes.
    let twice = Quorum::new(
        vec![way(&url), way(&url.replace("127.0.0.1", "localhost"))],
        2,
    );
    let twice = twice.unwrap();
    twice.verify_contract().await.unwrap();
    let head = twice.head().await.unwrap();
    assert_eq!(world.chain.head().await, Ok(head));
    let events = twice.events(0, head.number).await;
    assert_eq!(events, world.chain.events(0, head.number).await);
    // A fresh node of the same chain id has no contract: no voice, and so no quorum.
    let apart = Quorum::new(vec![way(&url), way(&foreign)], 2).unwrap();
    let error = apart.head().await.unwrap_err();
    assert!(matches!(error, ChainError::NoQuorum { .. }), "{error}");
    let seats = apart.report().each;
    assert_eq!(seats[1].state, EndpointState::Wrong, "{seats:?}");
    drop(other);
}
