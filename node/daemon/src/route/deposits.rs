//! Deposits that were on their way onward when the node ended: the payments know of them again once they are in a block.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use warren_payments::ChannelView;
use warren_proto::{Amount, ChannelId, UnixTime};

use crate::error::{ErrorCode, Problem};
use crate::store::{Store, StoreError, Write, tables};

/// Before the channel's id: a key of another length than those of neighbours and locks.
const PREFIX: &[u8] = b"deposit";
/// Our choice: what came into no block by then was never sent, or is lost.
const COUNTS_FOR: Duration = Duration::from_secs(24 * 3600);

/// A deposit that a top-up comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    total: Amount,
    until: UnixTime,
}

impl Asked {
    fn encode(&self) -> Vec<u8> {
        let until = self.until.as_secs().to_be_bytes();
        [self.total.to_be_bytes().as_slice(), &until].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (total, until) = bytes.split_first_chunk::<12>()?;
        Some(Self {
            total: Amount::from_be_slice(total)?,
            until: UnixTime::from_secs(u64::from_be_bytes(until.try_into().ok()?)),
        })
    }
}

/// A handle to the deposits on record; clones share them.
#[derive(Debug, Clone)]
pub(super) struct Deposits {
    store: Arc<Store>,
    /// Asked before this run. Of its own the payments know.
    before: Arc<BTreeMap<ChannelId, Asked>>,
}

impl Deposits {
    /// Reads what is kept. A record that cannot be read is passed over.
    pub(super) fn open(store: Arc<Store>) -> Result<Self, StoreError> {
        let mut before = BTreeMap::new();
        for (key, value) in store.scan(tables::ROUTE)? {
            let channel = key.strip_prefix(PREFIX).and_then(|it| it.try_into().ok());
            if let (Some(channel), Some(asked)) = (channel, Asked::decode(&value)) {
                before.insert(ChannelId::from_bytes(channel), asked);
            }
        }
        let before = Arc::new(before);
        Ok(Self { store, before })
    }

    /// What was asked for in a run before and may still come.
    pub(super) fn left_over(&self, it: &ChannelView, now: UnixTime) -> Amount {
        let asked = self.before.get(&it.id).filter(|it| it.until > now);
        asked.map_or(Amount::ZERO, |asked| asked.total.saturating_sub(it.deposit))
    }

    /// So much more is about to be asked for; on disk when this returns.
    pub(super) async fn asks(
        &self,
        it: &ChannelView,
        more: Amount,
        now: UnixTime,
    ) -> Result<(), Problem> {
        let sums = [it.deposit, self.left_over(it, now), more];
        let total = sums.into_iter().try_fold(Amount::ZERO, Amount::checked_add);
        let asked = Asked {
            total: total.unwrap_or(Amount::MAX),
            until: now.plus(COUNTS_FOR),
        };
        self.save(it.id, Some(asked)).await
    }

    /// What this run asked for is in the channel, or will not come.
    pub(super) async fn is_over(&self, channel: ChannelId) -> Result<(), Problem> {
        self.save(channel, self.before.get(&channel).copied()).await
    }

    async fn save(&self, channel: ChannelId, asked: Option<Asked>) -> Result<(), Problem> {
        let key = [PREFIX, channel.as_bytes().as_slice()].concat();
        let write = match asked {
            Some(it) => Write::put(tables::ROUTE, key, it.encode()),
            None => Write::delete(tables::ROUTE, key),
        };
        let store = Arc::clone(&self.store);
        let saved = tokio::task::spawn_blocking(move || store.put(&[write])).await;
        let saved = saved.map_err(|error| Problem::new(ErrorCode::Internal, error))?;
        saved.map_err(|error| error.problem())
    }
}
