//! Gas became dear: what cannot pay for it holds up nothing that can.

use std::time::Duration;

use warren_payments::calls::Call;
use warren_payments::chain::Chain as _;
use warren_payments::store::{ChannelStore as _, Table};
use warren_payments::tx::{Stake, Submitter, TxError};
use warren_proto::Amount;

use crate::submitter::{Asked, GWEI, POLL, Rig, TO, ask, transfer};
use crate::world::{key, wei};

/// Twice what the rig ever pays for what can wait.
const SPIKE: Amount = wei(2000 * GWEI);

const COIN: u128 = 1_000_000_000_000_000_000;

/// A call that does no harm twice, brings so much, and is lost a minute from now.
fn urgent(rig: &Rig, submitter: &Submitter, (amount, worth): (u64, u128)) -> Asked {
    let stake = Stake {
        worth: Some(Amount::from_wei(worth).unwrap()),
        deadline: Some(rig.chain.tip().timestamp.plus(Duration::from_secs(60))),
    };
    let amount = wei(amount);
    let submitter = submitter.clone();
    tokio::spawn(async move {
        let call = Call::Approve { amount };
        submitter.submit_at_stake(call, stake).await
    })
}

async fn allowed(rig: &Rig) -> Amount {
    let owner = key(0).address();
    rig.chain.allowance(owner).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_brings_less_than_its_gas_is_not_sent_and_holds_up_nothing() {
    let rig = Rig::new();
    let submitter = rig.submitter(1);
    rig.chain.set_base_fee(wei(500 * GWEI));
    let poor = urgent(&rig, &submitter, (77, 100_000));
    tokio::time::sleep(POLL).await;
    let other = ask(&submitter, transfer(5));
    let error = poor.await.unwrap().unwrap_err();
    let is_too_dear = matches!(error, TxError::TooDear { floor, .. } if floor == wei(500 * GWEI));
    assert!(is_too_dear, "{error}");
    rig.blocks_until(other).await.unwrap();
    assert_eq!(rig.chain.token_balance(TO).await, Ok(wei(5)));
    assert_eq!(allowed(&rig).await, Amount::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_call_at_stake_overtakes_one_that_was_sent_before_gas_became_dear() {
    let rig = Rig::new();
    let submitter = rig.submitter(1);
    let stuck = ask(&submitter, transfer(5));
    tokio::time::sleep(3 * POLL).await;
    assert_eq!(rig.chain.waiting(), 1);
    rig.chain.set_base_fee(SPIKE);
    rig.block().await;
    let urgent = urgent(&rig, &submitter, (77, COIN));
    rig.blocks_until(urgent).await.unwrap();
    assert_eq!(allowed(&rig).await, wei(77));
    // The other goes on waiting for cheaper gas, as it did before.
    rig.block().await;
    assert!(!stuck.is_finished());
    rig.chain.set_base_fee(wei(GWEI));
    rig.blocks_until(stuck).await.unwrap();
    assert_eq!(rig.chain.token_balance(TO).await, Ok(wei(5)), "once");
    assert_eq!(rig.store.scan(Table::Tx).unwrap(), vec![]);
}
