//! The host side in real network namespaces: real nftables, routes, sockets, processes.
//!
//! Needs root. Without it every test says SKIPPED aloud.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests stop at once and say where"
)]
#![allow(clippy::print_stdout, reason = "a skipped test says so")]

#[path = "host_netns/capture.rs"]
mod capture;
#[path = "host_netns/container.rs"]
mod container;
#[path = "host_netns/exit.rs"]
mod exit;
#[path = "host_netns/exit_beside.rs"]
mod exit_beside;
#[path = "host_netns/exit_host.rs"]
mod exit_host;
#[path = "host_netns/exit_lab.rs"]
mod exit_lab;
#[path = "host_netns/full_disk.rs"]
mod full_disk;
#[path = "host_netns/guard.rs"]
mod guard;
#[path = "host_netns/holder.rs"]
mod holder;
#[path = "host_netns/kill_switch.rs"]
mod kill_switch;
#[path = "host_netns/lab.rs"]
mod lab;
#[path = "host_netns/local.rs"]
mod local;
#[path = "host_netns/meddling.rs"]
mod meddling;
#[path = "host_netns/passes.rs"]
mod passes;
#[path = "host_netns/probe.rs"]
mod probe;
#[path = "host_netns/recover.rs"]
mod recover;
#[path = "host_netns/resolved.rs"]
mod resolved;
#[path = "host_netns/taken_away.rs"]
mod taken_away;
#[path = "host_netns/unprivileged.rs"]
mod unprivileged;
#[path = "host_netns/whole.rs"]
mod whole;
