//! Why a tunnel cannot be had, and what it does without.

use std::io;
use std::net::SocketAddr;

use crate::spec::GuestId;

/// Why a tunnel or a guest cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The device could not be created: no `/dev/net/tun`, no right, or the name is taken.
    #[error("cannot create tunnel device {device}: {source}")]
    Device {
        /// The name asked for.
        device: String,
        /// What the system said.
        source: io::Error,
    },
    /// The device exists but refuses its addresses, MTU or queue.
    #[error("cannot set {what} on tunnel device {device}: {reason}")]
    Configure {
        /// The device.
        device: String,
        /// The setting.
        what: &'static str,
        /// What the system said.
        reason: String,
    },
    /// The UDP socket could not be bound.
    #[error("cannot listen on UDP {listen}: {source}")]
    Socket {
        /// The address asked for.
        listen: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A packet thread could not be started.
    #[error("cannot start packet thread {name}: {source}")]
    Thread {
        /// The thread.
        name: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The MTU is outside of what inner IPv6 and our buffers allow.
    #[error("MTU {mtu} is outside {least}..={most}")]
    Mtu {
        /// The MTU asked for.
        mtu: u16,
        /// The smallest allowed.
        least: u16,
        /// The largest allowed.
        most: u16,
    },
    /// No endpoint of the exit is known.
    #[error("the exit has no WireGuard endpoint")]
    NoEndpoint,
    /// Another guest has this key or one of these addresses.
    #[error("key or inner address is already given to guest {0}")]
    Taken(GuestId),
    /// The guest's address is outside the exit's inner networks, or is the exit's own.
    #[error("inner address {0} is not one this exit can give")]
    AddressOutside(std::net::IpAddr),
    /// All guest places are taken.
    #[error("all {0} guest places are taken")]
    Full(usize),
    /// No such guest; it may have been removed.
    #[error("no guest {0}")]
    NoSuchGuest(GuestId),
}

/// What a running tunnel does without. It works; somebody should know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TunnelWarning {
    /// The socket could not be marked, so rules by mark do not see it.
    #[error("the tunnel's socket does not carry mark {mark:#x}: no right to set it")]
    Unmarked {
        /// The mark asked for.
        mark: u32,
    },
    /// The system has no IPv6; the socket speaks IPv4 only.
    #[error("the system has no IPv6: the tunnel's socket speaks IPv4 only")]
    NoIpv6,
    /// The socket's buffer is smaller than asked for.
    #[error("the tunnel's socket buffer is {got} bytes, asked for {asked}")]
    SmallBuffer {
        /// Bytes asked for.
        asked: usize,
        /// Bytes granted.
        got: usize,
    },
}
