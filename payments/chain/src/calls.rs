//! What can be asked of the contract and its token, as types instead of bytes.

pub mod gas;
pub mod known;
pub mod many;

use ethers_core::abi::Token;
use warren_proto::{Amount, ChainRef, ChannelParams, PayoutAddress, Preimage, UnixTime, Voucher};

use crate::CallRequest;
use crate::abi::{address, amount, calldata, params, secs, selector, uint, word};

/// One call that changes the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Lets the contract take exactly this much of the sender's tokens.
    Approve {
        /// How much; replaces what was approved before.
        amount: Amount,
    },
    /// Moves approved tokens into the contract's pot.
    Deposit {
        /// How much.
        amount: Amount,
    },
    /// Takes tokens out of the pot.
    Withdraw {
        /// Where they go.
        to: PayoutAddress,
        /// How much.
        amount: Amount,
    },
    /// Fixes where a pot may go; from then on it opens no channels.
    SetBeneficiary {
        /// Whose pot: the sender's, or one whose beneficiary the sender is.
        owner: PayoutAddress,
        /// The only address it can be withdrawn to.
        to: PayoutAddress,
    },
    /// Sends a whole pot to its beneficiary. Anyone may send it.
    PayOut {
        /// Whose pot.
        owner: PayoutAddress,
    },
    /// Opens a channel with approved tokens.
    Open {
        /// Its parties; the payer is the sender.
        params: ChannelParams,
        /// What to lock in it.
        amount: Amount,
    },
    /// Opens a channel from the sender's pot.
    OpenFromBalance {
        /// Its parties; the payer is the sender.
        params: ChannelParams,
        /// What to lock in it.
        amount: Amount,
    },
    /// Adds approved tokens to a channel.
    TopUp {
        /// The channel's parties; the payer is the sender.
        params: ChannelParams,
        /// What to add.
        amount: Amount,
    },
    /// Adds to a channel from the sender's pot.
    TopUpFromBalance {
        /// The channel's parties; the payer is the sender.
        params: ChannelParams,
        /// What to add.
        amount: Amount,
    },
    /// Pays the payee what a voucher and its words are worth. Anyone may send it.
    Claim(Claim),
    /// Several claims in one transaction; one that brings nothing new is passed over, and one that is refused
    /// undoes all.
    ClaimMany(Vec<Claim>),
    /// Closes at once at the amount the payee agreed to.
    CoopClose {
        /// The channel's parties; the payer is the sender.
        params: ChannelParams,
        /// What the payee gets in total.
        final_amount: Amount,
        /// The agreement's last moment.
        not_after: UnixTime,
        /// The payee's, over both.
        signature: [u8; 64],
    },
    /// Closes at once; the rest goes to the payer.
    CloseByPayee {
        /// The channel's parties; the payee is the sender.
        params: ChannelParams,
    },
    /// Starts the payee's time to claim.
    StartClose {
        /// The channel's parties; the payer is the sender.
        params: ChannelParams,
    },
    /// Gives the payer the rest when that time is over. Anyone may send it.
    FinishClose {
        /// The channel's parties.
        params: ChannelParams,
    },
    /// Makes play money; development chains only.
    Mint {
        /// For whom.
        to: PayoutAddress,
        /// How much.
        amount: Amount,
    },
    /// Gives native money to another account, so that it can pay for gas.
    SendNative {
        /// To whom.
        to: PayoutAddress,
        /// How much.
        amount: Amount,
    },
    /// Gives tokens to another account.
    Transfer {
        /// To whom.
        to: PayoutAddress,
        /// How much.
        amount: Amount,
    },
}

/// A voucher with the words known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The channel's parties.
    pub params: ChannelParams,
    /// The payer's signed total.
    pub voucher: Voucher,
    /// At most one per lock, by rising index.
    pub reveals: Vec<Reveal>,
}

/// A word that opens a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reveal {
    /// The lock's place in the voucher.
    pub index: u16,
    /// How many hashes from the word to the lock's anchor: the units it is worth.
    pub k: u32,
    /// The word. It becomes public with the transaction.
    pub word: Preimage,
}

pub(crate) const PARAMS: &str = "(address,address,uint32,uint64)";
pub(crate) const CLAIM: &str = "((address,address,uint32,uint64),uint64,uint96,(bytes32,uint96,uint32,uint48)[],(uint16,uint32,bytes32)[],bytes32,bytes32)";

impl Call {
    /// The contract it goes to.
    #[must_use]
    pub const fn to(&self, chain: &ChainRef) -> PayoutAddress {
        match self {
            Self::Approve { .. } | Self::Mint { .. } | Self::Transfer { .. } => chain.token,
            Self::SendNative { to, .. } => *to,
            Self::Deposit { .. }
            | Self::Withdraw { .. }
            | Self::SetBeneficiary { .. }
            | Self::PayOut { .. }
            | Self::Open { .. }
            | Self::OpenFromBalance { .. }
            | Self::TopUp { .. }
            | Self::TopUpFromBalance { .. }
            | Self::Claim(_)
            | Self::ClaimMany(_)
            | Self::CoopClose { .. }
            | Self::CloseByPayee { .. }
            | Self::StartClose { .. }
            | Self::FinishClose { .. } => chain.contract,
        }
    }

    /// Its name, for people and logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Approve { .. } => "approve",
            Self::Deposit { .. } => "deposit",
            Self::Withdraw { .. } => "withdraw",
            Self::SetBeneficiary { .. } => "setBeneficiary",
            Self::PayOut { .. } => "payOut",
            Self::Open { .. } => "open",
            Self::OpenFromBalance { .. } => "openFromBalance",
            Self::TopUp { .. } => "topUp",
            Self::TopUpFromBalance { .. } => "topUpFromBalance",
            Self::Claim(_) => "claim",
            Self::ClaimMany(_) => "claimMany",
            Self::CoopClose { .. } => "coopClose",
            Self::CloseByPayee { .. } => "closeByPayee",
            Self::StartClose { .. } => "startClose",
            Self::FinishClose { .. } => "finishClose",
            Self::Mint { .. } => "mint",
            Self::SendNative { .. } => "sendNative",
            Self::Transfer { .. } => "transfer",
        }
    }

    /// Whether doing it twice is the same as doing it once: the second time does nothing.
    #[must_use]
    pub const fn works_once(&self) -> bool {
        match self {
            Self::Approve { .. }
            | Self::SetBeneficiary { .. }
            | Self::Open { .. }
            | Self::OpenFromBalance { .. }
            | Self::Claim(_)
            | Self::ClaimMany(_)
            | Self::CoopClose { .. }
            | Self::CloseByPayee { .. }
            | Self::StartClose { .. }
            | Self::FinishClose { .. } => true,
            Self::Deposit { .. }
            | Self::Withdraw { .. }
            | Self::PayOut { .. }
            | Self::TopUp { .. }
            | Self::TopUpFromBalance { .. }
            | Self::Mint { .. }
            | Self::SendNative { .. }
            | Self::Transfer { .. } => false,
        }
    }

    /// The types of its arguments, as in the selector.
    pub(crate) fn signature(&self) -> String {
        let types = match self {
            Self::Approve { .. } | Self::Mint { .. } | Self::Transfer { .. } => {
                "(address,uint256)".into()
            }
            Self::Withdraw { .. } => "(address,uint96)".into(),
            Self::SetBeneficiary { .. } => "(address,address)".into(),
            Self::PayOut { .. } => "(address)".into(),
            Self::Deposit { .. } => "(uint96)".into(),
            Self::SendNative { .. } => "()".into(), // No call at all: see [`Self::data`].
            Self::Open { .. }
            | Self::OpenFromBalance { .. }
            | Self::TopUp { .. }
            | Self::TopUpFromBalance { .. } => format!("({PARAMS},uint96)"),
            Self::Claim(_) => format!("({CLAIM})"),
            Self::ClaimMany(_) => format!("({CLAIM}[])"),
            Self::CoopClose { .. } => format!("({PARAMS},uint96,uint48,bytes32,bytes32)"),
            Self::CloseByPayee { .. } | Self::StartClose { .. } | Self::FinishClose { .. } => {
                format!("({PARAMS})")
            }
        };
        format!("{}{types}", self.name())
    }

    /// Its calldata.
    #[must_use]
    pub fn data(&self, chain: &ChainRef) -> Vec<u8> {
        if let Self::SendNative { .. } = self {
            return Vec::new();
        }
        calldata(&self.signature(), &self.arguments(chain))
    }

    /// The native money sent along.
    #[must_use]
    pub const fn value(&self) -> Amount {
        if let Self::SendNative { amount, .. } = self {
            *amount
        } else {
            Amount::ZERO
        }
    }

    /// The call as a simulation by `from`.
    #[must_use]
    pub fn request(&self, chain: &ChainRef, from: PayoutAddress) -> CallRequest {
        CallRequest {
            from,
            to: self.to(chain),
            value: self.value(),
            data: self.data(chain),
        }
    }

    fn arguments(&self, chain: &ChainRef) -> Vec<Token> {
        match self {
            Self::Approve { amount: it } => vec![address(chain.contract), amount(*it)],
            Self::Deposit { amount: it } => vec![amount(*it)],
            Self::SendNative { .. } => Vec::new(),
            Self::SetBeneficiary { owner, to } => vec![address(*owner), address(*to)],
            Self::PayOut { owner } => vec![address(*owner)],
            Self::Withdraw { to, amount: it }
            | Self::Mint { to, amount: it }
            | Self::Transfer { to, amount: it } => vec![address(*to), amount(*it)],
            Self::Open {
                params: p,
                amount: it,
            }
            | Self::OpenFromBalance {
                params: p,
                amount: it,
            }
            | Self::TopUp {
                params: p,
                amount: it,
            }
            | Self::TopUpFromBalance {
                params: p,
                amount: it,
            } => vec![params(p), amount(*it)],
            Self::Claim(claim) => vec![claim.token()],
            Self::ClaimMany(claims) => {
                vec![Token::Array(claims.iter().map(Claim::token).collect())]
            }
            Self::CoopClose {
                params: p,
                final_amount,
                not_after,
                signature,
            } => {
                let [r, vs] = halves(signature);
                vec![params(p), amount(*final_amount), secs(*not_after), r, vs]
            }
            Self::CloseByPayee { params: p }
            | Self::StartClose { params: p }
            | Self::FinishClose { params: p } => vec![params(p)],
        }
    }
}

/// What a call takes out of its sender's pot and puts into a channel; `None` for all other calls.
pub fn taken_from_pot(calldata: &[u8]) -> Option<Amount> {
    // Selector, the four parameters of the channel, the sum.
    const LENGTH: usize = 4 + 5 * 32;
    let (chosen, words) = calldata.split_first_chunk::<4>()?;
    let mut names = ["openFromBalance", "topUpFromBalance"].into_iter();
    let fits = names.any(|it| *chosen == selector(&format!("{it}({PARAMS},uint96)")));
    let sum = words.get(4 * 32..).filter(|_| calldata.len() == LENGTH)?;
    Amount::from_be_slice(sum.get(20..)?).filter(|_| fits)
}

impl Claim {
    fn token(&self) -> Token {
        let locks = self.voucher.locks.iter().map(|it| {
            Token::Tuple(vec![
                word(it.anchor.as_bytes()),
                amount(it.unit_price),
                uint(it.units),
                uint(it.expiry),
            ])
        });
        let reveals = self
            .reveals
            .iter()
            .map(|it| Token::Tuple(vec![uint(it.index), uint(it.k), word(it.word.expose())]));
        let [r, vs] = halves(&self.voucher.signature);
        Token::Tuple(vec![
            params(&self.params),
            uint(self.voucher.seq),
            amount(self.voucher.base),
            Token::Array(locks.collect()),
            Token::Array(reveals.collect()),
            r,
            vs,
        ])
    }
}

fn halves(signature: &[u8; 64]) -> [Token; 2] {
    let (r, vs) = signature.split_at(32);
    [
        Token::FixedBytes(r.to_vec()),
        Token::FixedBytes(vs.to_vec()),
    ]
}
