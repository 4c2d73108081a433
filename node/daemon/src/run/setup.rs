//! The parts of a node, each started with its own words for what may go wrong.

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use warren_overlay::{Overlay, OverlayConfig, OverlayEvent};
use warren_payments::chain::Chain;
use warren_payments::chain::rpc::{RpcChain, RpcLimits};
use warren_payments::wallet::file;
use warren_payments::{PaymentEvent, Payments, PaymentsConfig};
use warren_proto::{NodeId, NodeKey};

use crate::config::{ChainConfig, Config};
use crate::error::{ErrorCode, Problem};
use crate::lockfile::HomeLock;
use crate::perform::Purse;
use crate::store::{Store, StoreSpec};

/// The node's money, or the lack of it.
pub(super) enum Money {
    /// No chain is configured: this node can route and find, not buy or sell.
    None,
    /// Wallet and chain are there.
    Some {
        purse: Purse,
        chain: Arc<dyn Chain>,
        events: mpsc::Receiver<PaymentEvent>,
    },
}

type MoneyParts = (
    Option<Purse>,
    Option<Arc<dyn Chain>>,
    Option<mpsc::Receiver<PaymentEvent>>,
);

impl Money {
    pub(super) fn into_parts(self) -> MoneyParts {
        match self {
            Self::None => (None, None, None),
            Self::Some {
                purse,
                chain,
                events,
            } => (Some(purse), Some(chain), Some(events)),
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
    let passphrase = passphrase(config)?;
    let wallet = file::open(&config.wallet.file, &passphrase)
        .map_err(|error| Problem::new(ErrorCode::WalletLocked, error))?;
    let rpc = connect(chain, control, warnings).await?;
    let settings = payments_config(chain);
    let kept: Arc<dyn warren_payments::ChannelStore> = Arc::clone(store) as _;
    let started = Payments::start(Arc::clone(&rpc), kept, wallet, settings);
    let (payments, events) = started.map_err(|error| crate::perform::problem(&error))?;
    Ok(Money::Some {
        purse: Purse::new(payments),
        chain: rpc,
        events,
    })
}

fn passphrase(config: &Config) -> Result<String, Problem> {
    let Some(path) = &config.wallet.passphrase_file else {
        let seen = "wallet.passphrase_file is not set";
        return Err(Problem::new(ErrorCode::WalletLocked, seen));
    };
    let text = std::fs::read_to_string(path).map_err(|error| {
        Problem::new(
            ErrorCode::WalletLocked,
            format!("{}: {error}", path.display()),
        )
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

async fn connect(
    chain: &ChainConfig,
    control: &Handle,
    warnings: &mut Vec<Problem>,
) -> Result<Arc<dyn Chain>, Problem> {
    let bad = |error| Problem::new(ErrorCode::WrongChain, error);
    let rpc = RpcChain::new(&chain.rpc_url, chain.pinned, RpcLimits::default()).map_err(bad)?;
    // The client's sockets must be made by control threads, or the kill switch stops them.
    let rpc: Arc<dyn Chain> = Arc::new(rpc.on(control.clone()));
    match rpc.verify_contract().await {
        Ok(()) => {}
        Err(error) if matches!(error, warren_payments::chain::ChainError::Mismatch { .. }) => {
            return Err(Problem::new(ErrorCode::WrongChain, error));
        }
        Err(error) => warnings.push(Problem::new(ErrorCode::ChainUnreachable, error)),
    }
    Ok(rpc)
}

fn payments_config(chain: &ChainConfig) -> PaymentsConfig {
    PaymentsConfig {
        confirmations: chain.confirmations.into(),
        poll: chain.poll,
        ..PaymentsConfig::default()
    }
}

pub(super) async fn overlay(
    config: &Config,
    key: &NodeKey,
    control: &Handle,
) -> Result<(Overlay, mpsc::Receiver<OverlayEvent>), Problem> {
    let section = &config.overlay;
    let settings = OverlayConfig {
        network: config.node.network.clone(),
        listen: section.listen.clone(),
        external: section.external.clone(),
        bootstrap: section.bootstrap.clone(),
        serve_dht: section.serve_dht,
        allow_private: section.allow_private,
        ..OverlayConfig::default()
    };
    // Listening sockets are made by the thread that starts it: that must be a control thread.
    let key = key.clone();
    let started = control
        .spawn(async move { Overlay::start(settings, key) })
        .await;
    let started = started.map_err(|error| Problem::new(ErrorCode::OverlayFailed, error))?;
    started.map_err(|error| Problem::new(ErrorCode::ListenFailed, error))
}
