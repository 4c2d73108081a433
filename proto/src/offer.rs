//! An exit's signed, expiring price and place.
//!
//! A [`SignedOffer`] cannot exist unverified: it is made by signing or by [`SignedOffer::decode`].

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};

use crate::id::{NodeId, OfferHash, PayoutAddress};
use crate::key::{Domain, NodeKey, Signature};
use crate::payment::ChainRef;
use crate::unit::{Amount, Price, UnixTime};
use crate::wire::{WireError, offer_bytes, read_signed_offer, signed_offer_bytes};

/// The longest signed offer on a wire.
pub const MAX_OFFER_BYTES: usize = 2048;
/// The longest life of an offer (DESIGN part 3).
pub const MAX_OFFER_LIFE: Duration = Duration::from_secs(3600);
/// The close windows of a channel in seconds: an hour to 30 days, as the contract has it.
pub const CLOSE_WINDOWS: RangeInclusive<u32> = 3600..=30 * 86_400;
/// How far an offer's clock may run ahead of ours. Our choice: two minutes, as NTP-less homes drift.
pub const MAX_CLOCK_AHEAD: Duration = Duration::from_secs(120);

/// ISO 3166-1 alpha-2, upper case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountryCode([u8; 2]);

impl CountryCode {
    /// Takes two ASCII letters.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let bytes: [u8; 2] = text.as_bytes().try_into().ok()?;
        bytes
            .iter()
            .all(u8::is_ascii_alphabetic)
            .then(|| Self(bytes.map(|b| b.to_ascii_uppercase())))
    }

    /// The two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("??")
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not a country code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a country code: two letters as in ISO 3166-1, such as DE")]
pub struct ParseCountryError(String);

impl FromStr for CountryCode {
    type Err = ParseCountryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text).ok_or_else(|| ParseCountryError(text.chars().take(20).collect()))
    }
}

impl Serialize for CountryCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for CountryCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// Where an exit says it is. A claim, never a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Region {
    /// Country.
    pub country: CountryCode,
    /// City or other hint, at most 48 bytes; may be empty.
    pub city: String,
}

/// Which exit policy is in force.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PolicyId {
    /// Its name, such as `web+dns`; at most 32 bytes.
    pub name: String,
    /// SHA-256 of its text.
    #[serde(with = "hex_array")]
    pub hash: [u8; 32],
}

mod hex_array {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 32], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 32], D::Error> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(String::deserialize(d)?, &mut bytes).map_err(D::Error::custom)?;
        Ok(bytes)
    }
}

/// How many guests an exit takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Capacity {
    /// At most; 0 withdraws the offer.
    pub guests_max: u32,
    /// Free places when the offer was signed.
    pub guests_free: u32,
}

/// What an exit advertises.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Offer {
    /// The exit.
    pub node: NodeId,
    /// Newest wins.
    pub seq: u64,
    /// When it was signed.
    pub issued: UnixTime,
    /// When it dies; at most [`MAX_OFFER_LIFE`] after `issued`.
    pub valid_until: UnixTime,
    /// The network it belongs to.
    pub network: String,
    /// Where the exit says it is.
    pub region: Region,
    /// Multiaddrs to dial it at.
    pub addresses: Vec<String>,
    /// What it asks.
    pub price: Price,
    /// Where it is paid.
    pub chain: ChainRef,
    /// Who claims.
    pub payee: PayoutAddress,
    /// Worth of one word.
    pub unit_price: Amount,
    /// Words the consumer pays ahead.
    pub prepay_units: u32,
    /// Words the exit serves unpaid.
    pub credit_units: u32,
    /// Close window it insists on, seconds.
    pub close_window_secs: u32,
    /// What it lets through.
    pub policy: PolicyId,
    /// Places.
    pub capacity: Capacity,
    /// Reaches the IPv4 internet.
    pub ipv4: bool,
    /// Reaches the IPv6 internet.
    pub ipv6: bool,
    /// Runs on a userspace stack: TCP and UDP only.
    pub rootless: bool,
    /// Program version.
    pub version: String,
}

/// Why bytes are not an acceptable offer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// Larger than [`MAX_OFFER_BYTES`].
    #[error("offer of {bytes} bytes; the limit is {MAX_OFFER_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not an offer at all, or a field out of bounds.
    #[error("malformed offer: {0}")]
    Malformed(#[from] WireError),
    /// The signature is not the node's.
    #[error("offer of {} carries a signature that is not its own", node.short())]
    Forged {
        /// Who it claims to be from.
        node: NodeId,
    },
    /// It is over.
    #[error("offer of {} expired {} s ago", node.short(), late.as_secs())]
    Expired {
        /// The exit.
        node: NodeId,
        /// How long ago.
        late: Duration,
    },
    /// Signed in the future.
    #[error("offer of {} is dated {} s ahead of this node's clock", node.short(), ahead.as_secs())]
    FromTheFuture {
        /// The exit.
        node: NodeId,
        /// How far ahead.
        ahead: Duration,
    },
    /// Lives longer than [`MAX_OFFER_LIFE`].
    #[error("offer of {} lives {} s; the limit is 3600 s", node.short(), life.as_secs())]
    TooLong {
        /// The exit.
        node: NodeId,
        /// Its life.
        life: Duration,
    },
}

/// An offer whose signature, size and dates have been checked.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedOffer {
    offer: Offer,
    bytes: Vec<u8>,
}

impl Offer {
    /// Signs the offer.
    ///
    /// # Errors
    /// [`OfferError`] if `key` is not the offer's node, or the offer breaks a limit that every
    /// receiver checks; better found here than there.
    pub fn sign(self, key: &NodeKey) -> Result<SignedOffer, OfferError> {
        let body = offer_bytes(&self);
        let signature = key.sign(Domain::Offer, &body);
        let issued = self.issued;
        SignedOffer::decode(&signed_offer_bytes(&body, &signature), issued)
    }

    /// Says whether this offer withdraws the exit from the market.
    #[must_use]
    pub const fn is_withdrawal(&self) -> bool {
        self.capacity.guests_max == 0
    }
}

impl SignedOffer {
    /// Reads and checks a signed offer.
    ///
    /// # Errors
    /// [`OfferError`] says what is wrong with it.
    pub fn decode(bytes: &[u8], now: UnixTime) -> Result<Self, OfferError> {
        if bytes.len() > MAX_OFFER_BYTES {
            return Err(OfferError::TooLarge { bytes: bytes.len() });
        }
        let (body, signature, offer) = read_signed_offer(bytes)?;
        let node = offer.node;
        let signature = Signature::from_bytes(signature);
        if !node.verify(Domain::Offer, &body, &signature) {
            return Err(OfferError::Forged { node });
        }
        let life = offer.valid_until.since(offer.issued);
        if life > MAX_OFFER_LIFE {
            return Err(OfferError::TooLong { node, life });
        }
        let ahead = offer.issued.since(now);
        if ahead > MAX_CLOCK_AHEAD {
            return Err(OfferError::FromTheFuture { node, ahead });
        }
        if offer.valid_until <= now {
            return Err(OfferError::Expired {
                node,
                late: now.since(offer.valid_until),
            });
        }
        Ok(Self {
            offer,
            bytes: bytes.to_vec(),
        })
    }

    /// What it says.
    #[must_use]
    pub const fn offer(&self) -> &Offer {
        &self.offer
    }

    /// The bytes as received or signed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the bytes.
    #[must_use]
    pub fn hash(&self) -> OfferHash {
        OfferHash::from_bytes(Sha256::digest(&self.bytes).into())
    }
}

impl fmt::Debug for SignedOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SignedOffer({} seq {})",
            self.offer.node.short(),
            self.offer.seq
        )
    }
}
