//! The consumer is killed (SIGKILL) with its tunnel up.

use serde_json::Value;

use crate::stage::{Stage, one_exit};

#[test]
fn a_killed_consumer_leaks_nothing_recovers_its_host_and_resumes_its_channel() {
    let Some(mut stage) = Stage::set("consdies", &one_exit()) else {
        return;
    };
    let rules = |stage: &Stage| {
        stage
            .cast
            .consumer
            .host()
            .run("nft", &["list", "ruleset"])
            .expect("rules")
    };
    let resolver = |stage: &Stage| {
        stage
            .cast
            .consumer
            .host()
            .run("cat", &["/etc/resolv.conf"])
            .expect("a file")
    };
    let routes = |stage: &Stage| {
        let all = [
            ["-4", "rule"],
            ["-6", "rule"],
            ["-4", "route"],
            ["-6", "route"],
        ];
        all.map(|it| stage.cast.consumer.host().run("ip", &it).expect("routes"))
            .concat()
    };
    let before = (rules(&stage), resolver(&stage), routes(&stage));
    let view = stage.up(&["up"]);
    let channel = view.channel.expect("a paid session");
    assert!(stage.download(4 << 20, 60).is_some());

    let capture = stage.capture();
    stage.cast.consumer.kill().expect("the consumer is killed");
    assert!(
        stage.download(1000, 2).is_none(),
        "nothing gets out in clear"
    );
    let name = stage
        .cast
        .consumer
        .host()
        .run("getent", &["hosts", "leak.example"]);
    assert!(name.is_err(), "no name is asked for in clear");
    let summary = capture.finish(stage.world.plan()).expect("a whole capture");
    assert_eq!(summary.foreign, 0, "{:?}", summary.samples);

    let recovered: Value = stage.cast.consumer.ask(&["recover"]).expect("a recovery");
    assert_eq!(recovered["clean"], true, "{recovered}");
    assert_eq!(
        (rules(&stage), resolver(&stage), routes(&stage)),
        before,
        "the host is as it was"
    );

    stage
        .cast
        .consumer
        .start()
        .expect("the consumer comes back");
    let paid = stage.held_by_consumer(channel).paid.base_units;
    let again = stage.up(&["up"]);
    assert_eq!(again.channel, Some(channel), "the channel goes on");
    assert!(stage.download(4 << 20, 60).is_some());
    assert!(
        stage.held_by_consumer(channel).paid.base_units > paid,
        "and is paid on"
    );
    stage.strike();
}
