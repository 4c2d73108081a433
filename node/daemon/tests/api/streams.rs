//! Answers that come line by line, and how they end.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use warren_daemon::api::types::{UpEvent, UpRequest, UpStage};

use crate::desk::{consumer, event, serve, socket};

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

/// As with Ctrl-C: an exit would be on, and neither kept nor on file.
#[tokio::test]
async fn an_order_is_carried_out_though_whoever_gave_it_goes_away() {
    let served = serve();
    let slow = served.desk.slow.lock().await;
    let at = socket(served.folder.path());
    let mut stream = UnixStream::connect(at).await.unwrap();
    let body = "{\"phrase\":\"ritter\"}";
    let length = body.len();
    let text = format!(
        "POST /v1/exit/enable HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    served.desk.listened.notified().await;
    drop(stream);
    // Asked by others meanwhile, the server sees that this one is gone.
    for _ in 0..20 {
        served.client.status().await.unwrap();
    }
    drop(slow);
    let done = async {
        let is_done = || {
            let asked = served.desk.asked.lock().unwrap();
            asked.iter().any(|it| it == "exit enable")
        };
        while !is_done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let done = tokio::time::timeout(Duration::from_secs(30), done).await;
    done.expect("it was given up half way");
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
