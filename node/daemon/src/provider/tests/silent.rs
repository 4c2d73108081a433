//! Streams of strangers that say nothing: ids cost nothing, so those from one public address have few places.

use warren_overlay::{OverlayConfig, SessionStream};

use super::*;

/// A node that listens here, or knows this one to begin with.
fn begins(n: u8, listen: &[&str], bootstrap: &[String]) -> (Overlay, mpsc::Receiver<OverlayEvent>) {
    let config = OverlayConfig {
        listen: listen.iter().map(|it| (*it).to_owned()).collect(),
        bootstrap: bootstrap.to_vec(),
        ..OverlayConfig::default()
    };
    Overlay::start(config, key(n)).unwrap()
}

async fn next(events: &mut mpsc::Receiver<OverlayEvent>) -> OverlayEvent {
    timeout(PATIENCE, events.recv()).await.unwrap().unwrap()
}

async fn comes_in(events: &mut mpsc::Receiver<OverlayEvent>) -> SessionStream {
    loop {
        if let OverlayEvent::InboundSession { stream, .. } = next(events).await {
            break stream;
        }
    }
}

#[test]
fn strangers_of_one_household_that_say_nothing_leave_places_for_others() {
    inside("strangers_of_one_household", || async {
        sh("ip addr add 9.9.9.9/32 dev lo");
        let (exit, mut events) = begins(EXIT, &["/ip4/9.9.9.9/tcp/4077"], &[]);
        let at = loop {
            if let OverlayEvent::Listening(at) = next(&mut events).await {
                break at;
            }
        };
        let (mut strangers, mut ours) = (Vec::new(), Vec::new());
        for n in 2..5 {
            let (stranger, _) = begins(n, &[], std::slice::from_ref(&at));
            for _ in 0..4 {
                ours.push(stranger.open_session(key(EXIT).id()).await.unwrap());
            }
            strangers.push(stranger);
        }
        let refused = async || {
            let stats = exit.stats().await.unwrap();
            stats.counters.get("session.refused").copied()
        };
        let turned_away = async {
            while refused().await != Some(4) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, turned_away)
            .await
            .expect("four of twelve");
        let mut theirs = Vec::new();
        for _ in 0..8 {
            theirs.push(comes_in(&mut events).await);
        }
        // Whoever has said something is silent no more.
        let said = SessionFrame::Ready(warren_proto::SessionId::from_bytes([1; 16]));
        ours[0].send(said.clone()).await.unwrap();
        let heard = timeout(PATIENCE, theirs[0].recv()).await.unwrap();
        assert_eq!(heard.unwrap(), Some(said));
        ours.push(strangers[2].open_session(key(EXIT).id()).await.unwrap());
        theirs.push(comes_in(&mut events).await);
        assert_eq!((theirs.len(), refused().await), (9, Some(4)));
    });
}
