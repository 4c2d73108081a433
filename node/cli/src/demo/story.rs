//! The line that the demo runs: join, find, buy, download, settle; and what it measures on the way.

mod download;
mod routed;
mod warm;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use warren_daemon::api::types::{
    ChannelList, ConsumerView, DownReport, ExitList, ExitRow, ExitStatus, Ledger, Status, UpEvent,
};
use warren_proto::{Amount, ChannelId};

use super::capture::{Capture, Summary};
use super::cast::{Cast, DemoError};
use super::node::{Node, NodeError};
use super::plan::{Plan, WEB_NAME};
use super::report::{Agreed, Found, Report, Seller};
use super::settings;
use super::wait;
use super::world::World;

/// How long one step may take, on a busy machine.
const STEP: Duration = Duration::from_secs(120);

/// What the story tells while it goes on.
pub trait Teller {
    /// Something began.
    fn doing(&mut self, text: &str);
    /// Something was done, and this is what was seen.
    fn done(&mut self, text: &str);
}

/// What to do.
#[derive(Debug, Clone)]
pub struct Task {
    /// This program.
    pub program: PathBuf,
    /// Bytes to download.
    pub bytes: u64,
}

/// Builds a world, runs the line in it, takes it down, and says what was measured.
///
/// # Errors
/// [`DemoError`]; the world is taken down all the same.
pub fn run(task: &Task, teller: &mut dyn Teller) -> Result<Report, DemoError> {
    let begun = Instant::now();
    teller.doing("building a make-believe internet of network namespaces");
    let world = World::build("demo", Plan::demo())?;
    let exits = u32::try_from(world.plan().exits.len()).unwrap_or(u32::MAX);
    let namespaces = super::netns::list(world.prefix()).unwrap_or_default().len();
    teller.done(&format!(
        "internet    {namespaces} namespaces: a backbone, home routers with NAT, a bootstrap node, a chain, a web and name server"
    ));
    let measured = line(task, &world, teller);
    teller.doing("taking the make-believe internet down");
    let remains = world.tear_down();
    let mut report = measured?;
    report.left_behind = remains.in_words();
    teller.done(&format!(
        "gone        {} things left behind",
        report.left_behind.len()
    ));
    report.total_ms = millis(begun);
    report.judge(exits);
    Ok(report)
}

fn line(task: &Task, world: &World, teller: &mut dyn Teller) -> Result<Report, DemoError> {
    teller.doing("starting chain, web server and bootstrap node");
    let mut cast = Cast::assemble(world, &task.program)?;
    teller.done(&format!(
        "chain       id {}, contract {}",
        cast.pins.chain_id, cast.pins.contract
    ));
    for (index, site) in world.plan().exits.iter().enumerate() {
        wait::unless_interrupted()?;
        teller.doing(&format!("starting {}", site.name));
        cast.open_exit(index)?;
        let asks = site.asks.as_ref();
        teller.done(&format!(
            "{}       {} {} per GiB, behind its own home router at {}",
            site.name,
            asks.map_or("", |it| &it.country),
            asks.map_or("", |it| &it.per_gib),
            site.public_v4()
        ));
    }
    let router = world.router(&world.plan().consumer);
    let capture = Capture::start(&router, "lan", world.dir(), "uplink")?;
    let mut report = Report::default();
    buy(task, world, &mut cast, &mut report, teller)?;
    settle(&mut cast, &mut report, teller)?;
    routed::pay(world, &mut cast, &mut report, teller)?;
    cast.dismiss()?;
    take_capture(capture.finish(world.plan())?, &mut report, teller);
    Ok(report)
}

fn buy(
    task: &Task,
    world: &World,
    cast: &mut Cast,
    report: &mut Report,
    teller: &mut dyn Teller,
) -> Result<(), DemoError> {
    join(cast, report, teller)?;
    cast.fund_consumer("10")?;
    let resolver = cast.consumer.resolver()?;
    teller.doing("bringing up the tunnel");
    let begun = Instant::now();
    let view = up(&cast.consumer, &["up", "--sort", "price"])?;
    report.up_ms = millis(begun);
    let index = note_deal(cast, &view, report, world)?;
    teller.done(&format!(
        "up          through {} ({}), price {} per GiB, channel opened, {} ms",
        report.exit.name, report.exit.country, report.price_agreed.per_gib, report.up_ms
    ));
    teller.doing("downloading through the exit");
    let worst = download::watched(task, world, cast, index, report)?;
    teller.done(&format!(
        "names       {WEB_NAME} asked for from {:?}",
        report.names_asked_from
    ));
    teller.done(&format!(
        "download    {} bytes, sha256 {}, {} Mbit/s, server saw {:?}",
        report.bytes_delivered,
        if report.sha256_match {
            "right"
        } else {
            "WRONG"
        },
        report.download_bits_per_second / 1_000_000,
        report.source_seen_by_server
    ));
    let unit = unit_price(&cast.exits[index])?;
    report.delivered_minus_paid_units = units(worst.unpaid, unit);
    report.delivered_minus_paid_bound_units = units(worst.bound, unit);
    let first: DownReport = cast.consumer.ask(&["down"])?;
    report.resolver_restored = cast.consumer.resolver()? == resolver;
    teller.done(&format!(
        "down        paid {}, the channel keeps the rest",
        first.paid
    ));
    warm::up_again(world, cast, &view, report, teller)?;
    let ledger: Ledger = cast.consumer.ask(&["ledger"])?;
    report.paid_wei = ledger.paid.base_units;
    report.words_paid = units(report.paid_wei, unit);
    Ok(())
}

fn join(cast: &mut Cast, report: &mut Report, teller: &mut dyn Teller) -> Result<(), DemoError> {
    teller.doing("starting the consumer, which knows one address");
    let begun = Instant::now();
    let consumer = &mut cast.consumer;
    consumer.launch()?;
    consumer.wait_for("a first peer", STEP, &["status"], |it: &Status| {
        if it.overlay.peers > 0 {
            Ok(())
        } else {
            Err("no peers".to_owned())
        }
    })?;
    report.join_ms = millis(begun);
    consumer.wait_for("a first offer", STEP, &["exits"], |it: &ExitList| {
        if it.exits.is_empty() {
            Err("no offers".to_owned())
        } else {
            Ok(())
        }
    })?;
    report.first_offer_ms = millis(begun);
    let wanted = u32::try_from(cast.exits.len()).unwrap_or(u32::MAX);
    let all = ["exits", "--refresh"];
    report.exits_found =
        consumer.wait_for("every exit by both ways", STEP, &all, |it: &ExitList| {
            let found = found(it);
            if found.dht >= wanted && found.gossip >= wanted {
                Ok(found)
            } else {
                Err(format!("{found:?}"))
            }
        })?;
    teller.done(&format!(
        "consumer    joined in {} ms, first offer after {} ms, {} exits by DHT and {} by gossip",
        report.join_ms, report.first_offer_ms, report.exits_found.dht, report.exits_found.gossip
    ));
    Ok(())
}

fn found(list: &ExitList) -> Found {
    let count = |seen: fn(&ExitRow) -> bool| {
        u32::try_from(list.exits.iter().filter(|it| seen(it)).count()).unwrap_or(u32::MAX)
    };
    Found {
        dht: count(|it| it.by_dht),
        gossip: count(|it| it.by_gossip),
    }
}

/// Runs `up` and returns the session; its failure is the error.
///
/// # Errors
/// [`NodeError`].
pub fn up(consumer: &Node, args: &[&str]) -> Result<ConsumerView, NodeError> {
    match consumer.ask::<UpEvent>(args)? {
        UpEvent::Up(view) => Ok(*view),
        UpEvent::Failed(problem) => Err(consumer.told(args, problem)),
        UpEvent::Progress { text, .. } => Err(consumer.odd(args, &text)),
    }
}

fn note_deal(
    cast: &Cast,
    view: &ConsumerView,
    report: &mut Report,
    world: &World,
) -> Result<usize, DemoError> {
    let mut index = 0;
    for (at, exit) in cast.exits.iter().enumerate() {
        if exit.ask::<Status>(&["status"])?.node == view.exit {
            index = at;
        }
    }
    report.exit = Seller {
        node: Some(view.exit),
        country: view.region.country.to_string(),
        name: world.plan().exits[index].name.clone(),
    };
    report.price_agreed = Agreed {
        per_gib: view.price.per_gib.value.clone(),
        per_minute: view.price.per_minute.value.clone(),
        unit: view.price.per_gib.unit.clone(),
    };
    Ok(index)
}

fn settle(cast: &mut Cast, report: &mut Report, teller: &mut dyn Teller) -> Result<(), DemoError> {
    teller.doing("the exit claims what it earned");
    let exit = report.exit.name.clone();
    let index = cast
        .exits
        .iter()
        .position(|it| it.name() == exit)
        .unwrap_or_default();
    let channel = paid_channel(&cast.exits[index])?;
    cast.claim(index)?;
    let wanted = report.paid_wei;
    let books = wait::until("the claim to be on chain", STEP, || {
        let books = cast.books().map_err(|it| it.to_string())?;
        let claimed = super::books::claimed_on(&books, channel);
        if claimed >= wanted {
            Ok(books)
        } else {
            Err(format!("{claimed} of {wanted} wei claimed"))
        }
    })?;
    report.claimed_wei = super::books::claimed_on(&books, channel);
    report.conserved = books.conserved();
    report.books = books;
    teller.done(&format!(
        "settled     {exit} claimed {} wei for {} words; paid {} wei; books {}",
        report.claimed_wei,
        report.words_paid,
        report.paid_wei,
        if report.conserved {
            "balance"
        } else {
            "DO NOT BALANCE"
        }
    ));
    Ok(())
}

fn paid_channel(exit: &Node) -> Result<ChannelId, NodeError> {
    let list: ChannelList = exit.ask(&["channel", "ls"])?;
    let paid = list
        .channels
        .iter()
        .find(|it| it.paid.base_units > Amount::ZERO);
    paid.map(|it| it.id)
        .ok_or_else(|| exit.odd(&["channel", "ls"], "no channel was paid on"))
}

/// What one word of this exit is worth: what it risks at most, divided by the words that is.
fn unit_price(exit: &Node) -> Result<Amount, NodeError> {
    let args = ["exit", "status"];
    let status: ExitStatus = exit.ask(&args)?;
    let unit = status.at_risk.base_units.wei() / u128::from(settings::MAX_CREDIT_UNITS);
    Amount::from_wei(unit).map_err(|it| exit.odd(&args, &it.to_string()))
}

fn units(amount: Amount, unit: Amount) -> u64 {
    u64::try_from(amount.wei() / unit.wei().max(1)).unwrap_or(u64::MAX)
}

fn take_capture(summary: Summary, report: &mut Report, teller: &mut dyn Teller) {
    teller.done(&format!(
        "uplink      {:?}, foreign {}, to name servers {}",
        summary.packets, summary.foreign, summary.names
    ));
    report.foreign_packets_on_consumer_uplink = summary.foreign;
    report.dns_packets_on_consumer_uplink = summary.names;
    report.foreign_samples = summary.samples;
    report.packets_on_consumer_uplink = summary.packets;
}

/// Milliseconds since then.
fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Where this program lies, for starting it again inside the world.
///
/// # Errors
/// [`DemoError::Program`].
pub fn this_program() -> Result<PathBuf, DemoError> {
    let program = std::env::current_exe().map_err(|source| DemoError::Program { source })?;
    Ok(Path::new(&program).to_owned())
}
