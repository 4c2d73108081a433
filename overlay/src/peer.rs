//! One key, three names: `NodeKey` is the libp2p key pair, and `NodeId` is the `PeerId` (ADR 0003).

use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey, ed25519};
use warren_proto::{NodeId, NodeKey};

use crate::error::OverlayError;

// Specification: a PeerId of a short public key is the key itself under the identity multihash.
const IDENTITY_HASH: u64 = 0;

/// Makes the libp2p key pair of a node key.
pub(crate) fn keypair(key: &NodeKey) -> Result<Keypair, OverlayError> {
    let mut seed = *key.to_seed();
    // The callee wipes the seed it is lent.
    Keypair::ed25519_from_bytes(&mut seed[..]).map_err(|_| OverlayError::Key)
}

/// The libp2p name of a node. `None` if the bytes are no point of the curve: no such node can exist.
pub(crate) fn peer_id(node: &NodeId) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(node.as_bytes()).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

/// The node behind a libp2p name. `None` if its key is not ed25519: no Warren node.
pub(crate) fn node_id(peer: &PeerId) -> Option<NodeId> {
    let hash = peer.as_ref();
    if hash.code() != IDENTITY_HASH {
        return None;
    }
    let key = PublicKey::try_decode_protobuf(hash.digest()).ok()?;
    Some(NodeId::from_bytes(key.try_into_ed25519().ok()?.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_names_are_one() {
        let key = NodeKey::from_seed(&[7; 32]);
        let peer = keypair(&key).unwrap().public().to_peer_id();
        assert_eq!(peer_id(&key.id()), Some(peer));
        assert_eq!(node_id(&peer), Some(key.id()));
    }

    #[test]
    fn a_peer_with_another_kind_of_key_is_no_node() {
        assert_eq!(node_id(&PeerId::random()), None);
    }
}
