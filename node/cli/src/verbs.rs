//! One function per verb: asks the daemon (or does without), and makes the page that is shown.

mod chain;
mod config;
mod daemon;
mod demo;
mod events;
mod exit;
mod help;
mod market;
pub(crate) use market::left_alone;
mod money;
mod net;
mod pot;
mod receipt;
mod recover;
mod route;
mod status;
mod swarm;
mod tower;
mod wallet;

use warren_daemon::api::Client;
use warren_daemon::config::Config;
use warren_daemon::error::Problem;

use crate::args::{Cli, Globals, Verb};
use crate::node;
use crate::page::Page;
use crate::screen::Screen;

/// What a verb gives: its page, or a problem with a code.
pub type Told = Result<Page, Problem>;

/// Everything a verb may need.
#[derive(Debug)]
pub struct Desk<'a> {
    /// The flags that every verb takes.
    pub globals: &'a Globals,
    /// Where progress is shown.
    pub screen: &'a mut Screen,
}

impl Desk<'_> {
    /// What this node was told.
    ///
    /// # Errors
    /// A [`Problem`] of the configuration.
    pub fn config(&self) -> Result<Config, Problem> {
        node::config(self.globals, &[])
    }

    /// The way to the daemon of this home.
    ///
    /// # Errors
    /// A [`Problem`] of the configuration.
    pub fn client(&self) -> Result<Client, Problem> {
        Ok(Client::new(&node::socket(self.globals)?))
    }
}

/// Does what was typed.
///
/// # Errors
/// The [`Problem`] to show.
pub async fn run(cli: &Cli, screen: &mut Screen) -> Told {
    let mut desk = Desk {
        globals: &cli.globals,
        screen,
    };
    match &cli.verb {
        Verb::Daemon(args) => daemon::run(&desk, args).await,
        Verb::Up(args) => market::up(&mut desk, args).await,
        Verb::Down(args) => market::down(&mut desk, args).await,
        Verb::Status(args) => status::status(&desk, args).await,
        Verb::Events => events::follow(&mut desk).await,
        Verb::Exits(args) => market::exits(&mut desk, args).await,
        Verb::Exit(verb) => exit::run(&mut desk, verb).await,
        Verb::Wallet(verb) => wallet::run(&mut desk, verb).await,
        Verb::Fund(args) => chain::fund(&mut desk, args).await,
        Verb::Withdraw(args) => pot::withdraw(&mut desk, args).await,
        Verb::Channel(verb) => money::channel(&mut desk, verb).await,
        Verb::Earn => money::earn(&desk).await,
        Verb::Ledger(args) => money::ledger(&desk, args).await,
        Verb::Receipt(verb) => receipt::run(&desk, verb).await,
        Verb::Tower(verb) => tower::run(&desk, verb).await,
        Verb::Net(verb) => net::run(&mut desk, verb).await,
        Verb::Config(verb) => config::run(&desk, verb),
        Verb::Devchain(args) => chain::devchain(&mut desk, args).await,
        Verb::Demo(args) => demo::run(&mut desk, args).await,
        Verb::Recover(args) => recover::run(&mut desk, args).await,
        Verb::Swarm(verb) => swarm::run(&mut desk, verb),
        Verb::Help(args) => help::run(args),
        Verb::Version => Ok(help::version()),
    }
}
