//! What happened, line by line, and the hash that tells two runs apart.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};

use sha2::{Digest as _, Sha256};
use warren_proto::UnixTime;

/// The event log: CSV with a running hash. What is written is not kept in memory.
#[derive(Debug)]
pub(crate) struct Log {
    start: UnixTime,
    /// `None`: nobody reads the lines.
    file: Option<BufWriter<File>>,
    /// Why it cannot be written any more; told at the end.
    failed: Option<io::Error>,
    hasher: Sha256,
    events: u64,
}

/// The first line of `events.csv`.
pub(crate) const HEADER: &str = "millis,node,event,subject,value\n";

impl Log {
    pub(crate) fn new(start: UnixTime) -> Self {
        Self {
            start,
            file: None,
            failed: None,
            hasher: Sha256::new(),
            events: 0,
        }
    }

    /// From here on every line goes to `file`, too.
    pub(crate) fn write_to(&mut self, file: File) {
        let mut file = BufWriter::new(file);
        self.failed = file.write_all(HEADER.as_bytes()).err();
        self.file = Some(file);
    }

    /// Writes one event; `value` is a number in the event's own unit.
    pub(crate) fn note(
        &mut self,
        (now, node): (UnixTime, usize),
        event: &str,
        subject: &str,
        value: u128,
    ) {
        let millis = now.since(self.start).as_millis();
        let line = format!("{millis},{node},{event},{subject},{value}\n");
        self.hasher.update(line.as_bytes());
        self.events = self.events.saturating_add(1);
        if let (Some(file), None) = (&mut self.file, &self.failed) {
            self.failed = file.write_all(line.as_bytes()).err();
        }
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// The first one of the file.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        match (self.failed.take(), &mut self.file) {
            (Some(error), _) => Err(error),
            (None, Some(file)) => file.flush(),
            (None, None) => Ok(()),
        }
    }

    /// Events so far.
    pub(crate) const fn events(&self) -> u64 {
        self.events
    }

    /// SHA-256 over every line but the first, in hex: equal for equal runs.
    pub(crate) fn hash(&self) -> String {
        hex::encode(self.hasher.clone().finalize())
    }
}
