//! Takes back what a dead process left on the host.

use std::path::Path;

use super::change::take_back;
use super::journal::Journal;
use super::{HostError, RecoverReport};

/// Undoes every pending change of the journal at `path`, newest first; the daemon need not live.
///
/// Without a journal there is nothing to undo: the report is empty. What cannot be undone now
/// stays in the journal for the next try.
///
/// # Errors
/// [`HostError::JournalBusy`] if the process that made the changes still lives.
pub async fn recover(path: &Path) -> Result<RecoverReport, HostError> {
    if !path.exists() {
        return Ok(RecoverReport::default());
    }
    let mut journal = Journal::open(path)?;
    let report = take_back(&mut journal, |_| true).await;
    journal.close()?;
    Ok(report)
}
