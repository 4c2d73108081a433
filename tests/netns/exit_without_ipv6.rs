//! An exit whose line has no IPv6: it says so, and its guest's IPv6 is blocked, never beside the tunnel.

use warren::demo::plan::WEB_PORT;
use warren::demo::web::Download;
use warren_daemon::api::types::{ExitList, ExitStatus};

use crate::stage::{STEP, Stage, one_exit};

#[test]
fn ipv6_that_an_exit_cannot_carry_is_blocked_and_does_not_leak() {
    let Some(mut stage) = Stage::set("nov6", &one_exit()) else {
        return;
    };
    let v6 = format!("[{}]:{WEB_PORT}", stage.world.plan().web.host_v6());
    let ask = ["demo", "fetch", &v6, "/who", "--patience", "3"];
    stage.up(&["up"]);
    let view = stage.session().expect("a session");
    assert!(view.tunnel.expect("a tunnel").address_v6.is_some());
    assert!(stage.cast.consumer.part::<Download>(&ask).is_ok());
    stage
        .cast
        .consumer
        .ask::<serde_json::Value>(&["down"])
        .expect("down");

    let exit = &stage.cast.exits[0];
    exit.ask::<ExitStatus>(&["exit", "disable"]).expect("off");
    exit.host().ip("-6 route del default").expect("no IPv6");
    let phrase = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    exit.ask::<ExitStatus>(&["exit", "enable", "--yes-i-consent", phrase.trim()])
        .expect("on");
    let says = |it: &ExitList| match it.exits.first() {
        Some(row) if row.ipv4 && !row.ipv6 => Ok(()),
        other => Err(format!("{other:?}")),
    };
    stage
        .cast
        .consumer
        .wait_for("the offer to say so", STEP, &["exits", "--refresh"], says)
        .expect("an offer without IPv6");

    let capture = stage.capture();
    let view = stage.up(&["up"]);
    assert_eq!(view.tunnel.expect("a tunnel").address_v6, None);
    assert_eq!(stage.download(1000, 60).map(|it| it.bytes), Some(1000));
    assert!(stage.cast.consumer.part::<Download>(&ask).is_err());
    let summary = capture.finish(stage.world.plan()).expect("a whole capture");
    assert_eq!(summary.foreign, 0, "{:?}", summary.samples);
    stage.strike();
}

#[test]
fn a_machine_with_ipv6_switched_off_buys_from_an_exit_that_has_it_and_is_an_exit_itself() {
    let Some(mut stage) = Stage::set("v6off", &one_exit()) else {
        return;
    };
    let off = "net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1";
    let consumer = &mut stage.cast.consumer;
    consumer.stop().expect("it stops");
    consumer.host().set(off).expect("no IPv6");
    consumer.start().expect("it begins");
    // Reached: here it is about the tunnel.
    let reached = |it: &ExitList| match it.exits.first() {
        Some(row) if row.rtt_millis.is_some() => Ok(()),
        other => Err(format!("{other:?}")),
    };
    let refresh = ["exits", "--refresh"];
    consumer
        .wait_for("the exit to be reached", STEP, &refresh, reached)
        .expect("a connection");
    let view = stage.up(&["up"]);
    assert_eq!(view.tunnel.expect("a tunnel").address_v6, None);
    assert_eq!(stage.download(1000, 60).map(|it| it.bytes), Some(1000));
    let consumer = &stage.cast.consumer;
    consumer.ask::<serde_json::Value>(&["down"]).expect("down");

    // An exit again by itself once it begins.
    let exit = &mut stage.cast.exits[0];
    exit.stop().expect("it stops");
    exit.host().set(off).expect("no IPv6");
    exit.start().expect("it begins");
    let says = |it: &ExitList| match it.exits.first() {
        Some(row) if row.ipv4 && !row.ipv6 && row.rtt_millis.is_some() => Ok(()),
        other => Err(format!("{other:?}")),
    };
    let consumer = &mut stage.cast.consumer;
    consumer
        .wait_for("the offer to say so", STEP, &refresh, says)
        .expect("an offer without IPv6");
    stage.up(&["up"]);
    assert_eq!(stage.download(1000, 60).map(|it| it.bytes), Some(1000));
    stage.strike();
}
