//! A payee that has its own claims undone, to burn a tower's coin.

use std::sync::Arc;
use std::time::Duration;

use warren_payments::Evidence;
use warren_payments::chain::Chain as _;
use warren_payments::chain::dev::{DevChain, Mining};
use warren_payments::tower::{self, NONCE_BYTES, TowerConfig, TowerRules, TowerService};
use warren_proto::{
    Amount, ChannelId, ChannelParams, HashLock, Lock, NodeId, Preimage, TowerVerdict, Voucher,
    WordFrame,
};

use crate::party::{Party, open, units, wei, world};
use crate::tower::{PAYEE, claimed_when};

const OTHER: NodeId = NodeId::from_bytes([2; 32]);
const CLAIMS: u32 = 3;
const UNTIL: u64 = 30 * 24 * 3600;

/// A claim of words of a lock that expires in a few minutes.
fn lure(payer: &Party, params: ChannelParams, (channel, words): (ChannelId, u32)) -> Evidence {
    let chain = payer.chain();
    let seed = Preimage::from_bytes([9; 32]);
    let draft = Voucher {
        channel,
        seq: 1,
        base: Amount::ZERO,
        locks: vec![Lock {
            anchor: HashLock::from_bytes(*seed.advance(64).expose()),
            unit_price: wei(5),
            units: 64,
            expiry: chain.tip().timestamp.as_secs() + 300,
        }],
        signature: [0; 64],
    };
    let key = payer.wallet.account_key();
    Evidence {
        params,
        voucher: key.sign_voucher(draft, &chain.chain_ref()),
        best: vec![WordFrame {
            lane: 0,
            k: words,
            word: seed.advance(64 - words),
        }],
        value: wei(5 * u64::from(words)),
        value_before: Amount::ZERO,
    }
}

async fn waits(chain: &DevChain, count: usize) {
    let waits = async {
        while chain.waiting() != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, waits).await.unwrap();
}

/// Each is sent in time, and the block comes when its lock is over. The tower ends it after so many a day, and
/// serves others.
#[tokio::test]
async fn claims_that_are_undone_use_up_their_owners_share_and_no_more_than_that() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let keeper = Party::rich(&chain).await;
    let lured = open(&payer, &payee, units(1000)).await;
    let fair = open(&payer, &payee, units(1000)).await;
    chain.set_mining(Mining::Manual);
    let config = TowerConfig {
        rules: TowerRules {
            claims_of_owner: CLAIMS,
            ..TowerRules::default()
        },
        min_gain: wei(1),
        poll: Duration::from_millis(10),
        max_silence: Duration::from_secs(60),
        max_head_age: None,
    };
    let (at, store) = (Arc::new(chain.clone()), Arc::new(keeper.store.clone()));
    let service = TowerService::start(at, store, keeper.payments.clone(), config).unwrap();
    service.refresh().await.unwrap();
    let put = async |owner: NodeId, (channel, words): (ChannelId, u32), number: u64| {
        let channels = payer.payments.channels().await.unwrap();
        let params = channels.iter().find(|it| it.id == channel).unwrap().params;
        let evidence = lure(&payer, params, (channel, words));
        let until = chain.tip().timestamp.as_secs() + UNTIL;
        let put = tower::put(&channel, &evidence, (number, until), [7; NONCE_BYTES]).unwrap();
        assert_eq!(service.put(owner, put).await.verdict, TowerVerdict::Kept);
    };
    for number in 1..=u64::from(CLAIMS) {
        put(PAYEE, (lured, 20), number).await;
        waits(&chain, 1).await;
        chain.advance(Duration::from_secs(600));
        // It knows when it will be tried again at the soonest.
        let undone = async {
            loop {
                let view = service.view().await.unwrap();
                let now = chain.tip().timestamp.as_secs();
                let mut due = view.puts.iter().filter_map(|(_, it)| it.due);
                if due.all(|it| it.claim_at > now) {
                    return;
                }
                service.refresh().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(60), undone)
            .await
            .unwrap();
    }
    // A tick that serves the other has passed over this one first, and claims are made in their order.
    chain.set_mining(Mining::Auto);
    assert!(PAYEE < OTHER);
    put(PAYEE, (lured, 20), u64::from(CLAIMS) + 1).await;
    put(OTHER, (fair, 20), 1).await;
    claimed_when(&chain, fair, wei(100)).await;
    put(OTHER, (fair, 30), 2).await;
    claimed_when(&chain, fair, wei(150)).await;
    let state = chain.channel(lured).await.unwrap().unwrap();
    assert_eq!(state.claimed, Amount::ZERO);
}
