//! Payments by a route: one channel, to a router, pays two exits, one of which is killed and claims from the chain.

use std::time::{Duration, Instant};

use warren_daemon::api::types::{
    ChannelList, ChannelRole, ChannelView, DownReport, Status, TransactionReport,
};
use warren_proto::{Amount, ChannelId};

use super::super::books::claimed_on;
use super::super::cast::{Cast, DemoError};
use super::super::node::{Node, NodeError};
use super::super::plan::WEB_PORT;
use super::super::report::{Report, RoutedExit};
use super::super::settings::FEE_PPM;
use super::super::wait;
use super::super::web::Download;
use super::super::world::World;
use super::{STEP, Teller, millis, unit_price, units, up};

/// Between two looks at books that are to be still.
const STILL: Duration = Duration::from_millis(300);
/// Bytes downloaded through each exit.
const BYTES: u64 = 8 << 20;

pub(super) fn pay(
    world: &World,
    cast: &mut Cast,
    report: &mut Report,
    teller: &mut dyn Teller,
) -> Result<(), DemoError> {
    let routes = |it: &super::super::plan::Site| it.asks.as_ref().is_some_and(|it| it.routes);
    let sites = &world.plan().exits;
    let Some(router) = sites.iter().position(routes) else {
        return Ok(());
    };
    let (name, id) = (sites[router].name.clone(), node(&cast.exits[router])?);
    let before = opened(&cast.consumer)?;
    teller.doing("opening one channel, to a router");
    let open = ["channel", "open", "--router", &id, "--deposit", "1"];
    let made: TransactionReport = cast.consumer.ask(&open)?;
    let Some(channel) = made.channel else {
        return Err(cast.consumer.odd(&open, "it opened no channel").into());
    };
    teller.done(&format!(
        "route       one channel, to {name}, which routes for {FEE_PPM} ppm of each word"
    ));
    report.routed.router = name;
    report.routed.fee_ppm = FEE_PPM;
    let paid: Vec<usize> = (0..sites.len()).filter(|it| *it != router).collect();
    for (at, index) in paid.iter().copied().enumerate() {
        wait::unless_interrupted()?;
        let dies = at + 1 == paid.len();
        let exit = one_exit(world, cast, (index, &id, dies), teller)?;
        report.routed.exits.push(exit);
    }
    report.routed.channels_opened = opened(&cast.consumer)?.saturating_sub(before);
    balance(cast, (router, channel), report, teller)
}

/// Buys from one exit by the route; with `dies`, kills it in the middle and starts it again.
fn one_exit(
    world: &World,
    cast: &mut Cast,
    (index, router, dies): (usize, &str, bool),
    teller: &mut dyn Teller,
) -> Result<RoutedExit, DemoError> {
    let name = world.plan().exits[index].name.clone();
    teller.doing(&format!("paying {name} by the route"));
    let exit = node(&cast.exits[index])?;
    let begun = Instant::now();
    up(&cast.consumer, &["up", &exit, "--route", router])?;
    let up_ms = millis(begun);
    let server = format!("{}:{WEB_PORT}", world.plan().web.public_v4());
    let path = format!("/body/9/{BYTES}");
    let fetch = ["demo", "fetch", &server, &path, "--patience", "60"];
    let got: Download = cast.consumer.part(&fetch)?;
    let unit = unit_price(&cast.exits[index])?;
    if dies {
        cast.exits[index].kill()?;
        // The exit cannot answer any more; the tunnel goes down all the same.
        let _ = cast.consumer.ask::<DownReport>(&["down"]);
        cast.exits[index].start()?;
    } else {
        cast.consumer.ask::<DownReport>(&["down"])?;
    }
    let held = wait::until("its words to be still", STEP, || {
        let look = || by_router(&cast.exits[index], cast, index).map_err(|it| it.to_string());
        let first = look()?;
        std::thread::sleep(STILL);
        let then = look()?;
        if first.paid == then.paid {
            Ok(then)
        } else {
            Err(format!("{}, then {}", first.paid, then.paid))
        }
    })?;
    let (wanted, channel) = (held.paid.base_units, held.id);
    cast.claim(index)?;
    let claimed_wei = claimed_when(cast, channel, wanted)?;
    let words = units(wanted, unit);
    let fate = if dies {
        ", was killed, came back, and claimed them from the chain"
    } else {
        ", folded and claimed them"
    };
    teller.done(&format!(
        "{name}       {} bytes, up in {up_ms} ms; held {words} words{fate}",
        got.bytes
    ));
    Ok(RoutedExit {
        name,
        bytes_delivered: got.bytes,
        up_ms,
        killed: dies,
        words,
        held_wei: wanted,
        claimed_wei,
    })
}

/// The router takes what the consumer owes it for the exits' words.
fn balance(
    cast: &Cast,
    (router, channel): (usize, ChannelId),
    report: &mut Report,
    teller: &mut dyn Teller,
) -> Result<(), DemoError> {
    teller.doing("the router claims what it was paid");
    let mut owed = Amount::ZERO;
    for exit in &report.routed.exits {
        let worth = with_fee(exit.held_wei, exit.words);
        owed = worth
            .and_then(|it| owed.checked_add(it).ok())
            .unwrap_or(Amount::MAX);
    }
    let node = &cast.exits[router];
    wait::until("the router to learn the words", STEP, || {
        let list = channels(node).map_err(|it| it.to_string())?;
        let earned = list.iter().find(|it| it.id == channel);
        let earned = earned.map_or(Amount::ZERO, |it| it.paid.base_units);
        if earned >= owed {
            Ok(())
        } else {
            Err(format!("{earned} of {owed} wei"))
        }
    })?;
    let id = channel.to_string();
    node.ask::<TransactionReport>(&["channel", "claim", &id])?;
    report.routed.router_owed_wei = owed;
    report.routed.router_claimed_wei = claimed_when(cast, channel, owed)?;
    report.routed.conserved = cast.books()?.conserved();
    let passed_on = report.routed.exits.iter().map(|it| it.claimed_wei.wei());
    teller.done(&format!(
        "router      paid {} wei onward, claimed {} wei; books {}",
        passed_on.sum::<u128>(),
        report.routed.router_claimed_wei,
        if report.routed.conserved {
            "balance"
        } else {
            "DO NOT BALANCE"
        }
    ));
    Ok(())
}

/// What words worth `amount` at an exit are worth on the way to the router: each with its fee, rounded up.
fn with_fee(amount: Amount, words: u64) -> Option<Amount> {
    let words = u128::from(words);
    let unit = amount.wei().checked_div(words)?;
    let fee = (unit * u128::from(FEE_PPM)).div_ceil(1_000_000);
    Amount::from_wei((unit + fee) * words).ok()
}

fn claimed_when(cast: &Cast, channel: ChannelId, wanted: Amount) -> Result<Amount, DemoError> {
    let claimed = wait::until("the claim to be on chain", STEP, || {
        let books = cast.books().map_err(|it| it.to_string())?;
        let claimed = claimed_on(&books, channel);
        if claimed >= wanted {
            Ok(claimed)
        } else {
            Err(format!("{claimed} of {wanted} wei"))
        }
    })?;
    Ok(claimed)
}

fn node(of: &Node) -> Result<String, NodeError> {
    Ok(of.ask::<Status>(&["status"])?.node.to_string())
}

fn channels(of: &Node) -> Result<Vec<ChannelView>, NodeError> {
    Ok(of.ask::<ChannelList>(&["channel", "ls"])?.channels)
}

fn opened(consumer: &Node) -> Result<u32, NodeError> {
    let payer = channels(consumer)?;
    let payer = payer.iter().filter(|it| it.role == ChannelRole::Payer);
    Ok(u32::try_from(payer.count()).unwrap_or(u32::MAX))
}

/// The channel by which the router pays an exit: the one that is not the consumer's own.
fn by_router(exit: &Node, cast: &Cast, index: usize) -> Result<ChannelView, NodeError> {
    let own = channels(&cast.consumer)?;
    let mut paid = channels(exit)?.into_iter();
    let found =
        paid.find(|it| it.role == ChannelRole::Payee && !own.iter().any(|own| own.id == it.id));
    let args = ["channel", "ls"];
    found.ok_or_else(|| cast.exits[index].odd(&args, "no channel of the router's"))
}
