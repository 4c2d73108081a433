//! Names of things: fixed bytes, shown as lower-case hex, never mixed up.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}: {bytes} bytes in hex")]
pub struct ParseIdError {
    /// The text as given, cut to 80 characters.
    pub text: String,
    /// What it should have been.
    pub expected: &'static str,
    /// How many bytes that has.
    pub bytes: usize,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Takes the raw bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Takes a slice; `None` if its length is not [`Self::LEN`].
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The raw bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The first 8 hex digits, for people; never for machines.
            #[must_use]
            pub fn short(&self) -> String {
                hex::encode(&self.0[..4])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let digits = text.strip_prefix("0x").unwrap_or(text);
                let mut bytes = [0_u8; $len];
                hex::decode_to_slice(digits, &mut bytes).map_err(|_| ParseIdError {
                    text: text.chars().take(80).collect(),
                    expected: $what,
                    bytes: $len,
                })?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    };
}

id!(
    /// A program in the network: its ed25519 public key, which is also its libp2p PeerId.
    NodeId, 32, "", "a node id"
);
id!(
    /// SHA-256 of a signed offer's bytes: the very offer a session relies on.
    OfferHash, 32, "", "an offer hash"
);
id!(
    /// One deal between a consumer and a provider; random, chosen by the consumer.
    SessionId, 16, "", "a session id"
);
id!(
    /// One routed payment: random, chosen by the consumer, the same on all hops.
    PaymentId, 16, "", "a payment id"
);
id!(
    /// SHA-256 of the session's terms, signed by both sides.
    TermsHash, 32, "", "a terms hash"
);
id!(
    /// A payment channel: keccak256 over chain, contract and parties.
    ChannelId, 32, "0x", "a channel id"
);
id!(
    /// A transaction on the chain.
    TxHash, 32, "0x", "a transaction hash"
);
id!(
    /// An account or contract on the chain.
    PayoutAddress, 20, "0x", "an address"
);

impl PayoutAddress {
    /// The zero address: nobody.
    pub const ZERO: Self = Self([0; 20]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_display_and_parse() {
        let id = ChannelId::from_bytes([0xab; 32]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().len(), 66);
        assert_eq!(id.short(), "abababab");
    }

    #[test]
    fn a_cut_id_is_refused_and_quoted() {
        let error = "0xabcd".parse::<PayoutAddress>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`0xabcd` is not an address: 20 bytes in hex"
        );
    }
}
