//! One machine that would be two: exit and consumer, in one daemon or in two, or a consumer twice.

use warren_daemon::api::types::{ChannelList, DownReport, ExitStatus};

use crate::stage::{Stage, one_exit, two_exits};
use warren::demo::story;

/// Guests' packets would be led into the owner's own tunnel, at the owner's cost: so it is one role
/// at a time, and what is refused changes nothing.
#[test]
fn an_exit_takes_no_tunnel_and_who_has_a_tunnel_is_no_exit() {
    let Some(mut stage) = Stage::set("tworoles", &two_exits()) else {
        return;
    };
    let phrase = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let enable = ["exit", "enable", "--yes-i-consent", phrase.trim()];
    let ask = ["up", "--timeout", "30"];

    // The consumer of the stage is served by the cheaper exit all the while.
    let view = stage.up(&["up", "--sort", "price"]);
    let serving = stage.seller(&view);
    let other = 1 - serving;
    let refused = story::up(&stage.cast.exits[serving], &ask).expect_err("an exit takes no tunnel");
    assert_eq!(refused.problem().expect("a problem").code, "W2110");
    for switch in ["on", "off"] {
        let args = [&ask[..], &["--kill-switch", switch]].concat();
        let refused = story::up(&stage.cast.exits[serving], &args).expect_err("refused again");
        assert_eq!(refused.problem().expect("a problem").code, "W2110");
    }
    assert_eq!(
        stage.download(1 << 20, 60).map(|it| it.bytes),
        Some(1 << 20),
        "it still serves"
    );
    let devices = stage.cast.exits[serving]
        .host()
        .ip("-o link")
        .expect("devices");
    assert!(
        devices.contains("warren-exit") && !devices.contains("warren0"),
        "{devices}"
    );

    // The other one stops lending, and buys: then it cannot lend until it is done.
    let node = &mut stage.cast.exits[other];
    node.ask::<ExitStatus>(&["exit", "disable"]).expect("off");
    node.ask::<serde_json::Value>(&["fund", "--faucet", "10"])
        .expect("money");
    let view = story::up(node, &ask).expect("a tunnel");
    assert!(view.kill_switch);
    let refused = node
        .ask::<ExitStatus>(&enable)
        .expect_err("no exit with a tunnel");
    assert_eq!(refused.problem().expect("a problem").code, "W2110");
    let devices = node.host().ip("-o link").expect("devices");
    assert!(
        devices.contains("warren0") && !devices.contains("warren-exit"),
        "{devices}"
    );
    node.ask::<DownReport>(&["down"]).expect("down");
    let status: ExitStatus = node.ask(&enable).expect("an exit again");
    assert!(status.enabled);
    stage.strike();
}

/// Two homes on one machine, such as the system's and a user's own: the kill switch of the first is not the second's
/// to replace, nor to take away.
#[test]
fn a_second_consumer_on_one_machine_is_refused_before_it_pays() {
    let Some(stage) = Stage::set("twohomes", &one_exit()) else {
        return;
    };
    let consumer = &stage.cast.consumer;
    let config = std::fs::read_to_string(consumer.home().join("config.toml")).expect("its own");
    let config = config.replace("[overlay]\n", "[overlay]\nlisten = []\n");
    let mut twin = consumer.beside("twin", &config).expect("a second home");
    twin.ask::<serde_json::Value>(&["wallet", "new", "--work-factor", "4"])
        .expect("a wallet");
    twin.start().expect("a second daemon");
    twin.ask::<serde_json::Value>(&["fund", "--faucet", "10"])
        .expect("money");

    stage.up(&["up"]);
    let rules = |stage: &Stage| {
        stage
            .cast
            .consumer
            .host()
            .run("nft", &["-s", "list", "ruleset"])
            .expect("its rules")
    };
    let refuses = |stage: &Stage| {
        let before = rules(stage);
        for switch in ["on", "off"] {
            let ask = ["up", "--timeout", "30", "--kill-switch", switch];
            let refused = story::up(&twin, &ask).expect_err("one is there");
            assert_eq!(refused.problem().expect("a problem").code, "W2110");
        }
        assert_eq!(rules(stage), before);
        let channels: ChannelList = twin.ask(&["channel", "ls"]).expect("channels");
        assert_eq!(channels.channels, []);
    };
    refuses(&stage);
    let size = 1 << 20;
    assert_eq!(stage.download(size, 60).map(|it| it.bytes), Some(size));
    // Blocked on purpose: nothing leaves, and the second one opens nothing.
    let keep = ["down", "--keep-blocked"];
    stage
        .cast
        .consumer
        .ask::<DownReport>(&keep)
        .expect("it goes down");
    refuses(&stage);
    assert!(rules(&stage).contains("table inet warren"));
    twin.stop().expect("it ends");
    stage.strike();
}
