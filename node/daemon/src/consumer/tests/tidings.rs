//! What whoever follows the events hears of the consumer.

use super::*;
use crate::api::types::{NodeEvent, NodeEventKind as Kind};
use crate::consumer::host::{Found, LineError};
use crate::session::{ConsumerEnd, ConsumerPhase};

async fn told(reader: &mut mpsc::Receiver<NodeEvent>) -> NodeEvent {
    let event = timeout(PATIENCE, reader.recv()).await;
    event.unwrap().unwrap()
}

#[tokio::test]
async fn a_session_is_told_of_with_its_exit_its_number_and_why_it_ended() {
    let mut bench = Bench::new().await;
    let mut reader = bench.shell.parts.events.follow();
    bench.begins();
    let session = bench.shell.live.as_ref().unwrap().id();
    let phases = vec![crate::session::ConsumerEffect::Report(
        ConsumerPhase::Active,
    )];
    bench.shell.perform(phases).await;
    bench.shell.ended(ConsumerEnd::ExitLost).await;
    for says in ["traffic flows", "ended, 0 WRN paid: W"] {
        let event = told(&mut reader).await;
        assert_eq!(event.kind, Kind::Session);
        assert_eq!(
            (event.node, event.session),
            (Some(key(EXIT).id()), Some(session))
        );
        assert!(event.text.starts_with(says), "{event:?}");
    }
}

/// It is looked at each second.
#[tokio::test]
async fn an_alarm_is_told_once_and_so_is_its_end() {
    let mut bench = Bench::new().await;
    let mut reader = bench.shell.parts.events.follow();
    bench.shell.finds(Found::Meddled).await;
    for _ in 0..3 {
        let error = LineError::Died("no answer".to_owned());
        bench.shell.finds(Found::Bare(error, Ok(Vec::new()))).await;
    }
    for _ in 0..3 {
        bench.shell.finds(Found::Sound).await;
    }
    bench.shell.parts.events.end();
    for (kind, says) in [
        (Kind::Warning, "taken away 1 times"),
        (Kind::Warning, "GONE"),
        (Kind::Tunnel, "stands again"),
    ] {
        let event = told(&mut reader).await;
        assert!(event.kind == kind && event.text.contains(says), "{event:?}");
    }
    assert_eq!(reader.recv().await, None);
}
