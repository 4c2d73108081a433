//! `warren channel …`, `warren earn`, `warren ledger`: money.

use warren_daemon::api::Client;
use warren_daemon::api::types::{
    ChannelCloseRequest, ChannelList, ChannelOpenRequest, ChannelRole, ChannelState,
    ChannelTopUpRequest, ChannelView, ClaimReport, Earnings, Ledger, LedgerQuery,
    TransactionReport,
};
use warren_daemon::error::{ErrorCode, Problem};

use super::{Desk, Told, route};
use crate::args::{ChannelVerb, LedgerArgs};
use crate::page::Page;
use crate::table::Table;
use crate::text;

pub(super) async fn channel(desk: &mut Desk<'_>, verb: &ChannelVerb) -> Told {
    let client = desk.client()?;
    match verb {
        ChannelVerb::Ls => Ok(list_page(&list(&client).await?)),
        ChannelVerb::Routes => route::list(&client).await,
        ChannelVerb::Routers => {
            desk.screen.doing("asking the network for routers");
            route::routers(&client).await
        }
        ChannelVerb::Show { id } => Ok(show_page(&find(&client, id).await?)),
        ChannelVerb::Open {
            payee,
            router,
            deposit,
            window,
        } => {
            let request = ChannelOpenRequest {
                payee: router.clone().or_else(|| payee.clone()).unwrap_or_default(),
                router: router.is_some(),
                deposit: deposit.clone(),
                close_window_secs: window.map(|hours| hours.saturating_mul(3600)),
            };
            desk.screen.doing("opening the channel");
            let report = client.open(&request).await.map_err(|it| it.problem())?;
            Ok(transaction_page(&report).next("warren channel ls"))
        }
        ChannelVerb::Topup { id, amount } => {
            let channel = find(&client, id).await?;
            let request = ChannelTopUpRequest {
                amount: amount.clone(),
            };
            desk.screen.doing("depositing");
            let report = client.top_up(channel.id, &request).await;
            let report = report.map_err(|it| it.problem())?;
            Ok(transaction_page(&report).next("warren channel ls"))
        }
        ChannelVerb::Close { id, now } => {
            let channel = find(&client, id).await?;
            desk.screen
                .doing(if *now || channel.role == ChannelRole::Payee {
                    "closing the channel"
                } else {
                    "asking the payee, then closing the channel"
                });
            let request = ChannelCloseRequest { now: *now };
            let report = client.close(channel.id, &request).await;
            let report = report.map_err(|it| it.problem())?;
            Ok(transaction_page(&report).next("warren channel ls"))
        }
        ChannelVerb::Claim { id: Some(id) } => {
            let channel = find(&client, id).await?;
            desk.screen.doing("claiming");
            let report = client.claim(channel.id).await.map_err(|it| it.problem())?;
            Ok(transaction_page(&report).next("warren earn"))
        }
        ChannelVerb::Claim { id: None } => claim_all(desk, &client).await,
    }
}

async fn list(client: &Client) -> Result<ChannelList, Problem> {
    client.channels().await.map_err(|it| it.problem())
}

/// The one channel whose id begins with `text`.
async fn find(client: &Client, text: &str) -> Result<ChannelView, Problem> {
    let wanted = text.trim_start_matches("0x").to_ascii_lowercase();
    let channels = list(client).await?.channels;
    let known = channels.len();
    let mut found = channels.into_iter().filter(|it| {
        it.id
            .to_string()
            .trim_start_matches("0x")
            .starts_with(&wanted)
    });
    match (found.next(), found.next()) {
        (Some(it), None) => Ok(it),
        (Some(_), Some(_)) => {
            let seen = format!("`{text}` begins the id of more than one channel");
            Err(Problem::new(ErrorCode::BadRequest, seen).with_next("warren channel ls"))
        }
        (None, _) => {
            let seen = format!("none of {known} channels has an id that begins with `{text}`");
            Err(Problem::new(ErrorCode::NotFound, seen).with_next("warren channel ls"))
        }
    }
}

async fn claim_all(desk: &mut Desk<'_>, client: &Client) -> Told {
    desk.screen.doing("claiming");
    let report = client.claim_all().await.map_err(|it| it.problem())?;
    Ok(claims_page(&report).next("warren earn"))
}

fn claims_page(report: &ClaimReport) -> Page {
    let mut table = Table::new(&["CHANNEL", "AMOUNT", "TRANSACTION"]);
    for it in &report.claims {
        let problem = it.problem.as_ref();
        let problem = problem.map(|it| format!("{} {}: {}", it.code, it.meaning, it.seen));
        table.row([
            it.channel.short(),
            it.amount.to_string(),
            it.transaction
                .map(|it| it.to_string())
                .or(problem)
                .unwrap_or_default(),
        ]);
    }
    Page::of(report, format!("{}.", report.text)).table(&table)
}

fn list_page(list: &ChannelList) -> Page {
    let mut table = Table::new(&[
        "CHANNEL", "ROLE", "STATE", "DEPOSIT", "PAID", "CLAIMED", "LEFT", "ROUTER",
    ]);
    for it in &list.channels {
        table.row([
            it.id.short(),
            format!("{:?}", it.role).to_lowercase(),
            format!("{:?}", it.state).to_lowercase(),
            it.deposit.to_string(),
            it.paid.to_string(),
            it.claimed.to_string(),
            it.left.to_string(),
            it.router.map_or_else(|| "-".to_owned(), |it| it.short()),
        ]);
    }
    let open = list
        .channels
        .iter()
        .filter(|it| it.state == ChannelState::Open)
        .count();
    let sentence = format!("{} channels, {open} of them open.", list.channels.len());
    Page::of(list, sentence).table(&table)
}

fn show_page(it: &ChannelView) -> Page {
    let mut table = Table::new(&[]);
    table.row(["payer".to_owned(), it.payer.to_string()]);
    table.row(["payee".to_owned(), it.payee.to_string()]);
    if let Some(peer) = it.peer {
        table.row(["node".to_owned(), peer.to_string()]);
    }
    table.row(["deposit".to_owned(), it.deposit.to_string()]);
    table.row(["paid".to_owned(), it.paid.to_string()]);
    table.row(["claimed".to_owned(), it.claimed.to_string()]);
    table.row(["left".to_owned(), it.left.to_string()]);
    table.row([
        "close window".to_owned(),
        text::span(u64::from(it.close_window_secs)),
    ]);
    if let Some(at) = it.closes_at {
        table.row(["closes at".to_owned(), at.to_string()]);
    }
    let sentence = format!(
        "Channel {} is {}.",
        it.id,
        format!("{:?}", it.state).to_lowercase()
    );
    let one = ChannelList {
        channels: vec![it.clone()],
    };
    Page::of(&one, sentence).table(&table).next("warren ledger")
}

pub(super) fn transaction_page(report: &TransactionReport) -> Page {
    let mut page = Page::of(report, report.text.clone());
    if let Some(fee) = &report.fee {
        page = page.line(format!("  gas          {fee}"));
    }
    if let Some(most) = &report.fee_at_most {
        page = page.line(format!("  at most      {most}"));
    }
    match report.transaction {
        Some(tx) => page.line(format!("  transaction  {tx}")),
        None => page,
    }
}

pub(super) async fn earn(desk: &Desk<'_>) -> Told {
    let earnings = desk.client()?.earn().await.map_err(|it| it.problem())?;
    Ok(earn_page(&earnings))
}

/// Whether it is better to claim now or later, as the daemon sees it.
fn by_itself(it: &Earnings) -> String {
    match (it.claims_due, it.claims) {
        (0, _) => {
            "nothing is claimed by itself until that is worth it (chain.claim_factor).".to_owned()
        }
        (due, all) if due == all => "the daemon is about to.".to_owned(),
        (due, all) => format!("{due} of {all} channels are worth it, and the daemon is about to."),
    }
}

/// Said where several claims share one.
fn in_transactions(it: &Earnings) -> String {
    match it.claim_transactions {
        some if some == it.claims => String::new(),
        1 => ", all in one transaction".to_owned(),
        some => format!(", in {some} transactions"),
    }
}

fn earn_page(it: &Earnings) -> Page {
    let fee = match (&it.claim_fee, it.claims) {
        (Some(fee), 1..) => format!(
            " Claiming all now costs about {fee} of gas{}; {}",
            in_transactions(it),
            by_itself(it)
        ),
        _ => String::new(),
    };
    let routed = if it.passed_on.base_units.wei() > 0 {
        format!(" {} of it was passed on to exits.", it.passed_on)
    } else {
        String::new()
    };
    let sentence = format!(
        "{} earned, {} claimed, {} claimable; {} guests served since the daemon began.{routed}{fee}",
        it.earned, it.claimed, it.claimable, it.sessions
    );
    let mut table = Table::new(&["CHANNEL", "PAID", "CLAIMED", "STATE"]);
    for channel in &it.channels {
        table.row([
            channel.id.short(),
            channel.paid.to_string(),
            channel.claimed.to_string(),
            format!("{:?}", channel.state).to_lowercase(),
        ]);
    }
    let page = Page::of(it, sentence).table(&table);
    if it.channels.is_empty() {
        page
    } else {
        page.next("warren channel claim")
    }
}

pub(super) async fn ledger(desk: &Desk<'_>, args: &LedgerArgs) -> Told {
    let since = args.since.as_ref().map(|it| it.parse()).transpose();
    let query = LedgerQuery {
        since: since.map_err(|it| Problem::new(ErrorCode::BadRequest, it))?,
        limit: args.limit,
        before: None,
    };
    let ledger = desk
        .client()?
        .whole_ledger(&query)
        .await
        .map_err(|it| it.problem())?;
    if args.csv {
        let csv = ledger_csv(&ledger).map_err(|it| Problem::new(ErrorCode::Internal, it))?;
        return Ok(Page::of(&ledger, csv).verbatim());
    }
    Ok(ledger_page(&ledger))
}

/// RFC 4180, with a header. Amounts are base units: `gas` and `coin` of the chain's coin, all others
/// of the token.
fn ledger_csv(ledger: &Ledger) -> Result<String, csv::Error> {
    let mut out = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    let header = [
        "number",
        "at",
        "kind",
        "from",
        "to",
        "base_units",
        "unit",
        "channel",
        "transaction",
    ];
    out.write_record(header)?;
    for it in &ledger.entries {
        let kind = serde_json::to_value(it.kind).ok();
        let kind = kind.and_then(|it| it.as_str().map(str::to_owned));
        out.write_record([
            it.number.to_string(),
            it.at.to_string(),
            kind.unwrap_or_default(),
            it.from.clone(),
            it.to.clone(),
            it.amount.base_units.to_string(),
            it.amount.unit.clone(),
            it.channel.map_or_else(String::new, |it| it.to_string()),
            it.transaction.map_or_else(String::new, |it| it.to_string()),
        ])?;
    }
    let bytes = out
        .into_inner()
        .map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn ledger_page(ledger: &Ledger) -> Page {
    let mut table = Table::new(&["WHEN", "WHAT", "AMOUNT", "CHANNEL", "SESSION"]);
    for it in &ledger.entries {
        table.row([
            it.at.to_string(),
            format!("{:?}", it.kind).to_lowercase(),
            it.amount.to_string(),
            it.channel.map_or_else(String::new, |it| it.short()),
            it.session.map_or_else(String::new, |it| it.short()),
        ]);
    }
    let sentence = format!(
        "{} entries: paid {} for sessions, earned {}.",
        ledger.entries.len(),
        ledger.paid,
        ledger.earned
    );
    Page::of(ledger, sentence).table(&table)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_earned_before_the_daemon_began_is_not_said_to_come_of_no_session() {
        let money = |text: &str| json!({ "value": text, "unit": "WRN", "base_units": "7" });
        let earnings = json!({
            "earned": money("3"), "claimed": money("1"), "claimable": money("2"), "passed_on":
            { "value": "0", "unit": "WRN", "base_units": "0" },
            "claim_fee": null, "sessions": 0, "channels": [],
        });
        let earnings: Earnings = serde_json::from_value(earnings).expect("earnings");
        let text = earn_page(&earnings).text();
        assert!(
            text.starts_with("3 WRN earned, 1 WRN claimed, 2 WRN claimable; 0 guests served since the daemon began."),
            "{text}"
        );
    }
}
