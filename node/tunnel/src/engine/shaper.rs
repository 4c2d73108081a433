//! How fast guests are carried: what is above a rate waits for its turn, in a queue with a bound.
//!
//! Sans-IO. Each guest has a pace of its own; all of them share the line's. Guests that wait for
//! the line take turns of equal bytes (deficit round robin: Shreedhar and Varghese 1996), so a
//! guest with much to send waits longer for itself, and not others for it. Without a rate nothing
//! of this is asked.
//!
//! Invariant: the packets of one guest keep their order; what waits is bounded for each guest and
//! for all; no second carries more than the rate and one burst.

mod queue;

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use queue::Queue;

use crate::spec::{GuestId, MAX_GUESTS, Shape};

// Our choice.
/// How much a silent guest, or a thread that woke late, may make up for.
const BURST: Duration = Duration::from_millis(20);
/// What may wait for one guest: so much time of its rate, within these bounds. Less starves a
/// guest far away; more is only delay.
const QUEUE_TIME: Duration = Duration::from_millis(100);
const QUEUE_BYTES: [u64; 2] = [64 << 10, 1 << 20];
/// What may wait in all.
const MOST_HELD: usize = 64 << 20;
/// What one guest sends before it is the next one's turn: two packets of the usual size.
const QUANTUM: usize = 3000;
/// What is given out at once; the rest comes right after what arrived meanwhile.
const GIVE_BYTES: usize = 256 << 10;
/// Paces that are kept. A guest removed while a packet of it was under way leaves one behind.
const MOST_LANES: usize = 2 * MAX_GUESTS;

/// What becomes of a packet that is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offered {
    /// It passes now.
    Pass,
    /// It waits.
    Held,
    /// It is dropped: too much waits already.
    Full,
}

/// What became of a packet whose turn it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Given {
    /// It was carried.
    Carried,
    /// It was dropped: it costs neither its guest nor the others any of their rate.
    Dropped,
    /// There was no room: it goes on waiting.
    NoRoom,
}

/// A rate kept: when the next packet may pass.
#[derive(Debug, Clone, Copy)]
struct Pace {
    bytes_per_sec: NonZeroU64,
    free_at: Instant,
}

impl Pace {
    fn new(bytes_per_sec: NonZeroU64, now: Instant) -> Self {
        Self {
            bytes_per_sec,
            free_at: now,
        }
    }

    fn is_free(&self, now: Instant) -> bool {
        self.free_at <= now
    }

    /// Rounded up: no rounding makes a rate faster.
    fn charge(&mut self, bytes: usize, now: Instant) {
        let nanos = (bytes as u64).saturating_mul(1_000_000_000);
        let time = Duration::from_nanos(nanos.div_ceil(self.bytes_per_sec.get()));
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        self.free_at = self.free_at.max(earliest) + time;
    }
}

/// Whether a pace that may not exist is free.
fn free(pace: Option<&Pace>, now: Instant) -> bool {
    pace.is_none_or(|it| it.is_free(now))
}

/// One guest's pace, and what waits for it.
#[derive(Debug, Default)]
struct Lane {
    pace: Option<Pace>,
    queue: Queue,
    deficit: usize,
}

/// One direction of all guests.
#[derive(Debug)]
pub(crate) struct Shaper {
    shape: Shape,
    line: Option<Pace>,
    lanes: HashMap<GuestId, Lane>,
    /// Guests for whom something waits, in turn; each once.
    ring: VecDeque<GuestId>,
    /// Whose turn was broken off; it goes on with what is left of it.
    turn: Option<GuestId>,
    held: usize,
    delayed: u64,
    dropped: u64,
}

impl Shaper {
    pub(crate) fn new() -> Self {
        Self {
            shape: Shape::default(),
            line: None,
            lanes: HashMap::new(),
            ring: VecDeque::new(),
            turn: None,
            held: 0,
            delayed: 0,
            dropped: 0,
        }
    }

    /// Keeps other rates from now on; what waits goes on waiting.
    pub(crate) fn set_shape(&mut self, shape: Shape, now: Instant) {
        self.shape = shape;
        self.line = shape.line.map(|rate| Pace::new(rate, now));
        for lane in self.lanes.values_mut() {
            lane.pace = shape.guest.map(|rate| Pace::new(rate, now));
        }
    }

    /// Whether nothing waits and no rate is to be kept.
    pub(crate) fn is_idle(&self) -> bool {
        self.shape == Shape::default() && self.ring.is_empty()
    }

    /// Packets that waited, and packets that could not.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.delayed, self.dropped)
    }

    /// Asks for a packet of `guest`; it is kept if it has to wait.
    pub(crate) fn offer(&mut self, guest: GuestId, packet: &[u8], now: Instant) -> Offered {
        if self.lanes.len() >= MOST_LANES {
            let waits = |lane: &Lane| !lane.queue.is_empty() || !free(lane.pace.as_ref(), now);
            self.lanes.retain(|_, lane| waits(lane));
        }
        let pace = self.shape.guest.map(|rate| Pace::new(rate, now));
        let lane = self.lanes.entry(guest).or_insert_with(|| Lane {
            pace,
            ..Lane::default()
        });
        let waits = !lane.queue.is_empty();
        if !waits && free(lane.pace.as_ref(), now) && free(self.line.as_ref(), now) {
            for pace in [&mut lane.pace, &mut self.line].into_iter().flatten() {
                pace.charge(packet.len(), now);
            }
            return Offered::Pass;
        }
        let most = queue_bytes(self.shape);
        if lane.queue.bytes() + packet.len() > most || self.held + packet.len() > MOST_HELD {
            self.dropped += 1;
            return Offered::Full;
        }
        lane.queue.push(packet);
        self.held += packet.len();
        self.delayed += 1;
        if !waits {
            self.ring.push_back(guest);
        }
        Offered::Held
    }

    /// Hands out what may pass now, in turn. `take` says what became of a packet.
    pub(crate) fn give(&mut self, now: Instant, mut take: impl FnMut(GuestId, &[u8]) -> Given) {
        let (mut left, mut blocked) = (GIVE_BYTES, 0);
        while blocked < self.ring.len() && free(self.line.as_ref(), now) {
            let Some(guest) = self.ring.pop_front() else {
                return;
            };
            let Some(lane) = self.lanes.get_mut(&guest) else {
                continue;
            };
            if self.turn.take() != Some(guest) {
                lane.deficit += QUANTUM;
            }
            while let Some(packet) = lane.queue.front()
                && packet.len() <= lane.deficit
                && free(lane.pace.as_ref(), now)
            {
                let len = packet.len();
                let given = if free(self.line.as_ref(), now) && len <= left {
                    take(guest, packet)
                } else {
                    Given::NoRoom
                };
                if given == Given::NoRoom {
                    self.ring.push_front(guest);
                    self.turn = Some(guest);
                    return;
                }
                lane.queue.pop();
                self.held -= len;
                if given == Given::Carried {
                    for pace in [&mut lane.pace, &mut self.line].into_iter().flatten() {
                        pace.charge(len, now);
                    }
                    (lane.deficit, left) = (lane.deficit - len, left - len);
                }
                blocked = 0;
            }
            if lane.queue.is_empty() {
                lane.deficit = 0;
                continue;
            }
            if !free(lane.pace.as_ref(), now) {
                // It waits for itself, and saves no turns up meanwhile.
                lane.deficit = 0;
                blocked += 1;
            }
            self.ring.push_back(guest);
        }
    }

    /// When the next packet that waits may pass. `None` if nothing waits.
    pub(crate) fn next(&self, now: Instant) -> Option<Instant> {
        let line = self.line.map(|it| it.free_at);
        let lane = |guest: &GuestId| self.lanes.get(guest)?.pace.map(|it| it.free_at);
        let first = self.ring.iter().map(lane).min()?;
        // Without a rate (any more) nothing holds it up.
        Some(line.max(first).unwrap_or(now))
    }

    /// Drops what waits for a guest that is gone.
    pub(crate) fn forget(&mut self, guest: GuestId) {
        if let Some(lane) = self.lanes.remove(&guest) {
            self.held -= lane.queue.bytes();
            self.ring.retain(|it| *it != guest);
        }
    }
}

/// How many bytes may wait for one guest.
fn queue_bytes(shape: Shape) -> usize {
    let slowest = [shape.guest, shape.line].into_iter().flatten().min();
    let rate = slowest.map_or(u64::MAX, NonZeroU64::get);
    let millis = u64::try_from(QUEUE_TIME.as_millis()).unwrap_or(u64::MAX);
    let bytes = (rate / 1000).saturating_mul(millis);
    usize::try_from(bytes.clamp(QUEUE_BYTES[0], QUEUE_BYTES[1])).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
