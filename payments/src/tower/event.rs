//! What can happen to a tower, what it takes, and what comes of an event.
//!
//! Sans-IO.

use std::time::Duration;

use warren_proto::{Amount, ChannelId, Locator, NodeId, TowerAnswer, TowerPut};

use super::appointment::{Appointment, Key};
use crate::calls::Claim;
use crate::codec::{CodecError, Reader, Writer};

const CLOSING_VERSION: u8 = 1;

/// What a tower takes. Our choice throughout; the reason stands beside each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TowerRules {
    /// Puts of one owner: an exit of 64 paying guests.
    pub per_owner: usize,
    /// Puts in all, of at most 4 KiB each: 16 MiB.
    pub total: usize,
    /// The furthest end: a close window of 30 days and some to spare.
    pub keep: Duration,
    /// Puts of one owner at once: each costs a synced write.
    pub burst: u32,
    /// And then one per so long.
    pub pace: Duration,
    /// Claims a day for one owner: putting anew for its own channel must not burn the tower's gas.
    pub claims_of_owner: u32,
    /// Claims a day in all: names are free, gas is not. What is due goes on the next day.
    pub claims: u32,
    /// How long the payee is given to claim for itself, at most; else a quarter of the window.
    pub patience: Duration,
    /// Closings remembered; for a put that comes after its channel's closing.
    pub closings: usize,
}

impl Default for TowerRules {
    fn default() -> Self {
        Self {
            per_owner: 64,
            total: 4096,
            keep: Duration::from_secs(40 * 24 * 3600),
            burst: 128,
            pace: Duration::from_millis(500),
            claims_of_owner: 64,
            claims: 512,
            patience: Duration::from_secs(3600),
            closings: 4096,
        }
    }
}

/// A closing seen on the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closing {
    /// The channel.
    pub channel: ChannelId,
    /// Chain seconds at which its window ends.
    pub closes_at: u64,
}

impl Closing {
    /// The record's key.
    #[must_use]
    pub fn key(locator: &Locator) -> Vec<u8> {
        [b"c".as_slice(), locator.as_bytes()].concat()
    }

    /// The record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new(CLOSING_VERSION);
        out.bytes(self.channel.as_bytes()).u64(self.closes_at);
        out.finish()
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`CodecError`] for bytes that [`Self::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut read = Reader::new(bytes, CLOSING_VERSION)?;
        let it = Self {
            channel: read.channel()?,
            closes_at: read.u64()?,
        };
        read.finish()?;
        Ok(it)
    }
}

/// What can happen to a tower.
#[derive(Debug, Clone)]
pub enum TowerEvent {
    /// Somebody puts.
    Put {
        /// Who, as the connection proves.
        owner: NodeId,
        /// What.
        put: Box<TowerPut>,
    },
    /// A channel begins to close; hearing it twice is harmless.
    Closing(Closing),
    /// Some endpoint tells of a closing that not enough agree on; hearing it twice is harmless.
    Feared(Closing),
    /// The endpoints agree: what was feared is told anew, or was a lie.
    Agreed,
    /// A channel is over.
    Closed(ChannelId),
    /// Chain time passes.
    Tick,
    /// The claim of this put would bring nothing worth the gas; none was made.
    Idle {
        /// Whose.
        key: Key,
        /// Which.
        number: u64,
    },
    /// The claim of this put is in the chain.
    Settled {
        /// Whose.
        key: Key,
        /// Which.
        number: u64,
    },
    /// The claim of this put was sent and undone: its gas is spent. It may succeed later.
    Undone {
        /// Whose.
        key: Key,
    },
    /// The claim of this put failed, and cost nothing; it may succeed later.
    Failed {
        /// Whose.
        key: Key,
    },
}

/// One change of what is kept; saved before it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A put. `None` forgets it.
    Put(Key, Option<Box<Appointment>>),
    /// A closing. `None` forgets it.
    Closing(Locator, Option<Closing>),
}

/// A claim to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Whose put.
    pub key: Key,
    /// Which.
    pub number: u64,
    /// The channel.
    pub channel: ChannelId,
    /// The claim; proven, not yet known to bring anything.
    pub claim: Claim,
    /// What it is worth in all.
    pub value: Amount,
}

/// What an event comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TowerStep {
    /// To be saved in one batch, then applied.
    pub changes: Vec<Change>,
    /// To be sent after that.
    pub answer: Option<TowerAnswer>,
    /// To be begun after that.
    pub jobs: Vec<Job>,
}
