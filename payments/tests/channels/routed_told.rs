//! A router whose endpoints do not agree on what it is paid for.

use std::sync::Arc;

use ethers_core::utils::keccak256;

use crate::party::{Party, units, wei};
use crate::routed::{claimed, now, open_for_a_day, street, tomorrow, until_claimed};
use crate::street::{HOLD_FEE, UP_PRICE, routing};
use crate::twisted::{Twisted, quorum};

const UNITS: u32 = 200;

fn is_word(log: &serde_json::Value) -> bool {
    let name = keccak256("Revealed(bytes32,bytes32,uint32,bytes32)");
    log["topics"][0] == serde_json::json!(format!("0x{}", hex::encode(name)))
}

/// The exit claims on the chain what the router is paid for by nothing but the words that become public with that.
#[tokio::test]
async fn a_router_learns_words_of_either_endpoint_and_claims_upstream_though_they_do_not_agree() {
    for hides in [true, false] {
        let chain = tomorrow();
        let [a, b] = [0, 1].map(|_| Twisted::honest(&chain));
        let (consumer, exit) = (Party::rich(&chain).await, Party::rich(&chain).await);
        let (_, wallet, disk) = Party::rich(&chain).await.stop();
        let way = Arc::new(quorum(&[&a, &b]));
        let router = Party::start_by(way, &chain, wallet, disk, routing());
        let up = open_for_a_day(&consumer, &router, units(1000)).await;
        let down = open_for_a_day(&router, &exit, units(1000)).await;
        let street = street([&consumer, &router, &exit], up, down);
        let ready = street.lock(UNITS, now(&chain)).await.unwrap();
        street.pay(ready, 150).await.unwrap();

        if hides {
            b.changes_logs(|logs| logs.retain(|it| !is_word(it)));
        } else {
            b.dies();
        }
        exit.payments.claim(down).await.unwrap().unwrap();
        assert_eq!(claimed(&chain, down).await, units(150));
        router.payments.refresh().await.unwrap_err();
        consumer.payments.close(up, None).await.unwrap();
        let owed = wei(UP_PRICE * 150 + HOLD_FEE);
        until_claimed(&chain, up, owed).await;
    }
}
