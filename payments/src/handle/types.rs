//! What the handle takes and gives.

use std::time::Duration;

use warren_proto::{
    Amount, ChannelId, ChannelParams, PayErrorCode, PayoutAddress, SessionFrame, TxHash, Voucher,
    WordFrame,
};

use super::RouteOut;
use crate::chain::ChainError;
use crate::channel::{PayerRefusal, Phase, RouterPolicy, Rules, StopReason};
use crate::codec::CodecError;
use crate::settle::SettlePolicy;
use crate::store::StoreError;
use crate::tx::StartError;
use crate::wallet::WalletError;

/// How money is handled.
#[derive(Debug, Clone)]
pub struct PaymentsConfig {
    /// Blocks, the one it is in included, after which news of the chain counts.
    pub confirmations: u64,
    /// How often the chain is asked.
    pub poll: Duration,
    /// Without an answer from the chain for so long, no voucher is taken.
    pub max_silence: Duration,
    /// After so long on an old view of the chain, sessions paid by older vouchers end too.
    pub max_blindness: Duration,
    /// A newest block older than this is not fresh; `None` on a chain that mines on demand.
    pub max_head_age: Option<Duration>,
    /// The block to start from the first time; `None` = the last 50 000 blocks.
    pub scan_from: Option<u64>,
    /// Units of a full tranche.
    pub tranche_units: u32,
    /// What a payee takes.
    pub rules: Rules,
    /// When a payee claims.
    pub settle: SettlePolicy,
    /// Never pays more per gas than this.
    pub fee_cap: Amount,
    /// Blocks without our transaction after which it pays more.
    pub bump_after_blocks: u64,
    /// Whether each channel is paid from a key of its own (docs/adr/0015).
    pub fresh_keys: bool,
    /// What this node asks for routing; `None` if it does not route.
    pub router: Option<RouterPolicy>,
}

impl Default for PaymentsConfig {
    fn default() -> Self {
        Self {
            confirmations: 6,
            poll: Duration::from_secs(4),
            max_silence: Duration::from_secs(60),
            // R5.
            max_blindness: Duration::from_secs(300),
            max_head_age: Some(Duration::from_secs(300)),
            scan_from: None,
            tranche_units: crate::channel::payer::TRANCHE_UNITS,
            rules: Rules::default(),
            settle: SettlePolicy::default(),
            fee_cap: Amount::from_wei_u64(500_000_000_000),
            bump_after_blocks: 3,
            fresh_keys: true,
            router: None,
        }
    }
}

/// Why the payments task did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaymentsError {
    /// No channel of that id in that role.
    #[error("no channel {channel} here")]
    UnknownChannel {
        /// The id.
        channel: ChannelId,
    },
    /// The payer's core refuses.
    #[error("channel {channel}: {refusal}")]
    Refused {
        /// The channel.
        channel: ChannelId,
        /// Why.
        refusal: PayerRefusal,
    },
    /// The payee's core refuses.
    #[error("channel {channel}: {code}")]
    NotTaken {
        /// The channel.
        channel: ChannelId,
        /// Why.
        code: PayErrorCode,
    },
    /// A transaction did not happen.
    #[error("{reason}")]
    Transaction {
        /// What the transaction's task said.
        reason: String,
    },
    /// A transaction was sent and undone: its gas is spent.
    #[error("{reason}")]
    Undone {
        /// What the transaction's task said.
        reason: String,
    },
    /// Gas costs more than may be paid for it: nothing was sent.
    #[error("{reason}")]
    GasTooDear {
        /// What the transaction's task said.
        reason: String,
    },
    /// There is too little money for it: tokens, or coin for gas.
    #[error("{reason}")]
    Unfunded {
        /// What is missing.
        reason: String,
    },
    /// Another machine pays with this wallet: neither can know what the other promised.
    #[error("channel {channel} was opened or used by another machine with this wallet")]
    WalletShared {
        /// The channel that gave it away.
        channel: ChannelId,
    },
    /// A key could not be derived.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// The chain does not answer, or not with one voice.
    #[error("chain: {reason}")]
    Chain {
        /// What it said, or what the connection said.
        reason: String,
        /// Of which kind that is.
        trouble: ChainTrouble,
    },
    /// Nothing was done, for it could not have been saved.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record cannot be read: refuse to run rather than forget money.
    #[error("record in {table}: {source}")]
    Record {
        /// The table.
        table: &'static str,
        /// What is wrong.
        source: CodecError,
    },
    /// The task has ended.
    #[error("payments have stopped")]
    Stopped,
}

/// What is wrong with the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainTrouble {
    /// Nobody answers.
    Silent,
    /// Too few of its endpoints answer.
    TooFew,
    /// Its endpoints contradict each other.
    Disputed,
}

impl From<&ChainError> for ChainTrouble {
    fn from(error: &ChainError) -> Self {
        if matches!(error, ChainError::NoQuorum { .. }) {
            return Self::TooFew;
        }
        if matches!(error, ChainError::Disputed { .. }) {
            return Self::Disputed;
        }
        Self::Silent
    }
}

impl From<&ChainError> for PaymentsError {
    fn from(error: &ChainError) -> Self {
        Self::Chain {
            reason: error.to_string(),
            trouble: error.into(),
        }
    }
}

impl PaymentsError {
    /// What the other side is told: faults of this node's own are not its business.
    #[must_use]
    pub const fn code(&self) -> PayErrorCode {
        match self {
            Self::NotTaken { code, .. } => *code,
            Self::UnknownChannel { .. } => PayErrorCode::UnknownChannel,
            Self::Refused { .. }
            | Self::Transaction { .. }
            | Self::Undone { .. }
            | Self::GasTooDear { .. }
            | Self::Unfunded { .. }
            | Self::WalletShared { .. }
            | Self::Wallet(_)
            | Self::Chain { .. }
            | Self::Store(_)
            | Self::Record { .. }
            | Self::Stopped => PayErrorCode::Internal,
        }
    }
}

impl From<StartError> for PaymentsError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Store(it) => Self::Store(it),
            StartError::Record(source) => Self::Record {
                table: "pay.tx",
                source,
            },
        }
    }
}

/// What the payer must send to the payee, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayFrame {
    /// A better voucher.
    Voucher(Voucher),
    /// A released word.
    Word(WordFrame),
}

impl From<PayFrame> for SessionFrame {
    fn from(frame: PayFrame) -> Self {
        match frame {
            PayFrame::Voucher(it) => Self::Voucher(it),
            PayFrame::Word(it) => Self::Word(it),
        }
    }
}

/// News, in the order it happened. Lost ones do no harm: all state can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentEvent {
    /// The deposit is confirmed.
    ChannelUsable(ChannelId),
    /// A session on this channel must stop.
    Stop {
        /// The channel.
        channel: ChannelId,
        /// Why.
        reason: StopReason,
    },
    /// The deposit does not cover what was asked for.
    TopUpNeeded {
        /// The channel.
        channel: ChannelId,
        /// Units asked for and not payable.
        units_short: u64,
    },
    /// Little is left to promise.
    RunningLow(ChannelId),
    /// A claim is confirmed.
    Claimed {
        /// The channel.
        channel: ChannelId,
        /// Claimed in all.
        total: Amount,
    },
    /// A channel is settled.
    Closed(ChannelId),
    /// A transaction did not happen.
    ActionFailed {
        /// The channel.
        channel: ChannelId,
        /// Why.
        reason: String,
    },
    /// Another machine pays with this wallet; nothing more is signed on this channel, and none is opened while it
    /// is not closed.
    WalletShared(ChannelId),
    /// A neighbour on a route is to be told. Lost ones are asked for again, or expire harmlessly.
    Route(Box<RouteOut>),
    /// The chain view became too old, or is fresh again.
    ChainStale(bool),
    /// It stayed too old for too long: no session may go on.
    ChainLost,
}

/// Which end of a channel this node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// This node pays.
    Payer,
    /// This node is paid.
    Payee,
}

/// One channel, as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelView {
    /// Which.
    pub id: ChannelId,
    /// Its parties.
    pub params: ChannelParams,
    /// Which end this node is.
    pub role: Role,
    /// Where it stands on chain.
    pub phase: Phase,
    /// Confirmed deposit.
    pub deposit: Amount,
    /// Deposit asked for and not confirmed: an opening or a top-up on its way.
    pub pending: Amount,
    /// Paid or earned in all.
    pub value: Amount,
    /// Claimed on chain, confirmed.
    pub claimed: Amount,
    /// Whether a payment may begin on it, now or once its opening is confirmed. Not if the opening
    /// failed, if it is closing, or as long as a restored wallet has not heard what was promised.
    pub usable: bool,
    /// Whether another machine with this wallet is known to have opened or used it: it is only to be closed.
    pub shared: bool,
}

/// What claiming all that is earned would mean now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimOutlook {
    /// Claims to make, one for each channel.
    pub claims: u32,
    /// Of them, those that are made without being asked for: worth their gas, or in danger.
    pub due: u32,
    /// Transactions that all of them take: several claims share one.
    pub transactions: u32,
    /// What the gas of all of them costs, in native coin. `None` until the chain said what gas costs.
    pub fee: Option<Amount>,
}

/// What came of the claim of one channel, where all were claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The channel.
    pub channel: ChannelId,
    /// The transaction, which it may share with others.
    pub result: Result<TxHash, PaymentsError>,
}

/// What a call's gas costs, in native coin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GasCost {
    /// As gas costs now.
    pub about: Amount,
    /// Whatever happens to its price until a block takes the call, and however often it is made dearer meanwhile.
    pub at_most: Amount,
}

/// An account's pot in the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pot {
    /// The tokens in it.
    pub amount: Amount,
    /// Where they may go; `None` while that is free.
    pub beneficiary: Option<PayoutAddress>,
}

/// All money of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Funds {
    /// Native coin, for gas.
    pub coin: Amount,
    /// Tokens outside the contract.
    pub wallet: Amount,
    /// Tokens in the contract, ready to withdraw.
    pub pot: Amount,
    /// Where those may go, and no channel may be opened from them; `None` while that is free.
    pub beneficiary: Option<PayoutAddress>,
    /// Confirmed deposits of own channels, less what was paid.
    pub spendable: Amount,
    /// Earned and not yet claimed.
    pub claimable: Amount,
}
