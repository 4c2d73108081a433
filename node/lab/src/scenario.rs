//! What a swarm is made of: one TOML file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use warren_daemon::session::min_deposit_units;
use warren_proto::{Amount, Price};

/// A swarm to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name, for reports.
    pub name: String,
    /// Who is there.
    pub nodes: Nodes,
    /// What lies between them.
    pub links: Links,
    /// What exits ask.
    pub market: Market,
    /// What consumers want.
    pub demand: Demand,
    /// What goes wrong.
    #[serde(default)]
    pub faults: Faults,
    /// How the chain runs.
    pub chain: ChainSpec,
    /// How long it lasts.
    pub time: Time,
}

/// Who is there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nodes {
    /// All of them, 2 ..= 5000.
    pub count: u32,
    /// How many of a hundred are exits; the rest are consumers.
    pub exit_percent: u32,
    /// Neighbours each node keeps, 2 ..= 32.
    pub neighbours: u32,
}

/// What lies between two nodes, each direction by itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// Least one-way delay of a link.
    pub delay_min_millis: u32,
    /// Largest one-way delay of a link.
    pub delay_max_millis: u32,
    /// Added to each message, evenly up to this.
    pub jitter_millis: u32,
    /// How many of a thousand gossip messages are lost. Session streams are reliable: a loss there
    /// costs one more round trip.
    pub loss_permille: u32,
    /// Slowest line, Mbit/s.
    pub rate_min_mbit: u32,
    /// Fastest line, Mbit/s.
    pub rate_max_mbit: u32,
}

/// What exits ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Market {
    /// Countries exits claim, evenly.
    pub countries: Vec<String>,
    /// Cheapest price, base units per MiB.
    pub per_mib_min_wei: u64,
    /// Dearest price, base units per MiB.
    pub per_mib_max_wei: u64,
    /// Words an exit serves unpaid.
    pub credit_units: u32,
    /// Words a consumer pays ahead.
    pub prepay_units: u32,
    /// Places of an exit.
    pub guests_max: u32,
}

/// What consumers want.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demand {
    /// Mean time between two sessions of a consumer: evenly from half of it to one and a half.
    pub pause_secs: u32,
    /// Least a session carries.
    pub session_min_mib: u32,
    /// Most a session carries.
    pub session_max_mib: u32,
    /// What a consumer locks in a channel, in words of the exit.
    pub deposit_units: u32,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// Exits that crash and come back with what was on disk, in the whole run.
    pub exit_crashes: u32,
    /// How long they are away.
    pub away_secs: u32,
    /// Of a hundred exits, how many tell of others' offers with a forged price.
    pub liar_percent: u32,
}

/// How the chain runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainSpec {
    /// Between two blocks.
    pub block_secs: u32,
    /// Blocks on top of a deposit before it counts.
    pub confirmations: u32,
    /// Between two claims of an exit.
    pub claim_every_secs: u32,
    /// Close window of every channel.
    pub close_window_secs: u32,
}

/// How long it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// Virtual time.
    pub minutes: u32,
}

/// Why a scenario cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML of this form.
    #[error("{path} is not a scenario: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A value no world can have.
    #[error("{key} is {value}; it must be {wanted}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What it says.
        value: u64,
        /// What it may say.
        wanted: &'static str,
    },
}

impl Scenario {
    /// Reads and checks a scenario.
    ///
    /// # Errors
    /// [`ScenarioError`] says which key, or line, and what it may be.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let text = std::fs::read_to_string(path).map_err(|source| ScenarioError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let scenario: Self = toml::from_str(&text).map_err(|source| ScenarioError::Malformed {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        scenario.check()?;
        Ok(scenario)
    }

    /// Checks what types cannot.
    ///
    /// # Errors
    /// [`ScenarioError::Value`] for the first value no world can have.
    pub fn check(&self) -> Result<(), ScenarioError> {
        let within = |key, value: u32, range: std::ops::RangeInclusive<u32>, wanted| {
            if range.contains(&value) {
                Ok(())
            } else {
                Err(ScenarioError::Value {
                    key,
                    value: value.into(),
                    wanted,
                })
            }
        };
        within("nodes.count", self.nodes.count, 2..=5000, "2 to 5000")?;
        within(
            "nodes.exit_percent",
            self.nodes.exit_percent,
            1..=99,
            "1 to 99",
        )?;
        within("nodes.neighbours", self.nodes.neighbours, 2..=32, "2 to 32")?;
        let delays = self.links.delay_min_millis..=60_000;
        let wanted = "at least delay_min_millis and at most 60000";
        within(
            "links.delay_max_millis",
            self.links.delay_max_millis,
            delays,
            wanted,
        )?;
        within(
            "links.jitter_millis",
            self.links.jitter_millis,
            0..=60_000,
            "0 to 60000",
        )?;
        within(
            "links.loss_permille",
            self.links.loss_permille,
            0..=900,
            "0 to 900",
        )?;
        within(
            "links.rate_min_mbit",
            self.links.rate_min_mbit,
            1..=100_000,
            "1 to 100000",
        )?;
        let rates = self.links.rate_min_mbit..=100_000;
        within(
            "links.rate_max_mbit",
            self.links.rate_max_mbit,
            rates,
            "at least rate_min_mbit",
        )?;
        within(
            "market.prepay_units",
            self.market.prepay_units,
            1..=1024,
            "1 to 1024",
        )?;
        within(
            "market.credit_units",
            self.market.credit_units,
            1..=1024,
            "1 to 1024",
        )?;
        within(
            "market.guests_max",
            self.market.guests_max,
            1..=4096,
            "1 to 4096",
        )?;
        within(
            "demand.pause_secs",
            self.demand.pause_secs,
            1..=86_400,
            "1 to 86400",
        )?;
        // A wish for nothing would be fulfilled before it is granted.
        let least = self.demand.session_min_mib;
        within(
            "demand.session_min_mib",
            least,
            1..=1_000_000,
            "1 to 1000000",
        )?;
        let sizes = least..=1_000_000;
        within(
            "demand.session_max_mib",
            self.demand.session_max_mib,
            sizes,
            "at least session_min_mib",
        )?;
        within(
            "demand.deposit_units",
            self.demand.deposit_units,
            min_deposit_units(self.market.prepay_units)..=1_000_000,
            "what an exit takes at least, 64 and market.prepay_units, and at most 1000000",
        )?;
        within(
            "chain.block_secs",
            self.chain.block_secs,
            1..=600,
            "1 to 600",
        )?;
        within(
            "chain.confirmations",
            self.chain.confirmations,
            0..=64,
            "0 to 64",
        )?;
        within(
            "chain.claim_every_secs",
            self.chain.claim_every_secs,
            1..=86_400,
            "1 to 86400",
        )?;
        let window = 3600..=2_592_000;
        within(
            "chain.close_window_secs",
            self.chain.close_window_secs,
            window,
            "1 h to 30 d",
        )?;
        within(
            "faults.exit_crashes",
            self.faults.exit_crashes,
            0..=100_000,
            "0 to 100000",
        )?;
        within(
            "faults.away_secs",
            self.faults.away_secs,
            0..=86_400,
            "0 to 86400",
        )?;
        within(
            "faults.liar_percent",
            self.faults.liar_percent,
            0..=100,
            "0 to 100",
        )?;
        within("time.minutes", self.time.minutes, 1..=10_080, "1 to 10080")?;
        if self.market.per_mib_min_wei == 0
            || self.market.per_mib_max_wei < self.market.per_mib_min_wei
        {
            let (key, value) = ("market.per_mib_max_wei", self.market.per_mib_max_wei);
            let wanted = "at least per_mib_min_wei, which is above 0";
            return Err(ScenarioError::Value { key, value, wanted });
        }
        // A word is worth a MiB in the lab. No consumer looks at an offer that wants too much ahead.
        let word = Amount::from_wei_u64(self.market.per_mib_max_wei);
        let price = Price {
            per_mib: word,
            per_minute: Amount::ZERO,
        };
        if !price.allows_ahead(self.market.prepay_units, word) {
            let (key, value) = ("market.prepay_units", self.market.prepay_units.into());
            let wanted = "so low that with the word in use they are worth 128 MiB at most";
            return Err(ScenarioError::Value { key, value, wanted });
        }
        let units = u64::from(self.demand.deposit_units);
        if self.market.per_mib_max_wei.checked_mul(units).is_none() {
            let (key, value) = ("market.per_mib_max_wei", self.market.per_mib_max_wei);
            let wanted = "so low that demand.deposit_units of it stay below 2^64";
            return Err(ScenarioError::Value { key, value, wanted });
        }
        if self.market.countries.is_empty() {
            let (key, wanted) = ("market.countries", "a list of ISO codes");
            return Err(ScenarioError::Value {
                key,
                value: 0,
                wanted,
            });
        }
        Ok(())
    }
}
