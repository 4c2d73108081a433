//! The consumer's routes as a plan: who goes into the tunnel and who past it.
//!
//! Sans-IO. Rules are read by the kernel in order of priority; a lookup that finds nothing goes on
//! to the next, so each way past the tunnel ends in `unreachable` instead of falling into it:
//!
//! ```text
//! 7761 mark  0x7761 → main      7762 mark  0x7761 → unreachable     the tunnel's own packets
//! 7763 to inner     → 7761                                          names asked by control threads
//! 7764 uid   7761   → main      7765 uid   7761   → unreachable     overlay and chain sockets
//! 7766 TCP from a port that answers → main                          only as the owner says ([`LocalAccess`]);
//! 7767 to ports 53, 853 → 7761  7768 to private → main, but         names never
//!                                    by no default route
//! 7770 everything   → 7761      table 7761: default dev warren0, else unreachable
//! ```

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::{CONTROL_UID, Change, DEVICE, LocalAccess, MARK, TABLE};

// Our choice: one private block of each family for every tunnel.

/// Priorities that are ours, from [`TABLE`] on.
pub(crate) const RULES: u32 = 10;
/// Tunnel addresses, IPv4.
pub(crate) const INNER4: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 77, 0, 0), 16);
/// Tunnel addresses, IPv6.
pub(crate) const INNER6: Ipv6Net =
    Ipv6Net::new_assert(Ipv6Addr::new(0xfd77, 0x7761, 0, 0, 0, 0, 0, 0), 64);
/// The exit's own address in [`INNER4`].
pub(crate) const GATEWAY4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// The exit's own address in [`INNER6`].
pub(crate) const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0x7761, 0, 0, 0, 0, 0, 1);
/// Names are asked there, in clear and over TLS (RFC 7858).
pub(crate) const NAME_PORTS: [u16; 2] = [53, 853];
/// Below every metric a person sets, above nothing: the fail-closed route is taken last.
const LAST_METRIC: u32 = 0x7761_7761;

/// Returns the networks that hold tunnel addresses.
pub(crate) fn default_inner() -> Vec<IpNet> {
    vec![IpNet::V4(INNER4), IpNet::V6(INNER6)]
}

/// Internet protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    fn of(net: &IpNet) -> Self {
        match net {
            IpNet::V4(_) => Self::V4,
            IpNet::V6(_) => Self::V6,
        }
    }
}

/// What the exit carries; the other family is blocked, never left outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// IPv4 goes through, IPv6 is unreachable.
    V4,
    /// IPv6 goes through, IPv4 is unreachable.
    V6,
    /// Both go through.
    Both,
}

impl Carries {
    fn carries(self, family: Family) -> bool {
        match self {
            Self::V4 => family == Family::V4,
            Self::V6 => family == Family::V6,
            Self::Both => true,
        }
    }
}

/// What the consumer's routes are made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSpec {
    /// The tunnel's device; must exist.
    pub device: String,
    /// What the exit carries.
    pub carries: Carries,
    /// Networks of tunnel addresses, reached through the tunnel by everybody.
    pub inner: Vec<IpNet>,
    /// What goes beside the tunnel.
    pub local: LocalAccess,
}

impl Default for RouteSpec {
    fn default() -> Self {
        Self {
            device: DEVICE.to_owned(),
            carries: Carries::Both,
            inner: default_inner(),
            local: LocalAccess::default(),
        }
    }
}

/// Whom a rule speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// Packets with this firewall mark.
    Mark(u32),
    /// Sockets of this user id.
    Uid(u32),
    /// Packets to this network.
    To(IpNet),
    /// TCP from this port.
    FromTcpPort(u16),
    /// Packets to this port.
    ToPort(u16),
    /// Everybody.
    All,
}

/// Where a rule sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The host's own routes.
    Main,
    /// Those of them that are narrower than a default route.
    MainNarrow,
    /// The tunnel's routes.
    Tunnel,
    /// Nowhere, with an error at once.
    Unreachable,
}

/// A policy routing rule of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleChange {
    /// Its family.
    pub family: Family,
    /// Its place among the rules.
    pub priority: u32,
    /// Whom it speaks of.
    pub selector: Selector,
    /// Where it sends.
    pub target: Target,
}

/// A default route in our table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteChange {
    /// Its family.
    pub family: Family,
    /// The device it leads to; `None`: unreachable, taken when no device is there.
    pub device: Option<String>,
}

impl RouteChange {
    pub(crate) fn metric(&self) -> u32 {
        match self.device {
            Some(_) => 1,
            None => LAST_METRIC,
        }
    }
}

/// Plans routes and rules. Routes come first: a rule must never lead into an empty table.
pub(crate) fn plan(spec: &RouteSpec, families: &[Family]) -> Vec<Change> {
    families
        .iter()
        .flat_map(|family| plan_family(spec, *family))
        .collect()
}

fn plan_family(spec: &RouteSpec, family: Family) -> Vec<Change> {
    let route = |device| Change::Route(RouteChange { family, device });
    let rule = |offset: u32, selector, target| {
        Change::Rule(RuleChange {
            family,
            priority: TABLE + offset,
            selector,
            target,
        })
    };
    let mut changes = vec![route(None)];
    if spec.carries.carries(family) {
        changes.push(route(Some(spec.device.clone())));
    }
    changes.push(rule(0, Selector::Mark(MARK), Target::Main));
    changes.push(rule(1, Selector::Mark(MARK), Target::Unreachable));
    for net in spec.inner.iter().filter(|it| Family::of(it) == family) {
        changes.push(rule(2, Selector::To(*net), Target::Tunnel));
    }
    changes.push(rule(3, Selector::Uid(CONTROL_UID), Target::Main));
    changes.push(rule(4, Selector::Uid(CONTROL_UID), Target::Unreachable));
    for port in &spec.local.inbound_tcp {
        changes.push(rule(5, Selector::FromTcpPort(*port), Target::Main));
    }
    let near = spec.local.networks().iter();
    let mut near = near.filter(|it| Family::of(it) == family).peekable();
    if near.peek().is_some() {
        for port in NAME_PORTS {
            changes.push(rule(6, Selector::ToPort(port), Target::Tunnel));
        }
    }
    for net in near {
        changes.push(rule(7, Selector::To(*net), Target::MainNarrow));
    }
    changes.push(rule(9, Selector::All, Target::Tunnel));
    changes
}

impl fmt::Display for RuleChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rule {} ", self.family, self.priority)?;
        match self.selector {
            Selector::Mark(mark) => write!(f, "mark {mark:#x}")?,
            Selector::Uid(uid) => write!(f, "uid {uid}")?,
            Selector::To(net) => write!(f, "to {net}")?,
            Selector::FromTcpPort(port) => write!(f, "from TCP port {port}")?,
            Selector::ToPort(port) => write!(f, "to port {port}")?,
            Selector::All => write!(f, "everything")?,
        }
        match self.target {
            Target::Main => write!(f, " to table main"),
            Target::MainNarrow => write!(f, " to table main without its default route"),
            Target::Tunnel => write!(f, " to table {TABLE}"),
            Target::Unreachable => write!(f, " unreachable"),
        }
    }
}

impl fmt::Display for RouteChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = self.family;
        match &self.device {
            Some(device) => write!(f, "{family} default route to {device} in table {TABLE}"),
            None => write!(f, "{family} unreachable default route in table {TABLE}"),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}
