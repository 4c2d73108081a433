//! What happens to an account's transactions, and what must be done about it.
//!
//! Sans-IO.

use warren_proto::{Amount, PayoutAddress, TxHash, UnixTime};

use super::{SignedTx, UnsignedTx};
use crate::calls::known::works_once;
use crate::chain::{BlockHash, Fees, Outcome, Receipt};

/// Names a call among all of an account: the same call asked for twice is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub [u8; 32]);

/// A call to get into a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// The contract.
    pub to: PayoutAddress,
    /// The native money sent along.
    pub value: Amount,
    /// The calldata.
    pub data: Vec<u8>,
    /// What is lost without it; `None` if nothing is.
    ///
    /// Only for a call that does no harm if it is made twice or never, as a claim: it may be sent
    /// on the word of endpoints that do not agree.
    pub stake: Option<Stake>,
}

impl Job {
    /// Whether it does no harm to make it once more, should it have been made without anybody's seeing it.
    pub(super) fn may_repeat(&self) -> bool {
        self.stake.is_some() || works_once(&self.data)
    }
}

/// What a call brings, and until when: how much its gas may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stake {
    /// Worth of what it brings, in native coin: its gas never costs more. `None` if nobody knows.
    pub worth: Option<Amount>,
    /// When it brings nothing any more, in the chain's time; `None` if it can wait.
    pub deadline: Option<UnixTime>,
}

/// A version of a transaction in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Which version.
    pub tx: TxHash,
    /// The block's height.
    pub block: u64,
    /// The block's hash.
    pub block_hash: BlockHash,
    /// Whether it took effect.
    pub outcome: Outcome,
    /// Gas paid for.
    pub gas_used: u64,
    /// What that cost, in native coin.
    pub cost: Amount,
}

impl From<&Receipt> for Seen {
    fn from(receipt: &Receipt) -> Self {
        let cost = receipt.gas_price.checked_mul(receipt.gas_used);
        Self {
            tx: receipt.tx,
            block: receipt.block,
            block_hash: receipt.block_hash,
            outcome: receipt.outcome,
            gas_used: receipt.gas_used,
            cost: cost.unwrap_or(Amount::MAX),
        }
    }
}

/// What happens to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxEvent {
    /// Someone wants a call made.
    Asked(Job),
    /// A call was simulated and would work.
    Prepared {
        /// Which.
        id: JobId,
        /// Gas to allow.
        gas_limit: u64,
        /// What gas costs.
        fees: Fees,
        /// The account's count of transactions in blocks.
        nonce: u64,
        /// The chain's time; `None` if it did not matter.
        time: Option<UnixTime>,
    },
    /// A call cannot be made.
    Refused {
        /// Which.
        id: JobId,
    },
    /// A version was signed.
    Signed {
        /// What was signed.
        unsigned: UnsignedTx,
        /// With the signature.
        signed: SignedTx,
    },
    /// The node did not take a version.
    SendFailed {
        /// Which.
        tx: TxHash,
        /// Why.
        why: SendFailure,
    },
    /// There is a new block: the chain was asked about everything on its way.
    HeadSeen {
        /// Its height.
        number: u64,
        /// Its time.
        time: UnixTime,
        /// The account's count of transactions in blocks.
        nonce: u64,
        /// What gas costs.
        fees: Fees,
        /// Which of our versions are in blocks.
        seen: Vec<Seen>,
    },
    /// The chain's endpoints do not agree on what is in blocks, or on old ones only, but take transactions.
    Blind {
        /// About now, by the local clock or by the newest block and what has passed since.
        time: UnixTime,
        /// What gas costs, as far as they say.
        fees: Fees,
        /// The account's counts of transactions that any of them tells of; none where the old one is agreed on.
        nonces: Vec<u64>,
    },
}

/// Why a node did not take a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendFailure {
    /// It was not reached, or busy: the next block will tell.
    Retry,
    /// The nonce is used: the next block will tell by whom.
    NonceTooLow,
    /// It must pay more.
    Underpriced,
    /// It will never be taken.
    Final,
}

/// What the shell must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxEffect {
    /// Simulate, and answer with [`TxEvent::Prepared`] or [`TxEvent::Refused`].
    Prepare(Job),
    /// Sign, and answer with [`TxEvent::Signed`].
    Sign(UnsignedTx),
    /// Send, once the step is saved.
    Broadcast(SignedTx),
    /// Tell whoever waits.
    Report(JobId, Report),
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// In a block, and that many blocks on top.
    Confirmed(Seen),
    /// No node takes it.
    Rejected,
    /// Its nonce is used, by what nobody can say: it may have happened, and doing it twice would do harm.
    Unsure,
    /// A block burns more for each gas than this call may pay, and it cannot wait, or did for long: nothing was
    /// sent.
    TooDear {
        /// What a block burns at least.
        floor: Amount,
        /// What the call may pay.
        cap: Amount,
    },
    /// Too many calls wait.
    QueueFull,
}
