//! What the overlay needs to be told.

use std::time::Duration;

use ipnet::IpNet;
use warren_proto::CountryCode;

use crate::address;
use crate::error::OverlayError;
use crate::names::Names;
use crate::offers::IndexLimits;

// Our choice.
/// How many peers a node keeps at most unless told otherwise: kind to a home router's NAT table.
pub const DEFAULT_MAX_PEERS: u32 = 96;
/// How many sessions' streams may stand at once unless told otherwise.
pub const DEFAULT_MAX_SESSIONS: usize = 256;
/// Of these, how many one peer may hold: a session and the one it replaces, a neighbour's stream, a
/// tower's, an answer to a payer, and as many again.
pub const DEFAULT_PEER_SESSIONS: usize = 8;
/// How long a session frame may take once begun, each way, unless told otherwise.
pub const DEFAULT_FRAME_LIMIT: Duration = Duration::from_secs(10);

/// What the overlay needs to be told.
#[derive(Debug, Clone)]
pub struct OverlayConfig {
    /// The network's name, such as `warren/1`. Nodes of different networks never meet.
    pub network: String,
    /// Multiaddrs to listen at. Empty for a node that only dials out.
    pub listen: Vec<String>,
    /// Multiaddrs at which others reach this node, such as a forwarded port. What peers say they
    /// see us at is never announced by itself: it is a claim.
    pub external: Vec<String>,
    /// Multiaddrs of nodes to join at, each ending in `/p2p/…`.
    pub bootstrap: Vec<String>,
    /// Whether to answer DHT questions and hold records: for nodes that strangers can reach.
    pub serve_dht: bool,
    /// Whether to dial private, loopback and documentation addresses: for a lab or a LAN.
    pub allow_private: bool,
    /// Nets whose addresses exist inside tunnels only: never dialled, whoever names them.
    pub inner: Vec<IpNet>,
    /// Countries whose offers to listen for; empty means all.
    pub countries: Vec<CountryCode>,
    /// How many peers to be connected to at most.
    pub max_peers: u32,
    /// How many inbound session streams may stand at once.
    pub max_sessions: usize,
    /// How many of them one peer may hold.
    pub peer_sessions: usize,
    /// How long a session frame may take once begun, each way.
    pub frame_limit: Duration,
    /// How many offers to remember.
    pub index: IndexLimits,
}

impl OverlayConfig {
    /// Looks at every text as a start would, and changes nothing.
    ///
    /// # Errors
    /// [`OverlayError::Network`] or [`OverlayError::Address`].
    pub fn check(&self) -> Result<(), OverlayError> {
        Names::new(&self.network)?;
        for text in &self.external {
            address::parse(text)?;
        }
        for text in &self.listen {
            address::parse_listen(text)?;
        }
        for text in &self.bootstrap {
            address::parse_bootstrap(text)?;
        }
        Ok(())
    }
}

impl Default for OverlayConfig {
    fn default() -> Self {
        Self {
            network: "warren/1".to_owned(),
            listen: Vec::new(),
            external: Vec::new(),
            bootstrap: Vec::new(),
            serve_dht: false,
            allow_private: false,
            inner: Vec::new(),
            countries: Vec::new(),
            max_peers: DEFAULT_MAX_PEERS,
            max_sessions: DEFAULT_MAX_SESSIONS,
            peer_sessions: DEFAULT_PEER_SESSIONS,
            frame_limit: DEFAULT_FRAME_LIMIT,
            index: IndexLimits::default(),
        }
    }
}
