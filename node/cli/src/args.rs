//! What may be typed: the tree of verbs and their flags.

mod groups;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use warren_daemon::api::types::{ExitSort, Fallback};

pub use groups::{
    BeneficiaryArgs, ChannelVerb, ConfigVerb, DemoPart, EnableArgs, ExitVerb, ExitsVerb, FundArgs,
    NetVerb, PayoutArgs, ReceiptVerb, SwarmVerb, TowerVerb, WalletVerb, WithdrawArgs,
};

/// A VPN without a centre: reach the internet through someone's line and pay by the word, or lend yours and earn.
#[derive(Debug, Parser)]
#[command(
    name = "warren",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
#[command(
    after_help = "Try it: `warren demo` runs a whole network on this machine and shows what it measured."
)]
pub struct Cli {
    /// What every verb takes.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags that every verb takes.
#[derive(Debug, Clone, Args)]
pub struct Globals {
    /// Folder with everything of this node: keys, store, socket, configuration.
    #[arg(long, global = true, env = "WARREN_HOME", value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Configuration file instead of the home's config.toml.
    #[arg(long, global = true, env = "WARREN_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One JSON document on standard output, with a `schema` field.
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress on standard error.
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Runs this node until it is told to end.
    Daemon(DaemonArgs),
    /// Brings up a paid tunnel through an exit.
    Up(UpArgs),
    /// Takes the tunnel down and settles the session.
    Down(DownArgs),
    /// Says what this node is and does now; with --check, whether it is fit for something.
    Status(StatusArgs),
    /// Follows what happens in this node, a line for each thing, until it is interrupted.
    Events,
    /// Lists the exits on offer, or shows one: `warren exits show NODE`.
    Exits(ExitsArgs),
    /// Lends this line: checks, consent, start, stop.
    #[command(subcommand)]
    Exit(ExitVerb),
    /// The wallet of this node.
    #[command(subcommand)]
    Wallet(WalletVerb),
    /// Says where to send money to; on a dev chain, fetches some.
    Fund(FundArgs),
    /// Takes tokens out of the contract.
    Withdraw(WithdrawArgs),
    /// Payment channels.
    #[command(subcommand)]
    Channel(ChannelVerb),
    /// Says what this exit earned and what it can claim.
    Earn,
    /// Lists every movement of money.
    Ledger(LedgerArgs),
    /// Receipts: what paid sessions came to, signed by both sides.
    #[command(subcommand)]
    Receipt(ReceiptVerb),
    /// Towers: who claims for this node while it is away, and for whom it does.
    #[command(subcommand)]
    Tower(TowerVerb),
    /// The neighbourhood.
    #[command(subcommand)]
    Net(NetVerb),
    /// What this node was told, and by whom.
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Serves a development chain with the contract and a faucet.
    Devchain(DevchainArgs),
    /// Runs a whole make-believe network on this machine, pays for a download in it, and says what it measured.
    Demo(DemoArgs),
    /// Gives this machine's network back after a crash, or goes on with a damaged store; needs no daemon.
    Recover(RecoverArgs),
    /// Experiments with many nodes in virtual time.
    #[command(subcommand)]
    Swarm(SwarmVerb),
    /// Explains a verb or an error code such as W2107; works offline.
    Help(HelpArgs),
    /// Says which version this is.
    Version,
}

/// `warren daemon`.
#[derive(Debug, Args)]
pub struct DaemonArgs {
    /// Overrides one configuration value.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Logs as JSON, one object a line.
    #[arg(long)]
    pub log_json: bool,
}

/// `warren up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// The exit: its node id, or 8 digits or more of its beginning. Left out: the best match.
    pub exit: Option<String>,
    /// In this country only (two letters).
    #[arg(long, value_name = "CC")]
    pub country: Option<String>,
    /// With this policy only, by name as `warren exits` shows it: web+dns, all-but-mail, all. Also for the exits after it.
    #[arg(long)]
    pub policy: Option<String>,
    /// How to choose among several.
    #[arg(long, value_enum, default_value_t = Sort::Rank)]
    pub sort: Sort,
    /// Not dearer than this per GiB, in tokens; a price per minute counts as 36 MiB a minute share it.
    #[arg(long, value_name = "TOKENS")]
    pub max_price: Option<String>,
    /// Never pay more than this, in tokens: for the exit, those after it, and top-ups together; 0: free exits only.
    #[arg(long, value_name = "TOKENS")]
    pub max_spend: Option<String>,
    /// What a new channel is opened with, in tokens.
    #[arg(long, value_name = "TOKENS")]
    pub deposit: Option<String>,
    /// Whether to block everything outside the tunnel.
    #[arg(long, value_enum, value_name = "WHEN")]
    pub kill_switch: Option<Switch>,
    /// Where the next exit is looked for when this one dies; none: stays blocked. With an exit that is named, only
    /// that one is tried again.
    #[arg(long, value_enum)]
    pub fallback: Option<FallbackArg>,
    /// How to pay: auto (by a route where there is no channel to the exit and one to a router), direct, or
    /// the router's node id.
    #[arg(long, value_name = "WAY")]
    pub route: Option<String>,
    /// Routers of a route: with 2 no single one is paid by you and pays the exit, and nothing else will do.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2))]
    pub routers: Option<u32>,
    /// Looks for an offer that fits, and goes on after five exits that failed, for so many seconds [default: 30]; a
    /// session with one has limits of its own.
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u32>,
    /// Goes on even where the tunnel ends the SSH login that this is typed in.
    #[arg(long)]
    pub end_ssh: bool,
}

/// `warren down`.
#[derive(Debug, Args)]
pub struct DownArgs {
    /// Leaves the kill switch on: nothing goes out until `up`, or `down` without this.
    #[arg(long)]
    pub keep_blocked: bool,
    /// Ends the daemon too, and waits until its home is free.
    #[arg(long)]
    pub daemon: bool,
}

/// `warren status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// One line instead: whether this node is fit for that; ends with 12 if it is not, and with 3 if no daemon answers.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub check: Option<HealthCheck>,
}

/// What a node may be asked to be fit for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HealthCheck {
    /// The daemon answers.
    Live,
    /// It has peers, a disk for new money, and, where a chain is configured, fresh news of it.
    Ready,
    /// An exit is on and its guests are served: their packets pass, the disk takes new guests, and where it is not
    /// free the chain's news are fresh.
    Exit,
    /// A bought tunnel carries traffic.
    Tunnel,
}

/// `warren exits`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ExitsArgs {
    /// One of them instead of the list.
    #[command(subcommand)]
    pub verb: Option<ExitsVerb>,
    /// In this country only (two letters).
    #[arg(long, value_name = "CC")]
    pub country: Option<String>,
    /// With this policy only.
    #[arg(long)]
    pub policy: Option<String>,
    /// Not dearer than this per GiB, in tokens; a price per minute counts as 36 MiB a minute share it.
    #[arg(long, value_name = "TOKENS")]
    pub max_price: Option<String>,
    /// Order.
    #[arg(long, value_enum, default_value_t = Sort::Rank)]
    pub sort: Sort,
    /// Asks the network first instead of answering from memory.
    #[arg(long)]
    pub refresh: bool,
}

/// `warren ledger`.
#[derive(Debug, Args)]
pub struct LedgerArgs {
    /// From this time on, such as 2026-11-22T18:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// At most so many entries; the newest are kept.
    #[arg(long)]
    pub limit: Option<u32>,
    /// As CSV (RFC 4180), one line an entry, amounts in base units.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

/// `warren devchain`.
#[derive(Debug, Args)]
pub struct DevchainArgs {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8545", value_name = "ADDR")]
    pub listen: std::net::SocketAddr,
    /// Makes a block every so many milliseconds; 0: with each transaction only.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub block_ms: u64,
}

/// `warren demo`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DemoArgs {
    /// With --json: the file for what was measured (schema warren.demo/v1) instead of standard output.
    #[arg(value_name = "FILE", requires = "json")]
    pub file: Option<PathBuf>,
    /// Mebibytes to download.
    #[arg(long, default_value_t = 64, value_name = "MIB", value_parser = clap::value_parser!(u32).range(64..))]
    pub mib: u32,
    /// Removes what killed demos left behind, and does nothing else.
    #[arg(long)]
    pub clean: bool,
    /// A part of the demo, run inside its world.
    #[command(subcommand)]
    pub part: Option<DemoPart>,
}

/// `warren recover`.
#[derive(Debug, Args)]
pub struct RecoverArgs {
    /// Looks at the node's store instead of the network: goes on with one that does not verify.
    #[arg(long)]
    pub store: bool,
    /// Accepts the store as it is found, with what is lost: the first 8 digits of the node's id.
    #[arg(long, value_name = "NODE", requires = "store")]
    pub accept: Option<String>,
}

/// `warren help`.
#[derive(Debug, Args)]
pub struct HelpArgs {
    /// A verb, or an error code such as W2107.
    pub topic: Vec<String>,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

/// How to order exits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// As this node would choose.
    Rank,
    /// Nearest first.
    Rtt,
    /// Cheapest first.
    Price,
}

impl From<Sort> for ExitSort {
    fn from(it: Sort) -> Self {
        match it {
            Sort::Rank => Self::Rank,
            Sort::Rtt => Self::Rtt,
            Sort::Price => Self::Price,
        }
    }
}

/// Where to go when the exit dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FallbackArg {
    /// The next best in the same country.
    Country,
    /// The next best anywhere.
    Any,
    /// Nowhere: stay blocked.
    None,
}

impl From<FallbackArg> for Fallback {
    fn from(it: FallbackArg) -> Self {
        match it {
            FallbackArg::Country => Self::Country,
            FallbackArg::Any => Self::Any,
            FallbackArg::None => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_tree_of_verbs_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_anywhere() {
        let cli =
            Cli::try_parse_from(["warren", "status", "--json", "--home", "/x"]).expect("parses");
        assert!(cli.globals.json);
        assert_eq!(cli.globals.home, Some(PathBuf::from("/x")));
    }
}
