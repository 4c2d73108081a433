//! `warren status`.

mod health;

use warren_daemon::api::ClientError;
use warren_daemon::api::types::{
    ChainView, ConsumerState, ConsumerView, EndpointStanding, EndpointView, ExitStatus, RouterView,
    Status,
};

use self::health::health;
use super::{Desk, Told};
use crate::args::StatusArgs;
use crate::page::Page;
use crate::table::Table;
use crate::text;

const BLOCKED: &str =
    "No tunnel is up; your traffic is blocked on purpose until `warren up` or `warren down`.";

pub(super) async fn status(desk: &Desk<'_>, args: &StatusArgs) -> Told {
    let status = desk.client()?.status().await;
    let status = status.map_err(|it| ClientError::problem(&it))?;
    Ok(match args.check {
        Some(check) => health(&status, check),
        None => page(&status),
    })
}

/// What the last session was stays to be read below. Being disconnected is no error: the page says so and the process ends with 0.
fn page(status: &Status) -> Page {
    let sentence = match (&status.consumer, &status.exit) {
        (Some(it), _) => consumer_sentence(it),
        (None, _) if status.choosing => choosing("An exit", status.kill_switch),
        (None, _) if status.kill_switch => BLOCKED.to_owned(),
        (None, Some(it)) if it.enabled => exit_sentence(it),
        (None, Some(_) | None) => "No tunnel is up, and nothing is shared.".to_owned(),
    };
    let mut table = Table::new(&[]);
    table.row(["node".to_owned(), status.node.to_string()]);
    table.row([
        "network".to_owned(),
        format!(
            "{}, {} peers, {} offers known",
            status.network, status.overlay.peers, status.overlay.offers
        ),
    ]);
    if let Some(chain) = &status.chain {
        let head = chain
            .head_block
            .map_or_else(|| "no answer yet".to_owned(), |it| format!("block {it}"));
        let fresh = if chain.fresh {
            ""
        } else {
            ", too old to decide about money"
        };
        table.row([
            "chain".to_owned(),
            format!("{}, {head}{fresh}", chain.chain_id),
        ]);
        endpoint_rows(&mut table, chain);
    }
    if let Some(it) = &status.consumer {
        consumer_rows(&mut table, it);
    }
    if let Some(it) = &status.exit {
        table.row(["exit".to_owned(), exit_sentence(it)]);
        if let Some(offload) = &it.offload {
            table.row(["packets".to_owned(), text::offload(offload)]);
        }
        if let Some(dropped) = text::dropped(&it.dropped) {
            table.row(["dropped".to_owned(), dropped]);
        }
        table.row([
            "earned".to_owned(),
            format!("{}, of it claimable {}", it.earned, it.claimable),
        ]);
    }
    if let Some(it) = &status.router {
        table.row(["router".to_owned(), router(it)]);
    }
    table.row([
        "store".to_owned(),
        format!(
            "{} free, {} batches",
            text::bytes(status.store.free_bytes),
            status.store.batches
        ),
    ]);
    let page = Page::of(status, sentence).table(&table);
    let page = status.warnings.iter().fold(page, Page::warn);
    let over = |it: &ConsumerView| it.state == ConsumerState::Closed;
    match &status.consumer {
        Some(it) if !over(it) => page.next("warren down"),
        None if status.choosing => page.next("warren down"),
        _ if status.kill_switch => page.next("warren up").next("warren down"),
        _ => page.next("warren up").next("warren exits"),
    }
}

/// One row for each endpoint of the chain.
fn endpoint_rows(table: &mut Table, chain: &ChainView) {
    for (at, it) in chain.endpoints.iter().enumerate() {
        let name = if at == 0 {
            format!("asked of {}", chain.endpoints.len())
        } else {
            String::new()
        };
        table.row([name, endpoint(it)]);
    }
    if chain.endpoints.len() > 1 {
        let must = format!("{} of them must say the same", chain.must_agree);
        table.row([String::new(), must]);
    }
}

fn endpoint(it: &EndpointView) -> String {
    let state = match it.state {
        EndpointStanding::Unasked => "not asked yet",
        EndpointStanding::Up => "up",
        EndpointStanding::Down => "DOWN",
        EndpointStanding::Wrong => "ANOTHER CHAIN",
    };
    let mut parts = vec![format!("{} {state}", it.url)];
    parts.extend(it.latency_millis.map(|it| format!("{it} ms")));
    parts.extend(
        it.lag_blocks
            .filter(|it| *it > 0)
            .map(|it| format!("{it} blocks behind")),
    );
    for (count, what) in [(it.errors, "without answer"), (it.overruled, "overruled")] {
        if count > 0 {
            parts.push(format!("{count} of {} {what}", it.asked));
        }
    }
    parts.extend(it.trouble.clone());
    parts.join(", ")
}

fn consumer_sentence(it: &ConsumerView) -> String {
    let place = text::place(&it.region);
    match it.state {
        ConsumerState::Active => format!("You are online through {} in {place}.", it.exit.short()),
        ConsumerState::Stalled => format!(
            "The tunnel through {} carries nothing now; your traffic is {}.",
            it.exit.short(),
            if it.kill_switch {
                "blocked, not leaked"
            } else {
                "NOT blocked: the kill switch is off"
            }
        ),
        ConsumerState::Closed if it.kill_switch => BLOCKED.to_owned(),
        ConsumerState::Closed => "No tunnel is up; nothing is blocked.".to_owned(),
        ConsumerState::Choosing => choosing("Another exit", it.kill_switch),
        ConsumerState::Negotiating | ConsumerState::Funding | ConsumerState::Connecting => {
            "A tunnel is coming up.".to_owned()
        }
    }
}

fn choosing(what: &str, kill_switch: bool) -> String {
    let traffic = if kill_switch {
        "blocked, not leaked,"
    } else {
        "NOT blocked"
    };
    format!("{what} is looked for; your traffic is {traffic} meanwhile.")
}

fn consumer_rows(table: &mut Table, it: &ConsumerView) {
    table.row(["session".to_owned(), it.session.to_string()]);
    table.row(["price".to_owned(), text::price(&it.price)]);
    table.row([
        "used".to_owned(),
        format!(
            "{} down, {} up in {}",
            text::bytes(it.used.down_bytes.bytes()),
            text::bytes(it.used.up_bytes.bytes()),
            text::span(it.served_secs)
        ),
    ]);
    table.row([
        "paid".to_owned(),
        format!(
            "{} of {} due; at risk at most {}; cap {}",
            it.paid, it.due, it.at_risk, it.max_spend
        ),
    ]);
    if let Some(route) = &it.route {
        table.row(["route".to_owned(), text::route(route)]);
    }
    if let Some(tunnel) = &it.tunnel {
        let age = tunnel.handshake_age_secs.map_or_else(
            || "no handshake yet".to_owned(),
            |it| format!("handshake {} ago", text::span(it)),
        );
        table.row([
            "tunnel".to_owned(),
            format!(
                "{} to {}, MTU {}, {age}",
                tunnel.device, tunnel.endpoint, tunnel.mtu
            ),
        ]);
    }
    if let Some(offload) = it.tunnel.as_ref().and_then(|it| it.offload.as_ref()) {
        table.row(["packets".to_owned(), text::offload(offload)]);
    }
    if let Some(dropped) = it.tunnel.as_ref().and_then(|it| text::dropped(&it.dropped)) {
        table.row(["dropped".to_owned(), dropped]);
    }
    let kill_switch = if it.kill_switch {
        "on"
    } else {
        "OFF: without a tunnel, traffic leaves in the clear"
    };
    table.row(["kill switch", kill_switch]);
}

fn router(it: &RouterView) -> String {
    format!(
        "{} ppm and {} a lock; {} passed on, {} left in channels onward of {} allowed; {} of {} locks refused",
        it.fee_ppm, it.hold_fee, it.passed_on, it.bound, it.budget, it.refused, it.asked
    )
}

fn exit_sentence(it: &ExitStatus) -> String {
    if !it.enabled {
        return "off: nothing is shared".to_owned();
    }
    format!(
        "This line is shared: {} of {} guests, policy {}.",
        it.guests.len(),
        it.guests_max,
        it.policy.name
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(consumer: Option<&str>, kill_switch: bool) -> String {
        page(&status(consumer, kill_switch)).text()
    }

    pub(super) fn status(consumer: Option<&str>, kill_switch: bool) -> Status {
        let money = || json!({ "value": "0", "unit": "WRN", "base_units": "0" });
        let consumer = consumer.map(|state| {
            json!({
                "session": "03".repeat(16), "state": state, "exit": "7f".repeat(32),
                "region": { "country": "DE", "city": "" }, "since": "2026-11-22T18:00:00Z",
                "price": { "per_gib": money(), "per_minute": money() },
                "used": { "up_bytes": 0, "down_bytes": 0 }, "served_secs": 0, "due": money(),
                "paid": money(), "at_risk": money(), "max_spend": money(), "channel": null,
                "route": null, "tunnel": null, "kill_switch": kill_switch,
            })
        });
        let status = json!({
            "node": "01".repeat(32), "network": "warren/1", "version": "0.1.0",
            "started": "2026-11-22T18:00:00Z",
            "overlay": { "peers": 0, "offers": 0, "listen": [] }, "chain": null,
            "consumer": consumer, "kill_switch": kill_switch, "exit": null, "router": null,
            "store": { "free_bytes": 0, "takes_liabilities": true, "batches": 0 }, "warnings": [],
        });
        serde_json::from_value(status).expect("a status")
    }

    #[test]
    fn the_first_exit_of_an_up_is_looked_for_and_nobody_is_told_to_type_it_again() {
        for (kill_switch, traffic) in [(true, "blocked, not leaked"), (false, "NOT blocked")] {
            let mut status = status(None, kill_switch);
            status.choosing = true;
            let text = page(&status).text();
            assert!(text.contains("is looked for") && text.contains(traffic));
            assert!(!text.contains("warren up"), "{text}");
        }
    }

    #[test]
    fn what_is_blocked_without_a_tunnel_is_said_with_what_lifts_it() {
        for consumer in [None, Some("closed")] {
            let text = said(consumer, true);
            assert!(text.contains("blocked on purpose"), "{text}");
            assert!(text.contains("warren down"), "{text}");
        }
        assert!(said(Some("choosing"), true).contains("blocked, not leaked"));
        assert!(said(Some("choosing"), false).contains("NOT blocked"));
    }

    #[test]
    fn a_tunnel_that_went_down_is_not_for_ever_going_down() {
        let text = said(Some("closed"), false);
        assert!(text.contains("No tunnel is up"), "{text}");
        assert!(!text.contains("going down") && !text.contains("Next: warren down"));
    }
}
