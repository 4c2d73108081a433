//! What becomes of a packet at an exit: whose it is, whether it may pass, and when.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::ExitEngine;
use crate::engine::guests::{Guest, Guests};
use crate::engine::shaper::{Given, Offered};
use crate::engine::{Account, Engine, Inbox, Knock, Origin, Outbox, Received};
use crate::meter::{DropReason, Drops};
use crate::offload::Splitter;
use crate::packet;
use crate::wireguard::{DATA_OVERHEAD, HANDSHAKE_INIT_LEN, MessageKind, PeerState, kind};

/// Room that a sealed packet needs beside its bytes: its own overhead, and a handshake it may call
/// for.
const LEAST_ROOM: usize = DATA_OVERHEAD + 2 * HANDSHAKE_INIT_LEN;

/// A guest whose session is locked.
struct Held<'a> {
    guest: &'a Guest,
    peer: MutexGuard<'a, PeerState>,
}

/// Seals a packet whose turn it is, unless the guest's gate is shut.
fn pass(
    guest: &Guest,
    peer: &mut PeerState,
    packet: &[u8],
    out: &mut Outbox,
) -> Result<(), DropReason> {
    if !guest.gate.admit(packet.len() as u64) {
        return Err(DropReason::Paused);
    }
    peer.seal(packet, Account::of_slot(guest.slot), out)
}

impl ExitEngine {
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
        if let Some(mut shaper) = self.up.shaper() {
            // Who does not pay has no turn, and takes nothing of the others'.
            if !guest.gate.fits(len as u64) {
                return Err(DropReason::Paused);
            }
            match shaper.offer(guest.id, &room[..len], origin.at) {
                Offered::Pass => {}
                Offered::Held => return Ok(()),
                Offered::Full => return Err(DropReason::AboveRate),
            }
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

    fn whose(&self, crowd: &Self::Crowd, packet: &[u8]) -> u32 {
        let guest = packet::ends(packet).and_then(|it| crowd.by_address(it.destination));
        guest.map_or(u32::MAX, |it| it.slot)
    }

    fn spoken_by(&self, crowd: &Self::Crowd, datagram: &[u8]) -> Option<u32> {
        match kind(datagram) {
            Some(MessageKind::ForIndex { index, .. }) => crowd.at_index(index).map(|it| it.slot),
            Some(MessageKind::Init) | None => None,
        }
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
        let mut rated = self.down.shaper().map(|it| (it, Instant::now()));
        let mut peer = guest.peer.lock();
        if !peer.is_awake() {
            self.stir(guest, &mut peer, Instant::now(), out);
        }
        while let Some(segment) = packet.next_segment() {
            if let Some((shaper, now)) = &mut rated {
                if !guest.gate.fits(segment.len() as u64) {
                    self.drops.count(DropReason::Paused);
                    continue;
                }
                match shaper.offer(guest.id, segment, *now) {
                    Offered::Pass => {}
                    Offered::Held => continue,
                    Offered::Full => {
                        self.drops.count(DropReason::AboveRate);
                        continue;
                    }
                }
            }
            if let Err(reason) = pass(guest, &mut peer, segment, out) {
                self.drops.count(reason);
            }
        }
    }

    fn seal_held(&self, crowd: &Self::Crowd, out: &mut Outbox) -> Option<Instant> {
        let (mut shaper, now) = (self.down.shaper()?, Instant::now());
        shaper.give(now, |id, packet| {
            let Some(guest) = crowd.by_id(id) else {
                return Given::Dropped; // Gone, and so is what waited for it.
            };
            if out.room(packet.len() + LEAST_ROOM).is_none() {
                return Given::NoRoom;
            }
            let mut peer = guest.peer.lock();
            self.stir(guest, &mut peer, now, out);
            match pass(guest, &mut peer, packet, out) {
                Ok(()) => Given::Carried,
                Err(reason) => {
                    self.drops.count(reason);
                    Given::Dropped
                }
            }
        });
        self.down.next(&shaper, now)
    }

    fn open_held(&self, crowd: &Self::Crowd, inbox: &mut Inbox) -> Option<Instant> {
        let (mut shaper, now) = (self.up.shaper()?, Instant::now());
        shaper.give(now, |id, packet| {
            let Some(guest) = crowd.by_id(id) else {
                return Given::Dropped;
            };
            let len = packet.len();
            let Some(room) = inbox.room(len) else {
                return Given::NoRoom;
            };
            if !guest.gate.admit(len as u64) {
                self.drops.count(DropReason::Paused);
                return Given::Dropped;
            }
            room[..len].copy_from_slice(packet);
            inbox.commit(len, Account::of_slot(guest.slot));
            Given::Carried
        });
        self.up.next(&shaper, now)
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
            self.stir(guest, &mut held.peer, origin.at, out);
            let taken = if data {
                let admitted = self.admit(held, datagram, origin, inbox);
                if admitted.is_ok() && held.peer.has_waiting() {
                    // The first word under new keys: what waited for them goes.
                    held.peer.send_waiting(Account::of_slot(guest.slot), out);
                }
                admitted
            } else {
                let account = Account::of_slot(guest.slot);
                self.door
                    .admits(datagram, origin.from, out)
                    .and_then(|()| held.peer.greet(datagram, origin, account, out))
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
            let mut peer = guest.peer.lock();
            self.stir(guest, &mut peer, now, out);
            peer.greet(&knock.init, origin, account, out)
        });
        if let Err(reason) = taken {
            self.drops.count(reason);
        }
    }

    fn tick(&self, out: &mut Outbox) -> Duration {
        let now = Instant::now();
        self.tick_at(now, out);
        self.quiet_for(now)
    }

    fn new_second(&self) {
        self.next_second();
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
