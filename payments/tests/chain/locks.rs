//! Locks and words on chain: each pays once, by its own words, in its own time.

use warren_payments::calls::{Call, Claim, Reveal};
use warren_payments::chain::Revert;
use warren_proto::Amount;

use crate::world::{DEPOSIT, HOUR, Words, World, wei};

#[tokio::test]
async fn several_locks_pay_each_by_its_own_words() {
    let world = World::dev();
    let params = world.open(1).await;
    let (a, b, c) = (
        Words::new(1, 10, 100),
        Words::new(2, 20, 7),
        Words::new(3, 1, 5000),
    );
    let claim = world.claim(&params, wei(1), &[(a, 10), (b, 0), (c, 1)]);
    world.send(&world.payee, Call::Claim(claim)).await.unwrap();
    assert_eq!(world.state(&params).await.claimed, wei(1 + 1000 + 5000));
}

#[tokio::test]
async fn no_lock_is_counted_twice() {
    let world = World::dev();
    let params = world.open(1).await;
    let (a, b) = (Words::new(1, 10, 100), Words::new(2, 20, 7));
    let known = [(a.clone(), 3), (b.clone(), 4)];
    let orders: [&[Reveal]; 3] = [
        &[a.reveal(0, 3), a.reveal(0, 3)],
        &[b.reveal(1, 4), a.reveal(0, 3)],
        &[a.reveal(0, 3), b.reveal(2, 4)],
    ];
    for (place, reveals) in orders.into_iter().enumerate() {
        let claim = Claim {
            reveals: reveals.to_vec(),
            ..world.claim(&params, wei(0), &known)
        };
        let refusal = world.refusal(&world.payee, Call::Claim(claim)).await;
        assert_eq!(refusal, Revert::BadReveal { index: 1 }, "order {place}");
    }
}

#[tokio::test]
async fn a_word_must_fit_its_lock() {
    let world = World::dev();
    let params = world.open(1).await;
    let a = Words::new(1, 10, 100);
    let wrong = [
        Reveal {
            index: 0,
            k: 0,
            word: a.word(0),
        },
        Reveal {
            index: 0,
            k: 11,
            word: a.word(10),
        },
        Reveal {
            index: 0,
            k: 4,
            word: a.word(3),
        },
        Reveal {
            index: 1,
            k: 3,
            word: a.word(3),
        },
    ];
    for reveal in wrong {
        let claim = Claim {
            reveals: vec![reveal.clone()],
            ..world.claim(&params, wei(0), &[(a.clone(), 3)])
        };
        let refusal = world.refusal(&world.payee, Call::Claim(claim)).await;
        assert_eq!(
            refusal,
            Revert::BadReveal { index: 0 },
            "index {} k {}",
            reveal.index,
            reveal.k
        );
    }
}

#[tokio::test]
async fn no_word_beyond_the_last_counts_even_if_it_fits() {
    let world = World::dev();
    let params = world.open(1).await;
    let long = Words::new(1, 11, 100);
    // The same anchor under a lock of ten units: its eleventh word exists, but was never sold.
    let mut cut = long.clone();
    cut.lock.units = 10;
    let claim = Claim {
        reveals: vec![long.reveal(0, 11)],
        ..world.claim(&params, wei(0), &[(cut, 0)])
    };
    let refusal = world.refusal(&world.payee, Call::Claim(claim)).await;
    assert_eq!(refusal, Revert::BadReveal { index: 0 });
}

#[tokio::test]
async fn sixteen_locks_are_taken_and_seventeen_are_not() {
    let world = World::dev();
    let params = world.open(1).await;
    let many: Vec<(Words, u32)> = (1..=17).map(|it| (Words::new(it, 2, 10), 1)).collect();
    let refusal = world
        .refusal(
            &world.payee,
            Call::Claim(world.claim(&params, wei(0), &many)),
        )
        .await;
    assert_eq!(refusal, Revert::TooManyLocks { locks: 17 });
    let claim = world.claim(&params, wei(0), &many[..16]);
    world.send(&world.payee, Call::Claim(claim)).await.unwrap();
    assert_eq!(world.state(&params).await.claimed, wei(160));
}

#[tokio::test]
async fn an_expired_lock_pays_no_more() {
    let world = World::dev();
    let params = world.open(1).await;
    let expiry = world.now().await.plus(HOUR);
    let lock = Words::new(1, 10, 100).until(expiry);
    let claim = |k| Call::Claim(world.claim(&params, wei(0), &[(lock.clone(), k)]));
    world.send(&world.payee, claim(1)).await.unwrap();
    world.advance(HOUR).await;
    let refusal = world.refusal(&world.payee, claim(2)).await;
    assert_eq!(refusal, Revert::LockExpired { index: 0, expiry });
    let base_only = world.claim(&params, wei(150), &[(lock, 0)]);
    world
        .send(&world.payee, Call::Claim(base_only))
        .await
        .unwrap();
    assert_eq!(world.state(&params).await.claimed, wei(150));
}

#[tokio::test]
async fn nobody_is_paid_more_than_the_deposit() {
    let world = World::dev();
    let params = world.open(1).await;
    let claim = world.claim(
        &params,
        Amount::MAX,
        &[(Words::new(1, 1024, u64::MAX), 1024)],
    );
    world.send(&world.payee, Call::Claim(claim)).await.unwrap();
    assert_eq!(world.pot(&world.payee).await, DEPOSIT);
}

#[tokio::test]
async fn many_claims_pass_over_what_brings_nothing() {
    let world = World::dev();
    let (a, b, c) = (
        world.open(1).await,
        world.open(2).await,
        world.open(3).await,
    );
    world
        .send(&world.payee, Call::CloseByPayee { params: b })
        .await
        .unwrap();
    let old = world.claim(&a, wei(10), &[]);
    world
        .send(&world.other, Call::Claim(old.clone()))
        .await
        .unwrap();
    let all = vec![
        old,
        world.claim(&b, wei(20), &[]),
        world.claim(&c, wei(40), &[]),
    ];
    world
        .send(&world.payee, Call::ClaimMany(all))
        .await
        .unwrap();
    assert_eq!(world.pot(&world.payee).await, wei(50));
}
