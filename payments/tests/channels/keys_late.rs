//! A restored wallet whose channels are older than the blocks that it looks at first.

use std::time::Duration;

use warren_payments::store::MemoryStore;
use warren_payments::{PaymentsConfig, Phase};

use crate::keys::{fresh, rich};
use crate::party::{Party, open, units, world};

/// The last channel is found though those before it are older than the first look; they are found once it is said
/// where they may begin.
#[tokio::test]
async fn a_restored_wallet_finds_a_late_key_at_once_and_older_ones_when_it_is_told_where_to_look() {
    let chain = world();
    let (payer, payee) = (rich(&chain).await, Party::rich(&chain).await);
    let mut opened = Vec::new();
    for _ in 0..24 {
        opened.push(open(&payer, &payee, units(10)).await);
    }
    payer.payments.close(opened[3], None).await.unwrap();
    let before = chain.tip().number;
    let last = open(&payer, &payee, units(10)).await;
    let (_, wallet, _) = payer.stop();
    let late = PaymentsConfig {
        scan_from: Some(before + 1),
        ..fresh()
    };
    let payer = Party::start_as(&chain, wallet, MemoryStore::new(), late.clone());
    payer.payments.refresh().await.unwrap();
    let known = async |it: &Party| it.payments.channels().await.unwrap();
    let ids: Vec<_> = known(&payer).await.iter().map(|it| it.id).collect();
    assert_eq!(ids, [last]);

    // What was restored and paid since stays as it is.
    payer.payments.close(last, None).await.unwrap();
    payer.payments.refresh().await.unwrap();
    let (_, wallet, store) = payer.stop();
    let payer = Party::start_as(&chain, wallet, store, fresh());
    let found = async {
        while known(&payer).await.len() < 25 {
            payer.payments.refresh().await.unwrap();
        }
    };
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, found).await.unwrap();
    let closing = |it: &Phase| matches!(it, Phase::Closing { .. });
    for channel in known(&payer).await {
        let closes = [opened[3], last].contains(&channel.id);
        assert_eq!(closing(&channel.phase), closes, "{:?}", channel.phase);
        assert_eq!(channel.deposit, units(10));
        assert!(!channel.shared);
    }
    // It is not gone through again, and what it was told later is later.
    let (_, wallet, store) = payer.stop();
    let payer = Party::start_as(&chain, wallet, store, late);
    payer.payments.refresh().await.unwrap();
    assert_eq!(known(&payer).await.len(), 25);
}
