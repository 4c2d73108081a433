//! The whole deal of a session, hashed and signed by both sides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sha2::{Digest as _, Sha256};

use crate::id::{NodeId, OfferHash, PayoutAddress, SessionId, TermsHash};
use crate::key::{Domain, NodeKey, Signature, TunnelPublicKey};
use crate::payment::ChainRef;
use crate::unit::{Amount, Price, UnixTime};
use crate::wire::{WireError, terms_bytes, terms_from_bytes};

/// How an endpoint came to be known (RFC 8445 calls these candidates).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CandidateKind {
    /// An address of the node's own interface.
    Host,
    /// A port mapped or forwarded on the home router.
    Mapped,
    /// As seen by another peer.
    Reflexive,
    /// Through a relay.
    Relayed,
}

/// A possible WireGuard endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// Where it comes from.
    pub kind: CandidateKind,
    /// The UDP address.
    pub address: SocketAddr,
}

/// What provider and consumer agree on. Nothing outside of it is owed or promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionTerms {
    /// The session.
    pub session: SessionId,
    /// Who pays.
    pub consumer: NodeId,
    /// Who serves.
    pub provider: NodeId,
    /// The offer relied on.
    pub offer: OfferHash,
    /// What is asked.
    pub price: Price,
    /// Worth of one word.
    pub unit_price: Amount,
    /// Words paid ahead: the consumer's bound on loss.
    pub prepay_units: u32,
    /// Words served unpaid at first. It may grow with what is paid ([`crate::credit`]).
    pub credit_units: u32,
    /// The least deposit the provider accepts.
    pub min_deposit: Amount,
    /// Where the money lives.
    pub chain: ChainRef,
    /// Who claims.
    pub payee: PayoutAddress,
    /// The least close window the provider accepts, seconds.
    pub close_window_secs: u32,
    /// Hash of the exit policy in force.
    pub policy_hash: [u8; 32],
    /// The consumer's tunnel key.
    pub consumer_key: TunnelPublicKey,
    /// The provider's tunnel key.
    pub provider_key: TunnelPublicKey,
    /// The consumer's inner address, a /32.
    pub consumer_v4: Ipv4Addr,
    /// The consumer's inner address, a /128.
    pub consumer_v6: Ipv6Addr,
    /// The exit's inner address.
    pub gateway_v4: Ipv4Addr,
    /// The exit's inner address.
    pub gateway_v6: Ipv6Addr,
    /// Resolvers reached through the tunnel; at most 4, may be empty.
    pub dns: Vec<IpAddr>,
    /// Inner MTU, 1280 ..= 9000.
    pub mtu: u16,
    /// WireGuard endpoints, best first; 1 ..= 8.
    pub endpoints: Vec<Candidate>,
    /// Freshness of the payer's SessionAuth.
    pub payee_nonce: [u8; 32],
    /// Start must arrive before.
    pub valid_until: UnixTime,
}

impl SessionTerms {
    /// The hash both sides sign.
    #[must_use]
    pub fn hash(&self) -> TermsHash {
        let mut hasher = Sha256::new();
        hasher.update(b"warren/terms/1\0");
        hasher.update(terms_bytes(self));
        TermsHash::from_bytes(hasher.finalize().into())
    }

    /// Signs the terms.
    #[must_use]
    pub fn sign(&self, key: &NodeKey) -> Signature {
        key.sign(Domain::Terms, self.hash().as_bytes())
    }

    /// Says whether `node` signed these terms.
    #[must_use]
    pub fn signed_by(&self, node: &NodeId, signature: &Signature) -> bool {
        node.verify(Domain::Terms, self.hash().as_bytes(), signature)
    }

    /// Bytes for the node's own store and for receipts.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        terms_bytes(self)
    }

    /// Reads [`Self::encode`].
    ///
    /// # Errors
    /// [`WireError`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        terms_from_bytes(bytes)
    }
}
