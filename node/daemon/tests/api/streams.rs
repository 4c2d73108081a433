//! Answers that come line by line, and how they end.

use warren_daemon::api::types::{UpEvent, UpRequest, UpStage};

use crate::desk::{consumer, event, serve};

#[tokio::test]
async fn up_tells_each_stage_and_ends_with_the_tunnel() {
    let served = serve();
    let mut events = served.client.up(&UpRequest::default()).await.unwrap();
    let mut seen = Vec::new();
    while let Some(event) = events.next().await.unwrap() {
        seen.push(event);
    }
    let [first, second, last] = seen.as_slice() else {
        panic!("{seen:?}")
    };
    assert!(matches!(
        first,
        UpEvent::Progress {
            stage: UpStage::Exit,
            done: true,
            ..
        }
    ));
    assert!(matches!(
        second,
        UpEvent::Progress {
            stage: UpStage::Tunnel,
            ..
        }
    ));
    assert_eq!(last, &UpEvent::Up(Box::new(consumer())));
}

#[tokio::test]
async fn an_event_is_seen_while_the_stream_is_open() {
    let served = serve();
    let mut events = served.client.events().await.unwrap();
    served.desk.listened.notified().await;
    let outbox = served.desk.events.lock().unwrap().take().unwrap();
    for id in 1..=3 {
        outbox.send(event(id)).await.unwrap();
        assert_eq!(events.next().await.unwrap(), Some(event(id)));
    }
    drop(outbox);
    assert_eq!(events.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_reader_that_goes_away_is_noticed_by_the_writer() {
    let served = serve();
    let events = served.client.events().await.unwrap();
    served.desk.listened.notified().await;
    let outbox = served.desk.events.lock().unwrap().take().unwrap();
    drop(events);
    outbox.closed().await; // Or this test does not end.
}

#[tokio::test]
async fn the_server_ends_when_told_and_takes_its_socket_along() {
    let served = serve();
    served.client.status().await.unwrap();
    served.end.notify_one();
    served.task.await.unwrap();
    assert_eq!(
        served
            .client
            .status()
            .await
            .unwrap_err()
            .problem()
            .exit_code,
        3
    );
    assert_eq!(std::fs::read_dir(served.folder.path()).unwrap().count(), 0);
}
