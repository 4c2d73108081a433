//! Transactions: how one is built and signed, and how it gets into a block whatever happens.
//!
//! [`TxManager`] decides, [`Submitter`] signs, saves and sends.

pub(crate) mod bill;
pub mod event;
pub mod fee;
mod flight;
pub mod manager;
pub mod outcome;
mod record;
pub mod submitter;

use warren_proto::PayoutAddress;

pub use event::{Job, JobId, Report, Seen, SendFailure, Stake, TxEffect, TxEvent};
pub use fee::GasPrice;
pub use manager::{TxManager, TxRules};
pub use outcome::{Done, StartError, TxError};
pub use submitter::{Submitter, SubmitterConfig};
pub use warren_chain::tx::{SignedTx, UnsignedTx};

/// Gas allowed beyond the estimate, in percent: state may change before the call's turn.
const GAS_MARGIN_PERCENT: u64 = 25;

/// The gas that a call which is estimated at so much may take.
pub(crate) const fn gas_limit(estimate: u64) -> u64 {
    estimate.saturating_add(estimate / 100 * GAS_MARGIN_PERCENT)
}

/// Whether a key of the table of transactions belongs to `account`.
pub(crate) fn holds_flights(account: PayoutAddress, key: &[u8]) -> bool {
    record::nonce_of(account, key).is_some()
}
