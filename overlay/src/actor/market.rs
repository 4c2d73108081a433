//! This node's own offer: signed anew, said, stored, announced.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use libp2p::gossipsub::{IdentTopic, PublishError};
use libp2p::kad::{Quorum, Record, RecordKey};
use sha2::{Digest as _, Sha256};
use warren_proto::{NodeId, Offer, SignedOffer};

use super::{Actor, Query, wall_clock};
use crate::chance::somewhere;
use crate::error::OverlayError;
use crate::event::OverlayEvent;
use crate::names::{self, Bucket, Scope, Service};
use crate::offers::search::announce_level;
use crate::offers::{Carrier, HeraldEffect, HeraldEvent, OfferQuery, RankedOffer, Way, ranking};

// Our choice.
/// Jitter of a renewal: up to two minutes, by node and sequence, so that exits do not renew in step.
const MAX_JITTER_MILLIS: u64 = 120_000;
/// How deep a router announces itself. Nobody counts routers: three levels hold some fifty.
const ROUTER_LEVEL: u8 = 3;
/// A DHT question is given up after this time even if the DHT never says so.
pub(super) const QUERY_LIFE: Duration = Duration::from_secs(40);

impl Actor {
    pub(super) fn publish(&mut self, offer: SignedOffer) -> Result<(), OverlayError> {
        let it = offer.offer();
        if it.node != self.node {
            return Err(OverlayError::NotOurs { node: it.node });
        }
        if it.network != self.it.names.network() {
            return Err(OverlayError::ForeignOffer {
                network: it.network.clone(),
            });
        }
        if let Some(held) = self.herald.offer().map(|it| it.offer().seq)
            && it.seq <= held
        {
            return Err(OverlayError::OldSequence { seq: it.seq, held });
        }
        self.announce(offer);
        Ok(())
    }

    fn announce(&mut self, offer: SignedOffer) {
        self.say_where(offer.offer());
        let jitter = jitter(&self.node, offer.offer().seq);
        self.drive_herald(&HeraldEvent::Announce {
            offer: Box::new(offer),
            jitter,
        });
    }

    /// Tells libp2p where this node is, by its own offer: holders of the DHT keep nobody in mind of whom they hear
    /// no address.
    fn say_where(&mut self, offer: &Offer) {
        let texts = offer.addresses.iter().filter(|_| !offer.is_withdrawal());
        let all: Vec<Multiaddr> = texts.filter_map(|text| text.parse().ok()).collect();
        let all = self.dial_rules.claims(&all, all.len()).into_iter();
        // What the configuration says stands as long as the node.
        let configured = self.it.config.external.iter();
        let configured: BTreeSet<Multiaddr> = configured.filter_map(|it| it.parse().ok()).collect();
        let now: BTreeSet<Multiaddr> = all.filter(|it| !configured.contains(it)).collect();
        for gone in self.offered_at.difference(&now) {
            self.it.swarm.remove_external_address(gone);
        }
        for new in now.difference(&self.offered_at) {
            self.it.swarm.add_external_address(new.clone());
        }
        self.offered_at = now;
    }

    /// Withdraws by a newer offer without places. Nothing out means nothing to do.
    pub(super) fn withdraw(&mut self) -> Result<(), OverlayError> {
        let Some(offer) = self.herald.offer().cloned() else {
            return Ok(());
        };
        let offer = self.successor(&offer, |it| (it.guests_max, it.guests_free) = (0, 0))?;
        self.announce(offer);
        Ok(())
    }

    /// The own offer that is out. `None` if there is none, or it is over.
    pub(super) fn living_offer(&self) -> Option<&SignedOffer> {
        let now = wall_clock();
        self.herald
            .offer()
            .filter(|it| it.offer().valid_until > now)
    }

    pub(super) fn free(&mut self, places: u32) -> Result<Option<SignedOffer>, OverlayError> {
        let serves = |it: &&SignedOffer| !it.offer().is_withdrawal();
        let Some(offer) = self.herald.offer().filter(serves).cloned() else {
            return Ok(None);
        };
        let offer = self.successor(&offer, |it| it.guests_free = places.min(it.guests_max))?;
        self.announce(offer.clone());
        Ok(Some(offer))
    }

    fn successor(
        &self,
        offer: &SignedOffer,
        change: impl FnOnce(&mut warren_proto::Capacity),
    ) -> Result<SignedOffer, OverlayError> {
        let (mut next, now) = (offer.offer().clone(), wall_clock());
        let life = next.valid_until.since(next.issued);
        next.seq = next.seq.saturating_add(1).max(now.as_millis());
        (next.issued, next.valid_until) = (now, now.plus(life));
        change(&mut next.capacity);
        Ok(next.sign(&self.it.key)?)
    }

    pub(super) fn drive_herald(&mut self, event: &HeraldEvent) {
        let mut ahead = vec![event.clone()];
        while let Some(event) = ahead.pop() {
            let step = self.herald.handle(&event, wall_clock());
            self.herald = step.next;
            for effect in step.effects {
                ahead.extend(self.perform(effect));
            }
        }
    }

    fn perform(&mut self, effect: HeraldEffect) -> Option<HeraldEvent> {
        match effect {
            HeraldEffect::Gossip(offer) => Some(HeraldEvent::Gossiped(self.gossip(&offer))),
            HeraldEffect::Store(offer) => {
                (!self.store(&offer)).then_some(HeraldEvent::Stored(false))
            }
            HeraldEffect::Renew(offer) => match self.successor(&offer, |_| ()) {
                Ok(next) => {
                    self.tell(OverlayEvent::OfferRenewed(next.clone()));
                    let jitter = jitter(&self.node, next.offer().seq);
                    Some(HeraldEvent::Announce {
                        offer: Box::new(next),
                        jitter,
                    })
                }
                Err(error) => {
                    tracing::warn!(%error, "the offer could not be renewed");
                    self.count("herald", "renewal_failed");
                    None
                }
            },
        }
    }

    /// Says the offer on both of its topics; says whether anybody was there.
    fn gossip(&mut self, offer: &SignedOffer) -> bool {
        let mut said = false;
        for scope in [
            Scope::Anywhere,
            Scope::Country(offer.offer().region.country),
        ] {
            let topic = IdentTopic::new(self.it.names.topic(scope));
            let gossip = &mut self.it.swarm.behaviour_mut().gossip;
            match gossip.publish(topic, offer.as_bytes()) {
                Ok(_) => {
                    said = true;
                    self.count("gossip", "said");
                }
                Err(PublishError::NoPeersSubscribedToTopic) => self.count("gossip", "nobody"),
                Err(error) => {
                    tracing::debug!(%error, "offer not said");
                    self.count("gossip", "not_said");
                }
            }
        }
        said
    }

    /// Starts to store the offer and to announce the exit; says whether it could be started.
    fn store(&mut self, offer: &SignedOffer) -> bool {
        let life = offer.offer().valid_until.since(wall_clock());
        let key = names::offer_key(&self.node).to_vec();
        let mut record = Record::new(key, offer.as_bytes().to_vec());
        record.expires = Some(Instant::now() + life);
        let kad = &mut self.it.swarm.behaviour_mut().kad;
        let Ok(query) = kad.put_record(record, Quorum::One) else {
            return false;
        };
        if !self.asked(query.into(), Query::Store) {
            return false;
        }
        self.announce_exit(offer);
        true
    }

    /// The routing table has new nodes: there may be better holders of what this node says.
    pub(super) fn routes_grew(&mut self) {
        self.drive_herald(&HeraldEvent::RoutesGrew);
        self.beacon.routes_grew(Instant::now());
    }

    /// Says from now on that this node routes payments, or takes it back.
    pub(super) fn route(&mut self, on: bool) {
        self.beacon.switch(on, Instant::now());
        if !on {
            self.announce_service(Service::Router, ROUTER_LEVEL, false);
        }
    }

    pub(super) fn drive_beacon(&mut self, now: Instant) {
        let is_joined = !self.peers.is_empty();
        if is_joined && self.beacon.take_due(now) {
            self.announce_service(Service::Router, ROUTER_LEVEL, true);
        }
    }

    fn announce_exit(&mut self, offer: &SignedOffer) {
        let now = wall_clock();
        for scope in [
            Scope::Anywhere,
            Scope::Country(offer.offer().region.country),
        ] {
            let deepest = announce_level(self.index.population(scope, now) + 1);
            let serves = !offer.offer().is_withdrawal();
            self.announce_service(Service::Exit(scope), deepest, serves);
        }
    }

    /// Says in the buckets down to `deepest` that this node serves so, or takes it back.
    pub(super) fn announce_service(&mut self, service: Service, deepest: u8, serves: bool) {
        for level in 0..=deepest {
            let key = names::service_key(service, Bucket::of(&self.node, level));
            let key = RecordKey::new(&key);
            let kad = &mut self.it.swarm.behaviour_mut().kad;
            if !serves {
                kad.stop_providing(&key);
            } else if let Ok(query) = kad.start_providing(key) {
                self.asked(query.into(), Query::Announce);
            }
        }
    }

    /// Notes a DHT question; one too many is stopped and counted.
    pub(super) fn asked(&mut self, key: super::QueryKey, query: Query) -> bool {
        let added = self
            .queries
            .add(key, query, Instant::now(), QUERY_LIFE)
            .is_ok();
        if !added {
            self.count("dht", "too_many_questions");
        }
        added
    }

    pub(super) fn rank(&self, query: &OfferQuery) -> Vec<RankedOffer> {
        let rtt = |node: &NodeId| self.rtt(node);
        ranking::rank(&self.index, query, rtt, wall_clock())
    }

    /// What a peer who knows `digest` does not know.
    pub(super) fn unknown_to(&self, digest: &[(NodeId, u64)]) -> Vec<Vec<u8>> {
        let now = wall_clock();
        let known: std::collections::BTreeMap<_, _> = digest.iter().copied().collect();
        let news = |it: &SignedOffer| {
            known
                .get(&it.offer().node)
                .is_none_or(|seq| *seq < it.offer().seq)
        };
        let start = NodeId::from_bytes(somewhere());
        let others = self.index.living_from(start, now).map(|(offer, _)| offer);
        let own = self.living_offer();
        let all = own.into_iter().chain(others).filter(|it| news(it));
        all.take(crate::snapshot::MAX_OFFERS)
            .map(|it| it.as_bytes().to_vec())
            .collect()
    }

    pub(super) fn told(&mut self, peer: &NodeId, offers: &[Vec<u8>]) {
        let from = crate::peer::peer_id(peer);
        let carrier = from.map_or(Carrier::Node(*peer), |it| self.carrier(&it));
        for bytes in offers {
            let hearing = self.index.hear(bytes, Way::Snapshot, carrier, wall_clock());
            self.heard(&hearing, Way::Snapshot, from.as_ref());
        }
    }
}

fn jitter(node: &NodeId, seq: u64) -> Duration {
    let hash = Sha256::new()
        .chain_update(node.as_bytes())
        .chain_update(seq.to_be_bytes())
        .finalize();
    let draw = hash
        .iter()
        .take(4)
        .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    Duration::from_millis(draw % MAX_JITTER_MILLIS)
}
