//! One world, one session, one truth: every place that shows money shows the same, and the receipt
//! that both sides signed proves it without either.

use warren_daemon::api::types::{
    ChannelList, DownReport, Earnings, Ledger, PaidByView, ReceiptSide, Status, WalletView,
};
use warren_proto::Amount;

use crate::stage::{Stage, one_exit, verified_alone, whole_receipts};

#[test]
fn every_balance_is_the_ledgers_and_both_sides_hold_the_same_receipt() {
    let Some(stage) = Stage::set("books", &one_exit()) else {
        return;
    };
    let view = stage.up(&["up"]);
    let channel = view.channel.expect("a paid session");
    assert!(stage.download(6 << 20, 60).is_some());
    let held = stage.held_when_calm(0, channel);
    let report: DownReport = stage.cast.consumer.ask(&["down"]).expect("down");
    let paid = report.paid.base_units;
    assert!(paid >= held);

    // The receipt: the same at both, whole, and worth what the books say.
    let whole = |of| whole_receipts(of, 1).remove(0);
    let (ours, theirs) = (whole(&stage.cast.consumer), whole(&stage.cast.exits[0]));
    assert_eq!(ours.text, theirs.text);
    assert_eq!(
        (ours.role, theirs.role),
        (Some(ReceiptSide::Consumer), Some(ReceiptSide::Provider))
    );
    let PaidByView::Channel(by) = &ours.paid_by else {
        panic!("{ours:?}")
    };
    assert_eq!((ours.paid.base_units, by.channel), (paid, channel));
    assert_eq!(ours.session, report.session);

    // The consumer's side.
    let consumer = &stage.cast.consumer;
    let ledger: Ledger = consumer.ask(&["ledger"]).expect("a ledger");
    let wallet: WalletView = consumer.ask(&["wallet", "show"]).expect("a wallet");
    let channels: ChannelList = consumer.ask(&["channel", "ls"]).expect("channels");
    let held = &channels.channels[0];
    assert_eq!(ledger.paid.base_units, paid);
    assert_eq!(held.paid.base_units, paid);
    assert_eq!(wallet.in_channels, held.left);
    assert_eq!(report.channel_keeps.as_ref(), Some(&held.left));
    assert_eq!(from_csv(&stage, "spent"), paid);

    // The exit's side.
    let exit = &stage.cast.exits[0];
    let earned: Earnings = exit.ask(&["earn"]).expect("earnings");
    let status: Status = exit.ask(&["status"]).expect("a status");
    let at_exit: WalletView = exit.ask(&["wallet", "show"]).expect("a wallet");
    let its: Ledger = exit.ask(&["ledger"]).expect("a ledger");
    let own = status.exit.expect("an exit");
    assert_eq!(earned.earned.base_units, paid);
    assert_eq!(its.earned, earned.earned);
    assert_eq!(own.earned, earned.earned);
    assert_eq!(own.claimable, earned.claimable);
    assert_eq!(at_exit.claimable, earned.claimable);
    assert_eq!(stage.held_by_exit(0, channel).paid, earned.earned);

    // A third party, with nothing but the file.
    let third = tempfile::tempdir().expect("a folder");
    let (file, bad) = (third.path().join("receipt"), third.path().join("bad"));
    std::fs::write(&file, &ours.text).expect("written");
    let told = verified_alone(&file, third.path());
    assert_eq!(told.0, 0, "{told:?}");
    assert_eq!(told.1["paid"]["base_units"], paid.to_string(), "{told:?}");
    let mut text = ours.text.clone().into_bytes();
    let last = text.len() - 2; // Of the provider's signature.
    text[last] = if text[last] == b'0' { b'1' } else { b'0' };
    std::fs::write(&bad, text).expect("written");
    let told = verified_alone(&bad, third.path());
    assert_eq!((told.0, &told.1["code"]), (8, &"W5204".into()), "{told:?}");

    // The chain, in the end.
    stage.cast.claim(0).expect("a claim");
    stage.claimed_when(channel, paid);
    let after: Earnings = stage.cast.exits[0].ask(&["earn"]).expect("earnings");
    assert_eq!(after.claimed.base_units, paid);
    assert_eq!(after.claimable.base_units, Amount::ZERO);
    stage.strike();
}

/// What the consumer's CSV ledger says went to `account` in all.
fn from_csv(stage: &Stage, account: &str) -> Amount {
    let csv = stage
        .cast
        .consumer
        .typed_as_text(&["ledger", "--csv"])
        .expect("CSV");
    let mut lines = csv.split_terminator("\r\n");
    let header = "number,at,kind,from,to,base_units,unit,channel,transaction";
    assert_eq!(lines.next(), Some(header));
    let fields = lines.map(|it| it.split(',').collect::<Vec<_>>());
    let to = fields.filter(|it| it[4] == account);
    let wei = to.map(|it| it[5].parse::<u128>().expect("base units"));
    Amount::from_wei(wei.sum()).expect("an amount")
}
