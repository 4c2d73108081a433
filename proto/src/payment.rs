//! What two parties of a channel say to each other. Unverified: see `warren-payments` for trust.

use serde::{Deserialize, Serialize};
use sha3::{Digest as _, Keccak256};

use crate::id::{ChannelId, PayoutAddress};
use crate::lock::{HashLock, Preimage};
use crate::unit::{Amount, UnixTime};

/// Locks in one voucher, as in the contract.
pub const MAX_LOCKS: usize = 16;
/// Words in one lock: bounds the gas of the worst claim (84 gas each).
pub const MAX_UNITS: u32 = 1024;

/// Which contract on which chain, paying in which token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChainRef {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The ChainLock contract.
    pub contract: PayoutAddress,
    /// Its ERC-20.
    pub token: PayoutAddress,
}

/// A channel's parties. The contract stores only the id that commits to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChannelParams {
    /// Who deposits.
    pub payer: PayoutAddress,
    /// Who claims.
    pub payee: PayoutAddress,
    /// Close window, seconds: how long the payee may claim after the payer starts closing.
    pub period_secs: u32,
    /// Makes the id unique.
    pub salt: u64,
}

impl ChannelParams {
    /// The channel's id: keccak256(abi.encode(chain id, contract, payer, payee, period, salt)).
    #[must_use]
    pub fn id(&self, chain: &ChainRef) -> ChannelId {
        let mut hasher = Keccak256::new();
        let mut word = |bytes: &[u8]| {
            hasher.update(&[0_u8; 32][bytes.len()..]);
            hasher.update(bytes);
        };
        word(&chain.chain_id.to_be_bytes());
        word(chain.contract.as_bytes());
        word(self.payer.as_bytes());
        word(self.payee.as_bytes());
        word(&self.period_secs.to_be_bytes());
        word(&self.salt.to_be_bytes());
        ChannelId::from_bytes(hasher.finalize().into())
    }
}

/// A conditional part of a voucher: pays `unit_price × k` for the word that hashes `k` times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lock {
    /// The chain's public end.
    pub anchor: HashLock,
    /// Worth of one word.
    pub unit_price: Amount,
    /// Words in the chain, 1 ..= [`MAX_UNITS`].
    pub units: u32,
    /// Chain time in seconds from which no claim counts; 0 = never (direct channels).
    pub expiry: u64,
}

/// The payer's cumulative total under hash locks, with a signature nobody has checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voucher {
    /// The channel it draws on.
    pub channel: ChannelId,
    /// Grows with each voucher; orders messages off chain.
    pub seq: u64,
    /// Owed without condition, cumulative.
    pub base: Amount,
    /// At most [`MAX_LOCKS`].
    pub locks: Vec<Lock>,
    /// EIP-712, compact (EIP-2098).
    pub signature: [u8; 64],
}

/// A released word. All words below it follow by hashing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordFrame {
    /// Index of the lock in the current voucher.
    pub lane: u32,
    /// How many hashes from `word` to the anchor: the units paid on this lane, cumulative.
    pub k: u32,
    /// The word.
    pub word: Preimage,
}

/// The payee's answer to a voucher, after it is on the payee's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoucherAck {
    /// The channel.
    pub channel: ChannelId,
    /// The voucher taken.
    pub seq: u64,
    /// What the payee could claim now.
    pub value_now: Amount,
    /// The confirmed deposit.
    pub covered: Amount,
}

/// A payer asks a payee what it holds of their channel, and maybe to close at that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelAsk {
    /// The channel's parties.
    pub channel: ChannelParams,
    /// Whether a consent to close is asked for too.
    pub close: bool,
    /// The question ends; no consent outlives it.
    pub not_after: UnixTime,
    /// The payer's, EIP-712.
    pub signature: [u8; 64],
}

/// What a payee holds of a channel. The payer's own signature and the words prove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelAnswer {
    /// The channel.
    pub channel: ChannelId,
    /// The best voucher; `None` before the first.
    pub voucher: Option<Voucher>,
    /// The best word of each lock that has one.
    pub best: Vec<WordFrame>,
    /// The payee's agreement to close, if it was asked for.
    pub consent: Option<CloseConsent>,
}

/// The payee's signed consent to close at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseConsent {
    /// What the payee gets in all.
    pub final_amount: Amount,
    /// The consent ends.
    pub not_after: UnixTime,
    /// The payee's signature over both.
    pub signature: [u8; 64],
}

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal => $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$vdoc])* #[error($text)] $variant),+
        }

        impl $name {
            /// Every code, in wire order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> u32 {
                match self { $(Self::$variant => $code),+ }
            }

            /// Reads the number on the wire; `None` for one this version does not know.
            #[must_use]
            pub const fn from_code(code: u32) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use codes;

codes!(
    /// Why a payee refuses a voucher or a word. The payee keeps what it had.
    PayErrorCode {
        /// The signature is not the payer's.
        BadSignature = 1 => "the signature is not the payer's",
        /// The sequence does not grow.
        StaleSeq = 2 => "the voucher is not newer than the one held",
        /// It would lower what the payee could claim, or drop a live lock.
        NotDominating = 3 => "the voucher is worth less than the one held",
        /// It promises more than the confirmed deposit.
        OverCommitted = 4 => "the voucher exceeds the confirmed deposit",
        /// No such channel here.
        UnknownChannel = 5 => "the channel is not known here",
        /// The deposit has too few confirmations.
        NotConfirmed = 6 => "the deposit is not confirmed yet",
        /// The channel is closing or closed.
        Closing = 7 => "the channel is closing",
        /// Other chain.
        ChainMismatch = 8 => "the channel is on another chain",
        /// Other contract or token.
        ContractMismatch = 9 => "the channel is on another contract",
        /// More than 16 locks.
        TooManyLocks = 10 => "the voucher has too many locks",
        /// The anchor was used before in this channel.
        AnchorReused = 11 => "a lock's anchor was used before",
        /// The lock ends too soon to be claimed.
        ExpiryTooSoon = 12 => "a lock expires too soon",
        /// The lock lives too long.
        ExpiryTooFar = 13 => "a lock expires too late",
        /// A unit is worth less than the payee accepts.
        UnitTooSmall = 14 => "a unit is worth too little",
        /// The word does not hash to the anchor.
        BadWord = 15 => "the word does not open the lock",
        /// The word is too many hashes ahead of the last one.
        WordGap = 16 => "the word is too far ahead",
        /// Too much is unpaid.
        CreditExceeded = 17 => "too much is unpaid",
        /// The two meters differ beyond tolerance.
        MeterMismatch = 18 => "the two meters disagree",
        /// No route.
        NoRoute = 19 => "no route to the payee",
        /// No capacity on the route.
        NoCapacity = 20 => "no capacity on the route",
        /// The payee's view of the chain is too old.
        ChainStale = 21 => "the payee's view of the chain is too old",
        /// Try again later.
        Busy = 22 => "busy, try again later",
        /// A fault on the payee's side, such as a full disk.
        Internal = 23 => "the payee cannot take money now",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_wire() {
        for code in PayErrorCode::ALL {
            assert_eq!(PayErrorCode::from_code(code.code()), Some(*code));
        }
        assert_eq!(PayErrorCode::from_code(0), None);
    }
}
