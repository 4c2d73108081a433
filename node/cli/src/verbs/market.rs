//! `warren exits`, `warren up`, `warren down`: buying.

use warren_daemon::api::ClientError;
use warren_daemon::api::types::{
    ConsumerView, DownReport, DownRequest, ExitList, ExitQuery, ExitsQuery, UpEvent, UpRequest,
};
use warren_daemon::error::{ErrorCode, Problem};
use warren_proto::{CountryCode, SessionId};

use super::{Desk, Told};
use crate::args::{DownArgs, ExitsArgs, ExitsVerb, Switch, UpArgs};
use crate::cli::INTERRUPTED;
use crate::page::Page;
use crate::ssh;
use crate::table::Table;
use crate::text;

mod ending;
mod shown;

pub(super) async fn exits(desk: &mut Desk<'_>, args: &ExitsArgs) -> Told {
    if let Some(ExitsVerb::Show { exit }) = &args.verb {
        let query = ExitQuery { exit: exit.clone() };
        let shown = desk.client()?.exit_shown(&query).await;
        return Ok(shown::page(&shown.map_err(|it| it.problem())?));
    }
    let query = ExitsQuery {
        country: country(args.country.as_deref())?,
        policy: args.policy.clone(),
        max_price_per_gib: args.max_price.clone(),
        sort: args.sort.into(),
        refresh: args.refresh,
    };
    if args.refresh {
        desk.screen.doing("asking the network");
    }
    let list = desk.client()?.exits(&query).await;
    let list = list.map_err(|it| ClientError::problem(&it))?;
    if list.exits.is_empty() {
        let seen = format!("0 of {} known offers match", list.known);
        return Err(Problem::new(ErrorCode::NoOffer, seen).with_next("warren exits --refresh"));
    }
    Ok(list_page(&list))
}

fn list_page(list: &ExitList) -> Page {
    let mut table = Table::new(&[
        "EXIT",
        "WHERE",
        "RTT",
        "PRICE/GiB",
        "PRICE/min",
        "AT RISK",
        "POLICY",
        "IP",
        "FREE",
        "SEEN BY",
    ]);
    for it in &list.exits {
        let seen = text::seen_by(it.by_dht, it.by_gossip);
        table.row([
            text::typed(&it.node),
            text::place(&it.region),
            text::rtt(it.rtt_millis),
            it.price.per_gib.to_string(),
            it.price.per_minute.to_string(),
            it.at_risk.to_string(),
            it.policy.name.clone(),
            text::carries(it.ipv4, it.ipv6).to_owned(),
            format!("{}/{}", it.guests_free, it.guests_max),
            seen.to_owned(),
        ]);
    }
    let sentence = format!(
        "{} exits match, best first ({} offers known). WHERE is what they claim.",
        list.exits.len(),
        list.known
    );
    let best = list
        .exits
        .first()
        .map_or_else(String::new, |it| text::typed(&it.node));
    Page::of(list, sentence)
        .table(&table)
        .next(format!("warren up {best}"))
        .next(format!("warren exits show {best}"))
}

pub(super) async fn up(desk: &mut Desk<'_>, args: &UpArgs) -> Told {
    let request = UpRequest {
        exit: args.exit.clone(),
        country: country(args.country.as_deref())?,
        policy: args.policy.clone(),
        sort: args.sort.into(),
        max_price_per_gib: args.max_price.clone(),
        max_spend: args.max_spend.clone(),
        deposit: args.deposit.clone(),
        kill_switch: args.kill_switch.map(|it| it == Switch::On),
        fallback: args.fallback.map(Into::into),
        timeout_secs: args.timeout,
        route: args.route.clone(),
        routers: args.routers,
        ssh: if args.end_ssh { None } else { ssh::login() },
    };
    let client = desk.client()?;
    desk.screen.doing("choosing an exit");
    let stream = client.up(&request).await;
    let mut stream = stream.map_err(|it| ClientError::problem(&it))?;
    while let Some(event) = stream.next().await.map_err(|it| it.problem())? {
        match event {
            UpEvent::Progress {
                done: true, text, ..
            } => desk.screen.done(&text),
            UpEvent::Progress {
                done: false, text, ..
            } => desk.screen.doing(&text),
            UpEvent::Up(view) => return Ok(up_page(&view)),
            UpEvent::Failed(problem) => return Err(problem),
        }
    }
    Err(Problem::new(
        ErrorCode::Internal,
        "the daemon ended its story before the end",
    ))
}

/// The user stops looking at `up`; the daemon has its order.
pub(crate) fn left_alone() -> Page {
    let json = serde_json::json!({ "schema": "warren.up-left/v1", "goes_on": true });
    Page::raw(
        json,
        "Not waited for any longer; the daemon goes on with it, and with paying for it.",
    )
    .next("warren status")
    .next("warren down")
    .ends_with_number(INTERRUPTED)
}

fn up_page(view: &ConsumerView) -> Page {
    let sentence = format!(
        "You are online through {} in {}.",
        view.exit.short(),
        text::place(&view.region)
    );
    let mut table = Table::new(&[]);
    table.row(["price".to_owned(), text::price(&view.price)]);
    table.row([
        "cap".to_owned(),
        format!("at most {} in all sessions of this `up`", view.max_spend),
    ]);
    table.row([
        "at risk".to_owned(),
        format!("at most {}: what is paid ahead", view.at_risk),
    ]);
    if let Some(channel) = view.channel {
        table.row(["channel".to_owned(), channel.to_string()]);
    }
    if let Some(route) = &view.route {
        table.row(["route".to_owned(), text::route(route)]);
    }
    let protection = if view.kill_switch {
        "kill switch on"
    } else {
        "kill switch OFF: without a tunnel, traffic leaves in the clear"
    };
    table.row(["protected", protection]);
    Page::of(&UpEvent::Up(Box::new(view.clone())), sentence)
        .table(&table)
        .next("warren status")
        .next("warren down")
}

pub(super) async fn down(desk: &mut Desk<'_>, args: &DownArgs) -> Told {
    let client = desk.client()?;
    let process = client.process().await;
    desk.screen.doing("settling the session");
    let request = DownRequest {
        keep_blocked: args.keep_blocked,
    };
    let report = client.down(&request).await;
    if args.daemon {
        // The node ends whether or not there was a tunnel to take down.
        let ended = client.shutdown().await.map_err(|it| it.problem())?;
        desk.screen.doing("waiting for the daemon to end");
        let gone = ending::gone(process).await;
        let sentence = format!(
            "The daemon has ended; {} sessions closed on the way.",
            ended.sessions_closing
        );
        return match report.map_err(|it| it.problem()) {
            Ok(it) => gone.map(|()| down_page(&it).line(&sentence)),
            Err(problem) if problem.is(ErrorCode::NotUp) => {
                gone.map(|()| Page::of(&ended, &sentence))
            }
            // It ends all the same; what was not taken back is said, and is `recover`'s to take.
            Err(problem) => {
                let seen = format!("{} (the daemon ends all the same)", problem.seen);
                Err(Problem { seen, ..problem }.with_next("warren recover"))
            }
        };
    }
    Ok(down_page(&report.map_err(|it| ClientError::problem(&it))?))
}

fn down_page(report: &DownReport) -> Page {
    let used = report
        .used
        .up_bytes
        .bytes()
        .saturating_add(report.used.down_bytes.bytes());
    let kept = report
        .channel_keeps
        .as_ref()
        .map_or_else(String::new, |it| {
            format!(" The channel keeps {it} for next time.")
        });
    if report.session == SessionId::from_bytes([0; 16]) {
        let page = Page::of(report, "No session ran.");
        return if report.still_blocked {
            page.line("Nothing goes out: the kill switch is still on.")
                .next("warren down")
        } else {
            page.line(
                "What was blocked is free again; firewall, routes and resolver are as they were.",
            )
        };
    }
    let sentence = format!(
        "Session {} is closed: {} in {}, paid {}.{kept}",
        report.session.short(),
        text::bytes(used),
        text::span(report.served_secs),
        report.paid
    );
    let page = Page::of(report, sentence);
    if report.still_blocked {
        return page
            .line("Nothing goes out: the kill switch is still on.")
            .next("warren up")
            .next("warren down");
    }
    page.line("Routes, resolver and firewall are as they were before.")
}

fn country(text: Option<&str>) -> Result<Option<CountryCode>, Problem> {
    let Some(text) = text else {
        return Ok(None);
    };
    let code = text.to_ascii_uppercase().parse();
    code.map(Some).map_err(|_| {
        Problem::new(ErrorCode::BadRequest, format!("`{text}` is no country"))
            .with_next("two letters as in ISO 3166, such as --country DE")
    })
}

#[cfg(test)]
mod tests;
