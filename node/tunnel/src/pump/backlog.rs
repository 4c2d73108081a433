//! What was read from the device and is not sealed yet, guest by guest, who take turns.
//!
//! The kernel hands packets of all guests out of one queue, and drops whoever comes when
//! it is full. So as long as several guests speak, what there is is read at once and kept here:
//! each has its own queue, they are sealed in turns of equal bytes, and a guest that fills more
//! than its part of the memory loses its own packets.
//!
//! The kernel's queue is bounded in packets, and a super-packet may be a thousand times a small one. So the
//! same is done where one alone has filled it with large ones: what is above the bound in bytes is lost.
//!
//! Invariant: the packets of one guest keep their order; all memory is there from the start.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use super::Shared;
use crate::device::{ReadPacket, queue_len};
use crate::engine::Engine;
use crate::meter::DropReason;
use crate::spec::{DeviceRung, MOST_MTU};

// Our choice.
/// How long it is read ahead after the guests that spoke last were several.
const SEVERAL: Duration = Duration::from_secs(1);
/// How many reads it holds, how long one may be, and how many bytes it holds in all. Memory is touched
/// only where something lies; a slot that is free again is the next one taken.
const SUPER_ROOM: Room = Room {
    slots: 256,
    slot_len: (1 << 16) + 64,
    bytes: 2 << 20,
};
const PLAIN_ROOM: Room = Room {
    slots: 512,
    slot_len: MOST_MTU as usize + 64,
    bytes: 512 * MOST_MTU as usize,
};
/// Where there are more guests than this, each may have such a part as long as there is room.
const LEAST_PART: usize = 32;
/// This part of the slots is for guests that have nothing waiting.
const NEWCOMERS_PART: usize = 16;
/// Reads that are lost before what is here is sealed: whoever sends too much must not keep us reading.
const MOST_LOST: usize = 32;
/// What one guest has sealed before it is the next one's turn: one super-packet.
const QUANTUM: usize = 60_000;

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    slots: usize,
    slot_len: usize,
    bytes: usize,
}

/// A read that waits in a slot.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    slot: usize,
    read: ReadPacket,
}

impl Waiting {
    const fn len(&self) -> usize {
        self.read.end - self.read.start
    }
}

/// What waits of one guest.
#[derive(Debug, Default)]
struct Queue {
    reads: VecDeque<Waiting>,
    bytes: usize,
}

/// The slots, and whose reads are in them.
#[derive(Debug)]
pub(super) struct Backlog {
    memory: Vec<u8>,
    room: Room,
    free: Vec<usize>,
    bytes: usize,
    queues: HashMap<u32, Queue>,
    /// Who has something waiting, in turn.
    ring: VecDeque<u32>,
}

impl Backlog {
    pub(super) fn new(room: Room) -> Self {
        Self {
            memory: vec![0; room.slots * room.slot_len],
            room,
            free: (0..room.slots).rev().collect(),
            bytes: 0,
            queues: HashMap::new(),
            ring: VecDeque::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Memory for the next read. `None` if every slot is taken.
    pub(super) fn room(&mut self) -> Option<&mut [u8]> {
        let slot = *self.free.last()?;
        let len = self.room.slot_len;
        self.memory.get_mut(slot * len..(slot + 1) * len)
    }

    /// Keeps what was read into the room, for `whose`. Says whether it did: not if that guest has its part of the
    /// bytes or of the slots already. Who has nothing here finds room for one read.
    pub(super) fn keep(&mut self, whose: u32, read: ReadPacket) -> bool {
        let Some(slot) = self.free.last().copied() else {
            return false;
        };
        let waiting = Waiting { slot, read };
        let queue = self.queues.entry(whose).or_default();
        if queue.reads.is_empty() {
            self.ring.push_back(whose);
        } else {
            // As many parts as speakers and one more, so that the next one finds room.
            let parts = self.ring.len() + 1;
            let fits = |held: usize, most: usize| held + waiting.len() <= most;
            let within = |parts: usize| {
                fits(queue.bytes, self.room.bytes / parts)
                    && queue.reads.len() < self.room.slots / parts
            };
            let spare = fits(self.bytes, self.room.bytes) && within(LEAST_PART);
            let left = self.free.len() > self.room.slots / NEWCOMERS_PART;
            if !left || !within(parts) && !spare {
                return false;
            }
        }
        self.free.pop();
        self.bytes += waiting.len();
        queue.bytes += waiting.len();
        queue.reads.push_back(waiting);
        true
    }

    /// Hands out the reads of whose turn it is; says how many bytes.
    pub(super) fn turn(&mut self, mut seal: impl FnMut(&ReadPacket, &mut [u8])) -> usize {
        let mut bytes = 0;
        let Some(whose) = self.ring.pop_front() else {
            return bytes;
        };
        let Some(queue) = self.queues.get_mut(&whose) else {
            return bytes;
        };
        while bytes < QUANTUM
            && let Some(waiting) = queue.reads.pop_front()
        {
            let Waiting { slot, read } = waiting;
            let start = slot * self.room.slot_len;
            seal(
                &read,
                &mut self.memory[start + read.start..start + read.end],
            );
            bytes += waiting.len();
            self.free.push(slot);
        }
        self.bytes -= bytes;
        queue.bytes -= bytes;
        if queue.reads.is_empty() {
            self.queues.remove(&whose);
        } else {
            self.ring.push_back(whose);
        }
        bytes
    }
}

/// Who spoke last, how much was read since the kernel's queue was empty, and until when it is read ahead.
#[derive(Debug, Default)]
pub(super) struct Speakers {
    last: Option<u32>,
    reads: usize,
    bytes: usize,
    deep: bool,
    until: Option<Instant>,
    backlog: Option<Backlog>,
}

impl Speakers {
    /// Somebody speaks.
    pub(super) fn hear(&mut self, whose: u32) {
        if self.last.replace(whose).is_some_and(|it| it != whose) {
            self.until = Some(Instant::now() + SEVERAL);
        }
    }

    /// So much was read from the kernel's queue, and it was `emptied` or not. Its bytes cannot be asked for, but
    /// after so many reads what it holds now has come meanwhile: about as much again.
    pub(super) fn drained(&mut self, rung: DeviceRung, reads: usize, bytes: usize, emptied: bool) {
        self.reads += reads;
        self.bytes += bytes;
        if self.bytes > SUPER_ROOM.bytes && !emptied && rung != DeviceRung::Plain {
            self.deep = true;
        } else if !emptied && self.reads < queue_len(rung) as usize {
            return;
        }
        (self.reads, self.bytes) = (0, 0);
    }

    /// The backlog, as long as there are several speakers, the kernel's queue is deep, or something is in it.
    pub(super) fn backlog(&mut self, rung: DeviceRung) -> Option<&mut Backlog> {
        let empty = self.backlog.as_ref().is_none_or(Backlog::is_empty);
        if empty && !self.deep && self.until.is_none_or(|until| Instant::now() >= until) {
            self.until = None;
            return None;
        }
        let room = match rung {
            DeviceRung::TcpUdp | DeviceRung::Tcp => SUPER_ROOM,
            DeviceRung::Plain => PLAIN_ROOM,
        };
        Some(self.backlog.get_or_insert_with(|| Backlog::new(room)))
    }
}

impl<E: Engine> Shared<E> {
    /// Reads what there is into the backlog.
    pub(super) fn read_ahead(&self, crowd: &E::Crowd, speakers: &mut Speakers) -> io::Result<()> {
        let Speakers {
            last,
            deep,
            until,
            backlog,
            ..
        } = speakers;
        let Some(backlog) = backlog else {
            return Ok(());
        };
        *deep = false;
        // A guest that sends faster than it is read must not keep us reading.
        let mut lost = 0;
        for _ in 0..backlog.room.slots {
            let Some(room) = backlog.room() else { break };
            match self.device.read(room, 0) {
                Ok(Some(read)) => {
                    let whose = self.engine.whose(crowd, &room[read.start..read.end]);
                    if last.replace(whose).is_some_and(|it| it != whose) {
                        *until = Some(Instant::now() + SEVERAL);
                    }
                    if !backlog.keep(whose, read) {
                        self.engine.drops().count(DropReason::Overflow);
                        lost += 1;
                        if lost == MOST_LOST {
                            break;
                        }
                    }
                }
                Ok(None) => break,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    self.engine.drops().count(DropReason::Malformed);
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
    use crate::offload::vnet::VnetHeader;

    fn keep(backlog: &mut Backlog, whose: u32, mark: u8, len: usize) -> bool {
        let Some(room) = backlog.room() else {
            return false;
        };
        room[..len].fill(mark);
        let read = ReadPacket {
            header: VnetHeader::PLAIN,
            start: 0,
            end: len,
        };
        backlog.keep(whose, read)
    }

    fn turn(backlog: &mut Backlog) -> Vec<(u8, usize)> {
        let mut sealed = Vec::new();
        backlog.turn(|_, packet| sealed.push((packet[0], packet.len())));
        sealed
    }

    fn backlog(slots: usize, slot_len: usize, bytes: usize) -> Backlog {
        Backlog::new(Room {
            slots,
            slot_len,
            bytes,
        })
    }

    #[test]
    fn a_guest_with_little_waits_for_one_turn_of_another() {
        let mut backlog = backlog(32, 65_000, 32 * 65_000);
        (0..20).for_each(|at| {
            keep(&mut backlog, 1, at, 64_000);
        });
        assert!(keep(&mut backlog, 2, 99, 84));
        assert_eq!(turn(&mut backlog), [(0, 64_000)]);
        assert_eq!(turn(&mut backlog), [(99, 84)]);
        assert_eq!(turn(&mut backlog), [(1, 64_000)]);
    }

    #[test]
    fn small_packets_of_a_turn_go_together_and_in_order() {
        let mut backlog = backlog(512, 2000, 512 * 1500);
        for at in 0..100 {
            assert!(keep(&mut backlog, 1, at, 1400));
        }
        let first = turn(&mut backlog);
        assert_eq!(first.len(), 43);
        let marks: Vec<u8> = first.iter().map(|it| it.0).collect();
        assert!(marks.is_sorted());
        assert_eq!(turn(&mut backlog)[0].0, 43);
    }

    #[test]
    fn whoever_fills_its_part_loses_its_own_and_others_find_room() {
        let mut backlog = backlog(100, 100, 3000);
        let mut kept = |whose| {
            (0..100)
                .filter(|_| keep(&mut backlog, whose, 1, 50))
                .count()
        };
        assert_eq!(kept(1), 30, "half of it, as long as nobody else speaks");
        assert_eq!(kept(2), 20);
        assert_eq!(kept(3), 15);
        while !backlog.is_empty() {
            turn(&mut backlog);
        }
        assert_eq!((backlog.free.len(), backlog.queues.len()), (100, 0));
        assert_eq!(backlog.bytes, 0);
    }

    #[test]
    fn whoever_fills_the_slots_with_small_packets_leaves_some() {
        for room in [SUPER_ROOM, PLAIN_ROOM] {
            let mut backlog = Backlog::new(room);
            let kept = (0..room.slots).filter(|_| keep(&mut backlog, 1, 1, 1420));
            assert_eq!(kept.count(), room.slots / 2);
            let kept = (0..room.slots).filter(|_| keep(&mut backlog, 2, 1, 84));
            assert_eq!(kept.count(), room.slots / 3);
            for whose in 3..10 {
                assert!(keep(&mut backlog, whose, 1, 84), "guest {whose}");
            }
        }
    }

    #[test]
    fn a_queue_is_deep_once_so_many_bytes_came_without_an_end() {
        let mut speakers = Speakers::default();
        let large = DeviceRung::TcpUdp;
        let deep = |speakers: &mut Speakers| speakers.backlog(large).is_some();
        // Small packets are bounded by their number.
        (0..1000).for_each(|_| speakers.drained(large, 16, 16 * 100, false));
        assert!(!deep(&mut speakers));
        // Large ones that keep up are not many at once.
        (0..1000).for_each(|at| speakers.drained(large, 1, 64_000, at % 8 == 7));
        assert!(!deep(&mut speakers));
        (0..33).for_each(|_| speakers.drained(large, 1, 64_000, false));
        assert!(deep(&mut speakers));
        let plain = DeviceRung::Plain;
        let mut speakers = Speakers::default();
        (0..10_000).for_each(|_| speakers.drained(plain, 64, 60_000, false));
        assert!(speakers.backlog(plain).is_none());
    }

    #[test]
    fn of_a_hundred_guests_each_finds_room_for_more_than_one_read() {
        let mut backlog = backlog(256, 70_000, 2 << 20);
        for read in 0..2 {
            for whose in 0..100 {
                assert!(
                    keep(&mut backlog, whose, 1, 9_000),
                    "guest {whose}, read {read}"
                );
            }
        }
        // Whoever speaks first has not taken the others' room.
        let kept = (0..300).filter(|_| keep(&mut backlog, 0, 1, 60_000));
        assert!(kept.count() < 5);
        assert!(keep(&mut backlog, 100, 1, 60_000));
    }
}
