//! The exit's engine: many guests, each with one address of each kind, kept from one another.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use ipnet::{Ipv4Net, Ipv6Net};

use super::guests::{Guest, Guests};
use super::{Account, Engine, Inbox, Knock, Origin, Outbox, Received};
use crate::error::TunnelError;
use crate::gate::{Gate, GateCell};
use crate::meter::{DropCounts, DropReason, Drops, Meter, Usage};
use crate::offload::Splitter;
use crate::packet;
use crate::spec::{ExitSpec, GuestId, GuestSpec, MAX_GUESTS, TunnelState};
use crate::wireguard::{Door, MessageKind, PeerState, kind};

/// The exit's half of all its tunnels, without device and socket.
#[derive(Debug)]
pub struct ExitEngine {
    door: Door,
    gateway_v4: Ipv4Net,
    gateway_v6: Ipv6Net,
    guests: RwLock<Arc<Guests>>,
    next_id: AtomicU64,
    drops: Drops,
}

/// A guest whose session is locked.
struct Held<'a> {
    guest: &'a Guest,
    peer: MutexGuard<'a, PeerState>,
}

impl ExitEngine {
    /// Makes the engine `spec` asks for; it has no guests yet.
    #[must_use]
    pub fn new(spec: &ExitSpec) -> Self {
        Self {
            door: Door::new(&spec.private_key, spec.handshake_limit),
            gateway_v4: spec.gateway_v4,
            gateway_v6: spec.gateway_v6,
            guests: RwLock::default(),
            next_id: AtomicU64::new(1),
            drops: Drops::default(),
        }
    }

    /// Takes a guest in; its gate is shut.
    ///
    /// # Errors
    /// If the key or an address is taken, an address is not of our networks, or all places are.
    pub fn add_guest(&self, spec: GuestSpec) -> Result<GuestId, TunnelError> {
        let inside_v4 = self.gateway_v4.contains(&spec.v4) && spec.v4 != self.gateway_v4.addr();
        let inside_v6 = self.gateway_v6.contains(&spec.v6) && spec.v6 != self.gateway_v6.addr();
        if !inside_v4 {
            return Err(TunnelError::AddressOutside(spec.v4.into()));
        }
        if !inside_v6 {
            return Err(TunnelError::AddressOutside(spec.v6.into()));
        }
        let mut table = self.guests.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = table.conflict(&spec) {
            return Err(TunnelError::Taken(other));
        }
        if table.len() >= MAX_GUESTS {
            return Err(TunnelError::Full(MAX_GUESTS));
        }
        let slot = table.free_slot();
        let id = GuestId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let guest = Guest {
            id,
            slot,
            spec,
            gate: GateCell::paused(),
            meter: Meter::default(),
            peer: self.door.peer(&spec.peer_key, slot),
        };
        Arc::make_mut(&mut table).insert(guest);
        Ok(id)
    }

    /// Lets a guest go; its last usage is returned.
    ///
    /// # Errors
    /// If there is no such guest.
    pub fn remove_guest(&self, id: GuestId) -> Result<Usage, TunnelError> {
        let mut table = self.guests.write().unwrap_or_else(PoisonError::into_inner);
        let guest = Arc::make_mut(&mut table)
            .remove(id)
            .ok_or(TunnelError::NoSuchGuest(id))?;
        Ok(guest.meter.usage())
    }

    /// Opens or shuts a guest's gate.
    ///
    /// # Errors
    /// If there is no such guest.
    pub fn set_gate(&self, id: GuestId, gate: Gate) -> Result<(), TunnelError> {
        self.with(id, |guest| guest.gate.set(gate))
    }

    /// Inner bytes carried for a guest so far.
    ///
    /// # Errors
    /// If there is no such guest.
    pub fn usage(&self, id: GuestId) -> Result<Usage, TunnelError> {
        self.with(id, |guest| {
            let usage = guest.meter.usage();
            guest.gate.settle(usage.up.plus(usage.down).bytes());
            usage
        })
    }

    /// How a guest is doing.
    ///
    /// # Errors
    /// If there is no such guest.
    pub fn guest_state(&self, id: GuestId, now: Instant) -> Result<TunnelState, TunnelError> {
        self.with(id, |guest| guest.peer.state(now))
    }

    /// Looks for a guest at `endpoint`, before it was ever heard: for punching holes.
    ///
    /// # Errors
    /// If there is no such guest.
    pub fn set_guest_endpoint(&self, id: GuestId, endpoint: SocketAddr) -> Result<(), TunnelError> {
        self.with(id, |guest| guest.peer.set_endpoint(endpoint))
    }

    /// What was not carried, by reason.
    #[must_use]
    pub fn drop_counts(&self) -> DropCounts {
        self.drops.counts()
    }

    /// Seals one inner packet for the guest it is addressed to.
    pub fn seal_packet(&self, packet: &[u8], out: &mut Outbox) {
        self.seal(&self.crowd(), &mut Splitter::whole(packet), out);
    }

    /// Takes what came from the line; answers handshakes at once.
    pub fn open_datagrams(&self, received: Received<'_>, inbox: &mut Inbox, out: &mut Outbox) {
        let crowd = self.crowd();
        self.open(&crowd, received, inbox, out);
        for knock in inbox.knocks() {
            self.answer(&crowd, knock, received.origin.at, out);
        }
        inbox.forget_knocks();
    }

    /// Does what is due by the clock; to be called at least every 250 ms.
    pub fn tick_now(&self, out: &mut Outbox) {
        self.tick(&self.crowd(), out);
    }

    /// Meters everything in `out` as taken by the socket.
    pub fn sent_all(&self, out: &Outbox) {
        let crowd = self.crowd();
        for item in out.items() {
            self.sent(&crowd, item.account, out.inner_len(item));
        }
    }

    /// Meters everything in `inbox` as taken by the device.
    pub fn written_all(&self, inbox: &Inbox) {
        let crowd = self.crowd();
        for item in inbox.items() {
            self.written(&crowd, item.account, item.len as u64);
        }
    }

    fn with<T>(&self, id: GuestId, look: impl FnOnce(&Guest) -> T) -> Result<T, TunnelError> {
        let crowd = self.crowd();
        crowd
            .by_id(id)
            .map(|guest| look(guest))
            .ok_or(TunnelError::NoSuchGuest(id))
    }

    /// An inner address that only a guest may have, or nobody.
    fn is_inner(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.gateway_v4.contains(&v4) && v4 != self.gateway_v4.addr(),
            IpAddr::V6(v6) => self.gateway_v6.contains(&v6) && v6 != self.gateway_v6.addr(),
        }
    }

    /// Opens one data message of the held guest and checks what came out of it.
    fn admit(
        &self,
        held: &mut Held<'_>,
        datagram: &[u8],
        origin: Origin,
        inbox: &mut Inbox,
    ) -> Result<(), DropReason> {
        let guest = held.guest;
        let room = inbox.room(datagram.len()).ok_or(DropReason::Overflow)?;
        let len = held.peer.open(datagram, origin, room)?;
        if len == 0 {
            return Ok(()); // A keepalive.
        }
        let ends = packet::ends(&room[..len]).ok_or(DropReason::Malformed)?;
        if !guest.owns(ends.source) {
            return Err(DropReason::WrongSource);
        }
        if self.is_inner(ends.destination) {
            return Err(DropReason::GuestToGuest);
        }
        if !guest.gate.admit(len as u64) {
            return Err(DropReason::Paused);
        }
        inbox.commit(len, Account::of_slot(guest.slot));
        Ok(())
    }
}

impl Engine for ExitEngine {
    type Crowd = Arc<Guests>;

    fn crowd(&self) -> Self::Crowd {
        Arc::clone(&self.guests.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn seal(&self, crowd: &Self::Crowd, packet: &mut Splitter<'_>, out: &mut Outbox) {
        let Some(ends) = packet::ends(packet.head()) else {
            return self.drops.count(DropReason::Malformed);
        };
        if self.is_inner(ends.source) {
            return self.drops.count(DropReason::GuestToGuest);
        }
        let Some(guest) = crowd.by_address(ends.destination) else {
            return self.drops.count(DropReason::NoSuchGuest);
        };
        let mut peer = guest.peer.lock();
        while let Some(segment) = packet.next_segment() {
            if !guest.gate.admit(segment.len() as u64) {
                self.drops.count(DropReason::Paused);
                continue;
            }
            if let Err(reason) = peer.seal(segment, Account::of_slot(guest.slot), out) {
                self.drops.count(reason);
            }
        }
    }

    fn open(
        &self,
        crowd: &Self::Crowd,
        received: Received<'_>,
        inbox: &mut Inbox,
        out: &mut Outbox,
    ) {
        let origin = received.origin;
        let mut holding: Option<Held<'_>> = None;
        for datagram in received.datagrams() {
            let (index, data) = match kind(datagram) {
                None => {
                    self.drops.count(DropReason::Malformed);
                    continue;
                }
                Some(MessageKind::Init) => {
                    if !inbox.knock(origin.from, datagram) {
                        self.drops.count(DropReason::Handshake);
                    }
                    continue;
                }
                Some(MessageKind::ForIndex { index, data }) => (index, data),
            };
            let Some(guest) = crowd.at_index(index) else {
                self.drops.count(DropReason::Forged);
                continue;
            };
            // One lock for all datagrams of one guest that follow one another.
            if holding
                .as_ref()
                .is_none_or(|held| held.guest.slot != guest.slot)
            {
                drop(holding.take());
            }
            let held = holding.get_or_insert_with(|| Held {
                guest,
                peer: guest.peer.lock(),
            });
            let taken = if data {
                self.admit(held, datagram, origin, inbox)
            } else {
                held.peer
                    .greet(datagram, origin, Account::of_slot(guest.slot), out)
            };
            if let Err(reason) = taken {
                self.drops.count(reason);
            }
        }
    }

    fn answer(&self, crowd: &Self::Crowd, knock: &Knock, now: Instant, out: &mut Outbox) {
        let taken = self.door.who(&knock.init, knock.from, out).and_then(|key| {
            let guest = crowd.by_key(&key).ok_or(DropReason::Handshake)?;
            let account = Account::of_slot(guest.slot);
            let origin = Origin {
                from: knock.from,
                at: now,
            };
            guest.peer.lock().greet(&knock.init, origin, account, out)
        });
        if let Err(reason) = taken {
            self.drops.count(reason);
        }
    }

    fn tick(&self, crowd: &Self::Crowd, out: &mut Outbox) {
        let now = Instant::now();
        for guest in crowd.iter() {
            guest.peer.lock().tick(now, out);
        }
    }

    fn new_second(&self) {
        self.door.new_second();
    }

    fn sent(&self, crowd: &Self::Crowd, account: Account, bytes: u64) {
        if let Some(guest) = crowd.at_slot(account.slot()) {
            guest.meter.add_down(bytes);
        }
    }

    fn written(&self, crowd: &Self::Crowd, account: Account, bytes: u64) {
        if let Some(guest) = crowd.at_slot(account.slot()) {
            guest.meter.add_up(bytes);
        }
    }

    fn drops(&self) -> &Drops {
        &self.drops
    }
}
