//! What happened, line by line, and the hash that tells two runs apart.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use warren_proto::UnixTime;

/// The event log: CSV with a running hash.
#[derive(Debug)]
pub struct Log {
    start: UnixTime,
    csv: String,
    hasher: Sha256,
    events: u64,
}

/// The first line of `events.csv`.
pub(crate) const HEADER: &str = "millis,node,event,subject,value\n";

impl Log {
    pub(crate) fn new(start: UnixTime) -> Self {
        Self {
            start,
            csv: HEADER.to_owned(),
            hasher: Sha256::new(),
            events: 0,
        }
    }

    /// Writes one event; `value` is a number in the event's own unit.
    pub(crate) fn note(
        &mut self,
        (now, node): (UnixTime, usize),
        event: &str,
        subject: &str,
        value: u128,
    ) {
        let from = self.csv.len();
        let millis = now.since(self.start).as_millis();
        // Writing to a string cannot fail.
        let _ = writeln!(self.csv, "{millis},{node},{event},{subject},{value}");
        self.hasher.update(&self.csv.as_bytes()[from..]);
        self.events = self.events.saturating_add(1);
    }

    /// The log as CSV.
    #[must_use]
    pub fn csv(&self) -> &str {
        &self.csv
    }

    /// Events so far.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// SHA-256 over every line, in hex: equal for equal runs.
    #[must_use]
    pub fn hash(&self) -> String {
        hex::encode(self.hasher.clone().finalize())
    }
}
