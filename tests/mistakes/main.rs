//! What is wrong, from outside: the real program, a real daemon and a real chain on loopback, and one mistake at a
//! time. Each mistake ends with its documented code and number, says what to do next, and costs nothing.
//!
//! One file per family of mistakes; [`home`], [`told`], [`devchain`], [`seller`], [`payer`], [`router`] and [`disk`] set the scene. No
//! daemon here has the right to change this machine's network, whoever runs the tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that cannot go on stops at once and says where"
)]

mod chain;
mod daemon;
mod devchain;
mod disk;
mod endpoints;
mod full_disk;
mod home;
mod member;
mod money;
mod payer;
mod receipts;
mod router;
mod routes;
mod seller;
mod store;
mod stranger;
mod told;
mod typed;
