//! Who the exit carries: a flat table, replaced as a whole when it changes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use warren_proto::TunnelPublicKey;

use crate::gate::GateCell;
use crate::meter::Meter;
use crate::spec::{GuestId, GuestSpec};
use crate::wireguard::Peer;

/// One guest of the exit.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) id: GuestId,
    pub(crate) slot: u32,
    pub(crate) spec: GuestSpec,
    pub(crate) gate: GateCell,
    pub(crate) meter: Meter,
    pub(crate) peer: Peer,
}

impl Guest {
    pub(crate) fn owns(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => v4 == self.spec.v4,
            IpAddr::V6(v6) => v6 == self.spec.v6,
        }
    }
}

/// Guests by slot (WireGuard receiver index), key and inner address.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guests {
    slots: Vec<Option<Arc<Guest>>>,
    by_id: HashMap<GuestId, u32>,
    by_key: HashMap<TunnelPublicKey, u32>,
    by_address: HashMap<IpAddr, u32>,
}

impl Guests {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn at_slot(&self, slot: u32) -> Option<&Arc<Guest>> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// The guest a receiver index belongs to: its upper 24 bits are the slot.
    pub(crate) fn at_index(&self, index: u32) -> Option<&Arc<Guest>> {
        self.at_slot(index >> 8)
    }

    pub(crate) fn by_id(&self, id: GuestId) -> Option<&Arc<Guest>> {
        self.at_slot(*self.by_id.get(&id)?)
    }

    pub(crate) fn by_key(&self, key: &TunnelPublicKey) -> Option<&Arc<Guest>> {
        self.at_slot(*self.by_key.get(key)?)
    }

    pub(crate) fn by_address(&self, address: IpAddr) -> Option<&Arc<Guest>> {
        self.at_slot(*self.by_address.get(&address)?)
    }

    /// The guest that already has this key or one of these addresses.
    pub(crate) fn conflict(&self, spec: &GuestSpec) -> Option<GuestId> {
        self.by_key(&spec.peer_key)
            .or_else(|| self.by_address(spec.v4.into()))
            .or_else(|| self.by_address(spec.v6.into()))
            .map(|guest| guest.id)
    }

    /// The slot the next guest takes.
    pub(crate) fn free_slot(&self) -> u32 {
        let free = self
            .slots
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.slots.len());
        u32::try_from(free).unwrap_or(u32::MAX)
    }

    pub(crate) fn insert(&mut self, guest: Guest) {
        let slot = guest.slot;
        self.by_id.insert(guest.id, slot);
        self.by_key.insert(guest.spec.peer_key, slot);
        self.by_address.insert(guest.spec.v4.into(), slot);
        self.by_address.insert(guest.spec.v6.into(), slot);
        let at = slot as usize;
        if at >= self.slots.len() {
            self.slots.resize(at + 1, None);
        }
        self.slots[at] = Some(Arc::new(guest));
    }

    pub(crate) fn remove(&mut self, id: GuestId) -> Option<Arc<Guest>> {
        let slot = self.by_id.remove(&id)?;
        let guest = self.slots.get_mut(slot as usize)?.take()?;
        self.by_key.remove(&guest.spec.peer_key);
        self.by_address.remove(&guest.spec.v4.into());
        self.by_address.remove(&guest.spec.v6.into());
        Some(guest)
    }
}
