//! Carrying a guest's packets: WireGuard between a device of the kernel and a UDP socket.
//!
//! Two doors: [`ConsumerTunnel`] for who pays, [`ExitTunnel`] for who is paid. Each makes a device,
//! runs its packets on threads of its own and counts the inner bytes it carried. Routes, firewall
//! and DNS belong to the host part; prices and money to nobody here.
//!
//! ```text
//! device ─▶ split ─▶ seal ─▶ socket        socket ─▶ open ─▶ coalesce ─▶ device
//! ```
//!
//! Start reading at [`engine`], then `pump`, which runs it.
//!
//! Invariant: this crate does not know what a wei is. What a guest may do is one bit: its [`Gate`].

mod consumer;
mod device;
pub mod engine;
mod error;
mod exit;
mod gate;
pub mod host;
mod meter;
pub mod offload;
mod packet;
pub mod policy;
mod pump;
mod socket;
mod spec;
mod wireguard;

pub use consumer::ConsumerTunnel;
pub use error::{TunnelError, TunnelWarning};
pub use exit::ExitTunnel;
pub use gate::Gate;
pub use meter::{DropCounts, DropReason, HandshakeCounts, ShapeCounts, Usage};
pub use spec::{
    DEFAULT_HANDSHAKE_LIMIT, DEFAULT_KEEPALIVE, DEFAULT_MTU, DeviceRung, ExitSpec, GuestId,
    GuestSpec, LEAST_MTU, MAX_GUESTS, MOST_MTU, Offload, ReceiveRung, Rungs, SendRung, Shape,
    TunnelSpec, TunnelState,
};
pub use wireguard::{KeyLimits, TunnelKey};
