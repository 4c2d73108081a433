//! A route and a tower under faults: a consumer with one channel to a router, a router with one to an exit, an
//! exit that leaves its claims with a tower, and the chain between them.
//!
//! The cores are the product's; what is around them does what the product's actor does, in the same order.

pub(crate) mod action;
pub(crate) mod consumer;
pub(crate) mod exit;
pub(crate) mod mail;
pub(crate) mod node;
pub(crate) mod paper;
pub(crate) mod perform;
pub(crate) mod router;
pub(crate) mod settle;
pub(crate) mod tower;
pub(crate) mod truth;
pub(crate) mod world;
