//! Asking the DHT for exits: buckets first, then the record of each exit found.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use libp2p::kad::RecordKey;
use warren_proto::NodeId;

use super::{Actor, Query, answer, wall_clock};
use crate::command::Reply;
use crate::error::OverlayError;
use crate::names::{self, Bucket, Scope};
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

/// A search under way.
#[derive(Debug)]
pub(super) struct Seek {
    query: OfferQuery,
    reply: Option<Reply<Vec<RankedOffer>>>,
    scopes: Vec<(Scope, Search)>,
    exits: VecDeque<NodeId>,
    fetched: BTreeSet<NodeId>,
    open: usize,
}

/// What a search wants to ask next.
enum Ask {
    Bucket(Scope, Bucket),
    Record(NodeId),
}

impl Seek {
    fn new(query: OfferQuery, reply: Option<Reply<Vec<RankedOffer>>>) -> Self {
        let scopes = if query.countries.is_empty() || query.countries.len() > MAX_SCOPES {
            vec![(Scope::Anywhere, Search::default())]
        } else {
            query
                .countries
                .iter()
                .map(|it| (Scope::Country(*it), Search::default()))
                .collect()
        };
        let exits = query.nodes.iter().copied().collect();
        Self {
            query,
            reply,
            scopes,
            exits,
            fetched: BTreeSet::new(),
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
        let buckets = self.scopes.iter_mut();
        let mut buckets = buckets.map(|(scope, search)| (*scope, search.next_bucket()));
        buckets.find_map(|(scope, bucket)| bucket.map(|bucket| Ask::Bucket(scope, bucket)))
    }
}

impl Actor {
    pub(super) fn refresh(&mut self, query: OfferQuery, reply: Reply<Vec<RankedOffer>>) {
        if self.seeks.is_full() {
            answer(
                reply,
                Err(OverlayError::Busy {
                    limit: self.seeks.limit(),
                }),
            );
            return;
        }
        self.seek(query, Some(reply));
    }

    pub(super) fn seek(&mut self, query: OfferQuery, reply: Option<Reply<Vec<RankedOffer>>>) {
        let (id, now) = (self.next_seek, Instant::now());
        self.next_seek = self.next_seek.wrapping_add(1);
        if self
            .seeks
            .add(id, Seek::new(query, reply), now, SEEK_LIFE)
            .is_err()
        {
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
            Ask::Bucket(scope, bucket) => {
                let key = RecordKey::new(&names::exits_key(scope, bucket));
                let query = self.it.swarm.behaviour_mut().kad.get_providers(key);
                let exits = BTreeSet::new();
                self.asked(
                    query.into(),
                    Query::Bucket {
                        seek,
                        scope,
                        bucket,
                        exits,
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
                self.asked(query.into(), Query::Record { seek })
            }
        }
    }

    pub(super) fn bucket_answered(
        &mut self,
        id: u64,
        (scope, bucket): (Scope, Bucket),
        exits: &BTreeSet<NodeId>,
    ) {
        let Some(seek) = self.seeks.get_mut(&id) else {
            return;
        };
        seek.open = seek.open.saturating_sub(1);
        for (_, search) in seek.scopes.iter_mut().filter(|(it, _)| *it == scope) {
            seek.exits.extend(search.answered(bucket, exits));
        }
        self.drive_seek(id);
    }

    pub(super) fn record_answered(&mut self, id: u64) {
        if let Some(seek) = self.seeks.get_mut(&id) {
            seek.open = seek.open.saturating_sub(1);
        }
        self.drive_seek(id);
    }

    /// A search is over: says what is known now, and goes on to measure the best.
    pub(super) fn found(&mut self, seek: Seek) {
        let ranked = self.rank(&seek.query);
        let best: Vec<NodeId> = ranked
            .iter()
            .take(MEASURED)
            .map(|it| it.offer.offer().node)
            .collect();
        if let Some(reply) = seek.reply {
            answer(reply, Ok(ranked));
        }
        for node in best {
            self.connect(&node);
        }
    }
}
