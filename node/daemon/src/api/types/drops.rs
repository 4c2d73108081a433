//! What a tunnel did not carry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use warren_tunnel::{DropCounts, DropReason};

/// Packets and datagrams that a tunnel did not carry, by reason; of each reason at least one. The names of reasons are
/// those of the metrics.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DropsView(pub BTreeMap<String, u64>);

impl DropsView {
    /// What was counted.
    #[must_use]
    pub fn of(counts: &DropCounts) -> Self {
        let counts = DropReason::ALL.map(|it| (it.name().to_owned(), counts.of(it)));
        Self(counts.into_iter().filter(|(_, count)| *count > 0).collect())
    }
}
