//! The local API through a real socket: every path, every refusal, streams, and who is let in.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on should stop"
)]

mod desk;
mod door;
mod facts;
mod paths;
mod streams;
