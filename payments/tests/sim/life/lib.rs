//! The life of a channel under faults: parties, their hosts, the chain and the network between them, driven
//! by a [`schedule::Schedule`]. Also driven by the fuzzer (`tests/fuzz`), hence a folder that both include.

pub(crate) mod action;
pub(crate) mod breach;
pub(crate) mod chain;
pub(crate) mod check;
pub(crate) mod contract;
pub(crate) mod desk;
pub(crate) mod endpoints;
pub(crate) mod host;
pub(crate) mod names;
pub(crate) mod news;
pub(crate) mod payee;
pub(crate) mod payer;
pub(crate) mod road;
pub(crate) mod schedule;
pub(crate) mod settle;
pub(crate) mod wire;
pub(crate) mod world;
