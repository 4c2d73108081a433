//! Gas gets dear while a payer closes: what a claim may cost, and when.

use std::time::Duration;

use warren_payments::chain::Chain as _;
use warren_payments::chain::dev::DevChain;
use warren_payments::store::MemoryStore;
use warren_payments::{PaymentsConfig, Rate, SettlePolicy};
use warren_proto::{Amount, ChannelId};

use crate::party::{HOUR, Party, a_coin, begin, config, funded, open, pay, units, wei, world};
use crate::routed::{open_for_a_day, tomorrow};
use crate::street::{lock_of, say};

const GWEI: u64 = 1_000_000_000;
const SPIKE: Amount = wei(50 * GWEI);

/// A payee that never pays more than 5 gwei per gas, unless it must; a coin is worth so many units.
fn thrifty(units_per_coin: u64) -> PaymentsConfig {
    PaymentsConfig {
        fee_cap: wei(5 * GWEI),
        settle: SettlePolicy {
            worth_factor: 0,
            rate: Rate::Told(units(units_per_coin)),
            ..SettlePolicy::default()
        },
        ..config()
    }
}

struct Scene {
    chain: DevChain,
    channel: ChannelId,
    payee: Party,
    coin: Amount,
}

/// 320 units are earned, the payer closes, and gas costs ten times what the payee would pay.
async fn spike(units_per_coin: u64) -> Scene {
    let chain = world();
    let payer = Party::rich(&chain).await;
    let wallet = funded(&chain, units(1));
    let settings = thrifty(units_per_coin);
    let store = MemoryStore::new();
    let payee = Party::start_as(&chain, wallet, store, settings.clone());
    let channel = open(&payer, &payee, units(1000)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 320).await;
    let (_, wallet, store) = payee.stop();
    payer.payments.close(channel, None).await.unwrap();
    chain.set_base_fee(SPIKE);
    chain.mine();
    let payee = Party::start_as(&chain, wallet, store, settings);
    Scene {
        chain,
        channel,
        payee,
        coin: a_coin(),
    }
}

impl Scene {
    async fn claimed(&self) -> Amount {
        self.chain
            .channel(self.channel)
            .await
            .unwrap()
            .unwrap()
            .claimed
    }

    async fn spent(&self) -> Amount {
        let left = self
            .chain
            .native_balance(self.payee.account())
            .await
            .unwrap();
        self.coin.checked_sub(left).unwrap()
    }

    /// So many blocks while gas stays dear, each seen by the payee; ends early with a claim.
    async fn blocks(&self, count: u32) {
        for _ in 0..count {
            self.chain.set_base_fee(SPIKE);
            self.chain.mine();
            let _may_fail = self.payee.payments.refresh().await;
            tokio::time::sleep(Duration::from_millis(40)).await;
            if self.claimed().await > Amount::ZERO {
                return;
            }
        }
    }
}

#[tokio::test]
async fn a_claim_waits_out_a_spike_while_there_is_time_and_pays_up_to_its_worth_when_there_is_none()
{
    // 320 units are worth 0.02 coin: some 250 gwei for each gas of the claim.
    let scene = spike(16_000).await;
    scene.blocks(12).await;
    assert_eq!(scene.claimed().await, Amount::ZERO, "gas may get cheaper");
    scene.chain.advance(HOUR.mul_f32(0.75));
    scene.blocks(60).await;
    assert_eq!(scene.claimed().await, units(320), "later it brings nothing");
    assert!(
        scene.spent().await <= wei(20_000_000 * GWEI),
        "no more than it brings"
    );
}

#[tokio::test]
async fn a_claim_that_brings_less_than_its_gas_costs_nothing_even_at_the_end() {
    // 320 units are worth 0.001 coin: some 12 gwei for each gas of the claim.
    let scene = spike(320_000).await;
    scene.blocks(5).await;
    scene.chain.advance(HOUR.mul_f32(0.75));
    scene.blocks(40).await;
    assert_eq!(
        (scene.claimed().await, scene.spent().await),
        (Amount::ZERO, Amount::ZERO)
    );
}

/// A claim that is not worth its gas is made at the end all the same, and would have been in the way for ever.
#[tokio::test]
async fn a_claim_that_cannot_pay_for_itself_holds_up_no_other() {
    let chain = world();
    let (small, large) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let (_, wallet, store) = Party::rich(&chain).await.stop();
    // One unit is worth less than a gwei for each gas of a claim, 320 of them some 250.
    let payee = Party::start_as(&chain, wallet, store, thrifty(16_000));
    let dust = open(&small, &payee, units(1000)).await;
    begin(&small, &payee, dust).await;
    pay(&small, &payee, dust, 0, 1).await;
    let channel = open(&large, &payee, units(1000)).await;
    begin(&large, &payee, channel).await;
    pay(&large, &payee, channel, 0, 320).await;

    let coin = chain.native_balance(payee.account()).await.unwrap();
    let scene = Scene {
        chain,
        channel,
        payee,
        coin,
    };
    small.payments.close(dust, None).await.unwrap();
    scene.chain.set_base_fee(SPIKE);
    scene.chain.advance(HOUR.mul_f32(0.75));
    scene.blocks(10).await;
    assert!(!scene.payee.payments.channels().await.unwrap().is_empty());

    scene.chain.set_base_fee(wei(GWEI));
    large.payments.close(channel, None).await.unwrap();
    scene.chain.set_base_fee(SPIKE);
    scene.chain.advance(HOUR.mul_f32(0.75));
    scene.blocks(200).await;
    assert_eq!(scene.claimed().await, units(320));
}

/// R4 is a deadline like the end of a close window: what is not claimed before it is lost.
#[tokio::test]
async fn words_of_a_lock_that_is_about_to_expire_may_cost_what_they_bring() {
    let chain = tomorrow();
    let payer = Party::rich(&chain).await;
    let (_, wallet, store) = Party::rich(&chain).await.stop();
    let payee = Party::start_as(&chain, wallet, store, thrifty(16_000));
    let channel = open_for_a_day(&payer, &payee, units(1000)).await;
    let ready = lock_of(&payer, &payee, (channel, units(1)), 320).await;
    say(&payer, &payee, ready, 320).await;
    let coin = chain.native_balance(payee.account()).await.unwrap();
    let scene = Scene {
        chain,
        channel,
        payee,
        coin,
    };
    scene.chain.set_base_fee(SPIKE);
    scene.chain.advance(HOUR);
    scene.blocks(12).await;
    assert_eq!(scene.claimed().await, Amount::ZERO, "gas may get cheaper");
    scene.chain.set_base_fee(SPIKE);
    scene.chain.advance(HOUR.mul_f32(0.75));
    scene.blocks(60).await;
    assert_eq!(scene.claimed().await, units(320), "later it brings nothing");
    assert!(scene.spent().await <= wei(20_000_000 * GWEI));
}

#[tokio::test]
async fn a_payee_is_told_what_claiming_costs_and_what_is_claimed_by_itself() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(100)).await;
    begin(&payer, &payee, channel).await;
    let outlook = async || payee.payments.claim_outlook().await.unwrap();
    assert_eq!((outlook().await.claims, outlook().await.due), (0, 0));

    pay(&payer, &payee, channel, 0, 12).await;
    payee.payments.refresh().await.unwrap();
    let one = outlook().await;
    assert_eq!((one.claims, one.due), (1, 0), "nobody claims for it");
    let fee = one.fee.unwrap();
    assert!(
        fee > wei(62_000 * GWEI),
        "a claim's gas at a gwei and a tip: {fee}"
    );
    chain.set_base_fee(SPIKE);
    chain.mine();
    payee.payments.refresh().await.unwrap();
    assert!(outlook().await.fee.unwrap() > wei(10 * 62_000 * GWEI));

    chain.set_base_fee(wei(GWEI));
    chain.mine();
    payee.payments.claim(channel).await.unwrap().unwrap();
    assert_eq!(outlook().await.claims, 0);
}
