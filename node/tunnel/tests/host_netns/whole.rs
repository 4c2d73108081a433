//! Both halves of this crate together: a real tunnel between two protected hosts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use warren_tunnel::host::{ConsumerHost, ExitHost, ExitNatSpec, KillSwitchSpec, MARK, RouteSpec};
use warren_tunnel::policy::{ExitPolicy, Preset};
use warren_tunnel::{
    ConsumerTunnel, DEFAULT_HANDSHAKE_LIMIT, DEFAULT_MTU, ExitSpec, ExitTunnel, Gate, GuestSpec,
    Offload, TunnelKey, TunnelSpec,
};

use crate::capture::{Capture, Seen};
use crate::kill_switch::journal;
use crate::lab::{ConsumerLab, Namespace, assert_same, can_run, net, sh};
use crate::probe::{ENDPOINT_PORT, NOBODY, send_udp, try_everything};

const EXIT4: &str = "203.0.113.2";
const BODY: usize = 3_000_000;

/// Puts an exit behind the lab's router; its uplink is `eth0`.
fn exit_host(lab: &ConsumerLab) -> Namespace {
    let exit = Namespace::new("x");
    sh(&format!(
        "ip -n {} link add eth0 type veth peer name r1 netns {}",
        exit.name, lab.router.name
    ));
    exit.sh("ip addr add 203.0.113.2/24 dev eth0; ip addr add 2001:db8:3::2/64 dev eth0 nodad");
    exit.sh("ip link set eth0 up");
    lab.router
        .sh("ip addr add 203.0.113.1/24 dev r1; ip addr add 2001:db8:3::1/64 dev r1 nodad");
    lab.router
        .sh("ip link set r1 up; sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    exit.sh("ip route add default via 203.0.113.1; ip -6 route add default via 2001:db8:3::1");
    lab.consumer.sh("ip link del warren0");
    exit.wait_up("eth0");
    exit
}

fn exit_spec(key: &TunnelKey) -> ExitSpec {
    ExitSpec {
        device: "warren-exit".to_owned(),
        listen: format!("[::]:{ENDPOINT_PORT}").parse().unwrap(),
        private_key: key.clone(),
        mtu: DEFAULT_MTU,
        gateway_v4: "10.77.0.1/16".parse().unwrap(),
        gateway_v6: "fd77:7761::1/64".parse().unwrap(),
        mark: None,
        handshake_limit: DEFAULT_HANDSHAKE_LIMIT,
        offload: Offload::Auto,
    }
}

fn tunnel_spec(key: &TunnelKey, exit: &TunnelKey) -> TunnelSpec {
    TunnelSpec {
        device: "warren0".to_owned(),
        private_key: key.clone(),
        peer_key: exit.public(),
        endpoints: vec![SocketAddr::new(EXIT4.parse().unwrap(), ENDPOINT_PORT)],
        port: 0,
        local_v4: Some(net::TUNNEL4.parse().unwrap()),
        local_v6: Some(net::TUNNEL6.parse().unwrap()),
        mtu: DEFAULT_MTU,
        keepalive: None,
        mark: Some(MARK),
        offload: Offload::Auto,
    }
}

/// Fetches some megabytes inside the tunnel and returns whom the server saw.
fn fetch(lab: &ConsumerLab, at: &str) -> String {
    let at = SocketAddr::new(at.parse().unwrap(), 443);
    let server = lab.router.run(|| TcpListener::bind(at).unwrap());
    std::thread::scope(|scope| {
        let serving = scope.spawn(move || {
            let (mut stream, from) = server.accept().unwrap();
            stream.write_all(&vec![7; BODY]).unwrap();
            from.ip().to_string()
        });
        let mut body = Vec::new();
        lab.consumer.run(|| {
            let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(20)).unwrap();
            stream.read_to_end(&mut body).unwrap();
        });
        assert_eq!(body.len(), BODY);
        serving.join().unwrap()
    })
}

#[test]
fn a_guest_reaches_the_web_through_the_exit_and_nothing_else_leaves() {
    if !can_run("a_guest_reaches_the_web_through_the_exit_and_nothing_else_leaves") {
        return;
    }
    let lab = ConsumerLab::new();
    let exit = exit_host(&lab);
    let ((_one, consumer_journal), (_two, exit_journal)) = (journal(), journal());
    let (consumer_before, exit_before) = (lab.consumer.snapshot(), exit.snapshot());
    let (key, exit_key) = (TunnelKey::generate(), TunnelKey::generate());

    let tunnel = exit.run(|| ExitTunnel::start(exit_spec(&exit_key)).unwrap());
    let policy = ExitPolicy::preset(Preset::WebAndDns).allow_documentation();
    let spec = ExitNatSpec {
        policy,
        ..ExitNatSpec::default()
    };
    let exit_side = exit
        .block_on(|| ExitHost::enable(&exit_journal, spec))
        .unwrap();
    let (v4, v6) = (net::TUNNEL4.parse().unwrap(), net::TUNNEL6.parse().unwrap());
    let guest = tunnel
        .add_guest(GuestSpec {
            peer_key: key.public(),
            v4,
            v6,
        })
        .unwrap();
    tunnel.set_gate(guest, Gate::Open).unwrap();

    // The order the daemon keeps: kill switch, endpoint, tunnel, routes.
    let endpoint = SocketAddr::new(EXIT4.parse().unwrap(), ENDPOINT_PORT);
    let last = SocketAddr::new(net::SERVER4.parse().unwrap(), 9999);
    let mut host = lab.consumer.block_on(|| async {
        let mut host = ConsumerHost::protect(&consumer_journal, &KillSwitchSpec::default())
            .await
            .unwrap();
        host.allow_endpoints(&[endpoint, last]).await.unwrap();
        host
    });
    let line = lab
        .consumer
        .run(|| ConsumerTunnel::up(tunnel_spec(&key, &exit_key)).unwrap());
    lab.consumer
        .block_on(|| async { host.route(&RouteSpec::default()).await.unwrap() });

    assert_eq!(fetch(&lab, net::SERVER4), EXIT4);
    assert_eq!(fetch(&lab, net::SERVER6), "2001:db8:3::2");
    let mut capture = Capture::start(&lab.router);
    try_everything(&lab.consumer, NOBODY);
    try_everything(&lab.consumer, 0);
    assert!(lab.consumer.run(|| send_udp(last, Some(MARK))));
    let seen = capture.until(|it| it.port == last.port());
    let own = [net::CONSUMER4, net::CONSUMER6, net::TUNNEL4, net::TUNNEL6];
    let leaked: Vec<&Seen> = seen
        .iter()
        .filter(|it| own.contains(&it.source.to_string().as_str()) && it.protocol != 58)
        .filter(|it| it.port != ENDPOINT_PORT && it.port != last.port())
        .collect();
    assert_eq!(leaked, Vec::<&Seen>::new());
    assert!(line.usage().down.bytes() > 2 * BODY as u64);

    assert!(lab.consumer.block_on(|| host.undo()).unwrap().is_clean());
    assert!(exit.block_on(|| exit_side.undo()).unwrap().is_clean());
    assert!(line.down().up.bytes() > 0);
    tunnel.stop();
    assert_same(&lab.consumer.snapshot(), &consumer_before, "consumer");
    assert_same(&exit.snapshot(), &exit_before, "exit");
}
