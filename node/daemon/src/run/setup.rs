//! The parts of a node, each started with its own words for what may go wrong.

use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use warren_overlay::{
    DEFAULT_MAX_PEERS, DEFAULT_MAX_SESSIONS, Overlay, OverlayConfig, OverlayError, OverlayEvent,
};
use warren_payments::chain::eth::EthNode;
use warren_payments::chain::quorum::Quorum;
use warren_payments::chain::rpc::{RpcChain, RpcLimits};
use warren_payments::chain::{Chain, ChainError};
use warren_payments::tower::{PickerRules, TowerConfig, TowerRules, TowerService};
use warren_payments::wallet::file;
use warren_payments::{PaymentEvent, Payments, PaymentsConfig, Rate, SettlePolicy};
use warren_proto::{NodeId, NodeKey};

use super::ready::{fits, of_chain};
use crate::clock::Clock;
use crate::config::{ChainConfig, Config, ExitConfig, OverlaySection};
use crate::error::{ErrorCode, Problem, machine};
use crate::lockfile::{HomeLock, WalletLock};
use crate::perform::Purse;
use crate::route::{OfferedLock, RouteParts, Routes};
use crate::store::{Store, StoreSpec};
use crate::tower::{self, Towers};

/// The node's money, or the lack of it.
pub(super) enum Money {
    /// No chain is configured: this node can route and find, not buy or sell.
    None,
    /// Wallet and chain are there.
    Some {
        purse: Purse,
        chain: Arc<dyn Chain>,
        events: mpsc::Receiver<PaymentEvent>,
        lock: WalletLock,
    },
}

type MoneyParts = (
    Option<Purse>,
    Option<Arc<dyn Chain>>,
    Option<mpsc::Receiver<PaymentEvent>>,
    Option<WalletLock>,
);

/// Where no exit is wanted, what a killed one left on this machine goes: forwarding and its table. One that is
/// begun takes its own back.
pub(super) async fn forget_exit(journal: &Path) {
    match warren_tunnel::host::recover(journal).await {
        Ok(report) if report.is_clean() => {}
        Ok(left) => tracing::warn!(%left, "a dead exit's marks are not all gone"),
        Err(error) => tracing::warn!(%error, "a dead exit's marks could not be looked at"),
    }
}

impl Money {
    pub(super) fn into_parts(self) -> MoneyParts {
        match self {
            Self::None => (None, None, None, None),
            Self::Some {
                purse,
                chain,
                events,
                lock,
            } => (Some(purse), Some(chain), Some(events), Some(lock)),
        }
    }
}

pub(super) fn store(home: &Path, owner: NodeId, lock: HomeLock) -> Result<Arc<Store>, Problem> {
    let store = Store::open(StoreSpec::new(home, owner), lock);
    store.map(Arc::new).map_err(|error| error.problem())
}

/// Opens the wallet and pins the chain.
///
/// A chain that cannot be reached at the start is a warning: what is held stays claimable later.
/// One that is another chain or contract is an error: money must not meet it.
pub(super) async fn money(
    config: &Config,
    store: &Arc<Store>,
    control: &Handle,
    warnings: &mut Vec<Problem>,
) -> Result<Money, Problem> {
    let Some(chain) = &config.chain else {
        return Ok(Money::None);
    };
    if !config.wallet.file.exists() {
        let seen = format!("{} does not exist", config.wallet.file.display());
        warnings.push(Problem::new(ErrorCode::WalletMissing, seen));
        return Ok(Money::None);
    }
    let lock = WalletLock::take(&config.wallet.file)?;
    let passphrase = crate::passphrase(config)?;
    let wallet = file::open(&config.wallet.file, &passphrase);
    let wallet = wallet.map_err(|error| machine::wallet(&error))?;
    let rpc = connect(chain, config.token.decimals, control).await?;
    let settings = payments_config(chain, config);
    let kept: Arc<dyn warren_payments::ChannelStore> = Arc::clone(store) as _;
    let started = Payments::start(Arc::clone(&rpc), kept, wallet, settings);
    let (payments, events) = started.map_err(|error| crate::perform::problem(&error))?;
    Ok(Money::Some {
        purse: Purse::new(payments, store.headroom().clone()),
        chain: rpc,
        events,
        lock,
    })
}

async fn connect(
    chain: &ChainConfig,
    decimals: u8,
    control: &Handle,
) -> Result<Arc<dyn Chain>, Problem> {
    let mut endpoints = Vec::with_capacity(chain.rpc_urls.len());
    for url in &chain.rpc_urls {
        let rpc = RpcChain::new(url, chain.pinned, RpcLimits::default());
        // The client's sockets must be made by control threads, or the kill switch stops them.
        let rpc = rpc.map_err(|error| of_chain(&error))?.on(control.clone());
        endpoints.push((rpc.name(), Arc::new(rpc) as Arc<dyn EthNode>));
    }
    let quorum = Quorum::new(endpoints, chain.quorum);
    let quorum = quorum.map_err(|error| {
        Problem::new(ErrorCode::ConfigBadValue, error)
            .with_next("warren config explain chain.quorum")
    })?;
    let rpc: Arc<dyn Chain> = Arc::new(quorum);
    match fits(rpc.as_ref(), decimals).await {
        Ok(()) => {}
        Err(error) if matches!(error, ChainError::Mismatch { .. }) => return Err(of_chain(&error)),
        // It is asked again for every status, and before any money moves.
        Err(error) => tracing::warn!(%error, "the chain does not answer; the node goes on without"),
    }
    Ok(rpc)
}

fn payments_config(chain: &ChainConfig, config: &Config) -> PaymentsConfig {
    let usual = SettlePolicy::default();
    PaymentsConfig {
        settle: SettlePolicy {
            rate: chain.coin_price.map_or(usual.rate, Rate::Told),
            worth_factor: chain.claim_factor,
            ..usual
        },
        fresh_keys: config.wallet.fresh_keys,
        router: config.router.enabled.then_some(config.router.policy),
        scan_from: chain.first_block,
        confirmations: chain.confirmations.into(),
        poll: chain.poll,
        fee_cap: chain.fee_cap,
        ..PaymentsConfig::default()
    }
}

/// Looks at what the node was told as far as a start would, and starts nothing.
///
/// # Errors
/// A [`Problem`] of the configuration, with the key of what does not fit.
pub fn check(config: &Config) -> Result<(), Problem> {
    let told = overlay_config(config);
    told.check()
        .map_err(|error| of_overlay(&error, &config.overlay))
}

fn overlay_config(config: &Config) -> OverlayConfig {
    let section = &config.overlay;
    OverlayConfig {
        network: config.node.network.clone(),
        listen: section.listen.clone(),
        external: section.external.clone(),
        bootstrap: section.bootstrap.clone(),
        serve_dht: section.serve_dht,
        allow_private: section.allow_private,
        inner: inner_nets(&config.exit),
        max_peers: peers_of(config.exit.guests_max),
        max_sessions: sessions_of(config.exit.guests_max),
        ..OverlayConfig::default()
    }
}

pub(super) async fn overlay(
    config: &Config,
    key: &NodeKey,
    control: &Handle,
) -> Result<(Overlay, mpsc::Receiver<OverlayEvent>), Problem> {
    let settings = overlay_config(config);
    // Listening sockets are made by the thread that starts it: that must be a control thread.
    let key = key.clone();
    let started = control
        .spawn(async move { Overlay::start(settings, key) })
        .await;
    let started = started.map_err(|error| Problem::new(ErrorCode::OverlayFailed, error))?;
    started.map_err(|error| of_overlay(&error, &config.overlay))
}

/// Peers to be connected to at most: a quarter is for those this node dials, and each guest needs a place among
/// the rest, beside those who only find their way by it.
fn peers_of(guests_max: u32) -> u32 {
    let guests = guests_max.saturating_mul(4) / 3;
    DEFAULT_MAX_PEERS.max(guests.saturating_add(64))
}

/// Session streams at once: two of each guest, its session and the one that replaces it.
fn sessions_of(guests_max: u32) -> usize {
    let guests = usize::try_from(guests_max).unwrap_or(usize::MAX);
    DEFAULT_MAX_SESSIONS.max(guests.saturating_mul(2))
}

/// The nets that exist inside tunnels only: every exit's, unless its owner chose others.
fn inner_nets(exit: &ExitConfig) -> Vec<IpNet> {
    let texts = [&exit.inner_v4, &exit.inner_v6];
    texts.into_iter().filter_map(|it| it.parse().ok()).collect()
}

/// What is wrong with the overlay's settings, by the key that says it.
fn of_overlay(error: &OverlayError, section: &OverlaySection) -> Problem {
    let bad_value = |key: &str| {
        Problem::new(ErrorCode::ConfigBadValue, error)
            .with_next(format_args!("warren config explain {key}"))
    };
    if matches!(error, OverlayError::Network { .. }) {
        return bad_value("node.network");
    }
    let OverlayError::Address { address, .. } = error else {
        return Problem::new(ErrorCode::ListenFailed, error);
    };
    if section.bootstrap.contains(address) {
        return Problem::new(ErrorCode::BadBootstrap, error);
    }
    bad_value(if section.external.contains(address) {
        "overlay.external"
    } else {
        "overlay.listen"
    })
}

/// This node as a tower, and its own towers, as far as it was told to have either.
pub(super) fn towers(
    config: &Config,
    overlay: &Overlay,
    (purse, chain): (Option<&Purse>, Option<&Arc<dyn Chain>>),
    store: &Arc<Store>,
) -> Result<Towers, Problem> {
    let own = PickerRules {
        towers: config.exit.towers,
        step: config.exit.tower_step,
        every: tower::RENEW,
        keep: tower::KEEP,
    };
    let (Some(purse), Some(chain)) = (purse, chain) else {
        return Ok(Towers::none());
    };
    let service = if config.tower.enabled {
        let usual = PaymentsConfig::default();
        let settings = TowerConfig {
            rules: TowerRules::default(),
            min_gain: config.tower.min_gain,
            poll: config.chain.as_ref().map_or(tower::RENEW, |it| it.poll),
            max_silence: usual.max_silence,
            max_head_age: usual.max_head_age,
        };
        let kept: Arc<dyn warren_payments::ChannelStore> = Arc::clone(store) as _;
        let payments = purse.payments().clone();
        let started = TowerService::start(Arc::clone(chain), kept, payments, settings);
        Some(started.map_err(|error| crate::perform::problem(&error))?)
    } else {
        None
    };
    let payments = purse.payments().clone();
    Ok(Towers::new(overlay.clone(), payments, service, own))
}

/// This node's routes; without money it has none.
pub(super) fn routes(
    config: &Config,
    overlay: &Overlay,
    purse: Option<&Purse>,
    (store, key, clock, control): (&Arc<Store>, &NodeKey, &Arc<Clock>, &Handle),
) -> Result<(Routes, mpsc::Receiver<OfferedLock>), Problem> {
    let Some(purse) = purse else {
        return Ok(Routes::none());
    };
    Routes::start(RouteParts {
        overlay: overlay.clone(),
        control: control.clone(),
        purse: purse.clone(),
        key: key.clone(),
        clock: Arc::clone(clock),
        store: Arc::clone(store),
        router: config.router.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn an_exit_has_room_for_all_its_guests() {
        assert_eq!(
            (peers_of(8), sessions_of(8)),
            (DEFAULT_MAX_PEERS, DEFAULT_MAX_SESSIONS)
        );
        for guests in [100, 500, 4096] {
            let peers = peers_of(guests);
            assert!(peers - peers / 4 >= guests + 40, "{guests}: {peers}");
            assert!(sessions_of(guests) >= 2 * guests as usize);
        }
    }

    #[test]
    fn what_the_operator_says_of_claims_reaches_the_payments() {
        let address = "0x00000000000000000000000000000000000000aa";
        let flags = [
            ("chain.rpc_url", "http://127.0.0.1:1"),
            ("chain.chain_id", "7"),
            ("chain.contract", address),
            ("chain.token", address),
            ("chain.coin_price", "1500"),
            ("chain.claim_factor", "3"),
            ("chain.fee_cap_gwei", "90"),
        ];
        let flags = flags.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let config = Config::load(&Sources {
            flags: flags.to_vec(),
            ..Sources::default()
        });
        let config = config.unwrap();
        let told = payments_config(config.chain.as_ref().unwrap(), &config);
        assert_eq!(told.settle.worth_factor, 3);
        assert!(matches!(told.settle.rate, Rate::Told(it) if it.wei() == 1500 * 10_u128.pow(18)));
        assert_eq!(told.fee_cap.wei(), 90 * 10_u128.pow(9));
    }
}
