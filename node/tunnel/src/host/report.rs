//! What an undo did, change by change.
//!
//! Sans-IO.

use std::fmt;

use serde::Serialize;

/// What became of one change when it was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "reason", rename_all = "snake_case")]
pub enum Outcome {
    /// It was there and is gone.
    Undone,
    /// It was not there: never made, or gone with a device or a reboot.
    AlreadyGone,
    /// Somebody else changed it since; left as it is.
    ChangedByOthers,
    /// It could not be taken back; the journal keeps it.
    Failed(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undone => f.write_str("undone"),
            Self::AlreadyGone => f.write_str("already gone"),
            Self::ChangedByOthers => f.write_str("changed by others, left alone"),
            Self::Failed(reason) => write!(f, "failed: {reason}"),
        }
    }
}

/// One line of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UndoneChange {
    /// The change, in words.
    pub change: String,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What an undo did, newest change first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RecoverReport {
    /// Every change that was in the journal.
    pub changes: Vec<UndoneChange>,
    /// Journal lines that could not be read. A torn last line is harmless: its change was never
    /// made. Others may have stood for a change that is still there.
    pub unreadable_lines: Vec<usize>,
    /// Why the journal could not be told of what was undone. `None` if it was. Undoing that once more
    /// changes nothing.
    pub unwritten: Option<String>,
}

impl RecoverReport {
    /// Tells whether nothing of ours is left: every change is gone or belongs to others.
    pub fn is_clean(&self) -> bool {
        !self
            .changes
            .iter()
            .any(|it| matches!(it.outcome, Outcome::Failed(_)))
    }

    /// Returns how many changes were really taken back.
    pub fn undone(&self) -> usize {
        self.changes
            .iter()
            .filter(|it| it.outcome == Outcome::Undone)
            .count()
    }
}

impl fmt::Display for RecoverReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.is_empty() {
            writeln!(f, "nothing to undo")?;
        }
        for line in &self.changes {
            writeln!(f, "{}: {}", line.change, line.outcome)?;
        }
        for number in &self.unreadable_lines {
            writeln!(f, "journal line {number}: unreadable, skipped")?;
        }
        if let Some(reason) = &self.unwritten {
            writeln!(
                f,
                "journal: {reason}; what is undone is undone all the same"
            )?;
        }
        Ok(())
    }
}
