//! What this node holds of the DHT for others: bounded in every direction, and forgetting by itself.
//!
//! Records come in only after [`crate::offers::OfferIndex`] accepted them. Provider entries cannot be
//! checked (a key does not tell its country), so each peer gets a few, and all get a bounded total.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Instant;

use libp2p::PeerId;
use libp2p::kad::store::{Error, RecordStore, Result};
use libp2p::kad::{ProviderRecord, Record, RecordKey};
use warren_proto::MAX_OFFER_BYTES;

use crate::chance::shuffled;

// Our choice.
/// Records held: 8 MiB at most.
const MAX_RECORDS: usize = 4096;
/// Keys for which providers are held.
const MAX_KEYS: usize = 4096;
/// Providers held of one key.
const MAX_PROVIDERS: usize = 32;
/// Keys one peer may announce itself under: two tries of seven levels, doubled for a moving level, and a router's four.
const MAX_KEYS_OF_PEER: usize = 32;
/// Addresses kept of one provider.
const MAX_ADDRESSES: usize = 4;

type Providers = BTreeMap<PeerId, ProviderRecord>;

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
        self.records.len() + self.announced.values().sum::<usize>()
    }

    /// Drops what is over.
    pub(crate) fn forget_expired(&mut self, now: Instant) {
        self.records.retain(|_, it| !it.is_expired(now));
        let announced = &mut self.announced;
        self.providers.retain(|_, of_key| {
            of_key.retain(|peer, it| {
                let keep = !it.is_expired(now);
                if !keep {
                    release(announced, peer);
                }
                keep
            });
            !of_key.is_empty()
        });
    }
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

    fn add_provider(&mut self, mut record: ProviderRecord) -> Result<()> {
        record.addresses.truncate(MAX_ADDRESSES);
        let (key, peer) = (record.key.to_vec(), record.provider);
        if let Some(held) = self
            .providers
            .get_mut(&key)
            .and_then(|it| it.get_mut(&peer))
        {
            *held = record;
            return Ok(());
        }
        let ours = peer == self.local;
        let crowded = self.providers.get(&key).map_or_else(
            || self.providers.len() >= MAX_KEYS,
            |of_key| of_key.len() >= MAX_PROVIDERS,
        );
        let greedy = self
            .announced
            .get(&peer)
            .is_some_and(|count| *count >= MAX_KEYS_OF_PEER);
        if !ours && (crowded || greedy) {
            return Err(Error::MaxProvidedKeys);
        }
        *self.announced.entry(peer).or_insert(0) += 1;
        self.providers.entry(key).or_default().insert(peer, record);
        Ok(())
    }

    /// In another order each time: Kademlia cuts an answer to its first few.
    fn providers(&self, key: &RecordKey) -> Vec<ProviderRecord> {
        let Some(of_key) = self.providers.get(key.as_ref()) else {
            return Vec::new();
        };
        let drawn = shuffled(of_key.keys().copied());
        let drawn = drawn.iter().filter_map(|peer| of_key.get(peer));
        drawn.cloned().collect()
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        let ours = self.providers.values().filter_map(|it| it.get(&self.local));
        ours.map(Cow::Borrowed).collect::<Vec<_>>().into_iter()
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
mod tests {
    use std::time::Duration;

    use super::*;

    fn entry(key: u8, peer: PeerId, expires: Instant) -> ProviderRecord {
        let key = RecordKey::new(&[key]);
        ProviderRecord {
            key,
            provider: peer,
            expires: Some(expires),
            addresses: vec![],
        }
    }

    #[test]
    fn one_peer_cannot_take_every_key() {
        let (peer, later) = (PeerId::random(), Instant::now() + Duration::from_secs(60));
        let mut store = OfferStore::new(PeerId::random());
        let stored = (0..=255).filter(|key| store.add_provider(entry(*key, peer, later)).is_ok());
        assert_eq!(stored.count(), MAX_KEYS_OF_PEER);
        assert!(
            store
                .add_provider(entry(255, PeerId::random(), later))
                .is_ok()
        );
    }

    #[test]
    fn nobody_is_first_in_every_answer() {
        let later = Instant::now() + Duration::from_secs(60);
        let mut store = OfferStore::new(PeerId::random());
        for _ in 0..20 {
            let it = entry(1, PeerId::random(), later);
            store.add_provider(it).unwrap();
        }
        let first = || store.providers(&RecordKey::new(&[1]))[0].provider;
        let firsts: std::collections::BTreeSet<_> = (0..100).map(|_| first()).collect();
        assert!(firsts.len() > 1, "{firsts:?}");
    }

    #[test]
    fn there_is_always_room_for_the_own_record() {
        let local = PeerId::random();
        let mut store = OfferStore::new(local);
        for n in 0..MAX_RECORDS {
            store
                .put(Record::new(n.to_be_bytes().to_vec(), vec![]))
                .unwrap();
        }
        let mut record = Record::new(vec![1], vec![]);
        assert!(store.put(record.clone()).is_err());
        record.publisher = Some(local);
        store.put(record).unwrap();
    }

    #[test]
    fn what_is_over_makes_room() {
        let (peer, now) = (PeerId::random(), Instant::now());
        let mut store = OfferStore::new(PeerId::random());
        store.add_provider(entry(1, peer, now)).unwrap();
        let mut record = Record::new(vec![1], vec![2]);
        record.expires = Some(now);
        store.put(record).unwrap();
        assert_eq!(store.held(), 2);
        store.forget_expired(now + Duration::from_secs(1));
        assert_eq!(store.held(), 0);
        assert!(store.announced.is_empty() && store.providers.is_empty());
    }

    #[test]
    fn an_oversized_record_is_not_held() {
        let mut store = OfferStore::new(PeerId::random());
        let record = Record::new(vec![1], vec![0; MAX_OFFER_BYTES + 1]);
        assert!(store.put(record).is_err());
    }
}
