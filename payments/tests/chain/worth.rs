//! The worth of a claim, said twice: by Rust's arithmetic of money and by the contract's own bytes.

use proptest::prelude::*;
use warren_payments::VerifiedVoucher;
use warren_payments::calls::{Call, Claim};
use warren_payments::chain::{ChainError, Revert};
use warren_payments::channel::{Holdings, Lane};
use warren_proto::{Amount, UnixTime};

use crate::world::{Words, World};

/// One lock, how long it lives after now (0: for ever) and what is told of it.
#[derive(Debug, Clone)]
struct Told {
    units: u32,
    price: u128,
    life: u64,
    k: u32,
}

const MOST: u128 = (1 << 96) - 1;

/// Money of every size, the edges often.
fn money() -> impl Strategy<Value = u128> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(MOST),
        0..2_000_u128,
        (0..96_u32, any::<u128>()).prop_map(|(bits, it)| it & ((1 << bits) - 1)),
        0..=MOST,
    ]
}

fn told() -> impl Strategy<Value = Told> {
    (
        1..40_u32,
        money(),
        prop_oneof![Just(0), 1..6_u64],
        0..44_u32,
    )
        .prop_map(|(units, price, life, k)| Told {
            units,
            price,
            life,
            k,
        })
}

fn amount(wei: u128) -> Amount {
    Amount::from_wei(wei).unwrap()
}

/// What a claim must come to: the payee's own arithmetic, or why the contract refuses what was told.
fn worth(
    claim: &Claim,
    all: &[(Words, u32)],
    world: &World,
    now: UnixTime,
) -> Result<Amount, Revert> {
    let told = all.iter().enumerate().filter(|(_, (_, k))| *k > 0);
    for (place, (index, (words, k))) in told.enumerate() {
        if *k > words.lock.units {
            let index = place as u128;
            return Err(Revert::BadReveal { index });
        }
        let expiry = words.lock.expiry;
        if expiry != 0 && now.as_secs() >= expiry {
            return Err(Revert::LockExpired {
                index: index as u128,
                expiry: UnixTime::from_secs(expiry),
            });
        }
    }
    let voucher = VerifiedVoucher::verify(claim.voucher.clone(), &claim.params, &world.pins);
    let lanes = all.iter().map(|(words, k)| Lane {
        lock: words.lock,
        known: *k,
        word: words.word(*k),
        payment: None,
        folded: 0,
    });
    let holdings = Holdings {
        voucher: Some(voucher.unwrap()),
        lanes: lanes.collect(),
        ..Holdings::new(claim.voucher.channel)
    };
    Ok(holdings.value(now.as_secs()))
}

async fn compare(deposit: u128, vouchers: &[(u128, Vec<Told>)]) {
    let world = World::dev();
    let params = world.params(1);
    let have = world.tokens(params.payer).await;
    let deposit = amount(deposit.clamp(1, have.wei()));
    for call in [
        Call::Approve {
            amount: Amount::MAX,
        },
        Call::Open {
            params,
            amount: deposit,
        },
    ] {
        world.send(&world.payer, call).await.unwrap();
    }
    let mut claimed = Amount::ZERO;
    for (round, (base, tolds)) in (0_u8..).zip(vouchers) {
        let start = world.now().await.as_secs();
        let known: Vec<(Words, u32)> = (0_u8..)
            .zip(tolds)
            .map(|(place, it)| {
                let mut words = Words::new(round * 16 + place + 1, it.units, 0);
                words.lock.unit_price = amount(it.price);
                words.lock.expiry = if it.life == 0 { 0 } else { start + it.life - 1 };
                (words, it.k)
            })
            .collect();
        let claim: Claim = world.claim(&params, amount(*base), &known);
        // The next block is a second on.
        let now = UnixTime::from_secs(start + 1);
        let expected = worth(&claim, &known, &world, now)
            .map(|total| total.min(deposit))
            .and_then(|total| {
                let news = total > claimed;
                news.then_some(total).ok_or(Revert::NothingNew { claimed })
            });
        match (world.send(&world.other, Call::Claim(claim)).await, expected) {
            (Ok(_), Ok(total)) => claimed = total,
            (Err(ChainError::Reverted(why)), Err(expected)) => assert_eq!(why, expected),
            (found, expected) => panic!("contract: {found:?}\nRust: {expected:?}"),
        }
        assert_eq!(world.state(&params).await.claimed, claimed);
        assert_eq!(world.pot(&world.payee).await, claimed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_contract_and_rust_agree_on_every_claim(
        deposit in money(),
        vouchers in proptest::collection::vec((money(), proptest::collection::vec(told(), 0..=15)), 1..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(compare(deposit, &vouchers));
    }
}
