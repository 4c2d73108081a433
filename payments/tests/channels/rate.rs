//! How fast words go from one task to the other: a figure, not a judgement.

use std::time::Instant;

use crate::party::{Party, begin, open, units, world};

#[tokio::test]
async fn words_per_second_through_both_tasks() {
    const WORDS: u64 = 4_000;
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(WORDS)).await;
    begin(&payer, &payee, channel).await;
    let start = Instant::now();
    for total in 1..=WORDS {
        let frames = payer.payments.release(channel, total).await.unwrap();
        payee.take(channel, frames).await.unwrap();
    }
    let per_word = start.elapsed().as_micros() / u128::from(WORDS);
    println!("{per_word} µs per unit, both sides, vouchers and saves included");
    assert_eq!(payee.payments.claimable().await.unwrap(), units(WORDS));
}
