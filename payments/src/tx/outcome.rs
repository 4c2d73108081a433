//! What came of a call, for whoever asked for it.

use warren_proto::{Amount, TxHash};

use super::event::Seen;
use crate::chain::ChainError;
use crate::codec::CodecError;
use crate::store::StoreError;

/// A call that is in the chain for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// The transaction.
    pub tx: TxHash,
    /// The block's height.
    pub block: u64,
    /// Gas paid for.
    pub gas_used: u64,
    /// What that cost, in native coin.
    pub cost: Amount,
}

impl From<&Seen> for Done {
    fn from(seen: &Seen) -> Self {
        Self {
            tx: seen.tx,
            block: seen.block,
            gas_used: seen.gas_used,
            cost: seen.cost,
        }
    }
}

/// Why a call did not happen, or why nobody can say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TxError {
    /// The chain would not do it; nothing was sent.
    #[error("{call}: {source}")]
    Refused {
        /// The call's name.
        call: &'static str,
        /// Why.
        source: ChainError,
    },
    /// It was sent and undone: the state changed between simulation and block.
    #[error("{call}: undone in block {block}")]
    Undone {
        /// The call's name.
        call: &'static str,
        /// Where.
        block: u64,
    },
    /// It was sent, another transaction of the account seems to have taken its place, and nobody has a receipt.
    #[error(
        "{call}: it may have happened, or another program with this wallet was faster; look at the balances before \
         doing it again"
    )]
    Unsure {
        /// The call's name.
        call: &'static str,
    },
    /// Gas costs more than may be paid for this call; nothing was sent.
    #[error("{call}: a gas costs {floor} wei at least, and this call may pay {cap}")]
    TooDear {
        /// The call's name.
        call: &'static str,
        /// What a block burns for each gas.
        floor: Amount,
        /// `chain.fee_cap_gwei`, or less if the call brings less.
        cap: Amount,
    },
    /// It is worth its share of a transaction, not one of its own, and there is nobody to share one with.
    #[error("{call}: it waits for others to share a transaction with")]
    NoCompany {
        /// The call's name.
        call: &'static str,
    },
    /// Too many calls wait.
    #[error("{call}: too many calls wait")]
    QueueFull {
        /// The call's name.
        call: &'static str,
    },
    /// The account's task has ended; after a restart it goes on.
    #[error("{call}: the account's task has ended")]
    Stopped {
        /// The call's name.
        call: &'static str,
    },
}

/// Why an account's task could not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record cannot be read.
    #[error("transaction record: {0}")]
    Record(#[from] CodecError),
}
