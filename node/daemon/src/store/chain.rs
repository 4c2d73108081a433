//! The store's own proof of what it holds: a counter, a hash chain over every batch, and a sum
//! over every record.
//!
//! Sans-IO. A [`Head`] is written with each batch; [`judge`] decides at open whether the records,
//! the heads among them and the mirror beside them are one history.

use sha2::{Digest as _, Sha256};
use warren_proto::NodeId;

/// How many heads stay in the store, so that one that ran ahead of its mirror can be followed back.
pub const HEADS_KEPT: u64 = 64;

const MAGIC: &[u8; 8] = b"warrenS1";
const BODY: usize = 8 + 8 + 32 + 32 + 32 + 8 + 32;

/// Why the records are not those that this node wrote last.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// The store lacks batches that were confirmed.
    #[error(
        "it ends with batch {found}, but batch {confirmed} was confirmed; an older copy, or lost writes"
    )]
    Older {
        /// The store's last batch.
        found: u64,
        /// The mirror's.
        confirmed: u64,
    },
    /// Same number, other history.
    #[error("its batch {number} is not the one that was confirmed")]
    Forked {
        /// The number.
        number: u64,
    },
    /// There are records, but nothing that confirms them.
    #[error("the file db.head that confirms its {found} batches is missing")]
    NoMirror {
        /// The store's last batch.
        found: u64,
    },
    /// The newest head cannot be read.
    #[error("its last head is damaged")]
    BrokenHead,
    /// Neither half of the mirror can be read.
    #[error("the file db.head is damaged")]
    BrokenMirror,
    /// Two heads that should follow each other do not.
    #[error("batch {number} does not follow the one before it")]
    BrokenLink {
        /// The later one's number.
        number: u64,
    },
    /// Records were lost, changed or added behind the chain's back.
    #[error("its {found} records are not the {expected} that batch {number} left")]
    WrongContent {
        /// The last batch.
        number: u64,
        /// Records counted by the head.
        expected: u64,
        /// Records found.
        found: u64,
    },
    /// It is another node's.
    #[error("it belongs to node {}", owner.short())]
    Foreign {
        /// Whose it is.
        owner: NodeId,
    },
}

/// A sum over records that does not depend on their order, and from which one can be taken away.
///
/// Addition of SHA-256 values modulo 2^256: detects loss and damage, not a forger with the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContentSum {
    words: [u64; 4],
    count: u64,
}

impl ContentSum {
    /// Adds a record.
    pub fn add(&mut self, table: &str, key: &[u8], value: &[u8]) {
        let mut carry = false;
        for (word, more) in self.words.iter_mut().zip(record_words(table, key, value)) {
            let (sum, over) = word.overflowing_add(more);
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            (*word, carry) = (sum, over || over_again);
        }
        self.count = self.count.wrapping_add(1);
    }

    /// Takes a record away that was added before.
    pub fn remove(&mut self, table: &str, key: &[u8], value: &[u8]) {
        let mut borrow = false;
        for (word, less) in self.words.iter_mut().zip(record_words(table, key, value)) {
            let (rest, under) = word.overflowing_sub(less);
            let (rest, under_again) = rest.overflowing_sub(u64::from(borrow));
            (*word, borrow) = (rest, under || under_again);
        }
        self.count = self.count.wrapping_sub(1);
    }

    /// How many records it sums up.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }
}

fn record_words(table: &str, key: &[u8], value: &[u8]) -> [u64; 4] {
    let mut hash = Sha256::new();
    for part in [table.as_bytes(), key, value] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part);
    }
    let bytes: [u8; 32] = hash.finalize().into();
    let mut words = [0; 4];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
    }
    words
}

/// What is known after one batch. Its hash covers all of it and, through `previous`, all before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Batches since the store was made.
    pub number: u64,
    /// Hash of the head before.
    pub previous: [u8; 32],
    /// SHA-256 of the batch.
    pub batch: [u8; 32],
    /// Sum over every record.
    pub content: ContentSum,
    /// Whose store it is.
    pub owner: NodeId,
}

impl Head {
    /// The head of a store without any batch.
    #[must_use]
    pub fn first(owner: NodeId) -> Self {
        let (previous, batch) = ([0; 32], [0; 32]);
        Self {
            number: 0,
            previous,
            batch,
            content: ContentSum::default(),
            owner,
        }
    }

    /// The head after `batch` that left `content`.
    #[must_use]
    pub fn next(&self, batch: [u8; 32], content: ContentSum) -> Self {
        let number = self.number.saturating_add(1);
        Self {
            number,
            previous: self.hash(),
            batch,
            content,
            owner: self.owner,
        }
    }

    /// Its hash.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.body()).into()
    }

    fn body(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BODY);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.previous);
        bytes.extend_from_slice(&self.batch);
        self.content
            .words
            .iter()
            .for_each(|it| bytes.extend_from_slice(&it.to_be_bytes()));
        bytes.extend_from_slice(&self.content.count.to_be_bytes());
        bytes.extend_from_slice(self.owner.as_bytes());
        bytes
    }

    /// Its bytes in the store and in the mirror: the fields, then the hash.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.body();
        bytes.extend_from_slice(&self.hash());
        bytes
    }

    /// Length of [`Head::encode`].
    pub const ENCODED: usize = BODY + 32;

    /// Reads what [`Head::encode`] wrote; `None` if a single bit differs.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, hash) = bytes.split_at_checked(BODY)?;
        let (magic, rest) = body.split_first_chunk::<8>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (previous, rest) = rest.split_first_chunk::<32>()?;
        let (batch, rest) = rest.split_first_chunk::<32>()?;
        let (sum, rest) = rest.split_first_chunk::<32>()?;
        let (count, owner) = rest.split_first_chunk::<8>()?;
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(sum.chunks_exact(8)) {
            *word = u64::from_be_bytes(chunk.try_into().ok()?);
        }
        let head = Self {
            number: u64::from_be_bytes(*number),
            previous: *previous,
            batch: *batch,
            content: ContentSum {
                words,
                count: u64::from_be_bytes(*count),
            },
            owner: NodeId::from_slice(owner)?,
        };
        (magic == MAGIC && hash == head.hash()).then_some(head)
    }
}

/// Everything found when a store is opened.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The heads in the store, by number ascending; `None` for one that cannot be read.
    pub heads: Vec<Option<Head>>,
    /// The mirror. `None` if there is no such file.
    pub mirror: Option<MirrorEvidence>,
    /// The sum over the records as they are.
    pub content: ContentSum,
}

/// What the mirror says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MirrorEvidence {
    /// The newest head that was confirmed.
    Confirmed(Head),
    /// No half of it can be read.
    Damaged,
}

/// Decides whether the evidence is one history of `owner`'s store, and gives its head.
///
/// A store may be ahead of its mirror (it stopped between the two writes), never behind.
///
/// # Errors
/// [`ChainFault`]
pub fn judge(evidence: &Evidence, owner: NodeId) -> Result<Head, ChainFault> {
    let head = match evidence.heads.last() {
        Some(head) => head.ok_or(ChainFault::BrokenHead)?,
        None => Head::first(owner),
    };
    if head.owner != owner {
        return Err(ChainFault::Foreign { owner: head.owner });
    }
    if evidence.content != head.content {
        let (expected, found) = (head.content.count, evidence.content.count);
        return Err(ChainFault::WrongContent {
            number: head.number,
            expected,
            found,
        });
    }
    match evidence.mirror {
        None if head.number == 0 => Ok(head),
        None => Err(ChainFault::NoMirror { found: head.number }),
        Some(MirrorEvidence::Damaged) => Err(ChainFault::BrokenMirror),
        Some(MirrorEvidence::Confirmed(confirmed)) => {
            extends(&evidence.heads, &head, &confirmed).map(|()| head)
        }
    }
}

/// Whether `head` is `confirmed`, or follows from it step by step.
fn extends(heads: &[Option<Head>], head: &Head, confirmed: &Head) -> Result<(), ChainFault> {
    if confirmed.owner != head.owner {
        return Err(ChainFault::Foreign {
            owner: confirmed.owner,
        });
    }
    if head.number < confirmed.number {
        return Err(ChainFault::Older {
            found: head.number,
            confirmed: confirmed.number,
        });
    }
    let (mut number, mut hash) = (confirmed.number, confirmed.hash());
    for later in heads
        .iter()
        .flatten()
        .filter(|it| it.number > confirmed.number)
    {
        number = number.saturating_add(1);
        if later.number != number || later.previous != hash {
            return Err(ChainFault::BrokenLink {
                number: later.number,
            });
        }
        hash = later.hash();
    }
    if number != head.number || hash != head.hash() {
        return Err(ChainFault::Forked { number });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
