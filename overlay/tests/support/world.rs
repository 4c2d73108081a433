//! A small network on loopback.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;
use tokio::time::timeout;
use warren_overlay::{Overlay, OverlayConfig, OverlayEvent};
use warren_proto::{
    Amount, Capacity, ChainRef, CountryCode, NodeId, NodeKey, Offer, PayoutAddress, PolicyId,
    Price, Region, SignedOffer, UnixTime,
};

pub(crate) const QUIC_V4: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
pub(crate) const TCP_V4: &str = "/ip4/127.0.0.1/tcp/0";
pub(crate) const QUIC_V6: &str = "/ip6/::1/udp/0/quic-v1";
pub(crate) const TCP_V6: &str = "/ip6/::1/tcp/0";

/// Nothing here should take this long; a machine under load may.
const DEADLINE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Waits until `look` sees something. `None` when the deadline has passed.
pub(crate) async fn within<T, F: Future<Output = Option<T>>>(look: impl Fn() -> F) -> Option<T> {
    let seen = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    timeout(DEADLINE, seen).await.ok()
}

/// Waits until `look` sees something, and fails when it never does.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    look: impl Fn() -> F,
) -> T {
    within(look)
        .await
        .unwrap_or_else(|| panic!("never came: {what}"))
}

pub(crate) fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixTime::from_millis(since.as_millis().try_into().unwrap())
}

pub(crate) fn key(n: u8) -> NodeKey {
    NodeKey::from_seed(&[n; 32])
}

/// What node `n` offers from now on, before it signs.
pub(crate) fn offer(n: u8, addresses: Vec<String>) -> Offer {
    Offer {
        node: key(n).id(),
        seq: now().as_millis(),
        issued: now(),
        valid_until: now().plus(Duration::from_secs(3600)),
        network: "warren/1".to_owned(),
        region: Region {
            country: CountryCode::new("DE").unwrap(),
            city: "Kassel".to_owned(),
        },
        addresses,
        price: Price {
            per_mib: Amount::from_wei_u64(100 + u64::from(n)),
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

pub(crate) struct Node {
    pub(crate) overlay: Overlay,
    pub(crate) events: mpsc::Receiver<OverlayEvent>,
    pub(crate) address: String,
}

impl Node {
    /// A node that listens and serves the DHT.
    pub(crate) async fn start(n: u8, listen: &str, bootstrap: &[String]) -> Self {
        Self::with(n, |it| {
            it.listen = vec![listen.to_owned()];
            it.bootstrap = bootstrap.to_vec();
            it.serve_dht = true;
        })
        .await
    }

    pub(crate) async fn with(n: u8, change: impl FnOnce(&mut OverlayConfig)) -> Self {
        let mut config = OverlayConfig {
            allow_private: true,
            ..OverlayConfig::default()
        };
        change(&mut config);
        let listens = !config.listen.is_empty();
        let (overlay, mut events) = Overlay::start(config, key(n)).unwrap();
        let mut address = String::new();
        while listens && address.is_empty() {
            if let OverlayEvent::Listening(it) = events.recv().await.unwrap() {
                address = it;
            }
        }
        Self {
            overlay,
            events,
            address,
        }
    }

    pub(crate) fn id(&self) -> NodeId {
        self.overlay.node_id()
    }

    pub(crate) fn signed_offer(&self, n: u8) -> SignedOffer {
        let address = self.address.split("/p2p/").next().unwrap().to_owned();
        offer(n, vec![address]).sign(&key(n)).unwrap()
    }
}

/// A bootstrap node and some exits whose offers are out.
pub(crate) struct Net {
    pub(crate) bootstrap: Node,
    pub(crate) exits: Vec<Node>,
}

impl Net {
    pub(crate) async fn start(listen: &str, exits: u8) -> Self {
        let bootstrap = Node::start(200, listen, &[]).await;
        let mut net = Self {
            bootstrap,
            exits: Vec::new(),
        };
        for n in 1..=exits {
            let exit = Node::start(n, listen, &[net.bootstrap.address.clone()]).await;
            exit.overlay
                .publish_offer(exit.signed_offer(n))
                .await
                .unwrap();
            net.exits.push(exit);
        }
        net
    }

    /// A node that dials out only, and knows the bootstrap node only.
    pub(crate) async fn consumer(&self, n: u8) -> Node {
        Node::with(n, |it| it.bootstrap = vec![self.bootstrap.address.clone()]).await
    }

    pub(crate) async fn stop(self) {
        for exit in &self.exits {
            exit.overlay.shutdown().await.unwrap();
        }
        self.bootstrap.overlay.shutdown().await.unwrap();
    }
}
