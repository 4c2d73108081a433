//! `warren devchain`, `warren fund`: a chain to try things on, and where money goes in.

use std::time::Duration;

use serde_json::json;
use warren_daemon::api::types::WalletView;
use warren_daemon::error::{ErrorCode, Problem};
use warren_payments::chain::Chain as _;
use warren_payments::chain::dev::{DevChain, DevGenesis, Mining};
use warren_payments::chain::serve::{Timer, serve};

use super::{Desk, Told};
use crate::args::{DevchainArgs, FundArgs};
use crate::faucet;
use crate::node;
use crate::page::Page;
use crate::table::Table;

/// Coins that come with tokens of the faucet, for gas: ten, of 18 decimals.
const GAS_WEI: u128 = 10_000_000_000_000_000_000;

/// Serves until it is interrupted; says where on standard output first.
pub(super) async fn devchain(desk: &mut Desk<'_>, args: &DevchainArgs) -> Told {
    let (mining, timer) = match args.block_ms {
        0 => (Mining::Auto, Timer::Off),
        millis => (Mining::Manual, Timer::Every(Duration::from_millis(millis))),
    };
    let genesis = DevGenesis {
        mining,
        timestamp: node::now(),
        ..DevGenesis::default()
    };
    let chain = DevChain::new(&genesis);
    let pins = chain.chain_ref();
    let served = serve(chain, args.listen, timer).await;
    let served = served.map_err(|it| Problem::new(ErrorCode::PortBusy, it))?;
    let json = json!({
        "schema": "warren.devchain/v1", "url": served.url(), "chain_id": pins.chain_id,
        "contract": pins.contract, "token": pins.token,
    });
    let mut table = Table::new(&[]);
    table.row(["chain.rpc_url".to_owned(), served.url()]);
    table.row(["chain.chain_id".to_owned(), pins.chain_id.to_string()]);
    table.row(["chain.contract".to_owned(), pins.contract.to_string()]);
    table.row(["chain.token".to_owned(), pins.token.to_string()]);
    let page = Page::raw(
        json,
        "A development chain is served; its money is worth nothing.",
    )
    .table(&table)
    .next("warren fund --faucet 100");
    desk.screen.answer(&page);
    warren_daemon::told_to_end().await;
    Ok(Page::raw(
        json!({ "schema": "warren.devchain/v1", "ended": true }),
        "The chain is gone.",
    ))
}

pub(super) async fn fund(desk: &mut Desk<'_>, args: &FundArgs) -> Told {
    let wallet = desk.client()?.wallet().await.map_err(|it| it.problem())?;
    let Some(tokens) = &args.faucet else {
        let sentence = format!(
            "Send money to {} on chain {}.",
            wallet.address, wallet.chain_id
        );
        return Ok(funded(&wallet, sentence));
    };
    let config = desk.config()?;
    let amount = config.token.parse(tokens);
    let amount = amount.map_err(|it| Problem::new(ErrorCode::BadRequest, it))?;
    desk.screen.doing("asking the faucet");
    let chain = config
        .chain
        .as_ref()
        .ok_or_else(|| Problem::new(ErrorCode::ConfigMissing, "chain.rpc_url is not set"))?;
    let url = chain.rpc_urls.first().map_or("", String::as_str);
    faucet::ask(url, wallet.address, GAS_WEI, amount.wei()).await?;
    let sentence = format!(
        "The faucet gave {tokens} tokens, and coins for gas, to {}.",
        wallet.address
    );
    // What there is now, with the gift.
    let wallet = desk.client()?.wallet().await.map_err(|it| it.problem())?;
    Ok(funded(&wallet, sentence))
}

fn funded(wallet: &WalletView, sentence: String) -> Page {
    let mut table = Table::new(&[]);
    table.row(["address".to_owned(), wallet.address.to_string()]);
    table.row(["tokens".to_owned(), wallet.tokens.to_string()]);
    table.row(["coins for gas".to_owned(), wallet.coins.to_string()]);
    table.row(["token contract".to_owned(), wallet.token.to_string()]);
    Page::of(wallet, sentence)
        .table(&table)
        .next("warren wallet show")
        .next("warren up")
}
