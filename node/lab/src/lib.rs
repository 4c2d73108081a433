//! The swarm lab: a deterministic world in which the product's own cores live.
//!
//! ```text
//! Scenario ──▶ World { nodes, links, chain, clock } ──events──▶ Log ──▶ summary, events.csv, report
//! ```
//!
//! Virtual time, seeded randomness, one thread: the same seed gives the same bytes. The offer
//! index, both session machines, admission, both channel machines, hash chains, vouchers and the
//! contract (its real bytecode, in an EVM of this process) are the product's. What is not: libp2p
//! and the tunnel. Offers travel by a flood over a random graph, frames over links with delay and
//! loss, and inner traffic is a rate bounded by what the exit allows and by its line, which its sessions share.
//!
//! Start reading at [`World::run`].
#![forbid(unsafe_code)]

mod bank;
mod consumer;
mod exit;
mod link;
mod log;
mod nodes;
mod report;
mod run;
mod scenario;
mod summary;
mod world;

pub use run::{Artefacts, LabError, run_scenario};
pub use scenario::{Scenario, ScenarioError};
pub use summary::{Percentiles, Summary};
pub use world::{Progress, World};
