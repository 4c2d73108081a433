//! The command line of Warren: the one binary that people, scripts and containers start.
//!
//! ```text
//! argv ──▶ args ──▶ verbs ──▶ Client (daemon's socket)  ──▶ Page ──▶ Screen ──▶ exit code
//!                     │  └──▶ without a daemon: recover, help, wallet words, devchain, swarm
//!                     └─────▶ demo: a make-believe internet in which the same program runs many times
//! ```
//!
//! Start reading at [`cli`], then [`verbs`]; the demo's world is in [`demo`].

#![forbid(unsafe_code)]

pub mod args;
pub mod cli;
pub mod demo;
pub mod faucet;
pub mod node;
pub mod page;
pub mod screen;
pub mod ssh;
pub mod table;
pub mod text;
pub mod verbs;
