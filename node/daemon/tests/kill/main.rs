//! A provider's process is killed at any instant, hundreds of times; what it acknowledged it still
//! holds, and claims from a real contract.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail loudly"
)]

mod payee;
mod payer;

use std::time::Duration;

use payer::{Customer, units};
use rand::{Rng as _, SeedableRng as _};

/// Kills of a run in CI; `WARREN_KILLS` asks for more.
const KILLS: u32 = 300;
/// Rounds between two claims.
const CLAIM_EVERY: u32 = 50;

fn kills() -> u32 {
    std::env::var("WARREN_KILLS").map_or(KILLS, |it| it.parse().expect("WARREN_KILLS is a number"))
}

fn seed() -> u64 {
    std::env::var("WARREN_SEED").map_or(1, |it| it.parse().expect("WARREN_SEED is a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_provider_acknowledged_it_claims() {
    let (kills, seed) = (kills(), seed());
    println!("{kills} kills, WARREN_SEED={seed}");
    let mut chance = rand::rngs::StdRng::seed_from_u64(seed);
    let customer = Customer::new().await;
    let mut acknowledged = units(0);
    let mut midway = 0;
    for round in 0..kills {
        let at = format!("WARREN_SEED={seed}, round {round}");
        let mut provider = customer.provider();
        let held = provider.begin().await;
        assert!(
            held >= acknowledged,
            "{at}: acknowledged {acknowledged}, held {held}"
        );
        customer.begin(&mut provider).await;
        // Nobody waits for anything: frames flow, and the plug is pulled while they do.
        let words = chance.random_range(1..40);
        let delay = Duration::from_micros(chance.random_range(0..6_000));
        acknowledged = customer
            .pay_until_killed(provider, words, delay)
            .await
            .max(held);
        let released = customer.released().await;
        midway += u32::from(held < acknowledged && acknowledged < released);
        assert!(
            acknowledged <= released,
            "{at}: {acknowledged} of {released} released"
        );
        if round % CLAIM_EVERY == CLAIM_EVERY - 1 {
            let mut provider = customer.provider();
            let held = provider.begin().await;
            assert!(
                held >= acknowledged,
                "{at}: acknowledged {acknowledged}, held {held}"
            );
            provider.claim().await;
            assert_eq!(customer.claimed().await, held, "{at}: claimed what it held");
            provider.kill().await;
        }
    }
    println!("{midway} kills fell between two acknowledged words");
    assert!(
        midway > kills / 20,
        "only {midway} of {kills} kills fell while words were taken"
    );
}
