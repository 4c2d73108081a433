//! The contract's binary interface: numbers, addresses and hashes in 32-byte words.

use ethers_core::abi::{self, ParamType, Token};
use ethers_core::types::{Address, H256, U256};
use ethers_core::utils::keccak256;
use serde::Deserialize;
use warren_proto::{Amount, ChannelId, ChannelParams, PayoutAddress, UnixTime};

/// A compiled contract, as committed by `contracts/build.mjs`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Artefact {
    #[cfg(test)]
    pub(crate) abi: abi::Abi,
    /// What a deployment sends, before the constructor's arguments.
    #[serde(deserialize_with = "prefixed_hex")]
    pub(crate) bytecode: Vec<u8>,
    /// What then lies at the contract's address, with zeros where immutables go.
    #[serde(deserialize_with = "prefixed_hex")]
    pub(crate) deployed_bytecode: Vec<u8>,
    /// Where immutables go.
    pub(crate) immutables: Vec<Span>,
}

/// A piece of code.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) length: usize,
}

fn prefixed_hex<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    hex::decode(text.trim_start_matches("0x")).map_err(serde::de::Error::custom)
}

impl Artefact {
    /// The payment contract.
    pub(crate) fn chain_lock() -> Self {
        Self::parse(include_str!("../../contracts/artefacts/ChainLock.json"))
    }

    /// The play money of development chains.
    pub(crate) fn dev_token() -> Self {
        Self::parse(include_str!("../../contracts/artefacts/DevToken.json"))
    }

    #[expect(clippy::expect_used, reason = "compiled in; a unit test parses both")]
    pub(crate) fn parse(text: &str) -> Self {
        serde_json::from_str(text).expect("committed artefact parses")
    }

    /// Whether `code` is this contract, whatever its immutables are.
    pub(crate) fn is(&self, code: &[u8]) -> bool {
        let mut code = code.to_vec();
        for span in &self.immutables {
            if let Some(piece) = span
                .start
                .checked_add(span.length)
                .and_then(|end| code.get_mut(span.start..end))
            {
                piece.fill(0);
            }
        }
        code == self.deployed_bytecode
    }
}

/// The first four bytes of calldata, or of a revert's data.
pub(crate) fn selector(signature: &str) -> [u8; 4] {
    let hash = keccak256(signature);
    [hash[0], hash[1], hash[2], hash[3]]
}

/// The first topic of an event.
pub(crate) fn topic(signature: &str) -> [u8; 32] {
    keccak256(signature)
}

/// Calldata: selector, then arguments.
pub(crate) fn calldata(signature: &str, arguments: &[Token]) -> Vec<u8> {
    let mut data = selector(signature).to_vec();
    data.extend(abi::encode(arguments));
    data
}

pub(crate) fn uint(value: impl Into<u128>) -> Token {
    Token::Uint(U256::from(value.into()))
}

pub(crate) fn amount(value: Amount) -> Token {
    uint(value.wei())
}

pub(crate) fn secs(value: UnixTime) -> Token {
    uint(value.as_secs())
}

pub(crate) fn address(value: PayoutAddress) -> Token {
    Token::Address(Address::from(value.as_bytes()))
}

pub(crate) fn word(value: &[u8; 32]) -> Token {
    Token::FixedBytes(value.to_vec())
}

pub(crate) fn params(value: &ChannelParams) -> Token {
    Token::Tuple(vec![
        address(value.payer),
        address(value.payee),
        uint(value.period_secs),
        uint(value.salt),
    ])
}

/// Reads what a contract returned; `None` where it does not fit.
///
/// Every read is checked: a chain node may send anything.
#[derive(Debug)]
pub(crate) struct Reader {
    tokens: std::vec::IntoIter<Token>,
}

impl Reader {
    pub(crate) fn new(types: &[ParamType], data: &[u8]) -> Option<Self> {
        Some(Self {
            tokens: abi::decode(types, data).ok()?.into_iter(),
        })
    }

    pub(crate) fn uint(&mut self) -> Option<U256> {
        self.tokens.next()?.into_uint()
    }

    pub(crate) fn u128(&mut self) -> Option<u128> {
        u128::try_from(self.uint()?).ok()
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        u64::try_from(self.uint()?).ok()
    }

    pub(crate) fn amount(&mut self) -> Option<Amount> {
        Amount::from_wei(self.u128()?).ok()
    }

    /// A number that may be larger than any channel's money.
    pub(crate) fn capped(&mut self) -> Option<Amount> {
        self.uint().map(cap)
    }

    pub(crate) fn secs(&mut self) -> Option<UnixTime> {
        self.u64().map(UnixTime::from_secs)
    }

    pub(crate) fn address(&mut self) -> Option<PayoutAddress> {
        self.tokens
            .next()?
            .into_address()
            .map(|it| PayoutAddress::from_bytes(it.0))
    }

    pub(crate) fn word(&mut self) -> Option<[u8; 32]> {
        self.tokens.next()?.into_fixed_bytes()?.try_into().ok()
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        self.tokens.next()?.into_string()
    }
}

/// Cuts a number to what an [`Amount`] holds.
pub(crate) fn cap(value: U256) -> Amount {
    u128::try_from(value)
        .ok()
        .and_then(|it| Amount::from_wei(it).ok())
        .unwrap_or(Amount::MAX)
}

/// An indexed address.
pub(crate) fn address_of(topic: &H256) -> Option<PayoutAddress> {
    let (zeros, tail) = topic.as_bytes().split_at(12);
    if zeros.iter().any(|it| *it != 0) {
        return None;
    }
    PayoutAddress::from_slice(tail)
}

/// An indexed channel id.
pub(crate) const fn channel_of(topic: &H256) -> ChannelId {
    ChannelId::from_bytes(topic.0)
}

#[cfg(test)]
mod tests;
