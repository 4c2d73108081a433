//! The door of an exit: who knocks, and how often it is answered.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use boringtun::noise::handshake::parse_handshake_anon;
use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Packet, Tunn, TunnResult};
use boringtun::x25519::{PublicKey, StaticSecret};
use warren_proto::TunnelPublicKey;

use super::callers::Callers;
use super::{HANDSHAKE_INIT_LEN, KeyLimits, Peer, Persistence, TunnelKey};
use crate::engine::{Endpoint, Outbox};
use crate::meter::{DropReason, HandshakeCounts};

/// The door of an exit: proves handshakes before anything is computed for them.
pub(crate) struct Door {
    secret: StaticSecret,
    public: PublicKey,
    limits: KeyLimits,
    /// Counts everybody, and makes the cookies.
    limiter: Arc<RateLimiter>,
    /// For the peers: whom the door let in is not counted again.
    inside: Arc<RateLimiter>,
    callers: Mutex<Callers>,
    computed: AtomicU64,
    cookies: AtomicU64,
    refused: AtomicU64,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Door(..)")
    }
}

impl Door {
    pub(crate) fn new(key: &TunnelKey, handshakes_per_second: u64, limits: KeyLimits) -> Self {
        let public = PublicKey::from(&key.0);
        let limiter = |limit| Arc::new(RateLimiter::new(&public, limit));
        Self {
            secret: key.0.clone(),
            limits,
            limiter: limiter(handshakes_per_second),
            inside: limiter(u64::MAX),
            public,
            callers: Mutex::new(Callers::new(handshakes_per_second)),
            computed: AtomicU64::new(0),
            cookies: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    fn callers(&self) -> MutexGuard<'_, Callers> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a new second of the handshake limit; to be called every second.
    pub(crate) fn new_second(&self) {
        self.callers().new_second();
        self.limiter.reset_count();
    }

    pub(crate) fn counts(&self) -> HandshakeCounts {
        HandshakeCounts {
            computed: self.computed.load(Ordering::Relaxed),
            cookies: self.cookies.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// Says whose handshake this is; writes a cookie to `out` if the door is crowded.
    pub(crate) fn who(
        &self,
        datagram: &[u8],
        from: Endpoint,
        out: &mut Outbox,
    ) -> Result<TunnelPublicKey, DropReason> {
        match self.judge(datagram, from, out)? {
            Packet::HandshakeInit(init) => parse_handshake_anon(&self.secret, &self.public, &init)
                .map(|half| TunnelPublicKey::from_bytes(half.peer_static_public))
                .map_err(|_| DropReason::Handshake),
            Packet::HandshakeResponse(_) | Packet::PacketCookieReply(_) | Packet::PacketData(_) => {
                Err(DropReason::Handshake)
            }
        }
    }

    /// Says whether an answer to a handshake of ours is worth computing.
    pub(crate) fn admits(
        &self,
        datagram: &[u8],
        from: Endpoint,
        out: &mut Outbox,
    ) -> Result<(), DropReason> {
        self.judge(datagram, from, out).map(|_| ())
    }

    /// Lets a handshake message pass if it knows our key and, once the door is crowded, shows a
    /// cookie. Costs hashes only.
    fn judge<'a>(
        &self,
        datagram: &'a [u8],
        from: Endpoint,
        out: &mut Outbox,
    ) -> Result<Packet<'a>, DropReason> {
        let (caller, mut cookie) = (from.remote.ip(), [0; HANDSHAKE_INIT_LEN]);
        let refuse = |count: &AtomicU64| {
            count.fetch_add(1, Ordering::Relaxed);
            Err(DropReason::Handshake)
        };
        match self
            .limiter
            .verify_packet(Some(caller), datagram, &mut cookie)
        {
            Ok(packet @ (Packet::HandshakeInit(_) | Packet::HandshakeResponse(_))) => {
                if !self.callers().lets_in(caller) {
                    return refuse(&self.refused);
                }
                self.computed.fetch_add(1, Ordering::Relaxed);
                Ok(packet)
            }
            Ok(packet @ (Packet::PacketCookieReply(_) | Packet::PacketData(_))) => Ok(packet),
            Err(TunnResult::WriteToNetwork(reply)) => {
                self.callers().sent_away();
                out.push(reply, from);
                refuse(&self.cookies)
            }
            Err(
                TunnResult::Done
                | TunnResult::Err(_)
                | TunnResult::WriteToTunnelV4(..)
                | TunnResult::WriteToTunnelV6(..),
            ) => refuse(&self.refused),
        }
    }

    /// A peer that shares this door's key.
    pub(crate) fn peer(&self, key: &TunnelPublicKey, index: u32) -> Peer {
        let tunn = Tunn::new(
            self.secret.clone(),
            PublicKey::from(*key.as_bytes()),
            None,
            None,
            index,
            Some(Arc::clone(&self.inside)),
        );
        Peer::new(tunn, None, Persistence::Answers, self.limits)
    }
}
