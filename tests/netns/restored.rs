//! A consumer's disk burns; a second machine has its wallet and nothing else, and goes on with the channels that are there.

use std::fs;

use warren::demo::plan::Asks;
use warren::demo::wait;
use warren_daemon::api::types::{ChannelList, DownReport, RouterList, Status, TransactionReport};
use warren_proto::{Amount, ChannelId};

use crate::stage::{STEP, Stage};

/// Takes from the consumer all that another machine would not have: everything but its wallet and what it was told.
fn moves_to_another_machine(stage: &mut Stage) {
    let consumer = &mut stage.cast.consumer;
    let before: Status = consumer.ask(&["status"]).expect("a status");
    consumer.kill().expect("the consumer is killed");
    for entry in fs::read_dir(consumer.home()).expect("a home") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if ["config.toml", "passphrase"].contains(&name.as_str()) || name.starts_with("wallet") {
            continue;
        }
        if path.is_dir() {
            fs::remove_dir_all(&path).expect("a folder goes");
        } else {
            fs::remove_file(&path).expect("a file goes");
        }
    }
    let after = consumer.start().expect("the second machine starts");
    assert_ne!(before.node, after.node, "another machine");
}

/// The channels that the consumer pays by, as it knows them.
fn channels(stage: &Stage) -> Vec<(ChannelId, Amount)> {
    let list: ChannelList = stage
        .cast
        .consumer
        .ask(&["channel", "ls"])
        .expect("channels");
    let mut all: Vec<_> = list
        .channels
        .iter()
        .map(|it| (it.id, it.paid.base_units))
        .collect();
    all.sort();
    all
}

fn session(stage: &Stage, args: &[&str]) -> (ChannelId, Amount) {
    let view = stage.up(args);
    assert!(stage.download(2 << 20, 60).is_some());
    let report: DownReport = stage.cast.consumer.ask(&["down"]).expect("it goes down");
    (view.channel.expect("a channel"), report.paid.base_units)
}

#[test]
fn a_restored_wallet_asks_for_the_state_of_its_channels_before_it_opens_others() {
    let asks = vec![
        Asks::new("NL", "Utrecht", "0.004").and_routes(),
        Asks::new("DE", "Leipzig", "0.002"),
        Asks::new("DE", "Bremen", "0.003"),
    ];
    let Some(mut stage) = Stage::set("restored", &asks) else {
        return;
    };
    let nodes = stage.cast.exits.iter();
    let nodes: Vec<_> = nodes
        .map(|it| {
            it.ask::<Status>(&["status"])
                .expect("a status")
                .node
                .to_string()
        })
        .collect();
    // One channel to an exit, one to a router, and they take all that there is.
    let all_but_one = ["up", &nodes[1], "--deposit", "9", "--max-spend", "9"];
    let (direct, first) = session(&stage, &all_but_one);
    wait::until("a router", STEP, || {
        let list: RouterList = stage
            .cast
            .consumer
            .ask(&["channel", "routers"])
            .map_err(|it| it.to_string())?;
        (list.routers.len() == 1)
            .then_some(())
            .ok_or_else(|| "none".to_owned())
    })
    .expect("a router");
    let open = ["channel", "open", "--router", &nodes[0], "--amount", "1"];
    let opened: TransactionReport = stage.cast.consumer.ask(&open).expect("a channel");
    let up = opened.channel.expect("its id");
    let mut both = [direct, up];
    both.sort();

    moves_to_another_machine(&mut stage);
    let (again, then) = session(&stage, &["up", &nodes[1]]);
    assert_eq!(again, direct, "the old channel is the one that pays");
    let (routed, third) = session(&stage, &["up", &nodes[2]]);
    assert_eq!(routed, up, "and the one to the router");

    // No third channel; the books go on where the payees said.
    let known = channels(&stage);
    assert_eq!(known.iter().map(|it| it.0).collect::<Vec<_>>(), both);
    let paid = |id| known.iter().find(|it| it.0 == id).unwrap().1;
    assert_eq!(Ok(paid(direct)), first.checked_add(then));
    assert_eq!(paid(up), third);

    // Another machine again, and now the router is gone: that is said, and a new channel is opened.
    stage.cast.fund_consumer("10").expect("money");
    moves_to_another_machine(&mut stage);
    stage.cast.exits[0].kill().expect("the router is killed");
    let (fresh, _) = session(&stage, &["up", &nodes[2]]);
    assert!(
        !both.contains(&fresh),
        "the exit is paid by a channel of its own"
    );
    assert_eq!(channels(&stage).len(), 3);
    let log = fs::read_to_string(stage.cast.consumer.log()).expect("a log");
    let said = format!("found channel {}, but ", up.short());
    assert!(log.contains(&said), "{log}");
    stage.strike();
}
