//! The payee's side: which towers to ask, and when to put anew.
//!
//! Sans-IO. The shell brings in who is connected, what each channel is worth, and what towers answer;
//! it makes and sends the puts that [`TowerPicker::wanted`] names.

use std::collections::BTreeMap;
use std::time::Duration;

use warren_proto::{Amount, ChannelId, NodeId, TowerVerdict, UnixTime};

/// Towers that refused, or did not answer, are left alone for so long. Our choice.
const REST: Duration = Duration::from_secs(600);
/// One that is busy, for so long.
const BUSY: Duration = Duration::from_secs(10);
/// Peers remembered as refusing.
const MAX_RESTING: usize = 1024;

/// How a payee keeps its towers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PickerRules {
    /// How many towers hold each channel; 0: none is asked.
    pub towers: usize,
    /// A put is renewed when the channel is worth so much more.
    pub step: Amount,
    /// And after so long, if it is worth anything more.
    pub every: Duration,
    /// How long a put is kept, if it is not renewed.
    pub keep: Duration,
}

/// What a tower holds for this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// What the claim is worth in all.
    pub value: Amount,
    /// Number of the put.
    pub number: u64,
    /// Chain seconds after which the tower forgets it.
    pub until: u64,
}

/// Who holds what, as far as this node knows. Not on record: after a restart everything is put again,
/// and a tower that holds it already takes the newer one.
#[derive(Debug, Clone)]
pub struct TowerPicker {
    rules: PickerRules,
    held: BTreeMap<(ChannelId, NodeId), Holding>,
    /// Not to be asked until then.
    resting: BTreeMap<NodeId, UnixTime>,
}

impl TowerPicker {
    /// Nobody holds anything yet.
    #[must_use]
    pub const fn new(rules: PickerRules) -> Self {
        Self {
            rules,
            held: BTreeMap::new(),
            resting: BTreeMap::new(),
        }
    }

    /// Whom to give what, now: `channels` with what each is worth, `peers` that are connected.
    ///
    /// A tower that holds a channel already is asked first; new ones follow in an order that differs
    /// from channel to channel, so that no peer is everybody's first.
    #[must_use]
    pub fn wanted(
        &self,
        channels: &[(ChannelId, Amount)],
        peers: &[NodeId],
        now: UnixTime,
    ) -> Vec<(ChannelId, NodeId)> {
        let mut wanted = Vec::new();
        for (channel, value) in channels {
            let mut count = 0;
            for ((_, tower), held) in self.of(*channel) {
                if count == self.rules.towers {
                    break;
                }
                let is_known = peers.contains(tower) && !self.rests(tower, now);
                let good_for = held.until.saturating_sub(now.as_secs());
                let is_old = good_for < self.rules.keep.as_secs() / 2;
                let grown = value.saturating_sub(held.value);
                let age = self.rules.keep.as_secs().saturating_sub(good_for);
                let is_time = age >= self.rules.every.as_secs();
                let has_grown = grown > Amount::ZERO && (grown >= self.rules.step || is_time);
                if is_known && (has_grown || is_old) {
                    wanted.push((*channel, *tower));
                }
                // One that is away still holds what it holds; it counts while that is nearly all.
                count += usize::from(is_known || !has_grown);
            }
            let mut free: Vec<_> = peers
                .iter()
                .filter(|it| !self.held.contains_key(&(*channel, **it)) && !self.rests(it, now))
                .collect();
            free.sort_by_key(|it| xor(channel, it));
            let missing = self.rules.towers.saturating_sub(count);
            wanted.extend(free.into_iter().take(missing).map(|it| (*channel, *it)));
        }
        wanted
    }

    /// A tower answered a put; `None`: it did not, or not in time.
    pub fn answered(
        &mut self,
        channel: ChannelId,
        tower: NodeId,
        (verdict, put): (Option<TowerVerdict>, Holding),
        now: UnixTime,
    ) {
        let rest = match verdict {
            Some(TowerVerdict::Kept) => {
                self.held.insert((channel, tower), put);
                self.resting.remove(&tower);
                return;
            }
            // It holds a newer one, of before a restart: the next number will be beyond it.
            Some(TowerVerdict::Older | TowerVerdict::TooFast) => BUSY,
            Some(
                TowerVerdict::Full
                | TowerVerdict::BadTime
                | TowerVerdict::Malformed
                | TowerVerdict::NoTower
                | TowerVerdict::Internal,
            )
            | None => REST,
        };
        if self.resting.len() >= MAX_RESTING {
            self.resting.retain(|_, until| *until > now);
        }
        if self.resting.len() < MAX_RESTING {
            self.resting.insert(tower, now.plus(rest));
        }
    }

    /// A channel is over: nobody needs to hold it.
    pub fn forget(&mut self, is_over: impl Fn(&ChannelId) -> bool) {
        self.held.retain(|(channel, _), _| !is_over(channel));
    }

    /// Everything held, by channel and tower.
    pub fn held(&self) -> impl Iterator<Item = (&(ChannelId, NodeId), &Holding)> {
        self.held.iter()
    }

    fn of(&self, channel: ChannelId) -> impl Iterator<Item = (&(ChannelId, NodeId), &Holding)> {
        let first = (channel, NodeId::from_bytes([0; 32]));
        let last = (channel, NodeId::from_bytes([0xff; 32]));
        self.held.range(first..=last)
    }

    fn rests(&self, tower: &NodeId, now: UnixTime) -> bool {
        self.resting.get(tower).is_some_and(|until| now < *until)
    }
}

fn xor(channel: &ChannelId, node: &NodeId) -> [u8; 32] {
    let mut out = *channel.as_bytes();
    for (byte, other) in out.iter_mut().zip(node.as_bytes()) {
        *byte ^= other;
    }
    out
}
