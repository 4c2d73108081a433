//! Sees every packet of a namespace, as a wire tap does.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, Socket, Type};

use crate::lab::Namespace;

/// A packet as far as a leak test cares. `port` is the destination's, 0 without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: u8,
    pub(crate) port: u16,
}

pub(crate) struct Capture {
    socket: Socket,
}

/// How long a packet may take through a namespace of this machine before the test gives up.
const PATIENCE_MILLIS: u16 = 20_000;
const ETH_P_ALL: u16 = 3;

impl Capture {
    pub(crate) fn start(namespace: &Namespace) -> Self {
        let socket = namespace.run(|| {
            let every = Protocol::from(i32::from(ETH_P_ALL.to_be()));
            Socket::new(Domain::PACKET, Type::RAW, Some(every)).unwrap()
        });
        socket.set_recv_buffer_size(8 << 20).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket }
    }

    /// Collects packets up to and including the first that `is_last` picks: a packet sent after
    /// the others on the same way comes after them.
    pub(crate) fn until(&mut self, is_last: impl Fn(&Seen) -> bool) -> BTreeSet<Seen> {
        let mut seen = BTreeSet::new();
        let mut frame = [0_u8; 65536];
        loop {
            match self.socket.read(&mut frame) {
                Ok(length) => {
                    let Some(packet) = parse(&frame[..length]) else {
                        continue;
                    };
                    seen.insert(packet);
                    if is_last(&packet) {
                        return seen;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
                    let ready = poll(&mut fds, PollTimeout::from(PATIENCE_MILLIS)).unwrap();
                    assert!(ready > 0, "the last packet never came; seen: {seen:#?}");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn parse(frame: &[u8]) -> Option<Seen> {
    let (kind, packet) = (frame.get(12..14)?, frame.get(14..)?);
    let (source, destination, protocol, payload) = match kind {
        [0x08, 0x00] => {
            let address = |at: usize| -> Option<IpAddr> {
                let bytes: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
                Some(IpAddr::V4(Ipv4Addr::from(bytes)))
            };
            (
                address(12)?,
                address(16)?,
                *packet.get(9)?,
                packet.get(20..)?,
            )
        }
        [0x86, 0xdd] => {
            let address = |at: usize| -> Option<IpAddr> {
                let bytes: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
                Some(IpAddr::V6(Ipv6Addr::from(bytes)))
            };
            (
                address(8)?,
                address(24)?,
                *packet.get(6)?,
                packet.get(40..)?,
            )
        }
        _ => return None,
    };
    let port = match protocol {
        6 | 17 => u16::from_be_bytes(payload.get(2..4)?.try_into().ok()?),
        _ => 0,
    };
    Some(Seen {
        source,
        destination,
        protocol,
        port,
    })
}
