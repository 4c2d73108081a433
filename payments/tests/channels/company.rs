//! Claims that share a transaction: cheaper together, and none of them the worse for the others.

use std::time::Duration;

use warren_payments::chain::Chain as _;
use warren_payments::chain::dev::{DevChain, Mining};
use warren_payments::ledger::Account;
use warren_payments::store::MemoryStore;
use warren_payments::{PaymentsConfig, Rate, SettlePolicy};
use warren_proto::{Amount, ChannelId};

use crate::books::agreed;
use crate::party::{HOUR, Party, begin, config, funded, open, pay, units, wei, world};
use crate::routed::claimed;

const GWEI: u64 = 1_000_000_000;

/// A payee that was paid so much on each of its channels, all by one payer; it claims only when told.
pub(crate) async fn paid(chain: &DevChain, counts: &[u64]) -> (Party, Party, Vec<ChannelId>) {
    let (payer, payee) = (Party::rich(chain).await, Party::rich(chain).await);
    let mut channels = Vec::new();
    for count in counts {
        let channel = open(&payer, &payee, units(100)).await;
        begin(&payer, &payee, channel).await;
        pay(&payer, &payee, channel, 0, *count).await;
        channels.push(channel);
    }
    (payer, payee, channels)
}

/// Claims by itself: alone from some 31 units on, for its share of a transaction from some 12 units on.
pub(crate) async fn weighing(chain: &DevChain) -> PaymentsConfig {
    let fees = chain.fees().await.unwrap();
    let price = fees.base_fee.wei() + fees.tip.wei();
    // A unit for each 40 000 gas: twenty times a claim's 62 000 and its words are 31 units and some.
    let rate = units(1).wei() * 1_000_000_000_000_000_000 / (40_000 * price);
    PaymentsConfig {
        settle: SettlePolicy {
            worth_factor: 20,
            rate: Rate::Guessed(Amount::from_wei(rate).unwrap()),
            ..SettlePolicy::default()
        },
        ..config()
    }
}

pub(crate) async fn sent(chain: &DevChain, party: &Party) -> u64 {
    chain.nonce(party.account()).await.unwrap()
}

pub(crate) async fn all_claimed(chain: &DevChain, channels: &[ChannelId]) -> Vec<Amount> {
    let mut sums = Vec::new();
    for it in channels {
        sums.push(claimed(chain, *it).await);
    }
    sums
}

/// Looks and waits until the chain has these claims; what a node does by itself takes its time.
pub(crate) async fn until_claimed(
    chain: &DevChain,
    payee: &Party,
    (channels, wanted): (&[ChannelId], &[Amount]),
) {
    let reached = async {
        while all_claimed(chain, channels).await != wanted {
            let _may_fail = payee.payments.refresh().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let reached = tokio::time::timeout(Duration::from_secs(60), reached).await;
    assert!(reached.is_ok(), "{:?}", all_claimed(chain, channels).await);
    payee.payments.refresh().await.unwrap();
}

/// What was burnt for transactions, as the ledger says, and how many entries say it.
pub(crate) async fn burnt(party: &Party) -> (u128, usize) {
    let entries = party.payments.ledger().await.unwrap();
    let gas = entries.iter().filter(|it| it.posting.to == Account::Gas);
    let sum = gas.clone().map(|it| it.posting.amount.wei()).sum();
    (sum, gas.count())
}

pub(crate) async fn restarted_as(payee: Party, settings: PaymentsConfig) -> Party {
    let (chain, wallet, store) = payee.stop();
    Party::start_as(&chain, wallet, store, settings)
}

#[tokio::test]
async fn what_is_due_together_is_one_transaction_and_the_books_are_exact() {
    let chain = world();
    let (_payer, payee, channels) = paid(&chain, &[40, 50, 60]).await;
    let coin = chain.native_balance(payee.account()).await.unwrap();
    let payee = restarted_as(payee, weighing(&chain).await).await;
    let wanted = [units(40), units(50), units(60)];
    until_claimed(&chain, &payee, (&channels, &wanted)).await;
    assert_eq!(sent(&chain, &payee).await, 1);
    assert_eq!(payee.pot().await, units(150));
    let books = agreed(&payee).await;
    for (channel, sum) in channels.iter().zip(wanted) {
        assert_eq!(books.channel(channel).claimed, sum);
    }
    let left = chain.native_balance(payee.account()).await.unwrap();
    assert_eq!(burnt(&payee).await, (coin.wei() - left.wei(), 1));
}

#[tokio::test]
async fn a_claim_worth_only_its_share_goes_along_and_never_alone() {
    let chain = world();
    let (payer, payee, channels) = paid(&chain, &[20, 5]).await;
    let payee = restarted_as(payee, weighing(&chain).await).await;
    payee.payments.refresh().await.unwrap();
    let outlook = payee.payments.claim_outlook().await.unwrap();
    assert_eq!(
        (outlook.claims, outlook.due, outlook.transactions),
        (2, 0, 1)
    );
    assert_eq!(sent(&chain, &payee).await, 0);

    // Another channel is worth a transaction, and takes one of the two along. What it gets after that is worth none: it
    // would be claimed while the books are compared.
    let third = open(&payer, &payee, units(100)).await;
    begin(&payer, &payee, third).await;
    for total in 1..=40 {
        let frames = payer.payments.release(third, total).await.unwrap();
        payee.take(third, frames).await.unwrap();
    }
    let both = [channels[0], third];
    let reached = async {
        while claimed(&chain, both[0]).await == wei(0) {
            payee.payments.refresh().await.unwrap();
        }
    };
    let reached = tokio::time::timeout(Duration::from_secs(60), reached).await;
    reached.expect("it goes along");
    assert_eq!(claimed(&chain, channels[0]).await, units(20));
    assert_eq!(claimed(&chain, channels[1]).await, wei(0));
    payee.payments.refresh().await.unwrap();
    agreed(&payee).await;
}

#[tokio::test]
async fn sixteen_claims_cost_about_half_of_what_they_cost_alone() {
    let chain = world();
    let counts = [2; 16];
    let (_payer, payee, channels) = paid(&chain, &counts).await;
    let before = chain.native_balance(payee.account()).await.unwrap();
    let outlook = payee.payments.claim_outlook().await.unwrap();
    assert_eq!((outlook.claims, outlook.transactions), (16, 1));
    let done = payee.payments.claim_all().await.unwrap();
    assert_eq!(done.len(), 16);
    let txs: std::collections::BTreeSet<_> =
        done.iter().map(|it| it.result.clone().unwrap()).collect();
    assert_eq!((txs.len(), sent(&chain, &payee).await), (1, 1));
    assert_eq!(all_claimed(&chain, &channels).await, vec![units(2); 16]);
    let after = chain.native_balance(payee.account()).await.unwrap();
    let cost = Amount::from_wei(before.wei() - after.wei()).unwrap();
    let fee = outlook.fee.unwrap();
    assert!(cost <= fee, "{cost} for what was said to cost {fee}");
    let receipt = chain.receipt(*txs.first().unwrap()).await.unwrap().unwrap();
    assert!(
        receipt.gas_used < 16 * 47_944 * 55 / 100,
        "{}",
        receipt.gas_used
    );
    assert_eq!(payee.payments.claim_all().await.unwrap(), []);
}

/// Somebody else claims on one of them first: nobody is paid twice, and the rest comes all the same.
#[tokio::test]
async fn one_that_brings_nothing_any_more_is_left_behind() {
    let chain = world();
    let (_payer, payee, channels) = paid(&chain, &[10, 20, 30]).await;
    // The payee believes what is three blocks deep, and makes no block by itself.
    let slow = PaymentsConfig {
        confirmations: 3,
        ..config()
    };
    let payee = restarted_as(payee, slow).await;
    payee.payments.refresh().await.unwrap();
    let stranger = Party::rich(&chain).await;
    let evidence = payee.payments.evidence(channels[1]).await.unwrap().unwrap();
    let claim = warren_payments::calls::Claim {
        params: evidence.params,
        voucher: evidence.voucher,
        reveals: (0..)
            .zip(&evidence.best)
            .map(|(index, it)| warren_payments::calls::Reveal {
                index,
                k: it.k,
                word: it.word.clone(),
            })
            .collect(),
    };
    stranger.payments.claim_for(claim, None).await.unwrap();
    let payments = payee.payments.clone();
    let claims = tokio::spawn(async move { payments.claim_all().await });
    while !claims.is_finished() {
        chain.mine();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let done = claims.await.unwrap().unwrap();
    let good: Vec<_> = done.iter().map(|it| it.result.is_ok()).collect();
    let bad = done.iter().find(|it| it.result.is_err()).unwrap();
    assert_eq!(good.iter().filter(|it| **it).count(), 2);
    assert_eq!(bad.channel, channels[1]);
    assert_eq!(sent(&chain, &payee).await, 1, "one for the other two");
    assert_eq!(payee.pot().await, units(60));
}

/// A company waits for cheaper gas; one of them is closing, and is worth dear gas.
#[tokio::test]
async fn a_deadline_is_not_held_up_by_a_company_that_waits_for_cheaper_gas() {
    let chain = world();
    let payer = Party::rich(&chain).await;
    let wallet = funded(&chain, units(1));
    let told = PaymentsConfig {
        fee_cap: wei(5 * GWEI),
        settle: SettlePolicy {
            worth_factor: 0,
            // 320 units are worth some 250 gwei for each gas of a claim, 20 of them some 15.
            rate: Rate::Told(units(16_000)),
            ..SettlePolicy::default()
        },
        ..config()
    };
    let payee = Party::start_as(&chain, wallet, MemoryStore::new(), told);
    let mut channels = Vec::new();
    for count in [320, 20, 20, 20] {
        let channel = open(&payer, &payee, units(1000)).await;
        begin(&payer, &payee, channel).await;
        pay(&payer, &payee, channel, 0, count).await;
        channels.push(channel);
    }
    chain.set_mining(Mining::Manual);
    let payments = payee.payments.clone();
    let all = tokio::spawn(async move { payments.claim_all().await });
    while chain.waiting() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Before a block takes it, gas costs more than what can wait may pay; and the payer closes.
    let closing = payer.payments.clone();
    let first = channels[0];
    let close = tokio::spawn(async move { closing.close(first, None).await });
    let spike = wei(50 * GWEI);
    while chain.waiting() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    chain.set_base_fee(spike);
    let mut blocks = 0;
    while !close.is_finished() && blocks < 200 {
        chain.set_base_fee(spike);
        chain.mine();
        tokio::time::sleep(Duration::from_millis(20)).await;
        blocks += 1;
    }
    close.await.unwrap().unwrap();
    assert_eq!(claimed(&chain, first).await, wei(0));
    chain.advance(HOUR.mul_f32(0.75));
    for _ in 0..100 {
        chain.set_base_fee(spike);
        chain.mine();
        let _may_fail = payee.payments.refresh().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        if claimed(&chain, first).await > wei(0) {
            break;
        }
    }
    assert_eq!(claimed(&chain, first).await, units(320));
    assert_eq!(all_claimed(&chain, &channels[1..]).await, [wei(0); 3]);
    // Whoever asked for all of them hears of each; when gas is cheap again the others come, without it.
    while !all.is_finished() {
        chain.mine();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let heard = all.await.unwrap().unwrap();
    assert_eq!(heard.len(), 4);
    chain.set_base_fee(wei(GWEI));
    chain.set_mining(Mining::Auto);
    chain.mine();
    payee.payments.refresh().await.unwrap();
    let _those_that_are_not_on_their_way = payee.payments.claim_all().await.unwrap();
    until_claimed(&chain, &payee, (&channels[1..], &[units(20); 3])).await;
    assert_eq!(payee.pot().await, units(380));
    agreed(&payee).await;
}
