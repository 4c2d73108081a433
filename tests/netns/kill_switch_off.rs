//! `up --kill-switch off`: no table that blocks, said aloud; and everything is given back.

use warren_daemon::api::types::{DownReport, Status};

use crate::stage::{Stage, one_exit};

#[test]
fn without_a_kill_switch_there_is_no_table_and_with_it_there_is() {
    let Some(mut stage) = Stage::set("open", &one_exit()) else {
        return;
    };
    let host = stage.cast.consumer.host().clone();
    let rules = || host.run("nft", &["list", "tables"]).expect("nft");
    let routes = || host.run("ip", &["rule", "list"]).expect("ip");
    let (resolver, before) = (stage.cast.consumer.resolver().expect("a file"), routes());

    let view = stage.up(&["up", "--kill-switch", "off"]);
    assert!(!view.kill_switch);
    let guarded = "table inet warren_guard\n";
    assert_eq!(rules(), guarded, "the exit gets in nowhere all the same");
    assert_eq!(
        stage.download(100_000, 60).map(|it| it.bytes),
        Some(100_000)
    );
    assert!(!stage.session().expect("a session").kill_switch);
    let said = stage
        .cast
        .consumer
        .typed_as_text(&["status"])
        .expect("a status");
    assert!(said.contains("OFF: without a tunnel"), "{said}");
    // A network service that starts anew takes the rules of others with it; then all would leave beside the tunnel.
    for words in ["rule flush", "rule add pref 32766 lookup main"] {
        let words: Vec<&str> = words.split(' ').collect();
        host.run("ip", &words).expect("ip");
    }
    warren::demo::wait::until("the rules to be back", crate::stage::STEP, || {
        let now = routes();
        if now.contains("7770:") {
            Ok(())
        } else {
            Err(now)
        }
    })
    .expect("the rules");
    host.run("nft", &["delete", "table", "inet", "warren_guard"])
        .expect("nft");
    let named = |it: &Status| {
        let guard = it
            .warnings
            .iter()
            .any(|it| it.seen.contains("the table that guards"));
        if guard {
            Ok(())
        } else {
            Err(format!("{:?}", it.warnings))
        }
    };
    let consumer = &mut stage.cast.consumer;
    consumer
        .wait_for("a warning", crate::stage::STEP, &["status"], named)
        .expect("no kill switch was taken away: there is none");
    let capture = stage.capture();
    let got = stage.download(100_000, 60).map(|it| it.bytes);
    assert_eq!(got, Some(100_000));
    let summary = capture.finish(stage.world.plan()).expect("a whole capture");
    assert_eq!(summary.foreign, 0, "{:?}", summary.samples);
    host.run("ip", &["rule", "add", "pref", "32767", "lookup", "default"])
        .expect("ip");
    // Nothing stays blocked that never was.
    let args = ["down", "--keep-blocked"];
    let report: DownReport = stage.cast.consumer.ask(&args).expect("down");
    assert!(!report.still_blocked);
    let status: Status = stage.cast.consumer.ask(&["status"]).expect("a status");
    assert_eq!(
        status.warnings,
        vec![],
        "what is down stands in nobody's way"
    );
    assert_eq!((rules().as_str(), routes()), ("", before.clone()));
    assert_eq!(stage.cast.consumer.resolver().expect("a file"), resolver);

    let view = stage.up(&["up"]);
    assert!(view.kill_switch);
    assert!(rules().contains("table inet warren\n"), "{}", rules());
    let report: DownReport = stage.cast.consumer.ask(&args).expect("down");
    assert!(report.still_blocked && rules().contains("table inet warren\n"));

    // Blocked until now: the next `up` without kill switch lifts it first.
    let view = stage.up(&["up", "--kill-switch", "off"]);
    assert_eq!((view.kill_switch, rules().as_str()), (false, guarded));

    // Killed, and begun again: rules and resolver of a tunnel that is gone would leave no network.
    stage.cast.consumer.kill().expect("the consumer is killed");
    assert_ne!(routes(), before);
    stage.cast.consumer.start().expect("the consumer is back");
    assert_eq!((rules().as_str(), routes()), ("", before.clone()));
    assert_eq!(stage.cast.consumer.resolver().expect("a file"), resolver);
    stage.up(&["up", "--kill-switch", "off"]);

    // The exit dies: nothing is left of the tunnel, and nothing is blocked.
    stage.cast.exits[0].kill().expect("the exit is killed");
    warren::demo::wait::until("the routes to be given back", crate::stage::STEP, || {
        let now = routes();
        if now == before { Ok(()) } else { Err(now) }
    })
    .expect("the routes");
    assert_eq!(rules(), guarded, "another exit is looked for");
    let report: DownReport = stage.cast.consumer.ask(&["down"]).expect("down");
    assert!(!report.still_blocked);
    assert_eq!(rules(), "");
    assert_eq!(stage.cast.consumer.resolver().expect("a file"), resolver);
    stage.strike();
}
