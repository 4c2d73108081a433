//! Find and talk: the market of signed offers, and the streams that sessions run on.
//!
//! libp2p's only home in Warren. What leaves this crate is [`NodeId`](warren_proto::NodeId),
//! [`SessionStream`], [`RankedOffer`] and [`OverlayEvent`].
//!
//! ```text
//!              ┌───────────── actor: one task, owns the swarm ─────────────┐
//! Overlay ────▶│ command ─▶                                    ─▶ libp2p   │
//!   ▲          │            cores: index, herald, search,                  │──▶ OverlayEvent
//!   └──────────│ answer  ◀─ routing, strikes               ◀─ translate    │
//!              └───────────────────────────────────────────────────────────┘
//! SessionStream ── its own task's, never the actor's
//! ```
//!
//! **Invariants.** Nobody but [`offers::admission`] lets an offer in. No queue, map, frame or wait is
//! without a bound. `overlay` does not know what a wei buys, nor what a tunnel is.
//!
//! Start reading at [`Overlay`], then [`offers`].
#![forbid(unsafe_code)]

mod actor;
mod address;
mod beacon;
mod behaviour;
mod chance;
mod clock;
mod command;
mod config;
mod counters;
mod error;
mod event;
mod handle;
mod households;
mod lookup;
pub mod names;
pub mod offers;
mod peer;
mod pending;
mod porter;
mod record_store;
mod routing;
mod session_stream;
mod snapshot;
mod strikes;
mod translate;
mod transport;

pub use address::{host_of, named_at};
pub use config::{
    DEFAULT_FRAME_LIMIT, DEFAULT_MAX_PEERS, DEFAULT_MAX_SESSIONS, DEFAULT_PEER_SESSIONS,
    OverlayConfig,
};
pub use error::{OverlayError, StreamError};
pub use event::{OverlayEvent, OverlayStats, PeerInfo};
pub use handle::Overlay;
pub use offers::{OfferOrder, OfferQuery, RankedOffer, ScoreReason, Way};
pub use session_stream::{SessionReceiver, SessionSender, SessionStream};
