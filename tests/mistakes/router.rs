//! Somebody who says it routes: a node that answers a hello as it was told to, and does nothing else.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::runtime::Runtime;
use warren_overlay::{Overlay, OverlayConfig, OverlayEvent};
use warren_proto::{
    Amount, ChainRef, MAX_HINT_LIFE, NodeId, NodeKey, PayoutAddress, RouteWelcome, RouterHint,
    SessionFrame, UnixTime,
};

use crate::home::until;

/// What it says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// That it does not route.
    Modest,
    /// The terms of another node, signed by that one.
    Borrowed,
    /// Its own terms with one bit changed.
    Forged,
    /// Its own terms, good for another chain.
    Foreign,
}

/// A running node; it ends when dropped.
pub(crate) struct Router {
    runtime: Runtime,
    overlay: Overlay,
    key: NodeKey,
}

impl Router {
    /// Listens on loopback and behaves so to whoever says hello.
    pub(crate) fn start(chain: ChainRef, manner: Manner) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let key = NodeKey::from_seed(&[8; 32]);
        let config = OverlayConfig {
            listen: vec!["/ip4/127.0.0.1/udp/0/quic-v1".to_owned()],
            serve_dht: true,
            allow_private: true,
            ..OverlayConfig::default()
        };
        let started = runtime.block_on(async { Overlay::start(config, key.clone()) });
        let (overlay, mut events) = started.expect("an overlay");
        let hint = hint(&key, chain, manner);
        runtime.spawn(async move {
            while let Some(event) = events.recv().await {
                let OverlayEvent::InboundSession { mut stream, .. } = event else {
                    continue;
                };
                let welcome = RouteWelcome { hint: hint.clone() };
                if let Ok(Some(SessionFrame::RouteHello(_))) = stream.recv().await {
                    let frame = SessionFrame::RouteWelcome(Box::new(welcome));
                    stream.send(frame).await.expect("a welcome");
                }
            }
        });
        Self {
            runtime,
            overlay,
            key,
        }
    }

    /// Who it is.
    pub(crate) fn node(&self) -> NodeId {
        self.key.id()
    }

    /// Where it is reached.
    pub(crate) fn addresses(&self) -> Vec<String> {
        until("the router to listen", || {
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

fn hint(own: &NodeKey, chain: ChainRef, manner: Manner) -> Option<Vec<u8>> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    let now = UnixTime::default().plus(since);
    let key = match manner {
        Manner::Borrowed => NodeKey::from_seed(&[9; 32]),
        Manner::Modest | Manner::Forged | Manner::Foreign => own.clone(),
    };
    let hint = RouterHint {
        node: key.id(),
        seq: now.as_millis(),
        issued: now,
        valid_until: now.plus(MAX_HINT_LIFE),
        chain: ChainRef {
            chain_id: chain.chain_id + u64::from(manner == Manner::Foreign),
            ..chain
        },
        payee: PayoutAddress::from_bytes([9; 20]),
        capacity_log2: 60,
        fee_ppm: 10_000,
        hold_fee: Amount::ZERO,
        hop_gap_secs: 3600,
        close_window_secs: 86_400,
    };
    let mut bytes = hint.sign(&key).expect("sound terms").as_bytes().to_vec();
    match manner {
        Manner::Modest => return None,
        Manner::Forged => bytes[40] ^= 1,
        Manner::Borrowed | Manner::Foreign => {}
    }
    Some(bytes)
}
