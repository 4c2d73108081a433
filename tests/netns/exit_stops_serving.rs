//! The exit takes words and serves nothing: it is frozen (SIGSTOP), so its ports stay open and its line silent.

use crate::stage::{Stage, one_exit};

#[test]
fn a_consumer_that_is_served_no_more_pays_at_most_ahead() {
    let Some(stage) = Stage::set("noserve", &one_exit()) else {
        return;
    };
    stage.up(&["up", "--fallback", "none"]);
    assert!(stage.download(4 << 20, 60).is_some());
    let capture = stage.capture();
    let exit = stage.cast.exits[0].daemon().expect("a daemon");
    exit.freeze();
    for _ in 0..3 {
        assert!(stage.download(1 << 20, 3).is_none(), "nothing is served");
        let view = stage.session().expect("the session is told");
        let ahead = view.paid.base_units.saturating_sub(view.due.base_units);
        assert!(
            ahead <= view.at_risk.base_units,
            "{} paid, {} due",
            view.paid,
            view.due
        );
        assert!(view.kill_switch);
    }
    exit.thaw();
    let summary = capture.finish(stage.world.plan()).expect("a whole capture");
    assert_eq!(summary.foreign, 0, "{:?}", summary.samples);
    stage.strike();
}
