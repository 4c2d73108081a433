//! Serves a development chain over HTTP, for other processes, `curl` and `cast`.
//!
//! The one place where wall-clock time enters: a timer makes blocks.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonrpsee::server::{BatchRequestConfig, RpcModule, ServerBuilder, ServerConfig, ServerHandle};
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::Value;
use warren_proto::UnixTime;

use super::dev::{DevChain, FUND, METHODS};
use super::json::hex_bytes;

// Our choice: a development chain serves a handful of nodes on one machine.
const MAX_CONNECTIONS: u32 = 256;
const MAX_REQUEST_BYTES: u32 = 1 << 20;
const MAX_REPLY_BYTES: u32 = 16 << 20;
const MAX_BATCH: u32 = 64;

/// When a served chain makes blocks without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// Never.
    Off,
    /// With this much time between two blocks, each at the wall clock's time.
    Every(Duration),
}

/// Why a chain could not be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve the chain on {address}: {source}")]
pub struct ServeError {
    /// Where.
    pub address: SocketAddr,
    /// What the system said.
    pub source: std::io::Error,
}

/// A served chain; it stops when this is dropped.
pub struct Served {
    address: SocketAddr,
    server: ServerHandle,
    timer: Option<tokio::task::JoinHandle<()>>,
}

impl Served {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, for [`super::rpc::RpcChain`].
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until it has stopped.
    pub async fn stopped(&self) {
        self.server.clone().stopped().await;
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _already_stopped = self.server.stop();
        if let Some(timer) = &self.timer {
            timer.abort();
        }
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Served({})", self.address)
    }
}

/// Serves `chain` on `address`; port 0 takes a free one.
///
/// Needs a tokio runtime.
///
/// # Errors
/// [`ServeError`] if the address cannot be listened on.
pub async fn serve(
    chain: DevChain,
    address: SocketAddr,
    timer: Timer,
) -> Result<Served, ServeError> {
    let failed = |source| ServeError { address, source };
    let config = ServerConfig::builder()
        .max_connections(MAX_CONNECTIONS)
        .max_request_body_size(MAX_REQUEST_BYTES)
        .max_response_body_size(MAX_REPLY_BYTES)
        .set_batch_request_config(BatchRequestConfig::Limit(MAX_BATCH))
        .http_only()
        .build();
    let server = ServerBuilder::with_config(config)
        .build(address)
        .await
        .map_err(failed)?;
    let address = server.local_addr().map_err(failed)?;
    let server = server.start(module(&chain, timer).map_err(failed)?);
    let timer = match timer {
        Timer::Off => None,
        Timer::Every(span) => Some(tokio::spawn(tick(chain, span))),
    };
    Ok(Served {
        address,
        server,
        timer,
    })
}

fn module(chain: &DevChain, timer: Timer) -> std::io::Result<RpcModule<DevChain>> {
    let mut module = RpcModule::new(chain.clone());
    for method in METHODS.iter().copied().chain([FUND]) {
        let answer = move |params: jsonrpsee::types::Params<'_>, chain: &DevChain, _: &_| {
            if timer != Timer::Off {
                chain.set_clock(now());
            }
            let params: Value = match params.as_str() {
                Some(text) => serde_json::from_str(text).unwrap_or(Value::Null),
                None => Value::Array(Vec::new()),
            };
            chain.reply(method, &params).map_err(|fault| {
                ErrorObjectOwned::owned(fault.code, fault.message, fault.data.map(hex_bytes))
            })
        };
        module
            .register_method(method, answer)
            .map_err(std::io::Error::other)?;
    }
    Ok(module)
}

async fn tick(chain: DevChain, span: Duration) {
    let mut timer = tokio::time::interval(span);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        timer.tick().await;
        chain.set_clock(now());
        chain.mine();
    }
}

fn now() -> UnixTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixTime::default().plus(since)
}
