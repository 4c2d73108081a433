//! What a stretch of blocks said, folded: the last word per channel and kind.
//!
//! Sans-IO.

use std::collections::{BTreeMap, BTreeSet};

use warren_proto::{Amount, ChannelId, ChannelParams, PayoutAddress, Preimage, TxHash};

use crate::chain::{ChainEvent, EventKind};
use crate::channel::ChainFact;

use super::pot::{PotEvent, Way};

/// The last word on one channel.
#[derive(Debug, Clone, Default)]
struct Last {
    deposit: Option<Amount>,
    claimed: Option<Amount>,
    closing: Option<u64>,
    closed: bool,
}

/// Everything heard. Folding makes hearing the same blocks twice harmless.
#[derive(Debug, Clone, Default)]
pub(in crate::actor) struct Told {
    channels: BTreeMap<ChannelId, Last>,
    opened: Vec<(ChannelParams, Amount, u64)>,
    closing: BTreeSet<ChannelId>,
    young: BTreeSet<ChannelId>,
    pot: Vec<PotEvent>,
    words: Vec<(ChannelId, Preimage)>,
}

impl Told {
    /// Folds `events`; those above block `safe` tell of nothing but closings.
    pub(in crate::actor) fn hear(
        events: &[ChainEvent],
        safe: Option<u64>,
        ours: &dyn Fn(&PayoutAddress) -> bool,
        from_pot: &BTreeMap<TxHash, Amount>,
    ) -> Self {
        let mut told = Self::default();
        for event in events {
            let is_safe = safe.is_some_and(|it| event.block <= it);
            told.add(event, is_safe, ours);
            let fills = matches!(
                event.kind,
                EventKind::Opened { .. } | EventKind::ToppedUp { .. }
            );
            // Out of the pot and, by the channel's own entry, into the channel.
            let sum = from_pot.get(&event.tx).filter(|_| fills && is_safe);
            told.pot.extend(sum.map(|it| moved(event, Way::Out, *it)));
        }
        told
    }

    /// Folds one more event of a channel, in a block that counts.
    pub(in crate::actor) fn hear_more(&mut self, event: &ChainEvent) {
        self.add(event, true, &|_| false);
    }

    fn add(&mut self, event: &ChainEvent, is_safe: bool, ours: &dyn Fn(&PayoutAddress) -> bool) {
        if let EventKind::Closing {
            channel, closes_at, ..
        } = &event.kind
        {
            self.channels.entry(*channel).or_default().closing = Some(closes_at.as_secs());
            self.closing.insert(*channel);
            if !is_safe {
                self.young.insert(*channel);
            }
        }
        // A word is its own proof, however young its block.
        if let EventKind::Revealed { channel, word, .. } = &event.kind {
            self.words.push((*channel, word.clone()));
        }
        if !is_safe {
            return;
        }
        match &event.kind {
            EventKind::Opened {
                channel,
                params,
                deposit,
            } => {
                self.channels.entry(*channel).or_default().deposit = Some(*deposit);
                self.opened.push((*params, *deposit, event.block));
            }
            EventKind::ToppedUp {
                channel, deposit, ..
            } => {
                self.channels.entry(*channel).or_default().deposit = Some(*deposit);
            }
            EventKind::Claimed {
                channel, claimed, ..
            } => {
                self.channels.entry(*channel).or_default().claimed = Some(*claimed);
            }
            EventKind::Closed {
                channel, claimed, ..
            } => {
                let last = self.channels.entry(*channel).or_default();
                last.claimed = Some(*claimed);
                last.closed = true;
            }
            EventKind::Deposited { owner, amount } if ours(owner) => {
                self.pot.push(moved(event, Way::In, *amount));
            }
            EventKind::Withdrawn { owner, amount, .. } if ours(owner) => {
                self.pot.push(moved(event, Way::Out, *amount));
            }
            EventKind::Deposited { .. }
            | EventKind::Withdrawn { .. }
            | EventKind::BeneficiaryChanged { .. }
            | EventKind::Revealed { .. }
            | EventKind::Closing { .. } => {}
        }
    }

    /// Channels that were opened, by whomever, with how much, and in which block.
    pub(in crate::actor) fn opened(&self) -> &[(ChannelParams, Amount, u64)] {
        &self.opened
    }

    /// Facts in the order in which they may be told.
    pub(in crate::actor) fn facts(&self) -> impl Iterator<Item = (ChannelId, ChainFact)> + '_ {
        self.channels.iter().flat_map(|(id, last)| {
            let facts = [
                last.deposit.map(ChainFact::Deposit),
                last.claimed.map(ChainFact::Claimed),
                last.closing
                    .map(|closes_at| ChainFact::Closing { closes_at }),
                last.closed.then_some(ChainFact::Closed),
            ];
            facts.into_iter().flatten().map(|fact| (*id, fact))
        })
    }

    /// Whether a closing of `id` was heard, however young its block.
    pub(in crate::actor) fn is_closing(&self, id: &ChannelId) -> bool {
        self.closing.contains(id)
    }

    /// Closings that a reorganisation could still undo.
    pub(in crate::actor) fn young_closings(&self) -> BTreeSet<ChannelId> {
        self.young.clone()
    }

    /// Words that became public, and on which channel.
    pub(in crate::actor) fn words(&self) -> &[(ChannelId, Preimage)] {
        &self.words
    }

    /// What went into and out of this node's pot.
    pub(in crate::actor) fn pot(&self) -> &[PotEvent] {
        &self.pot
    }
}

fn moved(event: &ChainEvent, way: Way, amount: Amount) -> PotEvent {
    PotEvent {
        name: (event.block, event.block_hash, event.log_index),
        way,
        amount,
        tx: event.tx,
    }
}
