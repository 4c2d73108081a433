//! Somebody who sells: a node that publishes one real, signed offer and grants nothing.

use warren_proto::{
    Amount, Capacity, CountryCode, MAX_OFFER_LIFE, NodeKey, Offer, PayoutAddress, PolicyId, Price,
    Region,
};

use crate::devchain::Pins;
use crate::stranger::{Stranger, now};

/// A running seller; it ends when dropped.
pub(crate) struct Seller(Stranger);

impl Seller {
    /// Sells in Iceland, to be paid on this chain.
    pub(crate) fn start(pins: &Pins) -> Self {
        let key = NodeKey::from_seed(&[7; 32]);
        let (stranger, mut events) = Stranger::start(&key);
        let Stranger { runtime, overlay } = &stranger;
        runtime.spawn(async move { while events.recv().await.is_some() {} });
        let offer = offer(pins, &key, stranger.addresses());
        let offer = offer.sign(&key).expect("a sound offer");
        let published = runtime.block_on(overlay.publish_offer(offer));
        published.expect("a market");
        Self(stranger)
    }

    /// Where it is reached.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.0.addresses()
    }
}

fn offer(pins: &Pins, key: &NodeKey, addresses: Vec<String>) -> Offer {
    let now = now();
    let per_mib = Amount::from_wei_u64(2_000_000_000_000);
    Offer {
        node: key.id(),
        seq: now.as_millis(),
        issued: now,
        valid_until: now.plus(MAX_OFFER_LIFE),
        network: "warren/1".to_owned(),
        region: Region {
            country: CountryCode::new("IS").expect("a country"),
            city: "Akureyri".to_owned(),
        },
        addresses,
        price: Price {
            per_mib,
            per_minute: Amount::ZERO,
        },
        chain: pins.chain_ref(),
        payee: PayoutAddress::from_bytes([9; 20]),
        unit_price: per_mib,
        prepay_units: 1,
        credit_units: 8,
        close_window_secs: 86_400,
        policy: PolicyId {
            name: "web+dns".to_owned(),
            hash: [3; 32],
        },
        capacity: Capacity {
            guests_max: 4,
            guests_free: 4,
        },
        ipv4: true,
        ipv6: true,
        rootless: false,
        version: "0.1.0".to_owned(),
    }
}
