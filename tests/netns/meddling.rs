//! While a tunnel is up, others flush the firewall on both sides and delete the devices: nothing leaks, and it goes on.

use warren_daemon::api::types::{ConsumerState, ExitStatus, Status};

use crate::stage::{STEP, Stage, one_exit, two_exits};

/// Whether the node warns of this.
fn warns(status: &Status, code: &str) -> bool {
    status.warnings.iter().any(|it| it.code == code)
}

fn is_on(it: &ExitStatus) -> Result<(), String> {
    if it.enabled {
        Ok(())
    } else {
        Err("off".to_owned())
    }
}

#[test]
fn firewall_and_devices_that_others_take_away_are_made_again() {
    let Some(mut stage) = Stage::set("meddling", &two_exits()) else {
        return;
    };
    let view = stage.up(&["up", "--sort", "price", "--fallback", "any"]);
    let seller = stage.seller(&view);
    let offload = view.tunnel.as_ref().and_then(|it| it.offload.clone());
    let offload = offload.expect("the rungs in use are said");
    let said = stage.cast.consumer.typed_as_text(&["status"]);
    let said = said.expect("a status");
    assert!(
        said.contains(&format!("device {}", offload.device)),
        "{said}"
    );
    let (host, lent) = (
        stage.cast.consumer.host().clone(),
        stage.cast.exits[seller].host().clone(),
    );
    let known = lent.run("nft", &["list", "set", "inet", "warren_exit", "own4"]);
    let public = stage.world.plan().exits[seller].public_v4().to_string();
    assert!(known.expect("a set").contains(&public), "its router's");

    let capture = stage.capture();
    for side in [&host, &lent] {
        side.run("nft", &["flush", "ruleset"]).expect("nft");
    }
    let mended = |it: &Status| {
        if warns(it, "W2111") {
            Ok(())
        } else {
            Err(format!("{:?}", it.warnings))
        }
    };
    let (consumer, exit) = (&mut stage.cast.consumer, &mut stage.cast.exits[seller]);
    for node in [consumer, exit] {
        node.wait_for("a warning", STEP, &["status"], mended)
            .expect("a warning");
    }
    for (side, table) in [(&host, "warren"), (&lent, "warren_exit")] {
        side.run("nft", &["list", "table", "inet", table])
            .expect(table);
    }
    let got = stage.download(1 << 20, 60).map(|it| it.bytes);
    assert_eq!(got, Some(1 << 20), "both sides carry again");

    // The device goes: the same session goes on with another.
    host.run("ip", &["link", "del", "warren0"]).expect("ip");
    // Its rules come last; a connection begun before would keep the address of the wrong device.
    let again = || {
        let run = |words: &[&str]| host.run("ip", words).map_err(|it| it.to_string());
        run(&["link", "show", "warren0"])?;
        let rules = run(&["rule", "list"])?;
        if rules.contains("7770:") {
            Ok(())
        } else {
            Err(rules)
        }
    };
    warren::demo::wait::until("the device to be made again", STEP, again).expect("a device");
    let got = stage.download(1 << 20, 60).map(|it| it.bytes);
    assert_eq!(got, Some(1 << 20), "by another device");
    let now = stage.session().expect("a session");
    assert_eq!(now.session, view.session);
    assert!(now.used.down_bytes.bytes() > 2 << 20, "{:?}", now.used);

    // The exit's goes: its guest is told, and goes elsewhere without a leak; it begins anew by itself.
    lent.run("ip", &["link", "del", "warren-exit"]).expect("ip");
    let next = stage.session_when("the next session", |it| {
        it.session != view.session && it.state == ConsumerState::Active
    });
    assert_ne!(next.exit, view.exit);
    let got = stage.download(1 << 20, 60).map(|it| it.bytes);
    assert_eq!(got, Some(1 << 20), "by another exit");
    stage.cast.exits[seller]
        .wait_for("the exit to be on", STEP, &["exit", "status"], is_on)
        .expect("the exit begins anew");
    let device = lent.run("ip", &["link", "show", "warren-exit"]);
    device.expect("the exit's device");
    let summary = capture.finish(stage.world.plan()).expect("a whole capture");
    assert_eq!(summary.foreign, 0, "{:?}", summary.samples);
    stage.strike();
}

#[test]
fn an_exit_that_boots_before_its_line_is_up_begins_once_it_is() {
    let Some(mut stage) = Stage::set("boots", &one_exit()) else {
        return;
    };
    let exit = &mut stage.cast.exits[0];
    let host = exit.host().clone();
    exit.kill().expect("the exit is killed");
    let path = exit.home().join("config.toml");
    let text = std::fs::read_to_string(&path).expect("a configuration");
    let text = text.replace("uplink = \"eth0\"\n", "");
    let text = text.replace("[exit]\n", "[exit]\nenabled = true\n");
    std::fs::write(&path, text).expect("a configuration");
    let way = host.run("ip", &["route", "show", "default"]).expect("ip");
    let way6 = host.run("ip", &["-6", "route", "show", "default"]);
    assert!(way.starts_with("default via"), "{way}");
    host.run("ip", &["route", "del", "default"]).expect("ip");
    if way6.is_ok_and(|it| !it.is_empty()) {
        host.run("ip", &["-6", "route", "del", "default"])
            .expect("ip");
    }
    exit.start().expect("a daemon");
    let waits = |it: &Status| {
        let off = it.exit.is_none() && warns(it, "W2108");
        if off {
            Ok(())
        } else {
            Err(format!("{:?}", it.warnings))
        }
    };
    exit.wait_for("a warning", STEP, &["status"], waits)
        .expect("no line yet");
    let line: Vec<&str> = ["route", "add"]
        .into_iter()
        .chain(way.split_whitespace())
        .collect();
    host.run("ip", &line).expect("ip");
    exit.wait_for("the exit to be on", STEP, &["exit", "status"], is_on)
        .expect("the exit begins by itself");
    let calm: Status = exit.ask(&["status"]).expect("a status");
    assert!(!warns(&calm, "W2108"), "{:?}", calm.warnings);
    // Off is off: it is not turned on again.
    let off: ExitStatus = exit.ask(&["exit", "disable"]).expect("off");
    assert!(!off.enabled);
    stage.strike();
}
