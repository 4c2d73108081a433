//! Which of the contract's events somebody needs: what to ask for, and what to keep of the answer.
//!
//! Sans-IO. Anyone can fill a block with events of their own for little gas, so a node asks for the kinds
//! that it needs, and, where even those are more than an endpoint gives, for those that name it.
//!
//! Invariant: what is kept does not depend on how it was asked for, so endpoints that are asked in
//! different ways agree.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use warren_proto::{ChannelId, PayoutAddress};

use super::abi::topic;
use super::event::{
    ALL, CLAIMED, CLOSED, CLOSING, ChainEvent, DEPOSITED, EventKind, OPENED, REVEALED, TOPPED_UP,
    WITHDRAWN,
};
use super::json::hex_bytes;

/// Names in one filter; nodes take a thousand at most. Our choice.
const MAX_NAMES: usize = 256;

/// What somebody wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interest {
    kinds: &'static [&'static str],
    /// `None`: everybody's.
    whose: Option<Whose>,
}

/// The accounts and channels that events must name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Whose {
    accounts: BTreeSet<PayoutAddress>,
    channels: BTreeSet<ChannelId>,
}

impl Interest {
    /// Everything, whomever it is about.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            kinds: &ALL,
            whose: None,
        }
    }

    /// Closings and ends of channels, whosever they are.
    #[must_use]
    pub const fn closings() -> Self {
        Self {
            kinds: &[CLOSING, CLOSED],
            whose: None,
        }
    }

    /// Closings of channels that pay `accounts`, and words that become public on `channels`: what is acted on
    /// though not enough tell of it.
    #[must_use]
    pub const fn hearsay(accounts: BTreeSet<PayoutAddress>, channels: BTreeSet<ChannelId>) -> Self {
        Self {
            kinds: &[CLOSING, REVEALED],
            whose: Some(Whose { accounts, channels }),
        }
    }

    /// What `accounts` put into and take out of the pot, what becomes of `channels` and of those that they
    /// open or are paid by, and every opening, whosever: an account may be one's own without being known.
    #[must_use]
    pub const fn of(accounts: BTreeSet<PayoutAddress>, channels: BTreeSet<ChannelId>) -> Self {
        Self {
            kinds: &[
                DEPOSITED, WITHDRAWN, OPENED, TOPPED_UP, CLAIMED, REVEALED, CLOSING, CLOSED,
            ],
            whose: Some(Whose { accounts, channels }),
        }
    }

    /// Keeps what is wanted of `events`, which stand in the order of the chain; the channels that they
    /// open are of interest from then on.
    #[must_use]
    pub fn keep(&mut self, mut events: Vec<ChainEvent>) -> Vec<ChainEvent> {
        events.retain(|it| self.wants(&it.kind));
        events
    }

    fn wants(&mut self, kind: &EventKind) -> bool {
        if !self.kinds.contains(&signature(kind)) {
            return false;
        }
        let Some(whose) = &mut self.whose else {
            return true;
        };
        match kind {
            EventKind::Deposited { owner, .. } | EventKind::Withdrawn { owner, .. } => {
                whose.accounts.contains(owner)
            }
            EventKind::BeneficiaryChanged { .. } => false,
            EventKind::Opened {
                channel, params, ..
            } => {
                let parties = [params.payer, params.payee];
                if parties.iter().any(|it| whose.accounts.contains(it)) {
                    whose.channels.insert(*channel);
                }
                true
            }
            EventKind::Revealed { channel, .. } => whose.channels.contains(channel),
            EventKind::ToppedUp { channel, payee, .. }
            | EventKind::Claimed { channel, payee, .. }
            | EventKind::Closing { channel, payee, .. }
            | EventKind::Closed { channel, payee, .. } => {
                whose.channels.contains(channel) || whose.accounts.contains(payee)
            }
        }
    }

    /// The filter's topics for all that is wanted at once, and of others too.
    pub(super) fn wide(&self) -> Value {
        json!([topics(self.kinds)])
    }

    /// Topics of filters that give what is wanted and little else: openings first, of all that have to be
    /// heard the fewest in a block, for each writes a channel that was not there before.
    pub(super) fn openings(&self) -> Vec<Value> {
        let kinds = self.kinds.iter();
        let kinds = kinds.filter(|it| self.whose.is_none() || **it == OPENED);
        kinds.map(|it| json!([topics(&[it])])).collect()
    }

    /// And then the rest.
    pub(super) fn others(&self) -> Vec<Value> {
        let Some(whose) = &self.whose else {
            return Vec::new();
        };
        let wanted = |kinds: &[&'static str]| -> Vec<&str> {
            let kinds = kinds.iter().copied();
            kinds.filter(|it| self.kinds.contains(it)).collect()
        };
        let pot = wanted(&[DEPOSITED, WITHDRAWN]);
        let paid = wanted(&[CLOSING, CLOSED, CLAIMED, TOPPED_UP]);
        let mut asked = Vec::new();
        for accounts in chunks(whose.accounts.iter().map(account_word)) {
            if !pot.is_empty() {
                asked.push(json!([topics(&pot), accounts]));
            }
            for kind in paid.iter().copied() {
                asked.push(json!([topics(&[kind]), Value::Null, accounts]));
            }
        }
        for channels in chunks(whose.channels.iter().map(|it| hex_bytes(it.as_bytes()))) {
            for kind in paid.iter().copied().chain(wanted(&[REVEALED])) {
                asked.push(json!([topics(&[kind]), channels]));
            }
        }
        asked
    }
}

fn topics(kinds: &[&str]) -> Value {
    kinds.iter().map(|it| hex_bytes(topic(it))).collect()
}

fn account_word(account: &PayoutAddress) -> Value {
    let mut word = [0_u8; 32];
    word[12..].copy_from_slice(account.as_bytes());
    hex_bytes(word)
}

fn chunks(names: impl Iterator<Item = Value>) -> Vec<Value> {
    let names: Vec<Value> = names.collect();
    names.chunks(MAX_NAMES).map(|it| json!(it)).collect()
}

const fn signature(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Deposited { .. } => DEPOSITED,
        EventKind::Withdrawn { .. } => WITHDRAWN,
        EventKind::BeneficiaryChanged { .. } => super::event::BENEFICIARY,
        EventKind::Opened { .. } => OPENED,
        EventKind::ToppedUp { .. } => TOPPED_UP,
        EventKind::Claimed { .. } => CLAIMED,
        EventKind::Revealed { .. } => REVEALED,
        EventKind::Closing { .. } => CLOSING,
        EventKind::Closed { .. } => CLOSED,
    }
}
