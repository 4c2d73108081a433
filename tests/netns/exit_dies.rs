//! The exit is killed (SIGKILL) in the middle of a session.

use warren_daemon::api::types::ConsumerState;

use crate::stage::{Stage, two_exits};

#[test]
fn a_killed_exit_is_replaced_without_a_leak_and_claims_later_what_it_held() {
    let Some(mut stage) = Stage::set("exitdies", &two_exits()) else {
        return;
    };
    let view = stage.up(&["up", "--sort", "price", "--fallback", "any"]);
    let channel = view.channel.expect("a paid session");
    let dies = stage.seller(&view);
    let lives = 1 - dies;
    let got = stage.download(8 << 20, 60).expect("a download");
    assert_eq!(got.bytes, 8 << 20);
    let held = stage.held_when_calm(dies, channel);

    let capture = stage.capture();
    stage.cast.exits[dies].kill().expect("the exit is killed");
    assert!(
        stage.download(1000, 2).is_none(),
        "nothing gets through a dead exit"
    );
    let next = stage.session_when("the next exit", |it| {
        it.exit != view.exit && it.state == ConsumerState::Active
    });
    assert!(next.kill_switch);
    assert_eq!(
        stage.download(1 << 20, 60).map(|it| it.bytes),
        Some(1 << 20)
    );
    let other = stage.world.plan().exits[lives].public();
    let last = stage.cast.visits().pop().expect("a visit");
    assert!(other.contains(&last.from), "{last:?}");
    let summary = capture.finish(stage.world.plan()).expect("a whole capture");
    assert_eq!(summary.foreign, 0, "{:?}", summary.samples);

    stage.cast.exits[dies].start().expect("the exit comes back");
    // It may have claimed by itself on coming back; asking again must not harm.
    let _ = stage.cast.claim(dies);
    stage.claimed_when(channel, held);
    stage.strike();
}
