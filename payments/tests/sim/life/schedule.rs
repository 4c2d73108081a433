//! A schedule: what happens, four bytes an action, so that a seed or a fuzzer can write it.
//!
//! The world draws nothing by itself, so an action dropped from a failing schedule leaves the
//! others what they were, and shrinking is dropping.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

/// Bytes of one action.
const BYTES: usize = 4;
/// Actions of the shortest and of the longest schedule that a seed gives.
const SHORTEST: u64 = 40;
const LONGEST: u64 = 160;

/// What kind of thing happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A frame arrives.
    Deliver,
    /// A frame is lost.
    Drop,
    /// A frame arrives and will once more.
    Duplicate,
    /// A frame arrives before others.
    Reorder,
    /// The session goes on: begins, serves, pays, resumes, ends.
    Work,
    /// Time passes and blocks are made.
    Mine,
    /// A party's node shows an older chain for a while.
    Lag,
    /// Blocks are replaced.
    Reorg,
    /// A party's node fails to answer, or its answer is lost.
    Rpc,
    /// The pool forgets a transaction.
    Forget,
    /// Gas becomes dear for a while.
    Spike,
    /// A party's clock goes wrong.
    Skew,
    /// A party's process ends, now or in the middle of what it does next.
    Crash,
    /// A party's disk takes its time.
    Slow,
    /// Money moves on chain: claim, top-up, one of the ways to close.
    Settle,
    /// A party says what is not so.
    Forge,
    /// One of a party's endpoints begins to lie or to lag, or all of them are honest again.
    Lie,
}

/// In percent: research of the fault mix of payment channels, with the tower's share given to forgery, and of
/// those of slow nodes a part to lying ones.
pub(crate) const WEIGHTS: [(Kind, u32); 17] = [
    (Kind::Deliver, 40),
    (Kind::Drop, 5),
    (Kind::Duplicate, 5),
    (Kind::Reorder, 5),
    (Kind::Work, 15),
    (Kind::Mine, 8),
    (Kind::Lag, 3),
    (Kind::Reorg, 3),
    (Kind::Rpc, 2),
    (Kind::Forget, 2),
    (Kind::Spike, 1),
    (Kind::Skew, 1),
    (Kind::Crash, 3),
    (Kind::Slow, 2),
    (Kind::Settle, 2),
    (Kind::Forge, 1),
    (Kind::Lie, 2),
];

/// One thing that happens, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Action {
    pub(crate) kind: Kind,
    pub(crate) a: u8,
    pub(crate) b: u8,
    pub(crate) c: u8,
}

/// Everything that happens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Schedule(pub(crate) Vec<Action>);

impl Schedule {
    pub(crate) fn from_seed(seed: u64) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let actions = SHORTEST + dice.next_u64() % (LONGEST - SHORTEST);
        let mut bytes = vec![0; usize::try_from(actions).unwrap() * BYTES];
        dice.fill_bytes(&mut bytes);
        Self::from_bytes(&bytes)
    }

    /// The first byte of four says what, the others how; what is left over is nothing.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let actions = bytes.chunks_exact(BYTES).map(|it| Action {
            kind: kind(it[0]),
            a: it[1],
            b: it[2],
            c: it[3],
        });
        Self(actions.collect())
    }

    /// The same failure in fewer actions: pieces are dropped, large ones first, while it still fails.
    pub(crate) fn shrunk(&self, fails: &mut dyn FnMut(&Self) -> bool) -> Self {
        let mut best = self.clone();
        let mut piece = best.0.len().div_ceil(2);
        while piece > 0 {
            let mut at = 0;
            while at < best.0.len() {
                let mut less = best.clone();
                less.0.drain(at..(at + piece).min(best.0.len()));
                if fails(&less) {
                    best = less;
                } else {
                    at += piece;
                }
            }
            piece /= 2;
        }
        best
    }
}

pub(crate) fn kind(byte: u8) -> Kind {
    let mut place = u32::from(byte) * 100 / 256;
    for (kind, weight) in WEIGHTS {
        if place < weight {
            return kind;
        }
        place -= weight;
    }
    Kind::Deliver
}
