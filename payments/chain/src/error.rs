//! Why the chain did not answer, and what to do about it: try again, give up, or stop paying.

use warren_proto::{Amount, PayoutAddress, UnixTime};

/// Why a question to the chain has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The node could not be reached, or hung up.
    #[error("chain node unreachable: {detail}")]
    Unreachable {
        /// What the transport said.
        detail: String,
    },
    /// The node did not answer in time.
    #[error("chain node did not answer {method} in time")]
    TimedOut {
        /// The JSON-RPC method.
        method: String,
    },
    /// The node is overloaded or still catching up.
    #[error("chain node is busy: {code} {message}")]
    Busy {
        /// Its JSON-RPC error code.
        code: i32,
        /// Its words.
        message: String,
    },
    /// The node said something that is no answer to the question.
    #[error("chain node answered {method} with nonsense: {detail}")]
    Nonsense {
        /// The JSON-RPC method.
        method: String,
        /// What was wrong with it.
        detail: String,
    },
    /// The node is on another chain, or the contract is not ours. No money may move.
    #[error("{what} is {found}, expected {expected}")]
    Mismatch {
        /// What differs.
        what: &'static str,
        /// The pin.
        expected: String,
        /// What the node says.
        found: String,
    },
    /// Too few endpoints answered. No money counts, none is lost.
    #[error(
        "{answered} of {of} chain endpoints answered for {what}, {wanted} must agree; {detail}"
    )]
    NoQuorum {
        /// What was asked.
        what: &'static str,
        /// How many answered.
        answered: usize,
        /// How many there are.
        of: usize,
        /// How many must agree.
        wanted: usize,
        /// What the others said instead.
        detail: String,
    },
    /// Enough endpoints answered, and contradict each other. No money counts, none is lost.
    #[error("{answered} chain endpoints contradict each other about {what}, {wanted} must agree")]
    Disputed {
        /// What was asked.
        what: &'static str,
        /// How many answered.
        answered: usize,
        /// How many must agree.
        wanted: usize,
    },
    /// The contract refused the call.
    #[error("call refused: {0}")]
    Reverted(Revert),
    /// The nonce was used before: some transaction of this account took its place.
    #[error("nonce too low")]
    NonceTooLow,
    /// A transaction of the same nonce is waiting and the new one pays too little more.
    #[error("replacement pays too little")]
    Underpriced,
    /// The account cannot pay for gas.
    #[error("not enough native money for gas")]
    NoGasMoney,
    /// The node refused for another reason; asking again will not help.
    #[error("chain node refused {method}: {code} {message}")]
    Refused {
        /// The JSON-RPC method.
        method: String,
        /// Its JSON-RPC error code.
        code: i32,
        /// Its words.
        message: String,
    },
    /// The address of the node cannot be used.
    #[error("chain address {url} cannot be used: {detail}")]
    BadUrl {
        /// As configured, without what may be a secret.
        url: String,
        /// What is wrong with it.
        detail: String,
    },
}

/// What to do about a [`ChainError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Ask again later: the chain, not the question, is the trouble.
    Retry,
    /// The answer is no.
    Final,
    /// Trust nothing this node says until its operator looked.
    Distrust,
}

impl ChainError {
    /// Whether the endpoints are there, some of them, but do not agree: what does no harm if it is
    /// a lie may go on.
    #[must_use]
    pub const fn is_unagreed(&self) -> bool {
        matches!(self, Self::NoQuorum { .. } | Self::Disputed { .. })
    }

    /// Returns what to do about it.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Busy { .. }
            | Self::NoQuorum { .. }
            | Self::Disputed { .. } => Remedy::Retry,
            Self::Nonsense { .. } | Self::Mismatch { .. } => Remedy::Distrust,
            Self::Reverted(_)
            | Self::NonceTooLow
            | Self::Underpriced
            | Self::NoGasMoney
            | Self::Refused { .. }
            | Self::BadUrl { .. } => Remedy::Final,
        }
    }
}

/// Why a contract undid a call: the errors of `ChainLock.sol` and of the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Revert {
    /// Parties or close window of the channel are not allowed.
    #[error("parameters not allowed")]
    BadParams,
    /// Only the payer may do this.
    #[error("only the payer {payer} may do this")]
    NotPayer {
        /// The channel's payer.
        payer: PayoutAddress,
    },
    /// Only the payee may do this.
    #[error("only the payee {payee} may do this")]
    NotPayee {
        /// The channel's payee.
        payee: PayoutAddress,
    },
    /// The channel was never opened or is closed.
    #[error("channel not open")]
    NotOpen,
    /// A channel of this id was opened before.
    #[error("channel id was used before")]
    IdUsed,
    /// The channel is closing.
    #[error("channel closes at {}", closes_at.as_secs())]
    IsClosing {
        /// When the payer may take the rest.
        closes_at: UnixTime,
    },
    /// Nobody asked to close the channel.
    #[error("channel is not closing")]
    NotClosing,
    /// The payee still has time to claim.
    #[error("channel closes at {} only", closes_at.as_secs())]
    TooEarly {
        /// When the payer may take the rest.
        closes_at: UnixTime,
    },
    /// The payee's agreement to close has run out.
    #[error("agreement ran out at {}", not_after.as_secs())]
    TooLate {
        /// Its last moment.
        not_after: UnixTime,
    },
    /// Nothing cannot be moved.
    #[error("amount is zero")]
    ZeroAmount,
    /// The account holds too little in the contract's pot.
    #[error("pot holds {balance}, wanted {wanted}")]
    Insufficient {
        /// What it holds.
        balance: Amount,
        /// What was asked for.
        wanted: Amount,
    },
    /// A pot would hold more than 2^96 - 1.
    #[error("pot of {owner} cannot hold that much more")]
    PotFull {
        /// Whose pot.
        owner: PayoutAddress,
    },
    /// Where the pot may go is fixed, and by another.
    #[error("pot may go to {beneficiary} only")]
    BeneficiaryFixed {
        /// Where it may go, or who may change that.
        beneficiary: PayoutAddress,
    },
    /// Only a pot whose beneficiary is fixed is paid out by strangers.
    #[error("pot of {owner} has no beneficiary")]
    NoBeneficiary {
        /// Whose pot.
        owner: PayoutAddress,
    },
    /// The token delivered another amount than asked for.
    #[error("token delivered {received}, wanted {wanted}")]
    WrongDelta {
        /// What arrived.
        received: Amount,
        /// What was asked for.
        wanted: Amount,
    },
    /// The signature is not by the one who should have signed, or not in canonical form.
    #[error("signature is not by {expected}")]
    BadSignature {
        /// Who should have signed.
        expected: PayoutAddress,
    },
    /// The voucher carries more locks than the contract takes.
    #[error("{locks} locks are too many")]
    TooManyLocks {
        /// How many.
        locks: u128,
    },
    /// A word does not open its lock, counts too far, or is out of order.
    #[error("reveal {index} does not fit")]
    BadReveal {
        /// Its place among the reveals.
        index: u128,
    },
    /// A lock ran out before its word was shown.
    #[error("lock {index} expired at {}", expiry.as_secs())]
    LockExpired {
        /// Its place among the locks.
        index: u128,
        /// Its last moment.
        expiry: UnixTime,
    },
    /// The claim brings no more than was claimed before.
    #[error("nothing beyond the {claimed} claimed before")]
    NothingNew {
        /// What was claimed.
        claimed: Amount,
    },
    /// A call reached back into the contract.
    #[error("re-entered")]
    Reentered,
    /// The token's owner holds too little of it.
    #[error("token balance {balance}, wanted {wanted}")]
    TokenBalance {
        /// What it holds.
        balance: Amount,
        /// What was asked for.
        wanted: Amount,
    },
    /// The token's owner has not approved that much.
    #[error("token allowance {allowance}, wanted {wanted}")]
    TokenAllowance {
        /// What is approved.
        allowance: Amount,
        /// What was asked for.
        wanted: Amount,
    },
    /// The token refused or failed the transfer.
    #[error("token refused the transfer")]
    TokenFailed,
    /// Arithmetic went out of range.
    #[error("arithmetic panic {code:#x}")]
    Panic {
        /// Solidity's panic code.
        code: u128,
    },
    /// The contract gave a reason in words.
    #[error("{reason}")]
    Reason {
        /// The words.
        reason: String,
    },
    /// The contract gave no reason we know.
    #[error("unknown reason 0x{}", hex::encode(data))]
    Unknown {
        /// What it returned.
        data: Vec<u8>,
    },
}
