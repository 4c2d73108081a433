//! The keys that this task signs with, and one account's task for each that sends.
//!
//! Key 0 is the node's own account: it is paid, and it funds the others. Each channel that this
//! node pays from has a key of its own (docs/adr/0015).

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use warren_proto::PayoutAddress;

use crate::chain::Chain;
use crate::store::{ChannelStore, Table};
use crate::tx::{Done, StartError, Submitter, SubmitterConfig, holds_flights};
use crate::wallet::{Wallet, WalletError, WalletKey};

/// Keys looked for beyond the last one known to be used: the gap limit of BIP-44.
pub(super) const GAP: u32 = 20;
/// Keys looked for by a store that may have lost channels: those of the first ones may be older than the blocks that are
/// looked at, and then nothing moves the gap on. Our choice.
pub(super) const LOST: u32 = 200;
/// Index of the node's own account.
pub(super) const ACCOUNT: u32 = 0;

/// The wallet's first keys, derived.
pub(super) struct Keyring {
    wallet: Wallet,
    keys: Vec<WalletKey>,
    places: BTreeMap<PayoutAddress, u32>,
    /// The next channel's key.
    next: u32,
}

impl Keyring {
    /// `used`: the highest index of any channel on record.
    pub(super) fn new(wallet: Wallet, used: u32) -> Result<Self, WalletError> {
        let mut ring = Self {
            wallet,
            keys: Vec::new(),
            places: BTreeMap::new(),
            next: 1,
        };
        ring.reach(used)?;
        Ok(ring)
    }

    /// Counts `index` as used, and knows the keys of the gap beyond it.
    pub(super) fn reach(&mut self, index: u32) -> Result<(), WalletError> {
        self.next = self.next.max(index.saturating_add(1));
        self.know(index.saturating_add(1).saturating_add(GAP))
    }

    /// Knows so many keys, used or not.
    pub(super) fn know(&mut self, want: u32) -> Result<(), WalletError> {
        let have = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        if have < want {
            let more = self.wallet.payer_keys(have, want.saturating_sub(have))?;
            self.places
                .extend((have..).zip(&more).map(|(at, key)| (key.address(), at)));
            self.keys.extend(more);
        }
        Ok(())
    }

    /// Takes the next key for a channel.
    pub(super) fn take(&mut self) -> Result<u32, WalletError> {
        let index = self.next;
        self.reach(index)?;
        Ok(index)
    }

    pub(super) const fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    /// The key at `index`; the account's for an index never reached, which no channel has.
    pub(super) fn key(&self, index: u32) -> &WalletKey {
        let known = usize::try_from(index).ok().and_then(|it| self.keys.get(it));
        known.unwrap_or_else(|| self.wallet.account_key())
    }

    pub(super) fn account(&self) -> PayoutAddress {
        self.wallet.account()
    }

    /// Which of the keys owns `address`.
    pub(super) fn place_of(&self, address: &PayoutAddress) -> Option<u32> {
        self.places.get(address).copied()
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = (u32, PayoutAddress)> + '_ {
        self.places.iter().map(|(address, at)| (*at, *address))
    }
}

/// The tasks that send, one per key in use.
pub(super) struct Senders {
    chain: Arc<dyn Chain>,
    store: Arc<dyn ChannelStore>,
    config: SubmitterConfig,
    told: mpsc::Sender<Done>,
    by_index: BTreeMap<u32, Submitter>,
}

impl Senders {
    /// Starts the account's task, and one for each key that has something on its way.
    pub(super) fn start(
        chain: Arc<dyn Chain>,
        store: Arc<dyn ChannelStore>,
        config: SubmitterConfig,
        told: mpsc::Sender<Done>,
        ring: &Keyring,
    ) -> Result<Self, StartError> {
        let flights = store.scan(Table::Tx)?;
        let mut senders = Self {
            chain,
            store,
            config,
            told,
            by_index: BTreeMap::new(),
        };
        for (index, address) in ring.addresses() {
            let busy = flights.iter().any(|(key, _)| holds_flights(address, key));
            if index == ACCOUNT || busy {
                senders.of(index, ring)?;
            }
        }
        Ok(senders)
    }

    /// The task of the key at `index`, started if it was not, or if a failing disk has ended it.
    pub(super) fn of(&mut self, index: u32, ring: &Keyring) -> Result<Submitter, StartError> {
        let known = self.by_index.get(&index);
        if let Some(known) = known.filter(|it| !it.has_ended()) {
            return Ok(known.clone());
        }
        let (chain, store) = (Arc::clone(&self.chain), Arc::clone(&self.store));
        let key = ring.key(index).clone();
        let told = Some(self.told.clone());
        let started = Submitter::start_telling(chain, store, key, self.config, told)?;
        self.by_index.insert(index, started.clone());
        Ok(started)
    }

    /// Lets go of a key whose channel is over and swept.
    pub(super) fn end(&mut self, index: u32) {
        if index != ACCOUNT {
            self.by_index.remove(&index);
        }
    }
}
