//! The node's identity: one ed25519 key, which is NodeId and libp2p PeerId at once (ADR 0003).

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::id::NodeId;

/// What a signature is about. A signature made for one domain is worthless in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// An encoded offer.
    Offer,
    /// The hash of a session's terms.
    Terms,
    /// The binding of a node key to a payout address.
    KeyBinding,
    /// A portable receipt.
    Receipt,
    /// An encoded router hint.
    RouterHint,
}

impl Domain {
    const fn tag(self) -> &'static [u8] {
        match self {
            Self::Offer => b"warren/offer/1\0",
            Self::Terms => b"warren/terms/1\0",
            Self::KeyBinding => b"warren/keybind/1\0",
            Self::Receipt => b"warren/receipt/1\0",
            Self::RouterHint => b"warren/router/1\0",
        }
    }

    fn message(self, body: &[u8]) -> Vec<u8> {
        [self.tag(), body].concat()
    }
}

/// An ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Takes the raw bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({}…)", hex::encode(&self.0[..4]))
    }
}

/// The secret half of a node's identity. Wiped from memory when dropped.
#[derive(Clone)]
pub struct NodeKey(SigningKey);

impl NodeKey {
    /// Makes the key of a 32-byte secret seed. The caller brings the randomness.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The secret seed, for the key file only.
    #[must_use]
    pub fn to_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn id(&self) -> NodeId {
        NodeId::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// Signs `body` for `domain`.
    #[must_use]
    pub fn sign(&self, domain: Domain, body: &[u8]) -> Signature {
        Signature(self.0.sign(&domain.message(body)).to_bytes())
    }

    /// What this key and `other` come to, and nobody else: X25519 (RFC 7748) with both as Montgomery points.
    ///
    /// `None` if `other` is no key, or one that comes to the same with all.
    #[must_use]
    pub fn shared_with(&self, other: &NodeId) -> Option<Zeroizing<[u8; 32]>> {
        let other = VerifyingKey::from_bytes(other.as_bytes()).ok();
        let other = other.filter(|it| !it.is_weak())?;
        let own = Zeroizing::new(self.0.to_scalar_bytes());
        let shared = other.to_montgomery().mul_clamped(*own);
        Some(Zeroizing::new(shared.0))
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey(of {})", self.id().short())
    }
}

impl NodeId {
    /// Says whether this node signed `body` for `domain` (RFC 8032, strict: no small-order keys).
    #[must_use]
    pub fn verify(&self, domain: Domain, body: &[u8], signature: &Signature) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(self.as_bytes()) else {
            return false;
        };
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        key.verify_strict(&domain.message(body), &signature).is_ok()
    }
}

/// The public half of an x25519 tunnel key, fresh for each session (WireGuard).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelPublicKey([u8; 32]);

impl TunnelPublicKey {
    /// Takes the raw bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_counts_in_its_domain_only() {
        let key = NodeKey::from_seed(&[7; 32]);
        let signature = key.sign(Domain::Offer, b"price");
        assert!(key.id().verify(Domain::Offer, b"price", &signature));
        assert!(!key.id().verify(Domain::Terms, b"price", &signature));
        assert!(!key.id().verify(Domain::Offer, b"prize", &signature));
    }

    #[test]
    fn two_keys_come_to_the_same_and_a_third_to_something_else() {
        let [one, two, three] = [1, 2, 3].map(|seed| NodeKey::from_seed(&[seed; 32]));
        let shared = one.shared_with(&two.id());
        assert!(shared.is_some());
        assert_eq!(shared, two.shared_with(&one.id()));
        assert_ne!(shared, three.shared_with(&one.id()));
        assert_ne!(shared, three.shared_with(&two.id()));
        // The neutral element, of small order: everybody would come to zero with it.
        let mut weak = [0; 32];
        weak[0] = 1;
        assert_eq!(one.shared_with(&NodeId::from_bytes(weak)), None);
    }

    #[test]
    fn no_secret_is_printed() {
        let key = NodeKey::from_seed(&[7; 32]);
        assert!(!format!("{key:?}").contains("0707"));
    }
}
