//! What can go wrong at this crate's doors.

use std::time::Duration;

use warren_proto::{NodeId, OfferError, WireError};

/// Why the overlay could not start, or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// The network's name is not `NAME/VERSION`.
    #[error("`{network}` is not the name of a network: two words around a slash, such as warren/1")]
    Network {
        /// What was given.
        network: String,
    },
    /// The node key could not be used.
    #[error("the node key is not usable as a network identity")]
    Key,
    /// A listen, external or bootstrap address cannot be used.
    #[error("address `{address}` cannot be used: {why}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The system did not let us listen.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A part of the network stack refused its configuration.
    #[error("the {part} refused its configuration: {detail}")]
    Setup {
        /// Which part.
        part: &'static str,
        /// What it said.
        detail: String,
    },
    /// The overlay has been shut down.
    #[error("the overlay has been shut down")]
    Stopped,
    /// Too many questions are under way.
    #[error("too many questions are under way; the limit is {limit}")]
    Busy {
        /// How many may be.
        limit: usize,
    },
    /// The offer is not this node's.
    #[error("the offer is of {}, not of this node", node.short())]
    NotOurs {
        /// Whose it is.
        node: NodeId,
    },
    /// The offer's sequence does not grow.
    #[error("offer sequence {seq} does not exceed {held}, which is already published")]
    OldSequence {
        /// What was given.
        seq: u64,
        /// What is out.
        held: u64,
    },
    /// The offer is of another network.
    #[error("the offer is of network `{network}`, this node is on another")]
    ForeignOffer {
        /// The offer's network.
        network: String,
    },
    /// The offer breaks a limit that every receiver checks.
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// The node cannot be reached.
    #[error("cannot reach {}: {why}", node.short())]
    Unreachable {
        /// Which node.
        node: NodeId,
        /// What the attempts said.
        why: String,
    },
    /// The node speaks no session protocol of ours.
    #[error("{} takes no sessions", node.short())]
    NoSessions {
        /// Which node.
        node: NodeId,
    },
    /// No answer in time.
    #[error("no answer within {} ms", after.as_millis())]
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
}

/// Why a session stream broke. It is of no use afterwards.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The frame is longer than the limit.
    #[error("frame of {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// Its size, as announced or as made.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The frame does not decode.
    #[error("malformed frame: {0}")]
    Malformed(#[from] WireError),
    /// The other side began a frame and did not end it in time.
    #[error("half a frame, then nothing for {} ms", after.as_millis())]
    HalfFrame {
        /// How long was waited.
        after: Duration,
    },
    /// The other side does not read.
    #[error("the other side read nothing for {} ms", after.as_millis())]
    NotRead {
        /// How long was waited.
        after: Duration,
    },
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame")]
    CutOff,
    /// An earlier error or an abandoned send left the stream out of step.
    #[error("the stream broke earlier")]
    Broken,
    /// The connection below failed.
    #[error("stream: {0}")]
    Io(#[from] std::io::Error),
}
