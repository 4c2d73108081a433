//! One ledger: at every step it agrees with the channels' records, with what others are told, and
//! with the chain. And the evidence of a channel is worth what the books say.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use warren_payments::calls::Call;
use warren_payments::chain::Chain as _;
use warren_payments::channel::Phase;
use warren_payments::ledger::{Account, Books};
use warren_payments::store::{ChannelStore as _, MemoryStore, Table};
use warren_payments::tx::{Submitter, SubmitterConfig, TxRules};
use warren_payments::voucher::worth;
use warren_payments::{PaymentEvent, Role, VerifiedVoucher};
use warren_proto::{ChannelId, PayoutAddress, Voucher};

use crate::party::{Party, UNIT, begin, config, funded, open, pay, units, wei, world};
use crate::twisted::{Twisted, quorum};

/// The books of a party against everything else that shows its money.
pub(crate) async fn agreed(party: &Party) -> Books {
    let payments = &party.payments;
    let books = payments.books().await.unwrap();
    let entries = payments.ledger().await.unwrap();
    let again = Books::of(entries.iter().map(|it| &it.posting));
    for it in payments.channels().await.unwrap() {
        let (book, written) = (books.channel(&it.id), again.channel(&it.id));
        match it.role {
            Role::Payer if it.phase == Phase::Closed => {
                assert_eq!((book.paid, book.left()), (it.claimed, wei(0)));
                assert_eq!(book, written);
            }
            Role::Payer => {
                assert_eq!((book.deposited, book.paid), (it.deposit, it.value));
                assert_eq!(book.left(), it.deposit.saturating_sub(it.value));
                assert!(
                    written.paid <= book.paid,
                    "words are written with their fold"
                );
            }
            Role::Payee => {
                let unwritten = book.earned.saturating_sub(written.earned);
                assert!(
                    unwritten < units(256),
                    "words are written when some have come"
                );
                assert_eq!(book.claimed, written.claimed);
                assert_eq!((book.earned, book.claimed), (it.value, it.claimed));
            }
        }
    }
    let funds = payments.balances().await.unwrap();
    let total = books.total();
    assert_eq!(total.left(), funds.spendable);
    if total.lost == wei(0) {
        assert_eq!(total.claimable(), funds.claimable);
    }
    books
}

/// What each side could show of the channel is worth what its books say.
async fn proved(party: &Party, channel: ChannelId) {
    let evidence = party.payments.evidence(channel).await.unwrap().unwrap();
    let book = party.payments.books().await.unwrap().channel(&channel);
    assert_eq!(evidence.value.wei(), book.paid.wei().max(book.earned.wei()));
    assert_eq!(
        worth(&evidence.voucher, &evidence.best),
        Ok(evidence.value),
        "by voucher and words alone"
    );
    let chain = party.payments.chain_ref();
    VerifiedVoucher::verify(evidence.voucher, &evidence.params, &chain).unwrap();
}

#[tokio::test]
async fn the_ledger_agrees_with_records_and_chain_from_opening_to_close() {
    let chain = world();
    let (mut payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(1000)).await;
    assert_eq!(payee.payments.evidence(channel).await.unwrap(), None);
    for session in 1..=2 {
        begin(&payer, &payee, channel).await;
        let before = [&payer, &payee].map(|it| it.payments.evidence(channel));
        for evidence in before {
            let evidence = evidence.await.unwrap().unwrap();
            assert_eq!(evidence.value_before, units(270 * (session - 1)));
        }
        pay(&payer, &payee, channel, 0, 270).await;
        for party in [&payer, &payee] {
            agreed(party).await;
            proved(party, channel).await;
        }
        let last = payer.payments.finish(channel).await.unwrap();
        payee.payments.accept_voucher(last).await.unwrap();
        let (paid, earned) = (agreed(&payer).await, agreed(&payee).await);
        assert_eq!(paid.total().paid, earned.total().earned);
        assert_eq!(paid.total().paid, units(270 * session));
        proved(&payer, channel).await;
    }

    payee.payments.claim(channel).await.unwrap().unwrap();
    payer.payments.refresh().await.unwrap();
    let earned = agreed(&payee).await.total();
    let on_chain = chain.channel(channel).await.unwrap().unwrap();
    assert_eq!(earned.claimed, on_chain.claimed);
    assert_eq!(earned.claimed, payee.pot().await);

    let payee = payee.restarted().await;
    agreed(&payee).await;
    payee.payments.give_back(channel).await.unwrap();
    payer.hear(|it| *it == PaymentEvent::Closed(channel)).await;
    let paid = agreed(&payer).await.total();
    assert_eq!((paid.paid, paid.returned), (units(540), units(460)));
    assert_eq!(paid.returned, payer.pot().await);
    assert_eq!(agreed(&payee).await.total().claimable(), wei(0));
}

/// Each is good and worth a wei more: nobody can make the ledger as long as the vouchers that it signs.
#[tokio::test]
async fn vouchers_of_a_wei_each_are_a_few_entries() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(100)).await;
    payee
        .payments
        .begin_session(channel, wei(UNIT))
        .await
        .unwrap();
    let (key, pins) = (payer.wallet.account_key(), chain.chain_ref());
    for seq in 1..=10_000 {
        let draft = Voucher {
            channel,
            seq,
            base: wei(seq),
            locks: Vec::new(),
            signature: [0; 64],
        };
        let voucher = key.sign_voucher(draft, &pins);
        payee.payments.accept_voucher(voucher).await.unwrap();
    }
    let before = payee.payments.ledger().await.unwrap().len();
    assert!(before < 100, "{before} entries");
    assert_eq!(agreed(&payee).await.total().earned, wei(10_000));
    payee.payments.claim(channel).await.unwrap().unwrap();
    let total = agreed(&payee).await.total();
    assert_eq!((total.earned, total.claimed), (wei(10_000), wei(10_000)));
    let entries = payee.payments.ledger().await.unwrap();
    let written = Books::of(entries.iter().map(|it| &it.posting)).total();
    assert_eq!(written, total, "the ledger alone says the same by then");
}

#[tokio::test]
async fn what_was_not_claimed_before_the_end_is_written_off() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(100)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 8).await;
    payee.payments.claim(channel).await.unwrap().unwrap();
    pay(&payer, &payee, channel, 8, 20).await;
    payee.payments.give_back(channel).await.unwrap(); // Without a claim for the last twelve.
    let total = agreed(&payee).await.total();
    assert_eq!((total.earned, total.claimed), (units(20), units(8)));
    assert_eq!((total.lost, total.claimable()), (units(12), wei(0)));
}

#[tokio::test]
async fn what_a_channel_takes_from_the_pot_is_written_so() {
    let chain = world();
    let (mut payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let wallet = chain.token_balance(payer.account()).await.unwrap().wei();
    let first = open(&payer, &payee, units(100)).await;
    payee.payments.give_back(first).await.unwrap();
    payer.hear(|it| *it == PaymentEvent::Closed(first)).await;
    assert_eq!(payer.pot().await, units(100));
    // From here on the pot has enough for an opening and a top-up, and then for a part of one.
    let second = open(&payer, &payee, units(60)).await;
    for more in [units(30), units(50)] {
        payer.payments.top_up(second, more).await.unwrap();
    }
    payer.payments.refresh().await.unwrap();
    let payer = payer.restarted().await;
    let entries = payer.payments.ledger().await.unwrap();
    let ledger = warren_payments::ledger::Balances::of(entries.iter().map(|it| &it.posting));
    let signed = |it: u128| i128::try_from(it).unwrap();
    assert_eq!(ledger.net(Account::Pot), signed(payer.pot().await.wei()));
    let now = chain.token_balance(payer.account()).await.unwrap().wei();
    assert_eq!(ledger.net(Account::Wallet), signed(now) - signed(wallet));
    assert_eq!(ledger.net(Account::Deposited), signed(units(140).wei()));
}

/// One endpoint keeps no index of transactions: what a channel was filled from is for the books alone.
#[tokio::test]
async fn what_only_the_books_need_stops_no_news_of_the_chain() {
    let chain = world();
    let [a, b] = [0, 1].map(|_| Twisted::honest(&chain));
    b.becomes(|method, _, _| (method == "eth_getTransactionByHash").then_some(Ok(Value::Null)));
    let wallet = funded(&chain, units(1000));
    let way = Arc::new(quorum(&[&a, &b]));
    let payer = Party::start_by(way, &chain, wallet, MemoryStore::new(), config());
    let payee = Party::rich(&chain).await;
    let channel = open(&payer, &payee, units(100)).await;
    payer.payments.top_up(channel, units(5)).await.unwrap();
    payer.payments.refresh().await.unwrap();
    let known = payer.payments.channels().await.unwrap();
    assert_eq!(known[0].deposit, units(105));
}

/// The process ends after a transaction is confirmed and forgotten, and before its cost is written down.
#[tokio::test]
async fn what_a_transaction_cost_is_in_the_ledger_once_whenever_the_power_fails() {
    let chain = world();
    let (_, wallet, store) = Party::rich(&chain).await.stop();
    let rules = TxRules {
        chain_id: chain.chain_ref().chain_id,
        confirmations: 1,
        bump_after_blocks: 3,
        fee_cap: config().fee_cap,
        urgent: Duration::from_secs(1200),
    };
    let sending = SubmitterConfig {
        rules,
        poll: Duration::from_millis(10),
        max_silence: Duration::from_secs(60),
    };
    // Nobody reads what it tells.
    let (told, _unread) = tokio::sync::mpsc::channel(1);
    let (at, disk) = (Arc::new(chain.clone()), Arc::new(store.clone()));
    let key = wallet.account_key().clone();
    let submitter = Submitter::start_telling(at, disk, key, sending, Some(told)).unwrap();
    let call = Call::Transfer {
        to: PayoutAddress::from_bytes([9; 20]),
        amount: wei(5),
    };
    let done = submitter.submit(call).await.unwrap();
    drop(submitter);

    let mut party = Party::start(&chain, wallet, store.snapshot());
    for run in 0..2 {
        party.payments.refresh().await.unwrap();
        let entries = party.payments.ledger().await.unwrap();
        let gas = entries.iter().filter(|it| it.posting.to == Account::Gas);
        let gas: Vec<_> = gas.map(|it| (it.posting.amount, it.posting.tx)).collect();
        assert_eq!(gas, [(done.cost, Some(done.tx))], "run {run}");
        assert_eq!(party.store.scan(Table::Tx).unwrap(), vec![]);
        party = party.restarted().await;
    }
}
