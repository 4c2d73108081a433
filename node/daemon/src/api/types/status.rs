//! `GET /v1/status`: what the node is and does now.

use serde::{Deserialize, Serialize};
use warren_proto::{ChannelId, NodeId, PayoutAddress, Region, SessionId};

use super::{
    DropsView, ExitStatus, Money, OffloadView, PriceView, RouteUsed, RouterView, Timestamp,
    UsageView,
};
use crate::error::Problem;

/// The node at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// This node.
    pub node: NodeId,
    /// Its network.
    pub network: String,
    /// Version of the daemon.
    pub version: String,
    /// When the daemon started.
    pub started: Timestamp,
    /// Its way to other nodes.
    pub overlay: OverlayView,
    /// Its view of the chain. `None` if none is configured.
    pub chain: Option<ChainView>,
    /// The session that it buys, or the last one that it bought. `None` before the first since the daemon
    /// started, and while the first exit of an `up` is looked for.
    pub consumer: Option<ConsumerView>,
    /// Whether an exit is being looked for and no session runs.
    #[serde(default)]
    pub choosing: bool,
    /// Whether the kill switch is on: nothing leaves outside of a tunnel, whether or not one is up.
    pub kill_switch: bool,
    /// What it lends. `None` if it is not an exit.
    pub exit: Option<ExitStatus>,
    /// What it routes. `None` if it is no router.
    pub router: Option<RouterView>,
    /// Its disk.
    pub store: StoreView,
    /// What is not as it should be.
    pub warnings: Vec<Problem>,
}

/// The node's way to other nodes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OverlayView {
    /// Connected peers.
    pub peers: u32,
    /// Valid offers known.
    pub offers: u32,
    /// Addresses it listens on.
    pub listen: Vec<String>,
}

/// The node's view of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainView {
    /// EIP-155 id.
    pub chain_id: u64,
    /// The ChainLock contract.
    pub contract: PayoutAddress,
    /// Newest block seen. `None` before the first answer.
    pub head_block: Option<u64>,
    /// That block's own time. `None` before the first answer.
    pub head_time: Option<Timestamp>,
    /// Whether that is recent enough for decisions about money.
    pub fresh: bool,
    /// How many of the endpoints must say the same before money counts.
    pub must_agree: u32,
    /// Through what the chain is asked, in the order of `chain.rpc_url`.
    pub endpoints: Vec<EndpointView>,
}

/// One JSON-RPC endpoint of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointView {
    /// Scheme, host and port; what else the address says may be a secret.
    pub url: String,
    /// Whether it can be asked.
    pub state: EndpointStanding,
    /// The usual time of an answer, milliseconds. `None` before the first.
    pub latency_millis: Option<u64>,
    /// The newest block it told of. `None` before the first.
    pub head_block: Option<u64>,
    /// Blocks behind the highest that any endpoint told of. `None` before the first.
    pub lag_blocks: Option<u64>,
    /// Questions put to it since the daemon started.
    pub asked: u64,
    /// Of those, without an answer.
    pub errors: u64,
    /// Its answers that enough others contradicted.
    pub overruled: u64,
    /// Whether it is left alone for a while, having failed.
    pub resting: bool,
    /// Its last error. `None` once it answers again.
    pub trouble: Option<String>,
}

/// Whether an endpoint of the chain can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointStanding {
    /// Nobody asked it yet.
    Unasked,
    /// It answers.
    Up,
    /// It gave no answer to the last question.
    Down,
    /// It is on another chain, or has another contract or token there.
    Wrong,
}

/// The store and its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StoreView {
    /// Free on its file system.
    pub free_bytes: u64,
    /// Whether new liabilities are taken on; false on a nearly full disk.
    pub takes_liabilities: bool,
    /// Batches written since the store was made.
    pub batches: u64,
}

/// Where a consumer session stands (DESIGN part 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsumerState {
    /// Picks an exit.
    Choosing,
    /// Agrees on terms.
    Negotiating,
    /// Waits for the channel.
    Funding,
    /// Waits for the tunnel's first handshake.
    Connecting,
    /// Carries traffic.
    Active,
    /// Carries none now; blocked, not leaking.
    Stalled,
    /// Over.
    Closed,
}

/// The consumer's session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerView {
    /// The session.
    pub session: SessionId,
    /// Where it stands.
    pub state: ConsumerState,
    /// Through whom.
    pub exit: NodeId,
    /// Where that says it is.
    pub region: Region,
    /// When it was begun.
    pub since: Timestamp,
    /// Price of the exit's offer.
    pub price: PriceView,
    /// Inner bytes so far.
    pub used: UsageView,
    /// Seconds served so far.
    pub served_secs: u64,
    /// Owed so far.
    pub due: Money,
    /// Paid so far.
    pub paid: Money,
    /// The most this node can lose to this exit: what it pays ahead.
    pub at_risk: Money,
    /// The most that this `up` may cost, all of its sessions together; zero leaves the free exits.
    pub max_spend: Money,
    /// What pays. `None` for a free session.
    pub channel: Option<ChannelId>,
    /// By which route that channel, to a router, pays the exit. `None` if it pays it directly.
    pub route: Option<RouteUsed>,
    /// What carries. `None` before it exists.
    pub tunnel: Option<TunnelView>,
    /// Whether the kill switch is on.
    pub kill_switch: bool,
}

/// The tunnel of a consumer session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelView {
    /// Network device.
    pub device: String,
    /// The exit's UDP endpoint.
    pub endpoint: String,
    /// Inner IPv4 address. `None` if the session has none.
    pub address_v4: Option<String>,
    /// Inner IPv6 address. `None` if the session has none.
    pub address_v6: Option<String>,
    /// Resolvers in force.
    pub dns: Vec<String>,
    /// Largest inner packet.
    pub mtu: u32,
    /// Seconds since the last handshake. `None` before the first.
    pub handshake_age_secs: Option<u64>,
    /// How packets pass. `None` while the device is not there.
    pub offload: Option<OffloadView>,
    /// What it did not carry.
    #[serde(default)]
    pub dropped: DropsView,
}

/// Answer to `POST /v1/shutdown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShutdownReport {
    /// Sessions that will be closed on the way.
    pub sessions_closing: u32,
}
