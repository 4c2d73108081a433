//! Which new locks are what is left of old ones: anchored at a known word, all else alike.
//!
//! Sans-IO. A payer may sign such a voucher as often as it likes, good or not, so what it costs to judge one
//! is bounded: each old lane's words are walked once, 16 times 1024 hashes at most.

use warren_proto::{Amount, Lock, Preimage};

use super::Lane;

/// A lock that is the rest of a lane.
pub(in crate::channel) struct Rest {
    /// Place of the lock.
    pub(in crate::channel) lock: usize,
    /// Place of the lane.
    pub(in crate::channel) of: usize,
    /// The lock's lane. Words beyond its anchor stay known.
    pub(in crate::channel) lane: Lane,
}

/// Every lock that is the rest of a lane, by lock and then by lane.
pub(in crate::channel) fn rests(lanes: &[Lane], locks: &[Lock]) -> Vec<Rest> {
    let mut found: Vec<_> = (0..)
        .zip(lanes)
        .flat_map(|(of, it)| walk(it, of, locks))
        .collect();
    found.sort_by_key(|it| (it.lock, it.of));
    found
}

/// No rest is worth more than the words that it would leave to `lock`.
pub(super) fn most(lanes: &[Lane], lock: &Lock) -> Amount {
    let left = lanes.iter().filter_map(|it| left(it, lock)).max();
    let most = lock.unit_price.checked_mul(u64::from(left.unwrap_or(0)));
    most.unwrap_or(Amount::MAX)
}

fn walk(old: &Lane, of: usize, locks: &[Lock]) -> Vec<Rest> {
    let may = |(at, it): (usize, &Lock)| left(old, it).map(|known| (known, at));
    let mut wanted: Vec<_> = locks.iter().enumerate().filter_map(may).collect();
    wanted.sort_unstable();
    let (mut word, mut at_word, mut found) = (old.word.clone(), 0, Vec::new());
    for (known, at) in wanted {
        word = hashed(&word, known.saturating_sub(at_word));
        at_word = known;
        let lock = locks
            .get(at)
            .filter(|it| it.anchor.as_bytes() == word.expose());
        found.extend(lock.map(|lock| Rest {
            lock: at,
            of,
            lane: old.cut(lock, known),
        }));
    }
    found
}

/// Words known beyond the anchor of `lock`, if it is the rest of `old`.
fn left(old: &Lane, lock: &Lock) -> Option<u32> {
    let gone = old.lock.units.checked_sub(lock.units)?;
    let alike = lock.unit_price == old.lock.unit_price && lock.expiry == old.lock.expiry;
    old.known.checked_sub(gone).filter(|_| alike && gone > 0)
}

impl Lane {
    fn cut(&self, lock: &Lock, known: u32) -> Self {
        let gone = self.known.saturating_sub(known);
        Self {
            lock: *lock,
            known,
            word: self.word.clone(),
            payment: self.payment,
            folded: self.folded.saturating_add(gone),
        }
    }
}

fn hashed(word: &Preimage, steps: u32) -> Preimage {
    #[cfg(test)]
    HASHES.with(|it| it.set(it.get().saturating_add(steps)));
    word.advance(steps)
}

#[cfg(test)]
thread_local! {
    /// Hashes that this thread has done here.
    pub(super) static HASHES: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}
