//! What this node knows of every exit: its newest offer, and by which ways it was heard.
//!
//! Sans-IO.
//!
//! Invariants: at most one offer per node, always the one with the highest sequence ever heard (while
//! it could still be replayed); at most [`IndexLimits::nodes`] nodes; a full index refuses strangers
//! and never gives up a known, living offer for one, so a flood cannot push out what is known; and carriers,
//! however many, cannot fill it: a quarter is kept for what this node asked for itself.

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::IpNet;
use warren_proto::{MAX_OFFER_LIFE, NodeId, OfferHash, SignedOffer, UnixTime};

use super::admission::{Refused, Way, admit};
use super::quota::{Allowance, Quota};
use crate::names;

// Our choice.
/// A sequence is remembered this long after it was last raised: no offer that is older could still
/// be alive then, even if its node's clock ran ahead.
const REMEMBER: Duration = MAX_OFFER_LIFE.saturating_add(Duration::from_secs(240));
/// An offer that is already known is passed on once per this time, for those who came late.
const PASS_ON_EVERY: Duration = Duration::from_secs(60);
/// Carriers counted at the same time: more than a node has peers.
const MAX_CARRIERS: usize = 1024;

/// How much an index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexLimits {
    /// Nodes at most; an entry takes 5 KiB at most.
    pub nodes: usize,
    /// How often one node may change its offer.
    pub changes: Allowance,
    /// How many new nodes one carrier, or household of them, may tell of.
    pub newcomers: Allowance,
}

impl Default for IndexLimits {
    fn default() -> Self {
        let changes = Allowance {
            burst: 8,
            every: Duration::from_secs(15),
        };
        // At once what one snapshot holds; then nine hundred an hour, which an offer lives at most.
        let newcomers = Allowance {
            burst: 512,
            every: Duration::from_secs(4),
        };
        Self {
            nodes: 4096,
            changes,
            newcomers,
        }
    }
}

impl IndexLimits {
    /// The rest is for what this node asked for itself: that several tell of a node says nothing, ids cost nothing.
    const fn hearsay(&self) -> usize {
        self.nodes - self.nodes / 4
    }
}

/// Who brought an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Carrier {
    /// Whoever answered this node's question for just this offer.
    Asked,
    /// A peer that is not on the public internet.
    Node(NodeId),
    /// A peer of this household.
    Household(IpNet),
}

/// When each way last spoke of a node. `None` if it never did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heard {
    /// From the DHT.
    pub dht: Option<UnixTime>,
    /// By gossip.
    pub gossip: Option<UnixTime>,
    /// In a snapshot.
    pub snapshot: Option<UnixTime>,
}

impl Heard {
    fn note(&mut self, way: Way, now: UnixTime) {
        let slot = match way {
            Way::Dht => &mut self.dht,
            Way::Gossip => &mut self.gossip,
            Way::Snapshot => &mut self.snapshot,
        };
        *slot = Some(now);
    }
}

/// What became of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is news, and now the node's offer.
    Fresh(Box<SignedOffer>),
    /// It is known already, byte by byte.
    Known {
        /// Whose it is.
        node: NodeId,
    },
    /// It does not count.
    Refused(Refused),
}

/// The answer to an offer that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hearing {
    /// What became of it.
    pub verdict: Verdict,
    /// Whether a carrier should pass it on.
    pub pass_on: bool,
}

/// How many nodes stand how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IndexCounts {
    /// Living offers.
    pub offers: usize,
    /// Withdrawn or expired ones whose sequence is still remembered.
    pub remembered: usize,
}

#[derive(Debug, Clone)]
struct Entry {
    /// Whether this node asked for it itself.
    asked: bool,
    /// `None` once it expired.
    offer: Option<SignedOffer>,
    seq: u64,
    hash: OfferHash,
    heard: Heard,
    quota: Quota,
    raised: UnixTime,
    passed_on: UnixTime,
}

/// The newest offer of every node heard of.
#[derive(Debug, Clone)]
pub struct OfferIndex {
    network: String,
    limits: IndexLimits,
    entries: BTreeMap<NodeId, Entry>,
    /// Entries that were not asked for.
    hearsay: usize,
    carriers: BTreeMap<Carrier, Quota>,
}

impl OfferIndex {
    /// An empty index of one network.
    #[must_use]
    pub fn new(network: &str, limits: IndexLimits) -> Self {
        Self {
            network: network.to_owned(),
            limits,
            entries: BTreeMap::new(),
            hearsay: 0,
            carriers: BTreeMap::new(),
        }
    }

    /// Takes in what `from` told by `way`.
    pub fn hear(&mut self, bytes: &[u8], way: Way, from: Carrier, now: UnixTime) -> Hearing {
        let admitted = admit(bytes, &self.network, now);
        heard(admitted.and_then(|offer| self.take(offer, way, from, now)))
    }

    /// Takes in a DHT record kept under `key`, brought by `from`.
    pub fn hear_record(
        &mut self,
        key: &[u8],
        bytes: &[u8],
        from: Carrier,
        now: UnixTime,
    ) -> Hearing {
        let admitted = admit(bytes, &self.network, now).and_then(|offer| {
            let node = offer.offer().node;
            let fits = names::offer_key(&node) == *key;
            fits.then_some(offer).ok_or(Refused::WrongKey { node })
        });
        heard(admitted.and_then(|offer| self.take(offer, Way::Dht, from, now)))
    }

    fn take(
        &mut self,
        offer: SignedOffer,
        way: Way,
        from: Carrier,
        now: UnixTime,
    ) -> Result<Hearing, Refused> {
        let (node, seq, hash) = (offer.offer().node, offer.offer().seq, offer.hash());
        let Some(entry) = self.entries.get_mut(&node) else {
            self.make_room(node, from, now)?;
            let asked = from == Carrier::Asked;
            let mut entry = Entry::new(&offer, asked, self.limits.changes, now);
            self.hearsay += usize::from(!asked);
            entry.heard.note(way, now);
            self.entries.insert(node, entry);
            return Ok(Hearing {
                verdict: Verdict::Fresh(Box::new(offer)),
                pass_on: true,
            });
        };
        if !entry.asked && from == Carrier::Asked {
            entry.asked = true;
            self.hearsay = self.hearsay.saturating_sub(1);
        }
        if seq < entry.seq {
            return Err(Refused::Stale {
                node,
                seq,
                held: entry.seq,
            });
        }
        if seq == entry.seq && hash != entry.hash {
            return Err(Refused::Equivocal { node, seq });
        }
        if seq == entry.seq {
            entry.heard.note(way, now);
            let pass_on = now.since(entry.passed_on) >= PASS_ON_EVERY;
            if pass_on {
                entry.passed_on = now;
            }
            return Ok(Hearing {
                verdict: Verdict::Known { node },
                pass_on,
            });
        }
        if !entry.quota.take(self.limits.changes, now) {
            return Err(Refused::TooOften { node });
        }
        entry.heard.note(way, now);
        (entry.seq, entry.hash, entry.raised, entry.passed_on) = (seq, hash, now, now);
        entry.offer = Some(offer.clone());
        Ok(Hearing {
            verdict: Verdict::Fresh(Box::new(offer)),
            pass_on: true,
        })
    }

    /// Room for one more node, told by `from`. Whoever tells of too many is heard no more for a while, and
    /// all who tell leave a part free.
    fn make_room(&mut self, node: NodeId, from: Carrier, now: UnixTime) -> Result<(), Refused> {
        let asked = from == Carrier::Asked;
        let is_full = |it: &Self| {
            let hearsay = !asked && it.hearsay >= it.limits.hearsay();
            it.entries.len() >= it.limits.nodes || hearsay
        };
        if is_full(self) {
            self.evict(now);
        }
        if is_full(self) {
            return Err(Refused::Full { node });
        }
        if asked || self.may_tell(from, now) {
            Ok(())
        } else {
            Err(Refused::Crowded { node })
        }
    }

    fn may_tell(&mut self, carrier: Carrier, now: UnixTime) -> bool {
        let allowance = self.limits.newcomers;
        if !self.carriers.contains_key(&carrier) && self.carriers.len() >= MAX_CARRIERS {
            self.carriers
                .retain(|_, quota| !quota.is_full(allowance, now));
            if self.carriers.len() >= MAX_CARRIERS {
                return false;
            }
        }
        let quota = self.carriers.entry(carrier);
        let quota = quota.or_insert_with(|| Quota::full(allowance, now));
        quota.take(allowance, now)
    }

    /// Drops what is over; returns the nodes whose offer has just died.
    pub fn evict(&mut self, now: UnixTime) -> Vec<NodeId> {
        let mut died = Vec::new();
        for (node, entry) in &mut self.entries {
            if entry
                .offer
                .as_ref()
                .is_some_and(|it| it.offer().valid_until <= now)
            {
                entry.offer = None;
                died.push(*node);
            }
        }
        self.entries
            .retain(|_, it| it.offer.is_some() || now.since(it.raised) < REMEMBER);
        let told = self.entries.values().filter(|it| !it.asked);
        self.hearsay = told.count();
        died
    }

    /// The living offer of a node. `None` if none is known, or it is over; a withdrawal lives too.
    #[must_use]
    pub fn get(&self, node: &NodeId, now: UnixTime) -> Option<&SignedOffer> {
        let offer = self.entries.get(node)?.offer.as_ref()?;
        (offer.offer().valid_until > now).then_some(offer)
    }

    /// By which ways a node was heard of.
    #[must_use]
    pub fn heard(&self, node: &NodeId) -> Heard {
        self.entries
            .get(node)
            .map_or_else(Heard::default, |it| it.heard)
    }

    /// Every living offer, withdrawals too, in the order of the nodes' ids.
    pub fn living(&self, now: UnixTime) -> impl Iterator<Item = (&SignedOffer, Heard)> {
        self.entries.values().filter_map(move |it| it.living(now))
    }

    /// The same, beginning with the first at or after `start`, and going round: who tells of a part only must not
    /// always tell of the same.
    pub fn living_from(
        &self,
        start: NodeId,
        now: UnixTime,
    ) -> impl Iterator<Item = (&SignedOffer, Heard)> {
        let all = self
            .entries
            .range(start..)
            .chain(self.entries.range(..start));
        all.filter_map(move |(_, it)| it.living(now))
    }

    /// How many exits are known in a scope; decides how deep the trie of buckets must be.
    #[must_use]
    pub fn population(&self, scope: names::Scope, now: UnixTime) -> usize {
        let inside = |offer: &SignedOffer| match scope {
            names::Scope::Country(code) => offer.offer().region.country == code,
            names::Scope::Anywhere => true,
        };
        self.living(now)
            .filter(|(offer, _)| inside(offer) && !offer.offer().is_withdrawal())
            .count()
    }

    /// How many nodes stand how.
    #[must_use]
    pub fn counts(&self) -> IndexCounts {
        let offers = self
            .entries
            .values()
            .filter(|it| it.offer.is_some())
            .count();
        IndexCounts {
            offers,
            remembered: self.entries.len() - offers,
        }
    }
}

fn heard(taken: Result<Hearing, Refused>) -> Hearing {
    taken.unwrap_or_else(|why| Hearing {
        verdict: Verdict::Refused(why),
        pass_on: false,
    })
}

impl Entry {
    fn living(&self, now: UnixTime) -> Option<(&SignedOffer, Heard)> {
        let offer = self.offer.as_ref()?;
        (offer.offer().valid_until > now).then_some((offer, self.heard))
    }

    fn new(offer: &SignedOffer, asked: bool, changes: Allowance, now: UnixTime) -> Self {
        let mut quota = Quota::full(changes, now);
        quota.take(changes, now);
        Self {
            asked,
            seq: offer.offer().seq,
            hash: offer.hash(),
            offer: Some(offer.clone()),
            heard: Heard::default(),
            quota,
            raised: now,
            passed_on: now,
        }
    }
}

#[cfg(test)]
mod tests;
