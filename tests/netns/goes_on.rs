//! A session that lost its exit goes on: with the next one that fits, or with the same one once it can be reached again.

use serde_json::Value;
use warren::demo::plan::Asks;
use warren_daemon::api::types::{ConsumerState, DownReport, ExitList};

use crate::stage::{STEP, Stage, one_exit};

fn three_exits() -> Vec<Asks> {
    vec![
        Asks::new("DE", "Leipzig", "0.002"),
        Asks::new("NL", "Utrecht", "0.003"),
        Asks::new("DE", "Bremen", "0.004"),
    ]
}

#[test]
fn the_next_exit_is_of_the_country_asked_for_and_two_dead_ones_hide_no_third() {
    let Some(mut stage) = Stage::set("goeson", &three_exits()) else {
        return;
    };
    let view = stage.up(&["up", "--sort", "price", "--fallback", "country"]);
    assert_eq!(stage.seller(&view), 0);
    let known: ExitList = stage.cast.consumer.ask(&["exits"]).expect("offers");
    let old = known.exits.iter().find(|it| it.node == view.exit);
    let old = old.expect("its offer");
    stage.cast.exits[0].kill().expect("the exit is killed");
    // The cheaper one of another country is passed over.
    let next = stage.session_when("the next exit", |it| {
        it.exit != view.exit && it.state == ConsumerState::Active
    });
    assert_eq!(stage.seller(&next), 2);
    let _: DownReport = stage.cast.consumer.ask(&["down"]).expect("down");

    // It sells again by itself.
    stage.cast.exits[0].start().expect("the exit comes back");
    let args = ["up", "--sort", "price", "--fallback", "any"];
    // Not the offer that it made before it died: an exit does not sell by that one any more.
    let all = |it: &ExitList| {
        let list = format!("{:?}", it.exits);
        let is_new = it
            .exits
            .iter()
            .any(|it| it.node == view.exit && it.seq > old.seq);
        (it.exits.len() == 3 && is_new).then_some(()).ok_or(list)
    };
    let refresh = ["exits", "--refresh"];
    let consumer = &mut stage.cast.consumer;
    consumer
        .wait_for("every exit", STEP, &refresh, all)
        .expect("offers");
    let view = stage.up(&args);
    assert_eq!(stage.seller(&view), 0);
    let capture = stage.capture();
    for dies in [1, 0] {
        stage.cast.exits[dies].kill().expect("the exit is killed");
    }
    let next = stage.session_when("the third exit", |it| {
        it.exit != view.exit && it.state == ConsumerState::Active
    });
    assert_eq!(stage.seller(&next), 2);
    let got = stage.download(1 << 20, 60).map(|it| it.bytes);
    assert_eq!(got, Some(1 << 20));
    let summary = capture.finish(stage.world.plan()).expect("a whole capture");
    assert_eq!(summary.foreign, 0, "{:?}", summary.samples);
    stage.strike();
}

#[test]
fn the_only_exit_is_taken_again_when_the_own_line_comes_back() {
    let Some(mut stage) = Stage::set("again", &one_exit()) else {
        return;
    };
    let view = stage.up(&["up"]);
    let router = stage.world.router(&stage.world.plan().consumer);
    let line = |on: &str| router.run("ip", &["link", "set", "lan", on]);
    line("down").expect("the line is cut");
    let lost = stage.session_when("the session to be lost", |it| {
        it.session != view.session || it.state == ConsumerState::Choosing
    });
    assert!(lost.kill_switch);
    // What it does meanwhile is said, until it is asked to stop, or it works.
    let waits = |it: &Value| {
        let said = it["warnings"].to_string();
        let waits = said.contains("tried again");
        waits.then_some(()).ok_or(said)
    };
    let consumer = &mut stage.cast.consumer;
    consumer
        .wait_for("a word about it", STEP, &["status"], waits)
        .expect("a warning");
    line("up").expect("the line is mended");
    let next = stage.session_when("the exit again", |it| {
        it.session != view.session && it.state == ConsumerState::Active
    });
    assert_eq!((next.exit, next.channel), (view.exit, view.channel));
    let got = stage.download(1 << 20, 60).map(|it| it.bytes);
    assert_eq!(got, Some(1 << 20));

    stage.cast.exits[0].kill().expect("the exit is killed");
    stage.session_when("the session to be lost", |it| {
        it.session != next.session || it.state == ConsumerState::Choosing
    });
    let report: DownReport = stage.cast.consumer.ask(&["down"]).expect("down");
    assert!(!report.still_blocked);
    let now = stage.session().map(|it| it.state);
    assert_eq!(now, Some(ConsumerState::Closed), "down is down");
    stage.strike();
}

#[test]
fn a_channel_that_runs_low_is_topped_up_within_what_the_user_allows() {
    let Some(stage) = Stage::set("usedup", &one_exit()) else {
        return;
    };
    // Words of a MiB each: 70 are deposited, and 120 may be spent.
    const CAP_WEI: u64 = 234_375_000_000_000;
    let (deposit, cap) = ("0.00013671875", "0.000234375");
    let view = stage.up(&["up", "--deposit", deposit, "--max-spend", cap]);
    let channel = view.channel.expect("a paid session");
    let got = stage.download(100 << 20, 300).map(|it| it.bytes);
    assert_eq!(got, Some(100 << 20));
    let now = stage.session().expect("a session");
    assert_eq!((now.session, now.channel), (view.session, Some(channel)));
    // What is more than that does not come, and is not paid.
    assert_eq!(stage.download(60 << 20, 15), None);
    let report: DownReport = stage.cast.consumer.ask(&["down"]).expect("down");
    let (paid, cap) = (report.paid.base_units.wei(), u128::from(CAP_WEI));
    assert!(paid > cap * 100 / 120 && paid <= cap, "{paid} of {cap}");
    stage.strike();
}
