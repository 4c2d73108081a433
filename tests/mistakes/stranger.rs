//! A node of nobody's: it listens on loopback, and what it says is up to a test.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use warren_overlay::{Overlay, OverlayConfig, OverlayEvent};
use warren_proto::{NodeKey, UnixTime};

use crate::home::until;

/// A running node; it ends when dropped.
pub(crate) struct Stranger {
    pub(crate) runtime: Runtime,
    pub(crate) overlay: Overlay,
}

impl Stranger {
    pub(crate) fn start(key: &NodeKey) -> (Self, mpsc::Receiver<OverlayEvent>) {
        let runtime = Runtime::new().expect("a runtime");
        let config = OverlayConfig {
            listen: vec!["/ip4/127.0.0.1/udp/0/quic-v1".to_owned()],
            serve_dht: true,
            allow_private: true,
            ..OverlayConfig::default()
        };
        let started = runtime.block_on(async { Overlay::start(config, key.clone()) });
        let (overlay, events) = started.expect("an overlay");
        (Self { runtime, overlay }, events)
    }

    /// Where it is reached.
    pub(crate) fn addresses(&self) -> Vec<String> {
        until("the stranger to listen", || {
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

/// What the system's clock says.
pub(crate) fn now() -> UnixTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    UnixTime::default().plus(since)
}
