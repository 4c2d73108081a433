//! When a peer's clock must be looked at, and when its keys are spent.
//!
//! boringtun's clock stands still between two looks, so a peer whose clock rested is looked at
//! before anything else is done with it ([`PeerState::stir`]).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{HANDSHAKE_INIT_LEN, PeerState, TYPE_DATA};
use crate::engine::{Account, Endpoint, Outbox, Rest};

// Specification (WireGuard paper, section 6).
/// Keys are forgotten after Reject-After-Time, everything of a handshake after three times as
/// long. A second more, for the clock is up to a second late where nobody is awake.
const KEYS_END: Duration = Duration::from_secs(180 + 1);
const ALL_ENDS: Duration = Duration::from_secs(3 * 180 + 1);
/// How long a handshake waits for its answer.
const REKEY_TIMEOUT: Duration = Duration::from_secs(5);

// Our choice.
/// After so long without a packet every short timer has run out: keepalive 10 s, new handshake
/// after 15 s without an answer.
const SETTLED: Duration = Duration::from_secs(20);

/// How many messages one key seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyLimits {
    /// From this counter on a new handshake is sought.
    pub rekey_after: u64,
    /// No message with this counter or a higher one is sent or taken.
    pub reject_after: u64,
}

impl KeyLimits {
    /// Rekey-After-Messages and Reject-After-Messages (WireGuard paper, section 6.1).
    pub const WIREGUARD: Self = Self {
        rekey_after: 1 << 60,
        reject_after: u64::MAX - (1 << 13),
    };
}

/// What a peer's timers and counters need to know beside what boringtun keeps.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) limits: KeyLimits,
    /// Somebody looks at its clock on every tick.
    awake: bool,
    /// A packet passed since the last look.
    pub(super) active: bool,
    /// The last look at which one had.
    quiet_since: Option<Instant>,
    /// The last handshake. `None` if there was none, or all of it is forgotten.
    pub(super) met: Option<Instant>,
    /// A handshake of ours has no answer yet.
    pub(super) knocking: bool,
    /// The key that is worn and for which another was asked, and the first look after that.
    worn: Option<(u32, Option<Instant>)>,
}

impl Life {
    pub(super) fn new(limits: KeyLimits) -> Self {
        Self {
            limits,
            awake: false,
            active: false,
            quiet_since: None,
            met: None,
            knocking: false,
            worn: None,
        }
    }
}

/// What the counter of a sealed message says of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wear {
    /// Good for more.
    Good,
    /// Good, and to be replaced.
    Worn,
    /// Not good any more: the message must not leave.
    Spent,
}

/// What stands before a sealed packet: under which key, and the how manieth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    key: u32,
    pub(super) counter: u64,
}

/// The stamp of a data message.
pub(super) fn stamp(message: &[u8]) -> Option<Stamp> {
    let key: [u8; 4] = message.get(4..8)?.try_into().ok()?;
    let counter: [u8; 8] = message.get(8..16)?.try_into().ok()?;
    (message.first() == Some(&TYPE_DATA)).then_some(Stamp {
        key: u32::from_le_bytes(key),
        counter: u64::from_le_bytes(counter),
    })
}

pub(super) fn wear(counter: u64, limits: KeyLimits) -> Wear {
    if counter >= limits.reject_after {
        Wear::Spent
    } else if counter >= limits.rekey_after {
        Wear::Worn
    } else {
        Wear::Good
    }
}

impl PeerState {
    /// Brings the clock of a peer that rested up to date, before anything is done with it. Says
    /// whether it rested: somebody must look at it on every tick from now on.
    pub(crate) fn stir(&mut self, now: Instant, out: &mut Outbox) -> bool {
        if std::mem::replace(&mut self.life.awake, true) {
            return false;
        }
        self.tick(now, out);
        true
    }

    /// Lets a worn key be replaced once more, if that took too long.
    pub(super) fn ask_again(&mut self, now: Instant) {
        if let Some((_, since)) = &mut self.life.worn {
            let since = *since.get_or_insert(now);
            if now.saturating_duration_since(since) >= REKEY_TIMEOUT {
                self.life.worn = None;
            }
        }
    }

    pub(crate) fn is_awake(&self) -> bool {
        self.life.awake
    }

    /// After a look: when the next one is due.
    pub(crate) fn rest(&mut self, now: Instant) -> Rest {
        let life = &mut self.life;
        if std::mem::take(&mut life.active) {
            life.quiet_since = Some(now);
        }
        let quiet = |since: Instant| now.saturating_duration_since(since) >= SETTLED;
        let rest = if life.knocking || !life.quiet_since.is_none_or(quiet) {
            Rest::Soon
        } else {
            let ends = [KEYS_END, ALL_ENDS];
            let ends = life.met.map(|met| ends.map(|it| met + it));
            let next = ends.and_then(|them| them.into_iter().find(|at| *at > now));
            if next.is_none() {
                life.met = None;
            }
            next.map_or(Rest::Never, Rest::At)
        };
        life.awake = rest == Rest::Soon;
        rest
    }

    /// Seeks another key while `stamp`'s still serves: once, or a storm of handshakes would replace
    /// the very one that is being answered.
    #[cold]
    pub(super) fn renew(&mut self, stamp: Stamp, to: Endpoint, out: &mut Outbox) {
        if self.life.worn.is_some_and(|(key, _)| key == stamp.key) {
            return;
        }
        self.life.worn = Some((stamp.key, None));
        let mut message = [0; HANDSHAKE_INIT_LEN];
        if let super::TunnResult::WriteToNetwork(init) =
            self.tunn.format_handshake_initiation(&mut message, false)
        {
            self.life.knocking = true;
            out.push(init, to);
        }
    }

    /// Where the other end is, if there is a session to send by.
    pub(crate) fn reach(&self) -> Option<SocketAddr> {
        let session = self.tunn.time_since_last_handshake();
        session.and(self.endpoint).map(|it| it.remote)
    }

    /// Whether packets wait for a session.
    pub(crate) fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Sends what waited for a session, now that there is one.
    #[cold]
    pub(crate) fn send_waiting(&mut self, account: Account, out: &mut Outbox) {
        let Some(endpoint) = self.endpoint else {
            return;
        };
        // A kept packet is no longer than the largest inner packet.
        while let Some(room) = out.room(usize::from(u16::MAX) + super::DATA_OVERHEAD) {
            match self.tunn.decapsulate(None::<std::net::IpAddr>, &[], room) {
                super::TunnResult::WriteToNetwork(sealed) => {
                    let (len, kind) = (sealed.len(), sealed.first().copied());
                    out.commit(len, endpoint, account);
                    if kind != Some(TYPE_DATA) {
                        self.life.knocking = true;
                        return; // No session after all: what waits goes on waiting.
                    }
                    self.waiting = self.waiting.saturating_sub(1);
                }
                super::TunnResult::Done
                | super::TunnResult::Err(_)
                | super::TunnResult::WriteToTunnelV4(..)
                | super::TunnResult::WriteToTunnelV6(..) => {
                    self.waiting = 0;
                    return;
                }
            }
        }
    }

    /// Whether one more packet may wait for a session that is not there yet.
    #[cold]
    pub(super) fn may_wait(&mut self) -> bool {
        if self.tunn.time_since_last_handshake().is_some() {
            self.waiting = 0; // There is one.
        }
        self.waiting < super::MOST_WAITING
    }
}
