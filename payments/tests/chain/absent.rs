//! Endpoints that are dead, late or on a fork: what goes on without them, and what does not.

use std::time::Duration;

use serde_json::{Value, json};
use warren_payments::calls::Call;
use warren_payments::chain::dev::{DevChain, DevGenesis, Mining};
use warren_payments::chain::error::Remedy;
use warren_payments::chain::{Chain, ChainError, EndpointState, Revert};

use crate::quorum::{endpoint, hex, scene};
use crate::twisted::{Twisted, quorum, truth};
use crate::world::{Hands, World, key, wei};

const NOBODY: warren_proto::PayoutAddress = warren_proto::PayoutAddress::from_bytes([0xbb; 20]);

#[tokio::test(start_paused = true)]
async fn a_dead_endpoint_stops_nobody_while_others_suffice_and_comes_back_by_itself() {
    let scene = scene().await;
    let three = scene.three();
    three.head().await.unwrap();
    scene.b.dies();
    assert_eq!(scene.events(&three).await, Ok(scene.truth().await));
    let dead = endpoint(&three, 1);
    assert_eq!((dead.state, dead.resting), (EndpointState::Down, true));
    assert_eq!(
        dead.trouble.as_deref(),
        Some("chain node unreachable: gone")
    );
    scene.events(&three).await.unwrap();
    assert_eq!(endpoint(&three, 1).asked, dead.asked, "it is left alone");
    scene.b.mends();
    tokio::time::sleep(Duration::from_secs(2)).await;
    scene.events(&three).await.unwrap();
    let back = endpoint(&three, 1);
    assert_eq!((back.state, back.trouble), (EndpointState::Up, None));
}

#[tokio::test]
async fn two_endpoints_of_which_one_is_dead_decide_nothing() {
    let scene = scene().await;
    let two = scene.two();
    scene.b.dies();
    let payer = scene.world.payer.address();
    for error in [
        two.head().await.unwrap_err(),
        two.nonce(payer).await.unwrap_err(),
        two.balance(payer).await.unwrap_err(),
        two.verify_contract().await.unwrap_err(),
    ] {
        assert!(error.is_unagreed(), "{error}");
    }
    // What does no harm if it is a lie goes on.
    assert_eq!(two.nonce_heard(payer).await, scene.chain.nonce(payer).await);
    assert_eq!(two.closings_heard(1).await.unwrap().len(), 1);
    assert!(two.fees().await.unwrap_err().is_unagreed());
    two.fees_heard().await.unwrap();
    scene.b.mends();
    assert_eq!(two.head().await, Ok(scene.chain.tip()));
}

/// A refusal is the last word on a call: one endpoint alone has none.
#[tokio::test]
async fn one_endpoint_that_refuses_a_call_while_the_other_is_silent_decides_nothing() {
    let scene = scene().await;
    let two = scene.two();
    scene.b.becomes(|method, _, _| {
        (method == "eth_estimateGas").then_some(Err(ChainError::Reverted(Revert::NotOpen)))
    });
    let call = Call::Transfer {
        to: NOBODY,
        amount: wei(1),
    };
    let request = call.request(&two.chain_ref(), scene.world.payer.address());
    two.estimate(request.clone()).await.unwrap();
    scene.a.dies();
    let error = two.estimate(request.clone()).await.unwrap_err();
    assert!(error.is_unagreed(), "{error}");
    // If all refuse, it is refused.
    scene.a.becomes(|method, _, _| {
        (method == "eth_estimateGas").then_some(Err(ChainError::Reverted(Revert::NotClosing)))
    });
    let error = two.estimate(request).await.unwrap_err();
    assert!(matches!(error, ChainError::Reverted(_)), "{error}");
}

#[tokio::test]
async fn a_lagging_endpoint_is_told_apart_from_a_lying_one() {
    let scene = scene().await;
    let behind = scene.chain.tip().number - 1;
    scene.b.becomes(move |method, params, chain| {
        let late = |tag: &Value| {
            let number = tag.as_str()?.strip_prefix("0x")?;
            u64::from_str_radix(number, 16)
                .ok()
                .filter(|it| *it > behind)
        };
        match method {
            "eth_getBlockByNumber" if params[0] == "latest" => {
                Some(truth(chain, method, &json!([hex(behind), false])))
            }
            "eth_getBlockByNumber" if late(&params[0]).is_some() => Some(Ok(Value::Null)),
            "eth_getLogs" => {
                let mut filter = params.clone();
                filter[0]["toBlock"] = hex(behind);
                Some(truth(chain, method, &filter))
            }
            _ => None,
        }
    });
    let three = scene.three();
    assert_eq!(scene.events(&three).await, Ok(scene.truth().await));
    let late = endpoint(&three, 1);
    assert_eq!((late.lag, late.overruled, late.errors), (Some(1), 0, 0));
    // Two go only as far as the slower one; what they are held back by shows in `Endpoints::holds_back`.
    let two = scene.two();
    assert_eq!(two.head().await.unwrap().number, behind);
    let seen = scene.events(&two).await.unwrap();
    assert_eq!(seen.len() + 1, scene.truth().await.len());
}

#[tokio::test]
async fn endpoints_on_two_forks_agree_on_what_lies_below() {
    let scene = scene().await;
    let fork = scene.chain.tip().number;
    scene.b.becomes(move |method, params, chain| {
        if method != "eth_getBlockByNumber" {
            return None;
        }
        let mut block = truth(chain, method, params).ok()?;
        if block["number"] == hex(fork) {
            block["hash"] = json!(format!("0x{:0>64}", "f04c"));
        }
        Some(Ok(block))
    });
    assert_eq!(scene.two().head().await.unwrap().number, fork - 1);
    assert_eq!(scene.three().head().await, Ok(scene.chain.tip()));
}

#[tokio::test]
async fn a_transaction_goes_to_every_endpoint() {
    let chains = [0, 1, 2].map(|_| {
        DevChain::new(&DevGenesis {
            mining: Mining::Manual,
            ..DevGenesis::default()
        })
    });
    let [a, b, c] = [0, 1, 2].map(|at: usize| Twisted::honest(&chains[at]));
    a.dies();
    let world = World::on(
        std::sync::Arc::new(chains[1].clone()),
        Hands::Dev(chains[1].clone()),
    );
    let call = Call::Transfer {
        to: NOBODY,
        amount: wei(5),
    };
    let tx = world.sign(&key(0), &call, 100_000).await;
    let all = quorum(&[&a, &b, &c]);
    assert_eq!(all.submit_raw(tx.raw.clone()).await, Ok(tx.hash));
    let both = async {
        while chains[2].waiting() + chains[1].waiting() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), both)
        .await
        .unwrap();
    // One that takes it is enough; only if all refuse is it refused.
    b.becomes(|_, _, _| Some(Err(ChainError::NoGasMoney)));
    c.becomes(|_, _, _| Some(Err(ChainError::NoGasMoney)));
    let error = quorum(&[&a, &b, &c]).submit_raw(tx.raw).await.unwrap_err();
    assert_eq!(error.remedy(), Remedy::Retry, "{error}");
}
