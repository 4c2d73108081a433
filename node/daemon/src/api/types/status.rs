//! `GET /v1/status`: what the node is and does now.

use serde::{Deserialize, Serialize};
use warren_proto::{ChannelId, NodeId, PayoutAddress, Region, SessionId};

use super::{ExitStatus, Money, PriceView, Timestamp, UsageView};
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
    /// What it buys. `None` if no tunnel is up or coming up.
    pub consumer: Option<ConsumerView>,
    /// What it lends. `None` if it is not an exit.
    pub exit: Option<ExitStatus>,
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
    /// Settles and takes down.
    Closing,
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
    /// Since when in this state.
    pub since: Timestamp,
    /// Agreed price.
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
    /// The most it will pay in this session.
    pub max_spend: Money,
    /// What pays. `None` for a free session.
    pub channel: Option<ChannelId>,
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
}

/// Answer to `POST /v1/shutdown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShutdownReport {
    /// Sessions that will be closed on the way.
    pub sessions_closing: u32,
}
