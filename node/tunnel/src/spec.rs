//! What a tunnel is asked to be: the specs of both ends and the words around them.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU64;
use std::time::Duration;

use ipnet::{Ipv4Net, Ipv6Net};
use warren_proto::TunnelPublicKey;

use crate::error::TunnelError;
use crate::wireguard::TunnelKey;

// Specification.
/// The least MTU that inner IPv6 allows (RFC 8200, section 5).
pub const LEAST_MTU: u16 = 1280;

// Our choice.
/// The largest MTU that the buffers take.
pub const MOST_MTU: u16 = 9000;
/// MTU inside a path of 1500 bytes: 80 less, for IPv6, UDP and WireGuard.
pub const DEFAULT_MTU: u16 = 1420;
/// How often the consumer speaks up, so that NATs between keep the way open.
pub const DEFAULT_KEEPALIVE: Duration = Duration::from_secs(25);
/// Handshakes per second an exit computes before it asks for cookies: a third of what one core can
/// (0.3 ms each), and enough for a thousand guests that come back within seconds.
pub const DEFAULT_HANDSHAKE_LIMIT: u64 = 1000;
/// Guests one exit carries.
pub const MAX_GUESTS: usize = 4096;

/// The consumer's end.
#[derive(Debug, Clone)]
pub struct TunnelSpec {
    /// The device's name, such as `warren0`.
    pub device: String,
    /// This session's private key.
    pub private_key: TunnelKey,
    /// The exit's public key.
    pub peer_key: TunnelPublicKey,
    /// Where the exit may listen, best first; at least one. Whichever answers is used.
    pub endpoints: Vec<SocketAddr>,
    /// The UDP port to speak from; 0 for any.
    pub port: u16,
    /// The inner IPv4 address the exit assigned, if any.
    pub local_v4: Option<Ipv4Addr>,
    /// The inner IPv6 address the exit assigned, if any.
    pub local_v6: Option<Ipv6Addr>,
    /// The device's MTU, [`LEAST_MTU`] to [`MOST_MTU`].
    pub mtu: u16,
    /// How often to speak up when silent; `None` for never.
    pub keepalive: Option<Duration>,
    /// Firewall mark of the UDP socket; `None` for none.
    pub mark: Option<u32>,
    /// Whether packets are carried in batches.
    pub offload: Offload,
}

/// The exit's end.
#[derive(Debug, Clone)]
pub struct ExitSpec {
    /// The device's name, such as `warren-exit`.
    pub device: String,
    /// Where to listen. `[::]:port` listens on IPv4 too.
    pub listen: SocketAddr,
    /// The exit's private key.
    pub private_key: TunnelKey,
    /// The device's MTU, [`LEAST_MTU`] to [`MOST_MTU`].
    pub mtu: u16,
    /// The exit's inner IPv4 address, in the network its guests are given addresses of.
    pub gateway_v4: Ipv4Net,
    /// The exit's inner IPv6 address, in the network its guests are given addresses of.
    pub gateway_v6: Ipv6Net,
    /// Firewall mark of the UDP socket; `None` for none.
    pub mark: Option<u32>,
    /// Handshakes per second before cookies are asked for.
    pub handshake_limit: u64,
    /// Whether packets are carried in batches.
    pub offload: Offload,
}

/// A guest to be carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestSpec {
    /// The guest's public key of this session.
    pub peer_key: TunnelPublicKey,
    /// Its inner IPv4 address.
    pub v4: Ipv4Addr,
    /// Its inner IPv6 address.
    pub v6: Ipv6Addr,
}

/// How fast guests are carried, each way by itself. What is above a rate waits, and is dropped only
/// if too much waits already.
///
/// # Units
/// Inner bytes a second. `None`: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shape {
    /// Each guest.
    pub guest: Option<NonZeroU64>,
    /// All of them together, who then take turns. A little less than the line carries, so that
    /// packets wait here, where turns are fair, and not in front of the line.
    pub line: Option<NonZeroU64>,
}

/// A guest of a running exit. Never used again for another guest of the same exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestId(pub(crate) u64);

impl fmt::Display for GuestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g{}", self.0)
    }
}

/// Whether packets are carried in batches by what the kernel offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Offload {
    /// The best rung of each ladder that works here, found at start and again on errors.
    #[default]
    Auto,
    /// One packet at a time at the device, plain datagrams on the line.
    Off,
    /// At most these rungs; for tests and for mending.
    AtMost(Rungs),
}

/// The rungs in use, one of each ladder; the first of each enum is the fastest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rungs {
    /// Between kernel and tunnel.
    pub device: DeviceRung,
    /// From the tunnel to the line.
    pub send: SendRung,
    /// From the line to the tunnel.
    pub receive: ReceiveRung,
}

/// How packets pass between the kernel and the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceRung {
    /// TCP and UDP super-packets.
    TcpUdp,
    /// TCP super-packets only (before Linux 6.2).
    Tcp,
    /// One packet a time.
    Plain,
}

/// How datagrams are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SendRung {
    /// Many of a size in one system call and one walk through the kernel.
    Segments,
    /// Many in one system call.
    Many,
}

/// How datagrams are received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReceiveRung {
    /// Many of a flow in one buffer, many buffers in one system call.
    Merged,
    /// Many in one system call.
    Many,
}

impl Rungs {
    /// The fastest of each ladder.
    pub const BEST: Self = Self {
        device: DeviceRung::TcpUdp,
        send: SendRung::Segments,
        receive: ReceiveRung::Merged,
    };
    /// The last of each ladder; works wherever a device and a socket do.
    pub const PLAIN: Self = Self {
        device: DeviceRung::Plain,
        send: SendRung::Many,
        receive: ReceiveRung::Many,
    };
}

impl Offload {
    /// The rungs to try first.
    #[must_use]
    pub fn ceiling(self) -> Rungs {
        match self {
            Self::Auto => Rungs::BEST,
            Self::Off => Rungs::PLAIN,
            Self::AtMost(rungs) => rungs,
        }
    }
}

/// How a peer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunnelState {
    /// Age of the session key in use; `None` before the first handshake and after expiry.
    pub since_handshake: Option<Duration>,
    /// Time since the last packet that authenticated; `None` before the first.
    pub since_received: Option<Duration>,
    /// For how long data was sent to it and nothing came back; `None` if something did, if nothing was sent, and
    /// for a guest. WireGuard answers data within 10 s, be it by a keepalive (its paper, section 6.5).
    pub unanswered: Option<Duration>,
    /// Where the peer was last heard, or is looked for; `None` for a guest never heard.
    pub endpoint: Option<SocketAddr>,
    /// The largest inner packet found to pass the way. `None` if nobody measured it, or not yet.
    pub path_mtu: Option<u16>,
}

pub(crate) fn check_mtu(mtu: u16) -> Result<(), TunnelError> {
    if (LEAST_MTU..=MOST_MTU).contains(&mtu) {
        return Ok(());
    }
    Err(TunnelError::Mtu {
        mtu,
        least: LEAST_MTU,
        most: MOST_MTU,
    })
}
