//! The exit's tunnel: one device, one socket, many guests.

use std::sync::Arc;
use std::time::Instant;

use crate::device::{Addresses, Device};
use crate::engine::ExitEngine;
use crate::error::{TunnelError, TunnelWarning};
use crate::gate::Gate;
use crate::meter::{DropCounts, HandshakeCounts, ShapeCounts, Usage};
use crate::pump::Pump;
use crate::socket::TunnelSocket;
use crate::spec::{ExitSpec, GuestId, GuestSpec, Rungs, Shape, TunnelState, check_mtu};

/// An exit's tunnel, up until it is dropped or [`ExitTunnel::stop`] is called.
///
/// It forwards nothing to the internet by itself: that is the host's part, and so are the rules
/// of what a guest may reach. It does refuse foreign source addresses and guest-to-guest packets.
#[derive(Debug)]
pub struct ExitTunnel {
    engine: Arc<ExitEngine>,
    pump: Pump<ExitEngine>,
    warnings: Vec<TunnelWarning>,
}

impl ExitTunnel {
    /// Makes the device and starts the packet threads; there are no guests yet.
    ///
    /// Blocks for some milliseconds. Device and socket are made in the calling thread's network
    /// namespace.
    ///
    /// # Errors
    /// If the MTU is out of range, or device, socket or threads cannot be had.
    pub fn start(spec: ExitSpec) -> Result<Self, TunnelError> {
        check_mtu(spec.mtu)?;
        let rungs = spec.offload.ceiling();
        let mut warnings = Vec::new();
        let ceiling = (rungs.send, rungs.receive);
        let socket = TunnelSocket::open(spec.listen, spec.mark, ceiling, &mut warnings)?;
        let addresses = Addresses {
            v4: Some(spec.gateway_v4),
            v6: Some(spec.gateway_v6),
        };
        let device = Device::create(&spec.device, spec.mtu, &addresses, rungs.device)?;
        let engine = Arc::new(ExitEngine::new(&spec));
        let pump = Pump::start(Arc::clone(&engine), device, socket)?;
        Ok(Self {
            engine,
            pump,
            warnings,
        })
    }

    /// Takes a guest in. Its gate is shut: [`ExitTunnel::set_gate`] opens it.
    ///
    /// # Errors
    /// If the key or an address is taken, an address is not of our networks, or all places are.
    pub fn add_guest(&self, guest: GuestSpec) -> Result<GuestId, TunnelError> {
        self.engine.add_guest(guest)
    }

    /// Opens or shuts a guest's gate.
    ///
    /// # Errors
    /// If there is no such guest.
    pub fn set_gate(&self, guest: GuestId, gate: Gate) -> Result<(), TunnelError> {
        self.engine.set_gate(guest, gate)
    }

    /// Inner bytes carried for a guest so far.
    ///
    /// # Errors
    /// If there is no such guest.
    pub fn usage(&self, guest: GuestId) -> Result<Usage, TunnelError> {
        self.engine.usage(guest)
    }

    /// How a guest is doing.
    ///
    /// # Errors
    /// If there is no such guest.
    pub fn guest_state(&self, guest: GuestId) -> Result<TunnelState, TunnelError> {
        self.engine.guest_state(guest, Instant::now())
    }

    /// Lets a guest go; its last usage is returned.
    ///
    /// # Errors
    /// If there is no such guest.
    pub fn remove_guest(&self, guest: GuestId) -> Result<Usage, TunnelError> {
        self.engine.remove_guest(guest)
    }

    /// Carries guests no faster than `shape` says, from now on.
    pub fn set_shape(&self, shape: Shape) {
        self.engine.set_shape(shape);
    }

    /// Packets that had to wait for their turn, and packets that could not.
    #[must_use]
    pub fn shape_counts(&self) -> ShapeCounts {
        self.engine.shape_counts()
    }

    /// What became of the handshakes that came.
    #[must_use]
    pub fn handshake_counts(&self) -> HandshakeCounts {
        self.engine.handshake_counts()
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

    /// The UDP port the exit listens on; `None` if the system does not say.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.pump.port()
    }

    /// Stops the threads and removes the device.
    pub fn stop(self) {
        drop(self.pump);
    }
}
