//! Two engines back to back: what one sends, the other takes, with nothing between.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test's helper")]
#![allow(dead_code, reason = "each test uses some of it")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use warren_proto::TunnelPublicKey;
use warren_tunnel::engine::{ConsumerEngine, ExitEngine, Inbox, Origin, Outbox, Received};
use warren_tunnel::{
    DEFAULT_HANDSHAKE_LIMIT, DEFAULT_KEEPALIVE, DEFAULT_MTU, ExitSpec, Gate, GuestId, GuestSpec,
    KeyLimits, Offload, TunnelKey, TunnelSpec,
};

pub(crate) const GUEST_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
pub(crate) const GUEST_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0x7761, 0, 0, 0, 0, 0, 2);
pub(crate) const SERVER_V4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
pub(crate) const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 9);

/// Where the consumer is seen at first, where it is seen later, and where the exit is.
pub(crate) fn home() -> SocketAddr {
    "192.0.2.1:1111".parse().unwrap()
}
pub(crate) fn away() -> SocketAddr {
    "192.0.2.99:2222".parse().unwrap()
}
pub(crate) fn exit_address() -> SocketAddr {
    "198.51.100.2:41820".parse().unwrap()
}

/// An exit alone.
pub(crate) fn exit_engine(key: TunnelKey, handshake_limit: u64) -> ExitEngine {
    ExitEngine::new(&exit_spec(key, handshake_limit))
}

fn exit_spec(key: TunnelKey, handshake_limit: u64) -> ExitSpec {
    ExitSpec {
        device: "warren0".to_owned(),
        listen: "[::]:0".parse().unwrap(),
        private_key: key,
        mtu: DEFAULT_MTU,
        gateway_v4: "10.77.0.1/16".parse().unwrap(),
        gateway_v6: "fd77:7761::1/64".parse().unwrap(),
        mark: None,
        handshake_limit,
        offload: Offload::Off,
    }
}

/// A consumer of the exit with this key.
pub(crate) fn consumer_spec(
    key: TunnelKey,
    exit: TunnelPublicKey,
    v4: Ipv4Addr,
    v6: Ipv6Addr,
) -> TunnelSpec {
    TunnelSpec {
        device: "warren0".to_owned(),
        private_key: key,
        peer_key: exit,
        endpoints: vec![exit_address()],
        port: 0,
        local_v4: Some(v4),
        local_v6: Some(v6),
        mtu: DEFAULT_MTU,
        keepalive: Some(DEFAULT_KEEPALIVE),
        mark: None,
        offload: Offload::Off,
    }
}

/// A consumer and its exit.
pub(crate) struct Pair {
    pub(crate) consumer: ConsumerEngine,
    pub(crate) exit: ExitEngine,
    pub(crate) guest: GuestId,
    pub(crate) exit_key: TunnelPublicKey,
    pub(crate) from: SocketAddr,
}

impl Pair {
    /// Not yet shaken hands; the gate is shut.
    pub(crate) fn strangers(local: Ipv4Addr, handshake_limit: u64) -> Self {
        Self::with_keys(local, handshake_limit, KeyLimits::WIREGUARD)
    }

    /// The same, with keys that wear out sooner.
    pub(crate) fn with_keys(local: Ipv4Addr, handshake_limit: u64, limits: KeyLimits) -> Self {
        Self::made(local, handshake_limit, [limits; 2])
    }

    /// An exit whose keys wear out sooner, and a consumer that does not know it.
    pub(crate) fn careless(exit: KeyLimits) -> Self {
        Self::made(
            GUEST_V4,
            DEFAULT_HANDSHAKE_LIMIT,
            [exit, KeyLimits::WIREGUARD],
        )
    }

    fn made(local: Ipv4Addr, handshake_limit: u64, limits: [KeyLimits; 2]) -> Self {
        let (exit_key, guest_key) = (TunnelKey::generate(), TunnelKey::generate());
        let peer_key = exit_key.public();
        let exit = ExitEngine::with_limits(&exit_spec(exit_key, handshake_limit), limits[0]);
        let guest = GuestSpec {
            peer_key: guest_key.public(),
            v4: GUEST_V4,
            v6: GUEST_V6,
        };
        let guest = exit.add_guest(guest).unwrap();
        let spec = consumer_spec(guest_key, peer_key, local, GUEST_V6);
        let consumer = ConsumerEngine::with_limits(&spec, limits[1]);
        Self {
            consumer,
            exit,
            guest,
            exit_key: peer_key,
            from: home(),
        }
    }

    /// Shaken hands, gate open.
    pub(crate) fn connected() -> Self {
        Self::connected_from(GUEST_V4)
    }

    /// Like [`Pair::connected`], for a consumer that claims another inner address.
    pub(crate) fn connected_from(local: Ipv4Addr) -> Self {
        let pair = Self::strangers(local, DEFAULT_HANDSHAKE_LIMIT);
        pair.shake_hands();
        pair.exit.set_gate(pair.guest, Gate::Open).unwrap();
        pair
    }

    /// Exchanges datagrams until nobody has any more.
    pub(crate) fn shake_hands(&self) {
        let mut out = outbox();
        self.consumer.connect(&mut out);
        let mut there = datagrams(&out);
        for _ in 0..4 {
            let back: Vec<_> = there.iter().flat_map(|it| self.to_exit(it).1).collect();
            there = back.iter().flat_map(|it| self.to_consumer(it).1).collect();
        }
    }

    /// Hands the exit a datagram; what comes out of its device side, and what it answers.
    pub(crate) fn to_exit(&self, datagram: &[u8]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let (mut inbox, mut out) = (inbox(), outbox());
        let origin = Origin {
            from: self.from.into(),
            at: Instant::now(),
        };
        self.exit
            .open_datagrams(Received::one(origin, datagram), &mut inbox, &mut out);
        self.exit.written_all(&inbox);
        self.exit.sent_all(&out);
        (packets(&inbox), datagrams(&out))
    }

    /// Hands the consumer a datagram of its exit.
    pub(crate) fn to_consumer(&self, datagram: &[u8]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        self.to_consumer_from(exit_address(), datagram)
    }

    /// The same, from elsewhere.
    pub(crate) fn to_consumer_from(
        &self,
        from: SocketAddr,
        datagram: &[u8],
    ) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let (mut inbox, mut out) = (inbox(), outbox());
        let origin = Origin {
            from: from.into(),
            at: Instant::now(),
        };
        self.consumer
            .open_datagrams(Received::one(origin, datagram), &mut inbox, &mut out);
        self.consumer.written_all(&inbox);
        self.consumer.sent_all(&out);
        (packets(&inbox), datagrams(&out))
    }

    /// Seals at the consumer.
    pub(crate) fn up(&self, packet: &[u8]) -> Vec<Vec<u8>> {
        let mut out = outbox();
        self.consumer.seal_packet(packet, &mut out);
        self.consumer.sent_all(&out);
        datagrams(&out)
    }

    /// Seals at the exit.
    pub(crate) fn down(&self, packet: &[u8]) -> Vec<Vec<u8>> {
        let mut out = outbox();
        self.exit.seal_packet(packet, &mut out);
        self.exit.sent_all(&out);
        datagrams(&out)
    }

    pub(crate) fn endpoint(&self) -> Option<SocketAddr> {
        self.exit
            .guest_state(self.guest, Instant::now())
            .unwrap()
            .endpoint
    }
}

pub(crate) fn outbox() -> Outbox {
    Outbox::new(1 << 20, 1024)
}

pub(crate) fn inbox() -> Inbox {
    Inbox::new(1 << 20, 1024)
}

pub(crate) fn datagrams(out: &Outbox) -> Vec<Vec<u8>> {
    out.items()
        .iter()
        .map(|item| out.bytes(item).to_vec())
        .collect()
}

pub(crate) fn packets(inbox: &Inbox) -> Vec<Vec<u8>> {
    inbox
        .items()
        .iter()
        .map(|item| inbox.bytes(item).to_vec())
        .collect()
}

/// An inner IP packet of no particular protocol.
pub(crate) fn packet(source: IpAddr, destination: IpAddr, payload: usize) -> Vec<u8> {
    let mut packet = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let len = u16::try_from(20 + payload).unwrap().to_be_bytes();
            let mut header = vec![0x45, 0, len[0], len[1], 0, 0, 0, 0, 64, 253, 0, 0];
            header.extend(source.octets());
            header.extend(destination.octets());
            header
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let len = u16::try_from(payload).unwrap().to_be_bytes();
            let mut header = vec![0x60, 0, 0, 0, len[0], len[1], 253, 64];
            header.extend(source.octets());
            header.extend(destination.octets());
            header
        }
        _ => panic!("both ends speak one IP"),
    };
    packet.extend((0..=250).cycle().take(payload));
    packet
}

/// From the guest to the server.
pub(crate) fn to_server(payload: usize) -> Vec<u8> {
    packet(GUEST_V4.into(), SERVER_V4.into(), payload)
}

/// From the server to the guest.
pub(crate) fn to_guest(payload: usize) -> Vec<u8> {
    packet(SERVER_V4.into(), GUEST_V4.into(), payload)
}
