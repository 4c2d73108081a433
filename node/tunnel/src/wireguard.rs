//! The WireGuard side of one peer: key, session, endpoint.
//!
//! The only place that names boringtun's `Tunn`. It adds what `Tunn` leaves to its caller: roaming
//! after authentication only, keys that are retired by counter, a clock that may rest, and a
//! handshake that starts again after it gave up.

mod callers;
mod candidates;
mod door;
mod key;
mod life;
mod message;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use boringtun::noise::errors::WireGuardError;
use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519::PublicKey;
use warren_proto::TunnelPublicKey;

use candidates::Candidates;
pub(crate) use door::Door;
pub use key::TunnelKey;
pub use life::KeyLimits;
use life::{Life, Wear};
pub(crate) use message::{DATA_OVERHEAD, HANDSHAKE_INIT_LEN, MessageKind, inner_len, kind};
use message::{TYPE_COOKIE, TYPE_DATA, TYPE_INIT};

use crate::engine::{Account, Endpoint, Origin, Outbox};
use crate::meter::DropReason;
use crate::spec::TunnelState;

// Our choice.
/// Packets that wait for a session; boringtun alone would keep 256, a third of a MiB a peer.
const MOST_WAITING: usize = 16;

/// Our choice: after so long without an answer to what was sent, other candidates are tried.
/// WireGuard itself waits three times as long, and only for the same endpoint.
const SILENCE: Duration = Duration::from_secs(5);

/// Whether a peer seeks its other end or waits for it.
#[derive(Debug)]
enum Persistence {
    /// Tries again for ever, wherever its other end may be: the consumer.
    Seeks(Candidates),
    /// Waits to be sought: the exit.
    Answers,
}

/// One peer's session state, behind one lock.
pub(crate) struct Peer(Mutex<PeerState>);

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Peer(..)")
    }
}

impl Peer {
    fn new(
        tunn: Tunn,
        endpoint: Option<Endpoint>,
        persistence: Persistence,
        limits: KeyLimits,
    ) -> Self {
        Self(Mutex::new(PeerState {
            tunn,
            endpoint,
            received: None,
            spoke: false,
            unanswered: None,
            persistence,
            waiting: 0,
            life: Life::new(limits),
        }))
    }

    /// The consumer's only peer: the exit.
    pub(crate) fn seeking(
        key: &TunnelKey,
        peer: &TunnelPublicKey,
        endpoints: &[SocketAddr],
        keepalive: Option<Duration>,
        limits: KeyLimits,
    ) -> Self {
        let keepalive = keepalive.map(|it| u16::try_from(it.as_secs()).unwrap_or(u16::MAX));
        let peer = PublicKey::from(*peer.as_bytes());
        // The index is 24 bits; the lower 8 of 32 number the sessions.
        let index = rand::random::<u32>() >> 8;
        let tunn = Tunn::new(key.0.clone(), peer, None, keepalive, index, None);
        let candidates = Candidates::new(endpoints);
        let endpoint = candidates.best().map(Endpoint::from);
        Self::new(tunn, endpoint, Persistence::Seeks(candidates), limits)
    }

    /// One lock per batch. A thread that died in it left nothing half done that matters.
    pub(crate) fn lock(&self) -> MutexGuard<'_, PeerState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self, now: Instant) -> TunnelState {
        let state = self.lock();
        TunnelState {
            since_handshake: state.tunn.time_since_last_handshake(),
            since_received: state
                .received
                .map(|then| now.saturating_duration_since(then)),
            unanswered: state
                .unanswered
                .map(|then| now.saturating_duration_since(then)),
            endpoint: state.endpoint.map(|it| it.remote),
            path_mtu: None,
        }
    }

    /// Looks for the other end there, and nowhere else.
    pub(crate) fn set_endpoint(&self, endpoint: SocketAddr) {
        let mut state = self.lock();
        state.endpoint = Some(endpoint.into());
        if let Persistence::Seeks(candidates) = &mut state.persistence {
            *candidates = Candidates::new(&[endpoint]);
        }
    }
}

/// What a locked [`Peer`] holds.
pub(crate) struct PeerState {
    tunn: Tunn,
    endpoint: Option<Endpoint>,
    received: Option<Instant>,
    /// Whether data was sent since the other end was last heard.
    spoke: bool,
    /// Since when data is unanswered, as far as the last tick knows.
    unanswered: Option<Instant>,
    persistence: Persistence,
    /// Packets that wait for a session.
    waiting: usize,
    life: Life,
}

impl PeerState {
    /// Seals one inner packet into `out`, or keeps it (bounded) until there is a session.
    pub(crate) fn seal(
        &mut self,
        packet: &[u8],
        account: Account,
        out: &mut Outbox,
    ) -> Result<(), DropReason> {
        let endpoint = self.endpoint.ok_or(DropReason::NotConnected)?;
        if self.waiting >= MOST_WAITING && !self.may_wait() {
            return Err(DropReason::NotConnected);
        }
        // Without a session it is a handshake that needs the room.
        let least = (packet.len() + DATA_OVERHEAD).max(HANDSHAKE_INIT_LEN);
        let Some(room) = out.room(least) else {
            return Err(DropReason::Overflow);
        };
        match self.tunn.encapsulate(packet, room) {
            TunnResult::WriteToNetwork(sealed) => {
                let (len, stamp) = (sealed.len(), life::stamp(sealed));
                let Some(stamp) = stamp else {
                    // No session: a handshake goes out, and the packet waits.
                    (self.life.knocking, self.waiting) = (true, self.waiting + 1);
                    out.commit(len, endpoint, Account::NONE);
                    self.spoke = true;
                    return Ok(());
                };
                let wear = life::wear(stamp.counter, self.life.limits);
                if wear != Wear::Spent {
                    out.commit(len, endpoint, account);
                    (self.spoke, self.life.active) = (true, true);
                }
                if wear != Wear::Good {
                    self.renew(stamp, endpoint, out);
                }
                let kept = wear != Wear::Spent;
                kept.then_some(()).ok_or(DropReason::NotConnected)
            }
            TunnResult::Done => {
                self.waiting += 1; // Until the handshake ends.
                Ok(())
            }
            TunnResult::Err(_)
            | TunnResult::WriteToTunnelV4(..)
            | TunnResult::WriteToTunnelV6(..) => Err(DropReason::NotConnected),
        }
    }

    /// Opens a data message into `room`; the length of the packet, 0 for a keepalive.
    pub(crate) fn open(
        &mut self,
        datagram: &[u8],
        origin: Origin,
        room: &mut [u8],
    ) -> Result<usize, DropReason> {
        let stamp = life::stamp(datagram).ok_or(DropReason::Malformed)?;
        if life::wear(stamp.counter, self.life.limits) == Wear::Spent {
            return Err(DropReason::Forged);
        }
        let len = match self
            .tunn
            .decapsulate(Some(origin.from.remote.ip()), datagram, room)
        {
            TunnResult::WriteToTunnelV4(packet, _) => packet.len(),
            TunnResult::WriteToTunnelV6(packet, _) => packet.len(),
            TunnResult::Done | TunnResult::WriteToNetwork(_) => 0,
            TunnResult::Err(error) => return Err(reason(&error)),
        };
        self.heard(origin);
        Ok(len)
    }

    /// Takes a handshake message and writes what it calls for, with what waited for it.
    pub(crate) fn greet(
        &mut self,
        datagram: &[u8],
        origin: Origin,
        account: Account,
        out: &mut Outbox,
    ) -> Result<(), DropReason> {
        let Some(room) = out.room(HANDSHAKE_INIT_LEN) else {
            return Err(DropReason::Overflow);
        };
        match self
            .tunn
            .decapsulate(Some(origin.from.remote.ip()), datagram, room)
        {
            TunnResult::WriteToNetwork(reply) => {
                let (kind, len) = (reply[0], reply.len());
                out.commit(len, origin.from, Account::NONE);
                if kind == TYPE_COOKIE {
                    return Err(DropReason::Handshake); // Nobody authenticated: no roaming.
                }
                self.heard(origin);
                (self.life.met, self.life.knocking) = (Some(origin.at), false);
                // Who only answered a handshake may not send before it was heard to be used.
                if kind == TYPE_DATA {
                    self.send_waiting(account, out);
                }
                Ok(())
            }
            TunnResult::Done => Ok(()), // A cookie of ours came: it says nothing of the sender.
            TunnResult::Err(_)
            | TunnResult::WriteToTunnelV4(..)
            | TunnResult::WriteToTunnelV6(..) => Err(DropReason::Handshake),
        }
    }

    /// Does what is due by the clock: keepalives, rekeying, retries, other candidates.
    pub(crate) fn tick(&mut self, now: Instant, out: &mut Outbox) {
        self.ask_again(now);
        if self.must_seek(now) {
            return self.seek(now, out);
        }
        let mut message = [0; HANDSHAKE_INIT_LEN];
        let (kind, len) = match self.tunn.update_timers(&mut message) {
            TunnResult::WriteToNetwork(message) => (message.first().copied(), message.len()),
            TunnResult::Err(WireGuardError::ConnectionExpired) => {
                (self.life.knocking, self.waiting) = (false, 0);
                if matches!(self.persistence, Persistence::Seeks(_)) {
                    self.seek(now, out);
                }
                return;
            }
            TunnResult::Done
            | TunnResult::Err(_)
            | TunnResult::WriteToTunnelV4(..)
            | TunnResult::WriteToTunnelV6(..) => return,
        };
        let to = if kind == Some(TYPE_INIT) {
            self.life.knocking = true;
            self.next_place(now)
        } else {
            self.endpoint
        };
        if let Some(to) = to {
            out.push(&message[..len], to);
        }
    }

    /// Starts a handshake now; a consumer's first one begins the search among its candidates.
    pub(crate) fn seek(&mut self, now: Instant, out: &mut Outbox) {
        if let Persistence::Seeks(candidates) = &mut self.persistence {
            candidates.search(now);
        }
        let Some(room) = out.room(HANDSHAKE_INIT_LEN) else {
            return;
        };
        if let TunnResult::WriteToNetwork(init) = self.tunn.format_handshake_initiation(room, true)
        {
            let len = init.len();
            self.life.knocking = true;
            if let Some(to) = self.next_place(now) {
                out.commit(len, to, Account::NONE);
            }
        }
    }

    /// Whether the endpoint is silent for too long, or the next candidate's turn has come.
    fn must_seek(&mut self, now: Instant) -> bool {
        let Persistence::Seeks(candidates) = &mut self.persistence else {
            return false;
        };
        if self.spoke {
            let since = *self.unanswered.get_or_insert(now);
            if now.saturating_duration_since(since) >= SILENCE {
                candidates.search(now);
            }
        }
        candidates.is_due(now)
    }

    /// Where the next handshake goes.
    fn next_place(&mut self, now: Instant) -> Option<Endpoint> {
        match &mut self.persistence {
            Persistence::Seeks(candidates) => candidates.next(now).map(Endpoint::from),
            Persistence::Answers => self.endpoint,
        }
    }

    /// Roams: only ever called for a sender that authenticated. One whose port is 0 is heard and not
    /// followed: nothing can be sent there, and a send that is refused may cost other peers.
    fn heard(&mut self, origin: Origin) {
        self.received = Some(origin.at);
        self.life.active = true;
        (self.spoke, self.unanswered) = (false, None);
        if origin.from.remote.port() == 0 {
            return;
        }
        // Who seeks leaves the choice of its own address to the system, which follows routes as
        // they change; who answers keeps to the address it was spoken to by.
        self.endpoint = Some(match &mut self.persistence {
            Persistence::Seeks(candidates) => {
                candidates.found(origin.from.remote);
                origin.from.remote.into()
            }
            Persistence::Answers => origin.from,
        });
    }
}

fn reason(error: &WireGuardError) -> DropReason {
    match error {
        WireGuardError::DuplicateCounter | WireGuardError::InvalidCounter => DropReason::Replayed,
        WireGuardError::InvalidPacket | WireGuardError::IncorrectPacketLength => {
            DropReason::Malformed
        }
        WireGuardError::InvalidAeadTag
        | WireGuardError::NoCurrentSession
        | WireGuardError::WrongIndex
        | WireGuardError::ConnectionExpired => DropReason::Forged,
        WireGuardError::DestinationBufferTooSmall
        | WireGuardError::UnexpectedPacket
        | WireGuardError::WrongPacketType
        | WireGuardError::WrongKey
        | WireGuardError::InvalidTai64nTimestamp
        | WireGuardError::WrongTai64nTimestamp
        | WireGuardError::InvalidMac
        | WireGuardError::LockFailed
        | WireGuardError::UnderLoad => DropReason::Handshake,
    }
}
