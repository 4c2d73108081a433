//! Counters of what was carried, and of what was not and why.
//!
//! Sans-IO. A meter counts inner (plaintext) IP bytes of packets that were really handed on:
//! sealed and accepted by the socket, or opened and accepted by the device. Both ends count the
//! same packets, less what the line between them lost and what an exit drops of its guest's: what comes above a rate, or
//! faster than it can carry. No counter ever falls.

use std::sync::atomic::{AtomicU64, Ordering};

use warren_proto::ByteCount;

/// Inner bytes carried so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// From the consumer to the exit.
    pub up: ByteCount,
    /// From the exit to the consumer.
    pub down: ByteCount,
}

/// The two running totals of one guest or one consumer.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    up: AtomicU64,
    down: AtomicU64,
}

impl Meter {
    pub(crate) fn add_up(&self, bytes: u64) {
        self.up.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn add_down(&self, bytes: u64) {
        self.down.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage {
            up: ByteCount::from_bytes(self.up.load(Ordering::Relaxed)),
            down: ByteCount::from_bytes(self.down.load(Ordering::Relaxed)),
        }
    }
}

/// What became of the handshakes that came to an exit since its tunnel started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HandshakeCounts {
    /// Computed: the expensive ones.
    pub computed: u64,
    /// Answered with a cookie, for the door was crowded.
    pub cookies: u64,
    /// Not answered: no word of somebody who knows our key, or one of too many.
    pub refused: u64,
}

/// Packets of guests above their rate since the tunnel started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShapeCounts {
    /// Carried, after a wait.
    pub delayed: u64,
    /// Dropped, for as many waited already as may.
    pub dropped: u64,
}

impl ShapeCounts {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            delayed: self.delayed + other.delayed,
            dropped: self.dropped + other.dropped,
        }
    }
}

/// Why a packet or datagram was not carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Not an IP packet, cut short, or not a WireGuard message.
    Malformed,
    /// Larger than any buffer of ours.
    Oversized,
    /// The inner source address is not the one assigned to the sender.
    WrongSource,
    /// The inner destination is not ours, or no guest has it.
    NoSuchGuest,
    /// A guest spoke to another guest or to an unassigned inner address.
    GuestToGuest,
    /// The guest's gate is shut.
    Paused,
    /// A datagram that was seen before, or is too old to tell.
    Replayed,
    /// No such session key, or the seal does not open.
    Forged,
    /// A handshake that does not verify, or one above the limit.
    Handshake,
    /// No endpoint or session to send by.
    NotConnected,
    /// The guest is above its rate, and all that may wait for it waits.
    AboveRate,
    /// It came from the exit, and is more than the packets sent to it can have asked for.
    Unasked,
    /// A buffer of ours was full.
    Overflow,
    /// The socket or the device refused it.
    Refused,
}

impl DropReason {
    /// Every reason, in the order of its counter.
    pub const ALL: [Self; 14] = [
        Self::Malformed,
        Self::Oversized,
        Self::WrongSource,
        Self::NoSuchGuest,
        Self::GuestToGuest,
        Self::Paused,
        Self::Replayed,
        Self::Forged,
        Self::Handshake,
        Self::NotConnected,
        Self::AboveRate,
        Self::Unasked,
        Self::Overflow,
        Self::Refused,
    ];

    /// Its name for monitors and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Oversized => "oversized",
            Self::WrongSource => "wrong_source",
            Self::NoSuchGuest => "no_such_guest",
            Self::GuestToGuest => "guest_to_guest",
            Self::Paused => "paused",
            Self::Replayed => "replayed",
            Self::Forged => "forged",
            Self::Handshake => "handshake",
            Self::NotConnected => "not_connected",
            Self::AboveRate => "above_rate",
            Self::Unasked => "unasked",
            Self::Overflow => "overflow",
            Self::Refused => "refused",
        }
    }
}

/// Packets and datagrams not carried, by reason, since the tunnel started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DropCounts([u64; DropReason::ALL.len()]);

impl DropCounts {
    /// How many were dropped for `reason`.
    #[must_use]
    pub fn of(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// How many were dropped for any reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// The live counters behind [`DropCounts`].
#[derive(Debug, Default)]
pub(crate) struct Drops([AtomicU64; DropReason::ALL.len()]);

impl Drops {
    pub(crate) fn count(&self, reason: DropReason) {
        self.add(reason, 1);
    }

    pub(crate) fn add(&self, reason: DropReason, packets: u64) {
        self.0[reason as usize].fetch_add(packets, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> DropCounts {
        DropCounts(std::array::from_fn(|at| self.0[at].load(Ordering::Relaxed)))
    }
}
