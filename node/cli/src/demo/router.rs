//! The firewall scripts of the make-believe internet: home routers, and a web server that lets only exits in.

use super::plan::{Line, NAME_PORT, OVERLAY_PORT, Plan, Site, TUNNEL_PORT, WEB_PORT};

/// A home router: port-restricted masquerade for IPv4, a stateful firewall for both, and where asked for the ports
/// of a node forwarded. Nothing for other homes' private addresses gets out; what comes unasked is dropped silently, as most home routers do.
#[must_use]
pub fn home_router(site: &Site) -> String {
    let host = site.host_v4();
    let (nat, holes) = match site.line {
        Line::HomeForwarded => (
            format!(
                "iifname \"wan\" udp dport {{ {OVERLAY_PORT}, {TUNNEL_PORT} }} dnat to {host}\n\
                 iifname \"wan\" tcp dport {OVERLAY_PORT} dnat to {host}\n"
            ),
            format!(
                "iifname \"wan\" udp dport {{ {OVERLAY_PORT}, {TUNNEL_PORT} }} accept\n\
                 iifname \"wan\" tcp dport {OVERLAY_PORT} accept\n"
            ),
        ),
        Line::Open | Line::Home => (String::new(), String::new()),
    };
    format!(
        "table ip nat {{\n\
         chain incoming {{\ntype nat hook prerouting priority dstnat\n{nat}}}\n\
         chain outgoing {{\ntype nat hook postrouting priority srcnat\noifname \"wan\" masquerade\n}}\n}}\n\
         table inet filter {{\n\
         chain input {{\ntype filter hook input priority filter\n\
         iifname \"wan\" ct state established,related accept\n\
         iifname \"wan\" meta l4proto ipv6-icmp accept\n\
         iifname \"wan\" drop\n}}\n\
         chain through {{\ntype filter hook forward priority filter\n\
         oifname \"wan\" ip daddr {{ 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 }} drop\n\
         iifname \"wan\" ct state established,related accept\n{holes}\
         iifname \"wan\" meta l4proto ipv6-icmp accept\n\
         iifname \"wan\" drop\n}}\n}}\n"
    )
}

/// The firewall of web and name server: only the exits' public addresses get in; what else knocks is counted.
#[must_use]
pub fn web_firewall(plan: &Plan) -> String {
    let of = |pick: fn(&Site) -> String| plan.exits.iter().map(pick).collect::<Vec<_>>().join(", ");
    let (v4, v6) = (
        of(|it| it.public_v4().to_string()),
        of(|it| it.host_v6().to_string()),
    );
    format!(
        "table inet web {{\n\
         counter strangers {{\n}}\n\
         chain input {{\ntype filter hook input priority filter; policy drop\n\
         iif lo accept\n\
         meta l4proto ipv6-icmp accept\n\
         ct state established,related accept\n\
         ip saddr {{ {v4} }} tcp dport {{ {WEB_PORT}, {NAME_PORT} }} accept\n\
         ip6 saddr {{ {v6} }} tcp dport {{ {WEB_PORT}, {NAME_PORT} }} accept\n\
         ip saddr {{ {v4} }} udp dport {NAME_PORT} accept\n\
         ip6 saddr {{ {v6} }} udp dport {NAME_PORT} accept\n\
         counter name strangers\n}}\n}}\n"
    )
}
