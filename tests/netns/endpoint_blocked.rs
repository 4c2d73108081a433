//! The exit's WireGuard port is blocked over one kind of IP: at the start, and in the middle of a session.

use std::net::IpAddr;

use warren::demo::plan::TUNNEL_PORT;
use warren_daemon::api::types::{ConsumerState, ConsumerView};

use crate::stage::{Stage, one_exit, two_exits};

#[test]
fn an_exit_blocked_over_one_kind_of_ip_serves_over_the_other_in_the_same_session() {
    let Some(mut stage) = Stage::set("blocked", &one_exit()) else {
        return;
    };
    let [v4, v6] = stage.world.plan().exits[0].public();
    block(&stage, v4);
    let capture = stage.capture();
    let view = stage.up(&["up"]);
    assert_eq!(uses(&view), Some(v6));
    let got = stage.download(1 << 20, 60);
    assert_eq!(got.map(|it| it.bytes), Some(1 << 20));

    block(&stage, v6);
    let got = stage.download(1 << 20, 60);
    assert_eq!(got.map(|it| it.bytes), Some(1 << 20), "found over IPv4");
    let after = stage.session_when("the session to go on over IPv4", |it| uses(it) == Some(v4));
    assert_eq!(
        (after.session, after.state),
        (view.session, ConsumerState::Active)
    );
    let summary = capture.finish(stage.world.plan()).expect("a whole capture");
    assert_eq!(summary.foreign, 0, "{:?}", summary.samples);
    stage.strike();
}

#[test]
fn an_exit_whose_tunnel_is_blocked_is_left_though_it_is_heard_beside_it() {
    let Some(mut stage) = Stage::set("cutoff", &two_exits()) else {
        return;
    };
    let view = stage.up(&["up", "--sort", "price"]);
    let exit = stage.world.plan().exits[stage.seller(&view)].public();
    swallow(&stage, &exit);
    // It is the user's own traffic that finds out.
    assert!(stage.download(1000, 3).is_none(), "nothing comes back");
    stage.session_when("the next exit", |it| {
        it.exit != view.exit && it.state == ConsumerState::Active
    });
    let got = stage.download(1 << 20, 60);
    assert_eq!(got.map(|it| it.bytes), Some(1 << 20));
    stage.strike();
}

/// Where the consumer's tunnel leads now.
fn uses(view: &ConsumerView) -> Option<IpAddr> {
    let endpoint: std::net::SocketAddr = view.tunnel.as_ref()?.endpoint.parse().ok()?;
    Some(endpoint.ip())
}

/// Makes the consumer's home router swallow WireGuard packets to this address, and to no other.
fn block(stage: &Stage, exit: IpAddr) {
    swallow(stage, &[exit]);
}

/// The same for each of these addresses.
fn swallow(stage: &Stage, exits: &[IpAddr]) {
    let rule = |exit: &IpAddr| {
        let family = if exit.is_ipv4() { "ip" } else { "ip6" };
        format!("{family} daddr {exit} udp dport {TUNNEL_PORT} drop\n")
    };
    let rules: String = exits.iter().map(rule).collect();
    let script = format!(
        "table inet blocked\ndelete table inet blocked\n\
         table inet blocked {{\nchain through {{\ntype filter hook forward priority filter - 10\n\
         {rules}}}\n}}\n"
    );
    let router = stage.world.router(&stage.world.plan().consumer);
    router.nft(&script).expect("a firewall that blocks");
}
