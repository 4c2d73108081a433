//! Looking for exits in the DHT without trusting one hot key.
//!
//! Sans-IO.
//!
//! An exit announces itself in the bucket of every level from the root down to
//! [`announce_level`]. A [`Search`] asks the root first, and goes down into both halves of a bucket
//! only where the answer was as full as an answer gets: a short list is the whole list. With few
//! exits that is one question; with thousands it is bounded by [`MAX_QUESTIONS`].

use std::collections::{BTreeSet, VecDeque};

use warren_proto::NodeId;

use crate::names::{Bucket, MAX_BUCKET_LEVEL};

// Our choice.
/// A list this long may have been cut. Measured: holders give back 2 to 9 of 60 on one key.
pub const FULL_ANSWER: usize = 6;
/// How many exits a bucket at the deepest announced level should hold.
const BUCKET_TARGET: usize = 6;
/// How many buckets one search asks.
pub const MAX_QUESTIONS: usize = 24;
/// How many exits one search returns.
pub const MAX_FOUND: usize = 256;

/// How deep an exit announces itself where about `population` exits are known.
#[must_use]
pub fn announce_level(population: usize) -> u8 {
    (0..MAX_BUCKET_LEVEL)
        .find(|level| population >> level <= BUCKET_TARGET)
        .unwrap_or(MAX_BUCKET_LEVEL)
}

/// A search on its way down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    ahead: VecDeque<Bucket>,
    asked: usize,
    found: BTreeSet<NodeId>,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            ahead: VecDeque::from([Bucket::ROOT]),
            asked: 0,
            found: BTreeSet::new(),
        }
    }
}

impl Search {
    /// The next bucket to ask. `None` when there is none for now.
    pub fn next_bucket(&mut self) -> Option<Bucket> {
        if self.asked >= MAX_QUESTIONS || self.found.len() >= MAX_FOUND {
            return None;
        }
        let bucket = self.ahead.pop_front()?;
        self.asked += 1;
        Some(bucket)
    }

    /// Takes the answer for a bucket, in an order that nobody could foresee: what finds no room is the last of
    /// it. Returns the exits that are new.
    pub fn answered(&mut self, bucket: Bucket, exits: &[NodeId]) -> Vec<NodeId> {
        if exits.len() >= FULL_ANSWER {
            self.ahead.extend(bucket.halves().into_iter().flatten());
        }
        let room = MAX_FOUND.saturating_sub(self.found.len());
        let mut fresh = Vec::new();
        for exit in exits {
            if fresh.len() < room && self.found.insert(*exit) {
                fresh.push(*exit);
            }
        }
        fresh
    }

    /// Everything found so far.
    #[must_use]
    pub const fn found(&self) -> &BTreeSet<NodeId> {
        &self.found
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn node(n: u32) -> NodeId {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        NodeId::from_bytes(bytes)
    }

    /// Every exit announces itself; every answer is cut to `cut` exits, the lowest ids.
    fn run(population: u32, cut: usize) -> (usize, usize) {
        let mut world: BTreeMap<Bucket, BTreeSet<NodeId>> = BTreeMap::new();
        for exit in (0..population).map(node) {
            for level in 0..=announce_level(population as usize) {
                world
                    .entry(Bucket::of(&exit, level))
                    .or_default()
                    .insert(exit);
            }
        }
        let (mut search, mut questions) = (Search::default(), 0);
        while let Some(bucket) = search.next_bucket() {
            questions += 1;
            let held = world.get(&bucket).cloned().unwrap_or_default();
            let held: Vec<_> = held.into_iter().take(cut).collect();
            search.answered(bucket, &held);
        }
        (search.found().len(), questions)
    }

    #[test]
    fn a_few_exits_take_one_question() {
        assert_eq!(run(3, 9), (3, 1));
    }

    #[test]
    fn sixty_exits_under_cut_answers_are_nearly_all_found() {
        let (found, questions) = run(60, 9);
        assert!(found >= 50, "found {found} of 60 in {questions} questions");
        assert!(questions <= MAX_QUESTIONS);
    }

    proptest! {
        #[test]
        fn a_search_ends_and_stays_bounded(population in 0u32..2000, cut in 0usize..40) {
            let (found, questions) = run(population, cut);
            prop_assert!(questions <= MAX_QUESTIONS && found <= MAX_FOUND);
            prop_assert!(found <= population as usize);
        }
    }
}
