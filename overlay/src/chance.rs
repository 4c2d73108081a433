//! Orders that nobody outside can foresee, so that no choice among strangers falls on those who chose their ids for it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};

/// In an order drawn anew each time.
pub(crate) fn shuffled<T: Hash>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let (mut all, draw): (Vec<T>, _) = (all.into_iter().collect(), RandomState::new());
    all.sort_by_cached_key(|it| draw.hash_one(it));
    all
}

/// An id that nobody has, to begin at.
pub(crate) fn somewhere() -> [u8; 32] {
    let mut bytes = [0; 32];
    let draw = RandomState::new().hash_one(0_u8).to_be_bytes();
    bytes[..draw.len()].copy_from_slice(&draw);
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn any_of_many_may_be_the_first() {
        let firsts: BTreeSet<u8> = (0..100).map(|_| shuffled(0..20)[0]).collect();
        assert!(firsts.len() > 1, "{firsts:?}");
        let starts: BTreeSet<_> = (0..100).map(|_| somewhere()).collect();
        assert!(starts.len() > 1);
    }
}
