//! `warren tower …`: who claims for this node while it is away, and for whom it does.

use std::collections::BTreeSet;

use warren_daemon::api::types::TowerStatus;

use super::{Desk, Told};
use crate::args::TowerVerb;
use crate::page::Page;
use crate::table::Table;

pub(super) async fn run(desk: &Desk<'_>, verb: &TowerVerb) -> Told {
    let status = desk.client()?.towers().await.map_err(|it| it.problem())?;
    Ok(match verb {
        TowerVerb::Ls => list_page(&status),
        TowerVerb::Status => status_page(&status),
    })
}

fn list_page(it: &TowerStatus) -> Page {
    let mut kept = Table::new(&["FOR", "LOCATOR", "UNTIL", "STATE"]);
    for put in &it.kept {
        let state = match (&put.claim_at, put.spent) {
            (_, true) => "claimed, or worth nothing more".to_owned(),
            (Some(at), false) => format!("to be claimed at {at}"),
            (None, false) => "sealed".to_owned(),
        };
        kept.row([
            put.owner.short(),
            put.locator.chars().take(8).collect(),
            put.until.to_string(),
            state,
        ]);
    }
    let mut held = Table::new(&["CHANNEL", "TOWER", "WORTH", "UNTIL"]);
    for holding in &it.held {
        held.row([
            holding.channel.short(),
            holding.tower.short(),
            holding.value.to_string(),
            holding.until.to_string(),
        ]);
    }
    let sentence = format!(
        "{} claims kept for others, {} kept by others for this node.",
        it.kept.len(),
        it.held.len()
    );
    let mut page = Page::of(it, sentence);
    if !it.kept.is_empty() {
        page = page.table(&kept);
    }
    if !it.held.is_empty() {
        page = page.table(&held);
    }
    page
}

fn status_page(it: &TowerStatus) -> Page {
    let towers: BTreeSet<_> = it.held.iter().map(|it| it.tower).collect();
    let own = match it.wanted {
        0 => "This node asks no towers".to_owned(),
        wanted => format!(
            "{} towers hold this node's channels, {wanted} are wanted for each",
            towers.len()
        ),
    };
    let work = match &it.work {
        Some(_) => "and it is a tower for others.",
        None => "and it is no tower for others.",
    };
    let mut page = Page::of(it, format!("{own}, {work}"));
    if let Some(work) = &it.work {
        let mut table = Table::new(&[]);
        table.row(["kept".to_owned(), it.kept.len().to_string()]);
        table.row(["claims made".to_owned(), work.claims.to_string()]);
        table.row(["brought to payees".to_owned(), work.saved.to_string()]);
        table.row(["puts refused".to_owned(), work.refused.to_string()]);
        page = page.table(&table);
    } else {
        page = page.next("warren config explain tower.enabled");
    }
    if it.wanted == 0 {
        page.next("warren config explain exit.towers")
    } else {
        page.next("warren tower ls")
    }
}
