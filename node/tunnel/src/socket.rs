//! The tunnel's UDP socket: one, unconnected, for both kinds of IP.

mod mmsg;
mod sender;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use nix::{getsockopt_impl, sockopt_impl};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

pub(crate) use sender::Sender;

use crate::engine::{Endpoint, Origin, Received};
use crate::error::{TunnelError, TunnelWarning};
use crate::meter::{DropReason, Drops};
use crate::spec::{ReceiveRung, SendRung};

// Our choice.
/// What may come while the reading thread waits for a processor.
const RECEIVE_BYTES: usize = 1 << 20;
/// More only adds delay.
const SEND_BYTES: usize = 512 << 10;
/// How long a send may wait for room on the line.
const SEND_PATIENCE: Duration = Duration::from_millis(100);
/// Slot of a receive buffer when the kernel does not merge: an MTU of 9000 and what is around it.
const PLAIN_SLOT: usize = 9216;

sockopt_impl!(
    /// What the system knows of the way to the peer of an IPv6 socket.
    Ipv6Mtu,
    GetOnly,
    libc::IPPROTO_IPV6,
    libc::IPV6_MTU,
    libc::c_int
);

/// The socket, and which rungs it stands on.
#[derive(Debug)]
pub(crate) struct TunnelSocket {
    socket: Socket,
    v6: bool,
    receive: ReceiveRung,
    send: SendRung,
}

impl TunnelSocket {
    /// Opens and binds; what it must do without is added to `warnings`.
    pub(crate) fn open(
        listen: SocketAddr,
        mark: Option<u32>,
        ceiling: (SendRung, ReceiveRung),
        warnings: &mut Vec<TunnelWarning>,
    ) -> Result<Self, TunnelError> {
        let fail = |source| TunnelError::Socket { listen, source };
        let (socket, bound) = match (Self::bare(listen), listen) {
            (Ok(socket), _) => (socket, listen),
            (Err(_), SocketAddr::V6(v6)) if v6.ip().is_unspecified() => {
                warnings.push(TunnelWarning::NoIpv6);
                let listen = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), v6.port());
                (Self::bare(listen).map_err(fail)?, listen)
            }
            (Err(source), _) => return Err(fail(source)),
        };
        if let Some(mark) = mark
            && socket.set_mark(mark).is_err()
        {
            warnings.push(TunnelWarning::Unmarked { mark });
        }
        enlarge(&socket, warnings);
        socket
            .set_write_timeout(Some(SEND_PATIENCE))
            .map_err(fail)?;
        socket.bind(&bound.into()).map_err(fail)?;
        // Else an exit with several addresses answers from one its guest did not speak to.
        let told = if bound.is_ipv6() {
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)
        } else {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)
        };
        told.map_err(|error| fail(error.into()))?;
        let (mut send, mut receive) = ceiling;
        if receive == ReceiveRung::Merged
            && setsockopt(&socket, sockopt::UdpGroSegment, &true).is_err()
        {
            receive = ReceiveRung::Many;
        }
        if send == SendRung::Segments && setsockopt(&socket, sockopt::UdpGsoSegment, &0).is_err() {
            send = SendRung::Many;
        }
        Ok(Self {
            socket,
            v6: bound.is_ipv6(),
            receive,
            send,
        })
    }

    fn bare(listen: SocketAddr) -> io::Result<Socket> {
        let socket = Socket::new(
            Domain::for_address(listen),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if listen.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        Ok(socket)
    }

    pub(crate) fn rungs(&self) -> (SendRung, ReceiveRung) {
        (self.send, self.receive)
    }

    /// What the system knows that the way to `place` takes whole, in bytes of IP packets: the MTU
    /// of its device, or what a router said; and our own address on that way. `None` if there is no way.
    pub(crate) fn path_mtu(&self, place: SocketAddr) -> Option<(u16, IpAddr)> {
        let probe = Self::bare(place).ok()?;
        if let Ok(mark) = self.socket.mark()
            && mark != 0
        {
            probe.set_mark(mark).ok()?;
        }
        probe.connect(&place.into()).ok()?;
        let mtu = match place {
            SocketAddr::V4(_) => getsockopt(&probe, sockopt::IpMtu),
            SocketAddr::V6(_) => getsockopt(&probe, Ipv6Mtu),
        };
        let from = probe.local_addr().ok()?.as_socket()?.ip();
        Some((u16::try_from(mtu.ok()?).ok()?, from))
    }

    /// Where the socket listens; the port is the real one.
    pub(crate) fn local(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()?.as_socket()
    }

    /// An address in the form this socket's family takes.
    fn reach(&self, to: SocketAddr) -> SockAddr {
        match to {
            SocketAddr::V4(v4) if self.v6 => {
                SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into()
            }
            SocketAddr::V4(_) | SocketAddr::V6(_) => to.into(),
        }
    }
}

impl AsFd for TunnelSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Asks for larger buffers, as root if we are, else as far as the system lets anyone.
fn enlarge(socket: &Socket, warnings: &mut Vec<TunnelWarning>) {
    if setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BYTES).is_err() {
        let _ = socket.set_recv_buffer_size(RECEIVE_BYTES);
    }
    if setsockopt(socket, sockopt::SndBufForce, &SEND_BYTES).is_err() {
        let _ = socket.set_send_buffer_size(SEND_BYTES);
    }
    let got = socket.recv_buffer_size().unwrap_or(0);
    if got < RECEIVE_BYTES {
        warnings.push(TunnelWarning::SmallBuffer {
            asked: RECEIVE_BYTES,
            got,
        });
    }
}

/// The receiving side: buffers used again for every batch.
#[derive(Debug)]
pub(crate) struct Receiver<'s> {
    socket: &'s TunnelSocket,
    buffer: Vec<u8>,
    slot_len: usize,
    filled: Vec<mmsg::Filled>,
}

impl<'s> Receiver<'s> {
    pub(crate) fn new(socket: &'s TunnelSocket) -> Self {
        let slot_len = match socket.receive {
            ReceiveRung::Merged => 1 << 16,
            ReceiveRung::Many => PLAIN_SLOT,
        };
        Self {
            socket,
            buffer: vec![0; slot_len * mmsg::MOST_RECEIVED],
            slot_len,
            filled: Vec::with_capacity(mmsg::MOST_RECEIVED),
        }
    }

    /// The most bytes one batch has.
    pub(crate) fn most_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Fetches what is there without waiting; `false` if nothing is. Datagrams larger than a buffer are counted as
    /// drops.
    pub(crate) fn fetch(&mut self, drops: &Drops) -> bool {
        let (fd, filled) = (self.socket.as_fd(), &mut self.filled);
        let fetched = mmsg::receive(fd, &mut self.buffer, self.slot_len, filled);
        let cut = filled.iter().filter(|it| it.cut).count();
        drops.add(DropReason::Oversized, cut as u64);
        fetched.is_ok() && !filled.is_empty()
    }

    /// Whether every buffer is filled: there may be more.
    pub(crate) fn is_full(&self) -> bool {
        self.filled.len() == mmsg::MOST_RECEIVED
    }

    /// What [`Receiver::fetch`] fetched, which came `at` that time.
    pub(crate) fn batch(&self, at: Instant) -> impl Iterator<Item = Received<'_>> {
        let slots = self.buffer.chunks_exact(self.slot_len);
        let whole = slots.zip(&self.filled).filter(|(_, filled)| !filled.cut);
        whole.filter_map(move |(slot, filled)| {
            let from = Endpoint {
                remote: filled.from,
                local: filled.local,
            };
            Some(Received {
                origin: Origin { from, at },
                bytes: slot.get(..filled.len)?,
                segment: filled.segment,
            })
        })
    }
}

/// The address to listen on for both kinds of IP.
pub(crate) fn anywhere(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)
}

#[cfg(test)]
mod tests;
