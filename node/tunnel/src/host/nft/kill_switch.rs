//! The consumer's kill switch as text.
//!
//! Sans-IO. Nothing leaves this host except through the tunnel, to the exit's endpoint under our
//! mark, or from our control threads. It names no tunnel address and needs no tunnel: it goes up
//! first and stays when the tunnel, or its process, is gone.
//!
//! Traps: raw packet sockets (DHCP clients, ARP) never pass this table; ARP is not in family
//! `inet` at all. A socket whose owner has closed it has no user id any more, so its last
//! packets are known by their connection mark.
//!
//! The other way too: whoever is at the far end of the tunnel only answers ([`guard_chain`]), with the kill
//! switch or, in a table of its own, without.

use std::fmt::Write as _;
use std::net::SocketAddr;

use ipnet::IpNet;

use super::{GUARD_TABLE, KILL_SWITCH_TABLE, elements_line, net_set};
use crate::host::{CONTROL_UID, DEVICE, LocalAccess, MARK};

/// What the kill switch lets pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KillSwitchSpec {
    /// The tunnel's device.
    pub device: String,
    /// Where marked WireGuard packets may go; more by
    /// [`allow_endpoints`](crate::host::ConsumerHost::allow_endpoints).
    pub endpoints: Vec<SocketAddr>,
    /// Networks that hold tunnel addresses: nothing reaches them from another device.
    pub inner: Vec<IpNet>,
    /// What goes beside the tunnel.
    pub local: LocalAccess,
}

impl Default for KillSwitchSpec {
    fn default() -> Self {
        Self {
            device: DEVICE.to_owned(),
            endpoints: Vec::new(),
            inner: crate::host::routes::default_inner(),
            local: LocalAccess::default(),
        }
    }
}

/// Renders the table. Replaces an older one in the same transaction.
pub fn kill_switch_script(spec: &KillSwitchSpec) -> String {
    let (table, device) = (KILL_SWITCH_TABLE, &spec.device);
    let (sets, guard) = (sets(spec), guard_chain(device));
    let local = local_rules(&spec.local);
    format!(
        r#"table inet {table}
delete table inet {table}
table inet {table} {{
	counter blocked {{ }}
	counter blocked_forward {{ }}
	counter blocked_probe {{ }}
{sets}	chain prerouting {{
		type filter hook prerouting priority raw; policy accept;
		iifname {{ "lo", "{device}" }} accept
		ip daddr @inner4 counter name "blocked_probe" drop
		ip6 daddr @inner6 counter name "blocked_probe" drop
	}}
{guard}	chain forward {{
		type filter hook forward priority filter; policy drop;
		oifname "{device}" accept
		iifname "{device}" ct state established,related accept
		counter name "blocked_forward" drop
	}}
	chain output {{
		type filter hook output priority filter; policy drop;
		oifname {{ "lo", "{device}" }} accept
		meta mark {MARK:#x} ip daddr . udp dport @endpoint4 accept
		meta mark {MARK:#x} ip6 daddr . udp dport @endpoint6 accept
		meta skuid {CONTROL_UID} ct mark set {MARK:#x} accept
		ct mark {MARK:#x} ct state established,related accept
		meta l4proto {{ tcp, udp }} th dport {{ 53, 853 }} counter name "blocked" drop
{local}		ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept
		ip6 daddr {{ ff02::1:2, fe80::/10 }} udp sport 546 udp dport 547 accept
		ip6 hoplimit 255 icmpv6 type {{ nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert }} accept
		ip6 hoplimit 1 icmpv6 type {{ mld-listener-report, mld-listener-done, mld2-listener-report }} accept
		counter name "blocked" drop
	}}
}}
"#
    )
}

/// Those networks have no way out of them but by narrow routes, while a tunnel is up; a service answers, and does not begin.
fn local_rules(local: &LocalAccess) -> String {
    let mut rules = String::new();
    for net in local.networks() {
        let family = match net {
            IpNet::V4(_) => "ip",
            IpNet::V6(_) => "ip6",
        };
        let _ = writeln!(rules, "\t\t{family} daddr {net} accept");
    }
    for port in &local.inbound_tcp {
        let _ = writeln!(
            rules,
            "\t\ttcp sport {port} tcp flags & (syn | ack) != syn accept"
        );
    }
    rules
}

/// Renders the table of a consumer without a kill switch: what comes out of the tunnel is guarded all the same.
pub fn guard_script(device: &str) -> String {
    let (table, guard) = (GUARD_TABLE, guard_chain(device));
    format!("table inet {table}\ndelete table inet {table}\ntable inet {table} {{\n{guard}}}\n")
}

/// An exit is a stranger at the far end of a wire: what it says without having been asked reaches neither a
/// listener here nor, by somebody's port forwarding, one behind us. Before destination NAT, so it is the whole way in.
///
/// Router and neighbour discovery (RFC 4861, types 133 to 137) has no place in a tunnel, and the kernel would
/// believe it: a router advertisement leads table main, so our own sockets, through the exit. A redirect
/// (RFC 792, type 5) counts as related to a flow, so it comes before the flows too.
fn guard_chain(device: &str) -> String {
    format!(
        r#"	counter unasked {{ }}
	chain guard {{
		type filter hook prerouting priority mangle; policy accept;
		iifname != "{device}" accept
		icmpv6 type {{ 133, 134, 135, 136, 137 }} counter name "unasked" drop
		icmp type redirect counter name "unasked" drop
		ip6 saddr fe80::/10 counter name "unasked" drop
		ct state established,related accept
		counter name "unasked" drop
	}}
"#
    )
}

/// Renders the replacement of the endpoints, in one transaction.
pub fn endpoints_script(endpoints: &[SocketAddr]) -> String {
    let mut script = String::new();
    for (set, elements) in [
        ("endpoint4", endpoints4(endpoints)),
        ("endpoint6", endpoints6(endpoints)),
    ] {
        let _ = writeln!(script, "flush set inet {KILL_SWITCH_TABLE} {set}");
        if !elements.is_empty() {
            let list = elements.join(", ");
            let _ = writeln!(
                script,
                "add element inet {KILL_SWITCH_TABLE} {set} {{ {list} }}"
            );
        }
    }
    script
}

fn sets(spec: &KillSwitchSpec) -> String {
    let (inner4, inner6): (Vec<IpNet>, Vec<IpNet>) = IpNet::aggregate(&spec.inner)
        .into_iter()
        .partition(|net| matches!(net, IpNet::V4(_)));
    let endpoint_set = |name: &str, family: &str, elements: &[String]| {
        let elements = elements_line(elements);
        format!("\tset {name} {{\n\t\ttype {family} . inet_service\n{elements}\t}}\n")
    };
    [
        endpoint_set("endpoint4", "ipv4_addr", &endpoints4(&spec.endpoints)),
        endpoint_set("endpoint6", "ipv6_addr", &endpoints6(&spec.endpoints)),
        net_set("inner4", "ipv4_addr", inner4),
        net_set("inner6", "ipv6_addr", inner6),
    ]
    .concat()
}

fn endpoints4(endpoints: &[SocketAddr]) -> Vec<String> {
    let mut out: Vec<String> = endpoints
        .iter()
        .filter(|it| it.is_ipv4())
        .map(|it| format!("{} . {}", it.ip(), it.port()))
        .collect();
    out.sort_unstable();
    out.dedup();
    out
}

fn endpoints6(endpoints: &[SocketAddr]) -> Vec<String> {
    let mut out: Vec<String> = endpoints
        .iter()
        .filter(|it| it.is_ipv6())
        .map(|it| format!("{} . {}", it.ip(), it.port()))
        .collect();
    out.sort_unstable();
    out.dedup();
    out
}
