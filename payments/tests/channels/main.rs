//! Payers and payees on a real EVM: whole lives of channels, restarts, crashes, absences.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop and say where"
)]

mod books;
mod close;
mod company;
mod crash;
mod digest;
mod flood;
mod keys;
mod keys_late;
mod lanes;
mod laws;
mod mended;
mod party;
mod pay;
mod pot;
mod rate;
mod rewritten;
mod routed;
mod routed_crash;
mod routed_told;
mod row;
mod spike;
mod street;
mod tower;
mod tower_burn;
mod tower_late;
mod truth;
#[path = "../chain/twisted.rs"]
mod twisted;
mod undone;
