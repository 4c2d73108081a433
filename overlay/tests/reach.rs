//! Reaching a node again after the path to it is gone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on should stop"
)]

#[path = "support/world.rs"]
mod world;

use std::net::SocketAddr;

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use world::{Node, QUIC_V4};

/// A path to `target`: datagrams of one peer go through it until the task is ended.
async fn path_to(target: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
    let near = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let far = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = near.local_addr().unwrap();
    let carry = async move {
        let (mut out, mut back) = ([0; 65_535], [0; 65_535]);
        let mut peer = None;
        loop {
            tokio::select! {
                Ok((n, from)) = near.recv_from(&mut out) => {
                    peer = Some(from);
                    let _ = far.send_to(&out[..n], target).await;
                }
                Ok(n) = far.recv(&mut back) => {
                    if let Some(peer) = peer {
                        let _ = near.send_to(&back[..n], peer).await;
                    }
                }
            }
        }
    };
    (address, tokio::spawn(carry))
}

fn port(address: &str) -> u16 {
    address.split('/').nth(4).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_opened_anew_where_the_standing_connection_is_dead() {
    let exit = Node::with(1, |it| it.listen = vec![QUIC_V4.to_owned()]).await;
    let straight = exit.address.clone();
    let target = format!("127.0.0.1:{}", port(&straight)).parse().unwrap();
    let (path, carrier) = path_to(target).await;
    let by_path = straight.replace(
        &format!("/udp/{}/", target.port()),
        &format!("/udp/{}/", path.port()),
    );
    let consumer = Node::with(2, |it| it.bootstrap = vec![by_path]).await;
    consumer.overlay.open_session(exit.id()).await.unwrap();

    carrier.abort();
    consumer.overlay.dial(straight).await.unwrap();
    consumer.overlay.open_session(exit.id()).await.unwrap();
    let renewed = consumer.overlay.stats().await.unwrap().counters;
    assert_eq!(renewed.get("peer.renewed"), Some(&1), "{renewed:?}");
}
