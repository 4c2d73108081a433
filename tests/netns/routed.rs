//! A consumer with one channel, to a router, pays two exits; an exit dies and claims from the chain, a router dies and learns from it.

use warren::demo::plan::Asks;
use warren::demo::settings::FEE_PPM;
use warren::demo::wait;
use warren_daemon::api::types::{
    ChannelList, ChannelRole, ChannelView, ConsumerState, DownReport, RouteList, Status,
    TransactionReport,
};
use warren_proto::{Amount, ChannelId, NodeId};

use crate::stage::{STEP, Stage};

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
    let open = ["channel", "open", "--router", &router, "--amount", "1"];
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
    stage
        .cast
        .consumer
        .ask::<DownReport>(&["down"])
        .expect("it goes down");
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
