//! The development chain over HTTP: for our own client and for anyone who speaks JSON-RPC.

use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::core::client::{ClientT as _, Error as ClientError};
use jsonrpsee::http_client::HttpClient;
use jsonrpsee::rpc_params;
use serde_json::{Value, json};
use warren_payments::chain::dev::{DevChain, DevGenesis, Mining};
use warren_payments::chain::rpc::RpcChain;
use warren_payments::chain::serve::{Served, Timer, serve};
use warren_payments::chain::{Chain as _, ChainError};
use warren_proto::{ChainRef, PayoutAddress};

use crate::contract::life;
use crate::world::{Hands, World, wei};

async fn served(chain: &DevChain, timer: Timer) -> Served {
    serve(chain.clone(), "127.0.0.1:0".parse().unwrap(), timer)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_channel_lives_over_http() {
    let chain = DevChain::new(&DevGenesis::default());
    let served = served(&chain, Timer::Off).await;
    let client = RpcChain::connect(&served.url(), chain.chain_ref())
        .await
        .unwrap();
    life(&World::on(Arc::new(client), Hands::Dev(chain))).await;
}

#[tokio::test]
async fn a_foreign_client_finds_what_it_knows() {
    let chain = DevChain::new(&DevGenesis::default());
    let served = served(&chain, Timer::Off).await;
    let client = HttpClient::builder().build(served.url()).unwrap();
    let ask = async |method: &str, params: Value| -> Value {
        let mut list = jsonrpsee::core::params::ArrayParams::new();
        params
            .as_array()
            .unwrap()
            .iter()
            .for_each(|it| list.insert(it).unwrap());
        client.request::<Value, _>(method, list).await.unwrap()
    };
    assert_eq!(ask("eth_chainId", json!([])).await, json!("0x1e51"));
    assert_eq!(ask("net_version", json!([])).await, json!("7761"));
    let to = "0x00000000000000000000000000000000000000cc";
    assert_eq!(
        ask("warren_fund", json!([to, "0x7", "0x9"])).await,
        json!(true)
    );
    assert_eq!(
        ask("eth_getBalance", json!([to, "latest"])).await,
        json!("0x7")
    );
    assert_eq!(
        ask("eth_getBalance", json!([to, "0x0"])).await,
        json!("0x0")
    );
    ask("evm_increaseTime", json!([3600])).await;
    let before = chain.tip();
    ask("evm_mine", json!([])).await;
    assert!(chain.tip().timestamp.since(before.timestamp) >= Duration::from_secs(3600));
    let block = ask("eth_getBlockByNumber", json!(["0x1", true])).await;
    let tx = &block["transactions"][0];
    assert_eq!(tx["to"], json!(to));
    let hash = tx["hash"].clone();
    assert_eq!(ask("eth_getTransactionByHash", json!([hash])).await, *tx);
    let receipt = ask("eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!(
        (&receipt["status"], &receipt["gasUsed"]),
        (&json!("0x1"), &json!("0x5208"))
    );
    let error = client
        .request::<Value, _>("eth_mining", rpc_params![])
        .await
        .unwrap_err();
    let ClientError::Call(error) = error else {
        panic!("{error:?}")
    };
    assert_eq!(error.code(), -32601);
}

#[tokio::test]
async fn blocks_come_by_the_clock_when_asked_to() {
    let genesis = DevGenesis {
        mining: Mining::Manual,
        ..DevGenesis::default()
    };
    let chain = DevChain::new(&genesis);
    let served = served(&chain, Timer::Every(Duration::from_millis(20))).await;
    let client = RpcChain::connect(&served.url(), chain.chain_ref())
        .await
        .unwrap();
    chain
        .fund(PayoutAddress::from_bytes([0xdd; 20]), wei(1), wei(1))
        .unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while client
        .token_balance(PayoutAddress::from_bytes([0xdd; 20]))
        .await
        != Ok(wei(1))
    {
        assert!(tokio::time::Instant::now() < deadline, "no block came");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let head = client.head().await.unwrap();
    assert!(
        head.timestamp > genesis.timestamp.plus(Duration::from_secs(1000)),
        "wall clock"
    );
}

#[tokio::test]
async fn another_chain_contract_or_token_is_noticed() {
    let chain = DevChain::new(&DevGenesis::default());
    let served = served(&chain, Timer::Off).await;
    let pins = chain.chain_ref();
    let wrong = [
        (
            "chain id",
            ChainRef {
                chain_id: 1,
                ..pins
            },
        ),
        (
            "contract code",
            ChainRef {
                contract: pins.token,
                ..pins
            },
        ),
        (
            "contract code",
            ChainRef {
                contract: PayoutAddress::ZERO,
                ..pins
            },
        ),
        (
            "token",
            ChainRef {
                token: pins.contract,
                ..pins
            },
        ),
    ];
    for (expected, pins) in wrong {
        match RpcChain::connect(&served.url(), pins).await {
            Err(ChainError::Mismatch { what, .. }) => assert_eq!(what, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
}
