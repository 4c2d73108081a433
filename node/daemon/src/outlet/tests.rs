use std::time::Duration;

use tokio::time::timeout;
use warren_proto::{Refusal, RefusalReason, SessionFrame, SessionId};

use super::*;
use crate::stand::{PATIENCE, key, node, stream};

fn refusal(bytes: usize) -> SessionFrame {
    SessionFrame::Refusal(Refusal {
        session: SessionId::from_bytes([1; 16]),
        reason: RefusalReason::Full,
        detail: "x".repeat(bytes),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_read_clogs_its_own_stream_and_nobody_waits() {
    let (_exit, mut events, at) = node(1, &[]).await;
    let (guest, ..) = node(2, &[at]).await;
    let to = key(1).id();
    let mut pair = [None, None];
    for slot in &mut pair {
        *slot = Some(stream(&guest, (to, &mut events), refusal(1)).await);
    }
    let [Some((deaf, deaf_end)), Some((mut brisk, brisk_end))] = pair else {
        panic!("two streams");
    };
    let control = Handle::current();
    let to_deaf = Outlet::start(&control, deaf_end.0);
    let to_brisk = Outlet::start(&control, brisk_end.0);
    // Nobody reads: the window of the stream, then the queue, then no more. One refusal need not be the last: the
    // writer may still have room in the window for what it takes from the full queue.
    let mut queued = 0;
    let full = async {
        while to_deaf.send(refusal(200)).is_ok() {
            queued += 1;
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, full).await.expect("a queue has a bound");
    assert!(queued >= WAITING, "{queued}");

    to_brisk.send(refusal(7)).unwrap();
    let heard = timeout(PATIENCE, brisk.recv()).await.unwrap().unwrap();
    assert_eq!(heard, Some(refusal(7)));
    // What was queued before it was dropped is said, and then the end.
    to_brisk.send(refusal(8)).unwrap();
    drop(to_brisk);
    let heard = timeout(PATIENCE, brisk.recv()).await.unwrap().unwrap();
    assert_eq!(heard, Some(refusal(8)));
    assert_eq!(
        timeout(PATIENCE, brisk.recv()).await.unwrap().unwrap(),
        None
    );
    drop(deaf);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_broke_is_noticed_by_who_speaks() {
    let (_exit, mut events, at) = node(1, &[]).await;
    let (guest, ..) = node(2, &[at]).await;
    let (ours, (sender, _receiver)) = stream(&guest, (key(1).id(), &mut events), refusal(1)).await;
    let outlet = Outlet::start(&Handle::current(), sender);
    guest.shutdown().await.unwrap();
    drop(ours);
    let noticed = async {
        while outlet.send(refusal(1)).is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, noticed).await.expect("it is noticed");
}
