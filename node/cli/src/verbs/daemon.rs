//! `warren daemon`: runs the node until it is told to end.

use std::io::IsTerminal;

use serde_json::json;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;
use warren_daemon::Ended;
use warren_daemon::error::{ErrorCode, Problem};

use super::{Desk, Told};
use crate::args::DaemonArgs;
use crate::node;
use crate::page::Page;

pub(super) async fn run(desk: &Desk<'_>, args: &DaemonArgs) -> Told {
    let config = node::config(desk.globals, &pairs(&args.set)?)?;
    log(&config.node.log, args.log_json)?;
    let ended = warren_daemon::run(config).await?;
    Ok(page(ended))
}

/// Whoever ends a daemon that blocks on purpose would else look for the fault in his line.
fn page(ended: Ended) -> Page {
    let json =
        json!({ "schema": "warren.daemon/v1", "ended": true, "still_blocked": ended.blocked });
    let page = Page::raw(json, "The daemon ended in good order.");
    if !ended.blocked {
        return page;
    }
    page.line("The kill switch stays: this machine reaches nothing until it is lifted.")
        .next("warren recover")
        .next("warren daemon")
}

fn pairs(set: &[String]) -> Result<Vec<(String, String)>, Problem> {
    let pair = |text: &String| {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            let seen = format!("--set {text}: there is no `=` in it");
            Problem::new(ErrorCode::BadRequest, seen).with_next("warren daemon --set KEY=VALUE")
        })?;
        Ok((key.to_owned(), value.to_owned()))
    };
    set.iter().map(pair).collect()
}

/// What is logged, as `node.log` says.
pub(super) fn filter(text: &str) -> Result<EnvFilter, Problem> {
    EnvFilter::try_new(text).map_err(|it| {
        let seen = format!("node.log = {text}: {it}");
        Problem::new(ErrorCode::ConfigBadValue, seen).with_next("warren config explain node.log")
    })
}

/// Logs go to standard error: standard output is data.
fn log(filter: &str, as_json: bool) -> Result<(), Problem> {
    let filter = self::filter(filter)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A log on a full disk is no reason to end: by default the complaint itself would panic.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    let set = if as_json {
        builder.json().finish().try_init()
    } else {
        builder.finish().try_init()
    };
    set.map_err(|it| Problem::new(ErrorCode::Internal, it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ends_a_daemon_that_blocks_is_told_so_and_how_to_lift_it() {
        let text = page(Ended { blocked: true }).text();
        assert!(
            text.contains("kill switch stays") && text.contains("warren recover"),
            "{text}"
        );
        let text = page(Ended { blocked: false }).text();
        assert!(!text.contains("kill switch"), "{text}");
    }
}
