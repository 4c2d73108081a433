//! Lets session streams in: so many in all, so many of each peer, and few of a household that say nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use ipnet::IpNet;
use libp2p::PeerId;
use libp2p_stream::IncomingStreams;
use tokio::sync::mpsc;
use warren_proto::NodeId;

use crate::counters::Counters;
use crate::event::OverlayEvent;
use crate::households::Homes;
use crate::peer;
use crate::session_stream::SessionStream;

/// Takes inbound session streams off libp2p at once, because libp2p drops what waits.
pub(crate) struct Porter {
    pub(crate) places: Places<NodeId>,
    /// Places of streams without a first frame: ids cost nothing, so these go by household.
    pub(crate) silent: Places<IpNet>,
    pub(crate) homes: Homes,
    pub(crate) frame_limit: Duration,
    pub(crate) events: mpsc::WeakSender<OverlayEvent>,
    pub(crate) counters: Counters,
}

impl Porter {
    pub(crate) async fn run(self, mut inbound: IncomingStreams) {
        while let Some((peer, stream)) = inbound.next().await {
            let Some((peer, admitted)) = self.admit(&peer) else {
                self.counters.count("session", "refused");
                continue;
            };
            let stream = SessionStream::inbound(peer, stream, admitted, self.frame_limit);
            let Some(events) = self.events.upgrade() else {
                return;
            };
            match events.try_send(OverlayEvent::InboundSession { peer, stream }) {
                Ok(()) => self.counters.count("session", "inbound"),
                Err(_) => self.counters.count("session", "nobody_took_it"),
            }
        }
    }

    /// Places for a stream of `peer`. `None` if there are none, or if its household has too many silent ones.
    fn admit(&self, peer: &PeerId) -> Option<(NodeId, Admitted)> {
        let node = peer::node_id(peer)?;
        let place = self.places.take(node)?;
        let silent = match self.homes.of(peer) {
            Some(home) => Some(self.silent.take(home)?),
            None => None,
        };
        Some((node, Admitted { place, silent }))
    }
}

/// What an inbound stream holds here.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// Held as long as either half of it is.
    pub(crate) place: Place<NodeId>,
    /// Held until it has said something. `None` for a peer that is not from the public internet.
    pub(crate) silent: Option<Place<IpNet>>,
}

/// The places of inbound streams. One peer, or household, alone cannot take them all.
#[derive(Debug)]
pub(crate) struct Places<K: Ord + Copy> {
    most: usize,
    most_of_one: usize,
    taken: Taken<K>,
}

type Taken<K> = Arc<Mutex<BTreeMap<K, usize>>>;

impl<K: Ord + Copy> Places<K> {
    pub(crate) fn new(most: usize, most_of_one: usize) -> Self {
        Self {
            most,
            most_of_one,
            taken: Arc::default(),
        }
    }

    /// A place for a stream of `whose`; `None` if all are taken, or all that are for one.
    pub(crate) fn take(&self, whose: K) -> Option<Place<K>> {
        let mut taken = held(&self.taken);
        let all: usize = taken.values().sum();
        let own = taken.get(&whose).copied().unwrap_or(0);
        if all >= self.most || own >= self.most_of_one {
            return None;
        }
        taken.insert(whose, own + 1);
        let taken = Arc::clone(&self.taken);
        Some(Place { whose, taken })
    }
}

/// A place that is taken; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place<K: Ord + Copy> {
    whose: K,
    taken: Taken<K>,
}

impl<K: Ord + Copy> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = held(&self.taken);
        match taken.get_mut(&self.whose) {
            Some(own) if *own > 1 => *own -= 1,
            Some(_) | None => drop(taken.remove(&self.whose)),
        }
    }
}

/// Counts are never left half-written, so a poisoned lock holds good ones.
fn held<K>(taken: &Mutex<BTreeMap<K, usize>>) -> MutexGuard<'_, BTreeMap<K, usize>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_peer_cannot_take_the_places_of_all() {
        let places = Places::new(4, 2);
        let peer = |byte| NodeId::from_bytes([byte; 32]);
        let greedy: Vec<_> = (0..4).filter_map(|_| places.take(peer(1))).collect();
        assert_eq!(greedy.len(), 2);
        let (second, third) = (places.take(peer(2)).unwrap(), places.take(peer(3)));
        assert!(
            third.is_some() && places.take(peer(4)).is_none(),
            "all taken"
        );
        drop(greedy);
        assert!(places.take(peer(1)).is_some(), "given back");
        drop((second, third));
        assert!(held(&places.taken).is_empty(), "nobody is remembered");
    }
}
