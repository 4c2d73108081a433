//! The packet plane without its IO: what becomes of a packet from the device or the line.
//!
//! An engine seals inner packets into an [`Outbox`] and opens datagrams into an [`Inbox`]; both
//! are buffers of the caller, used again for every batch. It has no socket, no device and no
//! thread, so two engines can be put back to back in a test.
//!
//! ```text
//! device ──seal──▶ Outbox ──▶ socket        socket ──open──▶ Inbox ──▶ device
//! ```
//!
//! Invariant: nothing is metered before the socket or the device took it (`Engine::sent`,
//! `Engine::written` name whose bytes they were).

mod alarms;
mod asked;
mod consumer;
mod echo;
mod exit;
mod guests;
mod path_mtu;
mod shaper;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

pub(crate) use alarms::Rest;
pub use consumer::ConsumerEngine;
pub use exit::ExitEngine;

use crate::meter::Drops;
use crate::offload::Splitter;
use crate::wireguard::inner_len;

/// Whose meter a packet counts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account(u32);

impl Account {
    /// Nobody's: handshakes and keepalives.
    pub const NONE: Self = Self(u32::MAX);

    pub(crate) fn of_slot(slot: u32) -> Self {
        Self(slot)
    }

    pub(crate) fn slot(self) -> u32 {
        self.0
    }
}

/// The other end of the line, and which of our own addresses it knows us by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address.
    pub remote: SocketAddr,
    /// The address it spoke to, IPv4 as mapped; `None` leaves the choice to the system.
    pub local: Option<Ipv6Addr>,
}

impl From<SocketAddr> for Endpoint {
    fn from(remote: SocketAddr) -> Self {
        Self {
            remote,
            local: None,
        }
    }
}

/// One sealed datagram of an [`Outbox`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing {
    /// Where its bytes begin.
    pub start: usize,
    /// How many there are.
    pub len: usize,
    /// Where it goes.
    pub to: Endpoint,
    /// Who pays for it.
    pub account: Account,
}

/// Sealed datagrams, back to back, on their way to the socket.
#[derive(Debug)]
pub struct Outbox {
    arena: Vec<u8>,
    used: usize,
    items: Vec<Outgoing>,
    most: usize,
}

impl Outbox {
    /// Makes one for up to `most` datagrams of `bytes` in all.
    #[must_use]
    pub fn new(bytes: usize, most: usize) -> Self {
        Self {
            arena: vec![0; bytes],
            used: 0,
            items: Vec::with_capacity(most),
            most,
        }
    }

    /// The datagrams, in order.
    #[must_use]
    pub fn items(&self) -> &[Outgoing] {
        &self.items
    }

    /// The bytes of one datagram.
    #[must_use]
    pub fn bytes(&self, item: &Outgoing) -> &[u8] {
        &self.arena[item.start..item.start + item.len]
    }

    /// The bytes of `items`, which must follow one another.
    pub(crate) fn span(&self, items: &[Outgoing]) -> &[u8] {
        match (items.first(), items.last()) {
            (Some(first), Some(last)) => &self.arena[first.start..last.start + last.len],
            _ => &[],
        }
    }

    /// Inner bytes of a datagram, to be metered once it was sent.
    pub(crate) fn inner_len(&self, item: &Outgoing) -> u64 {
        inner_len(self.bytes(item)) as u64
    }

    /// Forgets all datagrams; keeps the memory.
    pub fn clear(&mut self) {
        self.items.clear();
        self.used = 0;
    }

    /// The free end, if it has `least` bytes and a place.
    pub(crate) fn room(&mut self, least: usize) -> Option<&mut [u8]> {
        if self.items.len() == self.most || self.arena.len() - self.used < least {
            return None;
        }
        Some(&mut self.arena[self.used..])
    }

    /// Takes the first `len` bytes of the room as a datagram.
    pub(crate) fn commit(&mut self, len: usize, to: Endpoint, account: Account) {
        self.items.push(Outgoing {
            start: self.used,
            len,
            to,
            account,
        });
        self.used += len;
    }

    /// Copies a datagram in, if there is room.
    pub(crate) fn push(&mut self, datagram: &[u8], to: Endpoint) {
        if let Some(room) = self.room(datagram.len()) {
            room[..datagram.len()].copy_from_slice(datagram);
            self.commit(datagram.len(), to, Account::NONE);
        }
    }
}

/// One opened packet of an [`Inbox`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incoming {
    /// Where its bytes begin.
    pub start: usize,
    /// How many there are.
    pub len: usize,
    /// Who pays for it.
    pub account: Account,
}

/// A stranger's wish for a session, to be answered off the packet path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Knock {
    pub(crate) from: Endpoint,
    pub(crate) init: [u8; crate::wireguard::HANDSHAKE_INIT_LEN],
}

// Our choice.
/// Handshakes taken from one batch; the rest are dropped and come again.
const MOST_KNOCKS: usize = 64;

/// Opened packets, back to back, on their way to the device.
#[derive(Debug)]
pub struct Inbox {
    arena: Vec<u8>,
    used: usize,
    items: Vec<Incoming>,
    most: usize,
    knocks: Vec<Knock>,
}

impl Inbox {
    /// Makes one for up to `most` packets of `bytes` in all.
    #[must_use]
    pub fn new(bytes: usize, most: usize) -> Self {
        Self {
            arena: vec![0; bytes],
            used: 0,
            items: Vec::with_capacity(most),
            most,
            knocks: Vec::with_capacity(MOST_KNOCKS),
        }
    }

    /// The packets, in order.
    #[must_use]
    pub fn items(&self) -> &[Incoming] {
        &self.items
    }

    /// Whether it holds neither packets nor handshakes.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.knocks.is_empty()
    }

    /// The bytes of one packet.
    #[must_use]
    pub fn bytes(&self, item: &Incoming) -> &[u8] {
        &self.arena[item.start..item.start + item.len]
    }

    /// Forgets all packets; keeps the memory.
    pub fn clear(&mut self) {
        self.items.clear();
        self.knocks.clear();
        self.used = 0;
    }

    pub(crate) fn room(&mut self, least: usize) -> Option<&mut [u8]> {
        if self.items.len() == self.most || self.arena.len() - self.used < least {
            return None;
        }
        Some(&mut self.arena[self.used..])
    }

    pub(crate) fn commit(&mut self, len: usize, account: Account) {
        self.items.push(Incoming {
            start: self.used,
            len,
            account,
        });
        self.used += len;
    }

    /// Keeps a handshake for later; says whether there was a place.
    pub(crate) fn knock(&mut self, from: Endpoint, datagram: &[u8]) -> bool {
        let (true, Ok(init)) = (self.knocks.len() < MOST_KNOCKS, datagram.try_into()) else {
            return false;
        };
        self.knocks.push(Knock { from, init });
        true
    }

    pub(crate) fn knocks(&self) -> &[Knock] {
        &self.knocks
    }

    pub(crate) fn forget_knocks(&mut self) {
        self.knocks.clear();
    }
}

// Our choice.
/// How often timers are looked at while packets pass; boringtun needs it at least every 250 ms.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// How often somebody looks whether packets pass again.
pub(crate) const QUIET_TICK: Duration = Duration::from_secs(1);

/// What the packet threads ask of either end.
pub(crate) trait Engine: Send + Sync + 'static {
    /// Who is there, looked up once per batch.
    type Crowd;

    fn crowd(&self) -> Self::Crowd;

    /// Whose turn a packet from the device takes, where several guests speak.
    fn whose(&self, _: &Self::Crowd, _packet: &[u8]) -> u32 {
        0
    }

    /// Whose turn a datagram takes, where several guests speak. `None` if nobody's: a stranger's, or no message at all.
    fn spoken_by(&self, _: &Self::Crowd, _datagram: &[u8]) -> Option<u32> {
        Some(0)
    }

    /// Seals a packet from the device, or all packets of a super-packet.
    fn seal(&self, crowd: &Self::Crowd, packet: &mut Splitter<'_>, out: &mut Outbox);

    /// Opens datagrams of up to `segment` bytes each, all from one sender.
    fn open(
        &self,
        crowd: &Self::Crowd,
        received: Received<'_>,
        inbox: &mut Inbox,
        out: &mut Outbox,
    );

    /// Answers a handshake that [`Engine::open`] put aside.
    fn answer(&self, crowd: &Self::Crowd, knock: &Knock, now: Instant, out: &mut Outbox);

    /// Does what is due by the clock; says how long it may be left alone.
    fn tick(&self, out: &mut Outbox) -> Duration;

    /// Seals what waited for its turn and may pass now; says when the next may, if any waits.
    fn seal_held(&self, _: &Self::Crowd, _: &mut Outbox) -> Option<Instant> {
        None
    }

    /// The same for opened packets, which were opened before they waited.
    fn open_held(&self, _: &Self::Crowd, _: &mut Inbox) -> Option<Instant> {
        None
    }

    /// Starts a new second of the handshake limit.
    fn new_second(&self);

    /// Whose way the engine is about to measure, or looks at for a change: it wants to know first what the
    /// system knows of it. `None` if it does neither now.
    fn measures(&self, _: Instant) -> Option<SocketAddr> {
        None
    }

    /// The system knows that datagrams of `bytes` (IP header included) pass whole to there, and that they leave
    /// from this address of ours.
    fn way_takes(&self, _: SocketAddr, _from: IpAddr, _bytes: u16) {}

    /// The MTU that the device should have. `None` to leave it as it is.
    fn device_mtu(&self) -> Option<u16> {
        None
    }

    /// The socket took `bytes` inner bytes of `account`.
    fn sent(&self, crowd: &Self::Crowd, account: Account, bytes: u64);

    /// The device took `bytes` of `account`.
    fn written(&self, crowd: &Self::Crowd, account: Account, bytes: u64);

    fn drops(&self) -> &Drops;
}

/// Who sent a datagram, and when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The sender.
    pub from: Endpoint,
    /// When it came.
    pub at: Instant,
}

/// Bytes from one sender: one datagram, or several of one size whose last may be shorter.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    pub(crate) origin: Origin,
    pub(crate) bytes: &'a [u8],
    pub(crate) segment: usize,
}

impl<'a> Received<'a> {
    /// One datagram.
    #[must_use]
    pub fn one(origin: Origin, datagram: &'a [u8]) -> Self {
        Self {
            origin,
            bytes: datagram,
            segment: datagram.len(),
        }
    }

    pub(crate) fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> {
        self.bytes.chunks(self.segment.max(1))
    }
}
