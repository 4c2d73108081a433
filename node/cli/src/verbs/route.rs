//! `warren channel routes`: payments by way of others, and for others.

use warren_daemon::api::Client;
use warren_daemon::api::types::{NeighbourRole, RouteList, RouterList};

use super::Told;
use crate::page::Page;
use crate::table::Table;
use crate::text;

pub(super) async fn list(client: &Client) -> Told {
    let list = client.routes().await.map_err(|it| it.problem())?;
    Ok(page(&list))
}

pub(super) async fn routers(client: &Client) -> Told {
    let list = client.routers().await.map_err(|it| it.problem())?;
    Ok(routers_page(&list))
}

fn routers_page(it: &RouterList) -> Page {
    if it.routers.is_empty() {
        return Page::of(it, "No router was found.").next("warren net peers");
    }
    let sentence = format!("{} routers; one channel pays every exit.", it.routers.len());
    let mut table = Table::new(&["NODE", "FEE", "EACH LOCK", "CAPACITY"]);
    for it in &it.routers {
        table.row([
            text::typed(&it.node),
            format!("{} ppm", it.fee_ppm),
            it.hold_fee.to_string(),
            format!("2^{} base units", it.capacity_log2),
        ]);
    }
    Page::of(it, sentence)
        .table(&table)
        .next("warren channel open --router auto")
}

fn page(it: &RouteList) -> Page {
    let own = it.router.as_ref().map_or_else(
        || "This node routes for nobody".to_owned(),
        |it| {
            format!(
                "This node routes for {} ppm of each word and {} a lock, {} passed on so far",
                it.fee_ppm, it.hold_fee, it.passed_on
            )
        },
    );
    let sentence = format!(
        "{own}; {} payments under way, {} neighbours.",
        it.routes.len(),
        it.neighbours.len()
    );
    let mut neighbours = Table::new(&["CHANNEL", "NODE", "PAID FOR", "STREAM", "FEE"]);
    for it in &it.neighbours {
        let fee = it.fee_ppm;
        neighbours.row([
            it.channel.short(),
            it.node.short(),
            match it.role {
                NeighbourRole::Router => "this node".to_owned(),
                NeighbourRole::Onward => "others".to_owned(),
            },
            if it.connected { "up" } else { "down" }.to_owned(),
            fee.map_or_else(|| "-".to_owned(), |it| format!("{it} ppm")),
        ]);
    }
    let mut routes = Table::new(&["PAYMENT", "FROM", "TO", "STATE", "WORDS", "EXPIRES"]);
    for it in &it.routes {
        routes.row([
            it.payment.short(),
            it.up.short(),
            it.down.short(),
            it.stage.clone(),
            format!("{} of {}", it.units, it.of_units),
            it.expires.to_string(),
        ]);
    }
    let mut page = Page::of(it, sentence);
    if !it.neighbours.is_empty() {
        page = page.table(&neighbours);
    }
    if !it.routes.is_empty() {
        page = page.table(&routes);
    }
    match &it.router {
        Some(_) => page.next("warren earn"),
        None => page.next("warren config explain router.enabled"),
    }
}
