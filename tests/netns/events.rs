//! What happens is told while it happens: on both sides of a paid session, each thing once, in order, about somebody.

use std::fs::{self, File};
use std::process::{Child, Stdio};

use warren::demo::node::Node;
use warren::demo::wait;
use warren_daemon::api::types::{DownReport, NodeEvent, NodeEventKind as Kind, Status};

use crate::stage::{STEP, Stage, one_exit, program};

/// A `warren events --json` on one node; it ends with its daemon, or when dropped.
struct Follower {
    process: Child,
    lines: std::path::PathBuf,
}

impl Follower {
    fn of(node: &Node) -> Self {
        let lines = node.home().join("events");
        let out = File::create(&lines).expect("a file");
        let home = node.home().display().to_string();
        let mut command = node.host().command(program());
        command.args(["--home", &home, "--json", "events"]);
        let process = command.stdout(Stdio::from(out)).spawn();
        let process = process.expect("it starts");
        Self { process, lines }
    }

    fn heard(&self) -> Vec<NodeEvent> {
        let text = fs::read_to_string(&self.lines).expect("what it wrote");
        let events = text.lines().filter(|it| it.contains("warren.event/v1"));
        let event = |it| serde_json::from_str(it).expect("an event in one line");
        events.map(event).collect()
    }

    /// Waits until it wrote one of this kind that says this.
    fn hears(&self, kind: Kind, text: &str) -> NodeEvent {
        wait::until(text, STEP, || {
            let heard = self.heard();
            let found = heard
                .iter()
                .find(|it| it.kind == kind && it.text.contains(text));
            found.cloned().ok_or_else(|| format!("{heard:?}"))
        })
        .expect(text)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn both_sides_tell_of_a_paid_session_while_it_happens() {
    let Some(mut stage) = Stage::set("events", &one_exit()) else {
        return;
    };
    let mut buyer = Follower::of(&stage.cast.consumer);
    let seller = Follower::of(&stage.cast.exits[0]);
    let consumer = stage.cast.consumer.ask::<Status>(&["status"]);
    let consumer = consumer.expect("its status").node;
    // Nobody knows whether they listen already: peers come and go meanwhile.
    let view = stage.up(&["up"]);
    let flows = buyer.hears(Kind::Session, "traffic flows");
    let about = (flows.node, flows.session, flows.channel);
    assert_eq!(about, (Some(view.exit), Some(view.session), view.channel));
    buyer.hears(Kind::Tunnel, "kill switch on");
    let up = buyer.hears(Kind::Tunnel, "the tunnel is up");
    assert_eq!((up.node, up.session), (Some(view.exit), Some(view.session)));
    let open = buyer.hears(Kind::Channel, "its deposit is confirmed");
    assert_eq!(open.channel, view.channel);
    let served = seller.hears(Kind::Session, "a guest is served");
    let about = (served.node, served.session, served.channel);
    assert_eq!(about, (Some(consumer), Some(view.session), view.channel));

    assert!(stage.download(2 << 20, 60).is_some());
    let _: DownReport = stage.cast.consumer.ask(&["down"]).expect("down");
    let over = buyer.hears(Kind::Session, "paid: on request");
    assert_eq!(over.session, Some(view.session));
    buyer.hears(Kind::Tunnel, "firewall, routes and names are as they were");
    seller.hears(Kind::Session, "a guest's session ended");
    stage.cast.claim(0).expect("a claim");
    let claimed = seller.hears(Kind::Payment, "a claim is confirmed");
    assert_eq!(claimed.channel, view.channel);

    for heard in [buyer.heard(), seller.heard()] {
        let gap = |it: &[NodeEvent]| it[1].id != it[0].id + 1;
        assert!(!heard.windows(2).any(gap), "{heard:?}");
        let looks_like_code = |it: &NodeEvent| it.text.contains(['{', '_']);
        assert!(!heard.iter().any(looks_like_code), "{heard:?}");
    }
    // Whoever follows hears the end, and the daemon does not wait for him.
    stage.cast.consumer.stop().expect("it ends");
    let ended = wait::until("the follower to end", STEP, || {
        let ended = buyer.process.try_wait().map_err(|it| it.to_string())?;
        ended.ok_or_else(|| "it runs".to_owned())
    });
    assert!(ended.expect("an end").success());
    let told = fs::read_to_string(&buyer.lines).expect("what it wrote");
    let last = told.lines().next_back().expect("a last line");
    assert!(last.contains("warren.events-end/v1"), "{last}");
    stage.strike();
}
