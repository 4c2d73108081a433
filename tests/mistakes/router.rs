//! Somebody who says it routes: a node that answers a hello as it was told to, and does nothing else.

use warren_overlay::OverlayEvent;
use warren_proto::{
    Amount, ChainRef, MAX_HINT_LIFE, NodeId, NodeKey, PayoutAddress, RouteWelcome, RouterHint,
    SessionFrame,
};

use crate::stranger::{Stranger, now};

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
    /// Its own terms: nothing is wrong with it.
    Sound,
}

/// A running node; it ends when dropped.
pub(crate) struct Router {
    stranger: Stranger,
    key: NodeKey,
}

impl Router {
    /// Listens on loopback and behaves so to whoever says hello.
    pub(crate) fn start(chain: ChainRef, manner: Manner) -> Self {
        let key = NodeKey::from_seed(&[8; 32]);
        let (stranger, mut events) = Stranger::start(&key);
        let hint = hint(&key, chain, manner);
        stranger.runtime.spawn(async move {
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
        let Stranger { runtime, overlay } = &stranger;
        let told = runtime.block_on(overlay.announce_router(manner == Manner::Sound));
        told.expect("an overlay");
        Self { stranger, key }
    }

    /// Who it is.
    pub(crate) fn node(&self) -> NodeId {
        self.key.id()
    }

    /// Where it is reached.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.stranger.addresses()
    }
}

fn hint(own: &NodeKey, chain: ChainRef, manner: Manner) -> Option<Vec<u8>> {
    let now = now();
    let key = match manner {
        Manner::Borrowed => NodeKey::from_seed(&[9; 32]),
        Manner::Modest | Manner::Forged | Manner::Foreign | Manner::Sound => own.clone(),
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
        Manner::Borrowed | Manner::Foreign | Manner::Sound => {}
    }
    Some(bytes)
}
