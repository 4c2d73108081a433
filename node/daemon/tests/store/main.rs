//! The store on a real disk: killed, damaged, cut, rolled back, out of space, asked for twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that cannot go on should stop"
)]

mod bad_disk;
mod crash;
mod damage;
mod eio;
mod fixture;
mod model;
mod space;
