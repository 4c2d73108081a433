//! What lies between two nodes: a delay of its own for each pair, jitter, loss, and a rate.

use std::time::Duration;

use rand::{Rng, RngCore};
use rand_chacha::ChaCha12Rng;
use sha2::{Digest as _, Sha256};

use crate::scenario::Links;

/// Every link of a world. A pair's delay follows from the seed, not from the order of asking.
#[derive(Debug)]
pub(crate) struct LinkModel {
    spec: Links,
    seed: u64,
    dice: ChaCha12Rng,
}

impl LinkModel {
    pub(crate) const fn new(spec: Links, seed: u64, dice: ChaCha12Rng) -> Self {
        Self { spec, seed, dice }
    }

    /// One message's way from `a` to `b`; `None` if it is lost.
    pub(crate) fn datagram(&mut self, a: usize, b: usize) -> Option<Duration> {
        let lost = self.dice.random_range(0..1000) < self.spec.loss_permille;
        (!lost).then(|| self.delay(a, b))
    }

    /// One frame's way on a reliable stream: a loss costs one more round trip.
    pub(crate) fn frame(&mut self, a: usize, b: usize) -> Duration {
        let mut way = self.delay(a, b);
        while self.dice.random_range(0..1000) < self.spec.loss_permille {
            way = way.saturating_add(self.base(a, b).saturating_mul(2));
        }
        way
    }

    /// The least of `a`'s rate and a part of `b`'s, of so many who share it, bytes per millisecond.
    pub(crate) fn bytes_per_milli(&self, a: usize, (b, sharers): (usize, usize)) -> u64 {
        let sharers = u64::try_from(sharers).unwrap_or(u64::MAX).max(1);
        self.rate(a).min(self.rate(b) / sharers)
    }

    fn rate(&self, node: usize) -> u64 {
        let spread = u64::from(self.spec.rate_max_mbit - self.spec.rate_min_mbit) + 1;
        let mbit = u64::from(self.spec.rate_min_mbit) + self.fixed(&[node as u64]) % spread;
        mbit * 125
    }

    fn delay(&mut self, a: usize, b: usize) -> Duration {
        let jitter = self.dice.random_range(0..=self.spec.jitter_millis);
        self.base(a, b)
            .saturating_add(Duration::from_millis(jitter.into()))
    }

    fn base(&self, a: usize, b: usize) -> Duration {
        let spread = u64::from(self.spec.delay_max_millis - self.spec.delay_min_millis) + 1;
        let (low, high) = (a.min(b) as u64, a.max(b) as u64);
        let millis = u64::from(self.spec.delay_min_millis) + self.fixed(&[low, high]) % spread;
        Duration::from_millis(millis)
    }

    fn fixed(&self, of: &[u64]) -> u64 {
        let mut hasher = Sha256::new();
        hasher.update(self.seed.to_be_bytes());
        for part in of {
            hasher.update(part.to_be_bytes());
        }
        let digest = hasher.finalize();
        digest
            .iter()
            .take(8)
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    /// Randomness for keys and choices of the world.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.dice.fill_bytes(&mut bytes);
        bytes
    }

    /// An even choice.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        self.dice.random_range(low..=high)
    }

    /// One of the first `count` places, evenly.
    pub(crate) fn place(&mut self, count: usize) -> usize {
        self.dice.random_range(0..count)
    }
}
