//! Everything this crate drops, refuses or gives up on is counted here, by name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Named counters, shared by the tasks of one overlay. Names are fixed texts, so they are few.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters(Arc<Mutex<BTreeMap<(&'static str, &'static str), u64>>>);

impl Counters {
    /// Counts one `what` of `area`.
    pub(crate) fn count(&self, area: &'static str, what: &'static str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = all.entry((area, what)).or_insert(0);
        *slot = slot.saturating_add(1);
    }

    /// All counters as `area.what`.
    pub(crate) fn all(&self) -> BTreeMap<String, u64> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter()
            .map(|((area, what), n)| (format!("{area}.{what}"), *n))
            .collect()
    }
}
