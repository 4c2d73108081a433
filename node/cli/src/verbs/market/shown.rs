//! `warren exits show`: one exit, and why it stands where it stands.

use warren_daemon::api::types::ExitShown;
use warren_proto::Amount;

use crate::page::Page;
use crate::table::Table;
use crate::text;

/// All that is known of it; what keeps `up` from it comes first.
pub(super) fn page(it: &ExitShown) -> Page {
    let row = &it.exit;
    let name = text::typed(&row.node);
    let why: Vec<_> = it.left_out.iter().map(|it| it.text.as_str()).collect();
    let sentence = match it.place {
        Some(place) => format!("Exit {name} is tried as number {place} of {}.", it.choice),
        None if why.is_empty() => format!("Exit {name} is not tried."),
        None => format!("Exit {name} is not tried: {}.", why.join("; ")),
    };
    let mut table = Table::new(&[]);
    reasons(it, &mut table);
    table.row(["price".to_owned(), text::price(&row.price)]);
    at_risk(it, &mut table);
    table.row([
        "where".to_owned(),
        format!("{}, as it claims", text::place(&row.region)),
    ]);
    let carries = match (row.ipv4, row.ipv6, row.rootless) {
        (true, true, false) => "IPv4 and IPv6",
        (true, true, true) => "IPv4 and IPv6, TCP and UDP only",
        (true, false, false) => "IPv4",
        (true, false, true) => "IPv4, TCP and UDP only",
        (false, true, false) => "IPv6",
        (false, true, true) => "IPv6, TCP and UDP only",
        (false, false, _) => "it says neither IPv4 nor IPv6",
    };
    table.row(["carries", carries]);
    let policy = format!("{} ({})", row.policy.name, text::hex(&row.policy.hash[..8]));
    table.row(["policy".to_owned(), policy]);
    let places = format!(
        "{} of {} free when it signed",
        row.guests_free, row.guests_max
    );
    table.row(["places".to_owned(), places]);
    table.row(["round trip".to_owned(), text::rtt(row.rtt_millis)]);
    table.row(["seen by", text::seen_by(row.by_dht, row.by_gossip)]);
    table.row(["version", &row.version]);
    paid(it, &mut table);
    let offer = format!(
        "number {}, from {} to {}, {}",
        row.seq, it.issued, row.valid_until, row.offer
    );
    table.row(["offer".to_owned(), offer]);
    for (n, address) in it.addresses.iter().enumerate() {
        table.row([if n == 0 { "addresses" } else { "" }, address]);
    }
    table.row(["node".to_owned(), row.node.to_string()]);
    let page = Page::of(it, sentence).table(&table);
    if it.place.is_none() {
        return page.next("warren exits");
    }
    page.next(format!("warren up {name}"))
}

/// The parts of its score, then their sum.
fn reasons(it: &ExitShown, table: &mut Table) {
    let mut label = "stands by";
    for reason in &it.exit.reasons {
        let text = format!("{:>5} points   {}", reason.points, reason.text);
        table.row([std::mem::take(&mut label), &text]);
    }
    let sum = format!("{:>5} points in all; fewer are better", it.exit.points);
    table.row([label, &sum]);
}

/// A word of a free exit has a worth too, and nobody pays it.
fn at_risk(it: &ExitShown, table: &mut Table) {
    let price = &it.exit.price;
    if [&price.per_gib, &price.per_minute].map(|it| it.base_units) == [Amount::ZERO; 2] {
        table.row(["at risk", "nothing: it is free"]);
        return;
    }
    let words = format!(
        "{} ahead at {} a word, {} served unpaid at first",
        it.prepay_units, it.unit_price, it.credit_units
    );
    table.row(["words".to_owned(), words]);
    let risk = format!(
        "at most {}: {} words paid ahead",
        it.exit.at_risk, it.prepay_units
    );
    table.row(["at risk".to_owned(), risk]);
}

fn paid(it: &ExitShown, table: &mut Table) {
    let Some(chain) = it.chain_id else {
        table.row(["paid", "nothing: it is free and has no chain"]);
        return;
    };
    table.row(["chain".to_owned(), chain.to_string()]);
    table.row(["contract".to_owned(), it.contract.to_string()]);
    table.row(["token".to_owned(), it.token.to_string()]);
    table.row(["payee".to_owned(), it.payee.to_string()]);
    table.row([
        "claims".to_owned(),
        format!("within {}", text::span(it.close_window_secs.into())),
    ]);
}
