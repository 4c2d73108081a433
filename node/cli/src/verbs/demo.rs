//! `warren demo`, and the parts of it that run as processes of their own inside its world.

use std::io::Write;
use std::time::Duration;

use serde::Serialize;
use warren_daemon::api::types::Document;
use warren_daemon::error::{ErrorCode, ExitCode, Problem};
use warren_proto::{ChainRef, PayoutAddress};

use super::{Desk, Told};
use crate::args::{DemoArgs, DemoPart};
use crate::cli::INTERRUPTED;
use crate::demo::cast::DemoError;
use crate::demo::report::Report;
use crate::demo::story::{self, Task, Teller};
use crate::demo::world::{self, WorldError};
use crate::demo::{books, wait, web};
use crate::page::Page;
use crate::screen::Screen;
use crate::table::Table;

pub(super) async fn run(desk: &mut Desk<'_>, args: &DemoArgs) -> Told {
    match &args.part {
        Some(DemoPart::Web { listen }) => {
            let served = web::serve(*listen);
            served.map_err(|it| Problem::new(ErrorCode::PortBusy, format!("{listen}: {it}")))?;
            Ok(Page::raw(serde_json::Value::Null, "The web server ended."))
        }
        Some(DemoPart::Fetch {
            server,
            path,
            patience,
        }) => {
            let got = web::fetch(server, path, Duration::from_secs(*patience));
            part(&got.map_err(|it| unreachable(&format!("{server}{path}"), &it))?)
        }
        Some(DemoPart::Books {
            rpc,
            chain_id,
            contract,
            token,
        }) => {
            let pins = ChainRef {
                chain_id: *chain_id,
                contract: address(contract)?,
                token: address(token)?,
            };
            let read = books::read(rpc, pins).await;
            part(&read.map_err(|it| Problem::new(ErrorCode::ChainUnreachable, it))?)
        }
        None if args.clean => clean(),
        None => whole(desk, args),
    }
}

/// What a part prints is for the demo that started it: plain JSON whatever the form.
fn part(answer: &impl Serialize) -> Told {
    let text = serde_json::to_string(answer).unwrap_or_default();
    Ok(Page::raw(
        serde_json::to_value(answer).unwrap_or_default(),
        text,
    ))
}

fn unreachable(what: &str, error: &std::io::Error) -> Problem {
    Problem::new(ErrorCode::NodeUnreachable, format!("{what}: {error}"))
}

fn address(text: &str) -> Result<PayoutAddress, Problem> {
    text.parse()
        .map_err(|it| Problem::new(ErrorCode::BadRequest, format!("{text}: {it}")))
}

fn clean() -> Told {
    let swept = world::sweep().map_err(|it| problem(&it.into()))?;
    let json = serde_json::json!({ "schema": "warren.demo-clean/v1", "removed": swept });
    Ok(Page::raw(
        json,
        format!("{} worlds of dead demos are removed.", swept.len()),
    ))
}

fn whole(desk: &mut Desk<'_>, args: &DemoArgs) -> Told {
    wait::catch_signals().map_err(|it| Problem::new(ErrorCode::Internal, it))?;
    let program = story::this_program().map_err(|it| problem(&it))?;
    let task = Task {
        program,
        bytes: u64::from(args.mib) << 20,
    };
    let report = match story::run(&task, &mut Aloud(desk.screen)) {
        Ok(report) => report,
        Err(_) if wait::unless_interrupted().is_err() => return Ok(interrupted()),
        Err(error) => return Err(problem(&error)),
    };
    let document = serde_json::to_string_pretty(&Document::of(report.clone())).unwrap_or_default();
    if let Some(path) = &args.file {
        let written = std::fs::File::create(path).and_then(|mut it| writeln!(it, "{document}"));
        written.map_err(|it| {
            Problem::new(ErrorCode::HomeUnusable, format!("{}: {it}", path.display()))
        })?;
    }
    Ok(page(&report))
}

fn interrupted() -> Page {
    let json = serde_json::json!({ "schema": "warren.demo/v1", "interrupted": true });
    Page::raw(json, "Interrupted; the make-believe internet is gone.").ends_with_number(INTERRUPTED)
}

fn page(report: &Report) -> Page {
    let sentence = if report.ok {
        "An advertised exit was found, bought, used and settled; every figure is measured."
            .to_owned()
    } else {
        format!("The line did not hold: {}.", report.unmet.join("; "))
    };
    let mut table = Table::new(&[]);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row(
        "exits found",
        format!(
            "{} by DHT, {} by gossip",
            report.exits_found.dht, report.exits_found.gossip
        ),
    );
    row(
        "price agreed",
        format!(
            "{} {} per GiB",
            report.price_agreed.per_gib, report.price_agreed.unit
        ),
    );
    row(
        "delivered",
        format!(
            "{} bytes, sha256 match: {}",
            report.bytes_delivered, report.sha256_match
        ),
    );
    row(
        "server saw",
        format!(
            "{:?}, the exit's own: {}",
            report.source_seen_by_server, report.source_is_exit
        ),
    );
    row(
        "foreign packets",
        report.foreign_packets_on_consumer_uplink.to_string(),
    );
    row(
        "names",
        format!(
            "asked from {:?}, beside the tunnel: {}, resolver restored: {}",
            report.names_asked_from,
            report.dns_packets_on_consumer_uplink,
            report.resolver_restored
        ),
    );
    row("words paid", report.words_paid.to_string());
    row(
        "paid, claimed",
        format!("{} wei, {} wei", report.paid_wei, report.claimed_wei),
    );
    row(
        "delivered unpaid",
        format!(
            "at most {} units of {}",
            report.delivered_minus_paid_units, report.delivered_minus_paid_bound_units
        ),
    );
    row("books balance", report.conserved.to_string());
    let by_route = report.routed.exits.iter().map(|it| {
        let killed = if it.killed { ", killed" } else { "" };
        format!("{} {} words{killed}", it.name, it.words)
    });
    row(
        "by a route",
        format!(
            "{} channel, to {}: {}; the router claimed {} of {} wei",
            report.routed.channels_opened,
            report.routed.router,
            by_route.collect::<Vec<_>>().join(", "),
            report.routed.router_claimed_wei,
            report.routed.router_owed_wei
        ),
    );
    row(
        "times",
        format!(
            "join {} ms, first offer {} ms, up {} ms, up again {} ms",
            report.join_ms, report.first_offer_ms, report.up_ms, report.up_warm_ms
        ),
    );
    row("left behind", format!("{:?}", report.left_behind));
    let page = Page::of(report, sentence).table(&table).next("warren help");
    if report.ok {
        page
    } else {
        page.ends_with(ExitCode::Failed)
    }
}

/// What went wrong, as its user sees it.
fn problem(error: &DemoError) -> Problem {
    match error {
        DemoError::World(WorldError::NotRoot) => {
            Problem::new(ErrorCode::NoTun, error).with_next("sudo warren demo")
        }
        DemoError::World(_) => Problem::new(ErrorCode::HostChangeFailed, error).with_next(
            "apt-get install iproute2 nftables tcpdump dnsmasq-base; warren demo --clean",
        ),
        DemoError::Node(it) => {
            let code = it.problem().and_then(|it| it.code.parse().ok());
            Problem::new(code.unwrap_or(ErrorCode::Internal), error)
        }
        DemoError::Process(_)
        | DemoError::Wait(_)
        | DemoError::Capture(_)
        | DemoError::Program { .. } => Problem::new(ErrorCode::Internal, error),
    }
}

struct Aloud<'a>(&'a mut Screen);

impl Teller for Aloud<'_> {
    fn doing(&mut self, text: &str) {
        self.0.doing(text);
    }

    fn done(&mut self, text: &str) {
        self.0.done(text);
    }
}
