//! What the actor makes of the network's news.

use std::time::{Duration, Instant};

use libp2p::gossipsub::MessageAcceptance;
use libp2p::gossipsub::MessageId;
use libp2p::kad::{ProviderRecord, Record};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::ConnectionId;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId};

use super::{Actor, Peer, Query, wall_clock};
use crate::event::OverlayEvent;
use crate::names::Scope;
use crate::offers::{Blame, Hearing, HeraldEvent, Refused, Verdict, Way, asks_too_much_ahead};
use crate::peer;
use crate::translate::{Answer, News};

// Our choice.
/// How many of the addresses a peer claims are dialled back.
const MAX_CLAIMS: usize = 3;

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
                    measured: None,
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
            News::Subscribed { topic } => self.subscribed(&topic),
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
        self.failures.remove(&node);
        let first = !self.peers.contains_key(&peer);
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
        self.reach_again(*peer);
    }

    fn dial_failed(&mut self, peer: Option<PeerId>, connection: ConnectionId, why: &str) {
        self.count("dial", "failed");
        if let Some(peer) = self.dial_backs.remove(&connection) {
            self.count("dial_back", "failed");
            self.routing.dialled(&peer);
        }
        tracing::debug!(?peer, why, "dial failed");
        if let Some(node) = peer.as_ref().and_then(peer::node_id) {
            self.note_failure(node, why);
        }
        self.not_reached(peer, connection, why);
    }

    fn gossip_came(&mut self, carrier: &PeerId, id: &MessageId, data: &[u8]) {
        let hearing = self
            .index
            .hear(data, Way::Gossip, peer::node_id(carrier), wall_clock());
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

    /// Whether whoever passed it on is to blame. Nobody is for a clock of this node that is behind.
    fn blames(&self, why: &Refused) -> bool {
        let is_ahead = matches!(why, Refused::FromTheFuture { .. });
        why.blame() == Blame::Carrier && !(is_ahead && self.clock.is_behind(Instant::now()))
    }

    /// Holds this node's clock against the offer's date; says so when it is found to be behind.
    fn tell_time_by(&mut self, hearing: &Hearing, from: Option<&PeerId>) {
        let Some(node) = from.and_then(peer::node_id) else {
            return;
        };
        let now = Instant::now();
        let future = |it: &Refused| matches!(it, Refused::FromTheFuture { .. });
        let is_ahead = matches!(&hearing.verdict, Verdict::Refused(why) if future(why));
        self.clock.note(node, is_ahead, now);
        let was = std::mem::replace(&mut self.clock_behind, self.clock.is_behind(now));
        if self.clock_behind && !was {
            self.count("clock", "behind");
            tracing::warn!(
                "this node's clock is behind: the offers of most peers are dated ahead of it; set it right"
            );
        }
    }

    fn strike(&mut self, peer: PeerId) {
        if self.strikes.strike(peer, wall_clock()) {
            self.count("peer", "shut_out");
            self.it.swarm.behaviour_mut().blocked.block_peer(peer);
        }
    }

    fn subscribed(&mut self, topic: &str) {
        let Some(offer) = self.herald.offer() else {
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
            self.drive_herald(&HeraldEvent::NewListener);
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
        let in_table = kad.kbucket(peer).is_some_and(|bucket| {
            bucket
                .iter()
                .any(|entry| *entry.node.key.preimage() == peer)
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

    fn record_offered(&mut self, source: PeerId, record: Record) {
        let now = wall_clock();
        let hearing = self.index.hear_record(
            record.key.as_ref(),
            &record.value,
            peer::node_id(&source),
            now,
        );
        let life = match &hearing.verdict {
            Verdict::Fresh(offer) => Some(offer.offer().valid_until.since(now)),
            Verdict::Known { node } => self
                .index
                .get(node, now)
                .map(|it| it.offer().valid_until.since(now)),
            Verdict::Refused(_) => None,
        };
        self.heard(&hearing, Way::Dht, Some(&source));
        if let Some(life) = life {
            self.hold(record, life);
        }
    }

    fn hold(&mut self, mut record: Record, life: Duration) {
        use libp2p::kad::store::RecordStore as _;
        let until = Instant::now() + life;
        record.expires = Some(record.expires.map_or(until, |it| it.min(until)));
        record.publisher = None;
        if self
            .it
            .swarm
            .behaviour_mut()
            .kad
            .store_mut()
            .put(record)
            .is_err()
        {
            self.count("dht", "store_full");
        }
    }

    fn provider_offered(&mut self, mut record: ProviderRecord) {
        use libp2p::kad::store::RecordStore as _;
        record.addresses.retain(|it| self.dial_rules.allow(it));
        if self
            .it
            .swarm
            .behaviour_mut()
            .kad
            .store_mut()
            .add_provider(record)
            .is_err()
        {
            self.count("dht", "provider_refused");
        }
    }

    fn answered(&mut self, key: &super::QueryKey, answer: Answer, last: bool) {
        if let Answer::Record { holder, record } = &answer {
            let hearing =
                self.index
                    .hear_record(record.key.as_ref(), &record.value, None, wall_clock());
            self.heard(&hearing, Way::Dht, holder.as_ref());
        }
        if let (Some(Query::Bucket { nodes, .. }), Answer::Providers(found)) =
            (self.queries.get_mut(key), &answer)
        {
            nodes.extend(found.iter().filter_map(peer::node_id));
        }
        if !last {
            return;
        }
        match self.queries.take(key) {
            Some(Query::Bucket {
                seek,
                service,
                bucket,
                nodes,
            }) => {
                self.bucket_answered(seek, (service, bucket), &nodes);
            }
            Some(Query::Record { seek }) => self.record_answered(seek),
            Some(Query::Store) => {
                let stored = matches!(answer, Answer::Done(true));
                self.count("dht", if stored { "stored" } else { "store_failed" });
                self.drive_herald(&HeraldEvent::Stored(stored));
            }
            Some(Query::Announce) => {
                let done = matches!(answer, Answer::Done(true));
                self.count("dht", if done { "announced" } else { "announce_failed" });
            }
            Some(Query::Bootstrap) | None => self.bootstrapped(),
        }
    }
}
