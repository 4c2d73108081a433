//! Parts that several answers share: money, times, usage, checks.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use warren_proto::{Amount, ByteCount, UnixTime};

use crate::config::Token;

/// A sum as people write it, with its unit, and as the contract counts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Decimal, such as `0.0021`; no exponent, no grouping.
    pub value: String,
    /// Such as `WRN`; `ETH`-like for the chain's own coin.
    pub unit: String,
    /// The same in base units, as a decimal string.
    pub base_units: Amount,
}

impl Money {
    /// Writes `amount` in units of `token`.
    #[must_use]
    pub fn of(amount: Amount, token: &Token) -> Self {
        Self {
            value: token.format(amount),
            unit: token.symbol.clone(),
            base_units: amount,
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.value, self.unit)
    }
}

/// A price as people compare it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceView {
    /// Per 1 073 741 824 inner bytes, both directions together.
    pub per_gib: Money,
    /// Per minute served.
    pub per_minute: Money,
}

impl PriceView {
    /// Writes `price` in units of `token`, per GiB.
    #[must_use]
    pub fn of(price: warren_proto::Price, token: &Token) -> Self {
        let per_gib = price.per_mib.checked_mul(1024).unwrap_or(Amount::MAX);
        Self {
            per_gib: Money::of(per_gib, token),
            per_minute: Money::of(price.per_minute, token),
        }
    }
}

/// Inner bytes of a tunnel, seen from the consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UsageView {
    /// From the consumer.
    pub up_bytes: ByteCount,
    /// To the consumer.
    pub down_bytes: ByteCount,
}

/// A time: RFC 3339 in UTC with milliseconds in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub UnixTime);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = UNIX_EPOCH.checked_add(Duration::from_millis(self.0.as_millis()));
        // The formatter knows years up to 9999; later times show as the last one.
        let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
        write!(
            f,
            "{}",
            humantime::format_rfc3339_millis(time.unwrap_or(last).min(last))
        )
    }
}

/// The text is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a time such as 2026-11-22T18:00:00Z")]
pub struct TimestampError {
    /// The text, cut to 40 characters.
    pub text: String,
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || TimestampError {
            text: text.chars().take(40).collect(),
        };
        let time: SystemTime = humantime::parse_rfc3339(text).map_err(|_| wrong())?;
        let since = time.duration_since(UNIX_EPOCH).map_err(|_| wrong())?;
        let millis = u64::try_from(since.as_millis()).map_err(|_| wrong())?;
        Ok(Self(UnixTime::from_millis(millis)))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// How one check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckVerdict {
    /// Fine.
    Pass,
    /// Works, but one should know.
    Warn,
    /// Does not work.
    Fail,
}

/// One line of `exit check` or `net check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// A word, such as `forwarding`.
    pub name: String,
    /// How it went.
    pub verdict: CheckVerdict,
    /// What was seen.
    pub seen: String,
    /// The error code of a check that is not fine.
    pub code: Option<String>,
    /// What mends it.
    pub next: Option<String>,
}

impl Check {
    /// A check that is fine.
    #[must_use]
    pub fn pass(name: &str, seen: impl fmt::Display) -> Self {
        let seen = seen.to_string();
        Self {
            name: name.to_owned(),
            verdict: CheckVerdict::Pass,
            seen,
            code: None,
            next: None,
        }
    }

    /// A check that is not fine; `verdict` says how bad, `problem` why and what to do.
    #[must_use]
    pub fn not_fine(name: &str, verdict: CheckVerdict, problem: crate::error::Problem) -> Self {
        Self {
            name: name.to_owned(),
            verdict,
            seen: problem.seen,
            code: Some(problem.code),
            next: Some(problem.next),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_survives_its_text() {
        let time = Timestamp(UnixTime::from_millis(1_795_370_400_123));
        assert_eq!(time.to_string().parse(), Ok(time));
        assert_eq!(
            Timestamp(UnixTime::from_millis(0)).to_string(),
            "1970-01-01T00:00:00.000Z"
        );
        assert_eq!(
            Timestamp(UnixTime::from_millis(u64::MAX)).to_string(),
            "9999-12-31T23:59:59.000Z"
        );
        assert!("yesterday".parse::<Timestamp>().is_err());
    }
}
