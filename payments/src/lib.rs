//! Payments between two nodes without anyone in between: channels, vouchers, and the chain below.
#![forbid(unsafe_code)]

pub mod calls;
pub mod chain;
pub mod tx;
