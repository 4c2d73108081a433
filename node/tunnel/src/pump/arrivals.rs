//! What came from the line and is not opened yet.
//!
//! As long as several guests speak, what there is is fetched at once and kept here, for they take turns: else the
//! socket, which is one queue for all, would drop whoever comes when it is full. What one alone sends is opened where it
//! was fetched.

use std::time::Instant;

use super::Shared;
use super::turns::{MOST_LOST, Speakers, Turns};
use crate::engine::{Engine, Origin, Received};
use crate::meter::DropReason;
use crate::socket::Receiver;

// Our choice.
/// Bytes handed out before the socket is looked at again.
const OPEN_BYTES: usize = 240_000;

/// What is known of bytes that wait: who sent them, and how long each datagram is.
#[derive(Debug, Clone, Copy)]
struct Arrived {
    origin: Origin,
    segment: usize,
}

/// Who spoke, and what waits.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    speakers: Speakers,
    turns: Turns<Arrived>,
    /// What the receiver holds came then, and need not wait.
    direct: Option<Instant>,
}

impl Arrivals {
    /// Whether there is nothing to hand out.
    pub(super) fn is_empty(&self) -> bool {
        self.direct.is_none() && self.turns.is_empty()
    }

    /// Hands out what came, or the next turns of it.
    pub(super) fn hand_out(&mut self, receiver: &Receiver<'_>, mut open: impl FnMut(Received<'_>)) {
        if let Some(at) = self.direct.take() {
            return receiver.batch(at).for_each(open);
        }
        let mut opened = 0;
        while opened < OPEN_BYTES && !self.turns.is_empty() {
            opened += self.turns.turn(|arrived, bytes| {
                open(Received {
                    origin: arrived.origin,
                    bytes,
                    segment: arrived.segment,
                });
            });
        }
    }
}

impl<E: Engine> Shared<E> {
    /// Fetches what one speaker sent, or all there is of several.
    pub(super) fn fetch(
        &self,
        crowd: &E::Crowd,
        receiver: &mut Receiver<'_>,
        arrivals: &mut Arrivals,
    ) {
        let Arrivals {
            speakers,
            turns,
            direct,
        } = arrivals;
        let drops = self.engine.drops();
        let mut lost = 0;
        while lost < MOST_LOST && receiver.fetch(drops) {
            let now = Instant::now();
            let whose = |it: &Received<'_>| self.engine.spoken_by(crowd, it.bytes);
            for received in receiver.batch(now) {
                speakers.hear(whose(&received), now);
            }
            if turns.is_empty() && !speakers.are_several(now) {
                *direct = Some(now);
                return;
            }
            for received in receiver.batch(now) {
                let arrived = Arrived {
                    origin: received.origin,
                    segment: received.segment,
                };
                if !turns.keep(whose(&received), received.bytes, arrived) {
                    drops.add(DropReason::Overflow, received.datagrams().count() as u64);
                    lost += 1;
                }
            }
            if !receiver.is_full() {
                return;
            }
        }
    }
}
