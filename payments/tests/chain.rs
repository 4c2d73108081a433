//! The chain half of payments on real parts: the real contract on the real EVM, in this process
//! and in a node of its own, and clients that meet nodes gone bad.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on stops"
)]

#[path = "chain/absent.rs"]
mod absent;
#[path = "chain/anvil.rs"]
mod anvil;
#[path = "chain/artefacts.rs"]
mod artefacts;
#[path = "chain/beneficiary.rs"]
mod beneficiary;
#[path = "chain/bill.rs"]
mod bill;
#[path = "chain/closing.rs"]
mod closing;
#[path = "chain/contract.rs"]
mod contract;
#[path = "chain/dev.rs"]
mod dev;
#[path = "chain/foreign.rs"]
mod foreign;
#[path = "chain/gas.rs"]
mod gas;
#[path = "chain/jam.rs"]
mod jam;
#[path = "chain/locks.rs"]
mod locks;
#[path = "chain/many.rs"]
mod many;
#[path = "chain/model.rs"]
mod model;
#[path = "chain/quorum.rs"]
mod quorum;
#[path = "chain/refusals.rs"]
mod refusals;
#[path = "chain/rogue.rs"]
mod rogue;
#[path = "chain/served.rs"]
mod served;
#[path = "chain/signatures.rs"]
mod signatures;
#[path = "chain/stubborn.rs"]
mod stubborn;
#[path = "chain/submitter.rs"]
mod submitter;
#[path = "chain/twisted.rs"]
mod twisted;
#[path = "chain/world.rs"]
mod world;
#[path = "chain/worth.rs"]
mod worth;
