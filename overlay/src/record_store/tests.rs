use std::time::Duration;

use super::*;

fn entry(key: u8, peer: PeerId, expires: Instant) -> ProviderRecord {
    let key = RecordKey::new(&[key; KEY_BYTES]);
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

/// Those of `peers` that are held as providers of `key`.
fn held(store: &OfferStore, key: u8, peers: &[PeerId]) -> usize {
    let all = store.providers(&RecordKey::new(&[key; KEY_BYTES]));
    let all: Vec<_> = all.iter().map(|it| it.provider).collect();
    peers.iter().filter(|it| all.contains(it)).count()
}

fn strangers(count: usize) -> Vec<PeerId> {
    std::iter::repeat_with(PeerId::random).take(count).collect()
}

#[test]
fn an_entry_is_small_whatever_was_announced() {
    let later = Instant::now() + Duration::from_secs(60);
    let mut store = OfferStore::new(PeerId::random());
    let mut it = entry(1, PeerId::random(), later);
    let long = format!("/ip4/9.9.9.9/tcp/1/dns/{}", "a".repeat(4000));
    let short = "/ip4/9.9.9.9/tcp/1".to_owned();
    let told = [&long, &long, &long, &long, &short];
    it.addresses = told.iter().map(|it| it.parse().unwrap()).collect();
    store.add_provider(it.clone()).unwrap();
    let held = store.providers(&it.key)[0].addresses.clone();
    assert_eq!(held, [short.parse().unwrap()]);
    for bytes in [1, 31, 33, 10_000] {
        it.key = RecordKey::new(&vec![1; bytes]);
        assert!(store.add_provider(it.clone()).is_err());
    }
    assert_eq!(store.held(), 1);
}

#[test]
fn who_comes_first_keeps_nobody_out() {
    let (local, later) = (PeerId::random(), Instant::now() + Duration::from_secs(60));
    let mut store = OfferStore::new(local);
    store.add_provider(entry(1, local, later)).unwrap();
    let (first, honest) = (strangers(MAX_PROVIDERS), strangers(64));
    for peer in first.iter().chain(&honest) {
        store.add_provider(entry(1, *peer, later)).unwrap();
    }
    assert!(held(&store, 1, &honest) > 0);
    assert_eq!(held(&store, 1, &[local]), 1);
    assert_eq!(store.held(), MAX_PROVIDERS);
}

#[test]
fn a_household_of_many_ids_takes_no_place_of_another() {
    let later = Instant::now() + Duration::from_secs(60);
    let mut store = OfferStore::new(PeerId::random());
    let flood = Some("8.8.8.8/32".parse().unwrap());
    for peer in strangers(MAX_PROVIDERS) {
        store.hold(entry(1, peer, later), flood).unwrap();
    }
    let honest = strangers(MAX_PROVIDERS - 1);
    for (n, peer) in honest.iter().enumerate() {
        let home = Some(format!("9.9.9.{n}/32").parse().unwrap());
        store.hold(entry(1, *peer, later), home).unwrap();
    }
    for peer in strangers(200) {
        store.hold(entry(1, peer, later), flood).unwrap();
    }
    assert_eq!(held(&store, 1, &honest), honest.len());
}

#[test]
fn all_entries_together_are_bounded_and_a_newcomer_has_its_place() {
    let later = Instant::now() + Duration::from_secs(60);
    let mut store = OfferStore::new(PeerId::random());
    for peer in strangers(MAX_ENTRIES / MAX_KEYS_OF_PEER) {
        for n in 0..MAX_KEYS_OF_PEER {
            let mut it = entry(0, peer, later);
            let tail = (n as u64).to_be_bytes();
            let key = [&peer.to_bytes()[6..30], tail.as_slice()].concat();
            it.key = RecordKey::new(&key);
            store.add_provider(it).unwrap();
        }
    }
    assert_eq!(store.held(), MAX_ENTRIES);
    let newcomer = PeerId::random();
    store.add_provider(entry(1, newcomer, later)).unwrap();
    assert_eq!(held(&store, 1, &[newcomer]), 1);
    assert_eq!(store.held(), MAX_ENTRIES);
}

#[test]
fn nobody_is_first_in_every_answer() {
    let later = Instant::now() + Duration::from_secs(60);
    let mut store = OfferStore::new(PeerId::random());
    for _ in 0..20 {
        let it = entry(1, PeerId::random(), later);
        store.add_provider(it).unwrap();
    }
    let first = || store.providers(&RecordKey::new(&[1; KEY_BYTES]))[0].provider;
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
