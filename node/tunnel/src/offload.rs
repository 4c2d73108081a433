//! Super-packets: cutting those the kernel hands us, making those we hand to the kernel.
//!
//! A super-packet is one set of headers with the payload of many packets of one flow. Passing them
//! whole costs one system call and one walk through the kernel for up to 64 KiB; the line needs
//! them as packets. Nothing here does IO.

pub(crate) mod checksum;
pub(crate) mod coalesce;
pub(crate) mod headers;
mod split;
pub(crate) mod vnet;
mod whole;

pub(crate) use split::Splitter;
pub use whole::{Write, cut, merge};
