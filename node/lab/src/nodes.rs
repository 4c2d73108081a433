//! Who lives in the world: what a consumer and an exit remember.

use std::collections::BTreeMap;

use warren_daemon::session::{Admission, ConsumerSession, ProviderSession};
use warren_overlay::offers::OfferIndex;
use warren_payments::channel::{PayeeChannel, PayerChannel};
use warren_payments::wallet::WalletKey;
use warren_payments::words::WordMaster;
use warren_proto::{
    Amount, ByteCount, ChannelId, NodeId, NodeKey, SessionId, SessionStart, SignedOffer, UnixTime,
};

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) key: NodeKey,
    pub(crate) wallet: WalletKey,
    pub(crate) index: OfferIndex,
    pub(crate) joined: Option<UnixTime>,
    pub(crate) first_offer: Option<UnixTime>,
    pub(crate) role: Role,
}

/// What it does here.
#[derive(Debug)]
pub(crate) enum Role {
    Consumer(Box<Consumer>),
    Exit(Box<Exit>),
}

/// A consumer's memory.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) master: WordMaster,
    pub(crate) salt: u64,
    pub(crate) channels: BTreeMap<ChannelId, PayerChannel>,
    pub(crate) session: Option<Buying>,
    pub(crate) tried: Vec<NodeId>,
    /// The exit before gave out while it carried traffic.
    pub(crate) cut_off: bool,
}

/// A consumer's session under way.
#[derive(Debug)]
pub(crate) struct Buying {
    pub(crate) machine: ConsumerSession,
    pub(crate) exit: usize,
    pub(crate) asked: UnixTime,
    pub(crate) warm: bool,
    pub(crate) channel: Option<ChannelId>,
    pub(crate) wanted: u64,
    pub(crate) passed: u64,
    pub(crate) last_tick: UnixTime,
    /// What its channel came to be worth more to the exit: by the payer's books, not by the session's count.
    pub(crate) paid: Amount,
    /// It carried traffic.
    pub(crate) active: bool,
}

impl Buying {
    /// Words paid for, by the payer's books, that nothing was carried for, begun ones aside.
    pub(crate) fn unserved(&self) -> u64 {
        let Some(terms) = self.machine.terms() else {
            return 0;
        };
        let used = ByteCount::from_bytes(self.passed);
        let due = warren_daemon::session::due_units(terms, used, Default::default()).unwrap_or(0);
        let words = self.paid.wei().checked_div(terms.unit_price.wei());
        let words = words.and_then(|it| u64::try_from(it).ok());
        words.unwrap_or(u64::MAX).saturating_sub(due)
    }

    /// What the words of this session, as it counts them, are worth.
    pub(crate) fn worth(&self) -> Amount {
        let price = self.machine.terms().map(|it| it.unit_price);
        let worth = price
            .unwrap_or_default()
            .checked_mul(self.machine.released());
        worth.unwrap_or(Amount::MAX)
    }
}

/// An exit's memory; `on_disk` is what a crash leaves.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) offer: SignedOffer,
    pub(crate) admission: Admission,
    pub(crate) sessions: BTreeMap<SessionId, Serving>,
    pub(crate) channels: BTreeMap<ChannelId, Kept>,
    pub(crate) alive: bool,
    /// When it is back, if it is away.
    pub(crate) back_at: UnixTime,
    pub(crate) liar: bool,
}

/// A guest of an exit.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) machine: ProviderSession,
    pub(crate) consumer: usize,
    pub(crate) channel: Option<ChannelId>,
    /// A first voucher that waits for its deposit.
    pub(crate) waiting: Option<Box<SessionStart>>,
    pub(crate) allowed: u64,
}

/// A payee's channel: in memory, and as last saved.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) channel: PayeeChannel,
    pub(crate) on_disk: Vec<u8>,
    /// The most that it was credited with, crash or not: what it served for.
    pub(crate) credited: Amount,
    /// A claim of it waits for its block.
    pub(crate) claiming: bool,
}

/// What is counted while the world runs.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) first_offer_millis: Vec<u64>,
    pub(crate) cold_millis: Vec<u64>,
    pub(crate) warm_millis: Vec<u64>,
    pub(crate) started: u64,
    pub(crate) active: u64,
    pub(crate) completed: u64,
    /// The channel was used up first.
    pub(crate) used_up: u64,
    pub(crate) failed: u64,
    /// Cut off while they carried traffic, and carried on by another exit.
    pub(crate) failed_over: u64,
    /// Sessions whose terms a channel that stood could pay.
    pub(crate) warm_asked: u64,
    pub(crate) refused_offers: u64,
    /// Offers taken that no exit has made.
    pub(crate) forgeries: u64,
    /// Offers each consumer knew when the time was over.
    pub(crate) offers_known: Vec<u64>,
    pub(crate) gossip_messages: u64,
    pub(crate) delivered_bytes: u64,
    /// Words of the sessions that are over, and what they are worth.
    pub(crate) words: u64,
    pub(crate) words_worth: Amount,
    pub(crate) channels: u64,
    pub(crate) claims: u64,
    pub(crate) crashes: u64,
    /// Most that one session was served beyond what it had paid, in words.
    pub(crate) most_unpaid_units: u64,
    /// Most that one session had paid beyond what it was served, in words.
    pub(crate) most_unserved_units: u64,
    /// Virtual minute → bytes delivered in it.
    pub(crate) per_minute: BTreeMap<u64, u64>,
    /// Money the consumers released, all channels.
    pub(crate) released: Amount,
}

impl Node {
    pub(crate) fn exit(&self) -> Option<&Exit> {
        match &self.role {
            Role::Exit(exit) => Some(exit),
            Role::Consumer(_) => None,
        }
    }

    pub(crate) fn exit_mut(&mut self) -> Option<&mut Exit> {
        match &mut self.role {
            Role::Exit(exit) => Some(exit),
            Role::Consumer(_) => None,
        }
    }

    pub(crate) fn consumer(&self) -> Option<&Consumer> {
        match &self.role {
            Role::Consumer(consumer) => Some(consumer),
            Role::Exit(_) => None,
        }
    }

    pub(crate) fn consumer_mut(&mut self) -> Option<&mut Consumer> {
        match &mut self.role {
            Role::Consumer(consumer) => Some(consumer),
            Role::Exit(_) => None,
        }
    }
}
