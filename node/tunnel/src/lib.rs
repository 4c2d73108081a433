//! The tunnel: carries packets between two parties, and guards the host that does.
//!
//! Start reading at [`host`] for what is changed on a host, at [`policy`] for what an exit carries.

pub mod host;
pub mod policy;
