//! Ways that are made at the same time, on a chain that makes its blocks when told to.

use tempfile::TempDir;
use tokio::task::JoinHandle;
use warren_overlay::{Overlay, OverlayConfig};
use warren_payments::RouterPolicy;
use warren_payments::chain::dev::Mining;

use super::*;
use crate::clock::Clock;
use crate::config::RouterSection;
use crate::perform::Purse;
use crate::perform::tests::{Pair, purse_of, units};
use crate::route::{RouteParts, Routes};
use crate::stand::{PATIENCE, key};
use crate::store::Store;

/// A router with an open channel of 1000 units to one exit, and two exits that it never heard of.
struct World {
    pair: Pair,
    own: Arc<Own>,
    store: Arc<Store>,
    _home: TempDir,
}

const COLD: [u8; 2] = [7, 8];

impl World {
    /// No block comes by itself once this returns.
    async fn new(budget: Amount) -> Self {
        let pair = Pair::new().await;
        let (purse, (home, store)) = purse_of(&pair.router);
        let (overlay, _) = Overlay::start(OverlayConfig::default(), key(1)).unwrap();
        let store = Arc::new(store);
        let own = Self::shell(overlay, purse, &store, budget);
        let world = Self {
            pair,
            own,
            store,
            _home: home,
        };
        let warm = world.warm().await;
        let known = world
            .own
            .neighbours
            .set(world.pair.channel, warm.neighbour());
        known.await.unwrap();
        world.pair.chain.set_mining(Mining::Manual);
        world
    }

    fn shell(overlay: Overlay, purse: Purse, store: &Arc<Store>, budget: Amount) -> Arc<Own> {
        let parts = RouteParts {
            overlay,
            control: tokio::runtime::Handle::current(),
            purse,
            key: key(1),
            clock: Arc::new(Clock::start()),
            store: Arc::clone(store),
            router: RouterSection {
                enabled: true,
                policy: RouterPolicy::default(),
                deposit: Amount::ZERO,
                budget,
                max_channels: 4,
            },
        };
        Routes::start(parts).unwrap().0.own.unwrap()
    }

    /// The router begins anew with what is on disk.
    async fn restarts(&mut self) {
        self.pair.restarts_router();
        self.pair.router.refresh().await.unwrap();
        let headroom = self.store.headroom().clone();
        let purse = Purse::new(self.pair.router.clone(), headroom);
        let (overlay, budget) = (self.own.overlay.clone(), self.own.router.budget);
        self.own = Self::shell(overlay, purse, &self.store, budget);
    }

    async fn warm(&self) -> Payee {
        let channels = self.pair.router.channels().await.unwrap();
        Payee {
            account: channels[0].params.payee,
            ..payee(1)
        }
    }

    /// An offer that needs a way.
    fn asks(&self, payee: Payee, need: u64) -> JoinHandle<Result<ChannelId, PayErrorCode>> {
        let own = Arc::clone(&self.own);
        tokio::spawn(async move { own.way(&payee, units(need)).await })
    }

    /// Waits until the books are as `look` wants them.
    async fn until(&self, look: impl Fn(&[ChannelView]) -> bool) {
        let seen = async {
            while !look(&self.pair.router.channels().await.unwrap()) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, seen).await.expect("it is never so");
    }

    /// Makes blocks until this way is made.
    async fn made(
        &self,
        way: JoinHandle<Result<ChannelId, PayErrorCode>>,
    ) -> Result<ChannelId, PayErrorCode> {
        while !way.is_finished() {
            self.pair.chain.mine();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        way.await.unwrap()
    }
}

fn cold(n: usize) -> Payee {
    Payee {
        account: PayoutAddress::from_bytes([COLD[n]; 20]),
        ..payee(COLD[n])
    }
}

#[tokio::test]
async fn an_offer_that_waits_for_a_new_channel_stops_no_other() {
    let world = World::new(units(5000)).await;
    let warm = world.warm().await;
    let first = world.asks(cold(0), 10);
    world.until(|it| it.len() == 2).await;

    let way = world.own.way(&warm, units(10)).await;
    assert_eq!(way, Ok(world.pair.channel));
    assert!(!first.is_finished(), "no block has come");
    // Another one to the same new exit waits for the same channel.
    let second = world.asks(cold(0), 10);
    let (first, second) = (world.made(first).await, world.made(second).await);
    assert!(first.is_ok() && first == second, "{first:?}, {second:?}");
    assert_eq!(world.pair.router.channels().await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_offer_that_waits_for_a_deeper_channel_stops_no_other() {
    let world = World::new(units(5000)).await;
    let first = world.asks(world.warm().await, 1500);
    world.until(|it| it[0].pending == units(1500)).await;

    let way = world.own.way(&world.warm().await, units(10)).await;
    assert_eq!(way, Ok(world.pair.channel));
    assert!(!first.is_finished(), "no block has come");
    // Another one that needs as much waits for the same deposit.
    let second = world.asks(world.warm().await, 1500);
    let (first, second) = (world.made(first).await, world.made(second).await);
    assert_eq!((first, second), (Ok(world.pair.channel), way));
    let channels = world.pair.router.channels().await.unwrap();
    assert_eq!((channels[0].deposit, channels.len()), (units(2500), 1));
}

#[tokio::test]
async fn offers_at_once_share_one_budget() {
    let world = World::new(units(1150)).await;
    // 150 are left beside the open channel: for one of these, whichever comes first.
    let ways = [world.asks(cold(0), 100), world.asks(cold(1), 100)];
    let mut made = 0;
    for way in ways {
        match world.made(way).await {
            Ok(_) => made += 1,
            Err(code) => assert_eq!(code, PayErrorCode::NoCapacity),
        }
    }
    assert_eq!(made, 1);
}

#[tokio::test]
async fn a_deposit_that_is_on_its_way_at_a_restart_counts_for_the_budget() {
    let mut world = World::new(units(2600)).await;
    let deeper = world.asks(world.warm().await, 1500);
    world.until(|it| it[0].pending == units(1500)).await;
    let sent = async {
        while world.pair.chain.waiting() == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, sent).await.expect("nothing is sent");
    deeper.abort();

    world.restarts().await;
    // 1000 are there, and 1500 may come with any block.
    let way = world.own.way(&cold(0), units(200)).await;
    assert_eq!(way, Err(PayErrorCode::NoCapacity));
    let comes = async {
        let deposit = async || world.pair.router.channels().await.unwrap()[0].deposit;
        while deposit().await != units(2500) {
            world.pair.chain.mine();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, comes).await.expect("it never comes");
    // Once it is there it counts once.
    let way = world.made(world.asks(cold(0), 100)).await;
    assert!(way.is_ok(), "{way:?}");
}
