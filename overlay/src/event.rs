//! What the overlay says by itself, and what it tells when asked.

use std::collections::BTreeMap;
use std::time::Duration;

use warren_proto::{NodeId, SignedOffer};

use crate::offers::Way;
use crate::session_stream::SessionStream;

/// What happened in the overlay. A reader that falls behind misses news, never a session that was
/// let in: a session for which there is no room is refused, and counted.
#[derive(Debug)]
pub enum OverlayEvent {
    /// Another node opened a session stream to this one.
    InboundSession {
        /// Who.
        peer: NodeId,
        /// The stream.
        stream: SessionStream,
    },
    /// An exit's new offer was heard of.
    OfferSeen {
        /// The exit.
        node: NodeId,
        /// The offer's sequence.
        seq: u64,
        /// How it came.
        way: Way,
    },
    /// An exit's offer has expired.
    OfferLost {
        /// The exit.
        node: NodeId,
    },
    /// This node's own offer was renewed: the same terms, a higher sequence, a later end.
    OfferRenewed(SignedOffer),
    /// A first connection to a node stands.
    PeerJoined(NodeId),
    /// The last connection to a node is gone.
    PeerLeft(NodeId),
    /// This node listens at this multiaddr, to which `/p2p/…` is already added.
    Listening(String),
}

/// A node this one is connected to.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerInfo {
    /// Which.
    pub node: NodeId,
    /// How many connections stand.
    pub connections: u32,
    /// Where it is connected: the other end of its first connection, which may be over when others stand.
    pub address: String,
    /// Whether this node dialled that one.
    pub outbound: bool,
    /// Its program and version, as it says. `None` until it said so.
    pub agent: Option<String>,
    /// The last round trip. `None` until the first ping came back.
    pub rtt: Option<Duration>,
    /// Its gossip score; below zero it misbehaved. `None` if it does not gossip.
    pub score: Option<f64>,
}

/// Counters since the start, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct OverlayStats {
    /// Nodes connected now.
    pub peers: usize,
    /// Nodes in the DHT's routing table.
    pub routing_table: usize,
    /// Nodes in the gossip mesh.
    pub mesh: usize,
    /// Living offers known.
    pub offers: usize,
    /// Records and provider entries held for others.
    pub held: usize,
    /// Whether the offers of most peers are dated ahead of this node's clock, which must then be behind.
    pub clock_behind: bool,
    /// Whether most peers tell of offers that are long over by this node's clock, which must then be ahead.
    pub clock_ahead: bool,
    /// Questions under way.
    pub questions: usize,
    /// Everything counted, such as `gossip.forged` or `session.refused`.
    pub counters: BTreeMap<String, u64>,
}
