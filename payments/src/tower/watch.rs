//! A tower's look at the chain: which channels begin to close, which are over.
//!
//! A closing is believed at first sight: should a reorganisation undo it, the claim was only early. The
//! cursor stays some blocks behind the newest one, so that what a reorganisation brings in is seen.

use warren_proto::{ChannelId, UnixTime};

use super::event::Closing;
use crate::chain::{Chain, ChainError, EventKind, Interest};
use crate::codec::{CodecError, Reader, Writer};
use crate::handle::PaymentsError;
use crate::store::{ChannelStore, Put, Table};

const KEY: &[u8] = b"tower.cursor";
const VERSION: u8 = 1;
// Our choices.
/// Blocks heard again with each look: deeper reorganisations than this have their own alarms.
const REWIND: u64 = 16;
/// Blocks asked for at once: public nodes refuse more.
const MAX_BLOCKS: u64 = 2000;
/// How far the first look goes back: a tower that keeps nothing yet has missed nothing.
const FIRST_LOOK: u64 = 2000;
/// A cursor is written when it has moved so far: hearing blocks again costs a question.
const STRIDE: u64 = 32;

/// Up to which block everything is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor(u64);

impl Cursor {
    pub(super) fn load(store: &dyn ChannelStore) -> Result<Option<Self>, PaymentsError> {
        let record = |source: CodecError| PaymentsError::Record {
            table: "pay.meta",
            source,
        };
        let Some(bytes) = store.get(Table::Meta, KEY)? else {
            return Ok(None);
        };
        let mut read = Reader::new(&bytes, VERSION).map_err(record)?;
        let number = read.u64().map_err(record)?;
        read.finish().map_err(record)?;
        Ok(Some(Self(number)))
    }

    pub(super) fn put(self) -> Put {
        let mut out = Writer::new(VERSION);
        out.u64(self.0);
        Put::new(Table::Meta, KEY, out.finish())
    }

    pub(super) fn is_worth_saving(self, old: Self) -> bool {
        self.0.abs_diff(old.0) >= STRIDE
    }
}

/// What one look saw.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) closings: Vec<Closing>,
    pub(super) closed: Vec<ChannelId>,
    pub(super) cursor: Cursor,
    /// The newest block's.
    pub(super) block: u64,
    pub(super) time: UnixTime,
    /// There are more blocks than were asked for.
    pub(super) behind: bool,
    /// What any endpoint tells of closings; `None` where what they agree on is all there is.
    pub(super) feared: Option<Vec<Closing>>,
}

/// Why a look saw nothing, and what some endpoint tells of closings all the same.
#[derive(Debug)]
pub(super) struct Unseen {
    pub(super) error: ChainError,
    pub(super) feared: Vec<Closing>,
}

/// From where a look begins, and what it believes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outlook {
    pub(super) cursor: Option<Cursor>,
    /// Whether what the endpoints agreed on last is old: one that stands still holds back all the others.
    pub(super) is_old: bool,
}

/// Looks; where the endpoints do not agree, or on what is old only, hears what any of them says of closings.
pub(super) async fn look(chain: &dyn Chain, outlook: Outlook) -> Result<Seen, Unseen> {
    let Outlook { cursor, is_old } = outlook;
    match agreed(chain, cursor).await {
        Ok(mut seen) => {
            if is_old || chain.endpoints().is_some_and(|it| it.holds_back()) {
                seen.feared = Some(heard(chain, cursor).await);
            }
            Ok(seen)
        }
        Err(error) => {
            let from = cursor.filter(|_| error.is_unagreed());
            let feared = heard(chain, from).await;
            Err(Unseen { error, feared })
        }
    }
}

async fn heard(chain: &dyn Chain, from: Option<Cursor>) -> Vec<Closing> {
    let heard = match from {
        Some(it) => chain.closings_heard(it.0.saturating_add(1)).await,
        None => Ok(Vec::new()), // Nothing was put before the first look, or nobody says anything.
    };
    let heard = heard.unwrap_or_default().into_iter();
    heard.filter_map(|it| closing_in(&it.kind)).collect()
}

fn closing_in(kind: &EventKind) -> Option<Closing> {
    match kind {
        EventKind::Closing {
            channel, closes_at, ..
        } => Some(Closing {
            channel: *channel,
            closes_at: closes_at.as_secs(),
        }),
        EventKind::Deposited { .. }
        | EventKind::Withdrawn { .. }
        | EventKind::BeneficiaryChanged { .. }
        | EventKind::Opened { .. }
        | EventKind::ToppedUp { .. }
        | EventKind::Claimed { .. }
        | EventKind::Closed { .. }
        | EventKind::Revealed { .. } => None,
    }
}

async fn agreed(chain: &dyn Chain, cursor: Option<Cursor>) -> Result<Seen, ChainError> {
    let head = chain.head().await?;
    let from = cursor.map_or(head.number.saturating_sub(FIRST_LOOK), |it| {
        it.0.saturating_add(1).min(head.number)
    });
    let to = head.number.min(from.saturating_add(MAX_BLOCKS - 1));
    let (mut closings, mut closed) = (Vec::new(), Vec::new());
    let is_deep = |block: u64| block.saturating_add(REWIND) <= head.number;
    for event in chain.events_of(from, to, Interest::closings()).await? {
        closings.extend(closing_in(&event.kind));
        if let EventKind::Closed { channel, .. } = event.kind
            && is_deep(event.block)
        {
            closed.push(channel); // What a put is forgotten for must not come undone.
        }
    }
    let behind = to < head.number;
    // Behind, the whole stretch is done; at the head, its last blocks are heard again.
    let done = if behind {
        to
    } else {
        to.saturating_sub(REWIND)
    };
    Ok(Seen {
        closings,
        closed,
        cursor: Cursor(done.max(cursor.map_or(0, |it| it.0))),
        block: head.number,
        time: head.timestamp,
        behind,
        feared: None,
    })
}
