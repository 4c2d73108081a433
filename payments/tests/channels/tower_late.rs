//! A tower that comes late: some of what it was given is worth nothing any more, and the rest is claimed.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use warren_payments::PaymentsConfig;
use warren_payments::chain::Chain;
use warren_payments::chain::dev::DevChain;
use warren_payments::store::MemoryStore;
use warren_proto::{Amount, ChannelId, TowerVerdict};

use crate::party::{HOUR, Party, begin, config, funded, open, pay, units, wei, world};
use crate::routed::{open_for_a_day, tomorrow};
use crate::street::{lock_of, say};
use crate::tower::{Keep, PAYEE, claimed_when, sealed};
use crate::twisted::{Twisted, quorum, truth};

/// A payee that is away for the whole close window, with words of a lock that expires within it; and a tower
/// that is down when that lock must be claimed. One word too many undoes the whole claim on the chain.
#[tokio::test]
async fn words_of_a_lock_that_expired_are_left_out_and_the_others_are_claimed() {
    let chain = tomorrow();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let keep = Keep::on(&chain).await;
    let channel = open_for_a_day(&payer, &payee, units(1000)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 30).await;
    let ready = lock_of(&payer, &payee, (channel, units(1)), 100).await;
    say(&payer, &payee, ready, 40).await;
    let put = sealed(&payee, channel, 1).await;
    assert_eq!(keep.puts(PAYEE, put).await, TowerVerdict::Kept);
    assert_eq!(
        payee.payments.held(channel).await.unwrap().ack.value_now,
        units(70)
    );
    drop(payee); // For good.

    let (_, wallet, disk) = keep.party.stop();
    drop(keep.service);
    payer.payments.close(channel, None).await.unwrap();
    chain.advance(HOUR * 3);
    let keep = Keep::of(&chain, Party::start(&chain, wallet, disk)).await;
    claimed_when(&chain, channel, units(30)).await;
    let spent = async {
        loop {
            let view = keep.service.view().await.unwrap();
            if view.puts.iter().all(|(_, it)| it.spent) {
                return (view.claims, view.saved);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let spent = tokio::time::timeout(Duration::from_secs(60), spent).await;
    assert_eq!(spent.unwrap(), (1, units(30)), "and nothing is tried again");
    assert_eq!(keep.party.pot().await, wei(0));
}

const GWEI: u64 = 1_000_000_000;
const SPIKE: Amount = wei(50 * GWEI);

/// The tower's own coin, and a payee whose money is worth any gas.
struct Dear {
    chain: DevChain,
    keep: Keep,
    channel: ChannelId,
    coin: Amount,
}

impl Dear {
    /// A payee that is away, a payer that closes, a quarter of an hour left, and gas at ten times what
    /// the tower ever pays for itself.
    async fn new() -> Self {
        let chain = world();
        let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
        let (_, wallet, disk) = Party::rich(&chain).await.stop();
        let thrifty = PaymentsConfig {
            fee_cap: wei(5 * GWEI),
            ..config()
        };
        let keep = Keep::of(&chain, Party::start_as(&chain, wallet, disk, thrifty)).await;
        let channel = open(&payer, &payee, units(1000)).await;
        begin(&payer, &payee, channel).await;
        pay(&payer, &payee, channel, 0, 320).await;
        let put = sealed(&payee, channel, 1).await;
        assert_eq!(keep.puts(PAYEE, put).await, TowerVerdict::Kept);
        drop(payee); // For good.
        payer.payments.close(channel, None).await.unwrap();
        let coin = chain.native_balance(keep.party.account()).await.unwrap();
        chain.set_base_fee(SPIKE);
        chain.advance(HOUR.mul_f32(0.75));
        Self {
            chain,
            keep,
            channel,
            coin,
        }
    }

    /// So many blocks of twelve seconds, each seen by the tower.
    async fn blocks(&self, count: u32, fee: Amount) {
        for _ in 0..count {
            self.chain.set_base_fee(fee);
            self.chain.advance(Duration::from_secs(12));
            let _may_fail = self.keep.service.refresh().await;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

/// What a tower claims is another's: that time is short lifts no cap of its own, and what it did not send is
/// made when gas is cheap again.
#[tokio::test]
async fn a_tower_pays_its_usual_cap_and_no_more_however_short_the_time() {
    let dear = Dear::new().await;
    dear.blocks(20, SPIKE).await;
    let claimed = async || {
        let state = dear.chain.channel(dear.channel).await.unwrap();
        state.unwrap().claimed
    };
    assert_eq!(claimed().await, wei(0));
    let account = dear.keep.party.account();
    let left = dear.chain.native_balance(account).await.unwrap();
    assert_eq!((left, dear.chain.waiting()), (dear.coin, 0));

    dear.blocks(30, wei(GWEI)).await;
    assert_eq!(claimed().await, units(320));
    let left = dear.chain.native_balance(account).await.unwrap();
    let spent = dear.coin.checked_sub(left).unwrap();
    assert!(spent <= wei(100_000 * 5 * GWEI), "{spent}");
}

/// A tower that hears of the chain through two endpoints, and keeps what a payee that is away has earned.
struct Told {
    chain: DevChain,
    twisted: Twisted,
    keep: Keep,
    /// It looks at the chain all the time, until it is gone.
    payer: Option<Party>,
    channel: ChannelId,
}

impl Told {
    async fn new() -> Self {
        let chain = world();
        let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
        let [honest, twisted] = [0, 1].map(|_| Twisted::honest(&chain));
        let slow = PaymentsConfig {
            poll: Duration::from_secs(15),
            ..config()
        };
        let way: Arc<dyn Chain> = Arc::new(quorum(&[&honest, &twisted]));
        let (wallet, at) = (funded(&chain, units(1)), Arc::clone(&way));
        let party = Party::start_by(at, &chain, wallet, MemoryStore::new(), slow);
        let keep = Keep::by(way, party, Duration::from_secs(15)).await;
        let channel = open(&payer, &payee, units(1000)).await;
        begin(&payer, &payee, channel).await;
        pay(&payer, &payee, channel, 0, 320).await;
        let put = sealed(&payee, channel, 1).await;
        assert_eq!(keep.puts(PAYEE, put).await, TowerVerdict::Kept);
        drop(payee); // For good.
        keep.service.refresh().await.unwrap();
        Self {
            chain,
            twisted,
            keep,
            payer: Some(payer),
            channel,
        }
    }

    /// The payer closes.
    async fn closes(&self) {
        let payer = self.payer.as_ref().unwrap();
        payer.payments.close(self.channel, None).await.unwrap();
    }

    async fn claimed(&self) -> Amount {
        let state = self.chain.channel(self.channel).await.unwrap();
        state.unwrap().claimed
    }
}

/// The payer closes, and one of two endpoints changes, before or after the closing was heard; the window runs, and the
/// tower claims. `agree`: whether the two agree on anything from then on.
async fn claims_in_time(changes: impl Fn(&Twisted), agree: bool) {
    for heard in [true, false] {
        let mut told = Told::new().await;
        if heard {
            told.closes().await;
            told.keep.service.refresh().await.unwrap();
        }
        changes(&told.twisted);
        if !heard {
            told.closes().await;
        }
        told.payer = None;
        let refreshed = told.keep.service.refresh().await;
        assert_eq!(refreshed.is_ok(), agree, "{refreshed:?}");
        assert_eq!(told.claimed().await, wei(0), "the payee has its quarter");
        tokio::time::sleep(HOUR / 2).await;
        assert_eq!(told.claimed().await, units(320), "heard before: {heard}");
    }
}

/// One is on another chain of blocks: they agree on nothing any more.
#[tokio::test(start_paused = true)]
async fn a_tower_whose_endpoints_contradict_each_other_claims_in_time() {
    let contradicts = |it: &Twisted| {
        it.becomes(|method, params, chain| {
            if method != "eth_getBlockByNumber" {
                return None;
            }
            let mut block = truth(chain, method, params).ok()?;
            block["hash"] = json!(format!("0x{}", "11".repeat(32)));
            Some(Ok(block))
        });
    };
    claims_in_time(contradicts, false).await;
}

/// One stands still: they agree, on what is old.
#[tokio::test(start_paused = true)]
async fn a_tower_of_whose_endpoints_one_stands_still_claims_in_time() {
    claims_in_time(Twisted::stands_still, true).await;
}

/// It lags far behind the other one, and advances: a closing that only the other can know of is feared at once.
#[tokio::test(start_paused = true)]
async fn a_tower_hears_of_a_closing_that_a_lagging_endpoint_holds_back() {
    let mut told = Told::new().await;
    told.twisted.stands_still();
    told.closes().await;
    for _ in 0..9 {
        told.chain.mine();
    }
    told.payer = None;
    for _ in 0..2 {
        told.keep.service.refresh().await.unwrap();
    }
    let view = told.keep.service.view().await.unwrap();
    assert!(view.puts.iter().all(|(_, it)| it.due.is_some()));
}
