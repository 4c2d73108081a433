//! The daemon: it keeps, it wires, it answers. Start reading at `run`, then [`session`].
//!
//! Floor 2: here overlay, payments and tunnel meet, in `perform` and nowhere else. Below that:
//! [`config`] (what the node was told), [`store`] (what it must never forget), [`identity`] (who
//! it is), [`api`] (its door).
#![forbid(unsafe_code)]

pub mod api;
pub mod clock;
pub mod config;
mod consumer;
pub mod error;
mod events;
mod home;
pub mod identity;
pub mod lockfile;
pub mod metrics;
mod outlet;
mod passphrase;
mod perform;
mod provider;
pub mod receipt;
mod route;
mod run;
pub mod session;
mod signal;
#[cfg(test)]
mod stand;
pub mod store;
mod tower;

pub use passphrase::passphrase;
pub use run::{Ended, check, run};
pub use signal::told_to_end;
