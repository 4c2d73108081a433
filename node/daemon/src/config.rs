//! What the node was told to be: defaults, file, environment, flags, and who said what.
//!
//! ```text
//! keys (the table) ─┬─▶ layers (default < file < env < flag) ──▶ build ──▶ Config
//! ```
//!
//! A key that is not in [`KEYS`] is an error with its place and the nearest key, never ignored.
//! `warren config explain KEY` is [`AsSaid::explain`]: it answers also where the rest does not fit.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use warren_payments::RouterPolicy;
use warren_proto::{Amount, ChainRef, Credit, PayoutAddress, Price, Region};
use warren_tunnel::host::LocalAccess;

mod build;
mod error;
mod keys;
mod layers;
mod token;

pub use error::{ConfigError, Place};
pub use keys::{KEYS, Key, Kind};
pub use layers::{Explained, Origin, Setting, Sources};
pub use token::{MAX_DECIMALS, ParseMoneyError, Token};

use crate::api::types::Fallback;
use crate::session::GuestList;

/// Everything the node was told.
#[derive(Debug, Clone)]
pub struct Config {
    /// The node itself.
    pub node: NodeConfig,
    /// Its way to other nodes.
    pub overlay: OverlaySection,
    /// The chain. `None` unless `chain.rpc_url` is set: then the node neither pays nor is paid.
    pub chain: Option<ChainConfig>,
    /// How money is written; also without a chain.
    pub token: Token,
    /// The wallet.
    pub wallet: WalletConfig,
    /// What it lends.
    pub exit: ExitConfig,
    /// What it watches over for others.
    pub tower: TowerSection,
    /// What it routes for others.
    pub router: RouterSection,
    /// What it buys.
    pub consumer: ConsumerConfig,
    /// Its local door.
    pub api: ApiConfig,
    settings: Vec<Setting>,
}

/// `[node]`
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Where the node keeps what it must not forget.
    pub home: PathBuf,
    /// Which network it belongs to.
    pub network: String,
    /// What it logs: a filter such as `info` or `warren_overlay=debug,info`.
    pub log: String,
}

/// `[overlay]`
#[derive(Debug, Clone)]
pub struct OverlaySection {
    /// Multiaddrs to listen on.
    pub listen: Vec<String>,
    /// Multiaddrs at which others reach this node, if it knows better than they.
    pub external: Vec<String>,
    /// Multiaddrs of first peers, each with `/p2p/…`.
    pub bootstrap: Vec<String>,
    /// Whether to store records for others: for nodes that strangers can dial.
    pub serve_dht: bool,
    /// Whether private and loopback addresses are dialled and told: for labs on one machine.
    pub allow_private: bool,
}

/// `[chain]`
#[derive(Debug, Clone)]
pub struct ChainConfig {
    /// JSON-RPC endpoints; never none, none twice.
    pub rpc_urls: Vec<String>,
    /// How many of them must agree before money counts.
    pub quorum: usize,
    /// Chain, contract and token, pinned.
    pub pinned: ChainRef,
    /// Blocks that money must be deep to be believed, its own among them.
    pub confirmations: u32,
    /// What one coin is worth, in base units of the token. `None`: nobody said.
    pub coin_price: Option<Amount>,
    /// A claim is made once it brings so many times its gas; 0: only when told or forced.
    pub claim_factor: u32,
    /// The most a unit of gas may cost, in wei of the chain's coin.
    pub fee_cap: Amount,
    /// How often to ask for news.
    pub poll: Duration,
    /// Where the first look begins. `None`: the last 50 000 blocks.
    pub first_block: Option<u64>,
}

/// `[wallet]`
#[derive(Debug, Clone)]
pub struct WalletConfig {
    /// The wallet's encrypted file.
    pub file: PathBuf,
    /// A file, readable by the owner only, with the passphrase. `None`: no wallet is opened.
    pub passphrase_file: Option<PathBuf>,
    /// Whether each channel is paid from a key of its own.
    pub fresh_keys: bool,
    /// Where withdrawals go unless told otherwise. `None`: the wallet's own account.
    pub beneficiary: Option<PayoutAddress>,
}

/// `[exit]`
#[derive(Debug, Clone)]
pub struct ExitConfig {
    /// Whether to serve from the start; needs a stored consent all the same.
    pub enabled: bool,
    /// Where the exit says it is. `None` until `exit.country` is set; needed to be an exit.
    pub region: Option<Region>,
    /// What guests pay, per MiB and minute, rounded up to the base unit.
    pub price: Price,
    /// What one word is worth. `None`: see [`ExitConfig::word`].
    pub unit_price: Option<Amount>,
    /// Words a guest pays ahead.
    pub prepay_units: u32,
    /// Words served unpaid, and how many that may become.
    pub credit: Credit,
    /// The close window a channel must have, at least.
    pub close_window: Duration,
    /// Policy by name: `web+dns`, `all-but-mail` or `all`.
    pub policy: String,
    /// Guests at most.
    pub guests_max: u32,
    /// Who may be a guest.
    pub guests: GuestList,
    /// What one guest gets at most, each way, in kbit/s. `None`: no limit.
    pub guest_rate_kbit: Option<NonZeroU64>,
    /// What all guests get together, each way, in kbit/s. `None`: no limit.
    pub line_rate_kbit: Option<NonZeroU64>,
    /// Public `host:port` of the WireGuard port, best first; needed to be an exit.
    pub endpoints: Vec<String>,
    /// UDP port of WireGuard.
    pub listen_port: u16,
    /// Device towards the internet. `None`: the one of the default route.
    pub uplink: Option<String>,
    /// Inner IPv4 net of the guests: address and prefix length.
    pub inner_v4: String,
    /// Inner IPv6 net of the guests.
    pub inner_v6: String,
    /// Resolvers that guests are given. Empty: the exit's own, as far as guests may reach them.
    pub dns: Vec<String>,
    /// Whether guests may reach documentation ranges (RFC 5737, RFC 3849): for labs only.
    pub allow_documentation: bool,
    /// Peers that are asked to claim for this exit; 0: none.
    pub towers: usize,
    /// They are told anew when a channel is worth so much more.
    pub tower_step: Amount,
}

impl ExitConfig {
    /// What one word is worth where a guest pays `price`: as configured; else a MiB, or where only time is
    /// asked for a minute. Never nothing.
    #[must_use]
    pub fn word(&self, price: &Price) -> Amount {
        self.unit_price.unwrap_or(if price.per_mib > Amount::ZERO {
            price.per_mib
        } else {
            price.per_minute.max(Amount::from_wei_u64(1))
        })
    }
}

/// `[tower]`
#[derive(Debug, Clone)]
pub struct TowerSection {
    /// Whether to claim for peers that are away.
    pub enabled: bool,
    /// A claim that brings its payee less is not made.
    pub min_gain: Amount,
}

/// `[router]`
#[derive(Debug, Clone)]
pub struct RouterSection {
    /// Whether to route payments of neighbours.
    pub enabled: bool,
    /// What it asks for it, and what it takes at most.
    pub policy: RouterPolicy,
    /// What a channel onward is opened with, or deepened by.
    pub deposit: Amount,
    /// The most that may lie in channels onward.
    pub budget: Amount,
    /// Channels onward at most.
    pub max_channels: usize,
}

/// `[consumer]`
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// The most that one `up` may cost; zero leaves the free exits.
    pub max_spend: Amount,
    /// What a new channel is opened with.
    pub deposit: Amount,
    /// The highest price per GiB. `None`: any.
    pub max_price_per_gib: Option<Amount>,
    /// Whether nothing may leave outside the tunnel while one is up or coming up.
    pub kill_switch: bool,
    /// Whether a tunnel is wanted whenever the daemon begins.
    pub auto_up: bool,
    /// What goes beside the tunnel.
    pub local: LocalAccess,
    /// What to do when the exit dies.
    pub fallback: Fallback,
    /// Resolvers to use in the tunnel. Empty: those that the exit grants.
    pub dns: Vec<String>,
    /// `auto`, `direct`, or a router's node id.
    pub route: String,
    /// Routers of a route: 1 or 2.
    pub routers: u32,
    /// The most a route may cost, in millionths of what the exit gets.
    pub max_route_fee_ppm: u32,
}

/// `[api]`
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// The unix socket.
    pub socket: PathBuf,
    /// A group of this machine that may use it, by name; need not exist.
    pub group: String,
}

impl Config {
    /// Puts all sources together and checks every value.
    ///
    /// # Errors
    /// [`ConfigError`], with the place of the value that does not fit.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        AsSaid::of(sources).fits()
    }

    /// Every key with its value and who set it, in the order of [`KEYS`].
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }
}

/// What the node was told, whether or not it fits: for whoever mends it.
#[derive(Debug, Clone)]
pub struct AsSaid {
    settings: Vec<Setting>,
    faults: Vec<ConfigError>,
}

impl AsSaid {
    /// Reads all sources; what is no key, or cannot be read, is passed over.
    #[must_use]
    pub fn of(sources: &Sources) -> Self {
        let (settings, faults) = layers::settings(sources);
        Self { settings, faults }
    }

    /// The configuration, if it is one.
    ///
    /// # Errors
    /// The first [`ConfigError`].
    pub fn fits(mut self) -> Result<Config, ConfigError> {
        if self.faults.is_empty() {
            return build::build(self.settings);
        }
        Err(self.faults.swap_remove(0))
    }

    /// Says what `key` is, who set it, and what it would be otherwise.
    ///
    /// # Errors
    /// [`ConfigError::UnknownKey`] with the nearest key.
    pub fn explain(&self, key: &str) -> Result<Explained, ConfigError> {
        layers::explain(&self.settings, key)
    }

    /// As [`Config::settings`].
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// The node's home, whatever else does not fit.
    ///
    /// # Errors
    /// [`ConfigError`] if what was said of it cannot be read.
    pub fn home(&self) -> Result<PathBuf, ConfigError> {
        let key = "node.home";
        let it = self.settings.iter().find(|it| it.key.name == key);
        // What is said later wins over what a file that nobody can read may say.
        let is_told = it.is_some_and(|it| matches!(it.origin, Origin::Env | Origin::Flag));
        let hides = |it: &&ConfigError| match it {
            ConfigError::Unreadable { .. } | ConfigError::Syntax { .. } => true,
            ConfigError::UnknownKey { nearest, .. } => *nearest == key,
            ConfigError::BadValue { key: of, .. } | ConfigError::Missing { key: of, .. } => {
                *of == key
            }
        };
        match self.faults.iter().find(hides) {
            Some(fault) if !is_told => Err(fault.clone()),
            Some(_) | None => Ok(build::home(&self.settings)),
        }
    }
}

#[cfg(test)]
mod tests;
