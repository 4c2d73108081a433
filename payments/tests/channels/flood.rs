//! Blocks full of the events of strangers, and endpoints that give no more than so many: nobody is made deaf,
//! and who is deaf all the same claims in time.

use std::sync::Arc;
use std::time::Duration;

use warren_payments::calls::Call;
use warren_payments::chain::dev::{DevChain, Mining};
use warren_payments::chain::{Chain, ChainError};
use warren_payments::store::MemoryStore;
use warren_payments::tx::UnsignedTx;
use warren_payments::wallet::WalletKey;
use warren_payments::{PaymentsConfig, Rate, SettlePolicy};
use warren_proto::{Amount, ChannelId};

use crate::party::{Party, begin, config, funded, open, pay, units, wei, world};
use crate::twisted::{Twisted, quorum, truth};

/// The most that the endpoint gives in one answer.
const MOST: usize = 8;

fn refused() -> ChainError {
    ChainError::Busy {
        code: -32005,
        message: "query returned more than 8 results".to_owned(),
    }
}

/// What a stranger can say for little gas, so often that no answer holds it; it waits for a block.
async fn flood(chain: &DevChain) {
    let key = WalletKey::from_bytes(&DevChain::secret(3)).unwrap();
    let (owner, pins) = (key.address(), chain.chain_ref());
    let fees = chain.fees().await.unwrap();
    let amount = wei(1);
    let calls = [Call::Approve { amount: units(1) }].into_iter().chain(
        [
            Call::SetBeneficiary { owner, to: owner },
            Call::Deposit { amount },
        ]
        .into_iter()
        .cycle()
        .take(4 * MOST),
    );
    let first = chain.nonce(owner).await.unwrap();
    for (nonce, call) in (first..).zip(calls) {
        let unsigned = UnsignedTx {
            chain_id: pins.chain_id,
            nonce,
            to: call.to(&pins),
            value: call.value(),
            gas_limit: 150_000,
            max_fee: fees.base_fee.checked_mul(100).unwrap(),
            tip: fees.tip,
            data: call.data(&pins),
        };
        let signed = unsigned.seal(&key.sign_tx_hash(&unsigned.signing_hash()));
        chain.submit_raw(signed.raw).await.unwrap();
    }
}

struct Scene {
    chain: DevChain,
    node: Twisted,
    payer: Party,
    payee: Party,
    channel: ChannelId,
}

/// A payee that 320 units are paid to and that hears of the chain through one endpoint.
async fn scene(settings: PaymentsConfig) -> Scene {
    let chain = world();
    let node = Twisted::honest(&chain);
    let payer = Party::rich(&chain).await;
    let wallet = funded(&chain, units(1));
    let way: Arc<dyn Chain> = Arc::new(quorum(&[&node]));
    let payee = Party::start_by(way, &chain, wallet, MemoryStore::new(), settings);
    let channel = open(&payer, &payee, units(1000)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 320).await;
    Scene {
        chain,
        node,
        payer,
        payee,
        channel,
    }
}

impl Scene {
    async fn claimed(&self) -> Amount {
        let state = self.chain.channel(self.channel).await.unwrap();
        state.unwrap().claimed
    }
}

#[tokio::test]
async fn a_closing_in_a_block_full_of_strangers_events_is_heard() {
    let scene = scene(config()).await;
    scene.node.becomes(|method, params, chain| {
        let asked = (method == "eth_getLogs").then(|| truth(chain, method, params).ok())??;
        let count = asked.as_array().map_or(0, Vec::len);
        (count > MOST).then(|| Err(refused()))
    });
    scene.payee.payments.refresh().await.unwrap();
    scene.chain.set_mining(Mining::Manual);
    flood(&scene.chain).await;
    let waiting = scene.chain.waiting();
    let (payer, channel) = (scene.payer.payments.clone(), scene.channel);
    let closed = tokio::spawn(async move { payer.close(channel, None).await });
    while scene.chain.waiting() == waiting {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let block = scene.chain.mine().number;
    scene.chain.set_mining(Mining::Auto);
    scene.chain.mine();
    closed.await.unwrap().unwrap();
    let told = scene.chain.events(block, block).await.unwrap();
    assert!(told.len() > 4 * MOST, "all in one block: {}", told.len());

    scene.payee.payments.refresh().await.unwrap();
    let claimed = async {
        while scene.claimed().await != units(320) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), claimed)
        .await
        .unwrap();
}

/// Gas is dearer than the claim is worth until there is no more time, and by then no look succeeds.
#[tokio::test(start_paused = true)]
async fn a_payee_that_hears_nothing_claims_by_the_time_it_knows() {
    let settings = PaymentsConfig {
        poll: Duration::from_secs(15),
        settle: SettlePolicy {
            worth_factor: 0,
            rate: Rate::Guessed(wei(100_000_000_000_000_000)),
            ..SettlePolicy::default()
        },
        ..config()
    };
    let scene = scene(settings).await;
    scene
        .payer
        .payments
        .close(scene.channel, None)
        .await
        .unwrap();
    scene.payee.payments.refresh().await.unwrap();
    let Scene {
        chain,
        node,
        payee,
        payer,
        channel,
    } = scene;
    drop(payer); // It would look at the chain all the time.
    node.becomes(|method, _, _| {
        let never = || Err(refused());
        (method == "eth_getLogs").then(never)
    });
    chain.mine();
    tokio::time::sleep(Duration::from_secs(30 * 60)).await;
    let claimed = async || chain.channel(channel).await.unwrap().unwrap().claimed;
    assert_eq!(claimed().await, wei(0), "it can wait");
    tokio::time::sleep(Duration::from_secs(15 * 60)).await;
    assert_eq!(claimed().await, units(320));
    drop(payee);
}
