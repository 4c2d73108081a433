//! Reaching nodes: to join, to open a session, to measure.

use std::time::{Duration, Instant};

use libp2p::swarm::ConnectionId;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId};
use warren_proto::NodeId;

use super::{Actor, Query, answer, wall_clock};
use crate::address;
use crate::chance::somewhere;
use crate::command::Reply;
use crate::error::OverlayError;
use crate::offers::{HeraldEvent, OfferQuery};
use crate::{lookup, peer, snapshot};

// Our choice.
/// Reaching a node takes this long at most.
pub(super) const REACH_LIFE: Duration = Duration::from_secs(15);
/// Addresses of one node tried at once.
const MAX_ADDRESSES: usize = 8;
/// The longest gap between two tries to join while nearly alone.
const MAX_REJOIN_GAP: Duration = Duration::from_secs(60);
/// Pings lost in a row before a connection counts as dead.
const MAX_LOST_PINGS: u32 = 2;
/// With so few peers it is tried to join, lest those be all that this node ever hears of.
const FEW_PEERS: usize = 3;
/// Addresses told for the next start.
const MAX_CONTACTS: usize = 32;
/// How many peers are asked for what they know.
const SNAPSHOTS: usize = 3;

/// Somebody waits to reach a node.
#[derive(Debug)]
pub(super) struct Reaching {
    node: NodeId,
    peer: PeerId,
    /// The dial under way. `None` if somebody else's dial is waited for.
    connection: Option<ConnectionId>,
    reply: Reply<()>,
}

impl Actor {
    pub(super) fn reach(&mut self, node: NodeId, reply: Reply<()>) {
        let Some(peer) = peer::peer_id(&node) else {
            let why = "its id is no valid key".to_owned();
            return answer(reply, Err(OverlayError::Unreachable { node, why }));
        };
        if self.it.swarm.is_connected(&peer) {
            return answer(reply, Ok(()));
        }
        let connection = match self.dial_node(&node, peer) {
            Ok(connection) => connection,
            Err(why) => return answer(reply, Err(OverlayError::Unreachable { node, why })),
        };
        self.wait(Reaching {
            node,
            peer,
            connection,
            reply,
        });
    }

    fn wait(&mut self, waiting: Reaching) {
        let (id, now) = (self.wait_id(), Instant::now());
        if let Err(it) = self.reaching.add(id, waiting, now, REACH_LIFE) {
            answer(
                it.reply,
                Err(OverlayError::Busy {
                    limit: self.reaching.limit(),
                }),
            );
        }
    }

    /// Lets go of connections that carry nothing any more, and reaches the node again.
    ///
    /// A connection whose path is gone (another network, a route withdrawn) looks alive until two
    /// pings are lost, half a minute later.
    pub(super) fn renew(&mut self, node: NodeId, reply: Reply<()>) {
        let known = peer::peer_id(&node).filter(|it| self.it.swarm.is_connected(it));
        let Some(peer) = known else {
            return self.reach(node, reply);
        };
        self.count("peer", "renewed");
        self.wait(Reaching {
            node,
            peer,
            connection: None,
            reply,
        });
        let _ = self.it.swarm.disconnect_peer_id(peer);
    }

    /// A node is gone that somebody waits to reach: dial it now.
    pub(super) fn reach_again(&mut self, peer: PeerId) {
        for waiting in self.reaching.take_if(|_, it| it.peer == peer) {
            self.reach(waiting.node, waiting.reply);
        }
    }

    fn wait_id(&mut self) -> u64 {
        self.next_wait = self.next_wait.wrapping_add(1);
        self.next_wait
    }

    /// Dials a node at what its offer says and at what the DHT knows. `Ok(None)` if a dial is
    /// already under way.
    fn dial_node(&mut self, node: &NodeId, peer: PeerId) -> Result<Option<ConnectionId>, String> {
        let offered: Vec<Multiaddr> =
            self.index
                .get(node, wall_clock())
                .map_or_else(Vec::new, |it| {
                    let texts = it.offer().addresses.iter();
                    let all: Vec<Multiaddr> = texts.filter_map(|text| text.parse().ok()).collect();
                    self.dial_rules.claims(&all, MAX_ADDRESSES)
                });
        let joined = self
            .it
            .bootstrap
            .iter()
            .filter(|(it, at)| *it == peer && address::name(at).is_none())
            .map(|(_, at)| at.clone());
        let addresses: Vec<Multiaddr> = offered.into_iter().chain(joined).collect();
        let dial = DialOpts::peer_id(peer)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(addresses)
            .extend_addresses_through_behaviour()
            .build();
        let connection = dial.connection_id();
        match self.it.swarm.dial(dial) {
            Ok(()) => Ok(Some(connection)),
            Err(libp2p::swarm::DialError::DialPeerConditionFalse(_)) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Connects to a node if it can, with nobody waiting.
    pub(super) fn connect(&mut self, node: &NodeId) {
        if let Some(peer) = peer::peer_id(node)
            && *node != self.node
            && !self.it.swarm.is_connected(&peer)
            && self.dial_node(node, peer).is_err()
        {
            self.count("dial", "failed");
        }
    }

    pub(super) fn reached(&mut self, peer: &PeerId) {
        for waiting in self.reaching.take_if(|_, it| it.peer == *peer) {
            answer(waiting.reply, Ok(()));
        }
        self.rejoin_gap = super::TICK;
        let is_bootstrap = self.it.bootstrap.iter().any(|(it, _)| it == peer);
        if is_bootstrap && !self.sought {
            self.bootstrap();
        }
    }

    /// A dial failed: so did whoever asked for it, and whoever waited for it as somebody else's.
    pub(super) fn not_reached(
        &mut self,
        peer: Option<PeerId>,
        connection: ConnectionId,
        why: &str,
    ) {
        let failed = |it: &Reaching| match it.connection {
            Some(dial) => dial == connection,
            None => Some(it.peer) == peer,
        };
        for waiting in self.reaching.take_if(|_, it| failed(it)) {
            let why = why.to_owned();
            answer(
                waiting.reply,
                Err(OverlayError::Unreachable {
                    node: waiting.node,
                    why,
                }),
            );
        }
    }

    pub(super) fn give_up_late(&mut self, now: Instant) {
        for (_, it) in self.reaching.expire(now) {
            answer(it.reply, Err(OverlayError::TimedOut { after: REACH_LIFE }));
        }
        for (_, query) in self.queries.expire(now) {
            self.count("dht", "question_lost");
            match query {
                Query::Bucket { seek, .. } | Query::Record { seek, .. } => {
                    self.record_answered(seek)
                }
                Query::Store => self.drive_herald(&HeraldEvent::Stored(false)),
                Query::Announce | Query::Bootstrap => {}
            }
        }
        for (_, seek) in self.seeks.expire(now) {
            self.count("seek", "cut_short");
            self.found(seek);
        }
    }

    pub(super) fn round_trip(&mut self, peer: &PeerId, rtt: Duration) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.rtt = Some(rtt);
            known.lost_pings = 0;
        }
    }

    /// A connection that answers no ping twice in a row is dead, whatever TCP believes.
    pub(super) fn ping_lost(&mut self, peer: PeerId, why: &'static str) {
        self.count("ping", why);
        let Some(known) = self.peers.get_mut(&peer) else {
            return;
        };
        known.lost_pings = known.lost_pings.saturating_add(1);
        if known.lost_pings >= MAX_LOST_PINGS {
            self.count("peer", "silent");
            let _ = self.it.swarm.disconnect_peer_id(peer);
        }
    }

    /// Nodes that hold records, those to join at among them: to join at after a restart.
    pub(super) fn contacts(&mut self) -> Vec<String> {
        let kad = &mut self.it.swarm.behaviour_mut().kad;
        let mut contacts = Vec::new();
        for bucket in kad.kbuckets() {
            for entry in bucket.iter() {
                let (peer, address) = (*entry.node.key.preimage(), entry.node.value.first());
                let full = address.clone().with_p2p(peer).unwrap_or_else(|it| it);
                contacts.push(full.to_string());
            }
        }
        contacts.truncate(MAX_CONTACTS);
        contacts
    }

    pub(super) fn rtt(&self, node: &NodeId) -> Option<Duration> {
        self.peers.get(&peer::peer_id(node)?)?.rtt
    }

    /// Dials an address by hand, and remembers it as one to join at.
    pub(super) fn dial_address(&mut self, text: &str) -> Result<(), OverlayError> {
        let (peer, address) = address::parse_bootstrap(text)?;
        let entry = (peer, address.clone());
        if !self.it.bootstrap.contains(&entry) && self.it.bootstrap.len() < 64 {
            self.it.bootstrap.push(entry);
        }
        self.rejoin_gap = super::TICK;
        self.join_at(peer, address);
        Ok(())
    }

    /// Starts to join while there is hardly anybody: at once, then ever more rarely.
    pub(super) fn rejoin_if_alone(&mut self, now: Instant) {
        let is_alone = self.peers.len() < FEW_PEERS;
        if self.it.bootstrap.is_empty() || !is_alone || now < self.rejoin_at {
            return;
        }
        self.rejoin_gap = (self.rejoin_gap * 2).min(MAX_REJOIN_GAP);
        self.rejoin_at = now + self.rejoin_gap;
        for (peer, address) in self.it.bootstrap.clone() {
            self.join_at(peer, address);
        }
    }

    fn join_at(&mut self, peer: PeerId, address: Multiaddr) {
        if address::name(&address).is_some() {
            let (actor, counters) = (self.it.handle.clone(), self.it.counters.clone());
            tokio::spawn(lookup::look_up(peer, address, actor, counters));
        } else {
            self.dial_bootstrap(peer, vec![address]);
        }
    }

    pub(super) fn dial_bootstrap(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        for address in &addresses {
            self.it
                .swarm
                .behaviour_mut()
                .kad
                .add_address(&peer, address.clone());
        }
        let dial = DialOpts::peer_id(peer)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(addresses)
            .build();
        // A condition that does not hold is no failure; a real one comes as news.
        let _ = self.it.swarm.dial(dial);
    }

    /// One bootstrap of our own, which also resets libp2p's timer for one.
    fn bootstrap(&mut self) {
        if let Ok(query) = self.it.swarm.behaviour_mut().kad.bootstrap() {
            self.asked(query.into(), Query::Bootstrap);
        }
    }

    /// The table is filled: look for exits once, so that the first question is answered at once.
    pub(super) fn bootstrapped(&mut self) {
        if self.sought {
            return;
        }
        self.sought = true;
        self.routes_grew();
        let query = OfferQuery {
            countries: self.it.config.countries.clone(),
            ..OfferQuery::default()
        };
        self.seek(query, None);
    }

    /// Asks a few peers for what they know and we do not.
    pub(super) fn ask_snapshot(&mut self, peer: PeerId) {
        let (Some(node), Some(state)) = (peer::node_id(&peer), self.peers.get_mut(&peer)) else {
            return;
        };
        if self.snapshots_asked >= SNAPSHOTS || state.asked_snapshot {
            return;
        }
        state.asked_snapshot = true;
        self.snapshots_asked += 1;
        let now = wall_clock();
        let digest = self
            .index
            .living_from(NodeId::from_bytes(somewhere()), now)
            .map(|(it, _)| (it.offer().node, it.offer().seq));
        let digest: Vec<_> = digest.take(snapshot::MAX_OFFERS).collect();
        let control = self.it.swarm.behaviour().streams.new_control();
        let protocol = self.it.names.offers();
        let question = snapshot::Question {
            node,
            peer,
            protocol,
            digest,
        };
        tokio::spawn(snapshot::ask(
            control,
            question,
            self.it.handle.clone(),
            self.it.counters.clone(),
        ));
    }
}
