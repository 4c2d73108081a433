//! Somebody who sells: a node that publishes one real, signed offer and grants nothing.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::runtime::Runtime;
use warren_overlay::{Overlay, OverlayConfig};
use warren_proto::{
    Amount, Capacity, CountryCode, MAX_OFFER_LIFE, NodeKey, Offer, PayoutAddress, PolicyId, Price,
    Region, UnixTime,
};

use crate::devchain::Pins;
use crate::home::until;

/// A running seller; it ends when dropped.
pub(crate) struct Seller {
    runtime: Runtime,
    overlay: Overlay,
}

impl Seller {
    /// Sells in Iceland, to be paid on this chain.
    pub(crate) fn start(pins: &Pins) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let key = NodeKey::from_seed(&[7; 32]);
        let config = OverlayConfig {
            listen: vec!["/ip4/127.0.0.1/udp/0/quic-v1".to_owned()],
            serve_dht: true,
            allow_private: true,
            ..OverlayConfig::default()
        };
        let started = runtime.block_on(async { Overlay::start(config, key.clone()) });
        let (overlay, mut events) = started.expect("an overlay");
        runtime.spawn(async move { while events.recv().await.is_some() {} });
        let seller = Self { runtime, overlay };
        let offer = offer(pins, &key, seller.addresses());
        let offer = offer.sign(&key).expect("a sound offer");
        let published = seller.runtime.block_on(seller.overlay.publish_offer(offer));
        published.expect("a market");
        seller
    }

    /// Where it is reached.
    pub(crate) fn addresses(&self) -> Vec<String> {
        until("the seller to listen", || {
            let found = self.runtime.block_on(self.overlay.listen_addresses());
            let found = found.map_err(|it| it.to_string())?;
            if found.is_empty() {
                Err("nowhere".to_owned())
            } else {
                Ok(found)
            }
        })
    }
}

fn offer(pins: &Pins, key: &NodeKey, addresses: Vec<String>) -> Offer {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    let now = UnixTime::default().plus(since);
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
