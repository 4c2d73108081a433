//! Blocks before those that the first look began with: gone through once, beside the news, when the user says where
//! the wallet's channels may begin.
//!
//! Only what befell channels that no record tells of is taken from them: of all others these are old words, and the pot
//! has its own book of what was heard.

use std::collections::BTreeSet;

use warren_proto::{ChannelId, PayoutAddress};

use super::look::{MAX_BLOCKS, News};
use super::told::Told;
use crate::actor::Task;
use crate::actor::book::{Batch, Book};
use crate::chain::{Chain, ChainError, ChainEvent, EventKind, Interest};
use crate::handle::PaymentsError;

/// How far that is.
#[derive(Debug, Clone)]
pub(in crate::actor) struct Older {
    /// Where it began.
    first: u64,
    /// The next block.
    next: u64,
    /// The channels of this wallet's keys that were found, and the last word on each.
    found: BTreeSet<ChannelId>,
    told: Told,
    /// Whether it came to the cursor.
    is_done: bool,
}

impl Older {
    /// What is to be gone through, if the user says `first`; `None` if there is nothing. A store of a version that did
    /// not write down where it began goes through all of it, once.
    pub(in crate::actor) fn of(book: &Book, first: Option<u64>) -> Option<Self> {
        let first = first.filter(|_| book.cursor.is_some())?;
        let is_heard = book.begun.is_some_and(|it| it <= first);
        (!is_heard).then(|| Self {
            first,
            next: first,
            found: BTreeSet::new(),
            told: Told::default(),
            is_done: false,
        })
    }

    /// Goes on by some blocks, up to the cursor.
    pub(super) async fn look(
        &mut self,
        chain: &dyn Chain,
        cursor: u64,
        (known, keys): &(BTreeSet<ChannelId>, BTreeSet<PayoutAddress>),
    ) -> Result<(), ChainError> {
        let to = cursor.min(self.next.saturating_add(MAX_BLOCKS - 1));
        let mut events = Vec::new();
        if self.next <= to {
            let whom = Interest::of(keys.clone(), self.found.clone());
            events = chain.events_of(self.next, to, whom).await?;
        }
        for event in &events {
            if let EventKind::Opened {
                channel, params, ..
            } = &event.kind
                && keys.contains(&params.payer)
                && !known.contains(channel)
            {
                self.found.insert(*channel);
            }
            if channel_of(event).is_some_and(|it| self.found.contains(it)) {
                self.told.hear_more(event);
            }
        }
        self.next = to.saturating_add(1);
        self.is_done = to == cursor;
        Ok(())
    }

    /// Channels found so far: what is new of them is to be heard.
    pub(super) const fn found(&self) -> &BTreeSet<ChannelId> {
        &self.found
    }

    /// Channels of whomever that were opened, and by whom.
    pub(super) const fn told(&self) -> &Told {
        &self.told
    }

    /// Whether a look came further and there is more: one that failed waits for the next poll.
    pub(super) fn advances(before: Option<&Self>, after: Option<&Self>) -> bool {
        let next = before.map(|it| it.next);
        after.is_some_and(|it| !it.is_done && next.is_none_or(|next| next < it.next))
    }

    pub(super) const fn is_done(&self) -> bool {
        self.is_done
    }
}

impl Task {
    /// Makes records of what was found once all of it is heard: before that, a channel that is closed by now would
    /// look open.
    pub(super) fn find_older(
        &mut self,
        news: &News,
        batch: &mut Batch,
    ) -> Result<(), PaymentsError> {
        let Some(older) = news.older.as_ref().filter(|it| it.is_done()) else {
            return Ok(());
        };
        self.find(older.told(), batch)?;
        for (id, fact) in older.told().facts() {
            self.learn(batch, id, fact);
        }
        batch.begins(older.first);
        Ok(())
    }
}

/// The channel that an event says something of which its record needs.
const fn channel_of(event: &ChainEvent) -> Option<&ChannelId> {
    match &event.kind {
        EventKind::Opened { channel, .. }
        | EventKind::ToppedUp { channel, .. }
        | EventKind::Claimed { channel, .. }
        | EventKind::Closing { channel, .. }
        | EventKind::Closed { channel, .. } => Some(channel),
        EventKind::Deposited { .. }
        | EventKind::Withdrawn { .. }
        | EventKind::BeneficiaryChanged { .. }
        | EventKind::Revealed { .. } => None,
    }
}
