//! What was read from the device and is not sealed yet.
//!
//! As long as several guests speak, what there is is read at once and kept here, for they take turns.
//!
//! The kernel's queue is bounded in packets, and a super-packet may be a thousand times a small one. So the
//! same is done where one alone has filled it with large ones: what is above the bound in bytes is lost.

use std::io;
use std::time::Instant;

use super::Shared;
use super::turns::{MOST_LOST, SHARED, Speakers, Turns};
use crate::device::queue_len;
use crate::engine::Engine;
use crate::meter::DropReason;
use crate::offload::vnet::VnetHeader;
use crate::spec::DeviceRung;

/// Who spoke, how much was read since the kernel's queue was empty, and what waits.
#[derive(Debug)]
pub(super) struct Backlog {
    rung: DeviceRung,
    pub(super) speakers: Speakers,
    reads: usize,
    bytes: usize,
    deep: bool,
    pub(super) turns: Turns<VnetHeader>,
}

impl Backlog {
    pub(super) fn new(rung: DeviceRung) -> Self {
        Self {
            rung,
            speakers: Speakers::default(),
            reads: 0,
            bytes: 0,
            deep: false,
            turns: Turns::default(),
        }
    }

    /// So much was read from the kernel's queue, and it was `emptied` or not. Its bytes cannot be asked for, but
    /// after so many reads what it holds now has come meanwhile: about as much again.
    pub(super) fn drained(&mut self, reads: usize, bytes: usize, emptied: bool) {
        self.reads += reads;
        self.bytes += bytes;
        if self.bytes > SHARED && !emptied && self.rung != DeviceRung::Plain {
            self.deep = true;
        } else if !emptied && self.reads < queue_len(self.rung) as usize {
            return;
        }
        (self.reads, self.bytes) = (0, 0);
    }

    /// Whether to read ahead: there are several speakers, the kernel's queue is deep, or something waits.
    pub(super) fn is_used(&self) -> bool {
        !self.turns.is_empty() || self.deep || self.speakers.are_several(Instant::now())
    }
}

impl<E: Engine> Shared<E> {
    /// Reads what there is into the backlog, each through `buffer`.
    pub(super) fn read_ahead(
        &self,
        crowd: &E::Crowd,
        buffer: &mut [u8],
        backlog: &mut Backlog,
    ) -> io::Result<()> {
        backlog.deep = false;
        let (mut lost, now) = (0, Instant::now());
        while lost < MOST_LOST {
            match self.device.read(buffer, 0) {
                Ok(Some(read)) => {
                    let packet = &buffer[read.start..read.end];
                    let whose = self.engine.whose(crowd, packet);
                    backlog.speakers.hear(whose, now);
                    if !backlog.turns.keep(whose, packet, read.header) {
                        self.engine.drops().count(DropReason::Overflow);
                        lost += 1;
                    }
                }
                Ok(None) => break,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    self.engine.drops().count(DropReason::Malformed);
                    lost += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_deep_once_so_many_bytes_came_without_an_end() {
        let mut backlog = Backlog::new(DeviceRung::TcpUdp);
        // Small packets are bounded by their number.
        (0..1000).for_each(|_| backlog.drained(16, 16 * 100, false));
        assert!(!backlog.is_used());
        // Large ones that keep up are not many at once.
        (0..1000).for_each(|at| backlog.drained(1, 64_000, at % 8 == 7));
        assert!(!backlog.is_used());
        (0..33).for_each(|_| backlog.drained(1, 64_000, false));
        assert!(backlog.is_used());
        let mut backlog = Backlog::new(DeviceRung::Plain);
        (0..10_000).for_each(|_| backlog.drained(64, 60_000, false));
        assert!(!backlog.is_used());
    }
}
