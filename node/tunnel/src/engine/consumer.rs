//! The consumer's engine: one peer, the exit.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::asked::Asked;
use super::echo::{self, Pair};
use super::path_mtu::PathMtu;
use super::{Account, Engine, Inbox, Knock, Outbox, Received, TICK};
use crate::meter::{DropCounts, DropReason, Drops, Meter, Usage};
use crate::offload::Splitter;
use crate::packet;
use crate::spec::{LEAST_MTU, TunnelSpec, TunnelState};
use crate::wireguard::{DATA_OVERHEAD, KeyLimits, MessageKind, Peer, kind};

// Specification (RFC 768).
const UDP_LEN: usize = 8;

// Our choice.
/// How often it is looked at whether this side's own way to the exit is another one.
const LOOK: Duration = Duration::from_secs(1);

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
    /// What may still come before it would be more than anybody here can have asked for.
    asked: Asked,
    drops: Drops,
    mtu: u16,
    way: Mutex<Option<Way>>,
}

/// The search for the largest packet that passes the way to the exit.
#[derive(Debug)]
struct Way {
    echo: Pair,
    search: PathMtu,
    /// Where the exit was when it was last asked.
    place: Option<SocketAddr>,
    /// Which address of ours led there when it was last looked at, and when that was.
    from: Option<IpAddr>,
    looked: Option<Instant>,
}

impl ConsumerEngine {
    /// Makes the engine `spec` asks for; it has no session yet.
    #[must_use]
    pub fn new(spec: &TunnelSpec) -> Self {
        Self::with_limits(spec, KeyLimits::WIREGUARD)
    }

    /// Makes one whose keys wear out sooner: nobody can wait for WireGuard's own limits.
    #[must_use]
    pub fn with_limits(spec: &TunnelSpec, limits: KeyLimits) -> Self {
        Self {
            peer: Peer::seeking(
                &spec.private_key,
                &spec.peer_key,
                &spec.endpoints,
                spec.keepalive,
                limits,
            ),
            begun: AtomicBool::new(false),
            local: [spec.local_v4.map(IpAddr::V4), spec.local_v6.map(IpAddr::V6)],
            meter: Meter::default(),
            asked: Asked::default(),
            drops: Drops::default(),
            mtu: spec.mtu,
            way: Mutex::default(),
        }
    }

    /// Finds out how large packets may be, from now on, by asking the exit's inner address for
    /// echoes. To be called once the exit carries packets: before that nobody answers.
    pub fn measure(&self, exit: IpAddr, now: Instant) {
        let same = |it: &IpAddr| it.is_ipv4() == exit.is_ipv4();
        let Some(from) = self.local.into_iter().flatten().find(same) else {
            return; // Without an address of its kind it cannot be asked.
        };
        let echo = Pair {
            from,
            to: exit,
            id: rand::random(),
        };
        *self.way() = Some(Way {
            echo,
            search: PathMtu::new(LEAST_MTU, self.mtu, now),
            place: None,
            from: None,
            looked: None,
        });
    }

    /// The largest packet that was found to pass. `None` as long as none was.
    #[must_use]
    pub fn path_mtu(&self) -> Option<u16> {
        self.way().as_ref()?.search.found()
    }

    fn way(&self) -> MutexGuard<'_, Option<Way>> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for the next echo, if it is time to; another way is measured anew.
    fn measure_way(&self, now: Instant, out: &mut Outbox) {
        let mut peer = self.peer.lock();
        let (Some(way), Some(place)) = (&mut *self.way(), peer.reach()) else {
            return;
        };
        if way.place.replace(place).is_some_and(|it| it != place) {
            way.search.restart(now);
        }
        let request = way.search.ask(now).and_then(|size| way.echo.request(size));
        if let Some(request) = request
            && let Err(reason) = peer.seal(&request, Account::of_slot(EXIT), out)
        {
            self.drops.count(reason);
        }
    }

    /// Whether a packet is an echo of ours: it is paid for as any, and goes no further.
    fn takes_echo(&self, packet: &[u8], now: Instant) -> bool {
        let mut way = self.way();
        let Some(way) = way.as_mut() else {
            return false;
        };
        let Some(size) = way.echo.answered(packet) else {
            return false;
        };
        way.search.heard(size, now);
        self.meter.add_down(packet.len() as u64);
        true
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
            self.measure_way(now, out);
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
        TunnelState {
            path_mtu: self.path_mtu(),
            ..self.peer.state(now)
        }
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
            match peer.seal(segment, Account::of_slot(EXIT), out) {
                Ok(()) => self.asked.sent(),
                Err(reason) => self.drops.count(reason),
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
                                if !self.asked.takes(len) {
                                    self.drops.count(DropReason::Unasked);
                                    continue;
                                }
                                // Only a packet that may be one costs a lock.
                                if echo::may_be(&room[..len])
                                    && self.takes_echo(&room[..len], received.origin.at)
                                {
                                    continue;
                                }
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

    fn tick(&self, out: &mut Outbox) -> Duration {
        self.tick_now(out);
        TICK
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

    fn measures(&self, now: Instant) -> Option<SocketAddr> {
        let due = self.way().as_mut().is_some_and(|way| {
            let late = |then: Instant| now.saturating_duration_since(then) >= LOOK;
            let due = way.search.is_due(now) || way.looked.is_none_or(late);
            way.looked = if due { Some(now) } else { way.looked };
            due
        });
        due.then(|| self.peer.lock().reach()).flatten()
    }

    fn way_takes(&self, place: SocketAddr, from: IpAddr, bytes: u16) {
        let outer_ip = if place.is_ipv4() { 20 } else { 40 };
        let around = outer_ip + UDP_LEN + DATA_OVERHEAD;
        let inner = usize::from(bytes).saturating_sub(around);
        let inner = u16::try_from(inner).unwrap_or(u16::MAX).min(self.mtu);
        if let Some(way) = &mut *self.way() {
            let now = Instant::now();
            if way.from.replace(from).is_some_and(|it| it != from) {
                way.search.restart(now);
            }
            way.search.set_most(inner, now);
        }
    }

    fn device_mtu(&self) -> Option<u16> {
        self.path_mtu()
    }

    fn drops(&self) -> &Drops {
        &self.drops
    }
}
