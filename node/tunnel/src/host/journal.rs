//! The undo journal: what was changed on the host, written and synced before it is changed.
//!
//! One JSON object a line: `{"seq":1,"fact":{"do":CHANGE},"sum":…}` before a change and
//! `{"seq":1,"fact":"undone","sum":…}` after it was taken back. A line whose sum does not fit is torn
//! and skipped. When nothing is pending the file is removed.
//!
//! A full or read-only disk stops changes from being made, never from being taken back: an `undone` that cannot be
//! written is owed, and written before the next line. Until then a recovery would undo its change once
//! more, which is the same as once.
//!
//! Invariant: a change on the host has a synced line here. The lock on the file belongs to the
//! process that makes changes and dies with it, however it dies.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::{Change, HostError};

/// A change that was begun and not yet taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// Its number, growing.
    pub seq: u64,
    /// What was done, or was about to be.
    pub change: Change,
}

/// An open, locked journal.
#[derive(Debug)]
pub struct Journal {
    file: Flock<File>,
    path: PathBuf,
    pending: Vec<JournalEntry>,
    unreadable: Vec<usize>,
    next_seq: u64,
    /// The file ends inside a line, which must not swallow the next one.
    torn: bool,
    /// Taken back, but not written yet.
    owed: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fact {
    Do(Change),
    Undone,
}

#[derive(Serialize, Deserialize)]
struct Line {
    seq: u64,
    fact: Fact,
    /// [`fnv1a`] of `seq` and `fact`: tells a torn or half-overwritten line from a whole one.
    sum: String,
}

impl Journal {
    /// Opens or makes the journal at `path` and takes its lock.
    ///
    /// # Errors
    /// [`HostError::JournalBusy`] if another process holds it, [`HostError::File`] otherwise.
    pub fn open(path: &Path) -> Result<Self, HostError> {
        let failed = |doing| {
            move |source| HostError::File {
                doing,
                path: path.into(),
                source,
            }
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed("make the folder of"))?;
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let file = match options.open(path) {
            // It can still be read, locked and undone; nothing can be recorded.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => File::open(path),
            other => other,
        };
        let file = file.map_err(failed("open"))?;
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|_| HostError::JournalBusy { path: path.into() })?;
        let mut journal = Self {
            file,
            path: path.into(),
            pending: vec![],
            unreadable: vec![],
            next_seq: 1,
            torn: false,
            owed: vec![],
        };
        journal.read_back().map_err(failed("read"))?;
        Ok(journal)
    }

    /// Notes that `change` is about to be made; on disk when this returns.
    ///
    /// # Errors
    /// The change must then not be made.
    pub fn record(&mut self, change: &Change) -> Result<u64, HostError> {
        self.pay()?;
        let seq = self.next_seq;
        self.next_seq += 1; // Also if it fails: its line may be there in part.
        self.write(seq, Fact::Do(change.clone()))?;
        self.pending.push(JournalEntry {
            seq,
            change: change.clone(),
        });
        Ok(seq)
    }

    /// Notes that the change `seq` was taken back: it is pending no more, whether or not the line could
    /// be written.
    ///
    /// # Errors
    /// The line is owed: it is written before the next one.
    pub(crate) fn forget(&mut self, seq: u64) -> Result<(), HostError> {
        self.pending.retain(|entry| entry.seq != seq);
        self.owed.push(seq);
        self.pay()
    }

    /// Writes what is owed.
    fn pay(&mut self) -> Result<(), HostError> {
        while let Some(seq) = self.owed.first().copied() {
            self.write(seq, Fact::Undone)?;
            self.owed.remove(0);
        }
        Ok(())
    }

    /// Returns what was begun and not taken back, oldest first.
    pub fn pending(&self) -> &[JournalEntry] {
        &self.pending
    }

    /// Returns the numbers of the lines that could not be read.
    pub fn unreadable_lines(&self) -> &[usize] {
        &self.unreadable
    }

    /// Removes the file if nothing is pending.
    pub(crate) fn close(mut self) -> Result<(), HostError> {
        if !self.pending.is_empty() {
            let _ = self.pay(); // What is still owed is only undone once more.
            return Ok(());
        }
        match std::fs::remove_file(&self.path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(HostError::File {
                doing: "remove",
                path: self.path,
                source,
            }),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn read_back(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.read_to_end(&mut bytes)?;
        for (index, raw) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if raw.is_empty() {
                continue;
            }
            let Some(line) = Line::read(raw) else {
                self.unreadable.push(index + 1);
                continue;
            };
            self.next_seq = self.next_seq.max(line.seq.saturating_add(1));
            match line.fact {
                Fact::Do(change) => self.pending.push(JournalEntry {
                    seq: line.seq,
                    change,
                }),
                Fact::Undone => self.pending.retain(|entry| entry.seq != line.seq),
            }
        }
        self.torn = bytes.last().is_some_and(|byte| *byte != b'\n');
        Ok(())
    }

    fn write(&mut self, seq: u64, fact: Fact) -> Result<(), HostError> {
        let mut line = Line {
            seq,
            fact,
            sum: String::new(),
        };
        line.sum = line.sum_now().map_err(HostError::JournalEncode)?;
        let mut text = serde_json::to_string(&line).map_err(HostError::JournalEncode)?;
        text.push('\n');
        if self.torn {
            text.insert(0, '\n');
        }
        // Until the whole line is on disk, its beginning may be.
        self.torn = true;
        let written = self
            .file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.sync_all());
        self.torn = written.is_err();
        written
            .and_then(|()| self.sync_folder())
            .map_err(|source| HostError::File {
                doing: "write",
                path: self.path.clone(),
                source,
            })
    }

    /// The name of a new file is only safe once its folder is synced.
    fn sync_folder(&self) -> io::Result<()> {
        match self.path.parent() {
            Some(folder) if folder.as_os_str().is_empty() => File::open(".")?.sync_all(),
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Line {
    /// Reads a line; `None` if it is torn or not ours.
    fn read(raw: &[u8]) -> Option<Self> {
        let line: Self = serde_json::from_slice(raw).ok()?;
        (line.sum_now().ok()? == line.sum).then_some(line)
    }

    fn sum_now(&self) -> Result<String, serde_json::Error> {
        let fact = serde_json::to_string(&self.fact)?;
        Ok(format!(
            "{:016x}",
            fnv1a(format!("{} {fact}", self.seq).as_bytes())
        ))
    }
}

/// FNV-1a, 64 bit: enough against tearing; nobody forges the journal of a root process.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
