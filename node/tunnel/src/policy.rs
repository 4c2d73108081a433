//! Exit policy: what an exit carries for its guests, and what it never does.
//!
//! Sans-IO. [`ExitPolicy::allows`] answers what passes; the kernel rules in [`crate::host`] are rendered
//! from the same lists, so the two cannot differ.
//!
//! A destination passes only if its address is outside every denied block *and* its port is carried.
//!
//! Invariant: no preset and no narrowing ever reaches an [always denied](ALWAYS_DENIED_V4) address
//! or port; narrowing only takes away; an entry that cannot be read is an error, never skipped.

mod id;
mod ports;

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

pub use ports::{PortRange, PortRule, Transport};
pub use warren_proto::PolicyId;

// Specification: RFC 6890 and the IANA special-purpose registries, v4.

/// IPv4 blocks no guest ever reaches: special-purpose, private, shared (CGNAT), link-local with
/// the metadata address 169.254.169.254, multicast, reserved, and one cloud's metadata address.
pub const ALWAYS_DENIED_V4: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
];

/// IPv6 blocks no guest ever reaches: everything outside global unicast `2000::/3` (which holds
/// loopback, v4-mapped, NAT64, unique local, link-local, multicast), and what inside it is special:
/// protocol assignments with Teredo, 6to4.
pub const ALWAYS_DENIED_V6: &[&str] = &["::/3", "4000::/2", "8000::/1", "2001::/23", "2002::/16"];

/// Documentation blocks: denied unless [`ExitPolicy::allow_documentation`], since labs use them.
pub const DOCUMENTATION: &[&str] = &[
    "192.0.2.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "2001:db8::/32",
    "3fff::/20",
];

/// Why a policy could not be made. The exit must not start on one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No preset has this name.
    #[error("no exit policy named {name:?}; there are web+dns, all-but-mail and all")]
    UnknownPreset {
        /// The name asked for.
        name: String,
    },
    /// An entry is neither a network nor `tcp/PORT`, `udp/PORT`, `tcp/FROM-TO`.
    #[error("cannot read policy entry {entry:?}: want a network, tcp/PORT or udp/FROM-TO")]
    UnreadableEntry {
        /// The entry as written.
        entry: String,
    },
}

/// The presets an owner chooses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Preset {
    /// Web and names only; the default.
    WebAndDns,
    /// Everything but the ways to hand in mail.
    AllButMail,
    /// Everything that is not always denied.
    All,
}

impl Preset {
    /// Returns the name that goes into the offer.
    pub fn name(self) -> &'static str {
        match self {
            Self::WebAndDns => "web+dns",
            Self::AllButMail => "all-but-mail",
            Self::All => "all",
        }
    }
}

impl FromStr for Preset {
    type Err = PolicyError;

    fn from_str(name: &str) -> Result<Self, PolicyError> {
        [Self::WebAndDns, Self::AllButMail, Self::All]
            .into_iter()
            .find(|preset| preset.name() == name)
            .ok_or_else(|| PolicyError::UnknownPreset {
                name: name.to_owned(),
            })
    }
}

/// What an exit carries: a preset, and what its owner took away from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitPolicy {
    name: String,
    ports: PortRule,
    denied_v4: Vec<Ipv4Net>,
    denied_v6: Vec<Ipv6Net>,
    documentation: Documentation,
}

/// Whether the documentation blocks count as the internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Documentation {
    Denied,
    Allowed,
}

impl Default for ExitPolicy {
    fn default() -> Self {
        Self::preset(Preset::WebAndDns)
    }
}

impl ExitPolicy {
    /// Returns the policy of a preset, with every denied block in force.
    pub fn preset(preset: Preset) -> Self {
        let mut policy = Self {
            name: preset.name().to_owned(),
            ports: PortRule::of(preset),
            denied_v4: Vec::new(),
            denied_v6: Vec::new(),
            documentation: Documentation::Denied,
        };
        for block in ALWAYS_DENIED_V4
            .iter()
            .chain(ALWAYS_DENIED_V6)
            .chain(DOCUMENTATION)
        {
            policy.deny_block(block);
        }
        policy
    }

    /// Takes `entry` away: a network or an address (`192.0.2.0/24`), or ports (`tcp/8080`).
    ///
    /// # Errors
    /// [`PolicyError::UnreadableEntry`]; the policy is then unchanged and must not be used as if
    /// the entry were in force.
    pub fn deny(&mut self, entry: &str) -> Result<(), PolicyError> {
        let entry = entry.trim();
        let address = entry.parse::<IpAddr>().map(IpNet::from);
        if let Ok(net) = entry.parse::<IpNet>().or(address) {
            self.deny_net(net);
        } else {
            let unreadable = || PolicyError::UnreadableEntry {
                entry: entry.to_owned(),
            };
            let (transport, range) = ports::parse_entry(entry).ok_or_else(unreadable)?;
            self.ports.take_away(transport, range);
        }
        if !self.name.ends_with("-narrowed") {
            self.name.push_str("-narrowed");
        }
        Ok(())
    }

    /// Makes the documentation blocks part of the internet. For labs and tests only: a lab's
    /// "internet" has no other addresses to use.
    #[must_use]
    pub fn allow_documentation(mut self) -> Self {
        let blocks: Vec<IpNet> = DOCUMENTATION
            .iter()
            .filter_map(|it| it.parse().ok())
            .collect();
        self.denied_v4
            .retain(|net| !blocks.contains(&IpNet::V4(*net)));
        self.denied_v6
            .retain(|net| !blocks.contains(&IpNet::V6(*net)));
        self.documentation = Documentation::Allowed;
        self
    }

    /// Tells whether a new flow to `dst` is carried; `port` counts for TCP and UDP only.
    ///
    /// The host's own addresses and networks are not known here: the kernel rules add them.
    pub fn allows(&self, dst: IpAddr, transport: Transport, port: u16) -> bool {
        self.allows_address(dst) && self.ports.allows(transport, port)
    }

    /// Tells whether `dst` is outside every denied block.
    pub fn allows_address(&self, dst: IpAddr) -> bool {
        match dst {
            IpAddr::V4(it) => !self.denied_v4.iter().any(|net| net.contains(&it)),
            IpAddr::V6(it) => !self.denied_v6.iter().any(|net| net.contains(&it)),
        }
    }

    /// Tells whether `net` lies in a documentation block that this policy calls the internet.
    pub(crate) fn is_lab_internet(&self, net: &IpNet) -> bool {
        let blocks = DOCUMENTATION
            .iter()
            .filter_map(|it| it.parse::<IpNet>().ok());
        self.documentation == Documentation::Allowed && { blocks }.any(|block| block.contains(net))
    }

    /// Returns the denied IPv4 blocks, merged and sorted.
    pub fn denied_v4(&self) -> &[Ipv4Net] {
        &self.denied_v4
    }

    /// Returns the denied IPv6 blocks, merged and sorted.
    pub fn denied_v6(&self) -> &[Ipv6Net] {
        &self.denied_v6
    }

    /// Returns which ports are carried.
    pub fn ports(&self) -> &PortRule {
        &self.ports
    }

    /// Returns the name: the preset's, with `-narrowed` once something was taken away.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the policy as text, one fact a line; what [`ExitPolicy::id`] hashes.
    pub fn canonical(&self) -> String {
        let mut text = format!("warren-exit-policy/1\nname {}\n", self.name);
        self.denied_v4
            .iter()
            .for_each(|net| text.push_str(&format!("deny {net}\n")));
        self.denied_v6
            .iter()
            .for_each(|net| text.push_str(&format!("deny {net}\n")));
        text.push_str(&self.ports.canonical());
        text
    }

    fn deny_block(&mut self, block: &str) {
        let Ok(net) = block.parse::<IpNet>() else {
            unreachable!("the block lists above are networks: {block}");
        };
        self.deny_net(net);
    }

    fn deny_net(&mut self, net: IpNet) {
        match net {
            IpNet::V4(it) => {
                self.denied_v4.push(it.trunc());
                self.denied_v4 = merged(&self.denied_v4, |net, other| net.contains(other));
            }
            IpNet::V6(it) => {
                self.denied_v6.push(it.trunc());
                self.denied_v6 = merged(&self.denied_v6, |net, other| net.contains(other));
            }
        }
    }
}

/// Drops every net that lies in another one: interval sets of the kernel refuse overlaps.
fn merged<N: Copy + Ord>(nets: &[N], holds: impl Fn(&N, &N) -> bool) -> Vec<N> {
    let mut sorted = nets.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let inner = |net: &N| sorted.iter().any(|other| other != net && holds(other, net));
    sorted.iter().filter(|net| !inner(net)).copied().collect()
}

#[cfg(test)]
mod tests;
