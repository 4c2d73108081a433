//! Starts the node in order, joins its parts, ends it in reverse.
//!
//! Two runtimes: the main one owns the disk; the *control* one owns every socket that may pass the
//! kill switch. Its threads carry a file-system user id of their own, which the kernel stamps on
//! the sockets they make (ADR 0013).

mod channels;
mod consent;
mod contacts;
mod control;
mod enable;
mod keeper;
mod known;
mod lasting;
mod market;
mod money;
mod numbers;
mod pot;
mod ready;
mod receipts;
mod resolvers;
mod routes;
mod setup;
mod stats;
mod towers;
mod view;
mod ways;
mod wish;
mod words;

pub use setup::check;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use warren_overlay::{Overlay, OverlayEvent};
use warren_payments::{PaymentEvent, StopReason};
use warren_proto::GoodbyeReason;
use warren_tunnel::host::adopt_control_uid;

use crate::api::ApiServer;
use crate::api::types::UpRequest;
use crate::clock::Clock;
use crate::config::Config;
use crate::consumer::{Adopted, Consumer, ConsumerParts};
use crate::error::{ErrorCode, Problem};
use crate::events::Events;
use crate::lockfile::HomeLock;
use crate::metrics::{Metric, Metrics};
use crate::perform::Purse;
use crate::provider::{Order, Provider, ProviderParts};
use crate::receipt::{Receipts, Scribe};
use crate::route::Routes;
use crate::session::SessionLimits;
use crate::tower::Towers;

/// How long tasks of the control runtime may take to end.
const CONTROL_END: Duration = Duration::from_secs(3);
/// Threads of the control runtime: sockets and handshakes of a home node need no more.
const CONTROL_THREADS: usize = 2;
/// For receipts under way when the node ends; what has not come then stays half.
const RECEIPTS: Duration = Duration::from_secs(1);

/// A running node: what the API's handlers work with.
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) clock: Arc<Clock>,
    pub(crate) started: warren_proto::UnixTime,
    pub(crate) key: warren_proto::NodeKey,
    pub(crate) overlay: Overlay,
    pub(crate) purse: Option<Purse>,
    pub(crate) chain: Option<Arc<dyn warren_payments::chain::Chain>>,
    pub(crate) store: Arc<crate::store::Store>,
    pub(crate) receipts: Receipts,
    pub(crate) towers: Towers,
    pub(crate) routes: Routes,
    pub(crate) consumer: Consumer,
    pub(crate) provider: Provider,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) events: Events,
    pub(crate) ending: watch::Sender<bool>,
    pub(crate) keeping: keeper::Keeping,
    /// What was wrong at the start and stays so.
    pub(crate) warnings: Vec<Problem>,
    /// Whether the chain was found to be the pinned one since it last failed to answer.
    pub(crate) chain_known: AtomicBool,
}

/// How a node ended in good order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The kill switch stands: this machine has no network until `warren down` or `warren recover`.
    pub blocked: bool,
}

/// Runs a node until it is told to end, by the API or by a signal.
///
/// # Errors
/// A [`Problem`] if a part cannot start; parts already started are ended in reverse.
pub async fn run(config: Config) -> Result<Ended, Problem> {
    let control = control_runtime()?;
    let handle = control.handle().clone();
    let ended = Box::pin(run_on(config, handle)).await;
    // What its tasks hold of the store must go before the process does: RocksDB is not closed while statics end.
    let _ = tokio::task::spawn_blocking(move || control.shutdown_timeout(CONTROL_END)).await;
    ended
}

fn control_runtime() -> Result<Runtime, Problem> {
    Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("warren-control")
        .on_thread_start(|| {
            if let Err(error) = adopt_control_uid() {
                tracing::warn!(%error, "this node's own traffic would not pass its kill switch");
            }
        })
        .enable_all()
        .build()
        .map_err(|error| Problem::new(ErrorCode::Internal, error))
}

async fn run_on(config: Config, control: tokio::runtime::Handle) -> Result<Ended, Problem> {
    let clock = Arc::new(Clock::start());
    let now = clock.now();
    let home = config.node.home.clone();
    crate::home::make(&home)?;
    crate::home::keep_private(&home, &config.api.socket);
    let lock = HomeLock::take(&home, now).map_err(|error| error.problem())?;
    // Before anything that may fail or wait: until then a machine that was blocked may be open.
    let adopted = Adopted::of(&home.join("consumer.journal"), &config.consumer.local).await;
    // Next the door: a store or a chain may take its time, and who asks meanwhile waits instead of finding nobody.
    let socket = config.api.socket.clone();
    let group = Some(config.api.group.clone()).filter(|it| !it.is_empty());
    let server = ApiServer::bind(&socket, group.as_deref()).map_err(|error| error.problem())?;
    tell_service_manager(NotifyState::Ready);
    let exit_journal = home.join("exit.journal");
    let enabled = config.exit.enabled;
    if !enabled || lasting::wanted(&home, enabled).is_none() {
        setup::forget_exit(&exit_journal).await;
    }
    let key = crate::identity::load_or_create(&home).map_err(|error| error.problem())?;
    let store = setup::store(&home, key.id(), lock)?;
    let mut warnings = Vec::new();
    let money = setup::money(&config, &store, &control, &mut warnings).await?;
    let (overlay, overlay_events) = setup::overlay(&config, &key, &control).await?;
    let (purse, chain, payment_events, wallet_lock) = money.into_parts();
    let limits = SessionLimits::default();
    let towers = setup::towers(&config, &overlay, (purse.as_ref(), chain.as_ref()), &store)?;
    control.spawn(towers.clone().seek(Arc::clone(&clock)));
    let (routes, locks) = setup::routes(
        &config,
        &overlay,
        purse.as_ref(),
        (&store, &key, &clock, &control),
    )?;
    let receipts = Receipts::open(Arc::clone(&store)).map_err(|error| error.problem())?;
    let scribe = purse.as_ref().map(|it| {
        let payments = it.payments().clone();
        Scribe::new(payments, key.clone(), receipts.clone())
    });
    let events = Events::start(Arc::clone(&clock));
    let metrics = Arc::new(Metrics::default());
    metrics.set(Metric::StartTime, now.as_secs());
    let provider = Provider::start(ProviderParts {
        overlay: overlay.clone(),
        control: control.clone(),
        purse: purse.clone(),
        scribe: scribe.clone(),
        towers: towers.clone(),
        routes: routes.clone(),
        locks,
        key: key.clone(),
        clock: Arc::clone(&clock),
        limits,
        headroom: store.headroom().clone(),
        journal: exit_journal,
        metrics: Arc::clone(&metrics),
        events: events.clone(),
    });
    let parts = ConsumerParts {
        overlay: overlay.clone(),
        control: control.clone(),
        purse: purse.clone(),
        scribe: scribe.clone(),
        routes: routes.clone(),
        key: key.clone(),
        clock: Arc::clone(&clock),
        limits,
        token: config.token.clone(),
        metrics: Arc::clone(&metrics),
        events: events.clone(),
    };
    let consumer = Consumer::start(parts, adopted);
    let (ending, mut ended) = watch::channel(false);
    let node = Arc::new(Node {
        config,
        clock,
        started: now,
        key,
        overlay,
        purse,
        chain,
        store,
        receipts,
        towers,
        routes,
        consumer,
        provider,
        metrics,
        events,
        ending,
        keeping: keeper::Keeping::default(),
        warnings,
        chain_known: AtomicBool::new(false),
    });
    tokio::spawn(overlay_news(Arc::clone(&node), overlay_events));
    if let Some(payment_events) = payment_events {
        tokio::spawn(payment_news(Arc::clone(&node), payment_events));
    }
    node.want_exit();
    node.want_tunnel().await;
    tokio::spawn(Arc::clone(&node).keep_exit());
    tokio::spawn(Arc::clone(&node).tell_numbers());
    tokio::spawn(Arc::clone(&node).keep_contacts());
    tracing::info!(node = %node.key.id().short(), socket = %socket.display(), "daemon up");
    let mut api_ends = ended.clone();
    let end_of_api = async move {
        let _ = api_ends.wait_for(|it| *it).await;
    };
    let mut api = tokio::spawn(server.serve(Arc::clone(&node) as Arc<_>, end_of_api));
    // The API ends when the node is told to: that is looked at first, or a good end looks like a fault.
    let result = tokio::select! {
        biased;
        _ = ended.wait_for(|it| *it) => Ok(()),
        () = crate::signal::told_to_end() => Ok(()),
        served = &mut api => Err(Problem::new(ErrorCode::Internal, format!("the API ended: {served:?}"))),
    };
    tell_service_manager(NotifyState::Stopping);
    let _ = node.ending.send(true);
    let blocked = node.wind_down().await;
    node.events.end(); // Else the API waits for whoever follows them.
    drop(wallet_lock);
    if result.is_ok() {
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), api).await;
    }
    result.map(|()| Ended { blocked })
}

/// Whoever started this waits for it, if it is a service manager: sd_notify(3).
fn tell_service_manager(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager is not told");
    }
}

impl Node {
    /// Its owner wants a tunnel from the start on, and is not there to wait for it.
    async fn want_tunnel(&self) {
        if !self.config.consumer.auto_up {
            return;
        }
        let begun = match wish::wanted(&self.config, &UpRequest::default()) {
            Ok(wanted) => self.consumer.keep_up(wanted).await,
            Err(problem) => Err(problem),
        };
        if let Err(problem) = begun {
            tracing::error!(code = %problem.code, seen = %problem.seen, "no tunnel is looked for");
        }
    }

    /// The reverse of the start: sessions first, then the line, then the overlay. Says whether the kill switch stands.
    async fn wind_down(&self) -> bool {
        let _ = self.end_exit().await;
        let keep = crate::api::types::DownRequest { keep_blocked: true };
        let down = self.consumer.down(keep).await;
        // The streams of receipts end with the overlay.
        self.receipts.settled(RECEIPTS).await;
        let _ = self.overlay.shutdown().await;
        let blocked = match down {
            Ok(facts) => facts.protected,
            // What could not be taken down in full stands, or some of it.
            Err(_) => self.consumer.view().await.is_ok_and(|it| it.protected),
        };
        tracing::info!(blocked, "daemon down");
        blocked
    }
}

async fn overlay_news(node: Arc<Node>, mut events: mpsc::Receiver<OverlayEvent>) {
    while let Some(event) = events.recv().await {
        if let Some(news) = words::of_overlay(&event) {
            node.events.tell(news);
        }
        match event {
            OverlayEvent::InboundSession { peer, stream } => {
                let stream = Box::new(stream);
                node.provider.tell(Order::Inbound { peer, stream }).await;
            }
            OverlayEvent::OfferRenewed(offer) => {
                node.metrics.add(Metric::OffersPublished, 1);
                node.provider.tell(Order::Renewed(Box::new(offer))).await;
            }
            OverlayEvent::OfferSeen { .. }
            | OverlayEvent::OfferLost { .. }
            | OverlayEvent::PeerJoined(_)
            | OverlayEvent::PeerLeft(_) => {}
            OverlayEvent::Listening(address) => tracing::info!(%address, "listening"),
        }
    }
}

async fn payment_news(node: Arc<Node>, mut events: mpsc::Receiver<PaymentEvent>) {
    while let Some(event) = events.recv().await {
        if let Some(news) = words::of_payment(&event, &node.config.token) {
            node.events.tell(news);
        }
        match &event {
            PaymentEvent::Stop { channel, reason } => {
                let why = match reason {
                    StopReason::Closing => GoodbyeReason::ChannelClosing,
                    StopReason::Undone => GoodbyeReason::ChainUnsure,
                };
                node.provider
                    .tell(Order::PaidEnd(Some(*channel), why))
                    .await;
            }
            PaymentEvent::ChainLost => {
                let order = Order::PaidEnd(None, GoodbyeReason::ChainUnsure);
                node.provider.tell(order).await;
            }
            PaymentEvent::Claimed { .. } => node.metrics.add(Metric::Claims, 1),
            PaymentEvent::ActionFailed { channel, reason } => {
                node.metrics.add(Metric::TransactionsFailed, 1);
                tracing::warn!(channel = %channel.short(), reason, "transaction failed");
            }
            PaymentEvent::ChainStale(stale) => {
                node.metrics.set(Metric::ChainFresh, u64::from(!*stale));
            }
            PaymentEvent::WalletShared(channel) => {
                tracing::error!(channel = %channel.short(), "another machine pays with this wallet");
            }
            PaymentEvent::Route(out) => node.routes.tell((**out).clone()),
            PaymentEvent::TopUpNeeded {
                channel,
                units_short,
            } => node.consumer.short(*channel, *units_short).await,
            PaymentEvent::ChannelUsable(_)
            | PaymentEvent::RunningLow(_)
            | PaymentEvent::Closed(_) => {}
        }
    }
}
