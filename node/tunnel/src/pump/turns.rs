//! What waits to be sealed or opened, guest by guest, who take turns.
//!
//! The kernel hands packets of all guests out of one queue, and drops whoever comes when it is full. Here each has
//! its own: they are handed out in turns of equal bytes, and a guest that fills more than its part loses its own
//! packets.
//!
//! Invariants: the packets of one guest keep their order; no more than [`MOST`] bytes wait.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::time::{Duration, Instant};

// Our choice.
/// How long guests that spoke are said to be several after each other's last word.
const SEVERAL: Duration = Duration::from_secs(1);
/// Bytes that few guests share.
pub(super) const SHARED: usize = 2 << 20;
/// Bytes each may have, however many they are, as long as all find room: some milliseconds at its part of a fast
/// line, so that TCP neither stops nor shrinks to small super-packets.
const LEAST_PART: usize = 80_000;
/// Bytes in all.
pub(super) const MOST: usize = 8 << 20;
/// Of those, for guests that have nothing waiting.
const NEWCOMERS: usize = MOST / 16;
/// What is known of a packet counts as so many bytes.
const PLACE: usize = 128;
/// What one guest hands out before it is the next one's turn: one super-packet.
const QUANTUM: usize = 60_000;
/// Packets that are lost before what waits is handed out: whoever sends too much must not keep us reading.
pub(super) const MOST_LOST: usize = 32;

/// What waits of one guest.
#[derive(Debug)]
struct Queue<R> {
    /// How long each is, and what else is known of it.
    reads: VecDeque<(usize, R)>,
    /// Their bytes, back to back.
    memory: Vec<u8>,
    /// Where in `memory` the first begins.
    begin: usize,
    /// What they count as.
    weight: usize,
}

impl<R> Queue<R> {
    fn new() -> Self {
        Self {
            reads: VecDeque::new(),
            memory: Vec::new(),
            begin: 0,
            weight: 0,
        }
    }

    fn push(&mut self, bytes: &[u8], read: R) {
        if self.begin > self.memory.len() / 2 {
            self.memory.drain(..self.begin);
            self.begin = 0;
        }
        self.memory.extend_from_slice(bytes);
        self.reads.push_back((bytes.len(), read));
        self.weight += bytes.len() + PLACE;
    }

    fn pop(&mut self) -> Option<(R, &mut [u8])> {
        let (len, read) = self.reads.pop_front()?;
        let begin = self.begin;
        self.begin += len;
        self.weight -= len + PLACE;
        Some((read, &mut self.memory[begin..begin + len]))
    }

    /// Bytes it holds on to, full or empty.
    fn capacity(&self) -> usize {
        self.memory.capacity() + self.reads.capacity() * size_of::<(usize, R)>()
    }

    fn empty(mut self) -> Self {
        self.memory.clear();
        self.begin = 0;
        self
    }
}

/// Whose packets wait, and in what order they are handed out. `R` is what is known of a packet beside its bytes.
#[derive(Debug)]
pub(super) struct Turns<R> {
    queues: HashMap<u32, Queue<R>>,
    /// Who has something waiting, in turn.
    ring: VecDeque<u32>,
    weight: usize,
    /// Queues of nobody, whose memory is used again, and how much of it there is.
    spare: Vec<Queue<R>>,
    spare_bytes: usize,
}

impl<R> Default for Turns<R> {
    fn default() -> Self {
        Self {
            queues: HashMap::new(),
            ring: VecDeque::new(),
            weight: 0,
            spare: Vec::new(),
            spare_bytes: 0,
        }
    }
}

impl<R> Turns<R> {
    pub(super) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Keeps a packet of `whose`. Says whether it did: not if that guest has its part already. Who has nothing here
    /// finds room for one.
    pub(super) fn keep(&mut self, whose: u32, bytes: &[u8], read: R) -> bool {
        // As many parts as speakers and one more, so that the next one finds room.
        let parts = self.queues.len() + 1;
        let part = (SHARED / parts).max(LEAST_PART.min(MOST / parts));
        let weight = bytes.len() + PLACE;
        let queue = match self.queues.entry(whose) {
            Entry::Occupied(queue) => {
                let over = self.weight + weight > MOST - NEWCOMERS;
                if over || queue.get().weight + weight > part {
                    return false;
                }
                queue.into_mut()
            }
            Entry::Vacant(_) if self.weight + weight > MOST => return false,
            Entry::Vacant(place) => {
                self.ring.push_back(whose);
                let spare = self.spare.pop();
                self.spare_bytes -= spare.as_ref().map_or(0, Queue::capacity);
                place.insert(spare.unwrap_or_else(Queue::new))
            }
        };
        queue.push(bytes, read);
        self.weight += weight;
        true
    }

    /// Hands out packets of whose turn it is; says how many bytes.
    pub(super) fn turn(&mut self, mut hand_out: impl FnMut(&R, &mut [u8])) -> usize {
        let mut bytes = 0;
        let Some(whose) = self.ring.pop_front() else {
            return bytes;
        };
        let Entry::Occupied(mut queue) = self.queues.entry(whose) else {
            return bytes;
        };
        let before = queue.get().weight;
        while bytes < QUANTUM
            && let Some((read, packet)) = queue.get_mut().pop()
        {
            hand_out(&read, packet);
            bytes += packet.len();
        }
        self.weight -= before - queue.get().weight;
        if queue.get().reads.is_empty() {
            let empty = queue.remove().empty();
            self.spare(empty);
        } else {
            self.ring.push_back(whose);
        }
        bytes
    }

    /// Keeps a queue's memory for the next guest, unless there is enough.
    fn spare(&mut self, queue: Queue<R>) {
        let more = queue.capacity();
        if self.spare_bytes + more <= MOST {
            self.spare_bytes += more;
            self.spare.push(queue);
        }
    }
}

/// Whether several guests speak.
#[derive(Debug, Default)]
pub(super) struct Speakers {
    last: Option<u32>,
    until: Option<Instant>,
}

impl Speakers {
    /// Somebody speaks.
    pub(super) fn hear(&mut self, whose: u32, now: Instant) {
        if self.last.replace(whose).is_some_and(|it| it != whose) {
            self.until = Some(now + SEVERAL);
        }
    }

    /// Whether there was more than one a moment ago.
    pub(super) fn are_several(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(turns: &mut Turns<u8>, whose: u32, mark: u8, len: usize) -> bool {
        turns.keep(whose, &vec![mark; len], mark)
    }

    fn turn(turns: &mut Turns<u8>) -> Vec<(u8, usize)> {
        let mut handed_out = Vec::new();
        turns.turn(|mark, packet| {
            assert!(packet.iter().all(|it| it == mark));
            handed_out.push((*mark, packet.len()));
        });
        handed_out
    }

    /// How many of so many the turns keep.
    fn kept(turns: &mut Turns<u8>, whose: u32, len: usize, offered: usize) -> usize {
        (0..offered).filter(|_| keep(turns, whose, 1, len)).count()
    }

    #[test]
    fn a_guest_with_little_waits_for_one_turn_of_another() {
        let mut turns = Turns::default();
        (0..10).for_each(|at| {
            assert!(keep(&mut turns, 1, at, 64_000));
        });
        assert!(keep(&mut turns, 2, 99, 84));
        assert_eq!(turn(&mut turns), [(0, 64_000)]);
        assert_eq!(turn(&mut turns), [(99, 84)]);
        assert_eq!(turn(&mut turns), [(1, 64_000)]);
    }

    #[test]
    fn small_packets_of_a_turn_go_together_and_in_order_while_others_come() {
        let mut turns = Turns::default();
        let mut came = Vec::new();
        for at in 0..200 {
            assert!(keep(&mut turns, 1, at, 1400));
            if at % 50 == 49 {
                let handed_out = turn(&mut turns);
                assert_eq!(handed_out.len(), 43);
                came.extend(handed_out);
            }
        }
        while !turns.is_empty() {
            came.extend(turn(&mut turns));
        }
        let marks: Vec<u8> = came.iter().map(|it| it.0).collect();
        assert_eq!(marks, (0..200).collect::<Vec<_>>());
        assert_eq!(
            (turns.weight, turns.queues.len(), turns.spare.len()),
            (0, 0, 1)
        );
    }

    #[test]
    fn whoever_fills_its_part_loses_its_own_and_others_find_room() {
        for len in [64, 1420, 9000] {
            let mut turns = Turns::default();
            let each = len + PLACE;
            let mut kept = |whose| kept(&mut turns, whose, len, SHARED / each);
            let within = |part: usize| part / each;
            assert_eq!(
                kept(1),
                within(SHARED / 2),
                "half of it, as long as nobody else speaks"
            );
            assert!(kept(2).abs_diff(within(SHARED / 3)) <= 1);
            assert!(kept(3).abs_diff(within(SHARED / 4)) <= 1);
        }
    }

    #[test]
    fn of_a_hundred_guests_each_has_as_much() {
        let mut turns = Turns::default();
        for _ in 0..8 {
            for whose in 0..100 {
                assert!(keep(&mut turns, whose, 1, 9_000), "guest {whose}");
            }
        }
        assert!((0..100).all(|whose| !keep(&mut turns, whose, 1, 9_000)));
    }

    #[test]
    fn what_waits_of_very_many_is_bounded_and_a_newcomer_finds_room() {
        let mut turns = Turns::default();
        for whose in 0..1000 {
            kept(&mut turns, whose, 60_000, 3);
        }
        assert!(turns.weight <= MOST);
        // Whoever has nothing waiting finds a place soon, and not only once all others are done.
        turn(&mut turns);
        assert!(keep(&mut turns, 1000, 1, 1420));
        let mut bytes = 0;
        while !turns.is_empty() {
            bytes += turn(&mut turns).iter().map(|it| it.1).sum::<usize>();
        }
        assert!(bytes <= MOST && turns.weight == 0);
        let spare: usize = turns.spare.iter().map(Queue::capacity).sum();
        assert!(spare <= MOST, "{spare} bytes for nobody");
        assert_eq!(spare, turns.spare_bytes);
    }
}
