//! Asking the DHT for exits or routers: buckets first, then the record of each exit found.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use libp2p::kad::RecordKey;
use warren_proto::NodeId;

use super::{Actor, Query, answer, wall_clock};
use crate::chance::shuffled;
use crate::command::Reply;
use crate::error::OverlayError;
use crate::names::{self, Bucket, Scope, Service};
use crate::offers::{OfferQuery, RankedOffer, Search};

// Our choice.
/// A search answers after this time with what it has.
const SEEK_LIFE: Duration = Duration::from_secs(15);
/// Buckets and records asked for at once, per search.
const AT_ONCE: usize = 6;
/// Countries searched at once; with more, everything is searched.
const MAX_SCOPES: usize = 4;
/// A record that the DHT gave this recently is not asked for again.
const FRESH_ENOUGH: Duration = Duration::from_secs(120);
/// The best so many are connected to after a search, so that their round trips are known.
const MEASURED: usize = 6;
/// Routers dialled per search: as many as are asked for their terms.
const MET: usize = 16;

/// What is sought, and for whom.
#[derive(Debug)]
enum Want {
    Offers(Box<OfferQuery>, Option<Reply<Vec<RankedOffer>>>),
    Routers(Reply<Vec<NodeId>>),
}

/// A search under way.
#[derive(Debug)]
pub(super) struct Seek {
    want: Want,
    searches: Vec<(Service, Search)>,
    exits: VecDeque<NodeId>,
    fetched: BTreeSet<NodeId>,
    /// Routers dialled while the question lives that told where they are.
    met: Vec<NodeId>,
    open: usize,
}

/// What a search wants to ask next.
enum Ask {
    Bucket(Service, Bucket),
    Record(NodeId),
}

impl Seek {
    fn offers(query: OfferQuery, reply: Option<Reply<Vec<RankedOffer>>>) -> Self {
        let scopes = if query.countries.is_empty() || query.countries.len() > MAX_SCOPES {
            vec![Scope::Anywhere]
        } else {
            query
                .countries
                .iter()
                .copied()
                .map(Scope::Country)
                .collect()
        };
        let exits = query.nodes.iter().copied().collect();
        let services = scopes.into_iter().map(Service::Exit);
        Self::new(Want::Offers(Box::new(query), reply), services, exits)
    }

    fn new(
        want: Want,
        services: impl IntoIterator<Item = Service>,
        exits: VecDeque<NodeId>,
    ) -> Self {
        let searches = services.into_iter().map(|it| (it, Search::default()));
        Self {
            want,
            searches: searches.collect(),
            exits,
            fetched: BTreeSet::new(),
            met: Vec::new(),
            open: 0,
        }
    }

    fn next(&mut self) -> Option<Ask> {
        if self.open >= AT_ONCE {
            return None;
        }
        while let Some(node) = self.exits.pop_front() {
            if self.fetched.insert(node) {
                return Some(Ask::Record(node));
            }
        }
        let buckets = self.searches.iter_mut();
        let mut buckets = buckets.map(|(service, search)| (*service, search.next_bucket()));
        buckets.find_map(|(service, bucket)| bucket.map(|bucket| Ask::Bucket(service, bucket)))
    }
}

impl Actor {
    pub(super) fn refresh(&mut self, query: OfferQuery, reply: Reply<Vec<RankedOffer>>) {
        if let Some(reply) = self.with_room(reply) {
            self.seek(query, Some(reply));
        }
    }

    pub(super) fn seek_routers(&mut self, reply: Reply<Vec<NodeId>>) {
        if let Some(reply) = self.with_room(reply) {
            let want = Want::Routers(reply);
            self.start_seek(Seek::new(want, [Service::Router], VecDeque::new()));
        }
    }

    /// The reply, if one more search may begin; else it has been told so.
    fn with_room<T>(&self, reply: Reply<T>) -> Option<Reply<T>> {
        if !self.seeks.is_full() {
            return Some(reply);
        }
        let limit = self.seeks.limit();
        answer(reply, Err(OverlayError::Busy { limit }));
        None
    }

    pub(super) fn seek(&mut self, query: OfferQuery, reply: Option<Reply<Vec<RankedOffer>>>) {
        self.start_seek(Seek::offers(query, reply));
    }

    fn start_seek(&mut self, seek: Seek) {
        let (id, now) = (self.next_seek, Instant::now());
        self.next_seek = self.next_seek.wrapping_add(1);
        if self.seeks.add(id, seek, now, SEEK_LIFE).is_err() {
            self.count("seek", "no_room");
        }
        self.drive_seek(id);
    }

    pub(super) fn drive_seeks(&mut self) {
        for id in self.seeks.keys() {
            self.drive_seek(id);
        }
    }

    fn drive_seek(&mut self, id: u64) {
        while let Some(seek) = self.seeks.get_mut(&id) {
            let Some(ask) = seek.next() else { break };
            seek.open += 1;
            if !self.ask(id, ask)
                && let Some(seek) = self.seeks.get_mut(&id)
            {
                seek.open = seek.open.saturating_sub(1);
            }
        }
        if self.seeks.get_mut(&id).is_some_and(|seek| seek.open == 0)
            && let Some(seek) = self.seeks.take(&id)
        {
            self.found(seek);
        }
    }

    fn ask(&mut self, seek: u64, ask: Ask) -> bool {
        let now = wall_clock();
        match ask {
            Ask::Bucket(service, bucket) => {
                let key = RecordKey::new(&names::service_key(service, bucket));
                let query = self.it.swarm.behaviour_mut().kad.get_providers(key);
                let nodes = BTreeSet::new();
                self.asked(
                    query.into(),
                    Query::Bucket {
                        seek,
                        service,
                        bucket,
                        nodes,
                    },
                )
            }
            Ask::Record(node) => {
                let heard = self.index.heard(&node).dht;
                let known = self.index.get(&node, now).is_some();
                let fresh = heard.is_some_and(|at| now.since(at) < FRESH_ENOUGH);
                if node == self.node || (known && fresh) {
                    return false;
                }
                let key = RecordKey::new(&names::offer_key(&node));
                let query = self.it.swarm.behaviour_mut().kad.get_record(key);
                self.asked(query.into(), Query::Record { seek, node })
            }
        }
    }

    pub(super) fn bucket_answered(
        &mut self,
        id: u64,
        (service, bucket): (Service, Bucket),
        nodes: BTreeSet<NodeId>,
    ) {
        let Some(seek) = self.seeks.get_mut(&id) else {
            return;
        };
        seek.open = seek.open.saturating_sub(1);
        let nodes = shuffled(nodes);
        for (_, search) in seek.searches.iter_mut().filter(|(it, _)| *it == service) {
            let fresh = search.answered(bucket, &nodes);
            if service != Service::Router {
                seek.exits.extend(fresh); // Each has an offer; a router is asked for its terms.
            }
        }
        self.drive_seek(id);
    }

    /// Dials routers that a holder told of: unlike an exit a router says nowhere else where it is, and its
    /// address is forgotten with the question.
    pub(super) fn meet(&mut self, id: u64, nodes: Vec<NodeId>) {
        let Some(seek) = self.seeks.get_mut(&id) else {
            return;
        };
        let others = nodes.into_iter().filter(|it| *it != self.node);
        let room = MET.saturating_sub(seek.met.len());
        let fresh: Vec<NodeId> = others.take(room).collect();
        seek.met.extend(&fresh);
        for node in fresh {
            self.connect(&node);
        }
    }

    pub(super) fn record_answered(&mut self, id: u64) {
        if let Some(seek) = self.seeks.get_mut(&id) {
            seek.open = seek.open.saturating_sub(1);
        }
        self.drive_seek(id);
    }

    /// A search is over: says what is known now, and goes on to measure the best.
    pub(super) fn found(&mut self, seek: Seek) {
        let (query, reply) = match seek.want {
            Want::Offers(query, reply) => (query, reply),
            Want::Routers(reply) => {
                let found = seek.searches.iter().flat_map(|(_, it)| it.found());
                let met: BTreeSet<NodeId> = seek.met.iter().copied().collect();
                let others = found.filter(|it| **it != self.node && !met.contains(it));
                let others = shuffled(others.copied());
                answer(reply, Ok(seek.met.into_iter().chain(others).collect()));
                return;
            }
        };
        let ranked = self.rank(&query);
        let best: Vec<NodeId> = ranked
            .iter()
            .take(MEASURED)
            .map(|it| it.offer.offer().node)
            .collect();
        if let Some(reply) = reply {
            answer(reply, Ok(ranked));
        }
        for node in best {
            self.connect(&node);
        }
    }
}
