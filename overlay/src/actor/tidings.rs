//! What the actor makes of the network's news.

use std::time::Instant;

use libp2p::gossipsub::MessageAcceptance;
use libp2p::gossipsub::MessageId;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::ConnectionId;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId};

use super::{Actor, Peer, wall_clock};
use crate::address;
use crate::clock::{Dates, Skew};
use crate::event::OverlayEvent;
use crate::names::Scope;
use crate::offers::{
    Blame, Carrier, Hearing, HeraldEvent, Refused, Verdict, Way, asks_too_much_ahead,
};
use crate::peer;
use crate::translate::News;

// Our choice.
/// How many of the addresses a peer claims are dialled back.
const MAX_CLAIMS: usize = 3;
/// Peers that came by themselves from one machine: homes and small offices have fewer.
const MAX_OF_HOUSEHOLD: usize = 16;

impl Actor {
    pub(super) fn take(&mut self, news: News) {
        match news {
            News::Listening(address) => self.listens(address),
            News::NotListening(address) => {
                self.listening.remove(&address);
            }
            News::ListenerFailed => self.count("listener", "failed"),
            News::Connected {
                peer,
                connection,
                address,
                outbound,
                count,
            } => {
                let seen = Peer {
                    connections: count,
                    address,
                    outbound,
                    agent: None,
                    rtt: None,
                    asked_snapshot: false,
                    lost_pings: 0,
                };
                self.connected(peer, connection, seen);
            }
            News::Disconnected { peer, left } => self.disconnected(&peer, left),
            News::DialFailed {
                peer,
                connection,
                why,
            } => self.dial_failed(peer, connection, &why),
            News::Refused => self.count("connection", "refused"),
            News::Gossip { carrier, id, data } => self.gossip_came(&carrier, &id, &data),
            News::Subscribed { peer, topic } => self.subscribed(&peer, &topic),
            News::SlowPeer => self.count("gossip", "slow_peer"),
            News::Identified {
                peer,
                agent,
                protocols,
                claims,
            } => {
                self.identified(peer, agent, &protocols, &claims);
            }
            News::RoundTrip { peer, rtt } => self.round_trip(&peer, rtt),
            News::PingLost { peer, why } => self.ping_lost(peer, why),
            News::Routable { peer, address } => self.routable(peer, address),
            News::RoutesGrew => self.routes_grew(),
            News::RecordOffered { source, record } => self.record_offered(source, record),
            News::ProviderOffered { record } => self.provider_offered(record),
            News::Answer {
                query,
                answer,
                last,
            } => self.answered(&query.into(), answer, last),
            News::Nothing => {}
        }
    }

    fn listens(&mut self, address: Multiaddr) {
        self.listening.insert(address.clone());
        let local = *self.it.swarm.local_peer_id();
        let full = address.with_p2p(local).unwrap_or_else(|it| it);
        tracing::info!(address = %full, "listening");
        self.tell(OverlayEvent::Listening(full.to_string()));
    }

    fn connected(&mut self, peer: PeerId, connection: ConnectionId, seen: Peer) {
        let Some(node) = peer::node_id(&peer) else {
            self.count("peer", "foreign_key");
            let _ = self.it.swarm.disconnect_peer_id(peer);
            return;
        };
        if self.dial_backs.remove(&connection).is_some() {
            // Reached: what it says of itself there counts, and its place is free for the next.
            self.routing.dialled(&peer);
        }
        let first = !self.peers.contains_key(&peer);
        if first && self.crowds(&seen) {
            self.count("connection", "crowded");
            let _ = self.it.swarm.disconnect_peer_id(peer);
            return;
        }
        let known = self.peers.entry(peer).or_insert(seen);
        if first {
            tracing::debug!(peer = %node.short(), "joined");
            self.tell(OverlayEvent::PeerJoined(node));
        } else {
            known.connections = known.connections.saturating_add(1);
        }
        self.reached(&peer);
    }

    fn disconnected(&mut self, peer: &PeerId, left: u32) {
        if left > 0 {
            if let Some(known) = self.peers.get_mut(peer) {
                known.connections = left;
            }
            return;
        }
        if let (Some(_), Some(node)) = (self.peers.remove(peer), peer::node_id(peer)) {
            tracing::debug!(peer = %node.short(), "left");
            self.tell(OverlayEvent::PeerLeft(node));
        }
        if self.peers.is_empty() {
            // Whoever comes next is a new network, for all that is known.
            (self.snapshots_asked, self.sought) = (0, false);
        }
        self.reach_again(*peer);
    }

    fn dial_failed(&mut self, peer: Option<PeerId>, connection: ConnectionId, why: &str) {
        self.count("dial", "failed");
        if let Some(peer) = self.dial_backs.remove(&connection) {
            self.count("dial_back", "failed");
            self.routing.dialled(&peer);
        }
        tracing::debug!(?peer, why, "dial failed");
        self.not_reached(peer, connection, why);
    }

    fn gossip_came(&mut self, carrier: &PeerId, id: &MessageId, data: &[u8]) {
        let from = self.carrier(carrier);
        let hearing = self.index.hear(data, Way::Gossip, from, wall_clock());
        self.tell_time_by(&hearing, Some(carrier));
        let acceptance = match &hearing.verdict {
            _ if hearing.pass_on => MessageAcceptance::Accept,
            Verdict::Refused(why) if self.blames(why) => MessageAcceptance::Reject,
            Verdict::Refused(_) | Verdict::Known { .. } | Verdict::Fresh(_) => {
                MessageAcceptance::Ignore
            }
        };
        let gossip = &mut self.it.swarm.behaviour_mut().gossip;
        if !gossip.report_message_validation_result(id, carrier, acceptance) {
            self.count("gossip", "verdict_late");
        }
        self.heard(&hearing, Way::Gossip, Some(carrier));
    }

    /// As whom a peer counts that tells of offers: by its household, as ids cost nothing.
    pub(super) fn carrier(&self, peer: &PeerId) -> Carrier {
        let home = self.it.swarm.behaviour().households.homes().of(peer);
        // One whose key is foreign is let go at once; what it has said until then counts as said by one node.
        let node = || Carrier::Node(peer::node_id(peer).unwrap_or(self.node));
        home.map_or_else(node, Carrier::Household)
    }

    /// Counts what came of an offer, tells of news, and strikes who is to blame.
    pub(super) fn heard(&mut self, hearing: &Hearing, way: Way, from: Option<&PeerId>) {
        self.tell_time_by(hearing, from);
        let area = match way {
            Way::Dht => "dht",
            Way::Gossip => "gossip",
            Way::Snapshot => "snapshot",
        };
        match &hearing.verdict {
            Verdict::Fresh(offer) => {
                self.count(area, "fresh");
                let (node, seq) = (offer.offer().node, offer.offer().seq);
                if asks_too_much_ahead(offer) {
                    self.count("offer", "too_much_ahead");
                    tracing::debug!(node = %node.short(), "an offer that no consumer takes");
                }
                self.tell(OverlayEvent::OfferSeen { node, seq, way });
            }
            Verdict::Known { .. } => self.count(area, "known"),
            Verdict::Refused(why) => {
                self.count(area, why.name());
                self.count("offer", "refused");
                tracing::debug!(%why, area, "offer refused");
                if let Some(peer) = from.filter(|_| self.blames(why)) {
                    self.strike(*peer);
                }
            }
        }
    }

    /// Whether whoever passed it on is to blame. Nobody is for a clock of this node that is wrong.
    fn blames(&self, why: &Refused) -> bool {
        let excuse = match dates(why) {
            Dates::Ahead => Skew::Behind,
            Dates::Late => Skew::Ahead,
            Dates::Fine => return why.blame() == Blame::Carrier,
        };
        why.blame() == Blame::Carrier && self.clock.skew(Instant::now()) != excuse
    }

    /// Holds this node's clock against the offer's dates; says so when it is found to be wrong.
    fn tell_time_by(&mut self, hearing: &Hearing, from: Option<&PeerId>) {
        let Some(node) = from.and_then(peer::node_id) else {
            return;
        };
        let now = Instant::now();
        let dates = match &hearing.verdict {
            Verdict::Refused(why) => dates(why),
            Verdict::Fresh(_) | Verdict::Known { .. } => Dates::Fine,
        };
        self.clock.note(node, dates, now);
        let skew = self.clock.skew(now);
        if std::mem::replace(&mut self.skew, skew) == skew {
            return;
        }
        match skew {
            Skew::None => {}
            Skew::Behind => {
                self.count("clock", "behind");
                tracing::warn!(
                    "this node's clock is behind: the offers of most peers are dated ahead of it; set it right"
                );
            }
            Skew::Ahead => {
                self.count("clock", "ahead");
                tracing::warn!(
                    "this node's clock is ahead: most peers tell of offers that are long over by it; set it right"
                );
            }
        }
    }

    fn strike(&mut self, peer: PeerId) {
        if self.strikes.strike(peer, Instant::now()) {
            self.count("peer", "shut_out");
            self.it.swarm.behaviour_mut().blocked.block_peer(peer);
        }
    }

    /// Whether a newcomer is one too many from the same machine: many keys cost nothing, and must not take every
    /// place.
    fn crowds(&self, newcomer: &Peer) -> bool {
        let Some(home) = address::household(&newcomer.address) else {
            return false;
        };
        let inbound = self.peers.values().filter(|it| !it.outbound);
        let there = inbound.filter(|it| address::household(&it.address) == Some(home));
        !newcomer.outbound && there.count() >= MAX_OF_HOUSEHOLD
    }

    fn subscribed(&mut self, peer: &PeerId, topic: &str) {
        let (Some(offer), Some(node)) = (self.herald.offer(), peer::node_id(peer)) else {
            return;
        };
        let ours = [
            Scope::Anywhere,
            Scope::Country(offer.offer().region.country),
        ];
        if ours
            .iter()
            .any(|scope| self.it.names.topic(*scope) == topic)
        {
            self.drive_herald(&HeraldEvent::NewListener(node));
        }
    }

    fn identified(
        &mut self,
        peer: PeerId,
        agent: String,
        protocols: &[String],
        claims: &[Multiaddr],
    ) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.agent = Some(agent.chars().take(64).collect());
        }
        if protocols.contains(&self.it.names.offers()) {
            self.ask_snapshot(peer);
        }
        let inbound_only = self.peers.get(&peer).is_some_and(|it| !it.outbound);
        if inbound_only && protocols.contains(&self.it.names.kad()) {
            self.dial_back(peer, claims);
        }
    }

    /// What a peer says of its addresses is a claim: it counts once we reached it there ourselves.
    fn dial_back(&mut self, peer: PeerId, claims: &[Multiaddr]) {
        let claims = self.dial_rules.claims(claims, MAX_CLAIMS);
        let kad = &mut self.it.swarm.behaviour_mut().kad;
        // It may have moved: then it is dialled where it says it is now.
        let in_table = kad.kbucket(peer).is_some_and(|bucket| {
            bucket.iter().any(|entry| {
                let is_it = *entry.node.key.preimage() == peer;
                is_it && entry.node.value.iter().any(|it| claims.contains(it))
            })
        });
        if claims.is_empty() || in_table || !self.routing.dial_back(peer, Instant::now()) {
            return;
        }
        // From a new port, so that no NAT entry made by the peer's own dial lets us in.
        let dial = DialOpts::peer_id(peer)
            .condition(PeerCondition::Always)
            .allocate_new_port()
            .addresses(claims)
            .build();
        let connection = dial.connection_id();
        if self.it.swarm.dial(dial).is_ok() {
            self.dial_backs.insert(connection, peer);
        } else {
            self.routing.dialled(&peer);
        }
    }

    fn routable(&mut self, peer: PeerId, address: Multiaddr) {
        if !self.dial_rules.allow(&address) {
            self.count("routing", "unusable_address");
        } else if self.routing.candidate(peer, address) {
            self.insert_routes(Instant::now());
        } else {
            self.count("routing", "no_room");
        }
    }

    pub(super) fn insert_routes(&mut self, now: Instant) {
        for (peer, mut address) in self.routing.batch(now) {
            if matches!(address.iter().last(), Some(Protocol::P2p(_))) {
                address.pop();
            }
            self.it
                .swarm
                .behaviour_mut()
                .kad
                .add_address(&peer, address);
        }
    }
}

fn dates(why: &Refused) -> Dates {
    match why {
        Refused::JustAhead { .. } | Refused::FromTheFuture { .. } => Dates::Ahead,
        Refused::Expired { .. } => Dates::Late,
        Refused::Oversized { .. }
        | Refused::Malformed
        | Refused::Forged { .. }
        | Refused::WrongKey { .. }
        | Refused::Foreign { .. }
        | Refused::JustExpired { .. }
        | Refused::TooLong { .. }
        | Refused::Stale { .. }
        | Refused::Equivocal { .. }
        | Refused::TooOften { .. }
        | Refused::Crowded { .. }
        | Refused::Full { .. } => Dates::Fine,
    }
}
