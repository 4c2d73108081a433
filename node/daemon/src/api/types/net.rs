//! `/v1/net/…`, `/v1/events`: the neighbourhood and what happens in it.

use serde::{Deserialize, Serialize};
use warren_proto::{ChannelId, NodeId, SessionId};

use super::{Check, Timestamp};

/// Answer to `GET /v1/net/peers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerList {
    /// Connected peers.
    pub peers: Vec<PeerView>,
}

/// One connected peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerView {
    /// Who.
    pub node: NodeId,
    /// Where it is reached.
    pub address: String,
    /// Whether this node dialled it.
    pub outbound: bool,
    /// Round trip, milliseconds. `None` if not measured.
    pub rtt_millis: Option<f64>,
    /// What its program calls itself. `None` before it said so.
    pub agent: Option<String>,
}

/// Answer to `GET /v1/net/check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetCheck {
    /// One by one.
    pub checks: Vec<Check>,
    /// Addresses this node listens on.
    pub listen: Vec<String>,
    /// Addresses others can reach it at, as far as known.
    pub external: Vec<String>,
}

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeEventKind {
    /// A peer came or went.
    Peer,
    /// An exit's offer was heard of or has expired, or this node's own was renewed.
    Offer,
    /// A session moved on: this node's own, or a guest's.
    Session,
    /// A channel moved on.
    Channel,
    /// A claim was paid on chain.
    Payment,
    /// What is known of the chain became too old, or is new again.
    Chain,
    /// The tunnel, or what of this machine was changed for it.
    Tunnel,
    /// Something that wants looking at.
    Warning,
}

/// One line of `GET /v1/events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEvent {
    /// Counts up from 1 since the daemon started, whether or not anybody listened; a gap means that this reader was
    /// too slow.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// What kind.
    pub kind: NodeEventKind,
    /// What happened, for people.
    pub text: String,
    /// Whom it is about. `None` if nobody.
    pub node: Option<NodeId>,
    /// Which session. `None` if none.
    pub session: Option<SessionId>,
    /// Which channel. `None` if none.
    pub channel: Option<ChannelId>,
}
