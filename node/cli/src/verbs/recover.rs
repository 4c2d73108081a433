//! `warren recover`: gives the machine its network back, with the daemon dead.

use serde_json::json;
use warren_daemon::error::{ErrorCode, ExitCode, Problem};
use warren_tunnel::host::{self, HostError, RecoverReport};

use super::{Desk, Told};
use crate::node;
use crate::page::Page;
use crate::table::Table;

pub(super) async fn run(desk: &Desk<'_>) -> Told {
    let mut all = RecoverReport::default();
    for journal in node::journals(&desk.config()?) {
        let report = host::recover(&journal).await.map_err(|it| problem(&it))?;
        all.changes.extend(report.changes);
        all.unreadable_lines.extend(report.unreadable_lines);
    }
    Ok(page(&all))
}

fn problem(error: &HostError) -> Problem {
    if matches!(error, HostError::JournalBusy { .. }) {
        return Problem::new(ErrorCode::HomeLocked, error).with_next("warren down --daemon");
    }
    Problem::new(ErrorCode::HostChangeFailed, error)
}

fn page(report: &RecoverReport) -> Page {
    let mut table = Table::new(&[]);
    for it in &report.changes {
        table.row([it.change.clone(), it.outcome.to_string()]);
    }
    let json = json!({
        "schema": "warren.recover/v1", "clean": report.is_clean(), "undone": report.undone(),
        "changes": report.changes, "unreadable_lines": report.unreadable_lines,
    });
    let sentence = match (report.is_clean(), report.undone()) {
        (true, 0) => "Nothing to undo: this machine's network is as it was.".to_owned(),
        (true, undone) => {
            format!("{undone} changes are undone: this machine's network is as it was.")
        }
        (false, _) => "Some changes could not be undone; they stay in the journal.".to_owned(),
    };
    let mut page = Page::raw(json, sentence).table(&table);
    for line in &report.unreadable_lines {
        page = page.line(format!(
            "  journal line {line} could not be read and was skipped"
        ));
    }
    if report.is_clean() {
        return page.next("warren daemon");
    }
    page.next("warren recover").ends_with(ExitCode::Degraded)
}
