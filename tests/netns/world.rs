//! The make-believe internet itself: what it lets through, and that it goes away.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use warren::demo::capture::Capture;
use warren::demo::netns;
use warren::demo::plan::{Plan, WEB_NAME, WEB_PORT};
use warren::demo::process::Process;
use warren::demo::wait;
use warren::demo::web::Download;
use warren::demo::world::{self, World};

use crate::stage::{STEP, is_possible, program};

#[test]
fn only_exits_reach_the_web_server_and_what_others_send_is_seen_outside() {
    if !is_possible() {
        return;
    }
    let world = World::build("reach", Plan::demo()).expect("a world");
    let (plan, program) = (world.plan(), program());
    let args = ["demo", "web", &format!("[::]:{WEB_PORT}")];
    let log = world.dir().join("web.log");
    let web = Process::start(&world.host(&plan.web), "web", &program, &args, &log).expect("web");
    wait::until("the web server", STEP, || {
        if web.printed().contains("listening") {
            Ok(())
        } else {
            Err(web.printed())
        }
    })
    .expect("the web server");
    let capture = Capture::start(&world.router(&plan.consumer), "lan", world.dir(), "uplink");
    let capture = capture.expect("a capture");
    let ask = |site, server: String, patience: &str| {
        let args = ["demo", "fetch", &server, "/who", "--patience", patience];
        let output = world
            .host(site)
            .command(&program)
            .args(args)
            .output()
            .expect("a process");
        serde_json::from_slice::<Download>(&output.stdout)
            .ok()
            .map(|it| it.text)
    };
    let (v4, v6) = (
        format!("{}:{WEB_PORT}", plan.web.public_v4()),
        format!("[{}]:{WEB_PORT}", plan.web.host_v6()),
    );
    for exit in &plan.exits {
        assert_eq!(
            ask(exit, v4.clone(), "20"),
            Some(exit.public_v4().to_string())
        );
        assert_eq!(
            ask(exit, v6.clone(), "20"),
            Some(exit.host_v6().to_string())
        );
    }
    assert_eq!(ask(&plan.consumer, v4, "2"), None);
    assert_eq!(ask(&plan.consumer, v6, "2"), None);
    // Without a tunnel its home router is asked for names, in the clear.
    let named = format!("{WEB_NAME}:{WEB_PORT}");
    assert_eq!(ask(&plan.consumer, named, "2"), None);
    wait::until("the capture to show the name", STEP, || {
        let summary = capture.so_far(plan).map_err(|it| it.to_string())?;
        let seen = summary.names >= 1;
        seen.then_some(()).ok_or_else(|| format!("{summary:?}"))
    })
    .expect("a name that was asked for in the clear");
    let summary = capture.finish(plan).expect("a whole capture");
    assert!(
        summary.foreign_sent >= 2,
        "both attempts are seen outside: {summary:?}"
    );
    web.kill().expect("the web server ends");
    let remains = world.tear_down();
    assert!(remains.is_empty(), "{:?}", remains.in_words());
}

/// A killed owner cannot clean up; the next one does, and leaves the living alone.
#[test]
fn a_world_whose_owner_was_killed_is_removed_by_the_next() {
    if !is_possible() {
        return;
    }
    let alive = World::build("alive", Plan::demo()).expect("a world");
    let mut owner = Command::new(program())
        .args(["demo", "--quiet"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a demo");
    let prefix = format!("wr-demo-{:x}-", owner.id());
    wait::until("the demo's world", STEP, || {
        let standing = netns::list(&prefix).map_err(|it| it.to_string())?;
        if standing.len() > 3 {
            Ok(())
        } else {
            Err(format!("{standing:?}"))
        }
    })
    .expect("the demo's world");
    owner.kill().expect("the owner is killed");
    owner.wait().expect("the owner is gone");
    world::sweep().expect("a sweep");
    wait::until("the world to be gone", Duration::from_secs(20), || {
        let standing = netns::list(&prefix).map_err(|it| it.to_string())?;
        if standing.is_empty() {
            Ok(())
        } else {
            Err(format!("{standing:?}"))
        }
    })
    .expect("nothing is left");
    assert!(
        !netns::list(alive.prefix()).expect("a list").is_empty(),
        "the living world stands"
    );
    let dir = alive.dir().to_owned();
    assert!(alive.tear_down().is_empty());
    assert!(!dir.exists() && no_resolver_is_left(&prefix));
}

fn no_resolver_is_left(prefix: &str) -> bool {
    let Ok(entries) = fs::read_dir(Path::new("/etc/netns")) else {
        return true;
    };
    !entries
        .flatten()
        .any(|it| it.file_name().to_string_lossy().starts_with(prefix))
}
