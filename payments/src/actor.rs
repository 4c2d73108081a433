//! The one task that owns all channels: it picks an event, saves the step, then performs it.
//!
//! ```text
//! Payments ──Command──▶ ┐
//! chain poll ──News───▶ ├─▶ Book (cores) ─▶ Batch ─▶ ChannelStore ─▶ effects: frames, transactions
//! transaction ──Acted─▶ ┘
//! ```
//!
//! Invariant: an effect is performed, and an answer given, only after its batch is on disk. The
//! chain cursor moves in the same batch as what the events of its blocks changed.

mod ask;
mod book;
mod clock;
mod command;
mod company;
mod evidence;
mod fund;
mod keys;
mod news;
mod obey;
mod peer;
mod perform;
mod route;
mod settling;
mod submit;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior};
use warren_proto::{Amount, ChannelId, TxHash, UnixTime};

pub(crate) use self::command::{Command, RouteCommand};
use crate::chain::Chain;
use crate::channel::{PayerChannel, StopReason};
use crate::handle::{Answer, PaymentEvent, PaymentsConfig, PaymentsError, Role};
use crate::store::{ChannelStore, Table};
use crate::wall_clock;

use crate::tx::{Done, SubmitterConfig, TxError, TxRules, bill};
use crate::wallet::Wallet;
use book::Book;
use clock::ChainClock;
use keys::{ACCOUNT, Keyring, LOST, Senders};
use news::{News, Older, Unheard};
use perform::WordCache;

/// Reports of transactions and polls that may wait for the task.
const REPORTS: usize = 64;

/// What the task's own helpers tell it.
enum Report {
    News(Box<Result<News, Unheard>>),
    Acted(Acted),
    Swept {
        channel: ChannelId,
        result: Result<(), TxError>,
    },
}

/// What became of a transaction; `None` if what it was for had happened before.
struct Acted {
    channel: Option<ChannelId>,
    role: Role,
    result: Result<Option<Done>, TxError>,
    waiter: Waiter,
}

/// Who waits for a transaction.
enum Waiter {
    Nobody,
    Tx(Answer<TxHash>),
    Claim(Answer<Option<TxHash>>),
}

/// Who waits for a look at the chain.
enum AfterNews {
    Refresh(Answer<()>),
    Tx(Waiter, TxHash),
}

struct Task {
    chain: Arc<dyn Chain>,
    store: Arc<dyn ChannelStore>,
    ring: Keyring,
    config: PaymentsConfig,
    senders: Senders,
    book: Book,
    outbox: mpsc::Sender<PaymentEvent>,
    /// Stops that found the outbox full.
    unsaid: BTreeMap<ChannelId, StopReason>,
    reports: mpsc::Sender<Report>,
    words: WordCache,
    clock: ChainClock,
    gas_price: Amount,
    /// Everything in blocks up to this time is in the records.
    heard_until: UnixTime,
    /// Closings seen in blocks that do not count yet.
    young_closings: BTreeSet<ChannelId>,
    /// Channels whose last transaction failed: not before then, and how often in a row.
    retries: BTreeMap<ChannelId, (Instant, u32)>,
    sweeping: BTreeSet<ChannelId>,
    /// Channels whose claim was undone together with others: it stays alone until then.
    apart: BTreeMap<ChannelId, Instant>,
    /// Turns of the claims that share a transaction.
    company_turns: Arc<Semaphore>,
    /// Closings that some endpoint tells of and not enough agree on, and the earliest end told.
    feared: BTreeMap<ChannelId, u64>,
    /// Channels whose claim, on its way, was told that time is short, and until when it is (chain seconds).
    urged: BTreeMap<ChannelId, u64>,
    /// Blocks before the first look's that are to be gone through; `None` once they are.
    older: Option<Older>,
    /// What transactions cost that the last run had no time to write down.
    bills: Vec<Done>,
    polling: bool,
    after_this_news: Vec<AfterNews>,
    after_next_news: Vec<AfterNews>,
    waiting_usable: Vec<(ChannelId, Answer<()>)>,
}

type Ends = (mpsc::Receiver<Command>, mpsc::Sender<PaymentEvent>);

/// Reads the records and starts the task.
pub(crate) fn start(
    chain: Arc<dyn Chain>,
    store: Arc<dyn ChannelStore>,
    wallet: Wallet,
    config: PaymentsConfig,
    (commands, outbox): Ends,
) -> Result<(), PaymentsError> {
    let mut book = Book::load(store.as_ref(), config.rules)?;
    book.distrust(store.as_ref())?;
    let rules = TxRules {
        chain_id: chain.chain_ref().chain_id,
        confirmations: config.confirmations.max(1),
        bump_after_blocks: config.bump_after_blocks,
        fee_cap: config.fee_cap,
        urgent: config.settle.closing_margin,
    };
    let bills = bill::open(&store.scan(Table::Tx)?);
    let bills = bills.map_err(|source| PaymentsError::Record {
        table: "pay.tx",
        source,
    })?;
    let used = book.payers.values().map(PayerChannel::key_index).max();
    let mut ring = Keyring::new(wallet, used.unwrap_or(ACCOUNT))?;
    let older = Older::of(&book, config.scan_from);
    if book.born.is_none() || older.is_some() {
        ring.know(LOST)?;
    }
    let (told, mined) = mpsc::channel(REPORTS);
    let sending = SubmitterConfig {
        rules,
        poll: config.poll,
        max_silence: config.max_silence,
    };
    let (to_chain, to_store) = (Arc::clone(&chain), Arc::clone(&store));
    let senders = Senders::start(to_chain, to_store, sending, told, &ring)?;
    let (reports, inbox) = mpsc::channel(REPORTS);
    let task = Task {
        chain,
        store,
        ring,
        config,
        senders,
        book,
        outbox,
        unsaid: BTreeMap::new(),
        reports,
        words: WordCache::default(),
        clock: ChainClock::new(),
        gas_price: Amount::ZERO,
        heard_until: UnixTime::default(),
        young_closings: BTreeSet::new(),
        retries: BTreeMap::new(),
        sweeping: BTreeSet::new(),
        apart: BTreeMap::new(),
        company_turns: Arc::new(Semaphore::new(company::AT_ONCE)),
        feared: BTreeMap::new(),
        urged: BTreeMap::new(),
        older,
        bills,
        polling: false,
        after_this_news: Vec::new(),
        after_next_news: Vec::new(),
        waiting_usable: Vec::new(),
    };
    tokio::spawn(task.run(commands, inbox, mined));
    Ok(())
}

impl Task {
    async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut inbox: mpsc::Receiver<Report>,
        mut mined: mpsc::Receiver<Done>,
    ) {
        let mut poll = tokio::time::interval(self.config.poll);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.restart();
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => {
                        self.wakes();
                        self.obey(command);
                    }
                    None => break,
                },
                Some(report) = inbox.recv() => match report {
                    Report::News(news) => self.hear(*news),
                    Report::Acted(acted) => self.acted(acted),
                    Report::Swept { channel, result } => self.swept(channel, result),
                },
                Some(done) = mined.recv() => self.mined(&done),
                _ = poll.tick() => {
                    self.tell_again();
                    self.look();
                }
            }
        }
    }

    /// The chain's time as of now: no local clock that is behind may shorten a window.
    fn now(&self) -> UnixTime {
        let chain = self
            .clock
            .head
            .map_or(UnixTime::default(), |it| it.timestamp);
        wall_clock().max(chain)
    }

    /// Tells whoever listens; a full queue loses news, never state, and no news that a session must end.
    fn tell(&mut self, event: PaymentEvent) {
        if let Err(error) = self.outbox.try_send(event) {
            tracing::debug!(%error, "nobody takes payment news");
            if let TrySendError::Full(PaymentEvent::Stop { channel, reason }) = error {
                self.unsaid.insert(channel, reason);
            }
        }
    }

    fn tell_again(&mut self) {
        for (channel, reason) in std::mem::take(&mut self.unsaid) {
            self.tell(PaymentEvent::Stop { channel, reason });
        }
    }
}
