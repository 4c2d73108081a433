//! An endpoint of the chain in this process that can be told to lie, lag or die.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde_json::Value;
use warren_payments::chain::dev::DevChain;
use warren_payments::chain::eth::EthNode;
use warren_payments::chain::quorum::Quorum;
use warren_payments::chain::{ChainError, ChainFuture};
use warren_proto::ChainRef;

/// What the endpoint says instead of the truth; `None`: the truth.
type Twist =
    dyn Fn(&str, &Value, &DevChain) -> Option<Result<Value, ChainError>> + Send + Sync + 'static;

/// An endpoint; cheap to clone.
#[derive(Clone)]
pub(crate) struct Twisted {
    chain: DevChain,
    twist: Arc<Mutex<Arc<Twist>>>,
    delay: Arc<Mutex<Option<Duration>>>,
}

impl Twisted {
    pub(crate) fn honest(chain: &DevChain) -> Self {
        Self {
            chain: chain.clone(),
            twist: Arc::new(Mutex::new(Arc::new(|_, _, _| None))),
            delay: Arc::default(),
        }
    }

    /// Says what it says, only later.
    #[allow(
        dead_code,
        reason = "one of the two tests that share this file needs it"
    )]
    pub(crate) fn answers_after(&self, delay: Duration) {
        *self.delay.lock().unwrap() = Some(delay);
    }

    /// From the next question on.
    pub(crate) fn becomes(
        &self,
        twist: impl Fn(&str, &Value, &DevChain) -> Option<Result<Value, ChainError>>
        + Send
        + Sync
        + 'static,
    ) {
        *self.twist.lock().unwrap() = Arc::new(twist);
    }

    /// Hides or changes logs.
    pub(crate) fn changes_logs(&self, change: impl Fn(&mut Vec<Value>) + Send + Sync + 'static) {
        self.becomes(move |method, params, chain| {
            if method != "eth_getLogs" {
                return None;
            }
            let mut logs = truth(chain, method, params).ok()?;
            change(logs.as_array_mut()?);
            Some(Ok(logs))
        });
    }

    pub(crate) fn dies(&self) {
        self.becomes(|_, _, _| {
            Some(Err(ChainError::Unreachable {
                detail: "gone".to_owned(),
            }))
        });
    }

    /// Answers as it should, but of no block after the newest one there is now.
    #[allow(
        dead_code,
        reason = "one of the two tests that share this file needs it"
    )]
    pub(crate) fn stands_still(&self) {
        let last = self.chain.tip().number;
        let then = Value::from(format!("{last:#x}"));
        let is_later = move |tag: &Value| {
            let number = tag.as_str().and_then(|it| it.strip_prefix("0x"));
            number.is_some_and(|it| u64::from_str_radix(it, 16).is_ok_and(|it| it > last))
        };
        self.becomes(move |method, params, chain| {
            let mut params = params.clone();
            match method {
                "eth_getBlockByNumber" if is_later(&params[0]) => return Some(Ok(Value::Null)),
                "eth_getBlockByNumber" if params[0] == "latest" => params[0] = then.clone(),
                "eth_getTransactionCount" | "eth_call" if params[1] == "latest" => {
                    params[1] = then.clone();
                }
                "eth_getLogs" => params[0]["toBlock"] = then.clone(),
                "eth_getTransactionReceipt" => {
                    let receipt = truth(chain, method, &params);
                    let hides = |it: &Value| is_later(&it["blockNumber"]);
                    return Some(receipt.map(|it| if hides(&it) { Value::Null } else { it }));
                }
                _ => return None,
            }
            Some(truth(chain, method, &params))
        });
    }

    pub(crate) fn mends(&self) {
        self.becomes(|_, _, _| None);
    }
}

/// What the chain itself answers.
pub(crate) fn truth(chain: &DevChain, method: &str, params: &Value) -> Result<Value, ChainError> {
    let known = [
        "eth_getLogs",
        "eth_getBlockByNumber",
        "eth_getTransactionReceipt",
        "eth_getTransactionCount",
        "eth_call",
        "eth_feeHistory",
        "eth_estimateGas",
    ];
    let method = known
        .into_iter()
        .find(|it| *it == method)
        .unwrap_or_else(|| panic!("{method} is not twisted"));
    let mut answer = chain.ask(method, params.clone());
    match answer
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the chain in this process answers at once"),
    }
}

impl EthNode for Twisted {
    fn pins(&self) -> ChainRef {
        self.chain.pins()
    }

    fn ask(&self, method: &'static str, params: Value) -> ChainFuture<'_, Value> {
        let twist = Arc::clone(&self.twist.lock().unwrap());
        let answer: ChainFuture<'_, Value> = match twist(method, &params, &self.chain) {
            Some(answer) => Box::pin(std::future::ready(answer)),
            None => self.chain.ask(method, params),
        };
        match *self.delay.lock().unwrap() {
            Some(delay) => Box::pin(async move {
                tokio::time::sleep(delay).await;
                answer.await
            }),
            None => answer,
        }
    }
}

impl fmt::Debug for Twisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Twisted")
    }
}

/// These endpoints as one chain, of which as many as usual must agree.
pub(crate) fn quorum(endpoints: &[&Twisted]) -> Quorum {
    let named = endpoints.iter().enumerate().map(|(at, it)| {
        let node: Arc<dyn EthNode> = Arc::new((*it).clone());
        (format!("http://endpoint-{at}"), node)
    });
    let wanted = Quorum::usual(endpoints.len());
    Quorum::new(named.collect(), wanted).unwrap()
}
