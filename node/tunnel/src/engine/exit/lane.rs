//! One direction of an exit: its shaper, which nobody asks while there is no rate to keep.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::engine::shaper::Shaper;
use crate::meter::ShapeCounts;
use crate::spec::{GuestId, Shape};

/// The shaper of one direction. Locked before a peer, never after one is asked for its turn.
#[derive(Debug)]
pub(super) struct Lane {
    /// Whether there is a rate to keep, or something waits.
    on: AtomicBool,
    shaper: Mutex<Shaper>,
}

impl Lane {
    pub(super) fn new() -> Self {
        Self {
            on: AtomicBool::new(false),
            shaper: Mutex::new(Shaper::new()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shaper> {
        self.shaper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shaper, if it is to be asked. One thread carries one direction, so nobody waits for it.
    pub(super) fn shaper(&self) -> Option<MutexGuard<'_, Shaper>> {
        self.on.load(Ordering::Acquire).then(|| self.lock())
    }

    pub(super) fn set_shape(&self, shape: Shape, now: Instant) {
        let mut shaper = self.lock();
        shaper.set_shape(shape, now);
        self.on.store(!shaper.is_idle(), Ordering::Release);
    }

    pub(super) fn forget(&self, guest: GuestId) {
        self.lock().forget(guest);
    }

    pub(super) fn counts(&self) -> ShapeCounts {
        let (delayed, dropped) = self.lock().counts();
        ShapeCounts { delayed, dropped }
    }

    /// When the next packet may pass; a shaper that has nothing to do is not asked again.
    pub(super) fn next(&self, shaper: &Shaper, now: Instant) -> Option<Instant> {
        if shaper.is_idle() {
            self.on.store(false, Ordering::Release);
        }
        shaper.next(now)
    }
}
