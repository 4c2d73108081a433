//! The daemon: roles, wiring, store, API.
#![forbid(unsafe_code)]

pub mod session;
