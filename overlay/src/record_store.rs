//! What this node holds of the DHT for others: bounded in every direction, and forgetting by itself.
//!
//! Records come in only after [`crate::offers::OfferIndex`] accepted them. Provider entries cannot be
//! checked (a key does not tell its country), so each peer gets a few of bounded size, and all get a bounded total.
//! Ids cost nothing, so whoever came first keeps nobody out: where all places are taken, one of the household that
//! has the most becomes free.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::time::Instant;

use ipnet::IpNet;
use libp2p::PeerId;
use libp2p::kad::store::{Error, RecordStore, Result};
use libp2p::kad::{ProviderRecord, Record, RecordKey};
use warren_proto::MAX_OFFER_BYTES;

use crate::chance::shuffled;

// Our choice.
/// Records held: 8 MiB at most.
const MAX_RECORDS: usize = 4096;
/// Provider entries held: 8 MiB at most.
const MAX_ENTRIES: usize = 8192;
/// Bytes of a key under which providers are held: all of ours are hashes.
const KEY_BYTES: usize = 32;
/// Providers held of one key.
const MAX_PROVIDERS: usize = 32;
/// Keys one peer may announce itself under: two tries of seven levels, doubled for a moving level, and a router's four.
const MAX_KEYS_OF_PEER: usize = 32;
/// Addresses kept of one provider.
const MAX_ADDRESSES: usize = 4;
/// Bytes of one of them, as in an offer. An answer with eight such providers is far below the 16 KiB that whoever
/// asked reads of one (libp2p-kad); were it longer, nobody would learn anything of that key.
const MAX_ADDRESS_BYTES: usize = 128;

/// That a peer provides a key.
#[derive(Debug)]
struct Entry {
    record: ProviderRecord,
    /// Where the peer is. `None` for this node itself, and for whoever is not on the public internet.
    home: Option<IpNet>,
}

type Providers = BTreeMap<PeerId, Entry>;

/// The DHT's store of one node.
#[derive(Debug)]
pub(crate) struct OfferStore {
    local: PeerId,
    records: BTreeMap<Vec<u8>, Record>,
    providers: BTreeMap<Vec<u8>, Providers>,
    announced: BTreeMap<PeerId, usize>,
}

impl OfferStore {
    pub(crate) fn new(local: PeerId) -> Self {
        let (records, providers, announced) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self {
            local,
            records,
            providers,
            announced,
        }
    }

    /// How many records and provider entries are held.
    pub(crate) fn held(&self) -> usize {
        self.records.len() + self.entries()
    }

    fn entries(&self) -> usize {
        self.announced.values().sum()
    }

    /// Drops what is over.
    pub(crate) fn forget_expired(&mut self, now: Instant) {
        self.records.retain(|_, it| !it.is_expired(now));
        let announced = &mut self.announced;
        self.providers.retain(|_, of_key| {
            of_key.retain(|peer, it| {
                let keep = !it.record.is_expired(now);
                if !keep {
                    release(announced, peer);
                }
                keep
            });
            !of_key.is_empty()
        });
    }

    /// Holds that a peer of the household `home` provides a key; addresses beyond the bounds are left out.
    ///
    /// # Errors
    /// [`Error::ValueTooLarge`] if the key is none of ours, [`Error::MaxProvidedKeys`] if the peer has too many.
    pub(crate) fn hold(&mut self, mut record: ProviderRecord, home: Option<IpNet>) -> Result<()> {
        if record.key.as_ref().len() != KEY_BYTES {
            return Err(Error::ValueTooLarge);
        }
        record.addresses.retain(|it| it.len() <= MAX_ADDRESS_BYTES);
        record.addresses.truncate(MAX_ADDRESSES);
        let (key, peer) = (record.key.to_vec(), record.provider);
        let entry = Entry { record, home };
        let of_key = self.providers.get_mut(&key);
        if let Some(held) = of_key.and_then(|it| it.get_mut(&peer)) {
            *held = entry;
            return Ok(());
        }
        if peer != self.local {
            let has = self.announced.get(&peer).copied().unwrap_or(0);
            if has >= MAX_KEYS_OF_PEER {
                return Err(Error::MaxProvidedKeys);
            }
            self.make_room(&key, home);
        }
        *self.announced.entry(peer).or_insert(0) += 1;
        self.providers.entry(key).or_default().insert(peer, entry);
        Ok(())
    }

    /// Room for one more entry of `key`, by a peer of `home`: a stranger's gives way, if all places are taken.
    fn make_room(&mut self, key: &[u8], home: Option<IpNet>) {
        let of_key = self.providers.get(key);
        let crowded = of_key.is_some_and(|it| it.len() >= MAX_PROVIDERS);
        if !crowded && self.entries() < MAX_ENTRIES {
            return;
        }
        let keys = self.providers.iter();
        let keys = keys.filter(|(it, _)| !crowded || it.as_slice() == key);
        let held = keys.flat_map(|(key, of_key)| of_key.iter().map(move |it| (key, it)));
        let foreign = held.filter(|(_, (peer, _))| **peer != self.local);
        let foreign: Vec<_> = foreign
            .map(|(key, (peer, it))| ((key, peer), it.home))
            .collect();
        if let Some((key, peer)) = one_of_the_greatest(&foreign, home) {
            let (key, peer) = (RecordKey::new(key), *peer);
            self.remove_provider(&key, &peer);
        }
    }
}

/// Any of those whose household has the most, with a newcomer of `home` counted in. Whoever has no household
/// is one by itself.
fn one_of_the_greatest<T: Copy + Hash>(
    held: &[(T, Option<IpNet>)],
    home: Option<IpNet>,
) -> Option<T> {
    let mut shares: BTreeMap<IpNet, usize> = BTreeMap::new();
    for home in held.iter().filter_map(|(_, it)| *it).chain(home) {
        *shares.entry(home).or_insert(0) += 1;
    }
    let share = |home: &Option<IpNet>| home.and_then(|it| shares.get(&it)).map_or(1, |it| *it);
    let most = held.iter().map(|(_, it)| share(it)).max()?;
    let greatest = held.iter().filter(|(_, it)| share(it) == most);
    shuffled(greatest.map(|(it, _)| *it)).first().copied()
}

fn release(announced: &mut BTreeMap<PeerId, usize>, peer: &PeerId) {
    if let Some(count) = announced.get_mut(peer) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            announced.remove(peer);
        }
    }
}

impl RecordStore for OfferStore {
    type RecordsIter<'a> = std::vec::IntoIter<Cow<'a, Record>>;
    type ProvidedIter<'a> = std::vec::IntoIter<Cow<'a, ProviderRecord>>;

    fn get(&self, key: &RecordKey) -> Option<Cow<'_, Record>> {
        self.records.get(key.as_ref()).map(Cow::Borrowed)
    }

    fn put(&mut self, record: Record) -> Result<()> {
        if record.value.len() > MAX_OFFER_BYTES {
            return Err(Error::ValueTooLarge);
        }
        let key = record.key.to_vec();
        let ours = record.publisher == Some(self.local);
        if !ours && self.records.len() >= MAX_RECORDS && !self.records.contains_key(&key) {
            return Err(Error::MaxRecords);
        }
        self.records.insert(key, record);
        Ok(())
    }

    fn remove(&mut self, key: &RecordKey) {
        self.records.remove(key.as_ref());
    }

    fn records(&self) -> Self::RecordsIter<'_> {
        self.records
            .values()
            .map(Cow::Borrowed)
            .collect::<Vec<_>>()
            .into_iter()
    }

    fn add_provider(&mut self, record: ProviderRecord) -> Result<()> {
        self.hold(record, None)
    }

    /// In another order each time: Kademlia cuts an answer to its first few.
    fn providers(&self, key: &RecordKey) -> Vec<ProviderRecord> {
        let Some(of_key) = self.providers.get(key.as_ref()) else {
            return Vec::new();
        };
        let drawn = shuffled(of_key.keys().copied());
        let drawn = drawn.iter().filter_map(|peer| of_key.get(peer));
        drawn.map(|it| it.record.clone()).collect()
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        let ours = self.providers.values().filter_map(|it| it.get(&self.local));
        let ours = ours.map(|it| Cow::Borrowed(&it.record));
        ours.collect::<Vec<_>>().into_iter()
    }

    fn remove_provider(&mut self, key: &RecordKey, peer: &PeerId) {
        let Some(of_key) = self.providers.get_mut(key.as_ref()) else {
            return;
        };
        if of_key.remove(peer).is_some() {
            release(&mut self.announced, peer);
        }
        if of_key.is_empty() {
            self.providers.remove(key.as_ref());
        }
    }
}

#[cfg(test)]
mod tests;
