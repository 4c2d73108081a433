//! Verbs that have verbs of their own.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `warren exit …`.
#[derive(Debug, Subcommand)]
pub enum ExitVerb {
    /// Looks whether this machine can be an exit; changes nothing.
    Check,
    /// Becomes an exit; asks for consent in words first.
    Enable(EnableArgs),
    /// Stops being one.
    Disable,
    /// Says whom this exit serves and what it earned.
    Status,
    /// Lists its guests, and who may be one (exit.guests_allowed, exit.guests_banned).
    Guests,
    /// Ends the session of one guest in good order; it may come again, unless it is banned.
    Kick {
        /// The guest: the id of its node or session, or 8 digits or more of its beginning.
        guest: String,
    },
}

/// `warren exits …`.
#[derive(Debug, Subcommand)]
pub enum ExitsVerb {
    /// Shows all that is known of one exit, and why it stands where it stands.
    Show {
        /// Its node id, or 8 digits or more of its beginning.
        #[arg(value_name = "NODE")]
        exit: String,
    },
}

/// `warren exit enable`.
#[derive(Debug, Args)]
pub struct EnableArgs {
    /// What guests may reach: web+dns, all-but-mail, all.
    #[arg(long)]
    pub policy: Option<String>,
    /// Price per GiB, in tokens.
    #[arg(long, value_name = "TOKENS")]
    pub price: Option<String>,
    /// Price per minute, in tokens.
    #[arg(long, value_name = "TOKENS")]
    pub price_per_minute: Option<String>,
    /// Consents without being asked: type the phrase that `exit enable` shows, the name of this machine.
    #[arg(long, value_name = "HOSTNAME")]
    pub yes_i_consent: Option<String>,
    /// Uses the consent that was given for this very policy before; never gives a new one.
    #[arg(long)]
    pub yes: bool,
}

/// `warren wallet …`.
#[derive(Debug, Subcommand)]
pub enum WalletVerb {
    /// Makes a wallet and shows its twelve words once.
    New(SealArgs),
    /// Says what is in it.
    Show,
    /// Shows the twelve words again.
    Backup,
    /// Makes the wallet from twelve words, read from standard input.
    Restore(SealArgs),
    /// Says where its tokens in the contract may go; with an address, fixes that for ever.
    Beneficiary(BeneficiaryArgs),
    /// Sends all its tokens in the contract to the beneficiary that was fixed.
    Payout(PayoutArgs),
}

/// `warren wallet beneficiary`.
#[derive(Debug, Args)]
pub struct BeneficiaryArgs {
    /// The only account, 0x…, that the tokens in the contract can go to from then on. This wallet cannot undo it.
    #[arg(value_name = "ADDRESS")]
    pub to: Option<String>,
    /// Another account's tokens, whose beneficiary this wallet is.
    #[arg(long, value_name = "ADDRESS", requires = "to")]
    pub owner: Option<String>,
    /// Consents without being asked: the address once more.
    #[arg(
        long,
        value_name = "ADDRESS",
        requires = "to",
        conflicts_with = "dry_run"
    )]
    pub yes_i_consent: Option<String>,
    /// Only says what it means and costs.
    #[arg(long, requires = "to")]
    pub dry_run: bool,
}

/// `warren wallet payout`.
#[derive(Debug, Args)]
pub struct PayoutArgs {
    /// Another account, 0x…, whose key may be lost: anybody can pay out to its beneficiary.
    #[arg(long, value_name = "ADDRESS")]
    pub owner: Option<String>,
    /// Only says what it would cost.
    #[arg(long)]
    pub dry_run: bool,
}

/// How a wallet is sealed.
#[derive(Debug, Clone, Copy, Args)]
pub struct SealArgs {
    /// What guessing the passphrase costs: scrypt's work, as a power of two. Lower only what is worth nothing.
    #[arg(long, default_value_t = warren_payments::wallet::file::WORK_FACTOR, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=22))]
    pub work_factor: u8,
}

/// `warren fund`.
#[derive(Debug, Args)]
pub struct FundArgs {
    /// On a dev chain: asks its faucet for so many tokens, and coins for gas.
    #[arg(long, value_name = "TOKENS")]
    pub faucet: Option<String>,
}

/// `warren channel …`.
#[derive(Debug, Subcommand)]
pub enum ChannelVerb {
    /// Lists all channels.
    Ls,
    /// Shows one.
    Show {
        /// The channel: its id, or the beginning of it.
        id: String,
    },
    /// Lists what this node routes, and the neighbours that its channels pay for routes.
    Routes,
    /// Lists the routers that the network knows of, and what each asks.
    Routers,
    /// Opens one to an exit, or to a router that pays any exit, for later sessions.
    Open {
        /// The exit: its node id, or the beginning of it; or the account to be paid, 0x….
        #[arg(value_name = "NODE", required_unless_present = "router")]
        payee: Option<String>,
        /// A router instead: its node id, the beginning of it, or `auto` for the cheapest that is found.
        #[arg(long, value_name = "NODE", conflicts_with = "payee")]
        router: Option<String>,
        /// What to deposit, in tokens. Left out: consumer.deposit.
        #[arg(long, visible_alias = "amount", value_name = "TOKENS")]
        deposit: Option<String>,
        /// The payee's time to claim when you close alone, in hours. Left out: as the exit asks.
        #[arg(long, value_name = "HOURS")]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=720))]
        window: Option<u32>,
    },
    /// Deposits more into one.
    Topup {
        /// The channel: its id, or the beginning of it.
        id: String,
        /// How much more, in tokens.
        #[arg(value_name = "TOKENS")]
        amount: String,
    },
    /// Closes it; what was not paid comes back: at once if the payee agrees.
    Close {
        /// The channel: its id, or the beginning of it.
        id: String,
        /// Without asking the payee: what is left comes back after the close window.
        #[arg(long)]
        now: bool,
    },
    /// Claims on chain what it owes this node.
    Claim {
        /// The channel: its id, or the beginning of it. Left out: all that owe something.
        id: Option<String>,
    },
}

/// `warren config …`.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Lists every key with its value and who said it.
    Show,
    /// Says what a key means, what it is, and how to set it.
    Explain {
        /// The key, such as exit.policy.
        key: String,
    },
    /// Looks whether everything said fits; changes nothing.
    Validate,
}

/// `warren withdraw`.
#[derive(Debug, Args)]
pub struct WithdrawArgs {
    /// How much, in tokens, or `all`.
    #[arg(default_value = "all", value_name = "TOKENS")]
    pub amount: String,
    /// To whom, 0x…. Left out: the beneficiary, if one is fixed; else wallet.beneficiary, else this wallet's own
    /// account.
    #[arg(long, value_name = "ADDRESS")]
    pub to: Option<String>,
    /// Only says what it would cost.
    #[arg(long)]
    pub dry_run: bool,
}

/// `warren receipt …`.
#[derive(Debug, Subcommand)]
pub enum ReceiptVerb {
    /// Lists all that are kept.
    Ls,
    /// Shows one.
    Show {
        /// The session: its id, or the beginning of it.
        #[arg(value_name = "SESSION")]
        id: String,
    },
    /// Writes one down, for others to verify.
    Export {
        /// The session: its id, or the beginning of it.
        #[arg(value_name = "SESSION")]
        id: String,
        /// Where to; it must not exist. Left out: standard output.
        file: Option<PathBuf>,
    },
    /// Verifies one with nothing but its file: no daemon, no chain.
    Verify {
        /// What `receipt export` wrote; `-` for standard input.
        file: PathBuf,
    },
}

/// `warren tower …`.
#[derive(Debug, Subcommand)]
pub enum TowerVerb {
    /// Lists what this node keeps for others, and what others keep for it.
    Ls,
    /// Says how both stand.
    Status,
}

/// `warren net …`.
#[derive(Debug, Subcommand)]
pub enum NetVerb {
    /// Looks whether this node reaches others, and says how many of them reached it.
    Check,
    /// Lists the connected peers.
    Peers,
    /// Counts nodes, offers by the way they are known, and what was refused, by reason.
    Stats,
}

/// `warren swarm …`.
#[derive(Debug, Subcommand)]
pub enum SwarmVerb {
    /// Runs a scenario.
    Run {
        /// The scenario, such as deploy/scenarios/first-hour.toml.
        scenario: PathBuf,
        /// The same seed gives the same run.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Where the results go.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// Parts of the demo that run as processes of their own inside its world.
#[derive(Debug, Subcommand)]
pub enum DemoPart {
    /// The web server.
    #[command(hide = true)]
    Web {
        /// Where to listen.
        listen: SocketAddr,
    },
    /// A download.
    #[command(hide = true)]
    Fetch {
        /// From where: host:port.
        server: String,
        /// Which path.
        path: String,
        /// How long to wait, in seconds.
        #[arg(long, default_value_t = 20)]
        patience: u64,
    },
    /// The contract's books.
    #[command(hide = true)]
    Books {
        /// The chain.
        rpc: String,
        /// Its id.
        chain_id: u64,
        /// The contract.
        contract: String,
        /// Its token.
        token: String,
    },
}
