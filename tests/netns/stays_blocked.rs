//! What blocks on purpose falls only by the user's word: not by an `up` that failed, not by a daemon that died.

use serde_json::Value;
use warren::demo::wait::until;
use warren_daemon::api::types::{ConsumerState, DownReport, Status};

use crate::stage::{STEP, Stage, one_exit};

fn table(stage: &Stage) -> bool {
    let tables = stage.cast.consumer.host().run("nft", &["list", "tables"]);
    tables.expect("nft").contains("table inet warren\n")
}

/// Whether the node says that everything outside of a tunnel is blocked.
fn says_blocked(stage: &Stage) -> bool {
    let status: Value = stage.cast.consumer.ask(&["status"]).expect("a status");
    status["kill_switch"] == true
}

#[test]
fn an_up_that_fails_leaves_what_was_blocked_before_blocked() {
    let Some(stage) = Stage::set("stays", &one_exit()) else {
        return;
    };
    // One that began unblocked ends so.
    let no_offer = ["up", "--country", "XX", "--timeout", "1"];
    let failed = stage.cast.consumer.ask::<Value>(&no_offer);
    assert!(failed.is_err() && !table(&stage) && !says_blocked(&stage));

    stage.up(&["up"]);
    let kept = ["down", "--keep-blocked"];
    let report: DownReport = stage.cast.consumer.ask(&kept).expect("down");
    assert!(report.still_blocked && table(&stage));
    let capture = stage.capture();
    let failed = stage.cast.consumer.ask::<Value>(&no_offer);
    assert!(failed.is_err(), "{failed:?}");
    assert!(stage.download(1000, 2).is_none(), "nothing gets out");
    let summary = capture.finish(stage.world.plan()).expect("a whole capture");
    assert_eq!(summary.foreign, 0, "{:?}", summary.samples);
    assert!(table(&stage), "still blocked");
    assert!(says_blocked(&stage), "and said so");
    let said = stage.cast.consumer.typed_as_text(&["status"]);
    let said = said.expect("a status");
    assert!(said.contains("blocked"), "{said}");

    let report: DownReport = stage.cast.consumer.ask(&["down"]).expect("down");
    assert!(!report.still_blocked && !table(&stage) && !says_blocked(&stage));
    let status: Status = stage.cast.consumer.ask(&["status"]).expect("a status");
    assert_eq!(status.warnings, vec![], "nothing is tried any more");

    // While the first exit is looked for, nobody is told to begin what has begun.
    let consumer = &stage.cast.consumer;
    let long = ["up", "--country", "XX", "--timeout", "600"];
    std::thread::scope(|scope| {
        let up = scope.spawn(|| consumer.ask::<Value>(&long));
        until("the search to begin", STEP, || {
            let status: Status = consumer.ask(&["status"]).map_err(|it| it.to_string())?;
            if status.choosing && status.kill_switch {
                Ok(())
            } else {
                Err(format!("{status:?}"))
            }
        })
        .expect("a search");
        let said = consumer.typed_as_text(&["status"]).expect("a status");
        assert!(said.contains("An exit is looked for"), "{said}");
        let report: DownReport = consumer.ask(&["down"]).expect("down");
        assert!(!report.still_blocked);
        assert!(up.join().expect("a thread").is_err());
    });
    stage.strike();
}

#[test]
fn a_daemon_that_comes_back_knows_what_is_blocked_and_lifts_it_when_asked() {
    let Some(mut stage) = Stage::set("adopts", &one_exit()) else {
        return;
    };
    let routes = |stage: &Stage| {
        let rules = stage.cast.consumer.host().run("ip", &["rule", "list"]);
        let resolver = stage.cast.consumer.resolver().expect("a file");
        (rules.expect("ip"), resolver)
    };
    let before = routes(&stage);
    stage.up(&["up"]);
    let capture = stage.capture();
    stage.cast.consumer.kill().expect("the daemon is killed");
    stage.cast.consumer.start().expect("the daemon comes back");
    assert!(table(&stage) && says_blocked(&stage));
    let said = stage.cast.consumer.typed_as_text(&["status"]);
    let said = said.expect("a status");
    assert!(said.contains("blocked"), "{said}");
    assert!(stage.download(1000, 2).is_none(), "nothing gets out");
    let summary = capture.finish(stage.world.plan()).expect("a whole capture");
    assert_eq!(summary.foreign, 0, "{:?}", summary.samples);
    let failed = ["up", "--country", "XX", "--timeout", "1"];
    assert!(stage.cast.consumer.ask::<Value>(&failed).is_err());
    assert!(table(&stage) && says_blocked(&stage));

    let report: DownReport = stage.cast.consumer.ask(&["down"]).expect("down");
    assert!(!report.still_blocked && !table(&stage) && !says_blocked(&stage));
    assert_eq!(routes(&stage), before, "the host is as it was");
    stage.up(&["up"]);
    assert_eq!(stage.download(1000, 60).map(|it| it.bytes), Some(1000));
    stage.strike();
}

#[test]
fn a_tunnel_that_is_wanted_from_the_start_on_is_looked_for_until_it_is_up() {
    let Some(mut stage) = Stage::set("wanted", &one_exit()) else {
        return;
    };
    stage.cast.consumer.stop().expect("the daemon ends");
    let file = stage.cast.consumer.home().join("config.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    let text = text.replace("[consumer]\n", "[consumer]\nauto_up = true\n");
    std::fs::write(&file, text).expect("written");
    let router = stage.world.router(&stage.world.plan().consumer);
    let line = |on: &str| router.run("ip", &["link", "set", "lan", on]);
    line("down").expect("the line is cut");
    stage.cast.consumer.start().expect("the daemon begins");
    let searches = |it: &Status| {
        let blocked = it.choosing && it.kill_switch;
        blocked.then_some(()).ok_or(format!("{it:?}"))
    };
    let consumer = &mut stage.cast.consumer;
    consumer
        .wait_for("the search to begin", STEP, &["status"], searches)
        .expect("blocked, and looking");
    assert!(table(&stage) && stage.download(1000, 2).is_none());
    line("up").expect("the line is there");
    let capture = stage.capture();
    stage.session_when("the tunnel", |it| it.state == ConsumerState::Active);
    assert_eq!(stage.download(1000, 60).map(|it| it.bytes), Some(1000));
    let summary = capture.finish(stage.world.plan()).expect("a whole capture");
    assert_eq!(summary.foreign, 0, "{:?}", summary.samples);

    let report: DownReport = stage.cast.consumer.ask(&["down"]).expect("down");
    assert!(!report.still_blocked && !table(&stage));
    stage.cast.consumer.stop().expect("the daemon ends");
    stage.cast.consumer.start().expect("the daemon begins");
    stage.session_when("the tunnel", |it| it.state == ConsumerState::Active);
    stage.strike();
}
