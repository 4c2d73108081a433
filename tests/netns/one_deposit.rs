//! A wallet that has one deposit and no more: whom it cannot pay is passed over for the exit that its channel pays.

use warren::demo::plan::Asks;
use warren::demo::wait;
use warren_daemon::api::types::{ConsumerState, DownReport};

use crate::stage::{STEP, Stage, one_exit};

/// All that the stage's consumer has.
const ALL: [&str; 4] = ["--deposit", "10", "--max-spend", "10"];

#[test]
fn an_exit_that_cannot_be_paid_ends_neither_a_tunnel_that_lost_its_own_nor_an_up() {
    let mut exits = one_exit();
    exits.push(Asks::new("DE", "Leipzig", "0.001"));
    let Some(mut stage) = Stage::set("onedep", &exits) else {
        return;
    };
    let mut up = vec!["up", "--country", "NL", "--fallback", "any"];
    up.extend(ALL);
    let view = stage.up(&up);
    assert_eq!(stage.seller(&view), 0);
    let channel = view.channel.expect("a paid session");

    // The exit's line is cut; the other one grants, and there is nothing to pay it with.
    let router = stage.world.router(&stage.world.plan().exits[0]);
    let line = |on: &str| router.run("ip", &["link", "set", "lan", on]);
    line("down").expect("the line is cut");
    wait::until("the other exit to be asked", STEP, || {
        let log =
            std::fs::read_to_string(stage.cast.consumer.log()).map_err(|it| it.to_string())?;
        let asked = log.contains("a channel needs");
        asked.then_some(()).ok_or(log)
    })
    .expect("a word of what it cannot pay");
    let now = stage.session().expect("a session");
    assert!(now.kill_switch && now.state != ConsumerState::Closed);
    line("up").expect("the line is mended");
    let next = stage.session_when("the first exit again", |it| {
        it.session != view.session && it.state == ConsumerState::Active
    });
    assert_eq!((next.exit, next.channel), (view.exit, Some(channel)));
    let got = stage.download(1 << 20, 60).map(|it| it.bytes);
    assert_eq!(got, Some(1 << 20));

    // The cheaper one comes first, and cannot be paid.
    let _: DownReport = stage.cast.consumer.ask(&["down"]).expect("down");
    let mut up = vec!["up", "--sort", "price"];
    up.extend(ALL);
    let view = stage.up(&up);
    assert_eq!((stage.seller(&view), view.channel), (0, Some(channel)));
    stage.strike();
}
