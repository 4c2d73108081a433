//! Towers as the API says them.

use serde::{Deserialize, Serialize};
use warren_proto::{ChannelId, NodeId};

use super::{Money, Timestamp};

/// Answer to `GET /v1/towers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TowerStatus {
    /// This node as a tower. `None` unless `tower.enabled`.
    pub work: Option<TowerWork>,
    /// What it keeps for others.
    pub kept: Vec<PutView>,
    /// How many towers this node wants for each of its own channels.
    pub wanted: u32,
    /// What others keep for it.
    pub held: Vec<HoldingView>,
}

/// What a tower did since the daemon started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TowerWork {
    /// Claims made.
    pub claims: u64,
    /// What they brought to their payees.
    pub saved: Money,
    /// Puts refused.
    pub refused: u64,
    /// Newest block seen. `None` before the first look.
    pub block: Option<u64>,
}

/// A put that this node keeps. What is sealed in it stays sealed until its channel closes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutView {
    /// Whose.
    pub owner: NodeId,
    /// By what it is found: a hash of the channel.
    pub locator: String,
    /// Its number.
    pub number: u64,
    /// When it is forgotten.
    pub until: Timestamp,
    /// Size of what is sealed.
    pub bytes: u32,
    /// The channel. `None` until there is something to do.
    pub channel: Option<ChannelId>,
    /// When it is claimed unless its owner does. `None` until there is something to do.
    pub claim_at: Option<Timestamp>,
    /// Whether it was claimed with, or is worth nothing more.
    pub spent: bool,
}

/// What a tower keeps for this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldingView {
    /// The channel.
    pub channel: ChannelId,
    /// The tower.
    pub tower: NodeId,
    /// What its claim is worth in all.
    pub value: Money,
    /// When it forgets it, unless told anew.
    pub until: Timestamp,
}
