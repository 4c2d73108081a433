//! Many claims in one call: what the contract makes of a bad one, and what is not sent at all.

use std::sync::Arc;
use std::time::Duration;

use warren_payments::calls::{Call, Claim};
use warren_payments::chain::{ChainError, Revert};
use warren_payments::store::MemoryStore;
use warren_payments::tx::{Stake, Submitter, SubmitterConfig, TxError, TxRules};

use crate::submitter::{GWEI, POLL};
use crate::world::{HOUR, Words, World, wei};

/// Three claims, of which the one in the middle is good for an hour.
async fn claims(world: &World) -> Vec<Claim> {
    let mut claims = Vec::new();
    for salt in 1..=3 {
        let params = world.open(salt).await;
        let mut words = Words::new(u8::try_from(salt).unwrap(), 10, 100);
        if salt == 2 {
            words = words.until(world.now().await.plus(HOUR));
        }
        claims.push(world.claim(&params, wei(7), &[(words, 4)]));
    }
    claims
}

#[tokio::test]
async fn one_claim_that_is_refused_undoes_all() {
    let world = World::dev();
    let all = claims(&world).await;
    world.advance(HOUR).await;
    let refusal = world
        .refusal(&world.payee, Call::ClaimMany(all.clone()))
        .await;
    assert!(
        matches!(refusal, Revert::LockExpired { index: 0, .. }),
        "{refusal:?}"
    );
    let good = vec![all[0].clone(), all[2].clone()];
    let call = Call::ClaimMany(good);
    world.send(&world.payee, call).await.unwrap();
    assert_eq!(world.pot(&world.payee).await, wei(814));
}

/// The call itself would be taken, and its gas burnt for less than it is for, or for nothing.
#[tokio::test]
async fn many_claims_are_not_sent_if_one_of_them_brings_nothing_any_more() {
    let world = World::dev();
    let all = claims(&world).await;
    let first = Call::Claim(all[0].clone());
    world.send(&world.other, first).await.unwrap();
    let config = SubmitterConfig {
        rules: TxRules {
            chain_id: world.pins.chain_id,
            confirmations: 1,
            bump_after_blocks: 2,
            fee_cap: wei(1000 * GWEI),
            urgent: HOUR,
        },
        poll: POLL,
        max_silence: Duration::from_secs(60),
    };
    let (chain, store) = (Arc::clone(&world.chain), Arc::new(MemoryStore::new()));
    let submitter = Submitter::start(chain, store, world.payee.clone(), config).unwrap();
    let stake = Stake {
        worth: None,
        deadline: None,
    };
    let refused = submitter
        .submit_at_stake(Call::ClaimMany(all.clone()), stake)
        .await;
    let expected = Err(TxError::Refused {
        call: "claimMany",
        source: ChainError::Reverted(Revert::NothingNew { claimed: wei(407) }),
    });
    assert_eq!(refused, expected);
    assert_eq!(world.pot(&world.payee).await, wei(407));
    let rest = Call::ClaimMany(all[1..].to_vec());
    submitter.submit_at_stake(rest, stake).await.unwrap();
    assert_eq!(world.pot(&world.payee).await, wei(1221));
}
