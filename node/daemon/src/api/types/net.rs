//! `/v1/net/…`, `/v1/events`: the neighbourhood and what happens in it.

use std::collections::BTreeMap;
use std::fmt;

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

/// Answer to `GET /v1/net/stats`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetStats {
    /// Connected peers.
    pub peers: u32,
    /// Nodes in the DHT's routing table.
    pub routing_table: u32,
    /// Nodes in the gossip mesh.
    pub mesh: u32,
    /// Valid offers known, this node's own and withdrawn ones among them.
    pub offers: u32,
    /// Records and provider entries of the DHT held for others.
    pub held: u32,
    /// Questions to the DHT under way.
    pub questions: u32,
    /// By which way offers are known.
    pub ways: OfferWays,
    /// What was counted since the daemon started, such as `offer.refused`: each refusal by its reason among it.
    pub counted: BTreeMap<String, u64>,
}

/// How many offers are known by which way, as far as it spoke of them in the last hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OfferWays {
    /// By the DHT alone.
    pub dht: u32,
    /// By gossip alone.
    pub gossip: u32,
    /// By both.
    pub both: u32,
    /// By neither: a peer's answer to a newcomer told of them, or they were kept.
    pub neither: u32,
}

impl fmt::Display for OfferWays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} known by DHT and gossip, {} by the DHT alone, {} by gossip alone, {} by neither",
            self.both, self.dht, self.gossip, self.neither
        )
    }
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
