//! The kill switch: what gets out and what does not, seen from the router.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use warren_tunnel::host::{
    ConsumerHost, HostError, KillSwitchSpec, RouteSpec, adopt_control_uid, check_consumer, recover,
};

use crate::capture::{Capture, Seen};
use crate::holder::{Holder, Stage};
use crate::lab::{ConsumerLab, assert_same, can_run, net, sh};
use crate::probe::{ENDPOINT_PORT, NOBODY, begin_tcp, send_marked, send_udp};
use crate::probe::{try_as_nobody, try_everything};

pub(crate) fn endpoint(server: &str) -> SocketAddr {
    SocketAddr::new(server.parse().unwrap(), ENDPOINT_PORT)
}

pub(crate) fn spec() -> KillSwitchSpec {
    KillSwitchSpec {
        endpoints: vec![endpoint(net::SERVER4), endpoint(net::SERVER6)],
        ..KillSwitchSpec::default()
    }
}

/// A journal in a folder that goes away with the test.
pub(crate) fn journal() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("undo.jsonl");
    (folder, path)
}

/// The consumer with the kill switch of [`spec`] up.
pub(crate) fn protected(lab: &ConsumerLab, journal: &Path) -> ConsumerHost {
    let host = || async { ConsumerHost::protect(journal, &spec()).await.unwrap() };
    lab.consumer.block_on(host)
}

/// Packets of the consumer that say something to anybody: all but neighbour discovery, multicast
/// listener reports, and the tunnel's own.
pub(crate) fn leaks(capture: &mut Capture, lab: &ConsumerLab) -> Vec<Seen> {
    let own =
        [net::CONSUMER4, net::CONSUMER6, net::TUNNEL4, net::TUNNEL6].map(|it| it.parse().unwrap());
    for server in [net::SERVER4, net::SERVER6] {
        send_marked(&lab.consumer, server);
    }
    let last = endpoint(net::SERVER6);
    let is_tunnel = |it: &Seen| it.protocol == 17 && it.port == ENDPOINT_PORT;
    let seen = capture.until(|it| is_tunnel(it) && it.destination == last.ip());
    let discovery = |it: &Seen| it.protocol == 58 && !it.destination.to_string().contains(":2::");
    seen.into_iter()
        .filter(|it| own.contains(&it.source) && !is_tunnel(it) && !discovery(it))
        .collect()
}

#[test]
fn without_a_kill_switch_the_tap_sees_everything() {
    if !can_run("without_a_kill_switch_the_tap_sees_everything") {
        return;
    }
    let lab = ConsumerLab::new();
    let mut capture = Capture::start(&lab.router);
    try_everything(&lab.consumer, NOBODY);
    let seen = leaks(&mut capture, &lab);
    // Both families, UDP and TCP, four ports each; echo of both; three broadcasts and multicasts.
    let protocols: Vec<usize> = [6, 17, 1, 58]
        .map(|it| seen.iter().filter(|p| p.protocol == it).count())
        .into();
    assert_eq!(protocols[0], 8, "{seen:#?}");
    assert!(
        protocols[1] >= 8 && protocols[2] == 1 && protocols[3] == 1,
        "{seen:#?}"
    );
}

#[test]
fn nothing_leaks_of_anybody_with_or_without_a_tunnel() {
    if !can_run("nothing_leaks_of_anybody_with_or_without_a_tunnel") {
        return;
    }
    let lab = ConsumerLab::new();
    let (_folder, path) = journal();
    let mut host = protected(&lab, &path);
    let mut capture = Capture::start(&lab.router);

    let attempt = |capture: &mut Capture, when: &str| {
        try_everything(&lab.consumer, NOBODY);
        try_everything(&lab.consumer, 0);
        try_as_nobody(&lab.consumer);
        assert_eq!(leaks(capture, &lab), [], "{when}");
    };
    attempt(&mut capture, "before there is a tunnel");
    let counted = lab.consumer.sh("nft list counter inet warren blocked");
    assert!(!counted.contains("packets 0 "), "{counted}");

    lab.consumer
        .block_on(|| async { host.route(&RouteSpec::default()).await.unwrap() });
    let mut tunnel = Capture::start(&lab.far_end);
    attempt(&mut capture, "while the tunnel carries");
    lab.consumer
        .run(|| assert!(send_udp("198.51.100.1:7777".parse().unwrap(), None)));
    let carried = tunnel.until(|it| it.port == 7777);
    assert!(
        carried
            .iter()
            .any(|it| it.protocol == 6 && it.destination.is_ipv4())
    );
    assert!(
        carried
            .iter()
            .any(|it| it.protocol == 6 && it.destination.is_ipv6())
    );
    assert!(carried.iter().any(|it| it.port == 53));

    lab.consumer
        .sh("ip route flush table 7761; ip -6 route flush table 7761");
    attempt(&mut capture, "after somebody flushed the tunnel's routes");
    lab.consumer.sh("ip link del warren0");
    attempt(&mut capture, "after the tunnel's device is gone");
    lab.consumer.sh("ip route add 198.51.100.0/25 via 192.0.2.1; ip -6 route add 2001:db8:2::/64 via 2001:db8:1::1");
    attempt(&mut capture, "after a neighbour injected narrower routes");

    let report = lab.consumer.block_on(|| host.undo()).unwrap();
    assert!(report.is_clean(), "{report}");
}

#[test]
fn control_threads_pass_beside_the_tunnel_and_nobody_else_does() {
    if !can_run("control_threads_pass_beside_the_tunnel_and_nobody_else_does") {
        return;
    }
    let lab = ConsumerLab::new();
    let (_folder, path) = journal();
    let mut host = protected(&lab, &path);
    lab.consumer
        .block_on(|| async { host.route(&RouteSpec::default()).await.unwrap() });
    let mut capture = Capture::start(&lab.router);

    let (to4, to6) = (
        format!("{}:4077", net::SERVER4),
        format!("[{}]:4077", net::SERVER6),
    );
    lab.consumer.run(|| {
        adopt_control_uid().unwrap();
        for to in [&to4, &to6] {
            assert!(send_udp(to.parse().unwrap(), None));
            begin_tcp(to.parse().unwrap());
        }
    });
    let passed = leaks(&mut capture, &lab);
    assert_eq!(passed.len(), 4, "UDP and TCP of both families: {passed:#?}");
    assert!(passed.iter().all(|it| it.port == 4077), "{passed:#?}");
    assert!(
        passed
            .iter()
            .all(|it| [net::CONSUMER4, net::CONSUMER6].contains(&it.source.to_string().as_str()))
    );

    lab.consumer.run(|| {
        for to in [&to4, &to6] {
            send_udp(to.parse().unwrap(), None);
        }
    });
    assert_eq!(
        leaks(&mut capture, &lab),
        [],
        "the same from a plain thread"
    );
    // A mark alone is no pass: only the exit's endpoint is.
    lab.consumer
        .run(|| send_udp(to4.parse().unwrap(), Some(warren_tunnel::host::MARK)));
    assert_eq!(
        leaks(&mut capture, &lab),
        [],
        "marked, but to somewhere else"
    );
    let report = lab.consumer.block_on(|| host.undo()).unwrap();
    assert!(report.is_clean(), "{report}");
}

#[test]
fn forwarded_packets_do_not_leak_and_probes_do_not_reach_the_tunnel_address() {
    if !can_run("forwarded_packets_do_not_leak_and_probes_do_not_reach_the_tunnel_address") {
        return;
    }
    let lab = ConsumerLab::new();
    let (_folder, path) = journal();
    // A guest machine behind the consumer, as a container or a hotspot would be.
    let (consumer, guest) = (&lab.consumer, crate::lab::Namespace::new("g"));
    sh(&format!(
        "ip -n {} link add g0 type veth peer name eth0 netns {}",
        consumer.name, guest.name
    ));
    consumer.sh(
        "ip addr add 192.168.99.1/24 dev g0; ip link set g0 up; sysctl -qw net.ipv4.ip_forward=1",
    );
    guest.sh("ip addr add 192.168.99.2/24 dev eth0; ip link set eth0 up; ip route add default via 192.168.99.1");
    lab.router
        .sh("ip route add 192.168.99.0/24 via 192.0.2.2; ip route add 10.77.0.2/32 via 192.0.2.2");
    let to: SocketAddr = "198.51.100.1:443".parse().unwrap();

    let host = consumer.block_on(|| async { ConsumerHost::protect(&path, &spec()).await.unwrap() });
    let mut capture = Capture::start(&lab.router);
    let witness = consumer.run(|| std::net::UdpSocket::bind("192.168.99.1:9").unwrap());
    guest.run(|| assert!(send_udp(to, None) && send_udp("192.168.99.1:9".parse().unwrap(), None)));
    witness.recv(&mut [0; 8]).unwrap(); // It came after the other one.
    send_marked(consumer, net::SERVER4);
    let seen = capture.until(|it| it.port == ENDPOINT_PORT);
    assert!(
        !seen
            .iter()
            .any(|it| it.source.to_string() == "192.168.99.2"),
        "{seen:#?}"
    );

    // CVE-2019-14899: somebody on the wire asks whether we hold a tunnel address.
    let listener = consumer.run(|| std::net::UdpSocket::bind("10.77.0.2:5000").unwrap());
    lab.router
        .run(|| assert!(send_udp("10.77.0.2:5000".parse().unwrap(), None)));
    let outside = consumer.run(|| std::net::UdpSocket::bind("192.0.2.2:5000").unwrap());
    lab.router
        .run(|| assert!(send_udp("192.0.2.2:5000".parse().unwrap(), None)));
    outside.recv(&mut [0; 8]).unwrap();
    listener.set_nonblocking(true).unwrap();
    assert!(
        listener.recv(&mut [0; 8]).is_err(),
        "the probe reached the tunnel address"
    );
    consumer.block_on(|| host.undo()).unwrap();
}

#[test]
fn it_survives_kill_nine_and_only_recover_takes_it_away() {
    if !can_run("it_survives_kill_nine_and_only_recover_takes_it_away") {
        return;
    }
    let lab = ConsumerLab::new();
    let (folder, path) = journal();
    let before = lab.consumer.snapshot();
    let mut holder = Holder::spawn(&lab.consumer, folder.path(), Stage::All, None);
    holder.wait_ready();
    let busy = lab.consumer.block_on(|| recover(&path));
    assert!(
        matches!(busy, Err(HostError::JournalBusy { .. })),
        "{busy:?}"
    );
    holder.kill_nine();

    let mut capture = Capture::start(&lab.router);
    try_everything(&lab.consumer, NOBODY);
    try_everything(&lab.consumer, 0);
    assert_eq!(leaks(&mut capture, &lab), [], "after kill -9");

    let report = lab.consumer.block_on(|| recover(&path)).unwrap();
    assert!(report.is_clean() && report.undone() > 10, "{report}");
    assert_same(&lab.consumer.snapshot(), &before, "after undo");
    let again = lab.consumer.block_on(|| recover(&path)).unwrap();
    assert_eq!(again.changes, []);
}

#[test]
fn a_new_process_takes_the_kill_switch_over_without_a_gap() {
    if !can_run("a_new_process_takes_the_kill_switch_over_without_a_gap") {
        return;
    }
    let lab = ConsumerLab::new();
    let (folder, path) = journal();
    let before = lab.consumer.snapshot();
    let mut holder = Holder::spawn(&lab.consumer, folder.path(), Stage::All, None);
    holder.wait_ready();
    holder.kill_nine();
    let host = protected(&lab, &path);
    assert_eq!(
        host.changes(),
        ["firewall table inet warren"],
        "routes of the dead are gone"
    );
    let mut capture = Capture::start(&lab.router);
    try_everything(&lab.consumer, NOBODY);
    assert_eq!(leaks(&mut capture, &lab), []);
    drop(host);
    try_everything(&lab.consumer, NOBODY);
    assert_eq!(
        leaks(&mut capture, &lab),
        [],
        "a dropped handle undoes nothing"
    );
    assert!(lab.consumer.block_on(|| recover(&path)).unwrap().is_clean());
    assert_same(&lab.consumer.snapshot(), &before, "after undo");
}

#[test]
fn a_consumer_in_the_tunnels_own_net_is_refused_and_not_cut_off() {
    if !can_run("a_consumer_in_the_tunnels_own_net_is_refused_and_not_cut_off") {
        return;
    }
    let (lab, (_folder, path)) = (ConsumerLab::new(), journal());
    let consumer = &lab.consumer;
    lab.router.sh("ip addr add 10.77.5.1/24 dev r0");
    let own = consumer.run(|| UdpSocket::bind("0.0.0.0:7000").unwrap());
    own.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // What a dead process blocked stays blocked, wherever the machine is by now.
    drop(protected(&lab, &path));
    consumer.sh("ip addr add 10.77.5.9/24 dev eth0");
    let wall = spec();
    let adopted = consumer.block_on(|| ConsumerHost::adopt(&path, &wall));
    let adopted = adopted.unwrap().unwrap();
    assert!(consumer.block_on(|| adopted.undo()).unwrap().is_clean());

    let before = consumer.snapshot();
    let refused = consumer.block_on(|| ConsumerHost::protect(&path, &wall));
    let Err(HostError::InTheWay(found)) = refused else {
        panic!("{refused:?}");
    };
    assert!(found.to_string().contains("10.77.5.9 of eth0"), "{found}");
    assert_same(&consumer.snapshot(), &before, "after a refusal");
    assert!(!path.exists());
    let checked = consumer.block_on(check_consumer);
    assert!(checked.contains(&found), "{checked:?}");
    let to = "10.77.5.9:7000".parse().unwrap();
    lab.router.run(|| assert!(send_udp(to, None)));
    own.recv(&mut [0; 8]).unwrap();
}
