//! Why a configuration is not one.

use std::fmt;
use std::path::PathBuf;

use crate::error::{ErrorCode, Problem};

/// Where a value was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file, at a line counted from 1.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// In an environment variable.
    Env {
        /// Its name.
        variable: String,
    },
    /// In a flag.
    Flag {
        /// Such as `--set exit.policy`.
        flag: String,
    },
    /// Nowhere: it is the default, or was asked for by name.
    Nowhere,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Env { variable } => write!(f, "environment variable {variable}"),
            Self::Flag { flag } => write!(f, "flag {flag}"),
            Self::Nowhere => f.write_str("defaults"),
        }
    }
}

/// Why a configuration is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The file is not TOML.
    #[error("{place}: {reason}")]
    Syntax {
        /// Where.
        place: Place,
        /// What the parser says.
        reason: String,
    },
    /// No such key.
    #[error("{place}: unknown key `{key}`; did you mean `{nearest}`?")]
    UnknownKey {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// The known key that is written most alike.
        nearest: &'static str,
    },
    /// The value does not fit its key.
    #[error("{place}: {key} = {value}: {wanted}")]
    BadValue {
        /// Where.
        place: Place,
        /// The key.
        key: &'static str,
        /// The value as said, cut to 80 characters.
        value: String,
        /// What would fit.
        wanted: String,
    },
    /// A value is needed that only the user knows.
    #[error("{key} is not set, but {because}")]
    Missing {
        /// The key.
        key: &'static str,
        /// Why it is needed.
        because: &'static str,
    },
}

impl ConfigError {
    /// The same as a user sees it; ends with exit code 10.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Unreadable { .. } => Problem::new(ErrorCode::ConfigUnreadable, self),
            Self::Syntax { .. } => Problem::new(ErrorCode::ConfigSyntax, self),
            Self::UnknownKey { nearest, .. } => Problem::new(ErrorCode::ConfigUnknownKey, self)
                .with_next(format_args!("warren config explain {nearest}")),
            Self::BadValue { key, .. } => Problem::new(ErrorCode::ConfigBadValue, self)
                .with_next(format_args!("warren config explain {key}")),
            Self::Missing { key, .. } => Problem::new(ErrorCode::ConfigMissing, self)
                .with_next(format_args!("warren config explain {key}")),
        }
    }
}
