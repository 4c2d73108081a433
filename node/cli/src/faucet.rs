//! Asks a development chain's faucet: one JSON-RPC call over plain HTTP.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use warren_daemon::error::{ErrorCode, Problem};
use warren_payments::chain::shown_url;
use warren_proto::PayoutAddress;

/// The longest answer that is read.
const MAX_ANSWER: usize = 64 * 1024;
/// How long it is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Has `to` given native coins and tokens, both in base units.
///
/// # Errors
/// A [`Problem`]: the chain does not answer, or is no development chain.
pub async fn ask(url: &str, to: PayoutAddress, coins: u128, tokens: u128) -> Result<(), Problem> {
    let params = json!([
        to.to_string(),
        format!("{coins:#x}"),
        format!("{tokens:#x}")
    ]);
    call_within(PATIENCE, url, "warren_fund", &params)
        .await
        .map(|_| ())
}

async fn call_within(
    patience: Duration,
    url: &str,
    method: &str,
    params: &Value,
) -> Result<Value, Problem> {
    let asked = tokio::time::timeout(patience, call(url, method, params)).await;
    asked.unwrap_or_else(|_| {
        let (url, secs) = (shown_url(url), patience.as_secs());
        let seen = format!("{url}: {method} was not answered within {secs} s");
        Err(Problem::new(ErrorCode::ChainUnreachable, seen))
    })
}

/// One call; what the chain refuses becomes a problem with its own words.
async fn call(url: &str, method: &str, params: &Value) -> Result<Value, Problem> {
    let failed = |seen: String| {
        Problem::new(
            ErrorCode::ChainUnreachable,
            format!("{}: {seen}", shown_url(url)),
        )
    };
    let uri: Uri = url.parse().map_err(|it| failed(format!("{it}")))?;
    let host = uri.host().unwrap_or("127.0.0.1").trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await;
    let stream = stream.map_err(|it| failed(it.to_string()))?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|it| failed(it.to_string()))?;
    tokio::spawn(connection);
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let request = Request::post("/")
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|it| failed(it.to_string()))?;
    let answer = sender
        .send_request(request)
        .await
        .map_err(|it| failed(it.to_string()))?;
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    let body = body.map_err(|it| failed(it.to_string()))?.to_bytes();
    let answer: Value = serde_json::from_slice(&body).map_err(|it| failed(it.to_string()))?;
    match answer.get("error") {
        Some(error) => Err(failed(format!("{method}: {error}"))
            .with_next("a faucet exists on `warren devchain` only")),
        None => Ok(answer.get("result").cloned().unwrap_or(Value::Null)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_faucet_that_says_nothing_is_not_waited_for_for_ever() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let asked = call_within(Duration::from_millis(50), &url, "warren_fund", &json!([])).await;
        assert!(asked.unwrap_err().is(ErrorCode::ChainUnreachable));
    }
}
