//! The tower itself: what it keeps for whom, and when it claims.
//!
//! Sans-IO. [`Tower::handle`] decides; the service saves the changes, applies them, then answers and
//! claims.
//!
//! Invariants: a put is replaced by a newer one of the same owner only; no owner has more than
//! `per_owner`, all together no more than `total`; nothing is kept past its `until`.

use std::collections::{BTreeMap, BTreeSet};

use warren_proto::{
    ChainRef, ChannelId, Locator, NodeId, TowerAnswer, TowerPut, TowerVerdict, UnixTime,
};

use super::appointment::{Appointment, Due, Key};
use super::event::{Change, Closing, Job, TowerEvent, TowerRules, TowerStep};
use super::seal;

mod closings;

/// Claims begun by one tick: a block has room for more, this node's patience not.
const MAX_JOBS: usize = 16;
const DAY_SECS: u64 = 24 * 3600;
/// A claim that failed is tried again after so long, then after twice that, and so on.
const RETRY_SECS: u64 = 30;
/// But after no longer than this, until its put ends: the last chance may be twenty minutes long.
const MAX_RETRY_SECS: u64 = 300;
/// A closing is remembered for so long after its window: a reorganisation may bring it back.
const AFTERMATH_SECS: u64 = 24 * 3600;

/// When an owner may put again.
#[derive(Debug, Clone, Copy)]
struct Pace {
    left: u32,
    at: UnixTime,
}

impl Pace {
    fn by(self, now: UnixTime, rules: &TowerRules) -> Self {
        let passed = now.since(self.at).as_millis();
        let more = passed.checked_div(rules.pace.as_millis()).unwrap_or(0);
        if more == 0 {
            return self;
        }
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        Self {
            left: self.left.saturating_add(more).min(rules.burst),
            at: now,
        }
    }
}

/// What a tower keeps.
#[derive(Debug, Clone)]
pub struct Tower {
    rules: TowerRules,
    chain: ChainRef,
    puts: BTreeMap<Key, Appointment>,
    closings: BTreeMap<Locator, Closing>,
    // Not on record.
    paces: BTreeMap<NodeId, Pace>,
    under_way: BTreeSet<Key>,
    /// Closings that were told of and not agreed on, since anybody agreed.
    feared: BTreeSet<ChannelId>,
    /// How often in a row the claim of a put failed.
    fails: BTreeMap<Key, u32>,
    /// Claims of this day, by owner. Forgotten by a restart: at most one day's more.
    made: BTreeMap<NodeId, u32>,
    day: u64,
}

impl Tower {
    /// A tower for channels of `chain` that keeps nothing yet.
    #[must_use]
    pub fn new(chain: ChainRef, rules: TowerRules) -> Self {
        Self {
            rules,
            chain,
            puts: BTreeMap::new(),
            closings: BTreeMap::new(),
            paces: BTreeMap::new(),
            under_way: BTreeSet::new(),
            feared: BTreeSet::new(),
            fails: BTreeMap::new(),
            made: BTreeMap::new(),
            day: 0,
        }
    }

    /// Makes a change that is on disk hold.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Put(key, Some(it)) => {
                self.puts.insert(key, *it);
            }
            Change::Put(key, None) => {
                self.puts.remove(&key);
                self.fails.remove(&key);
            }
            Change::Closing(locator, Some(it)) => {
                self.closings.insert(locator, it);
            }
            Change::Closing(locator, None) => {
                self.closings.remove(&locator);
            }
        }
    }

    /// How many puts are kept.
    #[must_use]
    pub fn count(&self) -> usize {
        self.puts.len()
    }

    /// What is kept, by owner and locator.
    pub fn puts(&self) -> impl Iterator<Item = (&Key, &Appointment)> {
        self.puts.iter()
    }

    /// Says what `event` makes of the tower. Total: late and repeated events change nothing.
    ///
    /// `now` is chain time. What is saved comes back through [`Self::apply`]; only who may put when,
    /// and which claims are under way, is kept at once.
    pub fn handle(&mut self, event: TowerEvent, now: UnixTime) -> TowerStep {
        match event {
            TowerEvent::Put { owner, put } => self.take(owner, *put, now),
            TowerEvent::Closing(closing) => self.closes(closing, now),
            TowerEvent::Feared(closing) => self.fears(closing, now),
            TowerEvent::Agreed => {
                self.feared.clear();
                TowerStep::default()
            }
            TowerEvent::Closed(channel) => self.is_closed(channel),
            TowerEvent::Tick => self.tick(now),
            TowerEvent::Idle { key, number } => {
                self.take_back(&key);
                self.settled(key, number)
            }
            TowerEvent::Settled { key, number } => self.settled(key, number),
            TowerEvent::Undone { key } => self.failed(key, now),
            TowerEvent::Failed { key } => {
                self.take_back(&key);
                self.failed(key, now)
            }
        }
    }

    fn take(&mut self, owner: NodeId, put: TowerPut, now: UnixTime) -> TowerStep {
        let key = Key {
            owner,
            locator: put.locator,
        };
        let held = self.puts.get(&key);
        let held_number = held.map_or(0, |it| it.number);
        let answer = |verdict, number| TowerStep {
            answer: Some(TowerAnswer {
                locator: put.locator,
                verdict,
                number,
            }),
            ..TowerStep::default()
        };
        let is_new = held.is_none();
        if let Some(no) = self.refuses(&put, held_number, now) {
            return answer(no, held_number);
        }
        if is_new && !self.has_place(&owner) {
            return answer(TowerVerdict::Full, 0);
        }
        if !self.may_put(owner, now) {
            return answer(TowerVerdict::TooFast, held_number);
        }
        let closing = self.closings.get(&put.locator);
        let due = closing.map(|it| self.due(it, now));
        let due = due.into_iter().chain(by_deadline(&put));
        let due = due.min_by_key(|it| it.claim_at);
        let (number, locator) = (put.number, put.locator);
        let appointment = Appointment {
            number,
            until: put.until,
            sealed: put.sealed,
            deadline: put.deadline,
            due,
            spent: false,
        };
        TowerStep {
            changes: vec![Change::Put(key, Some(Box::new(appointment)))],
            answer: Some(TowerAnswer {
                locator,
                verdict: TowerVerdict::Kept,
                number,
            }),
            jobs: Vec::new(),
        }
    }

    fn refuses(&self, put: &TowerPut, held: u64, now: UnixTime) -> Option<TowerVerdict> {
        let last = now.plus(self.rules.keep).as_secs();
        let deadline = put.deadline.as_ref();
        if put.number <= held {
            Some(TowerVerdict::Older)
        } else if put.until <= now.as_secs() || put.until > last {
            Some(TowerVerdict::BadTime)
        } else if put.sealed.len() <= seal::NONCE_BYTES
            || deadline.is_some_and(|it| Locator::of(&it.channel) != put.locator)
        {
            Some(TowerVerdict::Malformed)
        } else {
            None
        }
    }

    fn has_place(&self, owner: &NodeId) -> bool {
        let of_owner = self.puts.keys().filter(|it| it.owner == *owner).count();
        self.puts.len() < self.rules.total && of_owner < self.rules.per_owner
    }

    /// So many at once, then one per pace. Who may put as if it never had is forgotten.
    fn may_put(&mut self, owner: NodeId, now: UnixTime) -> bool {
        let rules = &self.rules;
        if self.paces.len() > rules.total {
            self.paces
                .retain(|_, it| it.by(now, rules).left < rules.burst);
        }
        let fresh = Pace {
            left: rules.burst,
            at: now,
        };
        let pace = self.paces.entry(owner).or_insert(fresh);
        *pace = pace.by(now, rules);
        let may = pace.left > 0;
        pace.left = pace.left.saturating_sub(1);
        may
    }

    fn tick(&mut self, now: UnixTime) -> TowerStep {
        let mut step = TowerStep::default();
        let secs = now.as_secs();
        // A time that was guessed may be taken back.
        if secs / DAY_SECS > self.day {
            self.day = secs / DAY_SECS;
            self.made.clear();
        }
        for (key, it) in &self.puts {
            if it.until <= secs {
                step.changes.push(Change::Put(*key, None));
                continue;
            }
            let due = it.due.filter(|due| due.claim_at <= secs && !it.spent);
            let Some(due) = due.filter(|_| !self.under_way.contains(key)) else {
                continue;
            };
            if step.jobs.len() >= MAX_JOBS {
                break; // The next tick goes on.
            }
            if !has_budget(&self.made, &key.owner, &self.rules) {
                continue;
            }
            let at = (it.number, secs);
            match seal::open(&self.chain, &due.channel, at, &it.sealed) {
                Ok((claim, value)) => {
                    let made = self.made.entry(key.owner).or_default();
                    *made = made.saturating_add(1);
                    step.jobs.push(Job {
                        key: *key,
                        number: it.number,
                        channel: due.channel,
                        claim,
                        value,
                    });
                }
                // Nothing can ever be claimed with it.
                Err(_) => step.changes.push(Change::Put(*key, None)),
            }
        }
        self.under_way.extend(step.jobs.iter().map(|it| it.key));
        let old = |it: &Closing| it.closes_at.saturating_add(AFTERMATH_SECS) <= secs;
        let old = self.closings.iter().filter(|(_, it)| old(it));
        step.changes
            .extend(old.map(|(locator, _)| Change::Closing(*locator, None)));
        step
    }

    fn settled(&mut self, key: Key, number: u64) -> TowerStep {
        self.under_way.remove(&key);
        self.fails.remove(&key);
        let spent = self.puts.get(&key).filter(|it| it.number == number);
        let changes = spent.map(|it| {
            let next = Appointment {
                spent: true,
                ..it.clone()
            };
            Change::Put(key, Some(Box::new(next)))
        });
        TowerStep {
            changes: changes.into_iter().collect(),
            ..TowerStep::default()
        }
    }

    /// No gas was spent: it does not count.
    fn take_back(&mut self, key: &Key) {
        if let Some(made) = self.made.get_mut(&key.owner) {
            *made = made.saturating_sub(1);
        }
    }

    fn failed(&mut self, key: Key, now: UnixTime) -> TowerStep {
        self.under_way.remove(&key);
        let fails = self.fails.get(&key).copied().unwrap_or(0);
        if self.puts.contains_key(&key) {
            self.fails.insert(key, fails.saturating_add(1));
        }
        let wait = RETRY_SECS.saturating_mul(1 << fails.min(8));
        let again = now.as_secs().saturating_add(wait.min(MAX_RETRY_SECS));
        let changes = self.puts.get(&key).and_then(|it| {
            let due = it.due?;
            let next = Appointment {
                due: Some(Due {
                    claim_at: again,
                    ..due
                }),
                ..it.clone()
            };
            Some(Change::Put(key, Some(Box::new(next))))
        });
        TowerStep {
            changes: changes.into_iter().collect(),
            ..TowerStep::default()
        }
    }
}

/// Whether one more claim for `owner` may be made today.
fn has_budget(made: &BTreeMap<NodeId, u32>, owner: &NodeId, rules: &TowerRules) -> bool {
    let of_owner = made.get(owner).copied().unwrap_or(0);
    let all = made.values().fold(0_u32, |sum, it| sum.saturating_add(*it));
    of_owner < rules.claims_of_owner && all < rules.claims
}

fn by_deadline(put: &TowerPut) -> Option<Due> {
    put.deadline.map(|it| Due {
        channel: it.channel,
        claim_at: it.act_at,
    })
}
