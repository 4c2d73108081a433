//! Session terms to bytes and back.

use std::net::{IpAddr, SocketAddr};

use prost::Message as _;

use super::parts::{Result, amount, chain, chain_pb, decode, fixed, need, price};
use super::{WireError, pb};
use crate::id::{NodeId, OfferHash, PayoutAddress, SessionId};
use crate::key::TunnelPublicKey;
use crate::session::MAX_FRAME_BYTES;
use crate::terms::{Candidate, CandidateKind, SessionTerms};
use crate::unit::UnixTime;

const MAX_DNS: usize = 4;
const MAX_ENDPOINTS: usize = 8;
/// IPv6 needs 1280 (RFC 8200).
const MTU: std::ops::RangeInclusive<u32> = 1280..=9000;

pub(crate) fn terms_bytes(terms: &SessionTerms) -> Vec<u8> {
    terms_pb(terms).encode_to_vec()
}

pub(crate) fn terms_from_bytes(bytes: &[u8]) -> Result<SessionTerms> {
    read_terms(decode(bytes, MAX_FRAME_BYTES)?)
}

fn ip_bytes(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn ip(bytes: &[u8], field: &'static str) -> Result<IpAddr> {
    match bytes.len() {
        4 => Ok(IpAddr::from(fixed::<4>(bytes, field)?)),
        _ => Ok(IpAddr::from(fixed::<16>(bytes, field)?)),
    }
}

pub(super) fn terms_pb(it: &SessionTerms) -> pb::Terms {
    let candidate = |c: &Candidate| pb::Candidate {
        kind: match c.kind {
            CandidateKind::Host => 1,
            CandidateKind::Mapped => 2,
            CandidateKind::Reflexive => 3,
            CandidateKind::Relayed => 4,
        },
        ip: ip_bytes(c.address.ip()),
        port: c.address.port().into(),
    };
    pb::Terms {
        session: it.session.as_bytes().to_vec(),
        consumer: it.consumer.as_bytes().to_vec(),
        provider: it.provider.as_bytes().to_vec(),
        offer: it.offer.as_bytes().to_vec(),
        per_mib: it.price.per_mib.to_be_bytes().to_vec(),
        per_minute: it.price.per_minute.to_be_bytes().to_vec(),
        unit_price: it.unit_price.to_be_bytes().to_vec(),
        prepay_units: it.prepay_units,
        credit_units: it.credit_units,
        min_deposit: it.min_deposit.to_be_bytes().to_vec(),
        chain: Some(chain_pb(&it.chain)),
        payee: it.payee.as_bytes().to_vec(),
        close_window_secs: it.close_window_secs,
        policy_hash: it.policy_hash.to_vec(),
        consumer_key: it.consumer_key.as_bytes().to_vec(),
        provider_key: it.provider_key.as_bytes().to_vec(),
        consumer_v4: it.consumer_v4.octets().to_vec(),
        consumer_v6: it.consumer_v6.octets().to_vec(),
        gateway_v4: it.gateway_v4.octets().to_vec(),
        gateway_v6: it.gateway_v6.octets().to_vec(),
        dns: it.dns.iter().map(|&ip| ip_bytes(ip)).collect(),
        mtu: it.mtu.into(),
        endpoints: it.endpoints.iter().map(candidate).collect(),
        payee_nonce: it.payee_nonce.to_vec(),
        valid_until: it.valid_until.as_millis(),
    }
}

pub(super) fn read_terms(it: pb::Terms) -> Result<SessionTerms> {
    if it.dns.len() > MAX_DNS {
        return Err(WireError::Range {
            field: "dns",
            value: it.dns.len() as u64,
        });
    }
    if it.endpoints.is_empty() || it.endpoints.len() > MAX_ENDPOINTS {
        return Err(WireError::Range {
            field: "endpoints",
            value: it.endpoints.len() as u64,
        });
    }
    let bad_mtu = WireError::Range {
        field: "mtu",
        value: it.mtu.into(),
    };
    let mtu = match u16::try_from(it.mtu) {
        Ok(mtu) if MTU.contains(&it.mtu) => mtu,
        Ok(_) | Err(_) => return Err(bad_mtu),
    };
    if it.prepay_units == 0 {
        return Err(WireError::Range {
            field: "prepay_units",
            value: 0,
        });
    }
    Ok(SessionTerms {
        session: SessionId::from_bytes(fixed(&it.session, "session")?),
        consumer: NodeId::from_bytes(fixed(&it.consumer, "consumer")?),
        provider: NodeId::from_bytes(fixed(&it.provider, "provider")?),
        offer: OfferHash::from_bytes(fixed(&it.offer, "offer")?),
        price: price(&it.per_mib, &it.per_minute)?,
        unit_price: amount(&it.unit_price, "unit_price")?,
        prepay_units: it.prepay_units,
        credit_units: it.credit_units,
        min_deposit: amount(&it.min_deposit, "min_deposit")?,
        chain: chain(it.chain)?,
        payee: PayoutAddress::from_bytes(fixed(&it.payee, "payee")?),
        close_window_secs: it.close_window_secs,
        policy_hash: fixed(&it.policy_hash, "policy_hash")?,
        consumer_key: TunnelPublicKey::from_bytes(fixed(&it.consumer_key, "consumer_key")?),
        provider_key: TunnelPublicKey::from_bytes(fixed(&it.provider_key, "provider_key")?),
        consumer_v4: fixed::<4>(&it.consumer_v4, "consumer_v4")?.into(),
        consumer_v6: fixed::<16>(&it.consumer_v6, "consumer_v6")?.into(),
        gateway_v4: fixed::<4>(&it.gateway_v4, "gateway_v4")?.into(),
        gateway_v6: fixed::<16>(&it.gateway_v6, "gateway_v6")?.into(),
        dns: it.dns.iter().map(|b| ip(b, "dns")).collect::<Result<_>>()?,
        mtu,
        endpoints: it.endpoints.iter().map(candidate).collect::<Result<_>>()?,
        payee_nonce: fixed(&it.payee_nonce, "payee_nonce")?,
        valid_until: UnixTime::from_millis(it.valid_until),
    })
}

fn candidate(it: &pb::Candidate) -> Result<Candidate> {
    let kind = match it.kind {
        1 => CandidateKind::Host,
        2 => CandidateKind::Mapped,
        3 => CandidateKind::Reflexive,
        4 => CandidateKind::Relayed,
        value => {
            return Err(WireError::Range {
                field: "kind",
                value: value.into(),
            });
        }
    };
    let port = u16::try_from(it.port).ok().filter(|&port| port != 0);
    let port = need(port, "port")?;
    Ok(Candidate {
        kind,
        address: SocketAddr::new(ip(&it.ip, "ip")?, port),
    })
}
