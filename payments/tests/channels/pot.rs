//! A node's pot: what taking from it costs is said before, and where it may go is fixed once.

use std::time::Duration;

use warren_payments::PaymentsError;
use warren_payments::calls::Call;
use warren_payments::chain::Chain as _;
use warren_payments::chain::dev::{DevChain, Mining};
use warren_payments::ledger::Account;
use warren_payments::store::{ChannelStore as _, Table};
use warren_proto::{Amount, PayoutAddress};

use crate::party::{Party, begin, config, open, pay, units, wei, world};

const SAFE: PayoutAddress = PayoutAddress::from_bytes([0x5a; 20]);
const GWEI: u64 = 1_000_000_000;

/// A payee with so many units in its pot.
async fn paid(chain: &DevChain, count: u64) -> (Party, Party) {
    let (payer, payee) = (Party::rich(chain).await, Party::rich(chain).await);
    let channel = open(&payer, &payee, units(1000)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, count).await;
    payee.payments.claim(channel).await.unwrap().unwrap();
    (payer, payee)
}

fn disk(party: &Party) -> Vec<(Vec<u8>, Vec<u8>)> {
    let tables = [Table::Payer, Table::Payee, Table::Tx, Table::Entry];
    let rows = tables.map(|it| party.store.scan(it).unwrap());
    rows.into_iter().flatten().collect()
}

/// The gas that the newest entry of the ledger burnt.
async fn burnt(party: &Party) -> Amount {
    let entries = party.payments.ledger().await.unwrap();
    let gas = entries
        .iter()
        .rev()
        .find(|it| it.posting.to == Account::Gas);
    gas.unwrap().posting.amount
}

#[tokio::test]
async fn asking_what_a_withdrawal_costs_sends_and_writes_nothing_and_is_the_most_it_costs() {
    // Gas as it is, and gas that gets ten times dearer before a block takes it.
    for dearer in [false, true] {
        let chain = world();
        let (_payer, payee) = paid(&chain, 70).await;
        let (tip, before) = (chain.tip(), disk(&payee));
        let nonce = chain.nonce(payee.account()).await.unwrap();
        let call = Call::Withdraw {
            to: SAFE,
            amount: units(70),
        };
        let cost = payee.payments.cost_of(call).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!((chain.tip(), disk(&payee)), (tip, before));
        assert_eq!(chain.nonce(payee.account()).await.unwrap(), nonce);
        assert_eq!((chain.waiting(), payee.pot().await), (0, units(70)));
        assert!(cost.about > wei(0) && cost.about < cost.at_most);

        if dearer {
            chain.set_mining(Mining::Manual);
        }
        let payments = payee.payments.clone();
        let sent = tokio::spawn(async move { payments.withdraw(SAFE, units(70)).await });
        while dearer && chain.waiting() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        while !sent.is_finished() {
            if dearer {
                chain.set_base_fee(wei(10 * GWEI));
                chain.mine();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        sent.await.unwrap().unwrap();
        payee.payments.refresh().await.unwrap();
        assert_eq!(chain.token_balance(SAFE).await.unwrap(), units(70));
        let burnt = burnt(&payee).await;
        assert!(burnt <= cost.at_most, "{burnt} of {cost:?}");
        assert_eq!(burnt <= cost.about, !dearer, "{burnt} of {cost:?}");
    }
}

#[tokio::test]
async fn a_withdrawal_that_cannot_be_done_is_refused_by_the_dry_run_too() {
    let chain = world();
    let (_payer, payee) = paid(&chain, 7).await;
    let call = Call::Withdraw {
        to: SAFE,
        amount: units(8),
    };
    let refused = payee.payments.cost_of(call).await.unwrap_err();
    assert!(
        matches!(refused, PaymentsError::Unfunded { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn a_fixed_pot_goes_to_its_beneficiary_and_pays_for_no_channel() {
    let chain = world();
    let (_payer, payee) = paid(&chain, 70).await;
    let owner = payee.account();
    let free = payee.payments.pot(owner).await.unwrap();
    assert_eq!((free.amount, free.beneficiary), (units(70), None));
    payee.payments.set_beneficiary(owner, SAFE).await.unwrap();
    let funds = payee.payments.balances().await.unwrap();
    assert_eq!((funds.pot, funds.beneficiary), (units(70), Some(SAFE)));
    // This wallet cannot take it back, or send it elsewhere.
    let back = payee.payments.set_beneficiary(owner, owner).await;
    assert!(back.is_err());
    assert!(payee.payments.withdraw(owner, units(1)).await.is_err());

    // A channel is paid from the wallet, and the pot stays.
    let (_, wallet, store) = payee.stop();
    let fresh = warren_payments::PaymentsConfig {
        fresh_keys: true,
        ..config()
    };
    let payee = Party::start_as(&chain, wallet, store, fresh);
    let other = Party::rich(&chain).await;
    open(&payee, &other, units(500)).await;
    assert_eq!(payee.pot().await, units(70));

    // Anybody pays it out.
    other.payments.pay_out(owner).await.unwrap();
    assert_eq!(chain.token_balance(SAFE).await.unwrap(), units(70));
    payee.payments.refresh().await.unwrap();
    assert_eq!(payee.pot().await, wei(0));
    let out = payee.payments.ledger().await.unwrap();
    let out = out.iter().filter(|it| it.posting.from == Account::Pot);
    let sums: Vec<_> = out.map(|it| it.posting.amount).collect();
    assert_eq!(sums, [units(70)], "it left the pot, whoever sent it");
}

/// Gas that costs more than the cap: whoever waits for an opening is told, and nothing was sent.
#[tokio::test]
async fn an_opening_that_is_too_dear_says_so_and_holds_up_no_claim() {
    let chain = world();
    let (payer, payee) = paid(&chain, 70).await;
    let channel = payee.payments.channels().await.unwrap()[0].id;
    for total in 71..=300 {
        let frames = payer.payments.release(channel, total).await.unwrap();
        payee.take(channel, frames).await.unwrap();
    }
    let (_, wallet, store) = payee.stop();
    let thrifty = warren_payments::PaymentsConfig {
        fee_cap: wei(5 * GWEI),
        ..config()
    };
    let payee = Party::start_as(&chain, wallet, store, thrifty);
    payee.payments.refresh().await.unwrap();
    chain.set_base_fee(wei(50 * GWEI));
    chain.mine();
    let nonce = chain.nonce(payee.account()).await.unwrap();
    let opened = payee
        .payments
        .open_channel(payer.account(), units(50), crate::party::HOUR)
        .await
        .unwrap();
    let usable = payee.payments.wait_usable(opened);
    let told = async {
        loop {
            chain.set_base_fee(wei(50 * GWEI));
            chain.advance(Duration::from_secs(12));
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    };
    let told = tokio::select! {
        told = usable => told,
        () = told => Ok(()),
    };
    let told = told.unwrap_err();
    assert!(matches!(told, PaymentsError::GasTooDear { .. }), "{told:?}");
    assert_eq!(
        (chain.waiting(), chain.nonce(payee.account()).await.unwrap()),
        (0, nonce)
    );
    // Cheap again: what is asked for then is made at once.
    chain.set_base_fee(wei(GWEI));
    chain.mine();
    payee.payments.claim(channel).await.unwrap().unwrap();
    assert_eq!(payee.pot().await, units(300));
}
