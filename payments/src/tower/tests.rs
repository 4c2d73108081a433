//! The cores: what a tower takes, and what a payee gives it.

use std::time::Duration;

use proptest::prelude::*;
use warren_proto::{
    Amount, ChainRef, ChannelId, ChannelParams, Locator, Lock, NodeId, PayoutAddress,
    TowerDeadline, TowerPut, TowerVerdict, UnixTime, Voucher, WordFrame,
};

use super::*;
use crate::evidence::Evidence;
use crate::wallet::Wallet;
use crate::words::WordChain;

mod late;
mod picker;

const NOON: UnixTime = UnixTime::from_secs(1_800_000_000);
const HOUR: u64 = 3600;

fn wei(amount: u64) -> Amount {
    Amount::from_wei_u64(amount)
}

fn chain() -> ChainRef {
    ChainRef {
        chain_id: 31337,
        contract: PayoutAddress::from_bytes([7; 20]),
        token: PayoutAddress::from_bytes([8; 20]),
    }
}

fn owner(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn after(secs: u64) -> UnixTime {
    NOON.plus(Duration::from_secs(secs))
}

/// A channel that is worth `units` words of 1 wei; its lock expires at `expiry`.
fn evidence(wallet: &Wallet, salt: u64, units: u32, expiry: u64) -> (ChannelId, Evidence) {
    let params = ChannelParams {
        payer: wallet.account(),
        payee: PayoutAddress::from_bytes([5; 20]),
        period_secs: 7200,
        salt,
    };
    let id = params.id(&chain());
    let words = WordChain::derive(wallet.word_master(), &id, 1, 256);
    let draft = Voucher {
        channel: id,
        seq: 1,
        base: Amount::ZERO,
        locks: vec![Lock {
            anchor: words.anchor(),
            unit_price: wei(1),
            units: 256,
            expiry,
        }],
        signature: [0; 64],
    };
    let evidence = Evidence {
        params,
        voucher: wallet.account_key().sign_voucher(draft, &chain()),
        best: vec![WordFrame {
            lane: 0,
            k: units,
            word: words.word(units).unwrap().clone(),
        }],
        value: wei(units.into()),
        value_before: Amount::ZERO,
    };
    (id, evidence)
}

fn sealed(of: &(ChannelId, Evidence), number: u64) -> TowerPut {
    let until = NOON.as_secs() + 20 * HOUR;
    put(&of.0, &of.1, (number, until), [9; NONCE_BYTES]).unwrap()
}

struct World {
    tower: Tower,
    now: UnixTime,
}

impl World {
    fn new(rules: TowerRules) -> Self {
        Self {
            tower: Tower::new(chain(), rules),
            now: NOON,
        }
    }

    fn hear(&mut self, event: TowerEvent) -> TowerStep {
        let step = self.tower.handle(event, self.now);
        for change in step.changes.clone() {
            self.tower.apply(change);
        }
        step
    }

    fn puts(&mut self, owner: NodeId, put: TowerPut) -> (TowerVerdict, u64) {
        let put = Box::new(put);
        let answer = self.hear(TowerEvent::Put { owner, put }).answer.unwrap();
        (answer.verdict, answer.number)
    }

    fn closes(&mut self, channel: ChannelId, in_secs: u64) {
        let closes_at = self.now.as_secs() + in_secs;
        self.hear(TowerEvent::Closing(Closing { channel, closes_at }));
    }

    fn jobs_at(&mut self, now: UnixTime) -> Vec<Job> {
        self.now = now;
        self.hear(TowerEvent::Tick).jobs
    }

    fn count(&self) -> usize {
        self.tower.puts().count()
    }
}

#[test]
fn a_put_is_opened_by_its_channels_id_and_by_nothing_else() {
    let wallet = Wallet::generate().unwrap();
    let it = evidence(&wallet, 1, 40, 0);
    let put = sealed(&it, 5);
    let open = |channel: &ChannelId, number| open(&chain(), channel, (number, 0), &put.sealed);
    let (claim, value) = open(&it.0, 5).unwrap();
    assert_eq!((claim.params, value), (it.1.params, wei(40)));
    assert_eq!(
        open(&it.0, 6),
        Err(SealError::Broken),
        "its number is bound to it"
    );
    assert_eq!(
        open(&ChannelId::from_bytes([1; 32]), 5),
        Err(SealError::Broken)
    );

    // Nothing of what is inside shows outside, and neither does how much it is.
    for secret in [it.1.params.payer, it.1.params.payee] {
        let shows = |bytes: &[u8]| bytes.windows(20).any(|it| it == secret.as_bytes());
        assert!(!shows(&put.sealed));
    }
    let more = evidence(&wallet, 1, 200, 0);
    assert_eq!(sealed(&more, 6).sealed.len(), put.sealed.len());
}

/// The honest limit of the seal: ids are public from the opening on, so a tower that looks up every
/// channel of the chain can open what it holds before anybody closes (docs/adr/0018).
#[test]
fn whoever_tries_every_channel_of_the_chain_can_open_a_put() {
    let wallet = Wallet::generate().unwrap();
    let it = evidence(&wallet, 3, 40, 0);
    let put = sealed(&it, 5);
    let on_chain = (0..8).map(|salt| evidence(&wallet, salt, 1, 0).0);
    let found = on_chain.filter(|id| Locator::of(id) == put.locator);
    assert_eq!(found.collect::<Vec<_>>(), vec![it.0]);
}

#[test]
fn only_a_strictly_newer_put_of_the_same_owner_replaces() {
    let wallet = Wallet::generate().unwrap();
    let it = evidence(&wallet, 1, 40, 0);
    let mut world = World::new(TowerRules::default());
    assert_eq!(
        world.puts(owner(1), sealed(&it, 5)),
        (TowerVerdict::Kept, 5)
    );
    assert_eq!(
        world.puts(owner(1), sealed(&it, 5)),
        (TowerVerdict::Older, 5)
    );
    assert_eq!(
        world.puts(owner(1), sealed(&it, 4)),
        (TowerVerdict::Older, 5)
    );
    assert_eq!(
        world.puts(owner(1), sealed(&it, 6)),
        (TowerVerdict::Kept, 6)
    );
    // A stranger that knows the id cannot push it out: it only has one more of its own.
    let junk = TowerPut {
        sealed: vec![0; 600],
        ..sealed(&it, u64::MAX)
    };
    assert_eq!(world.puts(owner(2), junk).0, TowerVerdict::Kept);
    world.closes(it.0, 2 * HOUR);
    let jobs = world.jobs_at(after(HOUR));
    assert_eq!(
        jobs.len(),
        1,
        "junk is thrown away, the good one is claimed"
    );
    assert_eq!((jobs[0].key.owner, jobs[0].value), (owner(1), wei(40)));
    assert_eq!(world.count(), 1);
}

#[test]
fn a_payee_has_a_quarter_of_its_window_to_claim_for_itself() {
    let wallet = Wallet::generate().unwrap();
    let it = evidence(&wallet, 1, 40, 0);
    let mut world = World::new(TowerRules::default());
    world.puts(owner(1), sealed(&it, 5));
    assert!(world.jobs_at(after(10)).is_empty(), "nobody closes");
    world.closes(it.0, 2 * HOUR);
    assert!(world.jobs_at(after(10 + HOUR / 2 - 1)).is_empty());
    let jobs = world.jobs_at(after(10 + HOUR / 2));
    assert_eq!(jobs.len(), 1);
    assert!(world.jobs_at(after(HOUR)).is_empty(), "it is under way");
    // It failed: again, a little later; it went through: never again with this put.
    let (key, number) = (jobs[0].key, jobs[0].number);
    world.hear(TowerEvent::Failed { key });
    assert_eq!(world.jobs_at(after(HOUR + 31)).len(), 1);
    world.hear(TowerEvent::Settled { key, number });
    assert!(world.jobs_at(after(2 * HOUR)).is_empty());
    // A newer one, of a payee that came back and went away again, counts anew.
    world.puts(owner(1), sealed(&it, 6));
    assert_eq!(world.jobs_at(after(2 * HOUR + 3)).len(), 1);
    world.hear(TowerEvent::Closed(it.0));
    assert_eq!(world.count(), 0);
}

#[test]
fn a_put_that_comes_after_its_channels_closing_counts_too() {
    let wallet = Wallet::generate().unwrap();
    let it = evidence(&wallet, 1, 40, 0);
    let mut world = World::new(TowerRules::default());
    world.closes(it.0, 2 * HOUR);
    world.puts(owner(1), sealed(&it, 5));
    assert_eq!(world.jobs_at(after(HOUR)).len(), 1);
}

#[test]
fn a_lock_that_expires_is_claimed_before_though_nobody_closes() {
    let wallet = Wallet::generate().unwrap();
    let expiry = NOON.as_secs() + 2 * HOUR;
    let it = evidence(&wallet, 1, 40, expiry);
    let put = sealed(&it, 5);
    let deadline = put.deadline.unwrap();
    assert_eq!(deadline.act_at, expiry - 20 * 60);
    let mut world = World::new(TowerRules::default());
    let foreign = TowerDeadline {
        channel: ChannelId::from_bytes([1; 32]),
        ..deadline
    };
    let lie = TowerPut {
        deadline: Some(foreign),
        ..put.clone()
    };
    assert_eq!(world.puts(owner(1), lie).0, TowerVerdict::Malformed);
    assert_eq!(world.puts(owner(1), put).0, TowerVerdict::Kept);
    assert!(world.jobs_at(after(HOUR)).is_empty());
    assert_eq!(world.jobs_at(after(2 * HOUR - 20 * 60)).len(), 1);
}

#[test]
fn puts_are_bounded_per_owner_in_all_and_in_time() {
    let wallet = Wallet::generate().unwrap();
    let rules = TowerRules {
        per_owner: 3,
        total: 5,
        burst: 4,
        ..TowerRules::default()
    };
    let mut world = World::new(rules);
    let of = |salt| evidence(&wallet, salt, 1, 0);
    for salt in 0..3 {
        assert_eq!(
            world.puts(owner(1), sealed(&of(salt), 1)).0,
            TowerVerdict::Kept
        );
    }
    assert_eq!(
        world.puts(owner(1), sealed(&of(3), 1)).0,
        TowerVerdict::Full
    );
    // Renewing is bounded by pace: each costs a synced write.
    assert_eq!(
        world.puts(owner(1), sealed(&of(0), 2)).0,
        TowerVerdict::Kept
    );
    assert_eq!(
        world.puts(owner(1), sealed(&of(0), 3)).0,
        TowerVerdict::TooFast
    );
    assert_eq!(
        world.puts(owner(2), sealed(&of(0), 1)).0,
        TowerVerdict::Kept
    );
    assert_eq!(
        world.puts(owner(2), sealed(&of(1), 1)).0,
        TowerVerdict::Kept
    );
    assert_eq!(
        world.puts(owner(3), sealed(&of(1), 1)).0,
        TowerVerdict::Full
    );
    world.now = after(1);
    assert_eq!(
        world.puts(owner(1), sealed(&of(0), 4)).0,
        TowerVerdict::Kept
    );
    // Nothing is kept for ever.
    let long = TowerPut {
        until: NOON.as_secs() + 41 * 24 * HOUR,
        ..sealed(&of(0), 9)
    };
    assert_eq!(world.puts(owner(1), long).0, TowerVerdict::BadTime);
    world.now = after(21 * HOUR);
    world.hear(TowerEvent::Tick);
    assert_eq!(world.count(), 0);
}

/// A peer that pays itself through its own channel, and puts anew for each wei of it.
#[test]
fn putting_anew_for_ever_burns_a_days_claims_and_no_more() {
    let wallet = Wallet::generate().unwrap();
    let rules = TowerRules {
        claims_of_owner: 3,
        claims: 5,
        ..TowerRules::default()
    };
    let mut world = World::new(rules);
    let it = evidence(&wallet, 1, 40, 0);
    world.closes(it.0, 20 * HOUR);
    let claims = |world: &mut World, who: u8, puts: u64| {
        let mut made = 0;
        for number in 1..=puts {
            world.puts(owner(who), sealed(&it, number));
            let now = world.now.plus(Duration::from_secs(HOUR));
            for job in world.jobs_at(now) {
                made += 1;
                let (key, number) = (job.key, job.number);
                world.hear(TowerEvent::Settled { key, number });
            }
            world.now = NOON;
        }
        made
    };
    assert_eq!(claims(&mut world, 1, 9), 3, "of one owner");
    assert_eq!(claims(&mut world, 2, 9), 2, "in all");
    // What cost no gas does not count.
    let mut world = World::new(rules);
    world.closes(it.0, 20 * HOUR);
    for number in 1..=9 {
        world.puts(owner(1), sealed(&it, number));
        let jobs = world.jobs_at(after(HOUR + number));
        assert_eq!(jobs.len(), 1, "{number}");
        let key = jobs[0].key;
        world.hear(TowerEvent::Idle { key, number });
        world.now = NOON;
    }
}

#[test]
fn what_is_kept_survives_its_record() {
    let wallet = Wallet::generate().unwrap();
    let it = evidence(&wallet, 1, 40, NOON.as_secs() + HOUR);
    let mut world = World::new(TowerRules::default());
    world.puts(owner(1), sealed(&it, 5));
    world.closes(it.0, 2 * HOUR);
    for (key, it) in world.tower.puts() {
        assert!(it.due.is_some());
        assert_eq!(Appointment::decode(&it.encode()).as_ref(), Ok(it));
        assert_eq!(Key::decode(&key.encode()).as_ref(), Some(key));
    }
    let closing = Closing {
        channel: it.0,
        closes_at: 7,
    };
    assert_eq!(Closing::decode(&closing.encode()), Ok(closing));
    assert_eq!(Key::decode(&Closing::key(&Locator::of(&it.0))), None);
}

proptest! {
    #[test]
    fn no_bytes_make_a_tower_panic(bytes in proptest::collection::vec(any::<u8>(), 0..900)) {
        let _ = Appointment::decode(&bytes);
        let _ = Closing::decode(&bytes);
        let _ = Key::decode(&bytes);
        let _ = open(&chain(), &ChannelId::from_bytes([1; 32]), (1, 0), &bytes);
    }
}
