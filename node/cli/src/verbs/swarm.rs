//! `warren swarm …`: experiments in virtual time.

use serde_json::json;
use warren_daemon::error::{ErrorCode, Problem};
use warren_lab::{LabError, Scenario, Summary, run_scenario};

use super::{Desk, Told};
use crate::args::SwarmVerb;
use crate::page::Page;

pub(super) fn run(desk: &mut Desk<'_>, verb: &SwarmVerb) -> Told {
    let SwarmVerb::Run {
        scenario,
        seed,
        out,
    } = verb;
    let loaded = Scenario::load(scenario).map_err(|error| bad(&error.into()))?;
    let name = loaded.name.clone();
    let screen = &mut desk.screen;
    let ran = run_scenario(&loaded, *seed, out, |it| {
        let (gone, all) = (it.gone.as_secs() / 60, it.all.as_secs() / 60);
        if it.gone.as_secs().is_multiple_of(10) {
            screen.doing(&format!(
                "{name}: minute {gone} of {all}, {} events",
                it.events
            ));
        }
    });
    let ran = ran.map_err(|error| bad(&error))?;
    let broken = ran.summary.broken_bounds();
    if !broken.is_empty() {
        let seen = format!("{} (see {})", broken.join("; "), ran.report_file.display());
        return Err(Problem::new(ErrorCode::AssertionFailed, seen));
    }
    let mut json = serde_json::to_value(&ran.summary)
        .map_err(|error| Problem::new(ErrorCode::Internal, error))?;
    json["files"] = json!({
        "summary": ran.summary_file,
        "events": ran.events_file,
        "report": ran.report_file,
    });
    Ok(Page::raw(json, text(&ran.summary, &ran.report_file)))
}

fn text(it: &Summary, report: &std::path::Path) -> String {
    let secs = |millis: u64| {
        format!(
            "{:.2} s",
            f64::from(u32::try_from(millis).unwrap_or(u32::MAX)) / 1000.0
        )
    };
    format!(
        "{} nodes, {} exits, {} virtual minutes: {} sessions completed, {} words paid, money conserved.\n\
         \x20 first offer   p50 {}  p95 {}\n\
         \x20 up, cold      p50 {}  p95 {}\n\
         \x20 up, warm      p50 {}  p95 {}\n\
         \x20 at risk       {} of {} words unpaid, {} of {} unserved\n\
         \x20 event log     {} events, {}\n\
         Next: open {}",
        it.nodes,
        it.exits,
        it.virtual_secs / 60,
        it.sessions_completed,
        it.words_paid,
        secs(it.first_offer_millis.p50),
        secs(it.first_offer_millis.p95),
        secs(it.up_cold_millis.p50),
        secs(it.up_cold_millis.p95),
        secs(it.up_warm_millis.p50),
        secs(it.up_warm_millis.p95),
        it.most_unpaid_units,
        it.unpaid_bound_units,
        it.most_unserved_units,
        it.unserved_bound_units,
        it.events,
        it.event_log_hash,
        report.display(),
    )
}

fn bad(error: &LabError) -> Problem {
    let code = match error {
        LabError::Scenario(_) | LabError::Country(_) => ErrorCode::BadScenario,
        LabError::Chain(_)
        | LabError::Frame(_)
        | LabError::Record(_)
        | LabError::Offer(_)
        | LabError::Plot { .. } => ErrorCode::Internal,
        LabError::Unwritable { .. } => ErrorCode::FileUnusable,
    };
    Problem::new(code, error)
}
