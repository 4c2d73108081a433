//! `warren status --check`: whether a node is fit for something, as one line and a number.
//!
//! Sans-IO. What strangers' sessions suggest, and what a check of the net suspects, makes nothing unfit: otherwise
//! anybody could have somebody else's container restarted.

use serde_json::json;
use warren_daemon::api::types::{ConsumerState, ExitStatus, Status};
use warren_daemon::error::ExitCode;
use warren_proto::Amount;

use crate::args::HealthCheck;
use crate::page::Page;

/// One line, and [`ExitCode::Degraded`] if `status` is not fit for `check`.
pub(super) fn health(status: &Status, check: HealthCheck) -> Page {
    let lacks = match check {
        HealthCheck::Live => Vec::new(), // It answered.
        HealthCheck::Ready => ready(status),
        HealthCheck::Exit => exit(status),
        HealthCheck::Tunnel => tunnel(status),
    };
    let name = name(check);
    let json = json!({
        "schema": "warren.health/v1", "check": name, "healthy": lacks.is_empty(), "lacks": lacks,
    });
    if lacks.is_empty() {
        return Page::raw(json, format!("{name}: yes"));
    }
    Page::raw(json, format!("{name}: no: {}", lacks.join("; "))).ends_with(ExitCode::Degraded)
}

const fn name(check: HealthCheck) -> &'static str {
    match check {
        HealthCheck::Live => "live",
        HealthCheck::Ready => "ready",
        HealthCheck::Exit => "exit",
        HealthCheck::Tunnel => "tunnel",
    }
}

fn ready(status: &Status) -> Vec<String> {
    let mut lacks = Vec::new();
    if status.overlay.peers == 0 {
        lacks.push("no peer is connected".to_owned());
    }
    lacks.extend(disk(status));
    lacks.extend(chain(status));
    lacks
}

fn exit(status: &Status) -> Vec<String> {
    let Some(exit) = status.exit.as_ref().filter(|it| it.enabled) else {
        return vec!["this node is no exit now".to_owned()];
    };
    let mut lacks = Vec::new();
    if let Some(it) = &exit.hindered {
        lacks.push(format!("{} {}: {}", it.code, it.meaning, it.seen));
    }
    lacks.extend(disk(status));
    if !is_free(exit) {
        lacks.extend(chain(status));
    }
    lacks
}

fn tunnel(status: &Status) -> Vec<String> {
    let lack = match status.consumer.as_ref().map(|it| it.state) {
        Some(ConsumerState::Active) => return Vec::new(),
        Some(ConsumerState::Stalled) => "the tunnel carries nothing now",
        Some(
            ConsumerState::Choosing
            | ConsumerState::Negotiating
            | ConsumerState::Funding
            | ConsumerState::Connecting,
        ) => "a tunnel is coming up",
        None if status.choosing => "an exit is looked for",
        Some(ConsumerState::Closed) | None => "no tunnel is up",
    };
    vec![lack.to_owned()]
}

/// Without a chain nobody pays, so nothing is old.
fn chain(status: &Status) -> Option<String> {
    let stale = status.chain.as_ref().is_some_and(|it| !it.fresh);
    stale.then(|| "the chain's news are too old to decide about money".to_owned())
}

fn disk(status: &Status) -> Option<String> {
    let full = !status.store.takes_liabilities;
    full.then(|| "the disk is too full for new channels and guests".to_owned())
}

fn is_free(exit: &ExitStatus) -> bool {
    let price = &exit.price;
    [&price.per_gib, &price.per_minute]
        .iter()
        .all(|it| it.base_units == Amount::ZERO)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use warren_daemon::error::{ErrorCode, Problem};

    use super::super::tests::status;
    use super::*;

    fn said(status: &Status, check: HealthCheck) -> (u8, String) {
        let page = health(status, check);
        assert_eq!(page.text().lines().count(), 1, "{}", page.text());
        let healthy = format!("\"healthy\":{}", page.exit() == 0);
        assert!(page.json().contains(&healthy), "{}", page.json());
        (page.exit(), page.text())
    }

    fn fit() -> Status {
        let mut status = status(Some("active"), true);
        status.overlay.peers = 1;
        status
    }

    fn old_chain() -> Option<warren_daemon::api::types::ChainView> {
        let address = format!("0x{}", "05".repeat(20));
        let chain = json!({ "chain_id": 1, "contract": address, "head_block": null, "head_time": null,
            "fresh": false, "must_agree": 1, "endpoints": [] });
        Some(serde_json::from_value(chain).expect("a chain"))
    }

    fn exit_at(per_minute: &str) -> Option<ExitStatus> {
        let money = |n: &str| json!({ "value": n, "unit": "WRN", "base_units": n });
        let exit = json!({
            "enabled": true, "since": null, "policy": { "name": "all", "hash": "00".repeat(32) },
            "consent": null, "price": { "per_gib": money("0"), "per_minute": money(per_minute) },
            "at_risk": money("0"), "region": null, "endpoints": [], "offer": null,
            "offer_valid_until": null, "guests_max": 8, "offload": null, "guests": [],
            "rates": { "guest_kbit": null, "line_kbit": null, "delayed_packets": 0, "dropped_packets": 0 },
            "earned": money("0"), "claimable": money("0"),
        });
        Some(serde_json::from_value(exit).expect("an exit"))
    }

    #[test]
    fn a_node_is_ready_with_peers_a_disk_and_a_chain_that_is_fresh() {
        assert_eq!(said(&fit(), HealthCheck::Ready).0, 0);
        let (mut alone, mut full, mut old) = (fit(), fit(), fit());
        alone.overlay.peers = 0;
        full.store.takes_liabilities = false;
        old.chain = old_chain();
        for (unfit, lack) in [(alone, "no peer"), (full, "disk"), (old, "chain")] {
            let (code, text) = said(&unfit, HealthCheck::Ready);
            assert_eq!(code, 12);
            assert!(text.contains(lack), "{text}");
            assert_eq!(said(&unfit, HealthCheck::Live).0, 0);
        }
    }

    #[test]
    fn an_exit_is_fit_that_is_on_and_whose_guests_packets_pass() {
        let mut status = fit();
        assert_eq!(said(&status, HealthCheck::Exit).0, 12);
        status.exit = exit_at("0");
        assert_eq!(said(&status, HealthCheck::Exit).0, 0);
        status.chain = old_chain();
        assert_eq!(
            said(&status, HealthCheck::Exit).0,
            0,
            "a free exit needs no chain"
        );
        status.exit = exit_at("1");
        assert_eq!(said(&status, HealthCheck::Exit).0, 12);
        status.chain = None;
        if let Some(exit) = &mut status.exit {
            exit.hindered = Some(Problem::new(ErrorCode::ForwardDropped, "policy DROP"));
        }
        let (code, text) = said(&status, HealthCheck::Exit);
        assert!(code == 12 && text.contains("W2107"), "{text}");
    }

    #[test]
    fn a_tunnel_is_fit_while_it_carries() {
        assert_eq!(said(&fit(), HealthCheck::Tunnel).0, 0);
        for state in ["stalled", "closed", "connecting"] {
            assert_eq!(said(&status(Some(state), true), HealthCheck::Tunnel).0, 12);
        }
        assert_eq!(said(&status(None, false), HealthCheck::Tunnel).0, 12);
    }
}
