//! Session streams: frames each way, and what a bad or slow peer can do (little).

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

use futures::AsyncWriteExt as _;
use mallory::Mallory;
use tokio::time::timeout;
use warren_overlay::{OverlayError, OverlayEvent, SessionStream, StreamError};
use warren_proto::{
    MAX_FRAME_BYTES, Meter, NodeId, Refusal, RefusalReason, SessionFrame, SessionId,
};
use world::{Node, QUIC_V4, TCP_V4};

const PATIENCE: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(300);

fn meter(up: u64) -> SessionFrame {
    SessionFrame::Meter(Meter {
        up,
        ..Meter::default()
    })
}

fn long_refusal(bytes: usize) -> SessionFrame {
    SessionFrame::Refusal(Refusal {
        session: SessionId::from_bytes([1; 16]),
        reason: RefusalReason::Full,
        detail: "x".repeat(bytes),
    })
}

async fn inbound(node: &mut Node) -> SessionStream {
    let waiting = async {
        loop {
            if let OverlayEvent::InboundSession { peer, stream } = node.events.recv().await.unwrap()
            {
                assert_eq!(peer, stream.peer());
                break stream;
            }
        }
    };
    timeout(PATIENCE, waiting)
        .await
        .expect("a session comes in")
}

async fn exit(listen: &str) -> Node {
    Node::with(1, |it| {
        it.listen = vec![listen.to_owned()];
        it.frame_limit = SHORT;
        it.max_sessions = 4;
    })
    .await
}

async fn consumer(exit: &Node) -> Node {
    let address = exit.address.clone();
    Node::with(2, |it| {
        it.bootstrap = vec![address];
        it.frame_limit = SHORT;
    })
    .await
}

async fn frames_go_both_ways(listen: &str) {
    let mut exit = exit(listen).await;
    let consumer = consumer(&exit).await;
    let mut ours = consumer.overlay.open_session(exit.id()).await.unwrap();
    assert_eq!(ours.peer(), exit.id());
    ours.send(meter(1)).await.unwrap();
    let mut theirs = inbound(&mut exit).await;
    assert_eq!(theirs.peer(), consumer.id());
    assert_eq!(theirs.recv().await.unwrap(), Some(meter(1)));

    let (mut sender, mut receiver) = theirs.split();
    for up in 2..100 {
        sender.send(meter(up)).await.unwrap();
    }
    for up in 2..100 {
        assert_eq!(ours.recv().await.unwrap(), Some(meter(up)));
    }
    ours.close().await.unwrap();
    assert_eq!(receiver.recv().await.unwrap(), None);
    sender.close().await.unwrap();
    assert_eq!(ours.recv().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_go_both_ways_by_quic() {
    frames_go_both_ways(QUIC_V4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_go_both_ways_by_tcp() {
    frames_go_both_ways(TCP_V4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_in_pieces_survives_a_reader_that_looks_away() {
    let mut exit = Node::with(1, |it| it.listen = vec![QUIC_V4.to_owned()]).await;
    let mallory = Mallory::meet(&exit.address).await;
    let mut stream = mallory.stream().await;
    let frame = meter(7).encode();
    let length = u32::try_from(frame.len()).unwrap().to_be_bytes();
    let bytes = [&length[..], &frame].concat();
    stream.write_all(&bytes[..3]).await.unwrap();
    stream.flush().await.unwrap();
    let mut theirs = inbound(&mut exit).await;
    assert!(
        timeout(SHORT, theirs.recv()).await.is_err(),
        "half a frame is no frame"
    );
    stream.write_all(&bytes[3..]).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(theirs.recv().await.unwrap(), Some(meter(7)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_frame_is_refused_before_it_is_read() {
    let mut exit = exit(QUIC_V4).await;
    let mallory = Mallory::meet(&exit.address).await;
    let mut stream = mallory.stream().await;
    let length = u32::try_from(MAX_FRAME_BYTES + 1).unwrap().to_be_bytes();
    stream.write_all(&length).await.unwrap();
    stream.flush().await.unwrap();
    let mut theirs = inbound(&mut exit).await;
    let refused = theirs.recv().await;
    assert!(
        matches!(refused, Err(StreamError::TooLarge { .. })),
        "{refused:?}"
    );
    assert!(matches!(theirs.recv().await, Err(StreamError::Broken)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_frame_is_waited_for_so_long() {
    let mut exit = exit(QUIC_V4).await;
    let mallory = Mallory::meet(&exit.address).await;
    let mut stream = mallory.stream().await;
    stream.write_all(&[0, 0]).await.unwrap();
    stream.flush().await.unwrap();
    let mut theirs = inbound(&mut exit).await;
    let late = timeout(PATIENCE, theirs.recv()).await.unwrap();
    assert!(
        matches!(late, Err(StreamError::HalfFrame { after: SHORT })),
        "{late:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_cut_inside_a_frame_says_so() {
    let mut exit = exit(QUIC_V4).await;
    let mallory = Mallory::meet(&exit.address).await;
    let mut stream = mallory.stream().await;
    stream.write_all(&[0, 0, 0, 9, 1]).await.unwrap();
    stream.close().await.unwrap();
    let mut theirs = inbound(&mut exit).await;
    assert!(matches!(theirs.recv().await, Err(StreamError::CutOff)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_read_blocks_nobody_else() {
    let mut exit = exit(QUIC_V4).await;
    let consumer = consumer(&exit).await;
    let mut slow = consumer.overlay.open_session(exit.id()).await.unwrap();
    slow.send(meter(0)).await.unwrap();
    let unread = inbound(&mut exit).await;
    // 300 bytes a frame, until every buffer on the way is full.
    let full = timeout(PATIENCE * 2, async {
        loop {
            if let Err(error) = slow.send(long_refusal(200)).await {
                break error;
            }
        }
    });
    let full = full.await.expect("buffers are bounded");
    assert!(
        matches!(full, StreamError::NotRead { after: SHORT }),
        "{full:?}"
    );
    assert!(matches!(
        slow.send(meter(1)).await,
        Err(StreamError::Broken)
    ));

    let mut brisk = consumer.overlay.open_session(exit.id()).await.unwrap();
    brisk.send(meter(5)).await.unwrap();
    assert_eq!(
        inbound(&mut exit).await.recv().await.unwrap(),
        Some(meter(5))
    );
    drop(unread);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_place_for_so_many_sessions() {
    let mut exit = exit(QUIC_V4).await;
    let consumer = consumer(&exit).await;
    let mut held = Vec::new();
    for up in 0..4 {
        let mut ours = consumer.overlay.open_session(exit.id()).await.unwrap();
        ours.send(meter(up)).await.unwrap();
        held.push((ours, inbound(&mut exit).await));
    }
    let mut fifth = consumer.overlay.open_session(exit.id()).await.unwrap();
    let _ = fifth.send(meter(4)).await;
    let ended = timeout(PATIENCE, fifth.recv())
        .await
        .expect("the fifth is turned away");
    assert!(!matches!(ended, Ok(Some(_))), "{ended:?}");
    held.pop();
    let mut sixth = consumer.overlay.open_session(exit.id()).await.unwrap();
    sixth.send(meter(6)).await.unwrap();
    assert_eq!(
        inbound(&mut exit).await.recv().await.unwrap(),
        Some(meter(6))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_peer_that_opens_many_sessions_leaves_places_for_others() {
    let listen = |it: &mut warren_overlay::OverlayConfig| {
        it.listen = vec![QUIC_V4.to_owned()];
        it.max_sessions = 4;
        it.peer_sessions = 2;
    };
    let mut exit = Node::with(1, listen).await;
    let greedy = consumer(&exit).await;
    let mut held = Vec::new();
    for up in 0..4 {
        let mut ours = greedy.overlay.open_session(exit.id()).await.unwrap();
        let _ = ours.send(meter(up)).await;
        held.push(ours);
    }
    let theirs = [inbound(&mut exit).await, inbound(&mut exit).await];
    let address = exit.address.clone();
    let modest = Node::with(3, |it| it.bootstrap = vec![address]).await;
    let mut ours = modest.overlay.open_session(exit.id()).await.unwrap();
    ours.send(meter(7)).await.unwrap();
    // Had the greedy one got more than its share, its third stream would come first.
    let mut next = inbound(&mut exit).await;
    assert_eq!(next.peer(), modest.id());
    assert_eq!(next.recv().await.unwrap(), Some(meter(7)));
    drop((held, theirs));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_not_there_is_unreachable() {
    let node = Node::start(3, QUIC_V4, &[]).await;
    let gone = node.overlay.open_session(world::key(9).id()).await;
    assert!(
        matches!(gone, Err(OverlayError::Unreachable { .. })),
        "{gone:?}"
    );
    let impossible = node
        .overlay
        .open_session(NodeId::from_bytes([0xff; 32]))
        .await;
    assert!(
        matches!(impossible, Err(OverlayError::Unreachable { .. })),
        "{impossible:?}"
    );
}
