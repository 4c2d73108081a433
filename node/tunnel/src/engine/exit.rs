//! The exit's engine: many guests, each with one address of each kind, kept from one another.

mod carry;
mod lane;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ipnet::{Ipv4Net, Ipv6Net};

use super::alarms::{Alarms, Due, Rest};
use super::guests::{Guest, Guests};
use super::{Engine, Inbox, Outbox, QUIET_TICK, Received, TICK};
use crate::error::TunnelError;
use crate::gate::{Gate, GateCell};
use crate::meter::{DropCounts, Drops, HandshakeCounts, Meter, ShapeCounts, Usage};
use crate::offload::Splitter;
use crate::spec::{ExitSpec, GuestId, GuestSpec, MAX_GUESTS, Shape, TunnelState};
use crate::wireguard::{Door, KeyLimits, PeerState};
use lane::Lane;

/// The exit's half of all its tunnels, without device and socket.
#[derive(Debug)]
pub struct ExitEngine {
    door: Door,
    gateway_v4: Ipv4Net,
    gateway_v6: Ipv6Net,
    guests: RwLock<Arc<Guests>>,
    next_id: AtomicU64,
    drops: Drops,
    /// Whom the clock looks at. Locked after a peer, never before one.
    alarms: Mutex<Alarms>,
    /// From guests.
    up: Lane,
    /// To guests.
    down: Lane,
}

impl ExitEngine {
    /// Makes the engine `spec` asks for; it has no guests yet.
    #[must_use]
    pub fn new(spec: &ExitSpec) -> Self {
        Self::with_limits(spec, KeyLimits::WIREGUARD)
    }

    /// Makes one whose keys wear out sooner: nobody can wait for WireGuard's own limits.
    #[must_use]
    pub fn with_limits(spec: &ExitSpec, limits: KeyLimits) -> Self {
        Self {
            door: Door::new(&spec.private_key, spec.handshake_limit, limits),
            gateway_v4: spec.gateway_v4,
            gateway_v6: spec.gateway_v6,
            guests: RwLock::default(),
            next_id: AtomicU64::new(1),
            drops: Drops::default(),
            alarms: Mutex::default(),
            up: Lane::new(),
            down: Lane::new(),
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
        for lane in [&self.up, &self.down] {
            lane.forget(id);
        }
        Ok(guest.meter.usage())
    }

    /// Carries guests no faster than `shape` says, from now on.
    pub fn set_shape(&self, shape: Shape) {
        let now = Instant::now();
        for lane in [&self.up, &self.down] {
            lane.set_shape(shape, now);
        }
    }

    /// Packets that had to wait for their turn, and packets that could not.
    #[must_use]
    pub fn shape_counts(&self) -> ShapeCounts {
        self.up.counts().plus(self.down.counts())
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
            let carried = usage.up.plus(usage.down).bytes();
            guest.gate.settle(carried, Instant::now());
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

    /// What was not carried, by reason.
    #[must_use]
    pub fn drop_counts(&self) -> DropCounts {
        self.drops.counts()
    }

    /// What became of the handshakes that came.
    #[must_use]
    pub fn handshake_counts(&self) -> HandshakeCounts {
        self.door.counts()
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

    /// Does what is due by the clock, at `now`; to be called at least every second, and four times
    /// a second while packets pass. Says how many guests it had to look at.
    ///
    /// WireGuard's own timers go by the real clock.
    pub fn tick_at(&self, now: Instant, out: &mut Outbox) -> usize {
        let mut due = Vec::new();
        self.alarms().take_due(now, &mut due);
        // Only now: who woke is in the table.
        let crowd = self.crowd();
        due.iter()
            .filter(|it| self.look_at(&crowd, **it, now, out))
            .count()
    }

    /// Starts a new second of the handshake limit.
    pub fn next_second(&self) {
        self.door.new_second();
    }

    /// Seals what waited for its turn; says when the next may pass, if any waits.
    pub fn seal_waiting(&self, out: &mut Outbox) -> Option<Instant> {
        self.seal_held(&self.crowd(), out)
    }

    /// Hands over opened packets that waited for their turn; says when the next may pass.
    pub fn open_waiting(&self, inbox: &mut Inbox) -> Option<Instant> {
        self.open_held(&self.crowd(), inbox)
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

    fn alarms(&self) -> std::sync::MutexGuard<'_, Alarms> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that the clock of a guest runs while something is done with it.
    fn stir(&self, guest: &Guest, peer: &mut PeerState, now: Instant, out: &mut Outbox) {
        if peer.stir(now, out) {
            self.alarms().wake(guest.slot);
        }
    }

    /// Looks at the clock of one guest, if it is still there and still due.
    fn look_at(&self, crowd: &Guests, due: Due, now: Instant, out: &mut Outbox) -> bool {
        let Some(guest) = crowd.at_slot(due.slot) else {
            return false;
        };
        let mut peer = guest.peer.lock();
        if peer.is_awake() != due.awake {
            return false; // Somebody stirred it meanwhile, or it is another guest's slot by now.
        }
        peer.tick(now, out);
        let rest = peer.rest(now);
        self.alarms().put_back(due.slot, rest);
        true
    }

    /// How long the clock may be left alone.
    fn quiet_for(&self, now: Instant) -> Duration {
        match self.alarms().next() {
            Rest::Soon => TICK,
            Rest::At(at) => at.saturating_duration_since(now).min(QUIET_TICK),
            Rest::Never => QUIET_TICK,
        }
    }
}
