//! An exit dies for good, its guest closes the channel alone, and a peer claims for it.

use std::fs;

use serde_json::Value;
use warren::demo::node::Node;
use warren::demo::wait;
use warren_daemon::api::types::{DownReport, TowerStatus, TransactionReport};

use crate::stage::{STEP, Stage, two_exits};

/// Longer than a tower gives an absent payee, shorter than the close window, in seconds.
const AWAY: u32 = 2 * 3600;

/// Writes more into a node's configuration and starts its daemon anew.
fn told(stage: &mut Stage, index: usize, change: impl Fn(String) -> String) {
    let old = stage.offer_of(index);
    stage.cast.exits[index].stop().expect("it stops");
    let file = stage.cast.exits[index].home().join("config.toml");
    let text = fs::read_to_string(&file).expect("a configuration");
    fs::write(&file, change(text)).expect("written");
    stage.cast.open_exit(index).expect("it sells again");
    stage.offers_anew(index, old);
}

fn towers(of: &Node) -> TowerStatus {
    of.ask(&["tower", "ls"]).expect("towers")
}

#[test]
fn a_dead_exits_money_is_claimed_by_the_peer_it_asked() {
    let Some(mut stage) = Stage::set("tower", &two_exits()) else {
        return;
    };
    let asks = |it: String| it.replace("[exit]\n", "[exit]\ntowers = 1\ntower_step = \"0\"\n");
    told(&mut stage, 0, asks);
    told(&mut stage, 1, |it| {
        format!("{it}\n[tower]\nenabled = true\nmin_gain = \"0\"\n")
    });
    // The cheaper one sells; the other watches.
    let view = stage.up(&["up", "--sort", "price"]);
    assert_eq!(stage.seller(&view), 0);
    let channel = view.channel.expect("a paid session");
    assert!(stage.download(6 << 20, 60).is_some());
    let held = stage.held_when_calm(0, channel);
    wait::until("the tower to hold all of it", STEP, || {
        let ours = towers(&stage.cast.exits[0]);
        let enough = |it: &&warren_daemon::api::types::HoldingView| {
            it.channel == channel && it.value.base_units == held
        };
        match ours.held.iter().find(enough) {
            Some(_) => Ok(()),
            None => Err(format!("{:?}", ours.held)),
        }
    })
    .expect("a put");
    let kept = towers(&stage.cast.exits[1]);
    assert_eq!(kept.kept.len(), 1);
    assert_eq!(kept.kept[0].channel, None, "sealed until somebody closes");

    stage.cast.exits[0]
        .kill()
        .expect("the exit is killed, for good");
    let _: Result<DownReport, _> = stage.cast.consumer.ask(&["down"]); // The exit cannot answer any more.
    let id = channel.to_string();
    let close = ["channel", "close", "--now", id.as_str()];
    stage
        .cast
        .consumer
        .ask::<TransactionReport>(&close)
        .expect("a close");
    // What it gives the payee counts from when it has heard of it.
    wait::until("the tower to hear of it", STEP, || {
        let kept = towers(&stage.cast.exits[1]).kept;
        match kept.iter().any(|it| it.channel == Some(channel)) {
            true => Ok(()),
            false => Err(format!("{kept:?}")),
        }
    })
    .expect("a put that is due");
    pass(&stage, AWAY);
    stage.claimed_when(channel, held);
    let work = wait::until("the tower to say so", STEP, || {
        let work = towers(&stage.cast.exits[1]).work;
        match work {
            Some(it) if it.claims == 1 => Ok(it),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!(work.expect("a claim").saved.base_units, held);
    stage.strike();
}

/// Lets so much of the chain's time pass.
fn pass(stage: &Stage, secs: u32) {
    for (method, params) in [
        ("evm_increaseTime", secs.to_string()),
        ("evm_mine", String::new()),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":[{params}]}}"#);
        let args = [
            "--silent",
            "--header",
            "content-type: application/json",
            "--data",
            &body,
            &stage.cast.rpc,
        ];
        let host = stage.cast.bootstrap.host();
        let said = host.run("curl", &args).expect("the chain answers");
        let said: Value = serde_json::from_str(&said).expect("JSON");
        assert!(said.get("result").is_some(), "{said}");
    }
}
