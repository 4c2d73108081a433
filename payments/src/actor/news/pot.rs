//! What went into and out of this node's pot, each event once, whatever happens to its block.
//!
//! Sans-IO. An event's name is its block's hash and its place in it: the same name heard again is
//! the same event, and one that is gone from the history that is heard now never happened.
//!
//! Invariant: the ledger's postings of the pot are those of the events in [`PotBook`], or of blocks
//! so deep below the cursor that no reorganisation is followed there.

use std::collections::BTreeMap;

use warren_proto::{Amount, TxHash};

use crate::chain::BlockHash;
use crate::codec::{CodecError, Reader, Writer};
use crate::ledger::Posting;

const VERSION: u8 = 1;
/// Events remembered at most; each cost this node's account gas, within the blocks of a rewind.
const MAX_EVENTS: usize = 4096;

/// Where an event stands: block, the block's hash, place in the block.
pub(in crate::actor) type EventName = (u64, BlockHash, u64);

/// One movement of the pot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::actor) struct PotEvent {
    pub(in crate::actor) name: EventName,
    pub(in crate::actor) way: Way,
    pub(in crate::actor) amount: Amount,
    pub(in crate::actor) tx: TxHash,
}

/// Into the pot or out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::actor) enum Way {
    In,
    Out,
}

impl PotEvent {
    fn posting(&self) -> Posting {
        match self.way {
            Way::In => Posting::stored(self.amount).by(self.tx),
            Way::Out => Posting::withdrawn(self.amount).by(self.tx),
        }
    }

    /// What takes it back.
    fn undone(&self) -> Posting {
        match self.way {
            Way::In => Posting::withdrawn(self.amount).by(self.tx),
            Way::Out => Posting::stored(self.amount).by(self.tx),
        }
    }
}

/// The events in the ledger that a reorganisation could still undo.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::actor) struct PotBook(BTreeMap<EventName, PotEvent>);

impl PotBook {
    /// Takes what was heard in the blocks `range`, all of it; what to post for it.
    ///
    /// Forgets what lies below `floor`.
    pub(in crate::actor) fn hear(
        &self,
        events: &[PotEvent],
        (from, to): (u64, u64),
        floor: u64,
    ) -> (Self, Vec<Posting>) {
        let mut next = self.0.clone();
        let mut postings = Vec::new();
        let is_heard = |name: &EventName| events.iter().any(|it| it.name == *name);
        for (name, event) in &self.0 {
            if (from..=to).contains(&name.0) && !is_heard(name) {
                postings.push(event.undone());
                next.remove(name);
            }
        }
        for event in events {
            if next.insert(event.name, *event).is_none() {
                postings.push(event.posting());
            }
        }
        next.retain(|name, _| name.0 >= floor);
        while next.len() > MAX_EVENTS {
            next.pop_first();
        }
        (Self(next), postings)
    }

    pub(in crate::actor) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION);
        let events: Vec<&PotEvent> = self.0.values().collect();
        out.list(&events, |out, it| {
            let (block, hash, index) = &it.name;
            out.u64(*block).bytes(hash.as_bytes()).u64(*index);
            out.u8(u8::from(it.way == Way::Out)).amount(it.amount);
            out.bytes(it.tx.as_bytes());
        });
        out.finish()
    }

    pub(in crate::actor) fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut read = Reader::new(bytes, VERSION)?;
        let mut events = BTreeMap::new();
        for _ in 0..read.u32()? {
            let name = (
                read.u64()?,
                BlockHash::from_bytes(read.array()?),
                read.u64()?,
            );
            let way = match read.u8()? {
                0 => Way::In,
                1 => Way::Out,
                _ => return Err(CodecError::Range { field: "way" }),
            };
            let event = PotEvent {
                name,
                way,
                amount: read.amount()?,
                tx: TxHash::from_bytes(read.array()?),
            };
            events.insert(name, event);
        }
        read.finish()?;
        Ok(Self(events))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(block: u64, fork: u8, way: Way, amount: u64) -> PotEvent {
        PotEvent {
            name: (block, BlockHash::from_bytes([fork; 32]), 3),
            way,
            amount: Amount::from_wei_u64(amount),
            tx: TxHash::from_bytes([9; 32]),
        }
    }

    #[test]
    fn an_event_heard_again_is_posted_once() {
        let stored = event(10, 1, Way::In, 70);
        let (book, first) = PotBook::default().hear(&[stored], (1, 20), 0);
        assert_eq!(first, [stored.posting()]);
        let (again, second) = book.hear(&[stored], (1, 20), 0);
        assert_eq!((again, second), (book, vec![]));
    }

    #[test]
    fn an_event_that_is_gone_is_taken_back_and_its_twin_in_the_new_block_counts() {
        let (old, new) = (event(10, 1, Way::In, 70), event(11, 2, Way::In, 70));
        let (book, _) = PotBook::default().hear(&[old], (1, 20), 0);
        let (book, postings) = book.hear(&[new], (5, 25), 0);
        assert_eq!(postings, [old.undone(), new.posting()]);
        let (_, postings) = book.hear(&[], (5, 25), 0);
        assert_eq!(postings, [new.undone()]);
    }

    #[test]
    fn what_was_not_listened_to_is_not_taken_back() {
        let deep = event(10, 1, Way::Out, 70);
        let (book, _) = PotBook::default().hear(&[deep], (1, 20), 0);
        let (book, postings) = book.hear(&[], (21, 30), 0);
        assert_eq!(postings, []);
        let (book, postings) = book.hear(&[], (31, 40), 11);
        assert_eq!((book, postings), (PotBook::default(), vec![]));
    }

    #[test]
    fn the_book_survives_the_disk() {
        let events = [event(10, 1, Way::In, 70), event(12, 1, Way::Out, 5)];
        let (book, _) = PotBook::default().hear(&events, (1, 20), 0);
        let bytes = book.encode();
        assert_eq!(PotBook::decode(&bytes), Ok(book));
        for end in 0..bytes.len() {
            assert!(PotBook::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
    }
}
