//! Who acts in the make-believe internet: a chain, a web server, a name server, a bootstrap node, exits, and a consumer.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;
use warren_daemon::api::types::{ClaimReport, Status, WalletView};
use warren_proto::{ChainRef, PayoutAddress};

use super::capture::CaptureError;
use super::names;
use super::node::{Node, NodeError};
use super::plan::{CHAIN_PORT, Site, WEB_PORT};
use super::process::{Process, ProcessError};
use super::settings;
use super::wait::{self, WaitError};
use super::web::Visit;
use super::world::{World, WorldError};

/// How long a program may take to be ready, on a busy machine.
const READY: Duration = Duration::from_secs(60);

/// Why the demo could not go on.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The world.
    #[error(transparent)]
    World(#[from] WorldError),
    /// A node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Another program.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Something did not become so.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// The capture.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// This program's own file is not known.
    #[error("this program does not know its own file: {source}")]
    Program {
        /// What the system said.
        source: std::io::Error,
    },
}

/// Make-believe money needs no costly lock.
const NEW_WALLET: &[&str] = &["wallet", "new", "--work-factor", "4"];

/// What `warren devchain` says of itself.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Served {
    chain_id: u64,
    contract: PayoutAddress,
    token: PayoutAddress,
}

/// Everyone, started; the exits are not selling and the consumer is not running yet.
#[derive(Debug)]
pub struct Cast {
    /// The bootstrap node.
    pub bootstrap: Node,
    /// The exits, as in the plan.
    pub exits: Vec<Node>,
    /// The consumer; its daemon is not started.
    pub consumer: Node,
    /// What the chain pins.
    pub pins: ChainRef,
    /// The chain's URL as nodes know it.
    pub rpc: String,
    chain: Process,
    web: Process,
    names: Process,
}

impl Cast {
    /// Starts chain, web server and bootstrap node; furnishes the exits and the consumer.
    ///
    /// # Errors
    /// [`DemoError`].
    pub fn assemble(world: &World, program: &Path) -> Result<Self, DemoError> {
        let (chain, pins) = start_chain(world, program)?;
        let web = start_web(world, program)?;
        let names = start_names(world)?;
        let plan = world.plan();
        let rpc = format!("http://{}:{CHAIN_PORT}", plan.chain.public_v4());
        let text = settings::bootstrap(&plan.bootstrap);
        let mut bootstrap = Node::furnish(world, &plan.bootstrap, program, &text)?;
        let met = bootstrap.start()?;
        let way = settings::Way {
            pins,
            rpc: rpc.clone(),
            bootstrap: way_to(&plan.bootstrap, &met),
            dns: plan.web.public().to_vec(),
            dir: world.dir().to_owned(),
        };
        let exits = plan.exits.iter().map(|site| {
            let node = Node::furnish(world, site, program, &settings::exit(site, &way))?;
            node.ask::<serde_json::Value>(NEW_WALLET)?;
            Ok(node)
        });
        let exits = exits.collect::<Result<Vec<Node>, NodeError>>()?;
        let text = settings::consumer(&plan.consumer, &way);
        let consumer = Node::furnish(world, &plan.consumer, program, &text)?;
        consumer.ask::<serde_json::Value>(NEW_WALLET)?;
        Ok(Self {
            bootstrap,
            exits,
            consumer,
            pins,
            rpc,
            chain,
            web,
            names,
        })
    }

    /// Starts an exit's daemon, gives it coins for gas, and has its owner consent.
    ///
    /// # Errors
    /// [`DemoError`].
    pub fn open_exit(&mut self, index: usize) -> Result<(), DemoError> {
        let node = &mut self.exits[index];
        node.start()?;
        node.ask::<WalletView>(&["fund", "--faucet", "1"])?;
        let phrase = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        node.ask::<serde_json::Value>(&["exit", "enable", "--yes-i-consent", phrase.trim()])?;
        Ok(())
    }

    /// Gives the consumer money and waits until its own daemon sees it.
    ///
    /// # Errors
    /// [`DemoError`].
    pub fn fund_consumer(&mut self, tokens: &str) -> Result<WalletView, DemoError> {
        self.consumer
            .ask::<WalletView>(&["fund", "--faucet", tokens])?;
        let wallet = self.consumer.wait_for(
            "its money to arrive",
            READY,
            &["wallet", "show"],
            |it: &WalletView| {
                let poor = it.tokens.base_units.wei() == 0 || it.coins.base_units.wei() == 0;
                if poor {
                    Err(format!("{} and {}", it.tokens, it.coins))
                } else {
                    Ok(it.clone())
                }
            },
        )?;
        Ok(wallet)
    }

    /// The contract's books, read by the chain's own host.
    ///
    /// # Errors
    /// [`DemoError`].
    pub fn books(&self) -> Result<super::report::Books, DemoError> {
        let ChainRef {
            chain_id,
            contract,
            token,
        } = self.pins;
        let (id, contract, token) = (
            chain_id.to_string(),
            contract.to_string(),
            token.to_string(),
        );
        let args = ["demo", "books", &self.rpc, &id, &contract, &token];
        Ok(self.bootstrap.part(&args)?)
    }

    /// Everyone whom the web server saw so far.
    #[must_use]
    pub fn visits(&self) -> Vec<Visit> {
        let lines = self.web.printed();
        lines
            .lines()
            .filter_map(|it| serde_json::from_str(it).ok())
            .collect()
    }

    /// Everyone who asked the name server for the web server so far.
    #[must_use]
    pub fn askers(&self) -> Vec<IpAddr> {
        names::asked_from(&self.names.printed())
    }

    /// Claims everything that an exit is owed.
    ///
    /// # Errors
    /// [`DemoError`].
    pub fn claim(&self, index: usize) -> Result<ClaimReport, DemoError> {
        Ok(self.exits[index].ask(&["channel", "claim"])?)
    }

    /// Ends everyone in good order, the consumer first.
    ///
    /// # Errors
    /// [`DemoError`]; who did not end is ended by the world.
    pub fn dismiss(mut self) -> Result<(), DemoError> {
        self.consumer.stop()?;
        for exit in &mut self.exits {
            exit.stop()?;
        }
        self.bootstrap.stop()?;
        self.chain.stop(READY)?;
        self.web.stop(READY)?;
        self.names.stop(READY)?;
        Ok(())
    }
}

/// The only address that a newcomer knows.
fn way_to(site: &Site, status: &Status) -> Vec<String> {
    settings::dial_addresses(site)
        .into_iter()
        .map(|it| format!("{it}/p2p/{}", settings::peer_id(status)))
        .collect()
}

fn start_chain(world: &World, program: &Path) -> Result<(Process, ChainRef), DemoError> {
    let host = world.host(&world.plan().chain);
    let listen = format!("[::]:{CHAIN_PORT}");
    let args = [
        "--json",
        "devchain",
        "--listen",
        &listen,
        "--block-ms",
        "500",
    ];
    let mut process = Process::start(&host, "chain", program, &args, &log(world, "chain"))?;
    let served = first_line::<Served>(&mut process, "the chain to be served")?;
    let pins = ChainRef {
        chain_id: served.chain_id,
        contract: served.contract,
        token: served.token,
    };
    Ok((process, pins))
}

fn start_web(world: &World, program: &Path) -> Result<Process, DemoError> {
    let host = world.host(&world.plan().web);
    let args = ["demo", "web", &format!("[::]:{WEB_PORT}")];
    let mut process = Process::start(&host, "web", program, &args, &log(world, "web"))?;
    first_line::<serde_json::Value>(&mut process, "the web server to listen")?;
    Ok(process)
}

fn start_names(world: &World) -> Result<Process, DemoError> {
    let mut process = names::start(world, &log(world, "names"))?;
    let mut ended = None;
    wait::until("the name server to listen", READY, || {
        if let Err(error) = process.must_run() {
            ended = Some(error);
            return Ok(());
        }
        let printed = process.printed();
        names::is_ready(&printed).then_some(()).ok_or(printed)
    })?;
    ended.map_or(Ok(process), |error| Err(error.into()))
}

fn first_line<T: for<'de> Deserialize<'de>>(
    process: &mut Process,
    what: &str,
) -> Result<T, DemoError> {
    let mut ended = None;
    let line = wait::until(what, READY, || {
        if let Err(error) = process.must_run() {
            ended = Some(error);
            return Ok(None);
        }
        let printed = process.printed();
        let found = printed.lines().find_map(|it| serde_json::from_str(it).ok());
        found.map(Some).ok_or(printed)
    })?;
    match (line, ended) {
        (Some(it), _) => Ok(it),
        (None, Some(error)) => Err(error.into()),
        (None, None) => Err(WaitError::Interrupted.into()),
    }
}

fn log(world: &World, name: &str) -> PathBuf {
    world.dir().join(format!("{name}.log"))
}
