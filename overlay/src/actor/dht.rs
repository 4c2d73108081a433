//! What the actor makes of the DHT: what it is given to hold, and the answers to what it asked.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::kad::{ProviderRecord, Record};
use warren_proto::NodeId;

use super::{Actor, Query, wall_clock};
use crate::chance::shuffled;
use crate::names::{Bucket, Service};
use crate::offers::{Carrier, HeraldEvent, Verdict, Way};
use crate::peer;
use crate::translate::Answer;

// Our choice.
/// Nodes believed of one holder's answer; an honest one names eight.
const MAX_OF_ANSWER: usize = 32;

impl Actor {
    pub(super) fn record_offered(&mut self, source: PeerId, record: Record) {
        let now = wall_clock();
        let from = self.carrier(&source);
        let hearing = self
            .index
            .hear_record(record.key.as_ref(), &record.value, from, now);
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

    pub(super) fn provider_offered(&mut self, mut record: ProviderRecord) {
        record.addresses.retain(|it| self.dial_rules.allow(it));
        let behaviour = self.it.swarm.behaviour_mut();
        let home = behaviour.households.homes().of(&record.provider);
        if behaviour.kad.store_mut().hold(record, home).is_err() {
            self.count("dht", "provider_refused");
        }
    }

    pub(super) fn answered(&mut self, key: &super::QueryKey, answer: Answer, last: bool) {
        if let Answer::Record { holder, record } = &answer {
            self.record_told(key, holder.as_ref(), record);
        }
        if let Answer::Providers(told) = &answer {
            self.providers_told(key, told);
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
                self.bucket_answered(seek, (service, bucket), nodes);
            }
            Some(Query::Record { seek, .. }) => self.record_answered(seek),
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

    /// One holder's answer: a record, which counts only if it is the one that was asked for.
    fn record_told(&mut self, key: &super::QueryKey, holder: Option<&PeerId>, record: &Record) {
        let asked = self.queries.get_mut(key);
        let asked = asked.is_some_and(|it| it.asks_for(record.key.as_ref()));
        if !asked {
            return self.count("dht", "unasked");
        }
        let (key, now) = (record.key.as_ref(), wall_clock());
        let hearing = self
            .index
            .hear_record(key, &record.value, Carrier::Asked, now);
        self.heard(&hearing, Way::Dht, holder);
    }

    /// One holder's answer: some of those whom it names and who lie in the bucket that was asked for.
    fn providers_told(&mut self, key: &super::QueryKey, told: &BTreeSet<PeerId>) {
        let query = self.queries.get_mut(key);
        let Some(Query::Bucket {
            seek,
            service,
            bucket,
            nodes,
        }) = query
        else {
            return;
        };
        let mut fresh = some_of(told, *bucket);
        fresh.retain(|it| nodes.insert(*it));
        if *service == Service::Router {
            let seek = *seek;
            self.meet(seek, fresh);
        }
    }
}

/// Nobody can foresee whom: a holder may name hundreds, and choose their ids.
fn some_of(told: &BTreeSet<PeerId>, bucket: Bucket) -> Vec<NodeId> {
    let nodes = told.iter().filter_map(peer::node_id);
    let lies_there = |it: &NodeId| Bucket::of(it, bucket.level()) == bucket;
    let mut some = shuffled(nodes.filter(lies_there));
    some.truncate(MAX_OF_ANSWER);
    some
}

#[cfg(test)]
mod tests {
    use warren_proto::NodeKey;

    use super::*;
    use crate::names::offer_key;

    #[test]
    fn an_answer_counts_as_asked_for_if_it_is_of_whom_was_asked_for() {
        let [node, other] = [1, 2].map(|n| NodeKey::from_seed(&[n; 32]).id());
        let query = Query::Record { seek: 1, node };
        assert!(query.asks_for(&offer_key(&node)));
        assert!(!query.asks_for(&offer_key(&other)));
        assert!(!Query::Bootstrap.asks_for(&offer_key(&node)));
    }

    #[test]
    fn a_holder_tells_of_a_few_and_of_none_beside_the_bucket() {
        let nodes = (0..=255).map(|n| NodeKey::from_seed(&[n; 32]).id());
        let told: BTreeSet<PeerId> = nodes.filter_map(|it| peer::peer_id(&it)).collect();
        assert_eq!(told.len(), 256);
        let lowest = |it: &[NodeId]| it.iter().min().copied();
        let answers: Vec<_> = (0..50).map(|_| some_of(&told, Bucket::ROOT)).collect();
        assert!(answers.iter().all(|it| it.len() == MAX_OF_ANSWER));
        let lowest: BTreeSet<_> = answers.iter().map(|it| lowest(it)).collect();
        assert!(lowest.len() > 1, "not always the lowest ids");
        let [half, _] = Bucket::ROOT.halves().unwrap();
        let some = some_of(&told, half);
        assert!(!some.is_empty() && some.iter().all(|it| Bucket::of(it, 1) == half));
    }
}
