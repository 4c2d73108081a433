//! `up --kill-switch off`: no table of ours, said aloud; and everything is given back.

use warren_daemon::api::types::DownReport;

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
    assert_eq!(rules(), "");
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
    // Nothing stays blocked that never was.
    let args = ["down", "--keep-blocked"];
    let report: DownReport = stage.cast.consumer.ask(&args).expect("down");
    assert!(!report.still_blocked);
    assert_eq!((rules().as_str(), routes()), ("", before.clone()));
    assert_eq!(stage.cast.consumer.resolver().expect("a file"), resolver);

    let view = stage.up(&["up"]);
    assert!(view.kill_switch);
    assert!(rules().contains("table inet warren\n"), "{}", rules());
    let report: DownReport = stage.cast.consumer.ask(&args).expect("down");
    assert!(report.still_blocked && rules().contains("table inet warren\n"));

    // Blocked until now: the next `up` without kill switch lifts it first.
    let view = stage.up(&["up", "--kill-switch", "off"]);
    assert_eq!((view.kill_switch, rules().as_str()), (false, ""));

    // The exit dies: nothing is left of the tunnel, and nothing is blocked.
    stage.cast.exits[0].kill().expect("the exit is killed");
    warren::demo::wait::until("the routes to be given back", crate::stage::STEP, || {
        let now = routes();
        if now == before { Ok(()) } else { Err(now) }
    })
    .expect("the routes");
    assert_eq!(rules(), "");
    assert_eq!(stage.cast.consumer.resolver().expect("a file"), resolver);
    stage.strike();
}
