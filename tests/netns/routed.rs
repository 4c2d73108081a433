//! A consumer with one channel, to a router, pays two exits; an exit dies and claims from the chain, a router dies and learns from it.

use warren::demo::plan::Asks;
use warren::demo::settings::FEE_PPM;
use warren::demo::wait;
use warren_daemon::api::types::{
    ChannelList, ChannelRole, ChannelView, ConsumerState, DownReport, PaidByView, ReceiptList,
    ReceiptSide, ReceiptView, RouteList, RouteProofView, RouterList, Status, TransactionReport,
};
use warren_proto::{Amount, ChannelId, NodeId};

use crate::stage::{STEP, Stage, verified_alone, whole_receipts};

fn node(stage: &Stage, index: usize) -> NodeId {
    let status: Status = stage.cast.exits[index].ask(&["status"]).expect("a status");
    status.node
}

/// The channel that pays this exit: from the router, for nobody else has one to it.
fn paid_by_router(stage: &Stage, index: usize) -> ChannelView {
    let list: ChannelList = stage.cast.exits[index]
        .ask(&["channel", "ls"])
        .expect("channels");
    let mut payers = list
        .channels
        .into_iter()
        .filter(|it| it.role == ChannelRole::Payee);
    let one = payers.next().expect("a channel");
    assert!(payers.next().is_none(), "one channel, of the router");
    one
}

/// Who routes and for what part, as the consumer finds out.
fn found_routers(stage: &Stage) -> Vec<(String, u32)> {
    let found = wait::until("a router", STEP, || {
        let list: RouterList = stage
            .cast
            .consumer
            .ask(&["channel", "routers"])
            .map_err(|it| it.to_string())?;
        (!list.routers.is_empty())
            .then_some(list.routers)
            .ok_or_else(|| "none".to_owned())
    });
    let found = found.expect("a router").into_iter();
    found.map(|it| (it.node.to_string(), it.fee_ppm)).collect()
}

/// What a MiB costs at the two exits that are paid: 0.002 and 0.003 tokens per GiB.
const UNIT_PRICES: [u128; 2] = [1_953_125_000_000, 2_929_687_500_000];

/// What the router's words are worth where the exit's are worth `amount`.
fn with_fee(amount: Amount, unit_price: u128) -> Amount {
    let units = amount.wei() / unit_price;
    let price = unit_price + (unit_price * u128::from(FEE_PPM)).div_ceil(1_000_000);
    Amount::from_wei(units * price).expect("in range")
}

#[test]
fn one_channel_to_a_router_pays_two_exits_and_a_dead_one_claims_what_it_held() {
    let asks = vec![
        Asks::new("NL", "Utrecht", "0.004").and_routes(),
        Asks::new("DE", "Leipzig", "0.002"),
        Asks::new("DE", "Bremen", "0.003"),
    ];
    let Some(mut stage) = Stage::set("routed", &asks) else {
        return;
    };
    let (router, lives, dies) = (
        node(&stage, 0).to_string(),
        node(&stage, 1).to_string(),
        node(&stage, 2).to_string(),
    );
    // Nobody told the consumer who routes: the DHT does, and the router says its terms.
    let seen = found_routers(&stage);
    assert_eq!(seen, [(router.clone(), FEE_PPM)]);
    let open = ["channel", "open", "--router", "auto", "--amount", "1"];
    let opened: TransactionReport = stage.cast.consumer.ask(&open).expect("a channel");
    let up = opened.channel.expect("its id");

    // The first exit: paid by the route, folded at the end, not a wei on the chain.
    let view = stage.up(&["up", &lives]);
    assert_eq!(view.exit.to_string(), lives);
    assert_eq!(view.channel, Some(up));
    assert_eq!(
        stage.download(6 << 20, 60).map(|it| it.bytes),
        Some(6 << 20)
    );
    let report: DownReport = stage.cast.consumer.ask(&["down"]).expect("it goes down");
    assert!(report.paid.base_units > Amount::ZERO);
    // The next session with it goes on with the same lock: nothing is bound a second time.
    stage.up(&["up", &lives]);
    assert!(stage.download(2 << 20, 60).is_some());
    let again: DownReport = stage.cast.consumer.ask(&["down"]).expect("it goes down");
    let first = still(&stage, 1);
    let down = paid_by_router(&stage, 1);
    let routes: RouteList = stage.cast.exits[0]
        .ask(&["channel", "routes"])
        .expect("routes");
    assert_eq!(routes.routes.len(), 1, "{:?}", routes.routes);
    let paid = report.paid.base_units.checked_add(again.paid.base_units);
    assert_eq!(Ok(stage.held_by_consumer(up).paid.base_units), paid);
    receipts_prove(
        &stage,
        first,
        &[&router, &up.to_string(), &down.id.to_string()],
    );

    // The second: killed in the middle, with words that nobody else knows.
    stage.up(&["up", &dies]);
    assert!(stage.download(4 << 20, 60).is_some());
    let channel = paid_by_router(&stage, 2).id;
    let held = still(&stage, 2);
    stage.cast.exits[2].kill().expect("the exit is killed");
    let _: Result<DownReport, _> = stage.cast.consumer.ask(&["down"]);
    stage.cast.exits[2].start().expect("it comes back");
    let _ = stage.cast.claim(2);
    stage.claimed_when(channel, held);
    half_receipt_of(&stage, &dies);

    // Everybody takes what is theirs: the router was paid for each word that it paid for, and its fee.
    stage.cast.claim(1).expect("a claim");
    stage.claimed_when(down.id, first);
    let owed = [(first, UNIT_PRICES[0]), (held, UNIT_PRICES[1])];
    let owed = owed.map(|(amount, unit)| with_fee(amount, unit));
    let owed = owed[0].checked_add(owed[1]).expect("in range");
    earned_when(&stage, up, owed);
    stage.cast.claim(0).expect("a claim");
    stage.claimed_when(up, owed);
    stage.strike();
}

#[test]
fn a_killed_router_is_missed_by_nobody_and_learns_from_the_chain_what_it_is_owed() {
    let asks = vec![
        Asks::new("NL", "Utrecht", "0.004").and_routes(),
        Asks::new("DE", "Leipzig", "0.002"),
    ];
    let Some(mut stage) = Stage::set("routerdies", &asks) else {
        return;
    };
    let (router, exit) = (node(&stage, 0).to_string(), node(&stage, 1).to_string());
    let open = ["channel", "open", "--router", &router, "--amount", "1"];
    let opened: TransactionReport = stage.cast.consumer.ask(&open).expect("a channel");
    let up = opened.channel.expect("its id");
    stage.up(&["up", &exit, "--route", &router]);
    assert!(stage.download(2 << 20, 60).is_some());

    // The consumer restarts between two sessions: the second one goes on with the lock of the first.
    let down = |stage: &Stage| {
        let down: Result<DownReport, _> = stage.cast.consumer.ask(&["down"]);
        down.expect("it goes down");
    };
    down(&stage);
    stage.cast.consumer.kill().expect("the consumer is killed");
    stage.cast.consumer.start().expect("it comes back");
    stage.up(&["up", &exit, "--route", &router]);
    assert!(stage.download(2 << 20, 60).is_some());
    let routes: RouteList = stage.cast.exits[0]
        .ask(&["channel", "routes"])
        .expect("routes");
    assert_eq!(routes.routes.len(), 1, "{:?}", routes.routes);

    // Words go past the router: without it, the tunnel carries and is paid as before.
    let capture = stage.capture();
    stage.cast.exits[0].kill().expect("the router is killed");
    assert_eq!(
        stage.download(6 << 20, 60).map(|it| it.bytes),
        Some(6 << 20)
    );
    let view = stage.session().expect("a session");
    assert_eq!(view.state, ConsumerState::Active);
    assert_eq!(view.exit.to_string(), exit);
    down(&stage);
    let summary = capture.finish(stage.world.plan()).expect("a whole capture");
    assert_eq!(summary.foreign, 0, "{:?}", summary.samples);

    // The exit has nobody to fold for it, and claims; the router comes back and reads the words there.
    let held = still(&stage, 1);
    stage.cast.claim(1).expect("a claim");
    stage.claimed_when(paid_by_router(&stage, 1).id, held);
    stage.cast.exits[0].start().expect("the router comes back");
    let owed = with_fee(held, UNIT_PRICES[0]);
    earned_when(&stage, up, owed);
    stage.cast.claim(0).expect("a claim");
    stage.claimed_when(up, owed);
    stage.strike();
}

/// What an exit holds, once no word comes any more.
fn still(stage: &Stage, index: usize) -> Amount {
    wait::until("words to be still", STEP, || {
        let look = || paid_by_router(stage, index).paid.base_units;
        let first = look();
        std::thread::sleep(std::time::Duration::from_millis(300));
        let then = look();
        if first == then && then > Amount::ZERO {
            Ok(then)
        } else {
            Err(format!("{first}, then {then}"))
        }
    })
    .expect("stillness")
}

/// Waits until the router knows that it was paid exactly this much.
fn earned_when(stage: &Stage, channel: ChannelId, owed: Amount) {
    wait::until("the router to learn the words", STEP, || {
        let list: ChannelList = stage.cast.exits[0]
            .ask(&["channel", "ls"])
            .map_err(|it| it.to_string())?;
        let earned = list.channels.into_iter().find(|it| it.id == channel);
        let earned = earned.map_or(Amount::ZERO, |it| it.paid.base_units);
        if earned == owed {
            Ok(())
        } else {
            Err(format!("{earned} of {owed}"))
        }
    })
    .expect("the words");
}

fn by_route(it: &ReceiptView) -> &RouteProofView {
    match &it.paid_by {
        PaidByView::Route(by) => by,
        PaidByView::Channel(_) => panic!("{it:?}"),
    }
}

/// Two sessions on one lock: each has its receipt, the same at both ends; exported by the consumer, a third party
/// that has no daemon sees that the exit was paid `held`, by which words, and neither router nor channel.
fn receipts_prove(stage: &Stage, held: Amount, hidden: &[&str]) {
    let consumer = &stage.cast.consumer;
    let ours = whole_receipts(consumer, 2);
    let theirs = whole_receipts(&stage.cast.exits[1], 2);
    let texts = |it: &[ReceiptView]| it.iter().map(|it| it.text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&ours), texts(&theirs));
    let list: ReceiptList = stage.cast.exits[0]
        .ask(&["receipt", "ls"])
        .expect("receipts");
    assert_eq!(list.receipts, [], "the router is no side of them");

    let third = tempfile::tempdir().expect("a folder");
    let mut paid = Amount::ZERO;
    for it in &ours {
        let (session, file) = (
            it.session.to_string(),
            third.path().join(it.session.short()),
        );
        let path = file.display().to_string();
        let _: ReceiptView = consumer
            .ask(&["receipt", "export", &session, &path])
            .expect("an export");
        let (code, verdict) = verified_alone(&file, third.path());
        assert_eq!(code, 0, "{verdict}");
        let said = verdict["paid"]["base_units"].as_str().expect("an amount");
        assert_eq!(said, it.paid.base_units.to_string());
        paid = paid.checked_add(it.paid.base_units).expect("in range");
        let shown = verdict.to_string().replace("\\n", "");
        let seen = hidden.iter().find(|word| shown.contains(**word));
        assert_eq!(seen, None, "{verdict}");
        assert_eq!(verdict["receipt"].get("channel"), None);
    }
    assert_eq!(paid, held, "the receipts come to what the exit holds");
    // The second session goes on in the same lock, at the word where the first one left it.
    let (then, first) = (&by_route(&ours[0]).locks, &by_route(&ours[1]).locks);
    assert_eq!((first.len(), first[0].before), (1, 0));
    assert_eq!(
        (&then[0].anchor, then[0].before),
        (&first[0].anchor, first[0].word)
    );

    // One digit changed, of the last signature: the provider's.
    let mut text = ours[0].text.clone().into_bytes();
    let last = text.len() - 2;
    text[last] = if text[last] == b'0' { b'1' } else { b'0' };
    let bad = third.path().join("bad");
    std::fs::write(&bad, text).expect("written");
    let (code, told) = verified_alone(&bad, third.path());
    assert_eq!((code, &told["code"]), (8, &"W5204".into()), "{told}");
}

/// The exit was killed: what the consumer alone says is a half receipt, and verified as that.
fn half_receipt_of(stage: &Stage, exit: &str) {
    let list: ReceiptList = stage
        .cast
        .consumer
        .ask(&["receipt", "ls"])
        .expect("receipts");
    let mut found = list.receipts.into_iter();
    let it = found
        .find(|it| it.provider.to_string() == exit)
        .expect("a receipt");
    assert_eq!(it.signed_by, [ReceiptSide::Consumer]);
    assert!(it.text.is_empty(), "a list is short");
    let session = it.session.to_string();
    let it: ReceiptView = stage
        .cast
        .consumer
        .ask(&["receipt", "show", &session[..8]])
        .expect("a receipt");
    let third = tempfile::tempdir().expect("a folder");
    let file = third.path().join("half");
    std::fs::write(&file, &it.text).expect("written");
    let (code, verdict) = verified_alone(&file, third.path());
    assert_eq!((code, &verdict["code"]), (12, &"W5205".into()), "{verdict}");
}
