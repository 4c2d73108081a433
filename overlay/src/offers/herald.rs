//! Keeps this node's own offer alive and heard.
//!
//! Sans-IO.
//!
//! ```text
//! Announce ──▶ Gossip + Store ──a third of its life──▶ Renew ──(the shell signs)──▶ Announce
//! NewListener ──▶ Gossip again, a few times in ten minutes  nobody there ──▶ again when somebody comes
//! Store failed ──▶ again after 1, 2, 4 … 60 s         RoutesGrew ──▶ again, at most every 5 min
//! ```
//!
//! Invariants: an offer that was announced and not withdrawn is renewed for ever, also when the clock has
//! jumped over its end. Strangers who come and go make this node say to everybody what all know by now a few times,
//! not as often as they like.

use std::collections::BTreeSet;
use std::time::Duration;

use warren_proto::{NodeId, SignedOffer, Step, UnixTime};

use super::quota::{Allowance, Quota};

// Our choice.
/// A renewal comes after this part of an offer's life: 20 minutes of an hour, so two may be lost.
const RENEW_AFTER_PART: u32 = 3;
/// Most of a renewal's waiting time that jitter may take off.
const JITTER_PART: u32 = 10;
/// The first renewal is never sooner, or a very short offer would be renewed without end.
const RENEW_FIRST: Duration = Duration::from_secs(1);
/// An offer dated so far ahead was signed before the clock was set back.
const CLOCK_SET_BACK: Duration = Duration::from_secs(60);
/// Two gossip messages that say the same are at least this far apart.
const GOSSIP_GAP: Duration = Duration::from_secs(2);
/// How often an offer that was said is said again for who has come since. Whoever comes when this is used up finds it
/// in the DHT or in a snapshot, and hears its renewal.
const FOR_NEWCOMERS: Allowance = Allowance {
    burst: 6,
    every: Duration::from_secs(600),
};
/// Newcomers remembered, so that none is one twice.
const MAX_NEWCOMERS: usize = 256;
/// With nobody to gossip to, how long until the next try if nobody new comes.
const GOSSIP_RETRY: Duration = Duration::from_secs(30);
/// The longest wait before a failed store is tried again; the first is one second.
const STORE_RETRY_MAX: Duration = Duration::from_secs(60);
/// New routes are worth a new store this often.
const STORE_GAP: Duration = Duration::from_secs(300);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeraldEvent {
    /// This node has a new offer, or a renewed one.
    Announce {
        /// The offer.
        offer: Box<SignedOffer>,
        /// Taken off the time to its renewal, so that exits do not renew in step.
        jitter: Duration,
    },
    /// This peer began to listen on a topic of ours.
    NewListener(NodeId),
    /// The gossip asked for was sent (`true`), or there was nobody to send it to.
    Gossiped(bool),
    /// The store asked for succeeded at one holder or more (`true`), or at none.
    Stored(bool),
    /// The routing table has new nodes: there may be better holders.
    RoutesGrew,
    /// Time passed.
    Tick,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeraldEffect {
    /// Say the offer on its topics.
    Gossip(SignedOffer),
    /// Keep the offer in the DHT, and announce or revoke the exit in its buckets.
    Store(SignedOffer),
    /// Sign a successor of this offer and announce it.
    Renew(SignedOffer),
}

/// This node's own offer and what is due for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Herald {
    own: Option<Own>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Own {
    offer: SignedOffer,
    /// `None` for a withdrawal: it is said until it dies, and not renewed.
    renew_at: Option<UnixTime>,
    gossip_at: Option<UnixTime>,
    gossiped: Option<UnixTime>,
    /// Who began to listen since this offer is out.
    newcomers: BTreeSet<NodeId>,
    for_newcomers: Quota,
    store_at: Option<UnixTime>,
    stored: Option<UnixTime>,
    storing: bool,
    failures: u32,
}

impl Herald {
    /// The last offer, which may be over if its renewal is late. `None` before the first, and after a
    /// withdrawal has died.
    #[must_use]
    pub fn offer(&self) -> Option<&SignedOffer> {
        self.own.as_ref().map(|own| &own.offer)
    }

    /// Says what `event` makes due.
    pub fn handle(&self, event: &HeraldEvent, now: UnixTime) -> Step<Self, HeraldEffect> {
        let own = match event {
            HeraldEvent::Announce { offer, jitter } => {
                let mut own = Own::new(offer, *jitter, now);
                if let Some(before) = &self.own {
                    own.for_newcomers = before.for_newcomers;
                }
                Some(own)
            }
            HeraldEvent::NewListener(_)
            | HeraldEvent::Gossiped(_)
            | HeraldEvent::Stored(_)
            | HeraldEvent::RoutesGrew
            | HeraldEvent::Tick => self.own.clone().map(|own| own.note(event, now)),
        };
        // A withdrawal ends with its life. Anything else may have slept through its renewal.
        let Some(mut own) = own.filter(|own| own.lives(now) || own.renew_at.is_some()) else {
            return Step::to(Self { own: None });
        };
        let effects = own.take_due(now);
        Step::to(Self { own: Some(own) }).then_all(effects)
    }
}

impl Own {
    fn new(offer: &SignedOffer, jitter: Duration, now: UnixTime) -> Self {
        let life = offer.offer().valid_until.since(now);
        let wait = life / RENEW_AFTER_PART;
        let wait = wait.saturating_sub(jitter.min(wait / JITTER_PART));
        let wait = wait.max(RENEW_FIRST);
        Self {
            offer: offer.clone(),
            renew_at: (!offer.offer().is_withdrawal()).then(|| now.plus(wait)),
            gossip_at: Some(now),
            gossiped: None,
            newcomers: BTreeSet::new(),
            for_newcomers: Quota::full(FOR_NEWCOMERS, now),
            store_at: Some(now),
            stored: None,
            storing: false,
            failures: 0,
        }
    }

    fn lives(&self, now: UnixTime) -> bool {
        self.offer.offer().valid_until > now
    }

    /// Others refuse it, for it is dated ahead: the clock was set back since.
    fn is_ahead(&self, now: UnixTime) -> bool {
        self.offer.offer().issued.since(now) > CLOCK_SET_BACK
    }

    fn note(mut self, event: &HeraldEvent, now: UnixTime) -> Self {
        match event {
            HeraldEvent::NewListener(peer) => self.listened_to_by(*peer, now),
            HeraldEvent::Gossiped(true) => self.gossiped = Some(now),
            HeraldEvent::Gossiped(false) => {
                self.gossip_at = Some(self.gossip_at.unwrap_or_else(|| now.plus(GOSSIP_RETRY)));
            }
            HeraldEvent::Stored(true) => {
                (self.storing, self.failures, self.stored) = (false, 0, Some(now));
            }
            HeraldEvent::Stored(false) => {
                let wait = Duration::from_secs(1 << self.failures.min(6)).min(STORE_RETRY_MAX);
                self.storing = false;
                self.failures += 1;
                self.store_at = Some(now.plus(wait));
            }
            HeraldEvent::RoutesGrew => {
                let at = after(self.stored, STORE_GAP, now);
                self.store_at = Some(self.store_at.map_or(at, |due| due.min(at)));
            }
            HeraldEvent::Announce { .. } | HeraldEvent::Tick => {}
        }
        self
    }

    /// Somebody listens: the offer is said at once if nobody was there to hear it, else again, for whoever is new.
    fn listened_to_by(&mut self, peer: NodeId, now: UnixTime) {
        let is_new = !self.newcomers.contains(&peer);
        if is_new && self.newcomers.len() < MAX_NEWCOMERS {
            self.newcomers.insert(peer);
        }
        let at = after(self.gossiped, GOSSIP_GAP, now);
        if self.gossip_at.is_some_and(|due| due <= at) {
            return;
        }
        let unheard = self.gossiped.is_none();
        if unheard || is_new && self.for_newcomers.take(FOR_NEWCOMERS, now) {
            self.gossip_at = Some(at);
        }
    }

    fn take_due(&mut self, now: UnixTime) -> Vec<HeraldEffect> {
        let mut effects = Vec::new();
        if let Some(at) = self.renew_at.filter(|_| self.is_ahead(now)) {
            // Once: after the clock has moved so, the moment set for the renewal is of no use.
            let soon = now.plus(STORE_RETRY_MAX);
            self.renew_at = Some(if at > soon { now } else { at });
        }
        if self.renew_at.is_some_and(|at| at <= now) {
            // Asked again, should the shell fail to sign: the offer must not die of one failure.
            self.renew_at = Some(now.plus(STORE_RETRY_MAX));
            effects.push(HeraldEffect::Renew(self.offer.clone()));
        }
        if !self.lives(now) {
            return effects; // Nobody takes it any more.
        }
        if self.gossip_at.is_some_and(|at| at <= now) {
            self.gossip_at = None;
            effects.push(HeraldEffect::Gossip(self.offer.clone()));
        }
        if !self.storing && self.store_at.is_some_and(|at| at <= now) {
            (self.store_at, self.storing) = (None, true);
            effects.push(HeraldEffect::Store(self.offer.clone()));
        }
        effects
    }
}

/// The first time from `now` on that is at least `gap` after `last`.
fn after(last: Option<UnixTime>, gap: Duration, now: UnixTime) -> UnixTime {
    last.map_or(now, |last| last.plus(gap).max(now))
}

#[cfg(test)]
mod tests;
