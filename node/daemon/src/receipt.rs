//! Receipts: what a paid session came to, written by one side, signed by both, verified by anybody.
//!
//! ```text
//! consumer  end ─▶ half (kept) ─▶ Receipt frame ─────────────▶ provider  verify, compare, sign, keep
//!           keep whole ◀──────────────────────── Receipt frame ◀─┘
//! ```
//!
//! A session paid by a channel is proved by its voucher and words, which the payments hold; one paid by a
//! route by its locks' words, which the session itself has counted ([`Tally`]): the voucher that they stand
//! in is a router's, and says what this session's sides have no business to show.
//!
//! A receipt is no money: losing one loses a proof, never a claim. So nothing waits for it longer than
//! [`EXCHANGE`], and a side that does not answer leaves a half receipt that says so.

use std::time::Duration;

mod book;
mod file;
mod scribe;
mod show;
mod tally;
#[cfg(test)]
mod tests;
mod verify;
mod write;

pub(crate) use book::Exchange;
pub use book::Receipts;
pub use file::{from_text, to_text};
pub(crate) use scribe::{Past, Scribe};
pub use show::{row, view};
pub use tally::Tally;
pub use verify::{Fault, Signed, Verdict, verify};
pub use write::{Counters, Disagreement, agrees, body, by_channel};

/// How long a session that is over keeps its stream for the other side's signature: a few round trips
/// over a slow relay. Our choice.
pub const EXCHANGE: Duration = Duration::from_secs(3);
