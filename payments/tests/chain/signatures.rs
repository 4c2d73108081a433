//! Whose signature counts, in which form, and on which channel, contract and chain.

use warren_payments::calls::{Call, Claim};
use warren_payments::chain::Revert;
use warren_proto::{ChainRef, PayoutAddress};

use crate::world::{HOUR, Words, World, wei};

/// Half of secp256k1's order, and the order, big endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

async fn refused(world: &World, claim: Claim, why: &str) {
    let expected = Revert::BadSignature {
        expected: world.payer.address(),
    };
    assert_eq!(
        world.refusal(&world.payee, Call::Claim(claim)).await,
        expected,
        "{why}"
    );
}

#[tokio::test]
async fn a_voucher_changed_in_any_part_is_void() {
    let world = World::dev();
    let params = world.open(1).await;
    let good = world.claim(&params, wei(10), &[(Words::new(1, 10, 100), 3)]);
    let change = |edit: &dyn Fn(&mut Claim)| {
        let mut claim = good.clone();
        edit(&mut claim);
        claim
    };
    refused(&world, change(&|it| it.voucher.base = wei(11)), "base").await;
    refused(&world, change(&|it| it.voucher.seq = 2), "seq").await;
    refused(
        &world,
        change(&|it| it.voucher.locks[0].unit_price = wei(101)),
        "price",
    )
    .await;
    refused(
        &world,
        change(&|it| it.voucher.locks[0].units = 11),
        "units",
    )
    .await;
    refused(
        &world,
        change(&|it| it.voucher.locks[0].expiry = u64::from(u32::MAX)),
        "expiry",
    )
    .await;
    let no_locks = change(&|it| {
        it.voucher.locks.clear();
        it.reveals.clear();
    });
    refused(&world, no_locks, "no locks").await;
    refused(&world, change(&|it| it.voucher.signature[5] ^= 1), "r").await;
    refused(
        &world,
        change(&|it| it.voucher.signature[32] ^= 0x80),
        "parity",
    )
    .await;
    refused(&world, change(&|it| it.voucher.signature = [0; 64]), "zero").await;
    world.send(&world.payee, Call::Claim(good)).await.unwrap();
}

#[tokio::test]
async fn a_high_s_is_void() {
    let world = World::dev();
    let params = world.open(1).await;
    let mut claim = world.claim(&params, wei(10), &[]);
    // The other valid s of the same signature, n - s, does not fit the 64 bytes: its top bit is
    // the parity. The nearest anyone can send is n - s with that bit lost.
    let (low, parity) = (claim.voucher.signature, claim.voucher.signature[32] >> 7);
    let mut borrow = 0_i16;
    for place in (0..32).rev() {
        let digit = if place == 0 {
            low[32] & 0x7f
        } else {
            low[32 + place]
        };
        let mut difference = i16::from(ORDER[place]) - i16::from(digit) - borrow;
        borrow = i16::from(difference < 0);
        difference += borrow * 256;
        claim.voucher.signature[32 + place] = u8::try_from(difference).unwrap();
    }
    claim.voucher.signature[32] = claim.voucher.signature[32] & 0x7f | (1 - parity) << 7;
    refused(&world, claim, "high s").await;
}

#[tokio::test]
async fn a_voucher_is_good_for_one_channel_only() {
    let world = World::dev();
    let (a, b) = (world.open(1).await, world.open(2).await);
    let claim = Claim {
        params: b,
        ..world.claim(&a, wei(10), &[])
    };
    refused(&world, claim, "other channel").await;
}

#[tokio::test]
async fn a_voucher_is_good_for_one_contract_and_chain_only() {
    let world = World::dev();
    let params = world.open(1).await;
    let elsewhere = [
        ChainRef {
            contract: PayoutAddress::from_bytes([1; 20]),
            ..world.pins
        },
        ChainRef {
            chain_id: 1,
            ..world.pins
        },
    ];
    for chain in elsewhere {
        let mut claim = world.claim(&params, wei(10), &[]);
        claim.voucher = world.payer.sign_voucher(claim.voucher, &chain);
        refused(&world, claim, "signed for another contract or chain").await;
    }
}

#[tokio::test]
async fn the_payee_cannot_sign_for_the_payer_nor_the_payer_for_the_payee() {
    let world = World::dev();
    let params = world.open(1).await;
    let mut claim = world.claim(&params, wei(10), &[]);
    claim.voucher = world.payee.sign_voucher(claim.voucher, &world.pins);
    refused(&world, claim, "signed by the payee").await;

    let not_after = world.now().await.plus(HOUR);
    let id = params.id(&world.pins);
    let signature = world
        .payer
        .sign_payee_close(&world.pins, &id, wei(0), not_after);
    let call = Call::CoopClose {
        params,
        final_amount: wei(0),
        not_after,
        signature,
    };
    let refusal = world.refusal(&world.payer, call).await;
    assert_eq!(
        refusal,
        Revert::BadSignature {
            expected: params.payee
        }
    );
    let signature = world
        .payee
        .sign_payee_close(&world.pins, &id, wei(5), not_after);
    let call = Call::CoopClose {
        params,
        final_amount: wei(4),
        not_after,
        signature,
    };
    let refusal = world.refusal(&world.payer, call).await;
    assert_eq!(
        refusal,
        Revert::BadSignature {
            expected: params.payee
        }
    );
}

#[tokio::test]
async fn locks_hash_alike_here_and_there_from_none_to_sixteen() {
    let world = World::dev();
    let params = world.open(1).await;
    for count in [0_u8, 1, 2, 16] {
        let known: Vec<(Words, u32)> = (1..=count).map(|it| (Words::new(it, 3, 1), 0)).collect();
        let claim = world.claim(&params, wei(u64::from(count) + 1), &known);
        world.send(&world.payee, Call::Claim(claim)).await.unwrap();
        assert_eq!(
            world.state(&params).await.claimed,
            wei(u64::from(count) + 1)
        );
    }
}
