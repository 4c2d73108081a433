//! `warren recover`, with the daemon dead: gives the machine its network back; `--store` goes on with
//! a store that does not verify, once its owner has read what that may cost.

use std::path::{Path, PathBuf};

use serde_json::json;
use warren_daemon::error::{ErrorCode, ExitCode, Problem};
use warren_daemon::store::{Accepted, Recovered, recover_home};
use warren_tunnel::host::{self, RecoverReport};

use super::{Desk, Told};
use crate::args::RecoverArgs;
use crate::node;
use crate::page::Page;
use crate::table::Table;

/// What may be lost, before anybody agrees to it.
const AT_RISK: &str = "This node's store is not what it wrote last. Going on with it as it is may cost money:\n\
    words that others paid with since are lost, and a channel may be paid once more from an old state.\n\
    The chain and the other side of each channel know more than this node does.\n\
    If there is a newer copy of the home, restore that instead. The store as found is kept aside.\n";

pub(super) async fn run(desk: &mut Desk<'_>, args: &RecoverArgs) -> Told {
    if args.store {
        return store(desk, args);
    }
    let (mut all, mut failed) = (RecoverReport::default(), None);
    for journal in node::journals(&home(desk)?) {
        match host::recover(&journal).await {
            Ok(report) => {
                all.changes.extend(report.changes);
                all.unreadable_lines.extend(report.unreadable_lines);
                all.unwritten = all.unwritten.or(report.unwritten);
            }
            // The other journal may be what keeps this machine without a network.
            Err(error) => failed = failed.or(Some(Problem::of_host(&error))),
        }
    }
    if let Some(failed) = failed {
        return Err(failed);
    }
    // The journal that tells of it may be lost, or of another home: our names are always the same.
    let swept = host::sweep(Path::new("/etc/resolv.conf")).await;
    let swept = swept.map_err(|error| Problem::of_host(&error))?;
    all.changes.extend(swept.changes);
    Ok(page(&all))
}

/// Whatever else is wrong with the configuration: it may be why the daemon does not begin again.
fn home(desk: &Desk<'_>) -> Result<PathBuf, Problem> {
    let home = node::as_said(desk.globals)?.home();
    home.map_err(|it| it.problem().with_next("warren --home DIR recover"))
}

/// The word is typed by a person who was shown what it means, or given to this very run.
fn store(desk: &mut Desk<'_>, args: &RecoverArgs) -> Told {
    let home = home(desk)?;
    let recovered = match recover_home(&home, args.accept.as_deref()) {
        Err(problem) if args.accept.is_none() && problem.is(ErrorCode::StoreConsent) => {
            ask(desk, &home, problem)?
        }
        told => told?,
    };
    Ok(match recovered {
        Recovered::Sound(batches) => sound_page(batches),
        Recovered::Accepted(accepted) => accepted_page(&accepted),
    })
}

fn ask(desk: &mut Desk<'_>, home: &Path, problem: Problem) -> Result<Recovered, Problem> {
    let question = format!(
        "{AT_RISK}\n  seen   {}\n\nTo go on, type the first 8 digits of this node's id:",
        problem.seen
    );
    match desk.screen.ask(&question) {
        Some(word) => recover_home(home, Some(&word)),
        None => Err(problem),
    }
}

fn sound_page(batches: u64) -> Page {
    let json = json!({
        "schema": "warren.recover-store/v1", "sound": true, "batches": batches,
    });
    let sentence = format!("Nothing to accept: the store verifies, with {batches} batches.");
    Page::raw(json, sentence).next("warren daemon")
}

fn accepted_page(it: &Accepted) -> Page {
    let json = json!({
        "schema": "warren.recover-store/v1", "sound": false, "found": it.found,
        "confirmed": it.confirmed, "goes_on_with": it.goes_on_with, "copy": it.copy,
    });
    let mut table = Table::new(&[]);
    table.row(["found".to_owned(), format!("batch {}", it.found)]);
    let confirmed = it
        .confirmed
        .map_or_else(|| "unknown".to_owned(), |it| format!("batch {it}"));
    table.row(["written last".to_owned(), confirmed]);
    table.row([
        "goes on with".to_owned(),
        format!("batch {}", it.goes_on_with),
    ]);
    if let Some(copy) = &it.copy {
        table.row(["kept as found in".to_owned(), copy.display().to_string()]);
    }
    Page::raw(json, "The store is accepted as it was found.")
        .table(&table)
        .line("Its channels may be older than what was signed since: close all of them first.")
        .next("warren daemon")
        .next("warren channel ls")
        .next("warren channel close ID")
}

fn page(report: &RecoverReport) -> Page {
    let mut table = Table::new(&[]);
    for it in &report.changes {
        table.row([it.change.clone(), it.outcome.to_string()]);
    }
    let json = json!({
        "schema": "warren.recover/v1", "clean": report.is_clean(), "undone": report.undone(),
        "changes": report.changes, "unreadable_lines": report.unreadable_lines,
        "unwritten": report.unwritten,
    });
    let sentence = match (report.is_clean(), report.undone()) {
        (true, 0) => "Nothing to undo: this machine's network is as it was.".to_owned(),
        (true, undone) => {
            format!("{undone} changes are undone: this machine's network is as it was.")
        }
        (false, _) => "Some changes could not be undone.".to_owned(),
    };
    let mut page = Page::raw(json, sentence).table(&table);
    for line in &report.unreadable_lines {
        page = page.line(format!(
            "  journal line {line} could not be read and was skipped"
        ));
    }
    if let Some(reason) = &report.unwritten {
        page = page.line(format!(
            "  the journal could not be told ({reason}); what is undone is undone all the same"
        ));
    }
    if report.is_clean() {
        return page.next("warren daemon");
    }
    page.next("warren recover").ends_with(ExitCode::Degraded)
}
