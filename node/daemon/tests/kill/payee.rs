//! The process that is killed: a provider's money, in the product's own store, asked line by line.

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use warren_daemon::lockfile::HomeLock;
use warren_daemon::store::{Store, StoreSpec};
use warren_payments::chain::rpc::RpcChain;
use warren_payments::{Payments, Wallet};
use warren_proto::{Amount, ChannelId, NodeId, SessionFrame, UnixTime};

use crate::payer::{UNIT, config};

/// `HOME URL CHANNEL`, in the environment of the child.
pub(crate) const ROLE: &str = "WARREN_TEST_PAYEE";
/// The child's wallet.
pub(crate) const PHRASE: &str = "WARREN_TEST_PHRASE";

/// Not a test by itself: answers each line on standard input with one line, until it is killed.
#[tokio::test]
async fn payee_process() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let [home, url, chain, channel] = role.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{role}")
    };
    let channel: ChannelId = channel.parse().unwrap();
    let pins = crate::payer::pins(chain);
    let store = Arc::new(open(Path::new(home)));
    let wallet = Wallet::from_phrase(&std::env::var(PHRASE).unwrap()).unwrap();
    let chain = Arc::new(RpcChain::connect(url, pins).await.unwrap());
    let (payments, _events) = Payments::start(chain, store, wallet, config()).unwrap();
    payments.refresh().await.unwrap();
    let mut out = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let answer = answer(&payments, channel, &line.unwrap()).await;
        writeln!(out, "\n{answer}").unwrap();
        out.flush().unwrap();
    }
}

fn open(home: &Path) -> Store {
    let lock =
        HomeLock::take(home, UnixTime::from_secs(1)).expect("the killed holder holds nothing");
    Store::open(StoreSpec::new(home, NodeId::from_bytes([7; 32])), lock).unwrap()
}

/// `held WEI` once it is on disk, or `refused WHY`.
async fn answer(payments: &Payments, channel: ChannelId, line: &str) -> String {
    let price = Amount::from_wei_u64(UNIT);
    let accepted = match line {
        "begin" => payments
            .begin_session(channel, price)
            .await
            .map_err(|it| it.to_string()),
        "claim" => match payments.claim(channel).await {
            Ok(_) => payments.held(channel).await.map_err(|it| it.to_string()),
            Err(error) => Err(error.to_string()),
        },
        frame => match SessionFrame::decode(&hex::decode(frame).unwrap()).unwrap() {
            SessionFrame::Voucher(it) => payments
                .accept_voucher(it)
                .await
                .map_err(|it| it.to_string()),
            SessionFrame::Word(it) => payments
                .accept_word(channel, it)
                .await
                .map_err(|it| it.to_string()),
            other => panic!("{}", other.name()),
        },
    };
    match accepted {
        Ok(it) => format!("held {}", it.ack.value_now.wei()),
        Err(why) => format!("refused {why}"),
    }
}
