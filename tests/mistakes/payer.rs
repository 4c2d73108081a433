//! Somebody who pays: opens a real channel to a node, so that there is money to lose.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;
use warren::faucet;
use warren_payments::chain::Chain;
use warren_payments::chain::rpc::RpcChain;
use warren_payments::store::MemoryStore;
use warren_payments::wallet::Wallet;
use warren_payments::{Payments, PaymentsConfig};
use warren_proto::{Amount, PayoutAddress};

use crate::devchain::Pins;
use crate::home::{Home, until};

/// What the channel holds: three tokens, and the coins for gas.
const DEPOSIT_WEI: u128 = 3_000_000_000_000_000_000;
const DAY: Duration = Duration::from_secs(86_400);

/// Opens a channel to the node of `home`, whose daemon runs, and waits until both the chain and the node have it.
pub(crate) fn opens_a_channel(home: &Home, pins: &Pins) {
    opens_on_chain(home, pins);
    knows_its_channel(home);
}

/// Opens a channel to the node of `home`, whose daemon runs, and waits until the chain has it.
pub(crate) fn opens_on_chain(home: &Home, pins: &Pins) {
    let wallet = home.ask(&["wallet", "show"]).data();
    let payee = wallet["address"].as_str().expect("an address");
    let payee: PayoutAddress = payee.parse().expect("an address");
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let wallet = Wallet::generate().expect("a wallet");
        let (to, wei) = (wallet.account(), DEPOSIT_WEI);
        faucet::ask(&pins.url, to, wei, wei).await.expect("money");
        let chain = RpcChain::connect(&pins.url, pins.chain_ref()).await;
        let chain: Arc<dyn Chain> = Arc::new(chain.expect("a chain"));
        while chain.token_balance(to).await.expect("a balance") == Amount::ZERO {
            tokio::task::yield_now().await; // The next block has it.
        }
        let config = PaymentsConfig {
            confirmations: 1,
            poll: Duration::from_millis(100),
            ..PaymentsConfig::default()
        };
        let started = Payments::start(chain, Arc::new(MemoryStore::default()), wallet, config);
        let (payments, _events) = started.expect("payments");
        let deposit = Amount::from_wei(DEPOSIT_WEI).expect("an amount");
        let channel = payments.open_channel(payee, deposit, DAY).await;
        let usable = payments.wait_usable(channel.expect("a channel")).await;
        usable.expect("a deposit on chain");
    });
}

/// Waits until the node knows of the one channel that pays it, and of all of its deposit.
pub(crate) fn knows_its_channel(home: &Home) {
    until("the node to know its channel", || {
        let told = home.ask(&["channel", "ls"]).data();
        let is_there = |it: &Value| it["state"] == "open" && it["deposit"]["value"] == "3";
        match told["channels"].as_array() {
            Some(list) if list.len() == 1 && list.iter().all(is_there) => Ok(()),
            _ => Err(told.to_string()),
        }
    });
}
