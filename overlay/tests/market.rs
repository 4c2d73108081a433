//! Real nodes on loopback: a consumer that knows one address finds every exit, by both ways.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on should stop"
)]

#[path = "support/world.rs"]
mod world;

use warren_overlay::{OfferQuery, RankedOffer};
use world::{Net, Node, QUIC_V4, QUIC_V6, TCP_V4, TCP_V6, eventually};

/// One bootstrap node, three exits, then a consumer that knows the bootstrap node alone.
async fn a_consumer_finds_three_exits(listen: &str) {
    let net = Net::start(listen, 3).await;
    let consumer = net.consumer(10).await;
    let mut exits: Vec<_> = net.exits.iter().map(Node::id).collect();
    exits.sort();

    let both = |found: &[RankedOffer]| {
        let mut seen: Vec<_> = found
            .iter()
            .filter(|it| it.by_dht && it.by_gossip)
            .collect();
        seen.sort_by_key(|it| it.offer.offer().node);
        seen.iter()
            .map(|it| it.offer.offer().node)
            .eq(exits.iter().copied())
    };
    let found = eventually("three exits by DHT and by gossip", || async {
        let found = consumer
            .overlay
            .refresh(OfferQuery::default())
            .await
            .unwrap();
        both(&found).then_some(found)
    })
    .await;
    assert_eq!(found.len(), 3);
    for offer in &found {
        assert_eq!(
            offer.points,
            offer
                .score_reasons
                .iter()
                .map(|it| it.points())
                .sum::<u32>()
        );
    }
    consumer.overlay.shutdown().await.unwrap();
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_quic_on_ipv4() {
    a_consumer_finds_three_exits(QUIC_V4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_tcp_on_ipv4() {
    a_consumer_finds_three_exits(TCP_V4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_quic_on_ipv6() {
    a_consumer_finds_three_exits(QUIC_V6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_tcp_on_ipv6() {
    a_consumer_finds_three_exits(TCP_V6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawn_offer_is_gone_everywhere() {
    let net = Net::start(QUIC_V4, 2).await;
    let consumer = net.consumer(10).await;
    eventually("two exits", || async {
        let found = consumer
            .overlay
            .refresh(OfferQuery::default())
            .await
            .unwrap();
        (found.len() == 2).then_some(())
    })
    .await;
    net.exits[0].overlay.withdraw_offer().await.unwrap();
    let left = eventually("one exit left", || async {
        let found = consumer
            .overlay
            .offers(OfferQuery::default())
            .await
            .unwrap();
        (found.len() == 1).then_some(found)
    })
    .await;
    assert_eq!(left[0].offer.offer().node, net.exits[1].id());
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_best_exits_are_measured() {
    let net = Net::start(QUIC_V4, 2).await;
    let consumer = net.consumer(10).await;
    eventually("a round trip of both", || async {
        let found = consumer
            .overlay
            .refresh(OfferQuery::default())
            .await
            .unwrap();
        (found.len() == 2 && found.iter().all(|it| it.rtt.is_some())).then_some(())
    })
    .await;
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_overlay_says_so() {
    let node = Node::start(1, QUIC_V4, &[]).await;
    node.overlay.shutdown().await.unwrap();
    let again = node.overlay.shutdown().await;
    assert!(
        matches!(again, Err(warren_overlay::OverlayError::Stopped)),
        "{again:?}"
    );
}

/// A node that only dials out to the DHT, and listens where it listened before.
async fn client(n: u8, bootstrap: &str, listen: &str, external: Vec<String>) -> Node {
    Node::with(n, |it| {
        it.listen = vec![listen.to_owned()];
        it.bootstrap = vec![bootstrap.to_owned()];
        it.external = external;
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dht_knows_an_exit_that_says_in_its_offer_alone_where_it_is() {
    let bootstrap = Node::start(200, QUIC_V4, &[]).await;
    let exit = client(1, &bootstrap.address, QUIC_V4, vec![]).await;
    exit.overlay
        .publish_offer(exit.signed_offer(1))
        .await
        .unwrap();
    let consumer = Node::with(10, |it| it.bootstrap = vec![bootstrap.address.clone()]).await;
    eventually("the exit by DHT", || async {
        let found = consumer.overlay.refresh(OfferQuery::default()).await;
        found.unwrap().iter().any(|it| it.by_dht).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_that_is_no_exit_can_be_spoken_to_once_it_is_found() {
    let bootstrap = Node::start(200, QUIC_V4, &[]).await;
    let first = client(1, &bootstrap.address, TCP_V4, vec![]).await;
    let listen = first.address.split("/p2p/").next().unwrap().to_owned();
    first.overlay.shutdown().await.unwrap();
    drop(first);
    let external = vec![listen.clone()];
    let router = client(1, &bootstrap.address, &listen, external).await;
    router.overlay.announce_router(true).await.unwrap();
    let consumer = Node::with(10, |it| it.bootstrap = vec![bootstrap.address.clone()]).await;
    eventually("the router", || async {
        let found = consumer.overlay.routers().await.unwrap();
        (found == [router.id()]).then_some(())
    })
    .await;
    consumer.overlay.open_session(router.id()).await.unwrap();
}
