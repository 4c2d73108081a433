//! The payer closes on chain while the payee is offline.

use warren_daemon::api::types::{ChannelState, DownReport, TransactionReport};

use crate::stage::{Stage, one_exit};

#[test]
fn a_payee_that_comes_back_within_the_window_gets_everything() {
    let Some(mut stage) = Stage::set("closes", &one_exit()) else {
        return;
    };
    let view = stage.up(&["up"]);
    let channel = view.channel.expect("a paid session");
    assert!(stage.download(6 << 20, 60).is_some());
    let held = stage.held_when_calm(0, channel);
    stage.cast.exits[0].kill().expect("the exit is killed");
    let _: Result<DownReport, _> = stage.cast.consumer.ask(&["down"]); // The exit cannot answer any more.
    let id = channel.to_string();
    stage
        .cast
        .consumer
        .ask::<TransactionReport>(&["channel", "close", "--now", &id])
        .expect("a close");
    assert_ne!(
        stage.held_by_consumer(channel).state,
        ChannelState::Closed,
        "the window runs"
    );

    stage.cast.exits[0].start().expect("the exit comes back");
    // It may claim by itself as soon as it sees the close; asking again must not harm.
    let _ = stage.cast.claim(0);
    stage.claimed_when(channel, held);
    stage.strike();
}
