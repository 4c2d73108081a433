//! The one task that owns the swarm.
//!
//! It waits for a command, for news of the network, or for the clock; everything it decides is
//! decided by a core: [`OfferIndex`], [`Herald`], [`Search`], [`Routing`], [`Strikes`]. Nothing in
//! here waits for a peer: a question to the network is put into [`Pending`] with its deadline.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::StreamExt as _;
use libp2p::kad::QueryId;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId, Swarm};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use warren_proto::{NodeId, NodeKey, UnixTime};

use crate::address::DialRules;
use crate::beacon::Beacon;
use crate::behaviour::Behaviour;
use crate::clock::{ClockWatch, Skew};
use crate::command::Command;
use crate::config::OverlayConfig;
use crate::counters::Counters;
use crate::error::OverlayError;
use crate::event::{OverlayEvent, OverlayStats, PeerInfo};
use crate::names::{self, Bucket, Names, Service};
use crate::offers::{Herald, OfferIndex};
use crate::peer;
use crate::pending::Pending;
use crate::routing::Routing;
use crate::strikes::Strikes;
use crate::translate::{News, news};

mod dht;
mod market;
mod reach;
mod seek;
mod tidings;

// Our choice.
/// How often time is noticed.
const TICK: Duration = Duration::from_millis(500);
/// What is over is swept out this often.
const SWEEP_EVERY: Duration = Duration::from_secs(15);
/// DHT questions under way.
const MAX_QUERIES: usize = 128;
/// Searches under way.
const MAX_SEEKS: usize = 8;
/// Nodes somebody waits to reach.
const MAX_WAITS: usize = 64;
/// How long a goodbye may take.
const GOODBYE_LIMIT: Duration = Duration::from_secs(1);

/// What a DHT question was asked for.
#[derive(Debug)]
enum Query {
    Bucket {
        seek: u64,
        service: Service,
        bucket: Bucket,
        nodes: BTreeSet<NodeId>,
    },
    Record {
        seek: u64,
        node: NodeId,
    },
    Store,
    Announce,
    Bootstrap,
}

impl Query {
    /// Whether this asks for the record under `key`: a holder may answer with any.
    fn asks_for(&self, key: &[u8]) -> bool {
        matches!(self, Self::Record { node, .. } if names::offer_key(node) == *key)
    }
}

/// A node this one is connected to.
#[derive(Debug)]
struct Peer {
    connections: u32,
    address: Multiaddr,
    outbound: bool,
    agent: Option<String>,
    rtt: Option<Duration>,
    asked_snapshot: bool,
    lost_pings: u32,
}

/// What the actor starts with.
pub(crate) struct Parts {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) names: Names,
    pub(crate) config: OverlayConfig,
    pub(crate) key: NodeKey,
    pub(crate) bootstrap: Vec<(PeerId, Multiaddr)>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) handle: mpsc::WeakSender<Command>,
    pub(crate) events: mpsc::Sender<OverlayEvent>,
    pub(crate) counters: Counters,
}

/// The overlay's only owner of the swarm.
pub(crate) struct Actor {
    it: Parts,
    node: NodeId,
    index: OfferIndex,
    dial_rules: DialRules,
    herald: Herald,
    beacon: Beacon,
    routing: Routing,
    strikes: Strikes,
    clock: ClockWatch,
    /// What was last said to be wrong with the clock.
    skew: Skew,
    /// Where the own offer says that this node is, as libp2p was told.
    offered_at: BTreeSet<Multiaddr>,
    peers: BTreeMap<PeerId, Peer>,
    listening: BTreeSet<Multiaddr>,
    queries: Pending<QueryKey, Query>,
    seeks: Pending<u64, seek::Seek>,
    next_seek: u64,
    reaching: Pending<u64, reach::Reaching>,
    next_wait: u64,
    dial_backs: BTreeMap<ConnectionId, PeerId>,
    rejoin_at: Instant,
    rejoin_gap: Duration,
    snapshots_asked: usize,
    sought: bool,
    sweep_at: Instant,
}

/// [`QueryId`] has no order of its own; its text has, and there are few.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct QueryKey(String);

impl From<QueryId> for QueryKey {
    fn from(id: QueryId) -> Self {
        Self(id.to_string())
    }
}

/// What the actor wakes up for.
enum Turn {
    Asked(Command),
    Heard(News),
    Tick,
}

/// The one place where the overlay reads the wall clock.
fn wall_clock() -> UnixTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl Actor {
    pub(crate) fn new(parts: Parts) -> Self {
        let now = Instant::now();
        let index = OfferIndex::new(parts.names.network(), parts.config.index);
        Self {
            node: parts.key.id(),
            index,
            dial_rules: DialRules::new(&parts.config),
            it: parts,
            herald: Herald::default(),
            beacon: Beacon::default(),
            routing: Routing::new(),
            strikes: Strikes::new(now),
            clock: ClockWatch::default(),
            skew: Skew::None,
            offered_at: BTreeSet::new(),
            peers: BTreeMap::new(),
            listening: BTreeSet::new(),
            queries: Pending::new(MAX_QUERIES),
            seeks: Pending::new(MAX_SEEKS),
            next_seek: 0,
            reaching: Pending::new(MAX_WAITS),
            next_wait: 0,
            dial_backs: BTreeMap::new(),
            rejoin_at: now,
            rejoin_gap: TICK,
            snapshots_asked: 0,
            sought: false,
            sweep_at: now,
        }
    }

    /// Runs until told to stop, or until nobody holds a handle any more.
    pub(crate) async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let asked_by = loop {
            let turn = tokio::select! {
                command = self.it.commands.recv() => match command {
                    Some(command) => Turn::Asked(command),
                    None => break None,
                },
                event = self.it.swarm.select_next_some() => Turn::Heard(news(event)),
                _ = tick.tick() => Turn::Tick,
            };
            match turn {
                Turn::Asked(Command::Shutdown { reply }) => break Some(reply),
                Turn::Asked(command) => self.obey(command),
                Turn::Heard(news) => self.take(news),
                Turn::Tick => self.tick(),
            }
        };
        self.leave().await;
        if let Some(reply) = asked_by {
            let _ = reply.send(Ok(()));
        }
    }

    /// Closes every connection in good order, as far as the others let it.
    async fn leave(mut self) {
        let peers: Vec<PeerId> = self.it.swarm.connected_peers().copied().collect();
        for peer in peers {
            let _ = self.it.swarm.disconnect_peer_id(peer);
        }
        let farewell = async {
            while self.it.swarm.connected_peers().next().is_some() {
                self.it.swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(GOODBYE_LIMIT, farewell).await.is_err() {
            tracing::debug!("some peers did not let go in time");
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Publish { offer, reply } => answer(reply, self.publish(*offer)),
            Command::Withdraw { reply } => answer(reply, self.withdraw()),
            Command::Free { places, reply } => answer(reply, self.free(places)),
            Command::Route { on, reply } => {
                self.route(on);
                answer(reply, Ok(()));
            }
            Command::Routers { reply } => self.seek_routers(reply),
            Command::OwnOffer { reply } => answer(reply, Ok(self.living_offer().cloned())),
            Command::Offers { query, reply } => answer(reply, Ok(self.rank(&query))),
            Command::Refresh { query, reply } => self.refresh(query, reply),
            Command::Reach { node, reply } => self.reach(node, reply),
            Command::Renew { node, reply } => self.renew(node, reply),
            Command::Dial { address, reply } => answer(reply, self.dial_address(&address)),
            Command::Contacts { reply } => answer(reply, Ok(self.contacts())),
            Command::Resolved { peer, addresses } => self.dial_bootstrap(peer, addresses),
            Command::Peers { reply } => answer(reply, Ok(self.peer_infos())),
            Command::Addresses { reply } => answer(reply, Ok(self.own_addresses())),
            Command::Stats { reply } => answer(reply, Ok(self.stats())),
            Command::Unknown { digest, reply } => answer(reply, Ok(self.unknown_to(&digest))),
            Command::Told { peer, offers } => self.told(&peer, &offers),
            Command::Untold => self.snapshots_asked = self.snapshots_asked.saturating_sub(1),
            Command::Shutdown { reply } => answer(reply, Ok(())),
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        self.insert_routes(now);
        self.drive_herald(&crate::offers::HeraldEvent::Tick);
        self.drive_beacon(now);
        self.give_up_late(now);
        self.rejoin_if_alone(now);
        self.drive_seeks();
        if now >= self.sweep_at {
            self.sweep_at = now + SWEEP_EVERY;
            self.sweep(now);
        }
    }

    fn sweep(&mut self, now: Instant) {
        for node in self.index.evict(wall_clock()) {
            self.tell(OverlayEvent::OfferLost { node });
        }
        self.it
            .swarm
            .behaviour_mut()
            .kad
            .store_mut()
            .forget_expired(now);
        for peer in self.strikes.pardon(now) {
            self.it.swarm.behaviour_mut().blocked.unblock_peer(peer);
        }
    }

    /// Says an event to whoever listens; news that finds no room is counted and dropped.
    fn tell(&self, event: OverlayEvent) {
        if self.it.events.try_send(event).is_err() {
            self.it.counters.count("event", "dropped");
        }
    }

    fn count(&self, area: &'static str, what: &'static str) {
        self.it.counters.count(area, what);
    }

    fn peer_infos(&self) -> Vec<PeerInfo> {
        let gossip = &self.it.swarm.behaviour().gossip;
        let info = |(id, it): (&PeerId, &Peer)| {
            Some(PeerInfo {
                node: peer::node_id(id)?,
                connections: it.connections,
                address: it.address.to_string(),
                outbound: it.outbound,
                agent: it.agent.clone(),
                rtt: it.rtt,
                score: gossip.peer_score(id),
            })
        };
        self.peers.iter().filter_map(info).collect()
    }

    fn own_addresses(&self) -> Vec<String> {
        let local = *self.it.swarm.local_peer_id();
        let full = |it: &Multiaddr| it.clone().with_p2p(local).unwrap_or_else(|it| it);
        let external = self.it.swarm.external_addresses();
        let all: BTreeSet<String> = external
            .chain(&self.listening)
            .map(|it| full(it).to_string())
            .collect();
        all.into_iter().collect()
    }

    fn stats(&mut self) -> OverlayStats {
        let skew = self.clock.skew(Instant::now());
        let behaviour = self.it.swarm.behaviour_mut();
        OverlayStats {
            peers: self.peers.len(),
            routing_table: behaviour
                .kad
                .kbuckets()
                .map(|bucket| bucket.num_entries())
                .sum(),
            mesh: behaviour
                .gossip
                .all_mesh_peers()
                .collect::<BTreeSet<_>>()
                .len(),
            offers: self.index.counts().offers,
            held: behaviour.kad.store_mut().held(),
            clock_behind: skew == Skew::Behind,
            clock_ahead: skew == Skew::Ahead,
            questions: self.queries.len() + self.seeks.len(),
            counters: self.it.counters.all(),
        }
    }
}

/// Answers; whoever asked may have stopped waiting, which is their right.
fn answer<T>(reply: oneshot::Sender<Result<T, OverlayError>>, result: Result<T, OverlayError>) {
    let _ = reply.send(result);
}
