//! What is remembered of locks, and for how long.

#![allow(clippy::unwrap_used, reason = "tests")]

use warren_proto::ChannelId;

use super::*;
use crate::lockfile::HomeLock;
use crate::route::{Kind, Neighbour, Neighbours};
use crate::store::StoreSpec;

const NOON: UnixTime = UnixTime::from_secs(1_800_000_000);

fn open(home: &std::path::Path) -> Arc<Store> {
    let lock = HomeLock::take(home, NOON).unwrap();
    let owner = NodeId::from_bytes([1; 32]);
    Arc::new(Store::open(StoreSpec::new(home, owner), lock).unwrap())
}

fn lock_for(exit: u8, hours: u64) -> LockFor {
    LockFor {
        exit: NodeId::from_bytes([exit; 32]),
        exit_price: Amount::from_wei_u64(1000),
        serve_until: UnixTime::from_secs(NOON.as_secs() + hours * 3600),
        // One with a second router, one without.
        second: exit
            .is_multiple_of(2)
            .then(|| NodeId::from_bytes([0x2d; 32])),
    }
}

fn payment(number: u8) -> PaymentId {
    PaymentId::from_bytes([number; 16])
}

fn made_for(locks: &Locks, exit: u8, price: u64) -> Vec<PaymentId> {
    let (exit, price) = (NodeId::from_bytes([exit; 32]), Amount::from_wei_u64(price));
    let made = locks.made_for(exit, price).into_iter();
    made.map(|(payment, _)| payment).collect()
}

#[tokio::test]
async fn a_lock_is_remembered_for_its_exit_and_price_also_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    let locks = Locks::open(Arc::clone(&store)).unwrap();
    let neighbours = Neighbours::open(Arc::clone(&store)).unwrap();
    let (channel, kind) = (ChannelId::from_bytes([5; 32]), Kind::Router);
    let node = NodeId::from_bytes([6; 32]);
    let router = Neighbour { node, kind };
    neighbours.set(channel, router).await.unwrap();
    for (number, exit) in [(1, 7), (2, 7), (3, 8)] {
        let it = lock_for(exit, 2);
        locks.keep(payment(number), it, NOON).await.unwrap();
    }
    locks.forget(payment(2)).await.unwrap();
    drop((locks, neighbours, store));

    let store = open(home.path());
    let locks = Locks::open(Arc::clone(&store)).unwrap();
    assert_eq!(made_for(&locks, 7, 1000), [payment(1)]);
    assert_eq!(made_for(&locks, 8, 1000), [payment(3)]);
    assert_eq!(made_for(&locks, 7, 999), []);
    for (exit, hours) in [(7, 2), (8, 2)] {
        let (it, price) = (lock_for(exit, hours), Amount::from_wei_u64(1000));
        assert_eq!(locks.made_for(it.exit, price)[0].1, it);
    }
    let neighbours = Neighbours::open(store).unwrap();
    assert_eq!(neighbours.all(), [(channel, router)], "the keys are apart");
}

#[tokio::test]
async fn a_lock_that_served_its_time_goes_with_the_next_one_that_comes() {
    let home = tempfile::tempdir().unwrap();
    let locks = Locks::open(open(home.path())).unwrap();
    locks.keep(payment(1), lock_for(7, 1), NOON).await.unwrap();
    let later = UnixTime::from_secs(NOON.as_secs() + 3600);
    locks.keep(payment(2), lock_for(7, 3), later).await.unwrap();
    assert_eq!(made_for(&locks, 7, 1000), [payment(2)]);
}
