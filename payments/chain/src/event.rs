//! What the contract said in its logs.

use ethers_core::abi::ParamType::{FixedBytes, Uint};
use ethers_core::types::H256;
use warren_proto::{
    Amount, ChannelId, ChannelParams, HashLock, PayoutAddress, Preimage, TxHash, UnixTime,
};

use super::BlockHash;
use super::abi::{Reader, address_of, channel_of, topic};

/// One event of the contract, with its place in the chain.
///
/// Key what you keep by `(block_hash, log_index)`: after a reorganisation the same transaction
/// can say something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainEvent {
    /// Height of its block.
    pub block: u64,
    /// Hash of its block.
    pub block_hash: BlockHash,
    /// Its place among all logs of the block.
    pub log_index: u64,
    /// The transaction that caused it.
    pub tx: TxHash,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// An account paid into the contract's pot.
    Deposited {
        /// Who.
        owner: PayoutAddress,
        /// How much.
        amount: Amount,
    },
    /// An account took out of the pot.
    Withdrawn {
        /// Who.
        owner: PayoutAddress,
        /// Where it went.
        to: PayoutAddress,
        /// How much.
        amount: Amount,
    },
    /// An account's pot may go to one address only from now on.
    BeneficiaryChanged {
        /// Whose pot.
        owner: PayoutAddress,
        /// Where it may go.
        beneficiary: PayoutAddress,
    },
    /// A channel was opened.
    Opened {
        /// Which.
        channel: ChannelId,
        /// Its parties.
        params: ChannelParams,
        /// What is locked in it.
        deposit: Amount,
    },
    /// A channel holds more.
    ToppedUp {
        /// Which.
        channel: ChannelId,
        /// Its payee.
        payee: PayoutAddress,
        /// The new total.
        deposit: Amount,
    },
    /// The payee was paid.
    Claimed {
        /// Which.
        channel: ChannelId,
        /// Its payee.
        payee: PayoutAddress,
        /// The new total.
        claimed: Amount,
        /// What this claim added.
        paid: Amount,
    },
    /// A word became public: routers learn it here at the latest.
    Revealed {
        /// Which channel it was claimed on.
        channel: ChannelId,
        /// The lock's public end.
        anchor: HashLock,
        /// How many hashes from the word to the anchor.
        k: u32,
        /// The word.
        word: Preimage,
    },
    /// The payer wants out.
    Closing {
        /// Which.
        channel: ChannelId,
        /// Its payee.
        payee: PayoutAddress,
        /// The payee's last moment to claim.
        closes_at: UnixTime,
    },
    /// A channel is over. What an agreed close paid is told here alone.
    Closed {
        /// Which.
        channel: ChannelId,
        /// Its payee.
        payee: PayoutAddress,
        /// What the payee got over the channel's life.
        claimed: Amount,
        /// What went back to the payer.
        returned: Amount,
    },
}

pub(crate) const DEPOSITED: &str = "Deposited(address,uint96)";
pub(crate) const WITHDRAWN: &str = "Withdrawn(address,address,uint96)";
pub(crate) const BENEFICIARY: &str = "BeneficiaryChanged(address,address)";
pub(crate) const OPENED: &str = "Opened(bytes32,address,address,uint32,uint64,uint96)";
pub(crate) const TOPPED_UP: &str = "ToppedUp(bytes32,address,uint96)";
pub(crate) const CLAIMED: &str = "Claimed(bytes32,address,uint96,uint96)";
pub(crate) const REVEALED: &str = "Revealed(bytes32,bytes32,uint32,bytes32)";
pub(crate) const CLOSING: &str = "Closing(bytes32,address,uint48)";
pub(crate) const CLOSED: &str = "Closed(bytes32,address,uint96,uint96)";

impl EventKind {
    /// The channel it is about; `None` for the pot's events.
    #[must_use]
    pub const fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::Deposited { .. } | Self::Withdrawn { .. } | Self::BeneficiaryChanged { .. } => {
                None
            }
            Self::Opened { channel, .. }
            | Self::ToppedUp { channel, .. }
            | Self::Claimed { channel, .. }
            | Self::Revealed { channel, .. }
            | Self::Closing { channel, .. }
            | Self::Closed { channel, .. } => Some(*channel),
        }
    }

    /// Reads a log of the contract; `None` if it is none of ours.
    pub(crate) fn read(topics: &[H256], data: &[u8]) -> Option<Self> {
        let (first, rest) = topics.split_first()?;
        let signature = ALL.iter().find(|it| topic(it) == first.0)?;
        let amount = Uint(256);
        match (*signature, rest) {
            (DEPOSITED, [owner]) => {
                let mut data = Reader::new(&[amount], data)?;
                Some(Self::Deposited {
                    owner: address_of(owner)?,
                    amount: data.amount()?,
                })
            }
            (WITHDRAWN, [owner, to]) => {
                let mut data = Reader::new(&[amount], data)?;
                let (owner, to) = (address_of(owner)?, address_of(to)?);
                Some(Self::Withdrawn {
                    owner,
                    to,
                    amount: data.amount()?,
                })
            }
            (BENEFICIARY, [owner, beneficiary]) => {
                let (owner, beneficiary) = (address_of(owner)?, address_of(beneficiary)?);
                Some(Self::BeneficiaryChanged { owner, beneficiary })
            }
            (OPENED, [id, payer, payee]) => {
                let mut data = Reader::new(&[Uint(32), Uint(64), amount], data)?;
                let params = ChannelParams {
                    payer: address_of(payer)?,
                    payee: address_of(payee)?,
                    period_secs: u32::try_from(data.u64()?).ok()?,
                    salt: data.u64()?,
                };
                Some(Self::Opened {
                    channel: channel_of(id),
                    params,
                    deposit: data.amount()?,
                })
            }
            (TOPPED_UP, [id, payee]) => {
                let mut data = Reader::new(&[amount], data)?;
                let (channel, payee) = (channel_of(id), address_of(payee)?);
                Some(Self::ToppedUp {
                    channel,
                    payee,
                    deposit: data.amount()?,
                })
            }
            (CLAIMED, [id, payee]) => {
                let mut data = Reader::new(&[amount.clone(), amount], data)?;
                let (channel, payee) = (channel_of(id), address_of(payee)?);
                let (claimed, paid) = (data.amount()?, data.amount()?);
                Some(Self::Claimed {
                    channel,
                    payee,
                    claimed,
                    paid,
                })
            }
            (REVEALED, [id, anchor]) => {
                let mut data = Reader::new(&[Uint(32), FixedBytes(32)], data)?;
                let (channel, anchor) = (channel_of(id), HashLock::from_bytes(anchor.0));
                let k = u32::try_from(data.u64()?).ok()?;
                Some(Self::Revealed {
                    channel,
                    anchor,
                    k,
                    word: Preimage::from_bytes(data.word()?),
                })
            }
            (CLOSING, [id, payee]) => {
                let mut data = Reader::new(&[Uint(48)], data)?;
                let (channel, payee) = (channel_of(id), address_of(payee)?);
                Some(Self::Closing {
                    channel,
                    payee,
                    closes_at: data.secs()?,
                })
            }
            (CLOSED, [id, payee]) => {
                let mut data = Reader::new(&[amount.clone(), amount], data)?;
                let (channel, payee) = (channel_of(id), address_of(payee)?);
                let (claimed, returned) = (data.amount()?, data.amount()?);
                Some(Self::Closed {
                    channel,
                    payee,
                    claimed,
                    returned,
                })
            }
            _ => None,
        }
    }
}

/// Every event of the contract.
pub(crate) const ALL: [&str; 9] = [
    DEPOSITED,
    WITHDRAWN,
    BENEFICIARY,
    OPENED,
    TOPPED_UP,
    CLAIMED,
    REVEALED,
    CLOSING,
    CLOSED,
];
