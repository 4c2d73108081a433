//! One put, as a tower keeps it.
//!
//! Sans-IO.

use warren_proto::{ChannelId, Locator, NodeId, TowerDeadline};

use crate::codec::{CodecError, Reader, Writer};

const VERSION: u8 = 1;

/// Whose put, of which channel. Nobody can replace another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Who put it, as the connection proves.
    pub owner: NodeId,
    /// Of which channel.
    pub locator: Locator,
}

impl Key {
    /// The record's key.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [
            b"a".as_slice(),
            self.owner.as_bytes(),
            self.locator.as_bytes(),
        ]
        .concat()
    }

    /// Reads [`Self::encode`]; `None` for other keys of the table.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (owner, locator) = bytes.strip_prefix(b"a")?.split_at_checked(32)?;
        Some(Self {
            owner: NodeId::from_bytes(owner.try_into().ok()?),
            locator: Locator::from_bytes(locator.try_into().ok()?),
        })
    }
}

/// Its channel closes, or a lock of it expires: there is something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The channel; from here on the put can be opened.
    pub channel: ChannelId,
    /// Chain seconds at which to claim, unless the payee did.
    pub claim_at: u64,
}

/// A put that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appointment {
    /// Number of the put.
    pub number: u64,
    /// Chain seconds after which it is forgotten.
    pub until: u64,
    /// The claim, sealed.
    pub sealed: Vec<u8>,
    /// When to claim even if nobody closes.
    pub deadline: Option<TowerDeadline>,
    /// `None` while nothing is to be done.
    pub due: Option<Due>,
    /// This put was claimed with, or is worth nothing more.
    pub spent: bool,
}

impl Appointment {
    /// The record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION);
        out.u64(self.number).u64(self.until);
        out.list(&self.sealed, |out, it| {
            out.u8(*it);
        });
        out.option(self.deadline.as_ref(), |out, it| {
            out.bytes(it.channel.as_bytes()).u64(it.act_at);
        });
        out.option(self.due.as_ref(), |out, it| {
            out.bytes(it.channel.as_bytes()).u64(it.claim_at);
        });
        out.u8(u8::from(self.spent));
        out.finish()
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`CodecError`] for bytes that [`Self::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut read = Reader::new(bytes, VERSION)?;
        let number = read.u64()?;
        let until = read.u64()?;
        let sealed = read.list(warren_proto::MAX_SEALED_BYTES, "sealed", Reader::u8)?;
        let deadline = read.option("deadline", |read| {
            Ok(TowerDeadline {
                channel: read.channel()?,
                act_at: read.u64()?,
            })
        })?;
        let due = read.option("due", |read| {
            Ok(Due {
                channel: read.channel()?,
                claim_at: read.u64()?,
            })
        })?;
        let spent = read.flag("spent")?;
        read.finish()?;
        Ok(Self {
            number,
            until,
            sealed,
            deadline,
            due,
            spent,
        })
    }
}
