//! The rules of the house, as tests: `cargo tidy`.
//!
//! Each rule is a pure function from sources to findings. It is asked twice: about the house, and
//! about a planted violation, because a rule that catches nothing proves nothing.
//! Every failure ends with the remedy. Why these rules: docs/adr/0001 and docs/adr/0002.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    reason = "a rule that cannot read the house should stop at once and say where"
)]

mod decisions;
mod deploy;
mod first_steps;
mod floors;
mod homes;
mod house;
mod length;
mod map;
mod purity;
mod skips;
mod unused;
mod words;
