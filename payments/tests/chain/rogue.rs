//! Nodes gone bad: silent, dying, babbling, lying. None may hang us, fill us or fool us.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use warren_payments::calls::Call;
use warren_payments::chain::error::Remedy;
use warren_payments::chain::rpc::{RpcChain, RpcLimits};
use warren_payments::chain::{Chain as _, ChainError};
use warren_proto::{ChainRef, PayoutAddress, TxHash};

use crate::world::{World, wei};

const PINS: ChainRef = ChainRef {
    chain_id: 7761,
    contract: PayoutAddress::from_bytes([0xc0; 20]),
    token: PayoutAddress::from_bytes([0x70; 20]),
};

/// What the node does with each request: bytes to say, then to hang up or to stay silent.
enum Manner {
    Say(Box<dyn Fn(&Value) -> String + Send + Sync>),
    Silent,
    HangUp,
}

async fn node(manner: Manner) -> RpcChain {
    // Only silence is waited out; whoever says something gets all the time a busy machine needs.
    let timeout = match manner {
        Manner::Silent => Duration::from_secs(1),
        Manner::Say(_) | Manner::HangUp => Duration::from_secs(60),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            match &manner {
                Manner::Silent => silent.push(stream),
                Manner::HangUp => drop(read_request(&mut stream).await),
                Manner::Say(say) => {
                    if let Some(request) = read_request(&mut stream).await {
                        let reply = say(&request);
                        let _may_be_gone = stream.write_all(reply.as_bytes()).await;
                        let _may_be_gone = stream.shutdown().await;
                    }
                }
            }
        }
    });
    let limits = RpcLimits {
        timeout,
        max_reply_bytes: 64 << 10,
        max_concurrent: 4,
    };
    RpcChain::new(&url, PINS, limits).unwrap()
}

async fn read_request(stream: &mut TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.ok().filter(|it| *it > 0)?;
        bytes.extend(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        if let Some(request) = body.and_then(|it| serde_json::from_str(&it).ok()) {
            return Some(request);
        }
    }
}

fn http(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// A node that answers each method as told, in proper JSON-RPC.
async fn liar(answer: impl Fn(&str) -> Value + Send + Sync + 'static) -> RpcChain {
    node(Manner::Say(Box::new(move |request| {
        let result = answer(request["method"].as_str().unwrap_or_default());
        let reply = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result });
        http("200 OK", &reply.to_string())
    })))
    .await
}

fn remedy<T: std::fmt::Debug>(result: Result<T, ChainError>) -> Remedy {
    result.expect_err("an error").remedy()
}

#[tokio::test]
async fn a_silent_node_is_given_up_on() {
    let error = node(Manner::Silent).await.head().await.unwrap_err();
    assert!(matches!(error, ChainError::TimedOut { .. }), "{error:?}");
    assert_eq!(error.remedy(), Remedy::Retry);
}

#[tokio::test]
async fn a_node_that_hangs_up_may_come_back() {
    assert_eq!(
        remedy(node(Manner::HangUp).await.head().await),
        Remedy::Retry
    );
    let torn = |_: &Value| "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"jsonrpc\"".to_owned();
    assert_eq!(
        remedy(node(Manner::Say(Box::new(torn))).await.head().await),
        Remedy::Retry
    );
    let gone = RpcChain::new("http://127.0.0.1:1", PINS, RpcLimits::default()).unwrap();
    assert_eq!(remedy(gone.head().await), Remedy::Retry);
}

#[tokio::test]
async fn an_overloaded_node_may_come_back() {
    for status in [
        "500 Internal Server Error",
        "429 Too Many Requests",
        "502 Bad Gateway",
    ] {
        let say = move |_: &Value| http(status, "sorry");
        assert_eq!(
            remedy(node(Manner::Say(Box::new(say))).await.head().await),
            Remedy::Retry
        );
    }
    let say = |request: &Value| {
        let error = json!({ "code": -32005, "message": "limit exceeded" });
        let reply = json!({ "jsonrpc": "2.0", "id": request["id"], "error": error });
        http("200 OK", &reply.to_string())
    };
    assert_eq!(
        remedy(node(Manner::Say(Box::new(say))).await.head().await),
        Remedy::Retry
    );
}

/// Some providers refuse a range by the HTTP status, with the reason in the body.
#[tokio::test]
async fn what_is_refused_by_the_http_status_is_asked_for_in_pieces() {
    for status in ["413 Content Too Large", "400 Bad Request"] {
        let say = move |request: &Value| {
            let number = |name: &str| {
                let text = request["params"][0][name].as_str().unwrap();
                u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
            };
            let (name, said, status) = if number("toBlock") - number("fromBlock") < 5 {
                ("result", json!([]), "200 OK")
            } else {
                let error = json!({ "code": -32615, "message": "limited to a 5 range" });
                ("error", error, status)
            };
            let reply = json!({ "jsonrpc": "2.0", "id": request["id"], name: said });
            http(status, &reply.to_string())
        };
        let node = node(Manner::Say(Box::new(say))).await;
        assert_eq!(node.events(0, 50).await, Ok(Vec::new()), "{status}");
    }
}

#[tokio::test]
async fn babble_is_distrusted() {
    let babble: [fn(&Value) -> String; 4] = [
        |_| http("200 OK", "<html>welcome</html>"),
        |_| http("200 OK", "{\"jsonrpc\":\"2.0\"}"),
        |_| {
            http(
                "200 OK",
                "{\"jsonrpc\":\"2.0\",\"id\":424242,\"result\":\"0x1\"}",
            )
        },
        |it| {
            http(
                "200 OK",
                &json!({"jsonrpc": "2.0", "id": it["id"], "result": {"a": 1}}).to_string(),
            )
        },
    ];
    for (place, say) in babble.into_iter().enumerate() {
        let error = node(Manner::Say(Box::new(say)))
            .await
            .head()
            .await
            .unwrap_err();
        assert_eq!(error.remedy(), Remedy::Distrust, "{place}: {error:?}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_not_swallowed() {
    let say = |request: &Value| {
        let result = "0".repeat(1 << 20);
        http(
            "200 OK",
            &json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string(),
        )
    };
    let error = node(Manner::Say(Box::new(say)))
        .await
        .head()
        .await
        .unwrap_err();
    assert_eq!(error.remedy(), Remedy::Distrust, "{error:?}");
}

#[tokio::test]
async fn another_chain_or_contract_is_noticed_at_the_door() {
    let other = liar(|_| json!("0x1")).await;
    let error = other.verify_contract().await.unwrap_err();
    assert!(
        matches!(
            error,
            ChainError::Mismatch {
                what: "chain id",
                ..
            }
        ),
        "{error:?}"
    );
    let codeless = liar(|method| match method {
        "eth_chainId" => json!("0x1e51"),
        _ => json!("0x600160020160"),
    });
    let error = codeless.await.verify_contract().await.unwrap_err();
    assert!(
        matches!(
            error,
            ChainError::Mismatch {
                what: "contract code",
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn events_of_other_contracts_are_dropped_and_bent_ones_refused() {
    let world = World::dev();
    let params = world.params(1);
    world
        .send(&world.payer, Call::Approve { amount: wei(5) })
        .await
        .unwrap();
    let opened = world
        .send(
            &world.payer,
            Call::Open {
                params,
                amount: wei(5),
            },
        )
        .await
        .unwrap();
    let log = |address: PayoutAddress, block: u64, data: String| {
        json!({
            "address": address.to_string(),
            "topics": [
                "0x0000000000000000000000000000000000000000000000000000000000000001",
            ],
            "data": data,
            "blockNumber": format!("{block:#x}"),
            "blockHash": opened.block_hash.to_string(),
            "transactionHash": opened.tx.to_string(),
            "logIndex": "0x0",
            "removed": false,
        })
    };
    let foreign = log(PayoutAddress::from_bytes([6; 20]), 3, "0x".into());
    let list = json!([foreign]);
    let node = liar(move |_| list.clone()).await;
    assert_eq!(
        node.events(0, 10).await,
        Ok(vec![]),
        "not from our contract"
    );
    let bent = json!([log(PINS.contract, 3, "0x1234".into())]);
    let node = liar(move |_| bent.clone()).await;
    assert_eq!(remedy(node.events(0, 10).await), Remedy::Distrust);
}

#[tokio::test]
async fn anothers_receipt_or_hash_is_not_taken_for_ours() {
    let zero = format!("0x{}", "0".repeat(64));
    let receipt = json!({
        "transactionHash": zero, "blockHash": zero, "blockNumber": "0x1", "status": "0x1",
        "gasUsed": "0x5208", "effectiveGasPrice": "0x1", "logs": [],
    });
    let node = liar(move |_| receipt.clone()).await;
    assert_eq!(
        remedy(node.receipt(TxHash::from_bytes([1; 32])).await),
        Remedy::Distrust
    );
    assert!(
        node.receipt(TxHash::from_bytes([0; 32]))
            .await
            .unwrap()
            .is_some()
    );
    let node = liar(move |_| json!(zero)).await;
    assert_eq!(
        remedy(node.submit_raw(vec![1, 2, 3]).await),
        Remedy::Distrust
    );
}

#[tokio::test]
async fn numbers_out_of_range_are_distrusted() {
    for answer in [
        "0x",
        "-0x1",
        "0x+1",
        "12",
        "0xffffffffffffffffffffffffffffffffff",
    ] {
        let node = liar(move |_| json!(answer)).await;
        assert_eq!(
            remedy(node.nonce(PayoutAddress::ZERO).await),
            Remedy::Distrust,
            "{answer}"
        );
    }
}

#[tokio::test]
async fn an_unusable_url_is_named() {
    let error = RpcChain::new("ftp://example.org", PINS, RpcLimits::default()).unwrap_err();
    assert!(matches!(error, ChainError::BadUrl { .. }), "{error:?}");
}

#[tokio::test]
async fn a_node_behind_tls_is_asked_like_any_other() {
    let gone = RpcChain::new("https://127.0.0.1:1", PINS, RpcLimits::default()).unwrap();
    assert_eq!(remedy(gone.head().await), Remedy::Retry);
}
