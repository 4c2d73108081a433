//! `warren wallet …`: made, shown, written down and restored on this machine; the words never travel.

use std::io::Read;

use serde_json::json;
use warren_daemon::error::{ErrorCode, Problem, machine};
use warren_daemon::passphrase;
use warren_payments::wallet::Wallet;
use warren_payments::wallet::file;

use super::{Desk, Told, pot};
use crate::args::WalletVerb;
use crate::page::Page;
use crate::table::Table;

pub(super) async fn run(desk: &mut Desk<'_>, verb: &WalletVerb) -> Told {
    match verb {
        WalletVerb::New(seal) => {
            let wallet = Wallet::generate().map_err(|it| Problem::new(ErrorCode::Internal, it))?;
            let page = make(desk, &wallet, seal.work_factor)?;
            Ok(words(page, &wallet))
        }
        WalletVerb::Restore(seal) => {
            let wallet = Wallet::from_phrase(&typed_words(desk)?);
            let wallet = wallet.map_err(|it| Problem::new(ErrorCode::BadRequest, it))?;
            let page = make(desk, &wallet, seal.work_factor)?;
            Ok(page.line(
                "Its channels are looked for in the last 50 000 blocks; if some are older, set chain.first_block to where they \
                 may begin and restart the daemon.",
            ))
        }
        WalletVerb::Backup => {
            let wallet = open(desk)?;
            let json = json!({ "schema": "warren.wallet-backup/v1", "address": wallet.account(), "words": wallet.phrase() });
            Ok(words(
                Page::raw(json, format!("Wallet {}.", wallet.account())),
                &wallet,
            ))
        }
        WalletVerb::Show => show(desk).await,
        WalletVerb::Beneficiary(args) => pot::beneficiary(desk, args).await,
        WalletVerb::Payout(args) => pot::payout(desk, args).await,
    }
}

fn make(desk: &Desk<'_>, wallet: &Wallet, work_factor: u8) -> Told {
    let config = desk.config()?;
    let path = &config.wallet.file;
    let passphrase = passphrase(&config)?;
    if let Some(parent) = path.parent() {
        let made = std::fs::create_dir_all(parent);
        made.map_err(|it| {
            Problem::new(
                ErrorCode::HomeUnusable,
                format!("{}: {it}", parent.display()),
            )
        })?;
    }
    file::create(path, wallet, &passphrase, work_factor).map_err(|it| machine::wallet(&it))?;
    let json = json!({
        "schema": "warren.wallet-new/v1", "address": wallet.account(), "file": path,
    });
    let sentence = format!(
        "Wallet {} is made, sealed in {}.",
        wallet.account(),
        path.display()
    );
    Ok(Page::raw(json, sentence).next("warren fund"))
}

fn open(desk: &Desk<'_>) -> Result<Wallet, Problem> {
    let config = desk.config()?;
    file::open(&config.wallet.file, &passphrase(&config)?).map_err(|it| machine::wallet(&it))
}

fn words(page: Page, wallet: &Wallet) -> Page {
    page.line("Write these words down and keep them where nobody looks; whoever reads them owns the money:")
        .line(format!("  {}", wallet.phrase()))
}

fn typed_words(desk: &mut Desk<'_>) -> Result<String, Problem> {
    if let Some(line) = desk.screen.ask("The twelve words:") {
        return Ok(line);
    }
    let mut text = String::new();
    let read = std::io::stdin().take(4096).read_to_string(&mut text);
    read.map_err(|it| Problem::new(ErrorCode::BadRequest, it))?;
    Ok(text)
}

async fn show(desk: &Desk<'_>) -> Told {
    let wallet = desk.client()?.wallet().await.map_err(|it| it.problem())?;
    let mut table = Table::new(&[]);
    table.row(["in the wallet".to_owned(), wallet.tokens.to_string()]);
    table.row(["for gas".to_owned(), wallet.coins.to_string()]);
    let (name, way) = match wallet.beneficiary {
        Some(to) => ("in the contract", format!(", for {to} only")),
        None => ("in the contract, free", String::new()),
    };
    table.row([name.to_owned(), format!("{}{way}", wallet.in_contract)]);
    table.row(["in channels".to_owned(), wallet.in_channels.to_string()]);
    table.row(["earned, claimable".to_owned(), wallet.claimable.to_string()]);
    let sentence = format!("Wallet {} on chain {}.", wallet.address, wallet.chain_id);
    Ok(Page::of(&wallet, sentence)
        .table(&table)
        .next("warren channel ls")
        .next("warren fund"))
}
