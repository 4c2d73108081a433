//! A peer that keeps to libp2p's rules and to none of ours.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::time::Duration;

use futures::StreamExt as _;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::gossipsub::{self, IdentTopic, MessageAuthenticity};
use libp2p::kad::store::MemoryStore;
use libp2p::kad::{self, Quorum, Record, RecordKey};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm, Transport as _, identify, identity, quic,
    swarm,
};
use libp2p_stream::Control;
use tokio::sync::mpsc;

#[derive(NetworkBehaviour)]
struct Behaviour {
    kad: kad::Behaviour<MemoryStore>,
    gossip: gossipsub::Behaviour,
    identify: identify::Behaviour,
    streams: libp2p_stream::Behaviour,
}

enum Order {
    Say(Vec<u8>),
    Put(Vec<u8>, Vec<u8>),
    Provide(Vec<u8>, Vec<Multiaddr>),
}

/// A hostile peer, connected to one victim.
pub(crate) struct Mallory {
    pub(crate) victim: PeerId,
    pub(crate) control: Control,
    orders: mpsc::Sender<Order>,
}

impl Mallory {
    /// Connects to the victim and waits until it listens to our gossip.
    pub(crate) async fn meet(victim: &str) -> Self {
        let address: Multiaddr = victim.parse().unwrap();
        let Some(libp2p::multiaddr::Protocol::P2p(peer)) = address.iter().last() else {
            panic!("no peer in {victim}")
        };
        let mut swarm = swarm();
        let control = swarm.behaviour().streams.new_control();
        swarm
            .behaviour_mut()
            .kad
            .add_address(&peer, address.clone());
        swarm.dial(address).unwrap();
        let listens = async {
            loop {
                if let SwarmEvent::Behaviour(BehaviourEvent::Gossip(
                    gossipsub::Event::Subscribed { .. },
                )) = swarm.select_next_some().await
                {
                    break;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), listens)
            .await
            .expect("the victim listens");
        let (orders, inbox) = mpsc::channel(64);
        tokio::spawn(run(swarm, peer, inbox));
        Self {
            victim: peer,
            control,
            orders,
        }
    }

    /// Says bytes on the topic of all offers.
    pub(crate) async fn say(&self, bytes: Vec<u8>) {
        self.orders.send(Order::Say(bytes)).await.unwrap();
    }

    /// Puts bytes under a DHT key at the victim.
    pub(crate) async fn put(&self, key: Vec<u8>, bytes: Vec<u8>) {
        self.orders.send(Order::Put(key, bytes)).await.unwrap();
    }

    /// Announces at the victim that it provides a DHT key, at these addresses.
    pub(crate) async fn provide(&self, key: Vec<u8>, at: Vec<Multiaddr>) {
        self.orders.send(Order::Provide(key, at)).await.unwrap();
    }

    /// Opens a session stream to write whatever we like.
    pub(crate) async fn stream(&self) -> Stream {
        let protocol = StreamProtocol::new("/warren/session/1");
        self.control
            .clone()
            .open_stream(self.victim, protocol)
            .await
            .unwrap()
    }
}

async fn run(mut swarm: Swarm<Behaviour>, victim: PeerId, mut orders: mpsc::Receiver<Order>) {
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Say(bytes)) => {
                    let topic = IdentTopic::new("warren/1/offers/any");
                    swarm.behaviour_mut().gossip.publish(topic, bytes).unwrap();
                }
                Some(Order::Put(key, bytes)) => {
                    let record = Record::new(key, bytes);
                    let to = std::iter::once(victim);
                    swarm.behaviour_mut().kad.put_record_to(record, to, Quorum::One);
                }
                Some(Order::Provide(key, at)) => {
                    at.into_iter().for_each(|it| swarm.add_external_address(it));
                    swarm.behaviour_mut().kad.start_providing(RecordKey::new(&key)).unwrap();
                }
                None => return,
            },
            _ = swarm.select_next_some() => {}
        }
    }
}

fn swarm() -> Swarm<Behaviour> {
    let keypair = identity::Keypair::generate_ed25519();
    let local = keypair.public().to_peer_id();
    let transport = quic::tokio::Transport::new(quic::Config::new(&keypair))
        .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)))
        .boxed();
    let kad = kad::Config::new(StreamProtocol::new("/warren/kad/1"));
    let gossip = gossipsub::ConfigBuilder::default()
        .max_transmit_size(65536)
        .build()
        .unwrap();
    let behaviour = Behaviour {
        kad: kad::Behaviour::with_config(local, MemoryStore::new(local), kad),
        gossip: gossipsub::Behaviour::new(MessageAuthenticity::Signed(keypair.clone()), gossip)
            .unwrap(),
        identify: identify::Behaviour::new(identify::Config::new(
            "/warren/1".to_owned(),
            keypair.public(),
        )),
        streams: libp2p_stream::Behaviour::new(),
    };
    let config =
        swarm::Config::with_tokio_executor().with_idle_connection_timeout(Duration::from_secs(60));
    Swarm::new(transport, behaviour, local, config)
}
