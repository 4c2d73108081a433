//! `/v1/routes`: payments by way of others, and for others.

use serde::{Deserialize, Serialize};
use warren_proto::{ChannelId, NodeId, PaymentId};

use super::{Money, Timestamp};

/// The route that pays a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteUsed {
    /// Through whom.
    pub router: NodeId,
    /// What a word costs here.
    pub unit_price: Money,
    /// What the exit gets of it.
    pub exit_price: Money,
    /// The router's part, in millionths of what the next hop gets.
    pub fee_ppm: u32,
    /// The router beyond it. `None` on a route over one.
    pub second: Option<SecondRouter>,
    /// What each lock costs, whether or not words are said.
    pub hold_fee: Money,
}

/// The second router of a route: it asks no hold fee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondRouter {
    /// Which.
    pub router: NodeId,
    /// Its part, in millionths of what the exit gets.
    pub fee_ppm: u32,
}

/// Answer to `GET /v1/routes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteList {
    /// This node as a router. `None` if it does not route.
    pub router: Option<RouterView>,
    /// Payments that it routes, until both their locks are over.
    pub routes: Vec<RouteRow>,
    /// Nodes that its own channels pay, to route or for what is routed.
    pub neighbours: Vec<NeighbourView>,
}

/// This node as a router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterView {
    /// Its part of each word, in millionths of what the next hop gets.
    pub fee_ppm: u32,
    /// What it asks for each lock.
    pub hold_fee: Money,
    /// It says that it can lock about 2^n base units onward.
    pub capacity_log2: u32,
    /// The most that may lie in channels onward.
    pub budget: Money,
    /// Left in channels onward.
    pub bound: Money,
    /// Paid onward so far, by all such channels.
    pub passed_on: Money,
    /// Offers of locks since the daemon started.
    pub asked: u64,
    /// Of them, refused.
    pub refused: u64,
}

/// One payment that this node routes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRow {
    /// Which.
    pub payment: PaymentId,
    /// The channel that pays this node.
    pub up: ChannelId,
    /// The channel that it pays from.
    pub down: ChannelId,
    /// How far it is: held, offered, live, rejected, expired, folded, claimed, released.
    pub stage: String,
    /// Words that this node knows to be paid for.
    pub units: u32,
    /// Words of the lock.
    pub of_units: u32,
    /// What a word brings.
    pub up_price: Money,
    /// What a word costs.
    pub down_price: Money,
    /// When the lock that this node gave expires.
    pub expires: Timestamp,
}

/// Answer to `GET /v1/routers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterList {
    /// Routers on this node's chain that answered, the cheapest first.
    pub routers: Vec<RouterRow>,
}

/// What a router asks, by its own signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterRow {
    /// Which.
    pub node: NodeId,
    /// Its part of each word, in millionths of what the next hop gets.
    pub fee_ppm: u32,
    /// What it asks for each lock.
    pub hold_fee: Money,
    /// It says that it can lock about 2^n base units onward.
    pub capacity_log2: u32,
    /// The least close window of a channel to it, seconds.
    pub close_window_secs: u32,
    /// Until when it says so.
    pub valid_until: Timestamp,
}

/// What a neighbour is to this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeighbourRole {
    /// It routes what this node pays.
    Router,
    /// It is paid for what this node routes: an exit, or a second router.
    Onward,
}

/// A node at the other end of one of this node's channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourView {
    /// The channel.
    pub channel: ChannelId,
    /// The node that it pays.
    pub node: NodeId,
    /// What for.
    pub role: NeighbourRole,
    /// Whether their stream stands.
    pub connected: bool,
    /// A router's part of each word, in millionths. `None` until it said so.
    pub fee_ppm: Option<u32>,
    /// About how much a router can lock onward, 2^n base units. `None` until it said so.
    pub capacity_log2: Option<u32>,
}
