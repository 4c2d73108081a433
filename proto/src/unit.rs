//! Numbers with a unit: money, bytes, time. Checked arithmetic only.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A sum of money left the range 0 ..= 2^96 − 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("amount out of range: it must lie between 0 and 2^96 - 1 base units")]
pub struct AmountOverflow;

/// Money in the token's base units ("wei"), at most 2^96 − 1 as in the contract.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(u128);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The most the contract can hold in one channel: 2^96 − 1.
    pub const MAX: Self = Self((1 << 96) - 1);

    /// Takes base units.
    ///
    /// # Errors
    /// [`AmountOverflow`] above [`Self::MAX`].
    pub const fn from_wei(wei: u128) -> Result<Self, AmountOverflow> {
        if wei > Self::MAX.0 {
            Err(AmountOverflow)
        } else {
            Ok(Self(wei))
        }
    }

    /// Takes base units from a number that always fits.
    #[must_use]
    pub const fn from_wei_u64(wei: u64) -> Self {
        Self(wei as u128)
    }

    /// Base units.
    #[must_use]
    pub const fn wei(self) -> u128 {
        self.0
    }

    /// Adds.
    ///
    /// # Errors
    /// [`AmountOverflow`] above [`Self::MAX`].
    pub fn checked_add(self, other: Self) -> Result<Self, AmountOverflow> {
        self.0
            .checked_add(other.0)
            .ok_or(AmountOverflow)
            .and_then(Self::from_wei)
    }

    /// Subtracts.
    ///
    /// # Errors
    /// [`AmountOverflow`] below zero.
    pub fn checked_sub(self, other: Self) -> Result<Self, AmountOverflow> {
        self.0.checked_sub(other.0).map(Self).ok_or(AmountOverflow)
    }

    /// Multiplies by a count.
    ///
    /// # Errors
    /// [`AmountOverflow`] above [`Self::MAX`].
    pub fn checked_mul(self, count: u64) -> Result<Self, AmountOverflow> {
        self.0
            .checked_mul(u128::from(count))
            .ok_or(AmountOverflow)
            .and_then(Self::from_wei)
    }

    /// Subtracts, stopping at zero.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The wire form: 12 bytes, big endian.
    #[must_use]
    pub fn to_be_bytes(self) -> [u8; 12] {
        let wide = self.0.to_be_bytes();
        let mut narrow = [0; 12];
        narrow.copy_from_slice(&wide[4..]);
        narrow
    }

    /// Reads the wire form; `None` unless exactly 12 bytes.
    #[must_use]
    pub fn from_be_slice(bytes: &[u8]) -> Option<Self> {
        let narrow: [u8; 12] = bytes.try_into().ok()?;
        let mut wide = [0; 16];
        wide[4..].copy_from_slice(&narrow);
        Some(Self(u128::from_be_bytes(wide)))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} wei", self.0)
    }
}

impl FromStr for Amount {
    type Err = AmountOverflow;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<u128>()
            .map_err(|_| AmountOverflow)
            .and_then(Self::from_wei)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// Inner (plaintext) bytes of a tunnel.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ByteCount(u64);

impl ByteCount {
    /// Bytes in one MiB.
    pub const MIB: u64 = 1 << 20;

    /// Takes bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Takes MiB (2^20 bytes); stops at the largest count.
    #[must_use]
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib.saturating_mul(Self::MIB))
    }

    /// Bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Adds; stops at the largest count, which no tunnel reaches.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// Milliseconds since the Unix epoch. Cores use this clock only; shells bring it in.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixTime(u64);

impl UnixTime {
    /// Takes milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Takes whole seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// The time `span` later.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// The traffic that the price of a minute is compared at: a film at 5 Mbit/s is some 36 MiB a minute.
pub const MIB_PER_MINUTE: u64 = 36;
/// At most what so many MiB are worth is paid before it is served: three words of a minute, and a little.
pub const MAX_MIB_AHEAD: u64 = 128;

/// What an exit asks: money per MiB of inner bytes and per minute served.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Price {
    /// Per 1 048 576 inner bytes, both directions together.
    pub per_mib: Amount,
    /// Per 60 000 ms of the session being served.
    pub per_minute: Amount,
}

impl Price {
    /// Returns what is due for a whole session so far, rounded up to the next base unit.
    ///
    /// Price the running total, never an increment: rounding each increment up would overcharge.
    ///
    /// # Errors
    /// [`AmountOverflow`] above 2^96 − 1.
    ///
    /// # Examples
    /// ```
    /// # use warren_proto::{Amount, ByteCount, Price};
    /// # use std::time::Duration;
    /// let price = Price { per_mib: Amount::from_wei_u64(3), per_minute: Amount::ZERO };
    /// let due = price.due(ByteCount::from_mib(2), Duration::ZERO);
    /// assert_eq!(due, Ok(Amount::from_wei_u64(6)));
    /// let one_byte = price.due(ByteCount::from_bytes(1), Duration::ZERO);
    /// assert_eq!(one_byte, Ok(Amount::from_wei_u64(1)));
    /// ```
    pub fn due(self, used: ByteCount, served: Duration) -> Result<Amount, AmountOverflow> {
        const MINUTE_MS: u128 = 60_000;
        // One common denominator (MiB · minute), so that the two parts are rounded once.
        let millis = served.as_millis();
        let bytes = u128::from(used.bytes());
        let by_bytes = self
            .per_mib
            .wei()
            .checked_mul(bytes)
            .ok_or(AmountOverflow)?;
        let by_bytes = by_bytes.checked_mul(MINUTE_MS).ok_or(AmountOverflow)?;
        let by_time = self
            .per_minute
            .wei()
            .checked_mul(millis)
            .ok_or(AmountOverflow)?;
        let by_time = by_time
            .checked_mul(u128::from(ByteCount::MIB))
            .ok_or(AmountOverflow)?;
        let sum = by_bytes.checked_add(by_time).ok_or(AmountOverflow)?;
        Amount::from_wei(sum.div_ceil(MINUTE_MS * u128::from(ByteCount::MIB)))
    }

    /// A price per GiB as one per MiB, rounded up: who sells and who looks for it round alike.
    #[must_use]
    pub fn per_mib_of(per_gib: Amount) -> Amount {
        Amount::from_wei(per_gib.wei().div_ceil(1024)).unwrap_or(Amount::MAX)
    }

    /// Says whether `prepay_units` words of `word` each, and the one in use, are worth at most
    /// [`MAX_MIB_AHEAD`] MiB at this price, a minute counted as [`MIB_PER_MINUTE`]. What is free is.
    ///
    /// The words ahead are all that a consumer can lose to an exit that serves nothing: a low price with
    /// one dear word would take everything at once.
    ///
    /// # Examples
    /// ```
    /// # use warren_proto::{Amount, Price};
    /// let price = Price { per_mib: Amount::from_wei_u64(3), per_minute: Amount::ZERO };
    /// assert!(price.allows_ahead(1, Amount::from_wei_u64(3 * 64)));
    /// assert!(!price.allows_ahead(1, Amount::from_wei_u64(3 * 64 + 1)));
    /// ```
    #[must_use]
    pub fn allows_ahead(self, prepay_units: u32, word: Amount) -> bool {
        let minute = u128::from(MIB_PER_MINUTE);
        // In parts of a MiB, so that a price per minute is not rounded away; 2^96 leaves room for it.
        let ahead = (u128::from(prepay_units) + 1).saturating_mul(word.wei());
        let worth = self.per_mib.wei().saturating_mul(minute);
        let worth = worth.saturating_add(self.per_minute.wei());
        self == Self::default()
            || ahead.saturating_mul(minute) <= worth.saturating_mul(MAX_MIB_AHEAD.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_never_leaves_its_range() {
        assert_eq!(
            Amount::MAX.checked_add(Amount::from_wei_u64(1)),
            Err(AmountOverflow)
        );
        assert_eq!(
            Amount::ZERO.checked_sub(Amount::from_wei_u64(1)),
            Err(AmountOverflow)
        );
        assert_eq!(Amount::MAX.checked_mul(2), Err(AmountOverflow));
    }

    #[test]
    fn the_wire_form_is_twelve_bytes() {
        assert_eq!(
            Amount::from_be_slice(&Amount::MAX.to_be_bytes()),
            Some(Amount::MAX)
        );
        assert_eq!(Amount::from_be_slice(&[0; 11]), None);
        assert_eq!(Amount::from_be_slice(&[0; 13]), None);
    }

    #[test]
    fn bytes_and_minutes_are_rounded_once() {
        let price = Price {
            per_mib: Amount::from_wei_u64(1),
            per_minute: Amount::from_wei_u64(1),
        };
        let half = price.due(
            ByteCount::from_bytes(ByteCount::MIB / 2),
            Duration::from_secs(30),
        );
        assert_eq!(half, Ok(Amount::from_wei_u64(1)));
    }
}
