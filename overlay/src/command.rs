//! What the handle asks of the actor.

use libp2p::{Multiaddr, PeerId};
use tokio::sync::oneshot;
use warren_proto::{NodeId, SignedOffer};

use crate::error::OverlayError;
use crate::event::{OverlayStats, PeerInfo};
use crate::offers::{OfferQuery, RankedOffer};

pub(crate) type Reply<T> = oneshot::Sender<Result<T, OverlayError>>;

/// A question or an order, with the place for its answer.
#[derive(Debug)]
pub(crate) enum Command {
    Publish {
        offer: Box<SignedOffer>,
        reply: Reply<()>,
    },
    Withdraw {
        reply: Reply<()>,
    },
    /// So many places are free from now on. The offer that is out then; `None` if none is.
    Free {
        places: u32,
        reply: Reply<Option<SignedOffer>>,
    },
    /// This node routes payments from now on, or no more.
    Route {
        on: bool,
        reply: Reply<()>,
    },
    Routers {
        reply: Reply<Vec<NodeId>>,
    },
    OwnOffer {
        reply: Reply<Option<SignedOffer>>,
    },
    Offers {
        query: OfferQuery,
        reply: Reply<Vec<RankedOffer>>,
    },
    Refresh {
        query: OfferQuery,
        reply: Reply<Vec<RankedOffer>>,
    },
    Reach {
        node: NodeId,
        reply: Reply<()>,
    },
    Renew {
        node: NodeId,
        reply: Reply<()>,
    },
    Dial {
        address: String,
        reply: Reply<()>,
    },
    Contacts {
        reply: Reply<Vec<String>>,
    },
    Resolved {
        peer: PeerId,
        addresses: Vec<Multiaddr>,
    },
    Peers {
        reply: Reply<Vec<PeerInfo>>,
    },
    Addresses {
        reply: Reply<Vec<String>>,
    },
    Stats {
        reply: Reply<OverlayStats>,
    },
    /// A peer asks what we know that it does not.
    Unknown {
        digest: Vec<(NodeId, u64)>,
        reply: Reply<Vec<Vec<u8>>>,
    },
    /// A peer told what we do not know.
    Told {
        peer: NodeId,
        offers: Vec<Vec<u8>>,
    },
    /// A peer that was asked told nothing.
    Untold,
    Shutdown {
        reply: Reply<()>,
    },
}
