//! What strangers may send: nothing of it is believed, all of it is counted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on should stop"
)]

#[path = "support/mallory.rs"]
mod mallory;
#[path = "support/world.rs"]
mod world;

use std::time::Duration;

use libp2p::Multiaddr;
use mallory::Mallory;
use tokio::net::TcpStream;
use warren_overlay::OfferQuery;
use warren_overlay::names::{self, Bucket, Service};
use warren_proto::{Offer, UnixTime};
use world::{Node, QUIC_V4, TCP_V4, eventually, key, now, offer, within};

const HOUR: Duration = Duration::from_secs(3600);

fn signed(offer: Offer) -> Vec<u8> {
    offer.sign(&key(1)).unwrap().as_bytes().to_vec()
}

fn honest() -> Offer {
    offer(1, vec!["/ip4/192.0.2.1/udp/4077/quic-v1".to_owned()])
}

fn forged() -> Vec<u8> {
    let mut bytes = signed(honest());
    *bytes.last_mut().unwrap() ^= 1;
    bytes
}

fn dated(issued: UnixTime) -> Vec<u8> {
    signed(Offer {
        issued,
        valid_until: issued.plus(HOUR),
        ..honest()
    })
}

/// One of each kind of rubbish, with the name it is counted under.
fn rubbish() -> Vec<(&'static str, Vec<u8>)> {
    let two_hours_ago = UnixTime::from_millis(now().as_millis() - 2 * 3_600_000);
    vec![
        ("malformed", b"not an offer".to_vec()),
        ("forged", forged()),
        ("expired", dated(two_hours_ago)),
        ("future", dated(now().plus(HOUR))),
        (
            "foreign",
            signed(Offer {
                network: "elsewhere/1".to_owned(),
                ..honest()
            }),
        ),
        ("oversized", vec![7; 2049]),
    ]
}

async fn counter(node: &Node, name: &str) -> u64 {
    node.overlay
        .stats()
        .await
        .unwrap()
        .counters
        .get(name)
        .copied()
        .unwrap_or(0)
}

async fn counted(node: &Node, name: &str, at_least: u64) {
    let seen = async || (counter(node, name).await >= at_least).then_some(());
    if within(seen).await.is_none() {
        panic!(
            "{name} is not among {:#?}",
            node.overlay.stats().await.unwrap().counters
        );
    }
}

async fn knows_nothing(node: &Node) -> bool {
    node.overlay
        .offers(OfferQuery::default())
        .await
        .unwrap()
        .is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rubbish_by_gossip_is_refused_and_counted() {
    let victim = Node::start(200, QUIC_V4, &[]).await;
    for (name, bytes) in rubbish() {
        // A new face each time: a few wrong messages are enough not to be listened to any more.
        let mallory = Mallory::meet(&victim.address).await;
        mallory.say(bytes).await;
        counted(&victim, &format!("gossip.{name}"), 1).await;
    }
    assert!(knows_nothing(&victim).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rubbish_put_into_the_dht_is_refused_counted_and_not_held() {
    let victim = Node::start(200, QUIC_V4, &[]).await;
    let mallory = Mallory::meet(&victim.address).await;
    let at = names::offer_key(&key(1).id()).to_vec();
    for (name, bytes) in rubbish() {
        mallory.put(at.clone(), bytes).await;
        counted(&victim, &format!("dht.{name}"), 1).await;
    }
    mallory
        .put(names::offer_key(&key(2).id()).to_vec(), signed(honest()))
        .await;
    counted(&victim, "dht.wrong_key", 1).await;
    assert!(knows_nothing(&victim).await);
    assert_eq!(victim.overlay.stats().await.unwrap().held, 0);

    // The same door lets an honest offer in.
    mallory.put(at, signed(honest())).await;
    counted(&victim, "dht.fresh", 1).await;
    assert_eq!(victim.overlay.stats().await.unwrap().held, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_offer_played_again_replaces_nothing() {
    let victim = Node::start(200, QUIC_V4, &[]).await;
    let mallory = Mallory::meet(&victim.address).await;
    let old = Offer { seq: 1, ..honest() };
    let new = Offer { seq: 2, ..honest() };
    let other = Offer {
        seq: 2,
        credit_units: 77,
        ..honest()
    };
    mallory.say(signed(new.clone())).await;
    counted(&victim, "gossip.fresh", 1).await;
    mallory.say(signed(old.clone())).await;
    counted(&victim, "gossip.stale", 1).await;
    mallory
        .put(names::offer_key(&key(1).id()).to_vec(), signed(old))
        .await;
    counted(&victim, "dht.stale", 1).await;
    mallory.say(signed(other)).await;
    counted(&victim, "gossip.equivocal", 1).await;
    mallory.say(signed(new)).await;
    counted(&victim, "gossip.known", 1).await;

    let known = victim.overlay.offers(OfferQuery::default()).await.unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!(
        (
            known[0].offer.offer().seq,
            known[0].offer.offer().credit_units
        ),
        (2, 2)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_on_with_rubbish_is_shut_out() {
    let victim = Node::start(200, QUIC_V4, &[]).await;
    let mallory = Mallory::meet(&victim.address).await;
    let at = names::offer_key(&key(1).id()).to_vec();
    for _ in 0..11 {
        mallory.put(at.clone(), forged()).await;
    }
    counted(&victim, "peer.shut_out", 1).await;
    eventually("the door closes", || async {
        victim
            .overlay
            .peers()
            .await
            .unwrap()
            .is_empty()
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exit_that_changes_its_mind_all_the_time_is_slowed_down() {
    let victim = Node::start(200, QUIC_V4, &[]).await;
    let mallory = Mallory::meet(&victim.address).await;
    for seq in 1..=12 {
        mallory.say(signed(Offer { seq, ..honest() })).await;
    }
    counted(&victim, "gossip.too_often", 1).await;
    assert!(counter(&victim, "gossip.fresh").await <= 8);
    assert_eq!(
        counter(&victim, "peer.shut_out").await,
        0,
        "nobody but the exit is to blame"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_own_clock_is_behind_shuts_nobody_out_for_it() {
    let victim = Node::start(200, QUIC_V4, &[]).await;
    let mallory = Mallory::meet(&victim.address).await;
    let at = names::offer_key(&key(1).id()).to_vec();
    let ahead = now().plus(Duration::from_secs(600));
    for _ in 0..11 {
        mallory.put(at.clone(), dated(ahead)).await;
    }
    // For all it knows, all its peers are ahead of it.
    counted(&victim, "dht.future", 11).await;
    assert_eq!(counter(&victim, "peer.shut_out").await, 0);
    assert!(victim.overlay.stats().await.unwrap().clock_behind);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_own_clock_is_ahead_shuts_nobody_out_for_it() {
    let victim = Node::start(200, QUIC_V4, &[]).await;
    let mallory = Mallory::meet(&victim.address).await;
    let at = names::offer_key(&key(1).id()).to_vec();
    let long_ago = UnixTime::from_millis(now().as_millis() - 2 * 3_600_000);
    for _ in 0..11 {
        mallory.put(at.clone(), dated(long_ago)).await;
    }
    counted(&victim, "dht.expired", 11).await;
    assert_eq!(counter(&victim, "peer.shut_out").await, 0);
    let stats = victim.overlay.stats().await.unwrap();
    assert!(stats.clock_ahead && !stats.clock_behind);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_the_dht_that_is_too_long_hides_no_other() {
    let victim = Node::start(200, QUIC_V4, &[]).await;
    let mallory = Mallory::meet(&victim.address).await;
    // Together as long as the message that tells of them may be: an answer that names one more is longer.
    let long = |n: u16| {
        let text = format!("/ip4/127.0.0.1/tcp/{n}/dns/{}", "a".repeat(4060));
        text.parse::<Multiaddr>().unwrap()
    };
    let at: Vec<_> = (1..=4).map(long).collect();
    let key = names::service_key(Service::Router, Bucket::ROOT).to_vec();
    mallory.provide(key, at).await;
    eventually("it is held", || async {
        (victim.overlay.stats().await.unwrap().held == 1).then_some(())
    })
    .await;

    let router = Node::with(1, |it| {
        it.bootstrap = vec![victim.address.clone()];
        it.external = vec![QUIC_V4.replace("/0/", "/4077/")];
    })
    .await;
    router.overlay.announce_router(true).await.unwrap();
    let consumer = Node::with(10, |it| it.bootstrap = vec![victim.address.clone()]).await;
    eventually("the honest router", || async {
        let found = consumer.overlay.routers().await.unwrap();
        found.contains(&router.id()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing_shut_the_door_for_nobody() {
    let victim = Node::start(200, TCP_V4, &[]).await;
    let port = victim.address.split('/').nth(4).unwrap().parse().unwrap();
    // More than half of all peers; each is waited for, so all are on their way in when the honest one comes.
    let mut silent = Vec::new();
    for _ in 0..64u8 {
        silent.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    }
    let address = victim.address.clone();
    let honest = Node::with(2, |it| it.bootstrap = vec![address]).await;
    let opened = honest.overlay.open_session(victim.id()).await;
    assert!(opened.is_ok(), "{opened:?}");
    drop(silent);
}
