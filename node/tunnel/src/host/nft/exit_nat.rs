//! The exit's forwarding, NAT and deny table as text.
//!
//! Sans-IO. Every rule speaks of packets from or to the tunnel device and of nothing else on the
//! box, except one: where forwarding was off before us, it stays off for everybody else.
//!
//! Why two places refuse addresses: before destination NAT (`guest_in`) so that a published port
//! of the host cannot turn an own address into a container's; after it (`from_guest`) so that no
//! NAT rule of the host can lead a guest inside.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{EXIT_TABLE, net_set};
use crate::host::{EXIT_DEVICE, routes};
use crate::policy::{ExitPolicy, PortRange};

/// Our choice: the source ports guests appear from. None of ours (4077, 41820) and none the kernel
/// hands to the host's own programs: or a guest could take over replies meant for them
/// (CVE-2021-3773).
const NAT_PORTS: PortRange = PortRange::new(10_000, 32_767);

/// What an exit's kernel rules are made from.
#[derive(Debug, Clone)]
pub struct ExitNatSpec {
    /// The tunnel's device.
    pub device: String,
    /// The devices that lead to the internet; empty: those of the default routes.
    pub uplinks: Vec<String>,
    /// The guests' addresses.
    pub inner4: Ipv4Net,
    /// The guests' addresses.
    pub inner6: Ipv6Net,
    /// The exit's address inside the tunnel.
    pub gateway4: Ipv4Addr,
    /// The exit's address inside the tunnel.
    pub gateway6: Ipv6Addr,
    /// What guests may reach.
    pub policy: ExitPolicy,
    /// What they may not reach besides: the addresses at which the exit is known, which may be its
    /// router's and answer from inside with its pages; other sites.
    pub also_deny: Vec<IpNet>,
    /// How much one guest may take.
    pub limits: GuestLimits,
}

impl Default for ExitNatSpec {
    fn default() -> Self {
        Self {
            device: EXIT_DEVICE.to_owned(),
            uplinks: Vec::new(),
            inner4: routes::INNER4,
            inner6: routes::INNER6,
            gateway4: routes::GATEWAY4,
            gateway6: routes::GATEWAY6,
            policy: ExitPolicy::default(),
            also_deny: Vec::new(),
            limits: GuestLimits::default(),
        }
    }
}

/// How much one guest address may take of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestLimits {
    /// New flows a second, in the long run.
    pub new_flows_per_second: u32,
    /// New flows at once.
    pub new_flows_burst: u32,
    /// Flows at the same time.
    pub flows: u32,
    /// Guests counted at the same time; bounds the kernel's memory.
    pub guests: u32,
}

impl Default for GuestLimits {
    /// Our choice: a browser opens some dozens at once, a scanner thousands.
    fn default() -> Self {
        Self {
            new_flows_per_second: 50,
            new_flows_burst: 200,
            flows: 1000,
            guests: 4096,
        }
    }
}

/// What the host's state adds to the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExitSurroundings {
    /// Networks the host itself is in; guests never reach them.
    pub own: Vec<IpNet>,
    /// Uplinks that did not forward IPv4 before us: they must not start to for others.
    pub opened_v4: Vec<String>,
    /// IPv6 forwarding was off before us: it must not start for others.
    pub opened_v6: bool,
}

/// Renders the table. Replaces an older one in the same transaction.
pub fn exit_script(spec: &ExitNatSpec, around: &ExitSurroundings) -> String {
    let (table, device) = (EXIT_TABLE, &spec.device);
    let (inner4, inner6) = (spec.inner4, spec.inner6);
    let (gateway4, gateway6) = (spec.gateway4, spec.gateway6);
    let uplinks = quoted(&spec.uplinks);
    let (sets, guard) = (sets(spec, around), guard(spec, around));
    let (limits, ports) = (limits(&spec.limits), ports(&spec.policy));
    format!(
        r#"table inet {table}
delete table inet {table}
table inet {table} {{
	counter denied_address {{ }}
	counter denied_port {{ }}
	counter denied_rate {{ }}
	counter denied_source {{ }}
{sets}	chain prerouting {{
		type filter hook prerouting priority raw; policy accept;
		iifname "{device}" jump guest_in
		iifname {{ "lo", "{device}" }} accept
		ip daddr {inner4} counter name "denied_source" drop
		ip6 daddr {inner6} counter name "denied_source" drop
	}}
	chain guest_in {{
		ip saddr != {inner4} counter name "denied_source" drop
		ip6 saddr != {inner6} counter name "denied_source" drop
		ip daddr {gateway4} return
		ip6 daddr {gateway6} return
		fib daddr type {{ local, broadcast, anycast, multicast }} counter name "denied_address" drop
		jump addresses
	}}
	chain addresses {{
		ip daddr @deny4 counter name "denied_address" drop
		ip6 daddr @deny6 counter name "denied_address" drop
		ip daddr @own4 counter name "denied_address" drop
		ip6 daddr @own6 counter name "denied_address" drop
	}}
	chain input {{
		type filter hook input priority filter; policy accept;
		iifname "{device}" jump to_host
	}}
	chain to_host {{
		ip daddr {gateway4} icmp type echo-request update @echo4 {{ ip saddr limit rate 100/second }} accept
		ip6 daddr {gateway6} icmpv6 type echo-request update @echo6 {{ ip6 saddr limit rate 100/second }} accept
		ct state established,related accept
		counter name "denied_address" drop
	}}
	chain forward {{
		type filter hook forward priority filter; policy accept;
		iifname "{device}" jump from_guest
		oifname "{device}" jump to_guest
{guard}	}}
	chain from_guest {{
		ct state invalid drop
		jump addresses
		oifname != {uplinks} counter name "denied_address" drop
		tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
		ct state established,related accept
{limits}{ports}		counter name "denied_port" drop
	}}
	chain to_guest {{
		tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
		ct state established,related accept
		drop
	}}
	chain postrouting {{
		type nat hook postrouting priority srcnat; policy accept;
		oifname {uplinks} ip saddr {inner4} meta l4proto {{ tcp, udp }} masquerade to :{NAT_PORTS}
		oifname {uplinks} ip saddr {inner4} masquerade
		oifname {uplinks} ip6 saddr {inner6} meta l4proto {{ tcp, udp }} masquerade to :{NAT_PORTS}
		oifname {uplinks} ip6 saddr {inner6} masquerade
	}}
}}
"#
    )
}

/// Renders the replacement of the networks that are the host's own, in one transaction; counters and what
/// guests have open stay.
pub fn own_script(spec: &ExitNatSpec, around: &ExitSurroundings) -> String {
    let (own4, own6) = own(spec, around);
    let mut script = String::new();
    for (set, nets) in [("own4", own4), ("own6", own6)] {
        let _ = writeln!(script, "flush set inet {EXIT_TABLE} {set}");
        let nets: Vec<String> = nets.iter().map(IpNet::to_string).collect();
        if !nets.is_empty() {
            let list = nets.join(", ");
            let _ = writeln!(script, "add element inet {EXIT_TABLE} {set} {{ {list} }}");
        }
    }
    script
}

/// What no guest reaches besides the policy's blocks, IPv4 and IPv6.
fn own(spec: &ExitNatSpec, around: &ExitSurroundings) -> (Vec<IpNet>, Vec<IpNet>) {
    let kept = |net: &&IpNet| !spec.policy.is_lab_internet(net);
    let own = around.own.iter().filter(kept).chain(&spec.also_deny);
    let own: Vec<IpNet> = own.copied().collect();
    IpNet::aggregate(&own)
        .into_iter()
        .partition(|net| matches!(net, IpNet::V4(_)))
}

fn sets(spec: &ExitNatSpec, around: &ExitSurroundings) -> String {
    let (own4, own6) = own(spec, around);
    let GuestLimits { guests, .. } = spec.limits;
    let meter = |name: &str, family: &str, flags: &str| {
        format!("\tset {name} {{\n\t\ttype {family}\n\t\tsize {guests}\n\t\tflags {flags}\n\t}}\n")
    };
    [
        net_set(
            "deny4",
            "ipv4_addr",
            spec.policy.denied_v4().iter().copied().map(IpNet::V4),
        ),
        net_set(
            "deny6",
            "ipv6_addr",
            spec.policy.denied_v6().iter().copied().map(IpNet::V6),
        ),
        net_set("own4", "ipv4_addr", own4),
        net_set("own6", "ipv6_addr", own6),
        meter("rate4", "ipv4_addr", "dynamic,timeout\n\t\ttimeout 1m"),
        meter("rate6", "ipv6_addr", "dynamic,timeout\n\t\ttimeout 1m"),
        meter("echo4", "ipv4_addr", "dynamic,timeout\n\t\ttimeout 1m"),
        meter("echo6", "ipv6_addr", "dynamic,timeout\n\t\ttimeout 1m"),
        meter("flows4", "ipv4_addr", "dynamic"),
        meter("flows6", "ipv6_addr", "dynamic"),
    ]
    .concat()
}

/// Turning forwarding on must open nothing for others.
fn guard(spec: &ExitNatSpec, around: &ExitSurroundings) -> String {
    let mut out = String::new();
    let device = &spec.device;
    if !around.opened_v4.is_empty() {
        let opened = quoted(&around.opened_v4);
        out.push_str(&format!(
            "\t\tmeta nfproto ipv4 iifname {opened} oifname != \"{device}\" drop\n"
        ));
    }
    if around.opened_v6 {
        out.push_str("\t\tmeta nfproto ipv6 drop\n");
    }
    out
}

fn limits(limits: &GuestLimits) -> String {
    let GuestLimits {
        new_flows_per_second: rate,
        new_flows_burst: burst,
        flows,
        ..
    } = limits;
    let mut out = String::new();
    for (family, ip) in [("4", "ip"), ("6", "ip6")] {
        out.push_str(&format!(
            "\t\tct state new update @rate{family} {{ {ip} saddr limit rate over {rate}/second \
             burst {burst} packets }} counter name \"denied_rate\" drop\n\
             \t\tct state new add @flows{family} {{ {ip} saddr ct count over {flows} }} \
             counter name \"denied_rate\" drop\n"
        ));
    }
    out
}

fn ports(policy: &ExitPolicy) -> String {
    let list = |ranges: &[PortRange]| {
        ranges
            .iter()
            .map(PortRange::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut out = String::new();
    for (word, (carried, refused)) in [("tcp", policy.ports().tcp()), ("udp", policy.ports().udp())]
    {
        if !refused.is_empty() {
            let refused = list(refused);
            out.push_str(&format!(
                "\t\t{word} dport {{ {refused} }} counter name \"denied_port\" drop\n"
            ));
        }
        out.push_str(&format!(
            "\t\t{word} dport {{ {} }} accept\n",
            list(carried)
        ));
    }
    out.push_str("\t\ticmp type echo-request accept\n\t\ticmpv6 type echo-request accept\n");
    out
}

fn quoted(devices: &[String]) -> String {
    let names: Vec<String> = devices.iter().map(|name| format!("\"{name}\"")).collect();
    format!("{{ {} }}", names.join(", "))
}
