//! What Warren changes on its host, and how every change is taken back.
//!
//! ```text
//! ConsumerHost: protect (kill switch) ─▶ route ─▶ dns ─▶ tunnel runs ─▶ release ─▶ undo
//! ExitHost:     enable (forwarding, NAT, deny table) ─▶ guests ─▶ undo
//!                         │ each change: journal line, fsync, then the change
//!                         ▼
//!               recover(journal): the same undo, with the daemon dead
//! ```
//!
//! Start reading at [`ConsumerHost`]. Plans ([`nft`]) are text made without IO; [`Change`] is one
//! thing done to the host; [`Journal`] remembers it.
//!
//! Invariant: no change without a journal line before it. Dropping a handle undoes nothing: the
//! kill switch is a state of the host, not of a process, and outlives a `kill -9`.

mod alone;
mod caps;
mod change;
mod command;
mod consumer;
mod control;
mod dns;
mod error;
mod exit;
mod findings;
mod flows;
mod forward;
mod inner;
mod journal;
mod local;
mod netlink;
pub mod nft;
mod recover;
mod report;
mod resolv_conf;
mod routes;
mod sysctl;

pub use caps::{Capability, held_capabilities, raise_ambient};
pub use change::{Change, NftTable};
pub use consumer::ConsumerHost;
pub use control::{ControlError, adopt_control_uid, as_owner, control_uid};
pub use dns::{DnsSpec, DnsWay, ResolvedLink, own_name_servers};
pub use error::HostError;
pub use exit::ExitHost;
pub use findings::{Finding, check_consumer, check_exit, check_names, guests_key};
pub use flows::forget_flows;
pub use journal::{Journal, JournalEntry};
pub use local::LocalAccess;
pub use netlink::default_uplinks;
pub use nft::{ExitNatSpec, GuestLimits, KillSwitchSpec};
pub use recover::{recover, sweep};
pub use report::{Outcome, RecoverReport, UndoneChange};
pub use resolv_conf::{FileContent, ResolvConf};
pub use routes::{Carries, Family, RouteChange, RouteSpec, RuleChange, Selector, Target};
pub use sysctl::Sysctl;

/// Returns whether devices that are made here may have IPv6 addresses: where IPv6 is switched off they get none.
#[must_use]
pub fn has_ipv6() -> bool {
    may_have_ipv6("default")
}

/// The same of one device.
pub(crate) fn may_have_ipv6(device: &str) -> bool {
    sysctl::read(&format!("net/ipv6/conf/{device}/disable_ipv6")).is_ok_and(|it| it == "0")
}

// Our choice: fixed and greppable, so that an owner finds what is ours.

/// The consumer's network device.
pub const DEVICE: &str = "warren0";
/// The exit's network device.
pub const EXIT_DEVICE: &str = "warren-exit";
/// The firewall mark of the WireGuard socket.
pub const MARK: u32 = 0x7761;
/// The routing table of the tunnel; also where the priorities of our rules begin.
pub const TABLE: u32 = 7761;
/// The file-system user id that stamps the sockets of the control threads.
pub const CONTROL_UID: u32 = 7761;

#[cfg(test)]
mod tests;
