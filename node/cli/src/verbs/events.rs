//! `warren events`: what happens in this node, as it happens.

use warren_daemon::api::types::{NodeEvent, NodeEventKind};

use super::{Desk, Told};
use crate::page::Page;
use crate::screen::cut;
use crate::text;

/// Follows the daemon until it ends, or whoever reads goes away; an interrupt ends the process beside it.
pub(super) async fn follow(desk: &mut Desk<'_>) -> Told {
    let stream = desk.client()?.events().await;
    let mut stream = stream.map_err(|it| it.problem())?;
    let (mut last, mut told) = (None, 0_u64);
    while let Some(event) = stream.next().await.map_err(|it| it.problem())? {
        let missed = missed(last.replace(event.id), event.id);
        let written = desk.screen.line(&line(&event, missed));
        if written.is_err() {
            // To a reader that went away nothing more is said, and that is no error.
            return cut(written).map_or_else(|| Ok(end(told)), Err);
        }
        told = told.saturating_add(1);
    }
    Ok(end(told))
}

/// Things that happened between two that were told.
fn missed(last: Option<u64>, now: u64) -> u64 {
    last.map_or(0, |last| now.saturating_sub(last).saturating_sub(1))
}

fn line(event: &NodeEvent, missed: u64) -> Page {
    let kind = match event.kind {
        NodeEventKind::Peer => "peer",
        NodeEventKind::Offer => "offer",
        NodeEventKind::Session => "session",
        NodeEventKind::Channel => "channel",
        NodeEventKind::Payment => "payment",
        NodeEventKind::Chain => "chain",
        NodeEventKind::Tunnel => "tunnel",
        NodeEventKind::Warning => "WARNING",
    };
    let node = event.node.map(|it| format!("node {}", text::typed(&it)));
    let session = event.session.map(|it| format!("session {}", it.short()));
    let channel = event.channel.map(|it| format!("channel {}", it.short()));
    let about: Vec<_> = [node, session, channel].into_iter().flatten().collect();
    let about = if about.is_empty() {
        String::new()
    } else {
        format!("{}: ", about.join(", "))
    };
    let before = if missed == 0 {
        String::new()
    } else {
        format!("… {missed} missed: this was read too slowly\n")
    };
    // One line each: what a stranger calls itself has no line ends, and no other control characters.
    let text = event.text.replace(char::is_control, " ");
    Page::of(
        event,
        format!("{before}{}  {kind:<7}  {about}{text}", event.at),
    )
}

fn end(told: u64) -> Page {
    let json = serde_json::json!({ "schema": "warren.events-end/v1", "told": told });
    Page::raw(
        json,
        format!("The daemon has ended; {told} things were told."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(document: serde_json::Value) -> NodeEvent {
        serde_json::from_value(document).expect("an event")
    }

    #[test]
    fn each_event_is_one_line_that_names_whom_it_is_about() {
        let all = event(serde_json::json!({
            "id": 7, "at": "2026-11-22T18:00:00Z", "kind": "session", "text": "traffic\u{1b} flows",
            "node": "7f".repeat(32), "session": "0a".repeat(16), "channel": "0b".repeat(32),
        }));
        let page = line(&all, missed(Some(6), all.id));
        let expected = "2026-11-22T18:00:00.000Z  session  node 7f7f7f7f7f7f7f7f, session 0a0a0a0a, \
            channel 0b0b0b0b: traffic  flows\n";
        assert_eq!(page.text(), expected);
        assert!(page.json().contains("warren.event/v1") && !page.json().contains('\n'));
    }

    #[test]
    fn what_was_missed_is_said() {
        let of_chain = event(serde_json::json!({
            "id": 9, "at": "2026-11-22T18:00:00Z", "kind": "chain", "text": "its news are old",
            "node": null, "session": null, "channel": null,
        }));
        assert_eq!((missed(None, 9), missed(Some(8), 9)), (0, 0));
        let text = line(&of_chain, missed(Some(2), 9)).text();
        let expected = "… 6 missed: this was read too slowly\n\
            2026-11-22T18:00:00.000Z  chain    its news are old\n";
        assert_eq!(text, expected);
    }
}
