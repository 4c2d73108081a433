//! The consumer's engine: one peer, the exit.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::{Account, Engine, Inbox, Knock, Outbox, Received};
use crate::meter::{DropCounts, DropReason, Drops, Meter, Usage};
use crate::offload::Splitter;
use crate::packet;
use crate::spec::{TunnelSpec, TunnelState};
use crate::wireguard::{MessageKind, Peer, kind};

/// The exit's account; there is only one.
const EXIT: u32 = 0;

/// The consumer's half of a tunnel, without device and socket.
#[derive(Debug)]
pub struct ConsumerEngine {
    peer: Peer,
    /// Whether the first handshake was started.
    begun: AtomicBool,
    local: [Option<IpAddr>; 2],
    meter: Meter,
    drops: Drops,
}

impl ConsumerEngine {
    /// Makes the engine `spec` asks for; it has no session yet.
    #[must_use]
    pub fn new(spec: &TunnelSpec) -> Self {
        Self {
            peer: Peer::seeking(
                &spec.private_key,
                &spec.peer_key,
                &spec.endpoints,
                spec.keepalive,
            ),
            begun: AtomicBool::new(false),
            local: [spec.local_v4.map(IpAddr::V4), spec.local_v6.map(IpAddr::V6)],
            meter: Meter::default(),
            drops: Drops::default(),
        }
    }

    /// Starts the first handshake.
    pub fn connect(&self, out: &mut Outbox) {
        self.begun.store(true, Ordering::Relaxed);
        self.peer.lock().seek(Instant::now(), out);
    }

    /// Seals one inner packet.
    pub fn seal_packet(&self, packet: &[u8], out: &mut Outbox) {
        self.seal(&(), &mut Splitter::whole(packet), out);
    }

    /// Takes what came from the line.
    pub fn open_datagrams(&self, received: Received<'_>, inbox: &mut Inbox, out: &mut Outbox) {
        self.open(&(), received, inbox, out);
    }

    /// Does what is due by the clock; to be called at least every 250 ms.
    pub fn tick_now(&self, out: &mut Outbox) {
        self.tick_at(Instant::now(), out);
    }

    /// Like [`Self::tick_now`], at another time. WireGuard's own timers go by the real clock.
    ///
    /// The first look at the clock starts the first handshake: nobody waits for a packet, or for
    /// the first keepalive, to learn whether the exit answers.
    pub fn tick_at(&self, now: Instant, out: &mut Outbox) {
        if self.begun.swap(true, Ordering::Relaxed) {
            self.peer.lock().tick(now, out);
        } else {
            self.peer.lock().seek(now, out);
        }
    }

    /// Meters everything in `out` as taken by the socket.
    pub fn sent_all(&self, out: &Outbox) {
        for item in out.items() {
            self.sent(&(), item.account, out.inner_len(item));
        }
    }

    /// Meters everything in `inbox` as taken by the device.
    pub fn written_all(&self, inbox: &Inbox) {
        for item in inbox.items() {
            self.written(&(), item.account, item.len as u64);
        }
    }

    /// Inner bytes carried so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.meter.usage()
    }

    /// How the exit is doing.
    #[must_use]
    pub fn state(&self, now: Instant) -> TunnelState {
        self.peer.state(now)
    }

    /// Looks for the exit at another endpoint from now on.
    pub fn set_endpoint(&self, endpoint: SocketAddr) {
        self.peer.set_endpoint(endpoint);
    }

    /// What was not carried, by reason.
    #[must_use]
    pub fn drop_counts(&self) -> DropCounts {
        self.drops.counts()
    }

    fn is_ours(&self, address: IpAddr) -> bool {
        self.local.contains(&Some(address))
    }
}

impl Engine for ConsumerEngine {
    type Crowd = ();

    fn crowd(&self) -> Self::Crowd {}

    fn seal(&self, (): &(), packet: &mut Splitter<'_>, out: &mut Outbox) {
        let Some(ends) = packet::ends(packet.head()) else {
            return self.drops.count(DropReason::Malformed);
        };
        if !self.is_ours(ends.source) {
            return self.drops.count(DropReason::WrongSource);
        }
        let mut peer = self.peer.lock();
        while let Some(segment) = packet.next_segment() {
            if let Err(reason) = peer.seal(segment, Account::of_slot(EXIT), out) {
                self.drops.count(reason);
            }
        }
    }

    fn open(&self, (): &(), received: Received<'_>, inbox: &mut Inbox, out: &mut Outbox) {
        let mut peer = self.peer.lock();
        for datagram in received.datagrams() {
            let taken = match kind(datagram) {
                None => Err(DropReason::Malformed),
                Some(MessageKind::Init | MessageKind::ForIndex { data: false, .. }) => {
                    peer.greet(datagram, received.origin, Account::of_slot(EXIT), out)
                }
                Some(MessageKind::ForIndex { data: true, .. }) => {
                    let Some(room) = inbox.room(datagram.len()) else {
                        self.drops.count(DropReason::Overflow);
                        continue;
                    };
                    match peer.open(datagram, received.origin, room) {
                        Ok(0) => Ok(()),
                        Ok(len) => match packet::ends(&room[..len]) {
                            Some(ends) if self.is_ours(ends.destination) => {
                                inbox.commit(len, Account::of_slot(EXIT));
                                Ok(())
                            }
                            Some(_) => Err(DropReason::NoSuchGuest),
                            None => Err(DropReason::Malformed),
                        },
                        Err(reason) => Err(reason),
                    }
                }
            };
            if let Err(reason) = taken {
                self.drops.count(reason);
            }
        }
    }

    /// A consumer answers at once; nothing is put aside.
    fn answer(&self, (): &(), _: &Knock, _: Instant, _: &mut Outbox) {}

    fn tick(&self, (): &(), out: &mut Outbox) {
        self.tick_now(out);
    }

    /// The peer's own limit is reset by its timers.
    fn new_second(&self) {}

    fn sent(&self, (): &(), account: Account, bytes: u64) {
        if account != Account::NONE {
            self.meter.add_up(bytes);
        }
    }

    fn written(&self, (): &(), _: Account, bytes: u64) {
        self.meter.add_down(bytes);
    }

    fn drops(&self) -> &Drops {
        &self.drops
    }
}
