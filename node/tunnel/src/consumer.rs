//! The consumer's tunnel: a device whose packets come out at the exit.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use ipnet::{Ipv4Net, Ipv6Net};

use crate::device::{Addresses, Device};
use crate::engine::ConsumerEngine;
use crate::error::{TunnelError, TunnelWarning};
use crate::meter::{DropCounts, Usage};
use crate::pump::Pump;
use crate::socket::{TunnelSocket, anywhere};
use crate::spec::{Rungs, TunnelSpec, TunnelState, check_mtu};

/// A consumer's tunnel, up until it is dropped or [`ConsumerTunnel::down`] is called.
///
/// It routes nothing into itself: that is the host's part, and so is what protects against leaks.
#[derive(Debug)]
pub struct ConsumerTunnel {
    engine: Arc<ConsumerEngine>,
    pump: Pump<ConsumerEngine>,
    warnings: Vec<TunnelWarning>,
}

impl ConsumerTunnel {
    /// Makes the device, starts the packet threads and the first handshake; does not wait for it.
    ///
    /// Blocks for some milliseconds. Device and socket are made in the calling thread's network
    /// namespace.
    ///
    /// # Errors
    /// If the MTU is out of range, no endpoint is given, or device, socket or threads cannot be had.
    pub fn up(spec: TunnelSpec) -> Result<Self, TunnelError> {
        check_mtu(spec.mtu)?;
        if spec.endpoints.is_empty() {
            return Err(TunnelError::NoEndpoint);
        }
        let rungs = spec.offload.ceiling();
        let mut warnings = Vec::new();
        let ceiling = (rungs.send, rungs.receive);
        let socket = TunnelSocket::open(anywhere(spec.port), spec.mark, ceiling, &mut warnings)?;
        let addresses = Addresses {
            v4: spec.local_v4.map(Ipv4Net::from),
            v6: spec.local_v6.map(Ipv6Net::from),
        };
        let device = Device::create(&spec.device, spec.mtu, &addresses, rungs.device)?;
        let engine = Arc::new(ConsumerEngine::new(&spec));
        let pump = Pump::start(Arc::clone(&engine), device, socket)?;
        Ok(Self {
            engine,
            pump,
            warnings,
        })
    }

    /// Inner bytes carried so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.engine.usage()
    }

    /// How the exit is doing.
    #[must_use]
    pub fn state(&self) -> TunnelState {
        self.engine.state(Instant::now())
    }

    /// What was not carried, by reason.
    #[must_use]
    pub fn drop_counts(&self) -> DropCounts {
        self.engine.drop_counts()
    }

    /// What the tunnel does without.
    #[must_use]
    pub fn warnings(&self) -> &[TunnelWarning] {
        &self.warnings
    }

    /// The rungs in use now.
    #[must_use]
    pub fn rungs(&self) -> Rungs {
        self.pump.rungs()
    }

    /// Whether the device is still there and every packet thread runs.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.pump.is_healthy()
    }

    /// The UDP port the tunnel speaks from; `None` if the system does not say.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.pump.port()
    }

    /// Finds out from now on how large packets may be, by asking `exit`, the exit's inner address,
    /// for echoes; the device's MTU follows. To be called once the exit carries packets.
    pub fn measure(&self, exit: IpAddr) {
        self.engine.measure(exit, Instant::now());
    }

    /// The largest packet that was found to pass, which is the device's MTU. `None` as long as none
    /// was found; the MTU is the spec's then.
    #[must_use]
    pub fn path_mtu(&self) -> Option<u16> {
        self.engine.path_mtu()
    }

    /// Looks for the exit at this endpoint, and no other, from now on.
    pub fn set_endpoint(&self, endpoint: SocketAddr) {
        self.engine.set_endpoint(endpoint);
    }

    /// Stops the threads, removes the device and says what was carried in all.
    #[must_use]
    pub fn down(self) -> Usage {
        let Self {
            engine,
            pump,
            warnings: _,
        } = self;
        drop(pump);
        engine.usage()
    }
}
