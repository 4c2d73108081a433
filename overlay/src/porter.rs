//! Lets session streams in: so many in all, and so many of each peer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use libp2p_stream::IncomingStreams;
use tokio::sync::mpsc;
use warren_proto::NodeId;

use crate::counters::Counters;
use crate::event::OverlayEvent;
use crate::peer;
use crate::session_stream::SessionStream;

/// Takes inbound session streams off libp2p at once, because libp2p drops what waits.
pub(crate) struct Porter {
    pub(crate) places: Places,
    pub(crate) frame_limit: Duration,
    pub(crate) events: mpsc::WeakSender<OverlayEvent>,
    pub(crate) counters: Counters,
}

impl Porter {
    pub(crate) async fn run(self, mut inbound: IncomingStreams) {
        while let Some((peer, stream)) = inbound.next().await {
            let peer = peer::node_id(&peer);
            let Some((peer, place)) = peer.and_then(|it| Some((it, self.places.take(it)?))) else {
                self.counters.count("session", "refused");
                continue;
            };
            let stream = SessionStream::new(peer, stream, Some(place), self.frame_limit);
            let Some(events) = self.events.upgrade() else {
                return;
            };
            match events.try_send(OverlayEvent::InboundSession { peer, stream }) {
                Ok(()) => self.counters.count("session", "inbound"),
                Err(_) => self.counters.count("session", "nobody_took_it"),
            }
        }
    }
}

/// The places of inbound streams. One peer alone cannot take them all.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    most: usize,
    most_of_one: usize,
    taken: Arc<Mutex<BTreeMap<NodeId, usize>>>,
}

impl Places {
    pub(crate) fn new(most: usize, most_of_one: usize) -> Self {
        Self {
            most,
            most_of_one,
            taken: Arc::default(),
        }
    }

    /// A place for a stream of `peer`; `None` if all are taken, or all that are for one peer.
    pub(crate) fn take(&self, peer: NodeId) -> Option<Place> {
        let mut taken = held(&self.taken);
        let all: usize = taken.values().sum();
        let own = taken.get(&peer).copied().unwrap_or(0);
        if all >= self.most || own >= self.most_of_one {
            return None;
        }
        taken.insert(peer, own + 1);
        let taken = Arc::clone(&self.taken);
        Some(Place { peer, taken })
    }
}

/// A place that is taken; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    peer: NodeId,
    taken: Arc<Mutex<BTreeMap<NodeId, usize>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = held(&self.taken);
        match taken.get_mut(&self.peer) {
            Some(own) if *own > 1 => *own -= 1,
            Some(_) | None => drop(taken.remove(&self.peer)),
        }
    }
}

/// Counts are never left half-written, so a poisoned lock holds good ones.
fn held(taken: &Mutex<BTreeMap<NodeId, usize>>) -> MutexGuard<'_, BTreeMap<NodeId, usize>> {
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
