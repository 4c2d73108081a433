//! History rewritten deeper than anybody waits for, and news that a crash cuts short.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use warren_payments::chain::Chain;
use warren_payments::chain::dev::Reorg;
use warren_payments::ledger::{Account, Entry};
use warren_payments::store::{ChannelStore, Fault, MemoryStore, Put, Records, StoreError, Table};
use warren_payments::{Payments, Phase, Wallet};
use warren_proto::{Amount, PayErrorCode, UnixTime};

use crate::books::agreed;
use crate::party::{Party, begin, config, open, pay, units, world};

fn sum(entries: &[Entry], of: impl Fn(&Entry) -> bool) -> Amount {
    let amounts = entries
        .iter()
        .filter(|it| of(it))
        .map(|it| it.posting.amount);
    amounts.fold(Amount::ZERO, |sum, it| sum.checked_add(it).unwrap())
}

#[tokio::test]
async fn a_deposit_that_a_deep_reorganisation_took_back_serves_nothing_more() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let before = chain.tip().number;
    let channel = open(&payer, &payee, units(100)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 5).await;
    let held_back = payer.payments.release(channel, 6).await.unwrap();
    drop(payer); // Or it would open the channel once more.
    let depth = usize::try_from(chain.tip().number - before).unwrap();
    chain.reorg(depth, Reorg::Drop).unwrap();
    payee.payments.refresh().await.unwrap();
    let known = payee.payments.channels().await.unwrap();
    assert_eq!(
        (known[0].phase, known[0].deposit),
        (Phase::Opening, units(0))
    );
    let refused = payee.take(channel, held_back).await;
    assert_eq!(refused, Err(PayErrorCode::NotConfirmed));
}

#[tokio::test]
async fn the_ledger_counts_each_movement_of_the_pot_once_through_rewritten_history() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(100)).await;
    let not_after = UnixTime::from_secs(4_000_000_000);
    let consent = payee.payments.consent_to_close(channel, not_after).await;
    let closed = payer.payments.close(channel, Some(consent.unwrap())).await;
    closed.unwrap();
    let taken = payer.payments.withdraw(payer.account(), units(20)).await;
    taken.unwrap();
    assert_eq!(taken_out(&payer).await, units(20));
    // The same transaction, in another block.
    chain.reorg(1, Reorg::Keep).unwrap();
    payer.payments.refresh().await.unwrap();
    assert_eq!(payer.pot().await, units(80));
    assert_eq!(taken_out(&payer).await, units(20));
    // Gone for good: its record was forgotten when it was confirmed.
    chain.reorg(2, Reorg::Drop).unwrap();
    payer.payments.refresh().await.unwrap();
    assert_eq!(payer.pot().await, units(100));
    assert_eq!(taken_out(&payer).await, units(0));
}

#[tokio::test]
async fn the_ledger_counts_a_deposit_and_a_claim_once_through_rewritten_history() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(100)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 30).await;
    for _ in 0..2 {
        payee.payments.claim(channel).await.unwrap().unwrap();
        let books = agreed(&payee).await;
        assert_eq!(books.channel(&channel).claimed, units(30));
        // Gone for good, and made again by whoever misses it.
        chain.reorg(1, Reorg::Drop).unwrap();
        payee.payments.refresh().await.unwrap();
        let books = agreed(&payee).await;
        assert_eq!(books.channel(&channel).claimed, units(0));
    }
    for more in [units(5), units(7)] {
        payer.payments.top_up(channel, more).await.unwrap();
        payer.payments.refresh().await.unwrap();
        let deposited = agreed(&payer).await.channel(&channel).deposited;
        assert_eq!(deposited, units(100).checked_add(more).unwrap());
        chain.reorg(1, Reorg::Drop).unwrap();
        payer.payments.refresh().await.unwrap();
        let books = agreed(&payer).await;
        assert_eq!(books.channel(&channel).deposited, units(100));
    }
}

/// What the ledger says was taken out of the pot, less what was taken back.
async fn taken_out(payer: &Party) -> Amount {
    let entries = payer.payments.ledger().await.unwrap();
    let between = |from, to| {
        let fits = |it: &Entry| it.posting.from == from && it.posting.to == to;
        sum(&entries, fits)
    };
    let out = between(Account::Pot, Account::Wallet);
    out.checked_sub(between(Account::Wallet, Account::Pot))
        .unwrap()
}

/// A store that remembers what was written together.
#[derive(Debug, Default)]
struct Witness {
    disk: MemoryStore,
    batches: Mutex<Vec<Vec<Put>>>,
}

impl ChannelStore for Witness {
    fn put(&self, batch: Vec<Put>) -> Result<(), StoreError> {
        self.batches.lock().unwrap().push(batch.clone());
        self.disk.put(batch)
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.disk.get(table, key)
    }

    fn scan(&self, table: Table) -> Result<Records, StoreError> {
        self.disk.scan(table)
    }
}

#[tokio::test]
async fn the_cursor_moves_with_what_its_blocks_changed_and_never_alone_past_them() {
    let chain = world();
    let payer = Party::rich(&chain).await;
    let witness = Arc::new(Witness::default());
    let wallet = Wallet::generate().unwrap();
    let way: Arc<dyn Chain> = Arc::new(chain.clone());
    let disk: Arc<dyn ChannelStore> = Arc::clone(&witness) as _;
    let (payee, _news) = Payments::start(way, disk, wallet.clone(), config()).unwrap();
    payee.refresh().await.unwrap();
    let opened = payer
        .payments
        .open_channel(wallet.account(), units(10), crate::party::HOUR);
    let channel = opened.await.unwrap();
    payer.payments.wait_usable(channel).await.unwrap();
    payee.refresh().await.unwrap();
    let batches = witness.batches.lock().unwrap().clone();
    let tables = |batch: &[Put]| {
        batch
            .iter()
            .map(|it| it.table.name())
            .collect::<BTreeSet<_>>()
    };
    let first = batches
        .iter()
        .find(|it| tables(it).contains(Table::Payee.name()));
    let first = first.expect("the deposit is on disk");
    let has_cursor = |batch: &[Put]| {
        let cursor = |it: &Put| it.table == Table::Meta && it.key == b"cursor";
        batch.iter().any(cursor)
    };
    assert!(has_cursor(first), "with the cursor: {:?}", tables(first));
}

/// News of an opening and of a claim, cut short by a crash before and after each save.
#[tokio::test]
async fn news_that_a_crash_cut_short_are_heard_again_and_counted_once() {
    for fault in [Fault::LoseFrom as fn(u64) -> Fault, Fault::KeepThenFail] {
        for save in 0..3 {
            let chain = world();
            let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
            let channel = open(&payer, &payee, units(100)).await;
            begin(&payer, &payee, channel).await;
            pay(&payer, &payee, channel, 0, 30).await;
            payee.store.inject(Some(fault(save)));
            // It may or may not come through; whatever happened on chain stays there.
            let _ = payee.payments.claim(channel).await;
            let _ = payee.payments.refresh().await;
            let payee = payee.restarted().await;
            payee.payments.claim(channel).await.unwrap();
            payee.payments.refresh().await.unwrap();
            let held = payee.payments.channels().await.unwrap();
            assert_eq!(held[0].claimed, units(30), "{save}");
            let entries = payee.payments.ledger().await.unwrap();
            let claimed = sum(&entries, |it| it.posting.from == Account::Claimable);
            assert_eq!(claimed, units(30), "each claim once: {save}");
            let earned = sum(&entries, |it| it.posting.to == Account::Claimable);
            assert_eq!(earned, units(30), "{save}");
        }
    }
}
