//! Calls get into blocks: through fee rises, lost history, restarts and strangers.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use warren_payments::calls::Call;
use warren_payments::chain::dev::{DevChain, DevGenesis, Mining, Reorg};
use warren_payments::chain::eth::EthNode;
use warren_payments::chain::{Chain, ChainError, ChainFuture, Revert};
use warren_payments::store::{ChannelStore as _, Fault, MemoryStore, Table};
use warren_payments::tx::{Done, Submitter, SubmitterConfig, TxError, TxRules};
use warren_proto::{Amount, ChainRef, ChannelParams, PayoutAddress};

use crate::world::{Hands, World, key, wei};

pub(crate) const GWEI: u64 = 1_000_000_000;
pub(crate) const POLL: Duration = Duration::from_millis(100);
pub(crate) const TO: PayoutAddress = PayoutAddress::from_bytes([0xaa; 20]);

pub(crate) struct Rig {
    pub(crate) chain: DevChain,
    pub(crate) store: MemoryStore,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let genesis = DevGenesis {
            mining: Mining::Manual,
            ..DevGenesis::default()
        };
        Self {
            chain: DevChain::new(&genesis),
            store: MemoryStore::new(),
        }
    }

    pub(crate) fn submitter(&self, confirmations: u64) -> Submitter {
        self.submitter_on(Arc::new(self.chain.clone()), confirmations)
    }

    pub(crate) fn submitter_on(&self, chain: Arc<dyn Chain>, confirmations: u64) -> Submitter {
        let rules = TxRules {
            chain_id: self.chain.chain_ref().chain_id,
            confirmations,
            bump_after_blocks: 2,
            fee_cap: wei(1000 * GWEI),
            urgent: Duration::from_secs(1200),
        };
        let config = SubmitterConfig {
            rules,
            poll: POLL,
            max_silence: Duration::from_secs(60),
        };
        Submitter::start(chain, Arc::new(self.store.clone()), key(0), config).unwrap()
    }

    /// Lets the task look at the chain, then makes a block.
    pub(crate) async fn block(&self) {
        tokio::time::sleep(3 * POLL).await;
        self.chain.mine();
        tokio::time::sleep(3 * POLL).await;
    }

    pub(crate) async fn blocks_until(&self, task: Asked) -> Result<Done, TxError> {
        for _ in 0..40 {
            if task.is_finished() {
                return task.await.unwrap();
            }
            self.block().await;
        }
        panic!("40 blocks were not enough");
    }
}

pub(crate) type Asked = tokio::task::JoinHandle<Result<Done, TxError>>;

pub(crate) fn ask(submitter: &Submitter, call: Call) -> Asked {
    let submitter = submitter.clone();
    tokio::spawn(async move { submitter.submit(call).await })
}

pub(crate) fn transfer(value: u64) -> Call {
    Call::Transfer {
        to: TO,
        amount: wei(value),
    }
}

#[tokio::test(start_paused = true)]
async fn calls_go_in_order_and_are_confirmed() {
    let rig = Rig::new();
    let submitter = rig.submitter(3);
    let (payer, payee) = (key(0).address(), key(1).address());
    let params = ChannelParams {
        payer,
        payee,
        period_secs: 86_400,
        salt: 1,
    };
    let approve = ask(&submitter, Call::Approve { amount: wei(100) });
    tokio::time::sleep(POLL).await;
    let open = ask(
        &submitter,
        Call::Open {
            params,
            amount: wei(100),
        },
    );
    let done = rig.blocks_until(open).await.unwrap();
    assert!(approve.await.unwrap().unwrap().block < done.block);
    assert!(
        rig.chain.tip().number >= done.block + 2,
        "three confirmations"
    );
    let id = params.id(&rig.chain.chain_ref());
    assert_eq!(
        rig.chain.channel(id).await.unwrap().unwrap().deposit,
        wei(100)
    );
    assert_eq!(
        rig.store.scan(Table::Tx).unwrap(),
        vec![],
        "nothing left on its way"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stuck_transaction_pays_more_until_it_is_taken() {
    let rig = Rig::new();
    let task = ask(&rig.submitter(1), transfer(5));
    tokio::time::sleep(3 * POLL).await;
    rig.chain.set_base_fee(wei(20 * GWEI));
    let done = rig.blocks_until(task).await.unwrap();
    let receipt = rig.chain.receipt(done.tx).await.unwrap().unwrap();
    assert!(receipt.gas_price >= wei(20 * GWEI));
    assert_eq!(rig.chain.token_balance(TO).await, Ok(wei(5)), "once");
}

#[tokio::test(start_paused = true)]
async fn no_fee_exceeds_the_cap() {
    let rig = Rig::new();
    let task = ask(&rig.submitter(1), transfer(5));
    tokio::time::sleep(3 * POLL).await;
    rig.chain.set_base_fee(wei(2000 * GWEI));
    for _ in 0..100 {
        rig.block().await;
    }
    assert!(!task.is_finished());
    rig.chain.set_base_fee(wei(500 * GWEI));
    let done = rig.blocks_until(task).await.unwrap();
    let receipt = rig.chain.receipt(done.tx).await.unwrap().unwrap();
    assert!(receipt.gas_price <= wei(1000 * GWEI));
}

#[tokio::test(start_paused = true)]
async fn what_a_reorganisation_takes_back_is_sent_again() {
    let rig = Rig::new();
    let task = ask(&rig.submitter(6), transfer(5));
    rig.block().await;
    rig.block().await;
    assert_eq!(rig.chain.token_balance(TO).await, Ok(wei(5)));
    rig.chain.reorg(2, Reorg::Drop).unwrap();
    assert_eq!(rig.chain.token_balance(TO).await, Ok(Amount::ZERO));
    let done = rig.blocks_until(task).await.unwrap();
    assert!(done.block > 2);
    assert_eq!(rig.chain.token_balance(TO).await, Ok(wei(5)));
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_where_it_was() {
    let rig = Rig::new();
    let submitter = rig.submitter(1);
    let task = ask(&submitter, transfer(5));
    tokio::time::sleep(3 * POLL).await;
    assert_eq!(rig.chain.waiting(), 1);
    let saved = rig.store.scan(Table::Tx).unwrap();
    assert_eq!(saved.len(), 1, "saved before it was sent");
    task.abort();
    drop(submitter);
    rig.chain.reorg(0, Reorg::Drop).unwrap();
    // The node lost it as well.
    assert_eq!(
        rig.chain.token_balance(TO).await,
        Ok(wei(5)),
        "unless it was taken just now"
    );
    let again = rig.submitter(1);
    let later = ask(&again, transfer(7));
    rig.blocks_until(later).await.unwrap();
    assert_eq!(rig.chain.token_balance(TO).await, Ok(wei(12)), "each once");
    assert_eq!(rig.store.scan(Table::Tx).unwrap(), vec![]);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_the_node_forgot_is_sent_again_after_a_restart() {
    let rig = Rig::new();
    let submitter = rig.submitter(1);
    let task = ask(&submitter, transfer(5));
    tokio::time::sleep(3 * POLL).await;
    task.abort();
    drop(submitter);
    tokio::time::sleep(3 * POLL).await;
    let lost = DevChain::new(&DevGenesis {
        mining: Mining::Manual,
        ..DevGenesis::default()
    });
    let rig = Rig {
        chain: lost,
        store: rig.store.clone(),
    };
    let _again = rig.submitter(1);
    tokio::time::sleep(3 * POLL).await;
    assert_eq!(rig.chain.waiting(), 1, "sent once more from the disk");
    rig.block().await;
    rig.block().await;
    assert_eq!(rig.chain.token_balance(TO).await, Ok(wei(5)));
    assert_eq!(rig.store.scan(Table::Tx).unwrap(), vec![]);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_with_the_same_key_doubles_nothing() {
    let rig = Rig::new();
    let task = ask(&rig.submitter(2), transfer(5));
    tokio::time::sleep(3 * POLL).await;
    // The same account on another machine: same nonce, pays more.
    let world = World::on(Arc::new(rig.chain.clone()), Hands::Dev(rig.chain.clone()));
    rig.chain.set_base_fee(wei(3 * GWEI));
    let theirs = world.sign(&key(0), &transfer(1000), 100_000).await;
    rig.chain
        .submit_raw(theirs.raw)
        .await
        .unwrap_or(theirs.hash);
    let told = rig.blocks_until(task).await;
    let balance = rig.chain.token_balance(TO).await.unwrap();
    match told {
        Ok(done) => {
            assert_eq!(balance, wei(5), "the stranger came too late");
            assert!(rig.chain.receipt(done.tx).await.unwrap().is_some());
        }
        Err(error) => {
            assert_eq!(error, TxError::Unsure { call: "transfer" });
            assert_eq!(balance, wei(1000), "it is not known that ours was not made");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_work_is_not_sent() {
    let rig = Rig::new();
    let submitter = rig.submitter(1);
    let too_much = Call::Withdraw {
        to: TO,
        amount: wei(1),
    };
    let error = ask(&submitter, too_much).await.unwrap().unwrap_err();
    let reason = Revert::Insufficient {
        balance: wei(0),
        wanted: wei(1),
    };
    assert_eq!(
        error,
        TxError::Refused {
            call: "withdraw",
            source: ChainError::Reverted(reason)
        }
    );
    assert_eq!((rig.chain.waiting(), rig.store.writes()), (0, 0));
    rig.blocks_until(ask(&submitter, transfer(1)))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_saved_is_not_sent() {
    let rig = Rig::new();
    rig.store.inject(Some(Fault::LoseFrom(0)));
    let error = ask(&rig.submitter(1), transfer(5))
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error, TxError::Stopped { call: "transfer" });
    assert_eq!(rig.chain.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_same_call_asked_for_twice_is_made_once() {
    let rig = Rig::new();
    let submitter = rig.submitter(1);
    let twice = [0, 1].map(|_| ask(&submitter, Call::Approve { amount: wei(9) }));
    let [a, b] = twice;
    let a = rig.blocks_until(a).await.unwrap();
    assert_eq!(b.await.unwrap().unwrap(), a);
    assert_eq!(rig.chain.nonce(key(0).address()).await, Ok(1));
    let both = [0, 1].map(|_| ask(&submitter, transfer(3)));
    for task in both {
        rig.blocks_until(task).await.unwrap();
    }
    assert_eq!(
        rig.chain.token_balance(TO).await,
        Ok(wei(6)),
        "but two transfers are two"
    );
}

/// A chain that is out of reach for so many questions.
#[derive(Debug)]
struct Flaky {
    chain: DevChain,
    failures: std::sync::atomic::AtomicU32,
}

impl EthNode for Flaky {
    fn pins(&self) -> ChainRef {
        self.chain.pins()
    }

    fn ask(&self, method: &'static str, params: Value) -> ChainFuture<'_, Value> {
        let left = |it: u32| it.checked_sub(1);
        let ordering = std::sync::atomic::Ordering::Relaxed;
        match self.failures.fetch_update(ordering, ordering, left) {
            Ok(_) => Box::pin(async {
                Err(ChainError::Unreachable {
                    detail: "off".into(),
                })
            }),
            Err(_) => self.chain.ask(method, params),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_out_of_reach_is_waited_for_but_not_for_ever() {
    for (failures, expected) in [(10, true), (1_000_000, false)] {
        let rig = Rig::new();
        let chain = Arc::new(Flaky {
            chain: rig.chain.clone(),
            failures: failures.into(),
        });
        let submitter = rig.submitter_on(chain, 1);
        let result = rig.blocks_until(ask(&submitter, transfer(5))).await;
        assert_eq!(result.is_ok(), expected, "{failures}: {result:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn native_money_can_be_given_on() {
    let rig = Rig::new();
    let (submitter, to) = (rig.submitter(1), PayoutAddress::from_bytes([0xee; 20]));
    let call = Call::SendNative {
        to,
        amount: wei(77),
    };
    let done = rig.blocks_until(ask(&submitter, call)).await.unwrap();
    assert_eq!(done.gas_used, 21_000);
    assert_eq!(rig.chain.native_balance(to).await, Ok(wei(77)));
}
