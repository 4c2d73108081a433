//! The consumer's role loop: choose an exit, keep one session alive, go on with the next one.
//!
//! A shell: one task, one inbox. [`crate::session::ConsumerSession`] decides; this loop brings in
//! frames, meter readings and the time, and performs what it is told.
//!
//! Order of a start: kill switch, choose, negotiate, fund, tunnel, first word. Order of an end:
//! last voucher, tunnel down, kill switch lifted only on the user's word.

mod choose;
mod handle;
mod host;
mod live;
mod named;
mod outbox;
mod pay;
mod receipt;
mod round;
mod route;
mod talk;
mod tidings;
mod view;
mod watch;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};
use warren_overlay::Overlay;
use warren_overlay::offers::OfferQuery;
use warren_proto::{Amount, ChannelId, NodeKey};

use self::choose::Plan;
pub(crate) use self::choose::is_within;
pub(crate) use self::handle::{Adopted, Consumer};
use self::host::Line;
pub(crate) use self::host::{cannot_tell_names, is_of_use};
use self::live::{Heard, Live};
pub(crate) use self::named::ExitName;
use self::receipt::Leaving;
use self::round::Failed;
pub(crate) use self::view::ConsumerFacts;
use self::watch::Watch;
use crate::api::types::{DownRequest, Fallback, UpEvent, UpStage};
use crate::clock::Clock;
use crate::config::Token;
use crate::error::{ErrorCode, Problem};
use crate::events::Events;
use crate::metrics::Metrics;
use crate::perform::{KeptLock, Purse, RouteWish, Routers};
use crate::receipt::Scribe;
use crate::route::Routes;
use crate::session::{ConsumerEvent, ConsumerPhase, SessionLimits};

/// Between two looks at the meter: a word is a MiB or so, so a 1 Gbit/s line needs no more.
const TICK: Duration = Duration::from_millis(20);
/// Commands waiting; a person and a dashboard do not type faster.
const INBOX: usize = 16;
/// Looking for offers again while none is known.
const SEARCH_PAUSE: Duration = Duration::from_millis(300);

/// What the consumer loop works with.
pub(crate) struct ConsumerParts {
    pub overlay: Overlay,
    pub control: tokio::runtime::Handle,
    pub purse: Option<Purse>,
    /// `None` without a purse: nothing is paid, so nothing is attested.
    pub scribe: Option<Scribe>,
    pub routes: Routes,
    pub key: NodeKey,
    pub clock: Arc<Clock>,
    pub limits: SessionLimits,
    pub token: Token,
    pub metrics: Arc<Metrics>,
    pub events: Events,
}

/// What the user wants, already in the node's own words.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub query: OfferQuery,
    /// The exit that the user named, while its whole id is not known; then that is in `query.nodes`.
    pub named: Option<ExitName>,
    /// For all sessions of this `up` together; zero leaves the free exits.
    pub max_spend: Amount,
    pub deposit: Amount,
    /// Where the next exit may be, once a tunnel was up and is lost.
    pub fallback: Fallback,
    pub search: Duration,
    /// Resolvers of the user's own choice; empty: the exit's.
    pub dns: Vec<IpAddr>,
    /// Whether everything outside of the tunnel is blocked, also while none is up.
    pub kill_switch: bool,
    pub route: RouteWish,
    pub routers: Routers,
    /// The most a route may cost, in millionths of what the exit gets.
    pub max_route_fee_ppm: u32,
}

/// An order to the loop.
pub(crate) enum Order {
    Up {
        wanted: Box<Wanted>,
        /// `None` if nobody waits for it.
        progress: Option<mpsc::Sender<UpEvent>>,
    },
    Down {
        request: DownRequest,
        reply: oneshot::Sender<Result<Box<ConsumerFacts>, Problem>>,
    },
    /// The purse released so many words less than it was asked for.
    Short { channel: ChannelId, words: u64 },
    View {
        reply: oneshot::Sender<Box<ConsumerFacts>>,
    },
}

struct Shell {
    parts: ConsumerParts,
    line: Line,
    live: Option<Live>,
    leaving: VecDeque<Leaving>,
    plan: Option<Plan>,
    /// How many plans there were.
    plans: u64,
    failed: Failed,
    /// Locks of routes with words left.
    kept: Vec<KeptLock>,
    heard_by: mpsc::Sender<Heard>,
    heard: mpsc::Receiver<Heard>,
    facts: ConsumerFacts,
    watch: Watch,
}

impl Shell {
    async fn run(mut self, mut inbox: mpsc::Receiver<Order>) {
        self.tell_metrics();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut looks = interval(watch::LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                order = inbox.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => break,
                },
                Some(heard) = self.heard.recv() => self.hear(heard).await,
                _ = ticks.tick() => self.tick().await,
                _ = looks.tick() => self.look().await,
            }
        }
        // The node ends: say goodbye, lower the tunnel, keep the kill switch up.
        self.event(ConsumerEvent::Stop).await;
        let _ = self.line.rest().await;
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Up { wanted, progress } => self.start(*wanted, progress).await,
            Order::Down { request, reply } => {
                let _ = reply.send(self.down(request).await);
            }
            Order::Short { channel, words } => self.short(channel, words).await,
            Order::View { reply } => {
                let _ = reply.send(Box::new(self.facts()));
            }
        }
    }

    async fn start(&mut self, wanted: Wanted, progress: Option<mpsc::Sender<UpEvent>>) {
        if self.plan.is_some() {
            let problem = Problem::new(ErrorCode::AlreadyUp, "a session is running or starting");
            if let Some(progress) = progress {
                let _ = progress.try_send(UpEvent::Failed(problem));
            }
            return;
        }
        let since = self.parts.clock.now();
        let (kill_switch, own) = (wanted.kill_switch, wanted.dns.clone());
        self.facts = ConsumerFacts::default();
        self.watch.begins_again();
        let was_blocked = self.line.has_kill_switch();
        self.plans = self.plans.wrapping_add(1);
        let mut plan = Plan::new(self.plans, wanted, progress, since, was_blocked);
        plan.failed = self.failed.clone();
        self.plan = Some(plan);
        match self.line.protect(kill_switch).await {
            Ok(()) => {
                let text = if kill_switch {
                    "kill switch on, IPv4 and IPv6"
                } else {
                    "kill switch OFF, as asked: without a tunnel, traffic leaves in the clear"
                };
                self.tell(UpStage::Protected, text);
                self.tell_of_tunnel(text);
            }
            Err(error) => {
                self.give_up(error.problem()).await;
                return;
            }
        }
        if let Some(problem) = cannot_tell_names(&own).await {
            return self.give_up(problem).await;
        }
        self.search();
    }

    async fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Offers(answer) => self.found(answer).await,
            Heard::Session { session, news } => {
                if self.live.as_ref().is_some_and(|live| live.id() == session) {
                    self.session_news(news).await;
                } else {
                    self.leaving_news(session, news);
                }
            }
        }
    }

    async fn tick(&mut self) {
        self.tick_leaving(self.parts.clock.now());
        self.give_up_cut_stream().await;
        let usage = self.line.usage();
        let state = self.line.state();
        let Some(live) = &self.live else {
            self.tick_plan();
            return;
        };
        // Before this session's own tunnel is raised, the meter still shows the last one's bytes.
        let carries = matches!(
            live.phase(),
            ConsumerPhase::Connecting | ConsumerPhase::Active | ConsumerPhase::Stalled
        );
        let shaken = state.is_some_and(|it| it.since_handshake.is_some());
        if shaken && live.phase() == ConsumerPhase::Connecting {
            self.event(ConsumerEvent::TunnelUp).await;
            self.tell_up();
        }
        if let Some(state) = state.filter(|_| carries) {
            let unanswered = state.unanswered;
            self.event(ConsumerEvent::Tunnel { unanswered }).await;
        }
        if let Some(usage) = usage.filter(|_| carries) {
            self.event(ConsumerEvent::Usage {
                up: usage.up,
                down: usage.down,
            })
            .await;
        }
        self.event(ConsumerEvent::Tick).await;
    }

    /// Feeds the machine and does what it says.
    async fn event(&mut self, event: ConsumerEvent) {
        let now = self.parts.clock.now();
        let Some(live) = &mut self.live else { return };
        let effects = live.handle(event, now);
        self.perform(effects).await;
    }

    async fn down(&mut self, request: DownRequest) -> Result<Box<ConsumerFacts>, Problem> {
        if self.plan.is_none() && !self.line.has_kill_switch() {
            return Err(Problem::new(
                ErrorCode::NotUp,
                "no session runs and nothing is blocked",
            ));
        }
        self.event(ConsumerEvent::Stop).await;
        if let Some(plan) = self.plan.take()
            && let Some(progress) = plan.progress
        {
            let problem = Problem::new(ErrorCode::NotUp, "stopped by `warren down`");
            let _ = progress.try_send(UpEvent::Failed(problem));
        }
        let lowered = if request.keep_blocked {
            self.line.rest().await
        } else {
            self.line.unprotect().await
        };
        lowered.map_err(|error| error.problem())?;
        self.tell_of_blocking();
        self.facts.protected = self.line.is_protected();
        // Whatever was tried or blocked before is so no more.
        self.facts.problem = None;
        if !self.facts.protected {
            self.watch.forgets();
        }
        Ok(Box::new(self.facts.clone()))
    }

    fn tell(&self, stage: UpStage, text: &str) {
        tracing::info!(?stage, text, "up");
        let progress = self.plan.as_ref().and_then(|plan| plan.progress.as_ref());
        if let Some(progress) = progress {
            let event = UpEvent::Progress {
                stage,
                done: true,
                text: text.to_owned(),
            };
            let _ = progress.try_send(event);
        }
    }
}

#[cfg(test)]
mod tests;
