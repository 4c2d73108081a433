//! The world: a queue of events in virtual time, and the one loop that takes them in order.

mod birth;
mod gossip;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use warren_payments::chain::EventKind;
use warren_payments::channel::ChainFact;
use warren_proto::{ChannelId, NodeId, SessionFrame, UnixTime};

use crate::bank::Bank;
use crate::link::LinkModel;
use crate::log::Log;
use crate::nodes::{Node, Tally};
use crate::run::LabError;
use crate::scenario::Scenario;

/// When every world begins: 2027-01-01T00:00:00Z. No wall clock enters.
pub(crate) const BEGINNING: UnixTime = UnixTime::from_secs(1_798_761_600);
/// Between two looks at the meters of a session.
pub(crate) const TICK: Duration = Duration::from_millis(200);

/// What can happen.
#[derive(Debug)]
pub(crate) enum Event {
    Join(usize),
    Offer {
        from: usize,
        to: usize,
        bytes: Rc<Vec<u8>>,
    },
    Frame {
        from: usize,
        to: usize,
        bytes: Vec<u8>,
    },
    Handshake(usize),
    Tick(usize),
    Want(usize),
    Renew(usize),
    Claim(usize),
    Crash(usize),
    Restart(usize),
    Block,
}

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Virtual time gone.
    pub gone: Duration,
    /// Virtual time in all.
    pub all: Duration,
    /// Events so far.
    pub events: u64,
}

/// A swarm under way.
#[derive(Debug)]
pub struct World {
    pub(crate) scenario: Scenario,
    pub(crate) now: UnixTime,
    pub(crate) queue: BTreeMap<(UnixTime, u64), Event>,
    pub(crate) order: u64,
    pub(crate) links: LinkModel,
    pub(crate) bank: Bank,
    pub(crate) nodes: Vec<Node>,
    pub(crate) places: BTreeMap<NodeId, usize>,
    pub(crate) neighbours: Vec<Vec<usize>>,
    /// Every offer that an exit has made, by the SHA-256 of its bytes.
    pub(crate) issued: BTreeSet<[u8; 32]>,
    pub(crate) log: Log,
    pub(crate) tally: Tally,
    pub(crate) taken: u64,
    /// When the last frame of each direction arrives.
    pub(crate) streams: BTreeMap<(usize, usize), UnixTime>,
}

impl World {
    /// Runs the whole scenario; `tell` hears how far it is, about once a virtual second.
    ///
    /// # Errors
    /// [`LabError`] if the chain refuses what the product's cores hand in: a fault, not a result.
    pub fn run(&mut self, mut tell: impl FnMut(Progress)) -> Result<(), LabError> {
        let all = Duration::from_secs(u64::from(self.scenario.time.minutes) * 60);
        let end = BEGINNING.plus(all);
        let mut told = 0;
        while let Some(((time, _), event)) = self.queue.pop_first() {
            if time >= end {
                break;
            }
            self.now = time;
            self.taken += 1;
            self.take(event)?;
            if time.as_secs() != told {
                told = time.as_secs();
                tell(Progress {
                    gone: time.since(BEGINNING),
                    all,
                    events: self.taken,
                });
            }
        }
        self.now = end;
        let consumers = self.nodes.iter().filter(|it| it.consumer().is_some());
        let known = consumers.map(|it| it.index.living(end).count() as u64);
        self.tally.offers_known = known.collect();
        self.settle_all()
    }

    fn take(&mut self, event: Event) -> Result<(), LabError> {
        match event {
            Event::Join(node) => self.join(node),
            Event::Offer { from, to, bytes } => self.hear_offer(from, to, &bytes),
            Event::Frame { from, to, bytes } => return self.frame(from, to, &bytes),
            Event::Handshake(consumer) => return self.handshake(consumer),
            Event::Tick(consumer) => return self.tick(consumer),
            Event::Want(consumer) => return self.want(consumer),
            Event::Renew(exit) => self.renew(exit),
            Event::Claim(exit) => return self.claim_regularly(exit),
            Event::Crash(exit) => self.crash(exit),
            Event::Restart(exit) => self.comes_back(exit)?,
            Event::Block => return self.block(),
        }
        Ok(())
    }

    pub(crate) fn after(&mut self, wait: Duration, event: Event) {
        self.order += 1;
        self.queue.insert((self.now.plus(wait), self.order), event);
    }

    pub(crate) fn note(&mut self, node: usize, event: &str, subject: &str, value: u128) {
        self.log.note((self.now, node), event, subject, value);
    }

    /// Puts a frame on a stream; a stream keeps order, so a frame never overtakes another.
    pub(crate) fn send(&mut self, from: usize, to: usize, frame: &SessionFrame) {
        let way = self.links.frame(from, to);
        let bytes = frame.encode();
        let last = self.streams.entry((from, to)).or_default();
        let arrives = self.now.plus(way).max(*last);
        *last = arrives;
        self.order += 1;
        self.queue
            .insert((arrives, self.order), Event::Frame { from, to, bytes });
    }

    fn frame(&mut self, from: usize, to: usize, bytes: &[u8]) -> Result<(), LabError> {
        let frame =
            SessionFrame::decode(bytes).map_err(|error| LabError::Frame(error.to_string()))?;
        if self.nodes[to].exit().is_some() {
            self.exit_hears(to, from, frame)
        } else {
            self.consumer_hears(to, from, frame)
        }
    }

    fn block(&mut self) -> Result<(), LabError> {
        let events = self
            .bank
            .block(self.now, self.scenario.chain.confirmations)?;
        for event in events {
            self.chain_event(&event.kind)?;
        }
        let pause = Duration::from_secs(self.scenario.chain.block_secs.into());
        self.after(pause, Event::Block);
        Ok(())
    }

    pub(crate) fn chain_event(&mut self, kind: &EventKind) -> Result<(), LabError> {
        let Some((id, fact)) = fact_of(kind) else {
            return Ok(());
        };
        for node in 0..self.nodes.len() {
            if self.nodes[node].exit().is_some() {
                self.exit_sees(node, id, fact)?;
            } else {
                self.consumer_sees(node, id, fact)?;
            }
        }
        Ok(())
    }

    /// The end: every exit claims what it holds, and the books must balance.
    fn settle_all(&mut self) -> Result<(), LabError> {
        for exit in 0..self.nodes.len() {
            if self.nodes[exit].exit().is_some_and(|it| !it.alive) {
                self.restart(exit)?;
            }
        }
        let step = Duration::from_secs(self.scenario.chain.block_secs.into());
        let depth = self.scenario.chain.confirmations;
        let mut owed = self.owed();
        while owed > 0 || !self.bank.is_idle() {
            for exit in 0..self.nodes.len() {
                self.claim(exit)?;
            }
            for _ in 0..=depth {
                self.now = self.now.plus(step);
                for event in self.bank.block(self.now, depth)? {
                    self.chain_event(&event.kind)?;
                }
            }
            let still = self.owed();
            if still >= owed && still > 0 && self.bank.is_idle() {
                return Err(LabError::Chain(format!("{still} wei cannot be claimed")));
            }
            owed = still;
        }
        Ok(())
    }

    /// What all exits could claim now, base units.
    fn owed(&self) -> u128 {
        let exits = self.nodes.iter().filter_map(|it| it.exit());
        let channels = exits.flat_map(|it| it.channels.values());
        channels
            .map(|it| it.channel.claimable(self.now).wei())
            .sum()
    }
}

/// What an event says to the channel's two ends; the lab neither tops up nor closes.
fn fact_of(kind: &EventKind) -> Option<(ChannelId, ChainFact)> {
    match kind {
        EventKind::Opened {
            channel, deposit, ..
        } => Some((*channel, ChainFact::Deposit(*deposit))),
        EventKind::Claimed {
            channel, claimed, ..
        } => Some((*channel, ChainFact::Claimed(*claimed))),
        EventKind::Deposited { .. }
        | EventKind::Withdrawn { .. }
        | EventKind::BeneficiaryChanged { .. }
        | EventKind::ToppedUp { .. }
        | EventKind::Revealed { .. }
        | EventKind::Closing { .. }
        | EventKind::Closed { .. } => None,
    }
}
