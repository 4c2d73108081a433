//! Questions under way: bounded in number, each with its deadline.
//!
//! Sans-IO.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A bounded map of questions by key.
#[derive(Debug)]
pub(crate) struct Pending<K, V> {
    limit: usize,
    open: BTreeMap<K, (Instant, V)>,
}

impl<K: Ord + Clone, V> Pending<K, V> {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            limit,
            open: BTreeMap::new(),
        }
    }

    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn is_full(&self) -> bool {
        self.open.len() >= self.limit
    }

    /// Adds a question; gives it back when there is no room.
    pub(crate) fn add(&mut self, key: K, value: V, now: Instant, life: Duration) -> Result<(), V> {
        if self.is_full() {
            return Err(value);
        }
        self.open.insert(key, (now + life, value));
        Ok(())
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.open.get_mut(key).map(|(_, value)| value)
    }

    pub(crate) fn take(&mut self, key: &K) -> Option<V> {
        self.open.remove(key).map(|(_, value)| value)
    }

    /// Takes out every question that fits.
    pub(crate) fn take_if(&mut self, fits: impl Fn(&K, &V) -> bool) -> Vec<V> {
        let keys: Vec<K> = self
            .open
            .iter()
            .filter(|(k, (_, v))| fits(k, v))
            .map(|(k, _)| k.clone())
            .collect();
        keys.iter().filter_map(|key| self.take(key)).collect()
    }

    /// Takes out every question whose deadline has passed.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<(K, V)> {
        let late: Vec<K> = self
            .open
            .iter()
            .filter(|(_, (at, _))| *at <= now)
            .map(|(k, _)| k.clone())
            .collect();
        late.into_iter()
            .filter_map(|key| self.take(&key).map(|value| (key, value)))
            .collect()
    }

    pub(crate) fn keys(&self) -> Vec<K> {
        self.open.keys().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(5);

    #[test]
    fn there_is_room_for_so_many_and_no_more() {
        let (mut pending, now) = (Pending::new(2), Instant::now());
        assert_eq!(pending.add(1, "a", now, LIFE), Ok(()));
        assert_eq!(pending.add(2, "b", now, LIFE), Ok(()));
        assert_eq!(pending.add(3, "c", now, LIFE), Err("c"));
        assert_eq!(pending.take(&1), Some("a"));
        assert_eq!(pending.add(3, "c", now, LIFE), Ok(()));
    }

    #[test]
    fn a_late_question_is_given_back_once() {
        let (mut pending, now) = (Pending::new(8), Instant::now());
        pending.add(1, "a", now, LIFE).unwrap();
        pending.add(2, "b", now, LIFE * 2).unwrap();
        assert_eq!(pending.expire(now + LIFE / 2), vec![]);
        assert_eq!(pending.expire(now + LIFE), vec![(1, "a")]);
        assert_eq!(pending.expire(now + LIFE), vec![]);
        assert_eq!(pending.len(), 1);
    }
}
