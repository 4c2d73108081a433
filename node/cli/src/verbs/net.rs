//! `warren net …`: the neighbourhood. Also the lines of checks that `exit check` shares.

use warren_daemon::api::types::{Check, CheckVerdict, NetCheck, NetStats, PeerList};
use warren_daemon::error::ExitCode;

use super::{Desk, Told};
use crate::args::NetVerb;
use crate::page::Page;
use crate::table::Table;
use crate::text;

pub(super) async fn run(desk: &mut Desk<'_>, verb: &NetVerb) -> Told {
    let client = desk.client()?;
    match verb {
        NetVerb::Check => {
            desk.screen.doing("looking around");
            Ok(check_page(
                &client.net_check().await.map_err(|it| it.problem())?,
            ))
        }
        NetVerb::Peers => Ok(peers_page(
            &client.peers().await.map_err(|it| it.problem())?,
        )),
        NetVerb::Stats => Ok(stats_page(
            &client.net_stats().await.map_err(|it| it.problem())?,
        )),
    }
}

fn check_page(check: &NetCheck) -> Page {
    let mut table = checks(&check.checks);
    for address in &check.listen {
        table.row(["", "listens", address]);
    }
    for address in &check.external {
        table.row(["", "known as", address]);
    }
    let page = Page::of(check, verdict(&check.checks, "This node reaches others.")).table(&table);
    finish(page, &check.checks)
}

fn peers_page(list: &PeerList) -> Page {
    let mut table = Table::new(&["NODE", "RTT", "DIALLED BY", "ADDRESS", "PROGRAM"]);
    for it in &list.peers {
        table.row([
            it.node.short(),
            text::rtt(it.rtt_millis),
            if it.outbound { "us" } else { "them" }.to_owned(),
            it.address.clone(),
            it.agent.clone().unwrap_or_default(),
        ]);
    }
    let page = Page::of(list, format!("{} peers are connected.", list.peers.len())).table(&table);
    if list.peers.is_empty() {
        return page.next("warren net check");
    }
    page
}

fn stats_page(stats: &NetStats) -> Page {
    let mut table = Table::new(&[]);
    for (name, count) in [
        ("peers", stats.peers),
        ("routing table", stats.routing_table),
        ("gossip mesh", stats.mesh),
        ("held for others", stats.held),
        ("questions", stats.questions),
    ] {
        table.row([name.to_owned(), count.to_string()]);
    }
    let offers = format!("{}: {}", stats.offers, stats.ways);
    table.row(["offers".to_owned(), offers]);
    let mut counted = Table::new(&["COUNTED", "SINCE THE START"]);
    for (reason, count) in &stats.counted {
        counted.row([reason.clone(), count.to_string()]);
    }
    let sentence = format!("{} peers, {} offers known.", stats.peers, stats.offers);
    let page = Page::of(stats, sentence).table(&table).table(&counted);
    page.next("warren net check")
}

/// One row per check: a sign, its name, what was seen.
pub(super) fn checks(checks: &[Check]) -> Table {
    let mut table = Table::new(&[]);
    for it in checks {
        let sign = match it.verdict {
            CheckVerdict::Pass => "✓",
            CheckVerdict::Warn => "!",
            CheckVerdict::Fail => "✗",
        };
        let code = it
            .code
            .as_ref()
            .map_or_else(String::new, |it| format!(" ({it})"));
        table.row([
            sign.to_owned(),
            it.name.clone(),
            format!("{}{code}", it.seen),
        ]);
    }
    table
}

/// The sentence above the checks.
pub(super) fn verdict(checks: &[Check], fine: &str) -> String {
    let failed = checks
        .iter()
        .filter(|it| it.verdict == CheckVerdict::Fail)
        .count();
    if failed == 0 {
        fine.to_owned()
    } else {
        format!("{failed} of {} checks failed.", checks.len())
    }
}

/// Adds what mends the checks that are not fine, those that failed first, and ends as degraded if one did.
pub(super) fn finish(page: Page, checks: &[Check]) -> Page {
    let of = |verdict| checks.iter().filter(move |it| it.verdict == verdict);
    let unfine = of(CheckVerdict::Fail).chain(of(CheckVerdict::Warn));
    let page = unfine
        .filter_map(|it| it.next.clone())
        .fold(page, Page::next);
    if of(CheckVerdict::Fail).next().is_none() {
        page
    } else {
        page.ends_with(ExitCode::Degraded)
    }
}

#[cfg(test)]
mod tests {
    use warren_daemon::api::types::OfferWays;
    use warren_daemon::error::{ErrorCode, Problem};

    use super::*;

    #[test]
    fn the_numbers_of_the_net_are_shown_with_every_reason() {
        let stats = NetStats {
            peers: 3,
            routing_table: 5,
            mesh: 2,
            offers: 7,
            held: 1,
            questions: 0,
            ways: OfferWays {
                gossip: 6,
                ..OfferWays::default()
            },
            counted: [("gossip.forged".to_owned(), 41)].into(),
        };
        let text = stats_page(&stats).text();
        for said in ["6 by gossip alone", "gossip.forged", "41"] {
            assert!(text.contains(said), "{text}");
        }
    }

    #[test]
    fn a_warning_says_what_mends_it_and_fails_nothing() {
        let problem = |next| Problem::new(ErrorCode::NoPeers, "seen").with_next(next);
        let warn = Check::not_fine("machine", CheckVerdict::Warn, problem("mend this"));
        let fail = Check::not_fine("peers", CheckVerdict::Fail, problem("first that"));
        let page = |checks: &[Check]| finish(Page::raw(serde_json::Value::Null, ""), checks);
        let warned = page(std::slice::from_ref(&warn));
        assert!(warned.text().ends_with("Next: mend this\n") && warned.exit() == 0);
        let failed = page(&[warn, fail]);
        assert!(failed.text().ends_with("Next: first that · mend this\n"));
        assert_ne!(failed.exit(), 0);
    }
}
