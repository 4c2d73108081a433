//! Offers to bytes and back.

use prost::Message as _;

use super::parts::{Result, amount, chain, chain_pb, close_window, decode, fixed, price, text};
use super::{WireError, pb};
use crate::id::{NodeId, PayoutAddress};
use crate::key::Signature;
use crate::offer::{Capacity, CountryCode, MAX_OFFER_BYTES, Offer, PolicyId, Region};
use crate::unit::UnixTime;

const MAX_ADDRESSES: usize = 8;
const MAX_ADDRESS_BYTES: usize = 128;

pub(crate) fn offer_bytes(offer: &Offer) -> Vec<u8> {
    pb::Offer {
        node: offer.node.as_bytes().to_vec(),
        seq: offer.seq,
        issued: offer.issued.as_millis(),
        valid_until: offer.valid_until.as_millis(),
        network: offer.network.clone(),
        country: offer.region.country.to_string(),
        city: offer.region.city.clone(),
        addresses: offer.addresses.clone(),
        per_mib: offer.price.per_mib.to_be_bytes().to_vec(),
        per_minute: offer.price.per_minute.to_be_bytes().to_vec(),
        chain: Some(chain_pb(&offer.chain)),
        payee: offer.payee.as_bytes().to_vec(),
        unit_price: offer.unit_price.to_be_bytes().to_vec(),
        prepay_units: offer.prepay_units,
        credit_units: offer.credit_units,
        close_window_secs: offer.close_window_secs,
        policy: offer.policy.name.clone(),
        policy_hash: offer.policy.hash.to_vec(),
        guests_max: offer.capacity.guests_max,
        guests_free: offer.capacity.guests_free,
        ipv4: offer.ipv4,
        ipv6: offer.ipv6,
        rootless: offer.rootless,
        version: offer.version.clone(),
    }
    .encode_to_vec()
}

pub(crate) fn signed_offer_bytes(body: &[u8], signature: &Signature) -> Vec<u8> {
    pb::SignedOffer {
        offer: body.to_vec(),
        signature: signature.as_bytes().to_vec(),
    }
    .encode_to_vec()
}

/// Splits a signed offer into the signed bytes, the signature, and what the bytes say.
pub(crate) fn read_signed_offer(bytes: &[u8]) -> Result<(Vec<u8>, [u8; 64], Offer)> {
    let signed: pb::SignedOffer = decode(bytes, MAX_OFFER_BYTES)?;
    let offer = read_offer(decode(&signed.offer, MAX_OFFER_BYTES)?)?;
    Ok((signed.offer, fixed(&signed.signature, "signature")?, offer))
}

fn read_offer(it: pb::Offer) -> Result<Offer> {
    if it.addresses.len() > MAX_ADDRESSES {
        return Err(WireError::Range {
            field: "addresses",
            value: it.addresses.len() as u64,
        });
    }
    if it.guests_free > it.guests_max {
        return Err(WireError::Range {
            field: "guests_free",
            value: it.guests_free.into(),
        });
    }
    if it.prepay_units == 0 {
        return Err(WireError::Range {
            field: "prepay_units",
            value: 0,
        });
    }
    let address = |a: String| text(a, MAX_ADDRESS_BYTES, "addresses");
    Ok(Offer {
        node: NodeId::from_bytes(fixed(&it.node, "node")?),
        seq: it.seq,
        issued: UnixTime::from_millis(it.issued),
        valid_until: UnixTime::from_millis(it.valid_until),
        network: text(it.network, 32, "network")?,
        region: Region {
            country: CountryCode::new(&it.country).ok_or(WireError::Text { field: "country" })?,
            city: text(it.city, 48, "city")?,
        },
        addresses: it
            .addresses
            .into_iter()
            .map(address)
            .collect::<Result<_>>()?,
        price: price(&it.per_mib, &it.per_minute)?,
        chain: chain(it.chain)?,
        payee: PayoutAddress::from_bytes(fixed(&it.payee, "payee")?),
        unit_price: amount(&it.unit_price, "unit_price")?,
        prepay_units: it.prepay_units,
        credit_units: it.credit_units,
        close_window_secs: close_window(it.close_window_secs)?,
        policy: PolicyId {
            name: text(it.policy, 32, "policy")?,
            hash: fixed(&it.policy_hash, "policy_hash")?,
        },
        capacity: Capacity {
            guests_max: it.guests_max,
            guests_free: it.guests_free,
        },
        ipv4: it.ipv4,
        ipv6: it.ipv6,
        rootless: it.rootless,
        version: text(it.version, 24, "version")?,
    })
}
