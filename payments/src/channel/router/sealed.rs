//! The hop beyond the next, sealed for the next: on a route over two routers the first one is not told the exit.
//!
//! Sans-IO: the caller brings the randomness.

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use warren_proto::{Amount, Hop, NodeId, NodeKey, PaymentId, SEALED_HOP_BYTES};
use zeroize::Zeroizing;

// Specification (proto/schema, LockOffer).
const INFO: &[u8] = b"warren/route/hop/1";
/// The contract keeps an expiry in so many bits.
const EXPIRY_BITS: u32 = 48;

type Sealed = [u8; SEALED_HOP_BYTES];

/// The hops as the next node is told them: of two, it reads the first, and that one the second. `seed`: fresh.
///
/// `None` if the next node is no key to seal for.
#[must_use]
pub fn beyond_next(
    onward: Vec<Hop>,
    payment: &PaymentId,
    seed: &[u8; 32],
) -> Option<(Vec<Hop>, Option<Sealed>)> {
    let [next, beyond] = onward.as_slice() else {
        return Some((onward, None));
    };
    let sealed = seal(beyond, &next.node, payment, &NodeKey::from_seed(seed))?;
    Some((vec![*next], Some(sealed)))
}

fn seal(hop: &Hop, reader: &NodeId, payment: &PaymentId, fresh: &NodeKey) -> Option<Sealed> {
    let (price, expiry) = (hop.unit_price.to_be_bytes(), hop.expiry.to_be_bytes());
    let plain = [hop.node.as_bytes().as_slice(), &price, &expiry].concat();
    let payload = Payload {
        msg: &plain,
        aad: payment.as_bytes(),
    };
    let cipher = cipher(fresh, reader, [&fresh.id(), reader])?;
    // The key is fresh, so the nonce need not be.
    let sealed = cipher.encrypt(&XNonce::default(), payload).ok()?;
    let whole = [fresh.id().as_bytes().as_slice(), &sealed].concat();
    whole.try_into().ok()
}

/// The hop inside; `None` if it was not sealed for `key` and this payment, or changed since.
#[must_use]
pub fn open(sealed: &Sealed, key: &NodeKey, payment: &PaymentId) -> Option<Hop> {
    let (fresh, sealed) = sealed.split_first_chunk::<32>()?;
    let fresh = NodeId::from_bytes(*fresh);
    let payload = Payload {
        msg: sealed,
        aad: payment.as_bytes(),
    };
    let cipher = cipher(key, &fresh, [&fresh, &key.id()])?;
    let plain = cipher.decrypt(&XNonce::default(), payload).ok()?;
    let (node, rest) = plain.split_first_chunk::<32>()?;
    let (price, expiry) = rest.split_first_chunk::<12>()?;
    let expiry = u64::from_be_bytes(expiry.try_into().ok()?);
    (expiry >> EXPIRY_BITS == 0).then_some(Hop {
        node: NodeId::from_bytes(*node),
        unit_price: Amount::from_be_slice(price)?,
        expiry,
    })
}

fn cipher(own: &NodeKey, other: &NodeId, parties: [&NodeId; 2]) -> Option<XChaCha20Poly1305> {
    let shared = own.shared_with(other)?;
    let [fresh, reader] = parties.map(NodeId::as_bytes);
    let info = [INFO, fresh, reader].concat();
    let mut key = Zeroizing::new([0_u8; 32]);
    let derived = Hkdf::<Sha256>::new(None, shared.as_slice()).expand(&info, key.as_mut_slice());
    derived.ok()?; // 32 bytes are within what HKDF gives.
    let key: &[u8; 32] = &key;
    Some(XChaCha20Poly1305::new(key.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYMENT: PaymentId = PaymentId::from_bytes([7; 16]);

    fn key(n: u8) -> NodeKey {
        NodeKey::from_seed(&[n; 32])
    }

    fn hop(n: u8) -> Hop {
        Hop {
            node: key(n).id(),
            unit_price: Amount::from_wei_u64(1_000_003),
            expiry: 1_800_005_400,
        }
    }

    #[test]
    fn only_the_next_node_reads_the_hop_beyond_it_and_only_as_it_was_sealed() {
        let hops = vec![hop(1), hop(2)];
        let (onward, sealed) = beyond_next(hops, &PAYMENT, &[9; 32]).unwrap();
        let sealed = sealed.unwrap();
        assert_eq!(onward, [hop(1)]);
        assert_eq!(open(&sealed, &key(1), &PAYMENT), Some(hop(2)));
        // Nobody else, for no other payment, and not a bit otherwise.
        assert_eq!(open(&sealed, &key(2), &PAYMENT), None);
        let other = PaymentId::from_bytes([8; 16]);
        assert_eq!(open(&sealed, &key(1), &other), None);
        for at in 0..sealed.len() {
            let mut forged = sealed;
            forged[at] ^= 1;
            assert_eq!(open(&forged, &key(1), &PAYMENT), None, "byte {at}");
        }
        // What is inside cannot be seen, nor that it is the same again.
        let exit = key(2).id();
        assert!(!sealed.windows(8).any(|it| it == &exit.as_bytes()[..8]));
        let again = beyond_next(vec![hop(1), hop(2)], &PAYMENT, &[10; 32]).unwrap();
        assert_ne!(again.1, Some(sealed));
    }

    #[test]
    fn one_hop_needs_no_seal_and_none_is_made_for_what_is_no_key() {
        let one = beyond_next(vec![hop(1)], &PAYMENT, &[9; 32]);
        assert_eq!(one, Some((vec![hop(1)], None)));
        let nobody = Hop {
            node: NodeId::from_bytes([2; 32]),
            ..hop(1)
        };
        assert_eq!(key(3).shared_with(&nobody.node), None, "not on the curve");
        assert_eq!(beyond_next(vec![nobody, hop(2)], &PAYMENT, &[9; 32]), None);
    }

    #[test]
    fn an_expiry_that_the_contract_could_not_keep_is_none() {
        let far = Hop {
            expiry: 1 << EXPIRY_BITS,
            ..hop(2)
        };
        let (_, sealed) = beyond_next(vec![hop(1), far], &PAYMENT, &[9; 32]).unwrap();
        assert_eq!(open(&sealed.unwrap(), &key(1), &PAYMENT), None);
    }
}
