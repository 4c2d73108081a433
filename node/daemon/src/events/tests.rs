#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use tokio::time::timeout;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

fn events() -> Events {
    Events::start(Arc::new(Clock::start()))
}

fn thing(n: usize) -> News {
    News::of(NodeEventKind::Peer, n.to_string())
}

#[tokio::test]
async fn events_are_counted_from_one_and_each_is_about_somebody() {
    let events = events();
    events.tell(thing(1)); // Before anybody listened, and counted all the same.
    let mut reader = events.follow();
    let (node, session) = (NodeId::from_bytes([2; 32]), SessionId::from_bytes([3; 16]));
    let channel = Some(ChannelId::from_bytes([4; 32]));
    let about = thing(2).node(node).session(session).channel(channel);
    events.tell(about);
    events.tell(thing(3));
    events.end();
    let second = reader.recv().await.unwrap();
    assert_eq!((second.id, second.text.as_str()), (2, "2"));
    let about = (second.node, second.session, second.channel);
    assert_eq!(about, (Some(node), Some(session), channel));
    assert_eq!(reader.recv().await.map(|it| it.id), Some(3));
    assert_eq!(reader.recv().await, None);
    assert_eq!(events.follow().recv().await, None);
}

/// A reader that is slow is not waited for, nor thrown out: it misses some, and knows how many.
#[tokio::test]
async fn a_slow_reader_sees_a_gap_and_goes_on() {
    let events = events();
    let mut reader = events.follow();
    for n in 0..2 * (KEPT + ON_THE_WAY) {
        events.tell(thing(n));
    }
    let all = u64::try_from(2 * (KEPT + ON_THE_WAY)).unwrap();
    let mut heard = Vec::new();
    while heard.last() != Some(&all) {
        let event = timeout(PATIENCE, reader.recv()).await.unwrap();
        heard.push(event.expect("it goes on").id);
    }
    assert!(heard.is_sorted() && heard.len() < 2 * (KEPT + ON_THE_WAY));
    events.tell(thing(0));
    let next = timeout(PATIENCE, reader.recv()).await.unwrap();
    assert_eq!(next.map(|it| it.id), Some(all + 1));
}

#[tokio::test]
async fn who_goes_away_is_let_go_though_nothing_happens() {
    let events = events();
    drop(events.follow());
    let gone = async {
        let listeners = || {
            let told = events.told.lock().unwrap();
            told.outbox.as_ref().map(broadcast::Sender::receiver_count)
        };
        while listeners() != Some(0) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.expect("it is held for ever");
}
