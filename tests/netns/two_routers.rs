//! A consumer pays an exit over two routers: none of the two is told both ends, and every wei is accounted for.

use warren::demo::node::NodeError;
use warren::demo::plan::Asks;
use warren::demo::settings::FEE_PPM;
use warren::demo::wait;
use warren_daemon::api::types::{
    ChannelList, ChannelRole, ChannelView, ConsumerState, DownReport, ExitList, NeighbourRole,
    RouteList, RouterList, Status, TransactionReport, UpEvent, WalletView,
};
use warren_proto::{Amount, ChannelId, NodeId};

use crate::stage::{STEP, Stage};

/// In the plan: the router that the consumer pays, the exit, a router without a token, and one with some.
const FIRST: usize = 0;
const EXIT: usize = 1;
const POOR: usize = 2;
const SECOND: usize = 3;
/// What a MiB costs at the exit: 0.002 tokens per GiB.
const UNIT_PRICE: u128 = 1_953_125_000_000;

fn node(stage: &Stage, index: usize) -> NodeId {
    let status: Status = stage.cast.exits[index].ask(&["status"]).expect("a status");
    status.node
}

fn channels(stage: &Stage, index: usize, role: ChannelRole) -> Vec<ChannelView> {
    let list: ChannelList = stage.cast.exits[index]
        .ask(&["channel", "ls"])
        .expect("channels");
    let mut channels = list.channels;
    channels.retain(|it| it.role == role);
    channels
}

fn routes(stage: &Stage, index: usize) -> RouteList {
    let routes = stage.cast.exits[index].ask(&["channel", "routes"]);
    routes.expect("routes")
}

/// Starts a router that sells nothing, waits until it knows the exit by its offer, and has these tokens.
fn begins(stage: &mut Stage, index: usize, tokens: Option<&str>) -> NodeId {
    let exit = node(stage, EXIT);
    let router = &mut stage.cast.exits[index];
    router.start().expect("a router");
    let knows = |it: &ExitList| {
        let known = it.exits.iter().any(|it| it.node == exit);
        known.then_some(()).ok_or(format!("{it:?}"))
    };
    let asked = router.wait_for("the exit", STEP, &["exits", "--refresh"], knows);
    asked.expect("an offer");
    if let Some(tokens) = tokens {
        let fund = ["fund", "--faucet", tokens];
        router.ask::<WalletView>(&fund).expect("money");
        let rich = |it: &WalletView| {
            let rich = [&it.tokens, &it.coins]
                .iter()
                .all(|it| it.base_units > Amount::ZERO);
            rich.then_some(()).ok_or(format!("{it:?}"))
        };
        let show = ["wallet", "show"];
        router
            .wait_for("its money", STEP, &show, rich)
            .expect("money");
    }
    let router = node(stage, index);
    found(stage, router);
    router
}

/// Waits until the consumer finds this router.
fn found(stage: &Stage, router: NodeId) {
    wait::until("a router to be found", STEP, || {
        let list: RouterList = stage
            .cast
            .consumer
            .ask(&["channel", "routers"])
            .map_err(|it| it.to_string())?;
        let found = list.routers.iter().any(|it| it.node == router);
        found.then_some(()).ok_or(format!("{list:?}"))
    })
    .expect("a router");
}

/// What `amount` at the exit is worth on the channel that so many routers lie before.
fn with_fees(amount: Amount, routers: usize) -> Amount {
    let words = amount.wei() / UNIT_PRICE;
    let fee = |price: u128| price + (price * u128::from(FEE_PPM)).div_ceil(1_000_000);
    let price = (0..routers).fold(UNIT_PRICE, |price, _| fee(price));
    Amount::from_wei(words * price).expect("in range")
}

/// The exit's one channel, and what it holds there, once no word comes any more.
fn still(stage: &Stage) -> (ChannelId, Amount) {
    wait::until("words to be still", STEP, || {
        let look = || channels(stage, EXIT, ChannelRole::Payee);
        let first = look();
        std::thread::sleep(std::time::Duration::from_millis(300));
        match (first.as_slice(), look().as_slice()) {
            ([then], [now]) if then.paid == now.paid && now.paid.base_units > Amount::ZERO => {
                Ok((now.id, now.paid.base_units))
            }
            (then, now) => Err(format!("{then:?}, then {now:?}")),
        }
    })
    .expect("stillness")
}

/// Waits until a router knows that a channel paid it exactly this much, and has it claim that.
fn claims(stage: &Stage, index: usize, channel: ChannelId, owed: Amount) {
    wait::until("a router to learn the words", STEP, || {
        let held = channels(stage, index, ChannelRole::Payee);
        let held = held.iter().find(|it| it.id == channel);
        match held.map(|it| it.paid.base_units) {
            Some(paid) if paid == owed => Ok(()),
            other => Err(format!("{other:?} of {owed}")),
        }
    })
    .expect("the words");
    stage.cast.claim(index).expect("a claim");
    stage.claimed_when(channel, owed);
}

#[test]
fn two_routers_pay_an_exit_and_neither_knows_who_pays_whom() {
    let asks = vec![
        Asks::new("NL", "Utrecht", "0.004").and_routes(),
        Asks::new("DE", "Leipzig", "0.002"),
        Asks::only_routes("FR", "Lille"),
        Asks::only_routes("FR", "Lyon"),
    ];
    let Some(mut stage) = Stage::set("tworouters", &asks) else {
        return;
    };
    let (first, exit) = (node(&stage, FIRST), node(&stage, EXIT).to_string());
    let open = [
        "channel",
        "open",
        "--router",
        &first.to_string(),
        "--amount",
        "1",
    ];
    let opened: TransactionReport = stage.cast.consumer.ask(&open).expect("a channel");
    let own = opened.channel.expect("its id");

    // The only other router there is has no token to lock: it is tried, and nothing else is done instead.
    begins(&mut stage, POOR, None);
    let up = ["up", &exit, "--routers", "2"];
    let refused: Result<UpEvent, NodeError> = stage.cast.consumer.ask(&up);
    let refused = refused.expect_err("no second router");
    let code = refused.problem().map(|it| it.code.as_str());
    assert_eq!(code, Some("W5120"), "{refused}");
    assert_eq!(channels(&stage, EXIT, ChannelRole::Payee), []);

    // With another one, whichever is tried first, it goes by that one. The price of a word says both fees.
    let second = begins(&mut stage, SECOND, Some("1"));
    // The first one pays by the second, too, for itself: that channel is for nobody else.
    let open = [
        "channel",
        "open",
        "--router",
        &second.to_string(),
        "--amount",
        "0.1",
    ];
    let opened: TransactionReport = stage.cast.exits[FIRST].ask(&open).expect("a channel");
    let for_itself = opened.channel.expect("its id");
    let view = stage.up(&up);
    let route = view.route.expect("a route");
    assert_eq!((view.channel, route.router), (Some(own), first));
    assert_eq!(route.second.map(|it| it.router), Some(second));
    let word = Amount::from_wei(UNIT_PRICE).expect("in range");
    assert_eq!(route.unit_price.base_units, with_fees(word, 2));
    let size = 4 << 20;
    assert_eq!(stage.download(size, 60).map(|it| it.bytes), Some(size));

    // What each router keeps and shows has its own neighbours in it, and not the end beyond them.
    let consumer: Status = stage.cast.consumer.ask(&["status"]).expect("a status");
    for (index, end) in [(FIRST, &exit), (SECOND, &consumer.node.to_string())] {
        let shown = stage.cast.exits[index].typed_as_text(&["--json", "channel", "routes"]);
        let shown = shown.expect("routes");
        assert!(!shown.contains(end.as_str()), "{shown}");
        assert!(shown.contains("onward"), "{shown}");
    }
    let onward = |stage: &Stage| {
        let mut list = routes(stage, FIRST).neighbours;
        list.retain(|it| it.node == second && it.role == NeighbourRole::Onward);
        list.into_iter().map(|it| it.channel).collect::<Vec<_>>()
    };
    let between = onward(&stage);
    assert_eq!(
        between.len(),
        1,
        "one channel between the two for what is routed"
    );
    let neighbours = routes(&stage, FIRST).neighbours;
    let own_router = neighbours.iter().find(|it| it.channel == for_itself);
    assert_eq!(own_router.map(|it| it.role), Some(NeighbourRole::Router));

    // The second one is killed: words go past it. The exit claims, and the others read the words on the chain.
    stage.cast.exits[SECOND].kill().expect("it is killed");
    assert_eq!(stage.download(size, 60).map(|it| it.bytes), Some(size));
    let view = stage.session().expect("a session");
    assert_eq!(view.state, ConsumerState::Active);
    let _: DownReport = stage.cast.consumer.ask(&["down"]).expect("it goes down");
    let (last, held) = still(&stage);
    stage.cast.claim(EXIT).expect("a claim");
    stage.claimed_when(last, held);
    stage.cast.exits[SECOND].start().expect("it comes back");
    claims(&stage, SECOND, between[0], with_fees(held, 1));
    claims(&stage, FIRST, own, with_fees(held, 2));

    // What is left of the lock is good for the next session, and everything is where it was.
    stage.up(&up);
    assert!(stage.download(size, 60).is_some());
    let _: DownReport = stage.cast.consumer.ask(&["down"]).expect("it goes down");
    assert_eq!(onward(&stage), between);
    assert_eq!(routes(&stage, SECOND).routes.len(), 1);
    let (last, more) = still(&stage);
    assert!(more > held);
    claims(&stage, SECOND, between[0], with_fees(more, 1));
    claims(&stage, FIRST, own, with_fees(more, 2));
    stage.cast.claim(EXIT).expect("a claim");
    stage.claimed_when(last, more);
    let payers = channels(&stage, FIRST, ChannelRole::Payer);
    let own = payers.iter().find(|it| it.id == for_itself);
    assert_eq!(own.map(|it| it.paid.base_units), Some(Amount::ZERO));
    stage.strike();
}
