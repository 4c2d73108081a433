//! A chain far away: any EVM node over HTTP, believed as little as possible.

use std::fmt;
use std::time::Duration;

use jsonrpsee::core::client::{ClientT as _, Error};
use jsonrpsee::core::http_helpers::HttpError;
use jsonrpsee::core::params::ArrayParams;
use jsonrpsee::http_client::{HttpClient, transport};
use serde_json::Value;
use warren_proto::ChainRef;

use super::eth::{EthNode, refusal};
use super::{Chain as _, ChainError, ChainFuture, shown_url};

/// How patient and how generous to be with the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RpcLimits {
    /// For one answer, from the first byte sent to the last received.
    pub timeout: Duration,
    /// The longest answer taken.
    pub max_reply_bytes: u32,
    /// Questions asked at once.
    pub max_concurrent: usize,
}

impl Default for RpcLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            max_reply_bytes: 8 << 20,
            max_concurrent: 16,
        }
    }
}

/// An EVM node over HTTP, pinned to one chain, contract and token.
#[derive(Clone)]
pub struct RpcChain {
    url: String,
    client: HttpClient,
    pins: ChainRef,
    limits: RpcLimits,
    /// Whose threads make the sockets; `None`: the caller's.
    runtime: Option<tokio::runtime::Handle>,
}

impl RpcChain {
    /// Prepares to talk to the node at `url` without doing so.
    ///
    /// # Errors
    /// [`ChainError::BadUrl`] if it is no `http://` URL.
    pub fn new(url: &str, pins: ChainRef, limits: RpcLimits) -> Result<Self, ChainError> {
        let bad = |detail: String| ChainError::BadUrl {
            url: shown_url(url),
            detail: hide(&detail, url),
        };
        let client = HttpClient::builder()
            .request_timeout(limits.timeout)
            .connect_timeout(limits.timeout)
            .max_response_size(limits.max_reply_bytes)
            .max_concurrent_requests(limits.max_concurrent)
            .build(url)
            .map_err(|error| bad(error.to_string()))?;
        Ok(Self {
            url: url.into(),
            client,
            pins,
            limits,
            runtime: None,
        })
    }

    /// Has every request made by `runtime`: its threads make the sockets, and what a kernel stamps
    /// on a socket follows from the thread that makes it.
    #[must_use]
    pub fn on(mut self, runtime: tokio::runtime::Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Prepares, and checks that the node is on the pinned chain and the contract is ours.
    ///
    /// # Errors
    /// [`ChainError::Mismatch`] if not; any other if the node does not answer.
    pub async fn connect(url: &str, pins: ChainRef) -> Result<Self, ChainError> {
        let chain = Self::new(url, pins, RpcLimits::default())?;
        chain.verify_contract().await?;
        Ok(chain)
    }

    /// The node's address, without what may be a secret.
    #[must_use]
    pub fn name(&self) -> String {
        shown_url(&self.url)
    }

    async fn request(&self, method: &'static str, params: Value) -> Result<Value, ChainError> {
        let mut list = ArrayParams::new();
        for param in params.as_array().map(Vec::as_slice).unwrap_or_default() {
            list.insert(param)
                .map_err(|error| nonsense(method, &error))?;
        }
        // A second guard: the client's own timeout does not cover every stall.
        let (client, limit) = (self.client.clone(), self.limits.timeout);
        let answer = async move {
            tokio::time::timeout(limit, client.request::<Value, _>(method, list)).await
        };
        let answer = match &self.runtime {
            Some(runtime) => {
                runtime
                    .spawn(answer)
                    .await
                    .map_err(|error| ChainError::Unreachable {
                        detail: error.to_string(),
                    })?
            }
            None => answer.await,
        };
        match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(sort(method, error, &self.url)),
            Err(_) => Err(ChainError::TimedOut {
                method: method.into(),
            }),
        }
    }
}

impl EthNode for RpcChain {
    fn pins(&self) -> ChainRef {
        self.pins
    }

    fn ask(&self, method: &'static str, params: Value) -> ChainFuture<'_, Value> {
        Box::pin(self.request(method, params))
    }
}

impl fmt::Debug for RpcChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RpcChain({})", self.name())
    }
}

/// What a transport says, without the address's secrets.
fn hide(detail: &str, url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, it)| it);
    let shown = shown_url(url);
    detail.replace(url, &shown).replace(rest, &shown)
}

fn sort(method: &str, error: Error, url: &str) -> ChainError {
    match error {
        Error::Call(object) => {
            let data = object
                .data()
                .and_then(|it| serde_json::from_str::<Value>(it.get()).ok());
            refusal(method, object.code(), object.message(), data.as_ref())
        }
        Error::Transport(error) => match error.downcast_ref::<transport::Error>() {
            Some(transport::Error::Http(it @ (HttpError::TooLarge | HttpError::Malformed))) => {
                nonsense(method, it)
            }
            Some(transport::Error::Rejected { status_code }) if asks_less(method, *status_code) => {
                ChainError::Refused {
                    method: method.into(),
                    code: i32::from(*status_code),
                    message: "an HTTP status, without words".into(),
                }
            }
            Some(_) | None => ChainError::Unreachable {
                detail: hide(&chain_of(error.as_ref()), url),
            },
        },
        Error::RestartNeeded(error) => ChainError::Unreachable {
            detail: hide(&error.to_string(), url),
        },
        Error::ServiceDisconnect => ChainError::Unreachable {
            detail: "disconnected".into(),
        },
        Error::RequestTimeout => ChainError::TimedOut {
            method: method.into(),
        },
        other @ (Error::ParseError(_)
        | Error::InvalidRequestId(_)
        | Error::InvalidSubscriptionId
        | Error::Custom(_)
        | Error::HttpNotImplemented
        | Error::EmptyBatchRequest(_)
        | Error::RegisterMethod(_)) => nonsense(method, &other),
    }
}

/// Whether the node means that it was asked for too much: some say so by the HTTP status, and the client throws away
/// what they say with it. Of other questions such a status says nothing: a refusal would be the last word.
fn asks_less(method: &str, status: u16) -> bool {
    method == "eth_getLogs" && matches!(status, 400 | 413 | 422)
}

fn nonsense(method: &str, detail: &dyn fmt::Display) -> ChainError {
    let detail = detail.to_string().chars().take(200).collect();
    ChainError::Nonsense {
        method: method.into(),
        detail,
    }
}

/// An error with its causes, in one line.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(it) = cause {
        text.push_str(": ");
        text.push_str(&it.to_string());
        cause = it.source();
    }
    text.chars().take(300).collect()
}
