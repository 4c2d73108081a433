//! Names go through the tunnel while it is up, and nowhere else; afterwards they go where they went before.

use warren::demo::plan::{WEB_NAME, WEB_PORT};
use warren::demo::web::Download;
use warren_daemon::api::types::DownReport;

use crate::stage::{Stage, one_exit};

#[test]
fn names_are_asked_through_the_exit_and_the_resolver_is_given_back() {
    let Some(stage) = Stage::set("names", &one_exit()) else {
        return;
    };
    let (exit, web) = (&stage.world.plan().exits[0], &stage.world.plan().web);
    let consumer = &stage.cast.consumer;
    let before = consumer.resolver().expect("a resolver");
    let capture = stage.capture();
    let view = stage.up(&["up"]);
    let wanted = web.public().map(|it| it.to_string());
    assert_eq!(view.tunnel.expect("a tunnel").dns, wanted);
    let text = String::from_utf8(consumer.resolver().expect("a resolver")).expect("text");
    for server in &wanted {
        assert!(text.contains(&format!("nameserver {server}\n")), "{text}");
    }
    let server = format!("{WEB_NAME}:{WEB_PORT}");
    let args = [
        "demo",
        "fetch",
        &server,
        "/body/7/100000",
        "--patience",
        "60",
    ];
    let got: Download = consumer.part(&args).expect("a download by name");
    assert_eq!(got.bytes, 100_000);
    let askers = stage.cast.askers();
    assert!(
        !askers.is_empty() && askers.iter().all(|it| exit.public().contains(it)),
        "{askers:?}"
    );

    consumer.ask::<DownReport>(&["down"]).expect("down");
    assert_eq!(consumer.resolver().expect("a resolver"), before);
    let summary = capture.finish(stage.world.plan()).expect("a whole capture");
    assert_eq!(
        (summary.foreign, summary.names),
        (0, 0),
        "{:?}",
        summary.samples
    );
    stage.strike();
}
