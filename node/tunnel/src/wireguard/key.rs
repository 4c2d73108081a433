//! A session's own WireGuard key.

use std::fmt;

use boringtun::x25519::{PublicKey, StaticSecret};
use warren_proto::TunnelPublicKey;
use zeroize::Zeroizing;

/// A session's private WireGuard key. Never printed; wiped when dropped.
#[derive(Clone)]
pub struct TunnelKey(pub(super) StaticSecret);

impl TunnelKey {
    /// Makes a fresh key from the system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self::from_bytes(rand::random())
    }

    /// Takes 32 secret bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(StaticSecret::from(bytes))
    }

    /// The secret bytes, for a configuration that somebody else's WireGuard reads.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> TunnelPublicKey {
        TunnelPublicKey::from_bytes(PublicKey::from(&self.0).to_bytes())
    }
}

impl fmt::Debug for TunnelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TunnelKey(..)")
    }
}
