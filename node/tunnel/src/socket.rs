//! The tunnel's UDP socket: one, unconnected, for both kinds of IP.

mod mmsg;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::engine::{Account, Origin, Outbox, Outgoing, Received};
use crate::error::{TunnelError, TunnelWarning};
use crate::meter::{DropReason, Drops};
use crate::spec::{ReceiveRung, SendRung};

// Specification.
/// The most segments one send takes on every kernel (UDP_MAX_SEGMENTS).
const MOST_SEGMENTS: usize = 64;
/// The largest UDP payload.
const MOST_PAYLOAD: usize = 65_507;

// Our choice.
/// Socket buffers: more only adds delay.
const BUFFER_BYTES: usize = 512 * 1024;
/// How long a send may wait for room on the line.
const SEND_PATIENCE: Duration = Duration::from_millis(100);
/// Slot of a receive buffer when the kernel does not merge: an MTU of 9000 and what is around it.
const PLAIN_SLOT: usize = 9216;

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
    if setsockopt(socket, sockopt::RcvBufForce, &BUFFER_BYTES).is_err() {
        let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    }
    if setsockopt(socket, sockopt::SndBufForce, &BUFFER_BYTES).is_err() {
        let _ = socket.set_send_buffer_size(BUFFER_BYTES);
    }
    let got = socket.recv_buffer_size().unwrap_or(0);
    if got < BUFFER_BYTES {
        warnings.push(TunnelWarning::SmallBuffer {
            asked: BUFFER_BYTES,
            got,
        });
    }
}

/// The sending side of one thread.
#[derive(Debug)]
pub(crate) struct Sender<'s> {
    socket: &'s TunnelSocket,
    rung: SendRung,
    names: Vec<SockAddr>,
}

impl<'s> Sender<'s> {
    pub(crate) fn new(socket: &'s TunnelSocket) -> Self {
        Self {
            socket,
            rung: socket.send,
            names: Vec::with_capacity(mmsg::MOST_SENT),
        }
    }

    pub(crate) fn rung(&self) -> SendRung {
        self.rung
    }

    /// Sends all of `out` and empties it, telling `sent` whose inner bytes the line took.
    pub(crate) fn flush(
        &mut self,
        out: &mut Outbox,
        drops: &Drops,
        mut sent: impl FnMut(Account, u64),
    ) {
        let mut from = 0;
        while from < out.items().len() {
            let rest = &out.items()[from..];
            let took = match self.rung {
                SendRung::Segments => self.send_run(out, rest, drops, &mut sent),
                SendRung::Many => self.send_batch(out, rest, drops, &mut sent),
            };
            from += took;
        }
        out.clear();
    }

    /// Sends the first datagrams that are for one endpoint and of one size; says how many.
    fn send_run(
        &mut self,
        out: &Outbox,
        rest: &[Outgoing],
        drops: &Drops,
        sent: &mut impl FnMut(Account, u64),
    ) -> usize {
        let run = &rest[..run_len(rest)];
        let (Some(first), Ok(segment)) = (run.first(), u16::try_from(rest[0].len)) else {
            return rest.len();
        };
        if run.len() == 1 {
            return self.send_batch(out, run, drops, sent);
        }
        let to = self.socket.reach(first.to);
        match mmsg::send_segments(self.socket.as_fd(), out.span(run), segment, &to) {
            Ok(()) => {
                for item in run {
                    sent(item.account, out.inner_len(item));
                }
                run.len()
            }
            Err(error) => {
                match refusal(&error) {
                    Refusal::Always => {
                        tracing::warn!(%error, "segmented sending refused, going on without");
                        self.rung = SendRung::Many;
                    }
                    Refusal::ThisPath => {}
                    Refusal::Loss => {
                        drops.add(DropReason::Refused, run.len() as u64);
                        return run.len();
                    }
                }
                self.send_batch(out, run, drops, sent)
            }
        }
    }

    /// Sends the first datagrams one by one in one call; says how many are done with.
    fn send_batch(
        &mut self,
        out: &Outbox,
        rest: &[Outgoing],
        drops: &Drops,
        sent: &mut impl FnMut(Account, u64),
    ) -> usize {
        let batch = &rest[..rest.len().min(mmsg::MOST_SENT)];
        self.names.clear();
        self.names
            .extend(batch.iter().map(|item| self.socket.reach(item.to)));
        let datagrams = batch.iter().map(|item| out.bytes(item)).zip(&self.names);
        match mmsg::send_many(self.socket.as_fd(), datagrams) {
            Ok(count) => {
                for item in &batch[..count] {
                    sent(item.account, out.inner_len(item));
                }
                count.max(1)
            }
            // The line takes nothing more for now: waiting for each in turn would only add delay.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                drops.add(DropReason::Refused, rest.len() as u64);
                rest.len()
            }
            Err(error) => {
                tracing::trace!(%error, to = ?batch.first().map(|it| it.to), "datagram refused");
                drops.count(DropReason::Refused);
                1
            }
        }
    }
}

/// What a refused send of segments means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// Kernel or line card cannot: never again on this socket.
    Always,
    /// The path is narrower than thought: the kernel may still cut single datagrams.
    ThisPath,
    /// Nothing to do with segments: no route, no room.
    Loss,
}

fn refusal(error: &io::Error) -> Refusal {
    match error.raw_os_error() {
        Some(libc::EIO | libc::EINVAL | libc::EOPNOTSUPP) => Refusal::Always,
        Some(libc::EMSGSIZE) => Refusal::ThisPath,
        _ => Refusal::Loss,
    }
}

/// How many datagrams at the head of `rest` may go out as segments of one send.
fn run_len(rest: &[Outgoing]) -> usize {
    let Some(first) = rest.first() else { return 0 };
    let (mut count, mut bytes) = (1, first.len);
    for item in rest.iter().skip(1).take(MOST_SEGMENTS - 1) {
        let fits = item.to == first.to
            && item.len <= first.len
            && rest[count - 1].len == first.len
            && bytes + item.len <= MOST_PAYLOAD;
        if !fits {
            break;
        }
        count += 1;
        bytes += item.len;
    }
    count
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

    /// Fetches what is there without waiting; `false` if nothing is.
    pub(crate) fn fetch(&mut self) -> bool {
        mmsg::receive(
            self.socket.as_fd(),
            &mut self.buffer,
            self.slot_len,
            &mut self.filled,
        )
        .is_ok()
            && !self.filled.is_empty()
    }

    /// What [`Receiver::fetch`] fetched; datagrams larger than a buffer are counted as drops.
    pub(crate) fn batch<'a>(
        &'a self,
        at: Instant,
        drops: &'a Drops,
    ) -> impl Iterator<Item = Received<'a>> {
        self.filled
            .iter()
            .enumerate()
            .filter_map(move |(slot, filled)| {
                if filled.cut {
                    drops.count(DropReason::Oversized);
                    return None;
                }
                let start = slot * self.slot_len;
                let bytes = self.buffer.get(start..start + filled.len)?;
                let origin = Origin {
                    from: filled.from,
                    at,
                };
                Some(Received {
                    origin,
                    bytes,
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
