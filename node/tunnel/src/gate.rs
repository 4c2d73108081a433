//! The gate of one guest: whether its data packets pass.
//!
//! Sans-IO. A shut gate stops data only; handshakes pass, so that a guest that pays again is
//! carried at once.

use std::sync::atomic::{AtomicU8, Ordering};

/// Whether a guest's packets are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gate {
    /// Data packets pass both ways.
    Open,
    /// Data packets are dropped and counted; handshakes pass.
    Paused,
}

/// A [`Gate`] that the control side sets and the packet threads read.
#[derive(Debug)]
pub(crate) struct GateCell(AtomicU8);

impl GateCell {
    /// A gate is shut until somebody opens it.
    pub(crate) fn paused() -> Self {
        Self(AtomicU8::new(0))
    }

    pub(crate) fn set(&self, gate: Gate) {
        let value = match gate {
            Gate::Paused => 0,
            Gate::Open => 1,
        };
        self.0.store(value, Ordering::Release);
    }

    pub(crate) fn get(&self) -> Gate {
        if self.0.load(Ordering::Acquire) == 1 {
            Gate::Open
        } else {
            Gate::Paused
        }
    }
}
