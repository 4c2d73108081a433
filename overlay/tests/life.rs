//! A network over time: renewals, late comers, restarts, and doors that stay shut.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on should stop"
)]

#[path = "support/world.rs"]
mod world;

use std::time::Duration;

use tokio::time::timeout;
use warren_overlay::{OfferQuery, OverlayError, OverlayEvent};
use warren_proto::{CountryCode, Offer, Region};
use world::{Net, Node, QUIC_V4, TCP_V4, eventually, key, now, offer};

const PATIENCE: Duration = Duration::from_secs(60);

fn country(code: &str) -> CountryCode {
    CountryCode::new(code).unwrap()
}

fn listen_again(node: &Node) -> String {
    node.address.split("/p2p/").next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_is_renewed_before_it_dies_and_others_hear_of_it() {
    let bootstrap = Node::start(200, QUIC_V4, &[]).await;
    let mut exit = Node::start(1, QUIC_V4, std::slice::from_ref(&bootstrap.address)).await;
    let life = Duration::from_secs(9);
    let first = Offer {
        valid_until: now().plus(life),
        ..offer(1, vec![])
    }
    .sign(&key(1))
    .unwrap();
    exit.overlay.publish_offer(first.clone()).await.unwrap();
    let renewed = timeout(PATIENCE, async {
        loop {
            if let OverlayEvent::OfferRenewed(next) = exit.events.recv().await.unwrap() {
                break next;
            }
        }
    });
    let renewed = renewed.await.expect("a renewal");
    assert!(renewed.offer().seq > first.offer().seq);
    assert!(renewed.offer().valid_until > first.offer().valid_until);
    assert_eq!(renewed.offer().price, first.offer().price);
    eventually("the renewed offer elsewhere", || async {
        let known = bootstrap
            .overlay
            .offers(OfferQuery::default())
            .await
            .unwrap();
        known
            .iter()
            .any(|it| it.offer.offer().seq >= renewed.offer().seq)
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_ones_own_and_newer_offers_can_be_published() {
    let node = Node::start(1, QUIC_V4, &[]).await;
    let out = node.signed_offer(1);
    node.overlay.publish_offer(out.clone()).await.unwrap();
    let again = node.overlay.publish_offer(out.clone()).await;
    assert!(
        matches!(again, Err(OverlayError::OldSequence { .. })),
        "{again:?}"
    );
    let theirs = offer(2, vec![]).sign(&key(2)).unwrap();
    let stolen = node.overlay.publish_offer(theirs).await;
    assert!(
        matches!(stolen, Err(OverlayError::NotOurs { .. })),
        "{stolen:?}"
    );
    let elsewhere = Offer {
        network: "other/1".to_owned(),
        ..offer(1, vec![])
    };
    let foreign = node
        .overlay
        .publish_offer(elsewhere.sign(&key(1)).unwrap())
        .await;
    assert!(
        matches!(foreign, Err(OverlayError::ForeignOffer { .. })),
        "{foreign:?}"
    );
    assert_eq!(node.overlay.own_offer().await.unwrap(), Some(out));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_after_the_exits_have_gone_hears_of_them_in_a_snapshot() {
    let net = Net::start(QUIC_V4, 2).await;
    eventually("the bootstrap node knows both", || async {
        let known = net
            .bootstrap
            .overlay
            .offers(OfferQuery::default())
            .await
            .unwrap();
        (known.len() == 2).then_some(())
    })
    .await;
    for exit in &net.exits {
        exit.overlay.shutdown().await.unwrap();
    }
    let late = net.consumer(10).await;
    eventually("both by snapshot, none by gossip", || async {
        let known = late.overlay.offers(OfferQuery::default()).await.unwrap();
        let told = known
            .iter()
            .filter(|it| it.by_snapshot && !it.by_gossip)
            .count();
        (told == 2).then_some(())
    })
    .await;
    let gone = late.overlay.open_session(net.exits[0].id()).await;
    assert!(
        matches!(gone, Err(OverlayError::Unreachable { .. })),
        "{gone:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_joins_again_after_its_bootstrap_node_was_away() {
    let bootstrap = Node::start(200, TCP_V4, &[]).await;
    let (listen, address) = (listen_again(&bootstrap), bootstrap.address.clone());
    let node = Node::with(1, |it| it.bootstrap = vec![address.clone()]).await;
    let joined = |want: usize| {
        let node = &node;
        eventually("so many peers", move || async move {
            (node.overlay.peers().await.unwrap().len() == want).then_some(())
        })
    };
    joined(1).await;
    bootstrap.overlay.shutdown().await.unwrap();
    drop(bootstrap);
    joined(0).await;
    let back = Node::start(200, &listen, &[]).await;
    assert_eq!(back.address, address);
    joined(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_alone_asks_for_a_snapshot_however_often_that_was() {
    let mut bootstrap = Node::start(200, TCP_V4, &[]).await;
    let (listen, address) = (listen_again(&bootstrap), bootstrap.address.clone());
    let node = Node::with(1, |it| it.bootstrap = vec![address.clone()]).await;
    for life in 0..4 {
        if life > 0 {
            bootstrap = Node::start(200, &listen, &[]).await;
        }
        eventually(&format!("a snapshot in life {life}"), || async {
            let stats = bootstrap.overlay.stats().await.unwrap();
            stats
                .counters
                .contains_key("snapshot.answered")
                .then_some(())
        })
        .await;
        bootstrap.overlay.shutdown().await.unwrap();
        eventually("nobody", || async {
            let peers = node.overlay.peers().await.unwrap();
            peers.is_empty().then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_joins_by_its_contacts_without_any_bootstrap_node() {
    let net = Net::start(QUIC_V4, 2).await;
    let consumer = net.consumer(10).await;
    eventually("an exit among the contacts", || async {
        let _ = consumer
            .overlay
            .refresh(OfferQuery::default())
            .await
            .unwrap();
        let contacts = consumer.overlay.contacts().await.unwrap();
        (contacts.len() >= 2).then_some(())
    })
    .await;
    let contacts = consumer.overlay.contacts().await.unwrap();
    consumer.overlay.shutdown().await.unwrap();
    net.bootstrap.overlay.shutdown().await.unwrap();
    let again = Node::with(11, |it| it.bootstrap = contacts).await;
    eventually("both exits", || async {
        let found = again.overlay.refresh(OfferQuery::default()).await.unwrap();
        (found.len() == 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_listens_for_one_country_hears_of_it_by_gossip() {
    let bootstrap = Node::start(200, QUIC_V4, &[]).await;
    let mut exits = Vec::new();
    for (n, code) in [(1, "DE"), (2, "FR")] {
        let exit = Node::with(n, |it| {
            it.listen = vec![QUIC_V4.to_owned()];
            it.bootstrap = vec![bootstrap.address.clone()];
            it.serve_dht = true;
        })
        .await;
        let region = Region {
            country: country(code),
            city: String::new(),
        };
        let it = Offer {
            region,
            ..offer(n, vec![listen_again(&exit)])
        };
        exit.overlay
            .publish_offer(it.sign(&key(n)).unwrap())
            .await
            .unwrap();
        exits.push(exit);
    }
    let consumer = Node::with(10, |it| {
        it.bootstrap = vec![bootstrap.address.clone()];
        it.countries = vec![country("DE")];
    })
    .await;
    let german = OfferQuery {
        countries: vec![country("DE")],
        ..OfferQuery::default()
    };
    let found = eventually("the German exit by both ways", || async {
        let found = consumer.overlay.refresh(german.clone()).await.unwrap();
        found
            .iter()
            .any(|it| it.by_dht && it.by_gossip)
            .then_some(found)
    })
    .await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].offer.offer().node, exits[0].id());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bootstrap_node_can_be_given_by_name() {
    let bootstrap = Node::start(200, TCP_V4, &[]).await;
    let named = bootstrap
        .address
        .replace("/ip4/127.0.0.1/", "/dns4/localhost/");
    assert_ne!(named, bootstrap.address);
    let node = Node::with(1, |it| it.bootstrap = vec![named]).await;
    eventually("a peer", || async {
        (node.overlay.peers().await.unwrap().len() == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overlay_that_nobody_holds_stops() {
    let mut node = Node::start(1, QUIC_V4, &[]).await;
    drop(node.overlay);
    let ended = timeout(PATIENCE, async {
        while node.events.recv().await.is_some() {}
    })
    .await;
    assert!(ended.is_ok(), "its events end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_addresses_are_not_dialled_unless_allowed() {
    let bootstrap = Node::start(200, QUIC_V4, &[]).await;
    let node = Node::with(1, |it| {
        it.bootstrap = vec![bootstrap.address.clone()];
        it.allow_private = false;
    })
    .await;
    eventually("a refused dial", || async {
        let stats = node.overlay.stats().await.unwrap();
        stats.counters.contains_key("dial.failed").then_some(())
    })
    .await;
    assert!(node.overlay.peers().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_networks_share_a_wire_and_nothing_else() {
    let ours = Node::start(200, QUIC_V4, &[]).await;
    let theirs = Node::with(1, |it| {
        it.network = "other/1".to_owned();
        it.listen = vec![QUIC_V4.to_owned()];
        it.bootstrap = vec![ours.address.clone()];
        it.serve_dht = true;
    })
    .await;
    let abroad = Offer {
        network: "other/1".to_owned(),
        ..offer(1, vec![])
    };
    theirs
        .overlay
        .publish_offer(abroad.sign(&key(1)).unwrap())
        .await
        .unwrap();
    eventually("a connection", || async {
        (ours.overlay.peers().await.unwrap().len() == 1).then_some(())
    })
    .await;
    let session = ours.overlay.open_session(theirs.id()).await;
    assert!(
        matches!(session, Err(OverlayError::NoSessions { .. })),
        "{session:?}"
    );
    assert_eq!(ours.overlay.stats().await.unwrap().routing_table, 0);
    assert!(
        ours.overlay
            .offers(OfferQuery::default())
            .await
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_wrong_configuration_is_refused_at_the_door() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let start = |change: fn(&mut warren_overlay::OverlayConfig)| {
        let mut config = warren_overlay::OverlayConfig::default();
        change(&mut config);
        warren_overlay::Overlay::start(config, key(1)).err()
    };
    assert!(matches!(
        start(|it| it.network = "x".into()),
        Some(OverlayError::Network { .. })
    ));
    let address = |it: Option<OverlayError>| matches!(it, Some(OverlayError::Address { .. }));
    assert!(address(start(|it| it.listen = vec!["nonsense".into()])));
    assert!(address(start(
        |it| it.listen = vec!["/dns4/example.org/tcp/1".into()]
    )));
    assert!(address(start(
        |it| it.bootstrap = vec!["/ip4/192.0.2.1/tcp/1".into()]
    )));
    assert!(address(start(
        |it| it.external = vec!["192.0.2.1:4077".into()]
    )));
}
