//! `warren exit …`: lending.

use warren_daemon::api::types::{
    ExitCheck, ExitEnableRequest, ExitGuests, ExitStatus, ExitTerms, ExitTermsQuery, GuestView,
    KickRequest, RatesView,
};
use warren_daemon::error::{ErrorCode, Problem};

use super::net::{checks, finish, verdict};
use super::{Desk, Told};
use crate::args::{EnableArgs, ExitVerb};
use crate::page::Page;
use crate::table::Table;
use crate::text;

pub(super) async fn run(desk: &mut Desk<'_>, verb: &ExitVerb) -> Told {
    let client = desk.client()?;
    match verb {
        ExitVerb::Check => {
            desk.screen.doing("checking this machine");
            Ok(check_page(
                &client.exit_check().await.map_err(|it| it.problem())?,
            ))
        }
        ExitVerb::Enable(args) => enable(desk, args).await,
        ExitVerb::Disable => {
            let status = client.exit_disable().await.map_err(|it| it.problem())?;
            let sentence = "Nothing is shared any more, after a restart neither: the offer is withdrawn, sessions are \
                 settled.";
            Ok(Page::of(&status, sentence).next("warren earn"))
        }
        ExitVerb::Status => Ok(status_page(
            &client.exit_status().await.map_err(|it| it.problem())?,
        )),
        ExitVerb::Guests => Ok(guests_page(
            &client.exit_guests().await.map_err(|it| it.problem())?,
        )),
        ExitVerb::Kick { guest } => {
            let request = KickRequest {
                guest: guest.clone(),
            };
            let kicked = client.exit_kick(&request).await;
            let kicked = kicked.map_err(|it| it.problem())?;
            let sentence = format!(
                "The session of {} is ended. It may ask again: exit.guests_banned keeps it out.",
                kicked.node.short()
            );
            let next = format!("warren config explain {BANNED}");
            Ok(Page::of(&kicked, sentence).next(next))
        }
    }
}

const BANNED: &str = "exit.guests_banned";

fn guests_page(it: &ExitGuests) -> Page {
    let who = match (it.allowed.len(), it.banned.len()) {
        (0, 0) => "everybody may come".to_owned(),
        (0, banned) => format!("everybody but {banned} may come"),
        (allowed, 0) => format!("nobody but {allowed} may come"),
        (allowed, banned) => format!("nobody but {allowed} may come, and {banned} may not"),
    };
    let sentence = format!("{} guests now; {who}.", it.guests.len());
    let mut page = Page::of(it, sentence).table(&guests(&it.guests));
    for (nodes, what) in [(&it.allowed, "allowed"), (&it.banned, "banned")] {
        page = nodes
            .iter()
            .fold(page, |page, node| page.line(format!("  {what}  {node}")));
    }
    if it.guests.is_empty() {
        return page.next("warren exit status");
    }
    page.next("warren exit kick GUEST")
}

fn check_page(check: &ExitCheck) -> Page {
    let sentence = verdict(&check.checks, "This machine can be an exit.");
    let page = Page::of(check, sentence).table(&checks(&check.checks));
    if check.ready {
        return page.next("warren exit enable");
    }
    finish(page, &check.checks)
}

/// Nothing is shared without the phrase, typed by a person or given to this very run.
async fn enable(desk: &mut Desk<'_>, args: &EnableArgs) -> Told {
    let client = desk.client()?;
    let mut request = ExitEnableRequest {
        policy: args.policy.clone(),
        price_per_gib: args.price.clone(),
        price_per_minute: args.price_per_minute.clone(),
        ..ExitEnableRequest::default()
    };
    if !args.yes {
        let query = ExitTermsQuery {
            policy: args.policy.clone(),
            price_per_gib: args.price.clone(),
            price_per_minute: args.price_per_minute.clone(),
        };
        let terms = client.exit_terms(&query).await.map_err(|it| it.problem())?;
        request.phrase = Some(consent(desk, args, &terms)?);
        request.policy_hash = Some(text::hex(&terms.policy.hash));
    }
    desk.screen.doing("setting up forwarding and the firewall");
    let status = client
        .exit_enable(&request)
        .await
        .map_err(|it| it.problem())?;
    Ok(status_page(&status))
}

fn consent(desk: &mut Desk<'_>, args: &EnableArgs, terms: &ExitTerms) -> Result<String, Problem> {
    let typed = match &args.yes_i_consent {
        Some(phrase) => Some(phrase.clone()),
        None => desk.screen.ask(&question(terms)),
    };
    let missing = |seen: String| {
        let next = again(args, &terms.phrase);
        Problem::new(ErrorCode::ConsentNeeded, seen).with_next(next)
    };
    match typed {
        Some(phrase) if phrase == terms.phrase => Ok(phrase),
        Some(phrase) => Err(missing(format!(
            "`{phrase}` was typed where `{}` is asked for",
            terms.phrase
        ))),
        None => Err(missing(
            "nobody sits at this terminal to be asked".to_owned(),
        )),
    }
}

/// What agrees to the very policy and prices that were asked for.
fn again(args: &EnableArgs, phrase: &str) -> String {
    let mut line = "warren exit enable".to_owned();
    for (flag, value) in [
        ("--policy", &args.policy),
        ("--price", &args.price),
        ("--price-per-minute", &args.price_per_minute),
    ] {
        if let Some(value) = value {
            line.push_str(&format!(" {flag} {value}"));
        }
    }
    line + " --yes-i-consent " + phrase
}

fn question(terms: &ExitTerms) -> String {
    format!(
        "Strangers will reach the internet through your line, under your address.\n\n\
         Policy {}: {}\nPrice: {}. Guests at most: {}.\n\n\
         To agree, type the name of this machine ({}):",
        terms.policy.name,
        terms.policy_text.trim_end(),
        text::price(&terms.price),
        terms.guests_max,
        terms.phrase
    )
}

/// What guests are held to. `None` if to nothing.
fn rates(rates: &RatesView) -> Option<String> {
    let each = rates.guest_kbit.map(|it| format!("{it} kbit/s a guest"));
    let all = rates.line_kbit.map(|it| format!("{it} kbit/s together"));
    let held: Vec<_> = each.into_iter().chain(all).collect();
    (!held.is_empty()).then(|| {
        format!(
            "{}, each way; {} packets waited, {} could not",
            held.join(", "),
            rates.delayed_packets,
            rates.dropped_packets
        )
    })
}

fn guests(guests: &[GuestView]) -> Table {
    let mut table = Table::new(&["GUEST", "STATE", "USED", "DUE", "PAID", "AT RISK"]);
    for it in guests {
        let used = it
            .used
            .up_bytes
            .bytes()
            .saturating_add(it.used.down_bytes.bytes());
        table.row([
            it.node.short(),
            format!("{:?}", it.state).to_lowercase(),
            text::bytes(used),
            it.due.to_string(),
            it.paid.to_string(),
            it.at_risk.to_string(),
        ]);
    }
    table
}

fn status_page(status: &ExitStatus) -> Page {
    if !status.enabled {
        return Page::of(status, "Nothing is shared.").next("warren exit check");
    }
    let mut table = Table::new(&[]);
    table.row(["price".to_owned(), text::price(&status.price)]);
    table.row(["policy".to_owned(), status.policy.name.clone()]);
    table.row([
        "at risk".to_owned(),
        format!(
            "per guest at most {} served unpaid, and 1 in 64 of what it paid, for what is lost on the way",
            status.at_risk
        ),
    ]);
    if let Some(region) = &status.region {
        table.row(["where".to_owned(), text::place(region)]);
    }
    if let Some(until) = status.offer_valid_until {
        table.row([
            "offer".to_owned(),
            format!("published, holds until {until}"),
        ]);
    }
    table.row([
        "earned".to_owned(),
        format!("{}, claimable {}", status.earned, status.claimable),
    ]);
    if let Some(rates) = rates(&status.rates) {
        table.row(["rates".to_owned(), rates]);
    }
    if let Some(offload) = &status.offload {
        table.row(["packets".to_owned(), text::offload(offload)]);
    }
    if let Some(dropped) = text::dropped(&status.dropped) {
        table.row(["dropped".to_owned(), dropped]);
    }
    let sentence = format!(
        "This line is shared with {} of at most {} guests.",
        status.guests.len(),
        status.guests_max
    );
    let page = Page::of(status, sentence)
        .table(&table)
        .table(&guests(&status.guests));
    let troubles = [&status.hindered, &status.unreached];
    let page = troubles.into_iter().flatten().fold(page, Page::warn);
    page.next("warren earn").next("warren exit disable")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_for_a_guest_says_all_that_it_may_cost() {
        let money =
            |text: &str| serde_json::json!({ "value": text, "unit": "WRN", "base_units": "1" });
        let status = serde_json::json!({
            "enabled": true, "since": null, "policy": { "name": "web+dns", "hash": "00".repeat(32) },
            "consent": null, "price": { "per_gib": money("0.002"), "per_minute": money("0") },
            "at_risk": money("0.0005"), "region": null, "endpoints": [], "offer": null,
            "offer_valid_until": null, "guests_max": 8, "offload": null, "guests": [],
            "rates": { "guest_kbit": null, "line_kbit": null, "delayed_packets": 0, "dropped_packets": 0 },
            "earned": money("0"), "claimable": money("0"),
        });
        let status: ExitStatus = serde_json::from_value(status).expect("a status");
        let text = status_page(&status).text();
        let bound = "per guest at most 0.0005 WRN served unpaid, and 1 in 64 of what it paid";
        assert!(text.contains(bound), "{text}");
    }

    #[test]
    fn who_may_come_is_said_with_the_guests() {
        let node = warren_proto::NodeId::from_bytes([7; 32]);
        let page = |allowed, banned| {
            let guests = Vec::new();
            let it = ExitGuests {
                guests,
                allowed,
                banned,
            };
            guests_page(&it).text()
        };
        assert!(page(vec![], vec![]).contains("everybody may come"));
        let friends = page(vec![node], vec![]);
        assert!(friends.contains("nobody but 1 may come") && friends.contains(&node.to_string()));
    }

    #[test]
    fn what_is_to_be_typed_agrees_to_no_other_policy_and_no_other_price() {
        let mut args = EnableArgs {
            policy: None,
            price: None,
            price_per_minute: None,
            yes_i_consent: None,
            yes: false,
        };
        let said = again(&args, "here");
        assert_eq!(said, "warren exit enable --yes-i-consent here");
        args.policy = Some("web+dns".to_owned());
        args.price = Some("0.5".to_owned());
        args.price_per_minute = Some("0".to_owned());
        assert_eq!(
            again(&args, "here"),
            "warren exit enable --policy web+dns --price 0.5 --price-per-minute 0 --yes-i-consent here"
        );
    }
}
