//! Several endpoints, of which some lie, lag or die: none ever makes money count alone.

use std::time::Duration;

use serde_json::{Value, json};
use warren_payments::calls::Call;
use warren_payments::chain::dev::{DevChain, DevGenesis};
use warren_payments::chain::quorum::{BadQuorum, Quorum};
use warren_payments::chain::{
    Chain, ChainError, ChainEvent, Endpoint, EndpointState, EventKind, Revert,
};
use warren_proto::{Amount, ChainRef, PayoutAddress, TxHash};

use crate::twisted::{Twisted, quorum, truth};
use crate::world::{DEPOSIT, Hands, World, wei};

const GWEI: u64 = 1_000_000_000;
const NOBODY: PayoutAddress = PayoutAddress::from_bytes([0xbb; 20]);

/// A chain on which a channel was opened and is closing, and three ways to it.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) chain: DevChain,
    pub(crate) a: Twisted,
    pub(crate) b: Twisted,
    pub(crate) c: Twisted,
}

pub(crate) async fn scene() -> Scene {
    let chain = DevChain::new(&DevGenesis::default());
    let world = World::on(
        std::sync::Arc::new(chain.clone()),
        Hands::Dev(chain.clone()),
    );
    let params = world.open(1).await;
    let close = Call::StartClose { params };
    world.send(&world.payer, close).await.unwrap();
    let [a, b, c] = [0, 1, 2].map(|_| Twisted::honest(&chain));
    Scene {
        world,
        chain,
        a,
        b,
        c,
    }
}

impl Scene {
    pub(crate) fn two(&self) -> Quorum {
        quorum(&[&self.a, &self.b])
    }

    pub(crate) fn three(&self) -> Quorum {
        quorum(&[&self.a, &self.b, &self.c])
    }

    pub(crate) async fn events(&self, from: &Quorum) -> Result<Vec<ChainEvent>, ChainError> {
        let to = from.head().await?.number;
        from.events(0, to).await
    }

    pub(crate) async fn truth(&self) -> Vec<ChainEvent> {
        self.chain.events(0, self.chain.tip().number).await.unwrap()
    }
}

pub(crate) fn endpoint(of: &Quorum, place: usize) -> Endpoint {
    of.report().each[place].clone()
}

fn is_disputed<T: std::fmt::Debug>(answer: Result<T, ChainError>) {
    let error = answer.expect_err("no agreement");
    assert!(matches!(error, ChainError::Disputed { .. }), "{error}");
}

#[tokio::test]
async fn honest_endpoints_say_what_the_chain_says() {
    let scene = scene().await;
    for quorum in [quorum(&[&scene.a]), scene.two(), scene.three()] {
        quorum.verify_contract().await.unwrap();
        assert_eq!(quorum.head().await, Ok(scene.chain.tip()));
        assert_eq!(scene.events(&quorum).await, Ok(scene.truth().await));
        let payer = scene.world.payer.address();
        assert_eq!(quorum.nonce(payer).await, scene.chain.nonce(payer).await);
        let (ours, theirs) = (
            quorum.token_balance(payer),
            scene.chain.token_balance(payer),
        );
        assert_eq!(ours.await, theirs.await);
        assert_eq!(quorum.fees().await, scene.chain.fees().await);
        let report = quorum.report();
        assert_eq!(report.up(), report.each.len());
        assert_eq!(report.agreed, Some(scene.chain.tip().number));
        assert!(
            report
                .each
                .iter()
                .all(|it| it.lag == Some(0) && it.errors == 0)
        );
    }
}

#[tokio::test]
async fn an_invented_deposit_counts_nowhere() {
    let scene = scene().await;
    let events = scene.truth().await.into_iter();
    let mut opened = events.filter(|it| matches!(it.kind, EventKind::Opened { .. }));
    let opened = opened.next().map(|it| it.tx.to_string());
    scene.b.changes_logs(move |logs| {
        for log in logs
            .iter_mut()
            .filter(|it| it["transactionHash"] == json!(opened))
        {
            let data = log["data"].as_str().unwrap_or_default();
            let (rest, deposit) = data.split_at(data.len() - 64);
            log["data"] = json!(format!(
                "{rest}{:0>64}",
                format!("7{}", deposit.trim_start_matches('0'))
            ));
        }
    });
    is_disputed(scene.events(&scene.two()).await);
    let three = scene.three();
    assert_eq!(scene.events(&three).await, Ok(scene.truth().await));
    assert_eq!(endpoint(&three, 1).overruled, 1);
    assert_eq!(endpoint(&three, 0).overruled, 0);
}

#[tokio::test]
async fn a_hidden_closing_is_heard_all_the_same() {
    let scene = scene().await;
    let closing = scene.truth().await.pop().unwrap();
    assert!(matches!(closing.kind, EventKind::Closing { .. }));
    scene.b.changes_logs(|logs| drop(logs.pop()));
    let two = scene.two();
    is_disputed(scene.events(&two).await);
    assert_eq!(two.closings_heard(1).await, Ok(vec![closing.clone()]));
    assert_eq!(
        scene.events(&scene.three()).await.unwrap().pop(),
        Some(closing)
    );
}

/// Long after they stopped to agree, what is new is heard all the same.
#[tokio::test]
async fn a_closing_is_heard_many_blocks_after_the_last_that_they_agree_on() {
    let scene = scene().await;
    let closing = scene.truth().await.pop().unwrap();
    for _ in 0..4100 {
        scene.chain.mine();
    }
    let heard = async |from| scene.two().closings_heard(from).await.unwrap();
    assert_eq!(heard(closing.block).await, vec![closing.clone()]);
    let params = scene.world.open(100).await;
    let (payer, close) = (&scene.world.payer, Call::StartClose { params });
    scene.world.send(payer, close).await.unwrap();
    assert_eq!(heard(0).await.len(), 2, "the first blocks and the last");
}

#[tokio::test]
async fn invented_confirmations_are_not_counted() {
    let scene = scene().await;
    scene.b.becomes(|method, params, chain| {
        let newest = method == "eth_getBlockByNumber" && params[0] == "latest";
        if !newest {
            return None;
        }
        let mut block = truth(chain, method, params).ok()?;
        block["number"] = hex(chain.tip().number + 1000);
        block["hash"] = json!(format!("0x{:0>64}", "abc"));
        Some(Ok(block))
    });
    for quorum in [scene.two(), scene.three()] {
        assert_eq!(quorum.head().await, Ok(scene.chain.tip()));
    }
}

#[tokio::test]
async fn a_forged_receipt_confirms_nothing_and_a_hidden_one_repeats_nothing() {
    let scene = scene().await;
    let real = scene.truth().await[0].tx;
    let forged = TxHash::from_bytes([9; 32]);
    let real_text = json!(real.to_string());
    scene.b.becomes(move |method, params, chain| {
        if method != "eth_getTransactionReceipt" {
            return None;
        }
        if params[0] == real_text {
            return Some(Ok(Value::Null));
        }
        let mut receipt = truth(chain, method, &json!([real_text])).ok()?;
        receipt["transactionHash"] = params[0].clone();
        Some(Ok(receipt))
    });
    let two = scene.two();
    is_disputed(two.receipt(forged).await);
    is_disputed(two.receipt(real).await);
    let three = scene.three();
    assert_eq!(three.receipt(forged).await, Ok(None));
    assert_eq!(three.receipt(real).await, scene.chain.receipt(real).await);
    assert_eq!(endpoint(&three, 1).overruled, 2);
}

#[tokio::test]
async fn an_endpoint_on_another_chain_or_with_other_code_has_no_voice() {
    for (method, lie) in [
        ("eth_chainId", json!("0x1")),
        ("eth_getCode", json!("0x6001")),
    ] {
        let scene = scene().await;
        let said = lie.clone();
        scene
            .b
            .becomes(move |asked, _, _| (asked == method).then(|| Ok(said.clone())));
        let two = scene.two();
        let error = two.head().await.unwrap_err();
        assert!(
            matches!(&error, ChainError::NoQuorum { answered: 1, of: 2, wanted: 2, detail, .. }
                if detail.starts_with("endpoint 2: ")),
            "{error}"
        );
        assert_eq!(endpoint(&two, 1).state, EndpointState::Wrong);
        let three = scene.three();
        three.verify_contract().await.unwrap();
        assert_eq!(three.head().await, Ok(scene.chain.tip()));
        // All alike: then it is the configuration that is wrong.
        let said = lie.clone();
        scene
            .a
            .becomes(move |asked, _, _| (asked == method).then(|| Ok(said.clone())));
        let error = scene.two().verify_contract().await.unwrap_err();
        assert!(matches!(error, ChainError::Mismatch { .. }), "{error}");
    }
}

#[tokio::test]
async fn an_endpoint_that_changes_its_chain_is_found_out_within_a_hundred_blocks() {
    let scene = scene().await;
    let two = scene.two();
    two.head().await.unwrap();
    scene
        .b
        .becomes(|asked, _, _| (asked == "eth_chainId").then(|| Ok(json!("0x1"))));
    scene.chain.mine_many(99);
    two.head().await.unwrap();
    scene.chain.mine();
    two.head().await.unwrap(); // By this answer the hundredth block is known.
    let error = two.head().await.unwrap_err();
    assert!(matches!(error, ChainError::NoQuorum { .. }), "{error}");
    assert_eq!(endpoint(&two, 1).state, EndpointState::Wrong);
}

#[tokio::test]
async fn a_liar_sets_neither_fees_nor_gas_nor_refusals() {
    let scene = scene().await;
    let call = Call::Transfer {
        to: NOBODY,
        amount: wei(5),
    };
    let request = call.request(&scene.world.pins, scene.world.payer.address());
    let gas = scene.chain.estimate(request.clone()).await.unwrap();
    let fees = scene.chain.fees().await.unwrap();
    scene.b.becomes(|method, _, _| match method {
        "eth_maxPriorityFeePerGas" => Some(Ok(hex(u64::MAX))),
        "eth_estimateGas" => Some(Ok(hex(u64::MAX))),
        _ => None,
    });
    for quorum in [scene.two(), scene.three()] {
        let seen = quorum.fees().await.unwrap();
        assert_eq!((seen.base_fee, seen.floor), (fees.base_fee, fees.floor));
        assert!(seen.tip <= wei(2 * GWEI), "{seen:?}");
        assert_eq!(quorum.estimate(request.clone()).await, Ok(gas));
    }
    assert_eq!(scene.three().fees().await, Ok(fees));
    scene.b.becomes(|method, _, _| {
        let refused = || Err(ChainError::Reverted(Revert::NotOpen));
        (method == "eth_estimateGas").then(refused)
    });
    assert_eq!(scene.two().estimate(request).await, Ok(gas));
    let too_much = Call::Withdraw {
        to: NOBODY,
        amount: DEPOSIT,
    };
    let request = too_much.request(&scene.world.pins, NOBODY);
    let error = scene.three().estimate(request).await.unwrap_err();
    let reason = Revert::Insufficient {
        balance: Amount::ZERO,
        wanted: DEPOSIT,
    };
    assert_eq!(error, ChainError::Reverted(reason));
}

/// Gas at nothing, from one that also answers first: a claim would wait in the pool until it is worth nothing.
#[tokio::test(start_paused = true)]
async fn one_that_says_gas_costs_nothing_is_not_believed_however_fast_it_is() {
    let scene = scene().await;
    let fees = scene.chain.fees().await.unwrap();
    assert!(fees.base_fee > Amount::ZERO && fees.tip > Amount::ZERO);
    scene.b.becomes(|method, params, chain| match method {
        "eth_maxPriorityFeePerGas" => Some(Ok(hex(0))),
        "eth_feeHistory" => {
            let mut history = truth(chain, method, params).ok()?;
            history["baseFeePerGas"] = json!([hex(0), hex(0)]);
            Some(Ok(history))
        }
        _ => None,
    });
    assert_eq!(scene.three().fees().await, Ok(fees));
    is_disputed(scene.two().fees().await);
    let two = scene.two().fees_heard().await.unwrap();
    assert_eq!((two.base_fee, two.tip), (fees.base_fee, fees.tip));
    assert_eq!(two.floor, Amount::ZERO, "nothing is sure");
    scene.a.answers_after(Duration::from_secs(1));
    let slow = scene.two().fees_heard().await.unwrap();
    assert_eq!((slow.base_fee, slow.tip), (fees.base_fee, fees.tip));
}

/// And the other way round: nobody is kept from sending by one that says it is too dear.
#[tokio::test]
async fn one_that_says_gas_is_dear_makes_nothing_sure() {
    let scene = scene().await;
    let fees = scene.chain.fees().await.unwrap();
    scene.b.becomes(|method, params, chain| {
        let mut history =
            (method == "eth_feeHistory").then(|| truth(chain, method, params).ok())??;
        history["baseFeePerGas"] = json!([hex(0), hex(u64::MAX)]);
        Some(Ok(history))
    });
    assert_eq!(scene.three().fees().await, Ok(fees));
    is_disputed(scene.two().fees().await);
    let two = scene.two().fees_heard().await.unwrap();
    assert_eq!((two.floor, two.tip), (fees.base_fee, fees.tip));
    // One of two that is gone stops nobody either.
    scene.b.dies();
    let alone = scene.two().fees_heard().await.unwrap();
    assert_eq!((alone.base_fee, alone.floor), (fees.base_fee, Amount::ZERO));
}

/// What a call took from the pot is written in the ledger: one endpoint's word is not enough for that.
#[tokio::test]
async fn what_a_transaction_asked_for_is_not_believed_of_one() {
    let scene = scene().await;
    let tx = scene.truth().await[0].tx;
    let real = scene.chain.calldata(tx).await;
    assert!(real.as_ref().is_ok_and(Option::is_some));
    scene.b.becomes(|method, _, _| {
        let nothing = || Ok(Value::Null);
        (method == "eth_getTransactionByHash").then(nothing)
    });
    is_disputed(scene.two().calldata(tx).await);
    assert_eq!(scene.three().calldata(tx).await, real);
}

#[tokio::test]
async fn babble_is_no_answer() {
    let scene = scene().await;
    scene.b.becomes(|_, _, _| Some(Ok(json!({ "a": 1 }))));
    let error = scene.two().head().await.unwrap_err();
    assert!(matches!(error, ChainError::NoQuorum { .. }), "{error}");
    assert_eq!(scene.three().head().await, Ok(scene.chain.tip()));
}

#[test]
fn a_quorum_that_cannot_be_is_refused() {
    let chain = DevChain::new(&DevGenesis::default());
    let node = || -> std::sync::Arc<dyn warren_payments::chain::eth::EthNode> {
        std::sync::Arc::new(chain.clone())
    };
    let of = |count: usize, wanted| {
        let nodes = (0..count).map(|at| (at.to_string(), node()));
        Quorum::new(nodes.collect(), wanted).map(|_| ())
    };
    assert_eq!(of(2, 2), Ok(()));
    for (count, wanted) in [(0, 0), (0, 1), (2, 0), (2, 3), (17, 2)] {
        let of_these = of(count, wanted);
        assert_eq!(of_these, Err(BadQuorum::Count { wanted, of: count }));
    }
    assert_eq!([0, 1, 2, 3, 9].map(Quorum::usual), [0, 1, 2, 2, 2]);
    let _pins: ChainRef = chain.chain_ref();
}

/// A number as JSON-RPC writes it.
pub(crate) fn hex(number: u64) -> Value {
    json!(format!("{number:#x}"))
}
