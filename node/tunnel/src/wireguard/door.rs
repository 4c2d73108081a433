//! The door of an exit: who knocks, and how often it is answered.

use std::fmt;
use std::sync::Arc;

use boringtun::noise::handshake::parse_handshake_anon;
use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Packet, Tunn, TunnResult};
use boringtun::x25519::{PublicKey, StaticSecret};
use warren_proto::TunnelPublicKey;

use super::{HANDSHAKE_INIT_LEN, Peer, Persistence, TunnelKey};
use crate::engine::{Endpoint, Outbox};
use crate::meter::DropReason;

/// The door of an exit: proves handshakes before anything is computed for them.
pub(crate) struct Door {
    secret: StaticSecret,
    public: PublicKey,
    limiter: Arc<RateLimiter>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Door(..)")
    }
}

impl Door {
    pub(crate) fn new(key: &TunnelKey, handshakes_per_second: u64) -> Self {
        let public = PublicKey::from(&key.0);
        // Each handshake is verified twice, here and by its peer.
        let limiter = Arc::new(RateLimiter::new(
            &public,
            handshakes_per_second.saturating_mul(2),
        ));
        Self {
            secret: key.0.clone(),
            public,
            limiter,
        }
    }

    /// Starts a new second of the handshake limit; to be called every second.
    pub(crate) fn new_second(&self) {
        self.limiter.reset_count();
    }

    /// Says whose handshake this is; writes a cookie to `out` if the door is crowded.
    pub(crate) fn who(
        &self,
        datagram: &[u8],
        from: Endpoint,
        out: &mut Outbox,
    ) -> Result<TunnelPublicKey, DropReason> {
        let mut cookie = [0; HANDSHAKE_INIT_LEN];
        match self
            .limiter
            .verify_packet(Some(from.remote.ip()), datagram, &mut cookie)
        {
            Ok(Packet::HandshakeInit(init)) => {
                parse_handshake_anon(&self.secret, &self.public, &init)
                    .map(|half| TunnelPublicKey::from_bytes(half.peer_static_public))
                    .map_err(|_| DropReason::Handshake)
            }
            Err(TunnResult::WriteToNetwork(reply)) => {
                out.push(reply, from);
                Err(DropReason::Handshake)
            }
            Ok(
                Packet::HandshakeResponse(_) | Packet::PacketCookieReply(_) | Packet::PacketData(_),
            )
            | Err(
                TunnResult::Done
                | TunnResult::Err(_)
                | TunnResult::WriteToTunnelV4(..)
                | TunnResult::WriteToTunnelV6(..),
            ) => Err(DropReason::Handshake),
        }
    }

    /// A peer that shares this door's key and limit.
    pub(crate) fn peer(&self, key: &TunnelPublicKey, index: u32) -> Peer {
        let tunn = Tunn::new(
            self.secret.clone(),
            PublicKey::from(*key.as_bytes()),
            None,
            None,
            index,
            Some(Arc::clone(&self.limiter)),
        );
        Peer::new(tunn, None, Persistence::Answers)
    }
}
