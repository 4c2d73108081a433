//! From settings to a [`Config`]: every value is read as what its key says, and checked.

mod nets;
mod roles;

use std::path::PathBuf;
use std::time::Duration;

use warren_payments::chain::quorum::{MAX_ENDPOINTS, Quorum};
use warren_proto::{Amount, ChainRef, PayoutAddress};

use roles::{consumer, exit, router};

use super::keys::Kind;
use super::layers::Setting;
use super::{
    ApiConfig, ChainConfig, Config, ConfigError, NodeConfig, OverlaySection, Token, TowerSection,
    WalletConfig,
};

/// As many as session terms may name.
const MOST_ENDPOINTS: usize = 8;
/// Likewise.
const MOST_RESOLVERS: usize = 4;
/// Services that answer beside the tunnel at most.
const MOST_SERVICES: usize = 16;

pub(super) fn build(settings: Vec<Setting>) -> Result<Config, ConfigError> {
    let said = Said(&settings);
    said.check_counts_and_words()?;
    let home = home(&settings);
    let token = Token {
        symbol: said.text("chain.token_symbol").to_owned(),
        decimals: u8::try_from(said.count("chain.token_decimals")).unwrap_or(u8::MAX),
    };
    let wallet_file = said
        .path("wallet.file")
        .unwrap_or_else(|| home.join("wallet.age"));
    let socket = said
        .path("api.socket")
        .unwrap_or_else(|| default_socket(&home));
    let exit = exit(&said, &token)?;
    let consumer = consumer(&said, &token)?;
    let chain = chain(&said, &token)?;
    let tower = TowerSection {
        enabled: said.switch("tower.enabled"),
        min_gain: said.money("tower.min_gain", &token)?,
    };
    let router = router(&said, &token)?;
    Ok(Config {
        node: NodeConfig {
            home,
            network: said.not_empty("node.network")?.to_owned(),
            log: said.text("node.log").to_owned(),
        },
        overlay: OverlaySection {
            listen: said.texts("overlay.listen"),
            external: said.texts("overlay.external"),
            bootstrap: said.texts("overlay.bootstrap"),
            serve_dht: said.switch("overlay.serve_dht"),
            allow_private: said.switch("overlay.allow_private"),
        },
        chain,
        token,
        wallet: WalletConfig {
            file: wallet_file,
            passphrase_file: said.path("wallet.passphrase_file"),
            fresh_keys: said.switch("wallet.fresh_keys"),
            beneficiary: said.address("wallet.beneficiary")?,
        },
        exit,
        tower,
        router,
        consumer,
        api: ApiConfig {
            socket,
            group: said.text("api.group").to_owned(),
        },
        settings,
    })
}

/// Wei in a gwei.
const GWEI: u64 = 1_000_000_000;

fn chain(said: &Said<'_>, units: &Token) -> Result<Option<ChainConfig>, ConfigError> {
    const BECAUSE: &str = "chain.rpc_url is: a chain is used only with its contract pinned";
    let rpc_urls = said.texts("chain.rpc_url");
    if rpc_urls.is_empty() {
        return Ok(None);
    }
    let quorum = said.quorum(&rpc_urls)?;
    let missing = |key| ConfigError::Missing {
        key,
        because: BECAUSE,
    };
    let chain_id = said.count("chain.chain_id");
    if chain_id == 0 {
        return Err(missing("chain.chain_id"));
    }
    let contract = said
        .address("chain.contract")?
        .ok_or_else(|| missing("chain.contract"))?;
    let token = said
        .address("chain.token")?
        .ok_or_else(|| missing("chain.token"))?;
    Ok(Some(ChainConfig {
        rpc_urls,
        quorum,
        pinned: ChainRef {
            chain_id,
            contract,
            token,
        },
        confirmations: said.count_u32("chain.confirmations"),
        coin_price: Some(said.money("chain.coin_price", units)?).filter(|it| *it > Amount::ZERO),
        claim_factor: said.count_u32("chain.claim_factor"),
        fee_cap: Amount::from_wei_u64(said.count("chain.fee_cap_gwei").saturating_mul(GWEI)),
        poll: Duration::from_millis(said.count("chain.poll_millis")),
        first_block: Some(said.count("chain.first_block")).filter(|it| *it > 0),
    }))
}

pub(super) fn home(settings: &[Setting]) -> PathBuf {
    let told = Said(settings).path("node.home");
    told.unwrap_or_else(default_home)
}

fn default_home() -> PathBuf {
    if nix::unistd::Uid::effective().is_root() {
        return PathBuf::from("/var/lib/warren");
    }
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let user = std::env::var_os("HOME").map(|it| PathBuf::from(it).join(".local/state"));
    state
        .or(user)
        .unwrap_or_else(|| PathBuf::from("."))
        .join("warren")
}

fn default_socket(home: &std::path::Path) -> PathBuf {
    if home == std::path::Path::new("/var/lib/warren") {
        return PathBuf::from("/run/warren/warren.sock");
    }
    home.join("warren.sock")
}

/// The settings, read as what their keys say.
struct Said<'a>(&'a [Setting]);

impl Said<'_> {
    fn setting(&self, key: &'static str) -> Option<&Setting> {
        debug_assert!(
            super::keys::find(key).is_some(),
            "{key} is not in the table"
        );
        self.0.iter().find(|it| it.key.name == key)
    }

    fn text(&self, key: &'static str) -> &str {
        self.setting(key).map_or("", |it| it.value.trim())
    }

    /// The text, unless it is empty.
    fn set(&self, key: &'static str) -> Option<&str> {
        Some(self.text(key)).filter(|it| !it.is_empty())
    }

    fn path(&self, key: &'static str) -> Option<PathBuf> {
        self.set(key).map(PathBuf::from)
    }

    fn texts(&self, key: &'static str) -> Vec<String> {
        let parts = self.text(key).split(',').map(str::trim);
        parts
            .filter(|it| !it.is_empty())
            .map(str::to_owned)
            .collect()
    }

    fn switch(&self, key: &'static str) -> bool {
        self.text(key) == "true"
    }

    /// Zero if it is no number; [`Said::check_counts_and_words`] has refused that before.
    fn count(&self, key: &'static str) -> u64 {
        self.text(key).replace('_', "").parse().unwrap_or_default()
    }

    fn count_u32(&self, key: &'static str) -> u32 {
        u32::try_from(self.count(key)).unwrap_or(u32::MAX)
    }

    fn bad(&self, key: &'static str, wanted: &str) -> ConfigError {
        let place = self
            .setting(key)
            .map_or(super::Place::Nowhere, |it| it.place.clone());
        let shown = self.setting(key).map(Setting::shown).unwrap_or_default();
        let value = shown.chars().take(80).collect();
        ConfigError::BadValue {
            place,
            key,
            value,
            wanted: wanted.to_owned(),
        }
    }

    fn not_empty(&self, key: &'static str) -> Result<&str, ConfigError> {
        self.set(key)
            .ok_or_else(|| self.bad(key, "a text that is not empty is needed"))
    }

    fn money(&self, key: &'static str, token: &Token) -> Result<Amount, ConfigError> {
        token
            .parse(self.text(key))
            .map_err(|error| self.bad(key, &error.to_string()))
    }

    fn address(&self, key: &'static str) -> Result<Option<PayoutAddress>, ConfigError> {
        let Some(text) = self.set(key) else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|_| self.bad(key, "20 bytes in hex are needed: 0x…"))
    }

    fn resolvers(&self, key: &'static str) -> Result<(), ConfigError> {
        let wrong = |it: &String| it.parse::<std::net::IpAddr>().is_err();
        let texts = self.texts(key);
        if texts.iter().any(wrong) || texts.len() > MOST_RESOLVERS {
            return Err(self.bad(key, "at most 4 IP addresses are needed"));
        }
        Ok(())
    }

    /// Ports of services. What is above, the kernel gives to connections that begin here.
    fn services(&self, key: &'static str) -> Result<Vec<u16>, ConfigError> {
        let texts = self.texts(key);
        let ports = texts.iter().map(|it| it.parse::<u16>().ok());
        let ports: Option<Vec<u16>> = ports
            .map(|it| it.filter(|it| (1..32768).contains(it)))
            .collect();
        let few = |it: &Vec<u16>| it.len() <= MOST_SERVICES;
        let wanted = "at most 16 ports from 1 to 32767 are needed";
        ports.filter(few).ok_or_else(|| self.bad(key, wanted))
    }

    /// How many of these chain endpoints must agree.
    fn quorum(&self, urls: &[String]) -> Result<usize, ConfigError> {
        let key = "chain.rpc_url";
        let is_http = |it: &String| it.starts_with("http://") || it.starts_with("https://");
        if !urls.iter().all(is_http) {
            let wanted = "an address that begins with http:// or https:// is needed";
            return Err(self.bad(key, wanted));
        }
        let twice = |(at, it): (usize, &String)| urls.iter().take(at).any(|other| other == it);
        if urls.iter().enumerate().any(twice) {
            return Err(self.bad(key, "each endpoint is needed once: one has one voice"));
        }
        if urls.len() > MAX_ENDPOINTS {
            let wanted = format!("at most {MAX_ENDPOINTS} endpoints are needed");
            return Err(self.bad(key, &wanted));
        }
        match usize::try_from(self.count("chain.quorum")).unwrap_or(usize::MAX) {
            0 => Ok(Quorum::usual(urls.len())),
            more if more > urls.len() => {
                let wanted = format!("at most the {} endpoints of chain.rpc_url", urls.len());
                Err(self.bad("chain.quorum", &wanted))
            }
            fits => Ok(fits),
        }
    }

    fn endpoints(&self, key: &'static str) -> Result<Vec<String>, ConfigError> {
        let texts = self.texts(key);
        let wrong = |text: &String| {
            let port = text.rsplit_once(':').and_then(|(host, port)| {
                // An IPv6 address without its brackets would lose its last part to the port.
                let whole = !host.is_empty() && (!host.contains(':') || host.ends_with(']'));
                whole.then(|| port.parse::<u16>().ok()).flatten()
            });
            port.is_none_or(|it| it == 0)
        };
        if texts.iter().any(wrong) || texts.len() > MOST_ENDPOINTS {
            return Err(self.bad(
                key,
                "at most 8 of host:port are needed, such as exit.example:41820 or [2001:db8::7]:41820",
            ));
        }
        Ok(texts)
    }

    /// Checks what the table alone can check.
    fn check_counts_and_words(&self) -> Result<(), ConfigError> {
        for Setting { key, .. } in self.0 {
            match key.kind {
                Kind::Switch if !["true", "false"].contains(&self.text(key.name)) => {
                    return Err(self.bad(key.name, "true or false is needed"));
                }
                Kind::Count { min, max } => {
                    let count = self.text(key.name).replace('_', "").parse::<u64>();
                    if !count.is_ok_and(|it| (min..=max).contains(&it)) {
                        let wanted = format!("a whole number from {min} to {max} is needed");
                        return Err(self.bad(key.name, &wanted));
                    }
                }
                Kind::OneOf(words) if !words.contains(&self.text(key.name)) => {
                    let wanted = format!("one of {} is needed", words.join(", "));
                    return Err(self.bad(key.name, &wanted));
                }
                Kind::Text
                | Kind::Texts
                | Kind::Switch
                | Kind::Money
                | Kind::OneOf(_)
                | Kind::Address => {}
            }
        }
        Ok(())
    }
}
