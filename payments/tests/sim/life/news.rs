//! What a party hears of the chain with one look: as the product's actor folds it (`actor/news/told.rs`).

use std::collections::{BTreeMap, BTreeSet};

use warren_payments::channel::ChainFact;
use warren_proto::{ChannelId, Preimage, UnixTime};

use super::chain::Chain;
use super::contract::{Event, Said};
use super::host::{Cursor, Host};
use super::names::{CONFIRMATIONS, secs};

/// How far to go back when confirmed history was rewritten; as the product's actor does.
const REWIND: u64 = 256;

/// One look at the chain.
pub(crate) struct News {
    pub(crate) facts: Vec<(ChannelId, ChainFact)>,
    /// Words that became public, however young their blocks.
    pub(crate) words: Vec<(ChannelId, Preimage)>,
    pub(crate) cursor: Cursor,
    /// Everything in blocks up to this time has been heard.
    pub(crate) heard_until: UnixTime,
    /// The newest block's time.
    pub(crate) head: UnixTime,
    /// Closings whose blocks may still be taken back.
    pub(crate) young: BTreeSet<ChannelId>,
}

/// The last word of each kind on one channel.
#[derive(Default)]
struct Last {
    deposit: Option<ChainFact>,
    claimed: Option<ChainFact>,
    closing: Option<ChainFact>,
    closed: Option<ChainFact>,
}

#[derive(Default)]
struct Told {
    channels: BTreeMap<ChannelId, Last>,
    words: Vec<(ChannelId, Preimage)>,
    young: BTreeSet<ChannelId>,
}

impl Told {
    fn add(&mut self, event: &Event, is_safe: bool) {
        let last = self.channels.entry(event.channel).or_default();
        match &event.said {
            Said::Revealed(word) => self.words.push((event.channel, word.clone())),
            Said::Fact(fact @ ChainFact::Closing { .. }) => {
                last.closing = Some(*fact);
                if !is_safe {
                    self.young.insert(event.channel);
                }
            }
            Said::Fact(fact @ ChainFact::Deposit(_)) if is_safe => last.deposit = Some(*fact),
            Said::Fact(fact @ ChainFact::Claimed(_)) if is_safe => last.claimed = Some(*fact),
            Said::Fact(fact @ ChainFact::Closed) if is_safe => last.closed = Some(*fact),
            Said::Fact(_) => {}
        }
    }
}

impl Host {
    /// Asks for blocks and folds what they say: the last word of each kind, in the order told.
    pub(crate) fn news(&mut self, chain: &Chain) -> Option<News> {
        let head = self.sight(chain)?;
        self.lag.1 = self.lag.1.saturating_sub(1);
        let mut from = 0;
        if let Some((number, hash)) = self.cursor {
            let known = chain.blocks[..=head].get(usize::try_from(number).unwrap())?;
            from = number + 1;
            if self.believed_hash(known)? != hash {
                from = from.saturating_sub(REWIND);
            }
        }
        self.head_secs = chain.blocks[head].time;
        let safe = (chain.blocks[head].number + 1).checked_sub(CONFIRMATIONS)?;
        let mut told = Told::default();
        let events = self.believed_events(chain, usize::try_from(from).unwrap(), head)?;
        for (number, event) in &events {
            told.add(event, *number <= safe);
        }
        let is_closing =
            |it: &ChannelId| told.channels.get(it).is_some_and(|it| it.closing.is_some());
        let gone = self.young.iter().filter(|it| !is_closing(it));
        let gone: Vec<_> = gone.map(|it| (*it, ChainFact::NotClosing)).collect();
        let last = told.channels.iter().flat_map(|(id, it)| {
            let facts = [it.deposit, it.claimed, it.closing, it.closed];
            facts.into_iter().flatten().map(|fact| (*id, fact))
        });
        let facts = last.chain(gone).collect();
        let safe = &chain.blocks[usize::try_from(safe).unwrap()];
        Some(News {
            facts,
            words: told.words,
            cursor: (safe.number, safe.hash),
            heard_until: secs(safe.time),
            head: secs(self.head_secs),
            young: told.young,
        })
    }
}
