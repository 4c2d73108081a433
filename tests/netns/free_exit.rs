//! An exit that asks nothing and has no chain serves whoever has one, found and named like any other, and nothing is paid.

use std::fs;

use warren::demo::plan::Asks;
use warren::demo::story;
use warren_daemon::api::types::{
    ChannelList, DownReport, ExitList, ExitStatus, ReceiptList, Status, TransactionReport,
};
use warren_proto::{Amount, PayoutAddress};

use crate::stage::{STEP, Stage, one_exit};

#[test]
fn who_has_a_chain_goes_through_a_free_exit_that_has_none() {
    let mut exits = one_exit();
    exits.push(Asks {
        sells: false,
        ..Asks::new("DE", "Leipzig", "0")
    });
    let Some(mut stage) = Stage::set("freeexit", &exits) else {
        return;
    };
    // The same place on the internet, and neither chain nor wallet.
    let place = &stage.cast.exits[1];
    let config = fs::read_to_string(place.home().join("config.toml")).expect("its configuration");
    let (before, rest) = config.split_once("[chain]").expect("a chain");
    let (_, exit) = rest.split_once("[exit]").expect("an exit");
    let config = format!("{before}[exit]{exit}");
    let mut giver = place.beside("giver", &config).expect("a home");
    let started = giver.start().expect("it runs");
    assert_eq!(started.chain.map(|it| it.chain_id), None);
    let phrase = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let enable = ["exit", "enable", "--yes-i-consent", phrase.trim()];
    let enabled: ExitStatus = giver.ask(&enable).expect("an exit");
    assert!(enabled.enabled);

    let pinned = stage.cast.pins;
    assert_ne!(pinned.contract, PayoutAddress::ZERO);
    let consumer = &mut stage.cast.consumer;
    let both = |it: &ExitList| {
        let exits = it.exits.iter();
        let mut free = exits.filter(|it| it.price.per_gib.base_units == Amount::ZERO);
        free.next()
            .filter(|_| it.exits.len() == 2)
            .map(|it| it.node)
            .ok_or_else(|| format!("{} exits", it.exits.len()))
    };
    let all = ["exits", "--refresh"];
    let node = consumer
        .wait_for("the free exit", STEP, &all, both)
        .expect("both exits");
    assert_eq!(node, started.node);

    // By price, by the beginning of its name, and by whoever would spend and deposit nothing.
    let name = node.to_string();
    for args in [
        &["up", "--max-spend", "0", "--deposit", "0"][..],
        &["up", &name[..8]],
    ] {
        let view = story::up(&stage.cast.consumer, args).expect("a tunnel");
        assert_eq!((view.exit, view.channel), (node, None), "{args:?}");
        assert_eq!(view.at_risk.base_units, Amount::ZERO);
        let got = stage.download(1 << 20, 60).map(|it| it.bytes);
        assert_eq!(got, Some(1 << 20), "{args:?}");
        let down: DownReport = stage.cast.consumer.ask(&["down"]).expect("down");
        assert_eq!(down.paid.base_units, Amount::ZERO);
    }
    let consumer = &stage.cast.consumer;
    let channels: ChannelList = consumer.ask(&["channel", "ls"]).expect("channels");
    let receipts: ReceiptList = consumer.ask(&["receipt", "ls"]).expect("receipts");
    assert!(channels.channels.is_empty() && receipts.receipts.is_empty());
    let status: Status = consumer.ask(&["status"]).expect("a status");
    assert!(status.warnings.is_empty(), "{:?}", status.warnings);

    // Nobody is paid there, so no channel leads there.
    let open = ["channel", "open", &name[..8], "--deposit", "1"];
    let refused = consumer.ask::<TransactionReport>(&open);
    let refused = refused.expect_err("it has no account");
    assert_eq!(refused.problem().map(|it| it.code.as_str()), Some("W4101"));
    giver.stop().expect("it ends");
    stage.strike();
}
