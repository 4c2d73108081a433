//! Who is at the other end of a channel that this node pays by: a channel names an account, no node.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use warren_proto::{ChannelId, NodeId};

use crate::error::{ErrorCode, Problem};
use crate::store::{Store, StoreError, Write, tables};

/// What a channel's payee is to this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It routes what this node pays.
    Router,
    /// It is paid for what this node routes: an exit, or another router.
    Onward,
}

/// The node at the other end of a channel that this node pays by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Neighbour {
    pub(crate) node: NodeId,
    pub(crate) kind: Kind,
}

impl Neighbour {
    fn encode(&self) -> Vec<u8> {
        let kind = match self.kind {
            Kind::Router => 1,
            Kind::Onward => 2,
        };
        [[kind].as_slice(), self.node.as_bytes()].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, node) = bytes.split_first()?;
        let kind = match kind {
            1 => Kind::Router,
            2 => Kind::Onward,
            _ => return None,
        };
        let node = NodeId::from_bytes(node.try_into().ok()?);
        Some(Self { node, kind })
    }
}

/// A handle to the neighbours on record; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Neighbours {
    store: Arc<Store>,
    known: Arc<Mutex<BTreeMap<ChannelId, Neighbour>>>,
}

impl Neighbours {
    /// Reads what is kept. A record that cannot be read is passed over: the chain knows the channel.
    pub(super) fn open(store: Arc<Store>) -> Result<Self, StoreError> {
        let mut known = BTreeMap::new();
        for (key, value) in store.scan(tables::ROUTE)? {
            let known_as = (key.try_into().ok(), Neighbour::decode(&value));
            if let (Some(channel), Some(neighbour)) = known_as {
                known.insert(ChannelId::from_bytes(channel), neighbour);
            }
        }
        Ok(Self {
            store,
            known: Arc::new(Mutex::new(known)),
        })
    }

    pub(super) fn get(&self, channel: ChannelId) -> Option<Neighbour> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&channel).copied()
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<(ChannelId, Neighbour)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .iter()
            .map(|(channel, node)| (*channel, *node))
            .collect()
    }

    /// On disk when this returns.
    pub(super) async fn set(&self, channel: ChannelId, it: Neighbour) -> Result<(), Problem> {
        if self.get(channel) == Some(it) {
            return Ok(());
        }
        let book = self.clone();
        let saved = tokio::task::spawn_blocking(move || book.save(channel, it)).await;
        let saved = saved.map_err(|error| Problem::new(ErrorCode::Internal, error))?;
        saved.map_err(|error| error.problem())
    }

    fn save(&self, channel: ChannelId, it: Neighbour) -> Result<(), StoreError> {
        let key = channel.as_bytes().as_slice();
        self.store
            .put(&[Write::put(tables::ROUTE, key, it.encode())])?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(channel, it);
        Ok(())
    }
}
