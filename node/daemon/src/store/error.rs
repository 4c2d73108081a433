//! Why the store does not open, read or write.

use std::io;
use std::path::PathBuf;

use super::chain::ChainFault;
use crate::error::{ErrorCode, Problem};

/// How a full disk is told apart once an error is only words.
const FULL: &str = "no space is left";

/// Why the store does not open, read or write. What was not confirmed must not be acted on.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The records are not those that this node wrote last.
    #[error("the store in {} does not verify: {fault}", home.display())]
    Unverified {
        /// The node's home.
        home: PathBuf,
        /// What does not fit.
        fault: ChainFault,
    },
    /// A newer program made it: it has tables that this one does not know.
    #[error("the store in {} has a table `{table}` that this version does not know", home.display())]
    UnknownTable {
        /// The node's home.
        home: PathBuf,
        /// The table.
        table: String,
    },
    /// The disk is full, even with the ballast gone.
    #[error("{FULL} for the store in {}", home.display())]
    DiskFull {
        /// The node's home.
        home: PathBuf,
    },
    /// The engine refused.
    #[error("the store's engine could not {doing}: {reason}")]
    Engine {
        /// What it was asked to do.
        doing: &'static str,
        /// What it says.
        reason: String,
    },
    /// The system refused a file beside the engine's.
    #[error("{} could not be used", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The code of an error that came back from payments, which keep its words only.
pub(crate) fn code_of(reason: &str) -> ErrorCode {
    if reason.contains(FULL) {
        ErrorCode::DiskLow
    } else {
        ErrorCode::StoreFailed
    }
}

impl StoreError {
    /// The same as a user sees it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Unverified { fault, .. } => {
                let code = match fault {
                    ChainFault::Older { .. } => ErrorCode::StoreOlder,
                    ChainFault::Foreign { .. } => ErrorCode::StoreForeign,
                    ChainFault::Forked { .. }
                    | ChainFault::NoMirror { .. }
                    | ChainFault::BrokenHead
                    | ChainFault::BrokenMirror
                    | ChainFault::BrokenLink { .. }
                    | ChainFault::WrongContent { .. } => ErrorCode::StoreBroken,
                };
                Problem::new(code, self)
            }
            Self::UnknownTable { .. } => Problem::new(ErrorCode::StoreForeign, self),
            Self::DiskFull { .. } => Problem::new(ErrorCode::DiskLow, self),
            Self::Engine { reason, .. } if reason.contains("Corruption") => {
                Problem::new(ErrorCode::StoreBroken, self)
            }
            Self::Engine { .. } => Problem::new(ErrorCode::StoreFailed, self),
            Self::Io { source, .. } => Problem::io(ErrorCode::StoreFailed, source, self),
        }
    }
}
