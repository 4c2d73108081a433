//! Takes back what a dead process left on the host: by its journal, or by the names that are ours.

use std::path::Path;

use super::alone::{self, Alone};
use super::change::{close, take_back};
use super::journal::Journal;
use super::netlink::Netlink;
use super::nft::{self, EXIT_TABLE, GUARD_TABLE, KILL_SWITCH_TABLE};
use super::report::{Outcome, UndoneChange};
use super::{HostError, RecoverReport, resolv_conf};

/// Undoes every pending change of the journal at `path`, newest first; the daemon need not live.
///
/// Without a journal there is nothing to undo: the report is empty. What cannot be undone now
/// stays in the journal for the next try.
///
/// # Errors
/// [`HostError::JournalBusy`] if the process that made the changes still lives; [`HostError::Alive`] if one of another
/// home has made the same since, which would be taken away from it.
pub async fn recover(path: &Path) -> Result<RecoverReport, HostError> {
    if !path.exists() {
        return Ok(RecoverReport::default());
    }
    let mut journal = Journal::open(path)?;
    let mut left = journal.pending().iter();
    let _alone = left
        .any(alone::is_of_consumer)
        .then(Alone::to_undo)
        .transpose()?;
    if journal.pending().iter().any(alone::is_of_exit) {
        alone::no_exit_lives()?;
    }
    let mut report = take_back(&mut journal, |_| true).await;
    close(journal, &mut report);
    Ok(report)
}

/// Takes away what bears our names though no journal at hand tells of it, as one that is lost or of another
/// home: rules, routes and firewall tables, the kill switch last. A device ends with its process.
///
/// Only for after [`recover`], and never while a daemon of this home lives. Kernel settings and the name servers that were there before are known to the journal
/// alone: a `resolv.conf` of ours is reported as failed.
///
/// # Errors
/// [`HostError::Alive`] if a daemon of another home lives that is a consumer or an exit: it would leak until it has
/// made its own again, or let guests into the house. Otherwise if the host cannot be asked at all, as without the
/// right to.
pub async fn sweep(resolv: &Path) -> Result<RecoverReport, HostError> {
    alone::no_exit_lives()?;
    let _alone = Alone::to_undo()?;
    let mut report = RecoverReport::default();
    let netlink = Netlink::open()?;
    let mut told = |change: String, done: Result<(), HostError>| {
        let outcome = done.map_or_else(|it| Outcome::Failed(it.to_string()), |()| Outcome::Undone);
        report.changes.push(UndoneChange { change, outcome });
    };
    for (change, done) in netlink.sweep().await? {
        told(change, done);
    }
    for name in [GUARD_TABLE, EXIT_TABLE, KILL_SWITCH_TABLE] {
        let found = match nft::has_table(name).await {
            // Who has no program for tables made none.
            Err(HostError::ProgramMissing { .. }) => break,
            other => other?,
        };
        if found {
            let done = nft::remove_table(name).await.map(drop);
            told(format!("firewall table inet {name}"), done);
        }
    }
    if resolv_conf::is_written_by_us(resolv) {
        let reason = "ours, and no journal says what was there: write your own".to_owned();
        report.changes.push(UndoneChange {
            change: format!("name servers in {}", resolv.display()),
            outcome: Outcome::Failed(reason),
        });
    }
    Ok(report)
}
