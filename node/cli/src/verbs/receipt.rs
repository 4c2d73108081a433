//! `warren receipt …`: what paid sessions came to; verifying needs nothing but the file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::Path;

use serde_json::json;
use warren_daemon::api::Client;
use warren_daemon::api::types::{
    MeterView, Money, PaidByView, ReceiptList, ReceiptSide, ReceiptView,
};
use warren_daemon::config::Token;
use warren_daemon::error::{ErrorCode, ExitCode, Problem};
use warren_daemon::receipt::{Signed, Verdict, from_text, verify, view};
use warren_proto::Side;

use super::{Desk, Told};
use crate::args::ReceiptVerb;
use crate::page::Page;
use crate::table::Table;
use crate::text;

/// The longest file that is read: longer ones are no receipts.
const MAX_FILE_BYTES: u64 = 64 * 1024;

pub(super) async fn run(desk: &Desk<'_>, verb: &ReceiptVerb) -> Told {
    match verb {
        ReceiptVerb::Ls => Ok(list_page(&list(&desk.client()?).await?)),
        ReceiptVerb::Show { id } => Ok(show_page(&find(&desk.client()?, id).await?)),
        ReceiptVerb::Export { id, file } => {
            let receipt = find(&desk.client()?, id).await?;
            match file {
                Some(file) => export(&receipt, file),
                None => Ok(Page::of(&receipt, receipt.text.clone()).verbatim()),
            }
        }
        ReceiptVerb::Verify { file } => {
            // Units are for people: without a configuration, base units do.
            let token = desk.config().map(|it| it.token);
            let plain = |_| Token {
                symbol: "base units".to_owned(),
                decimals: 0,
            };
            verified(file, &token.unwrap_or_else(plain))
        }
    }
}

async fn list(client: &Client) -> Result<ReceiptList, Problem> {
    client.receipts().await.map_err(|it| it.problem())
}

/// The one receipt whose session begins with `text`.
async fn find(client: &Client, text: &str) -> Result<ReceiptView, Problem> {
    let one = async |session| client.receipt(session).await.map_err(|it| it.problem());
    if let Ok(session) = text.parse() {
        return one(session).await;
    }
    let wanted = text.to_ascii_lowercase();
    let receipts = list(client).await?.receipts;
    let known = receipts.len();
    let mut found = receipts
        .into_iter()
        .filter(|it| it.session.to_string().starts_with(&wanted));
    match (found.next(), found.next()) {
        (Some(it), None) => one(it.session).await,
        (Some(_), Some(_)) => {
            let seen = format!("`{text}` begins the session of more than one receipt");
            Err(Problem::new(ErrorCode::BadRequest, seen).with_next("warren receipt ls"))
        }
        (None, _) => {
            let seen =
                format!("none of {known} receipts is of a session that begins with `{text}`");
            Err(Problem::new(ErrorCode::NotFound, seen).with_next("warren receipt ls"))
        }
    }
}

fn list_page(list: &ReceiptList) -> Page {
    let mut table = Table::new(&["ENDED", "SESSION", "ROLE", "WITH", "PAID", "SIGNED BY"]);
    for it in &list.receipts {
        let (role, with) = match it.role {
            Some(ReceiptSide::Provider) => ("provider", it.consumer),
            Some(ReceiptSide::Consumer) | None => ("consumer", it.provider),
        };
        table.row([
            it.ended.to_string(),
            it.session.short(),
            role.to_owned(),
            with.short(),
            it.paid.to_string(),
            signers(it).to_owned(),
        ]);
    }
    let whole = list.receipts.iter().filter(|it| it.signed_by.len() == 2);
    let sentence = format!(
        "{} receipts, {} of them signed by both sides.",
        list.receipts.len(),
        whole.count()
    );
    let page = Page::of(list, sentence).table(&table);
    match list.receipts.first() {
        Some(it) => page.next(format!("warren receipt show {}", it.session.short())),
        None => page,
    }
}

fn signers(it: &ReceiptView) -> &'static str {
    match it.signed_by.as_slice() {
        [] => "nobody",
        [ReceiptSide::Consumer] => "the consumer only",
        [ReceiptSide::Provider] => "the provider only",
        [_, _, ..] => "both",
    }
}

fn show_page(it: &ReceiptView) -> Page {
    let sentence = format!(
        "Session {}: {} paid, signed by {}.",
        it.session,
        it.paid,
        signers(it)
    );
    let page = Page::of(it, sentence).table(&facts(it));
    page.next(format!("warren receipt export {} FILE", it.session.short()))
}

fn facts(it: &ReceiptView) -> Table {
    let mut table = Table::new(&[]);
    table.row(["consumer".to_owned(), it.consumer.to_string()]);
    table.row(["provider".to_owned(), it.provider.to_string()]);
    table.row(["offer".to_owned(), it.offer.to_string()]);
    table.row(["terms".to_owned(), it.terms.to_string()]);
    table.row(["from".to_owned(), it.started.to_string()]);
    table.row(["to".to_owned(), it.ended.to_string()]);
    match &it.paid_by {
        PaidByView::Channel(by) => {
            table.row(["channel".to_owned(), by.channel.to_string()]);
            let worth = format!("{}, then {}", by.value_before, by.value_after);
            table.row(["worth before".to_owned(), worth]);
            let voucher = format!("number {}, {} words", by.voucher_seq, it.words);
            table.row(["voucher".to_owned(), voucher]);
        }
        PaidByView::Route(by) => {
            let words = format!("{} words at {}", it.words, it.unit_price);
            table.row(["by a route".to_owned(), words]);
            for lock in &by.locks {
                let words = format!("words {} to {}", u64::from(lock.before) + 1, lock.word);
                table.row(["lock".to_owned(), format!("{}, {words}", lock.anchor)]);
            }
            if by.words_not_shown > 0 {
                let words = format!("{} words of locks before those", by.words_not_shown);
                table.row(["not shown".to_owned(), words]);
            }
        }
    }
    table.row([
        "consumer counted".to_owned(),
        counted(it.consumer_meter.as_ref()),
    ]);
    table.row([
        "provider counted".to_owned(),
        counted(it.provider_meter.as_ref()),
    ]);
    table
}

fn counted(meter: Option<&MeterView>) -> String {
    let Some(it) = meter else {
        return "it did not say".to_owned();
    };
    format!(
        "{} up, {} down, {}: {} words due",
        text::bytes(it.used.up_bytes.bytes()),
        text::bytes(it.used.down_bytes.bytes()),
        text::span(it.served_millis / 1000),
        it.due_units
    )
}

fn export(receipt: &ReceiptView, file: &Path) -> Told {
    let failed = |error: io::Error| {
        let code = if error.kind() == io::ErrorKind::AlreadyExists {
            ErrorCode::FileExists
        } else {
            ErrorCode::FileUnusable
        };
        Problem::new(code, format!("{}: {error}", file.display()))
    };
    let made = OpenOptions::new().write(true).create_new(true).open(file);
    let written = made.and_then(|mut it| it.write_all(receipt.text.as_bytes()));
    written.map_err(failed)?;
    let sentence = format!(
        "The receipt of session {} is in {}.",
        receipt.session,
        file.display()
    );
    Ok(Page::of(receipt, sentence).next(format!("warren receipt verify {}", file.display())))
}

fn read(file: &Path) -> Result<String, Problem> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        io::stdin().take(MAX_FILE_BYTES).read_to_string(&mut text)
    } else {
        File::open(file).and_then(|it| it.take(MAX_FILE_BYTES).read_to_string(&mut text))
    };
    match read {
        Ok(_) => Ok(text),
        Err(error) => {
            let code = if error.kind() == io::ErrorKind::InvalidData {
                ErrorCode::ReceiptUnreadable
            } else {
                ErrorCode::FileUnusable
            };
            Err(Problem::new(code, format!("{}: {error}", file.display())))
        }
    }
}

fn verified(file: &Path, token: &Token) -> Told {
    let receipt = from_text(&read(file)?)?;
    let verdict = verify(&receipt).map_err(|fault| fault.problem())?;
    let shown = view(&receipt, None, token);
    let half = match verdict.signed {
        Signed::Both => None,
        Signed::Only(side) => Some(side),
    };
    let proof = proof(&shown);
    let sentence = match half {
        None => format!(
            "The receipt is good: both sides signed that {} was paid, and {proof}.",
            shown.paid
        ),
        Some(side) => format!(
            "The receipt is half ({}): only the {} signed that {} was paid; {proof}.",
            ErrorCode::ReceiptHalf,
            name(side),
            shown.paid
        ),
    };
    let page = Page::raw(document(&shown, &verdict, token), sentence).table(&facts(&shown));
    match half {
        None => Ok(page),
        Some(_) => Ok(page
            .line(format!("  {}", ErrorCode::ReceiptHalf.explain().cause))
            .next(ErrorCode::ReceiptHalf.explain().remedy)
            .ends_with(ExitCode::Degraded)),
    }
}

/// What the receipt shows beside who signed.
fn proof(it: &ReceiptView) -> String {
    match &it.paid_by {
        PaidByView::Channel(_) => "voucher and words prove it".to_owned(),
        PaidByView::Route(by) if by.words_not_shown == 0 => {
            format!("its {} words open the locks of a route", it.words)
        }
        PaidByView::Route(by) => format!(
            "its {} words open the locks of a route, {} more are said and not shown",
            it.words, by.words_not_shown
        ),
    }
}

const fn name(side: Side) -> &'static str {
    match side {
        Side::Consumer => "consumer",
        Side::Provider => "provider",
    }
}

fn document(shown: &ReceiptView, verdict: &Verdict, token: &Token) -> serde_json::Value {
    let money = |amount| Money::of(amount, token);
    let half = matches!(verdict.signed, Signed::Only(_));
    json!({
        "schema": "warren.receipt-verdict/v1",
        "verified": true,
        "code": half.then(|| ErrorCode::ReceiptHalf.to_string()),
        "paid": money(verdict.paid),
        "words_not_shown": verdict.unshown,
        "due_by_consumer": verdict.due_consumer.map(money),
        "due_by_provider": verdict.due_provider.map(money),
        "receipt": shown,
    })
}
