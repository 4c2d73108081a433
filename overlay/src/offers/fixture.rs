//! Offers to test with.

use std::time::Duration;

use warren_proto::{
    Amount, Capacity, ChainRef, CountryCode, NodeKey, Offer, PayoutAddress, PolicyId, Price,
    Region, SignedOffer, UnixTime,
};

pub(crate) const NETWORK: &str = "warren/1";
pub(crate) const NOON: UnixTime = UnixTime::from_secs(1_800_000_000);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn key(n: u8) -> NodeKey {
    NodeKey::from_seed(&[n; 32])
}

pub(crate) fn after(secs: u64) -> UnixTime {
    NOON.plus(Duration::from_secs(secs))
}

/// An offer of node `n`, good for an hour from `issued`.
pub(crate) fn offer(n: u8, seq: u64, issued: UnixTime) -> Offer {
    Offer {
        node: key(n).id(),
        seq,
        issued,
        valid_until: issued.plus(HOUR),
        network: NETWORK.to_owned(),
        region: Region {
            country: CountryCode::new("DE").unwrap(),
            city: "Kassel".to_owned(),
        },
        addresses: vec!["/ip4/192.0.2.1/udp/4077/quic-v1".to_owned()],
        price: Price {
            per_mib: Amount::from_wei_u64(100),
            per_minute: Amount::ZERO,
        },
        chain: ChainRef {
            chain_id: 31337,
            contract: PayoutAddress::from_bytes([1; 20]),
            token: PayoutAddress::from_bytes([2; 20]),
        },
        payee: PayoutAddress::from_bytes([3; 20]),
        unit_price: Amount::from_wei_u64(100),
        prepay_units: 1,
        credit_units: 2,
        close_window_secs: 3600,
        policy: PolicyId {
            name: "web+dns".to_owned(),
            hash: [4; 32],
        },
        capacity: Capacity {
            guests_max: 16,
            guests_free: 16,
        },
        ipv4: true,
        ipv6: true,
        rootless: false,
        version: "0.1.0".to_owned(),
    }
}

pub(crate) fn signed(n: u8, seq: u64, issued: UnixTime) -> SignedOffer {
    offer(n, seq, issued).sign(&key(n)).unwrap()
}
