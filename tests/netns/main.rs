//! The line under attack, in a make-believe internet of network namespaces: real daemons, real TUN devices, real
//! NAT, real firewalls, a real chain. Needs root; says aloud when it cannot run.
//!
//! One file per story; [`stage`] builds the world that all of them share with `warren demo`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that cannot go on stops at once and says where"
)]

mod books_agree;
mod consumer_dies;
mod consumer_stops_paying;
mod endpoint_blocked;
mod events;
mod exit_dies;
mod exit_restarts;
mod exit_stops_serving;
mod exit_without_ipv6;
mod free_exit;
mod goes_on;
mod kill_switch_off;
mod meddling;
mod names;
mod one_deposit;
mod payer_closes;
mod restored;
mod routed;
mod stage;
mod stays_blocked;
mod tower_claims;
mod two_roles;
mod two_routers;
mod world;
