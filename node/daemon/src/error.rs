//! What can go wrong, as its users see it: a code, what was seen, what it means, what mends it.
//!
//! W1xxx set-up · W2xxx this machine's network · W3xxx overlay · W4xxx session and tunnel ·
//! W5xxx money · W6xxx lab. The table is [`ErrorCode::ALL`]; `warren help W2107` prints a row of it
//! and needs no daemon. Errors inside the program are typed enums; each becomes a [`Problem`] at the
//! door to the user, nowhere earlier.

use std::str::FromStr;
use std::{fmt, io};

use serde::{Deserialize, Serialize};

mod codes;
mod host;
pub mod machine;

pub use codes::{ErrorCode, Explanation};

/// With what number the process ends (DESIGN part 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExitCode {
    /// Something failed.
    Failed,
    /// The command was used wrongly.
    Usage,
    /// The daemon does not answer.
    NotReachable,
    /// A permission or capability is missing.
    Permission,
    /// Nothing matches.
    NothingMatches,
    /// Too late, or out of reach.
    Timeout,
    /// Funds or a spending cap.
    Funds,
    /// Refused by the other side or by policy.
    Refused,
    /// Already so, or in conflict.
    Conflict,
    /// Bad configuration.
    BadConfig,
    /// Consent is needed first.
    Consent,
    /// Works, but not fully.
    Degraded,
}

impl ExitCode {
    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotReachable => 3,
            Self::Permission => 4,
            Self::NothingMatches => 5,
            Self::Timeout => 6,
            Self::Funds => 7,
            Self::Refused => 8,
            Self::Conflict => 9,
            Self::BadConfig => 10,
            Self::Consent => 11,
            Self::Degraded => 12,
        }
    }
}

/// One mishap, told to a user or a program: the JSON form of every error of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code} {meaning}: {seen}")]
pub struct Problem {
    /// Such as `W2107`.
    pub code: String,
    /// What this node saw: the facts of this very case.
    pub seen: String,
    /// What that means, in one sentence.
    pub meaning: String,
    /// A command, or an act, that mends it.
    pub next: String,
    /// With what the process ends that shows it.
    pub exit_code: u8,
}

impl Problem {
    /// Tells the mishap `code` with the facts `seen`.
    #[must_use]
    pub fn new(code: ErrorCode, seen: impl fmt::Display) -> Self {
        let row = code.explain();
        Self {
            code: code.to_string(),
            seen: seen.to_string(),
            meaning: row.title.to_owned(),
            next: row.remedy.to_owned(),
            exit_code: row.exit.number(),
        }
    }

    /// Tells that the system refused a file; a full disk is told as what it is.
    #[must_use]
    pub fn io(code: ErrorCode, source: &io::Error, seen: impl fmt::Display) -> Self {
        let is_full = source.kind() == io::ErrorKind::StorageFull;
        let code = if is_full { ErrorCode::DiskLow } else { code };
        Self::new(code, format_args!("{seen}: {source}"))
    }

    /// The same with a remedy that fits this very case better.
    #[must_use]
    pub fn with_next(mut self, next: impl fmt::Display) -> Self {
        self.next = next.to_string();
        self
    }

    /// Whether this is the mishap `code`.
    #[must_use]
    pub fn is(&self, code: ErrorCode) -> bool {
        self.code == code.to_string()
    }
}

/// The text names no code of this program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no error code of this version; codes look like W2107")]
pub struct UnknownCode {
    /// The text, cut to 20 characters.
    pub text: String,
}

impl FromStr for ErrorCode {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.trim().trim_start_matches(['W', 'w']);
        let number = digits.parse::<u16>().ok();
        number
            .and_then(|number| Self::ALL.iter().copied().find(|it| it.number() == number))
            .ok_or_else(|| UnknownCode {
                text: text.chars().take(20).collect(),
            })
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "W{:04}", self.number())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_found_by_its_text_and_says_what_to_do() {
        for code in ErrorCode::ALL {
            assert_eq!(code.to_string().parse(), Ok(*code));
            let row = code.explain();
            assert!(
                !row.title.is_empty() && !row.cause.is_empty() && !row.remedy.is_empty(),
                "{code}"
            );
            assert!(
                !row.title.ends_with('.') && row.cause.ends_with('.'),
                "{code}: full stops"
            );
            assert!(
                (1000..7000).contains(&code.number()),
                "{code}: outside the families"
            );
        }
    }

    #[test]
    fn no_number_is_used_twice() {
        let numbers: BTreeSet<_> = ErrorCode::ALL.iter().map(|it| it.number()).collect();
        assert_eq!(numbers.len(), ErrorCode::ALL.len());
    }

    #[test]
    fn a_configuration_mishap_ends_with_ten() {
        for code in ErrorCode::ALL
            .iter()
            .filter(|it| (1001..1020).contains(&it.number()))
        {
            assert_eq!(code.explain().exit, ExitCode::BadConfig, "{code}");
        }
    }

    #[test]
    fn an_unknown_code_is_quoted() {
        let error = "W9999".parse::<ErrorCode>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`W9999` is no error code of this version; codes look like W2107"
        );
    }
}
