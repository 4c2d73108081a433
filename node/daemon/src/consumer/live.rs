//! One session under way: its machine, its stream, its purse; and what its effects do.

use std::time::Duration;

use tokio::sync::mpsc;
use warren_overlay::SessionStream;
use warren_proto::{
    Amount, ChannelId, PayErrorCode, PaymentId, Receipt, SessionFrame, SessionId, SessionStart,
    SessionTerms, SignedOffer, UnixTime,
};
use warren_tunnel::TunnelKey;

use super::choose::Answer;
use super::outbox::Outbox;
use super::route::RouteLine;
use super::talk::Talk;
use super::{ConsumerParts, Plan, Shell, host};
use crate::api::types::{UpEvent, UpStage};
use crate::error::{ErrorCode, Problem};
use crate::metrics::Metric;
use crate::perform::{Locked, RoutedStart, ToPay, Way};
use crate::session::{
    ConsumerEffect, ConsumerEnd, ConsumerEvent, ConsumerPhase, ConsumerSession, Wish,
};

// Our choice.
/// Between two tries to reach the exit of a running session: one that is refused, or hung up on, fails at once.
const REDIAL: Duration = Duration::from_secs(1);

/// News for the loop from its helpers.
pub(super) enum Heard {
    Offers(Answer),
    Session { session: SessionId, news: News },
}

/// News of one session.
pub(super) enum News {
    Stream(Box<SessionStream>),
    NoStream(String),
    /// On the session's stream of that number.
    Frame(u64, SessionFrame),
    Broken(u64),
    Funded {
        start: Box<SessionStart>,
        channel: Option<ChannelId>,
    },
    Routed(Box<RoutedStart>),
    Unfunded(Problem),
    /// The channel was topped up, or was not.
    ToppedUp(Result<(), Problem>),
    /// Something that a person should know while money is looked for.
    Told(String),
    /// Another lock of a route.
    Locked(Box<Result<(Way, Locked), Problem>>),
    Rejected {
        payment: PaymentId,
        code: PayErrorCode,
    },
}

/// A wish and the secret that goes with it.
pub(super) struct Bid {
    pub(super) wish: Wish,
    pub(super) key: TunnelKey,
}

/// Draws the fresh parts of a session.
pub(super) fn wish(parts: &ConsumerParts, offer: SignedOffer, plan: Option<&Plan>) -> Bid {
    let key = TunnelKey::generate();
    let wish = Wish {
        session: SessionId::from_bytes(rand::random()),
        consumer: parts.key.id(),
        offer,
        tunnel_key: key.public(),
        deposit: plan.map(|it| it.wanted.deposit).unwrap_or_default(),
        max_spend: Some(plan.map(Plan::may_spend).unwrap_or_default()),
    };
    Bid { wish, key }
}

/// A session under way.
pub(super) struct Live {
    machine: ConsumerSession,
    key: TunnelKey,
    /// The stream that stands. `None` while there is none.
    pub(super) talk: Option<Talk>,
    /// How many streams there were.
    streams: u64,
    /// When the last one stood.
    stood: UnixTime,
    /// Whether that one brought anything.
    brought: bool,
    outbox: Outbox,
    pub(super) channel: Option<ChannelId>,
    /// What that held when it was last counted how far it reaches.
    pub(super) deposit: Amount,
    /// A top-up is under way.
    pub(super) tops_up: bool,
    pub(super) since: UnixTime,
    /// `None` unless a route pays.
    pub(super) route: Option<RouteLine>,
    pub(super) problem: Option<Problem>,
    /// Why the last words could not be released. `None` if they were.
    pub(super) unreleased: Option<Problem>,
    /// Why its channel could not be topped up.
    pub(super) no_top_up: Option<Problem>,
    /// This side's half of the receipt, once the session is over.
    pub(super) receipt: Option<Receipt>,
    pub(super) heard_by: mpsc::Sender<Heard>,
    /// Dropped with it: what was to pay for it and has not begun ends.
    pub(super) to_pay: ToPay,
}

impl Live {
    pub(super) fn new(
        bid: Bid,
        parts: &ConsumerParts,
        heard_by: mpsc::Sender<Heard>,
    ) -> (Self, Vec<ConsumerEffect>) {
        let now = parts.clock.now();
        let (machine, effects) = ConsumerSession::new(bid.wish, parts.limits, now);
        let live = Self {
            machine,
            key: bid.key,
            talk: None,
            streams: 0,
            stood: now,
            brought: false,
            outbox: Outbox::default(),
            channel: None,
            deposit: Amount::ZERO,
            tops_up: false,
            since: now,
            route: None,
            problem: None,
            unreleased: None,
            no_top_up: None,
            receipt: None,
            heard_by,
            to_pay: ToPay::default(),
        };
        live.open_stream(parts, Duration::ZERO);
        (live, effects)
    }

    pub(super) const fn id(&self) -> SessionId {
        self.machine.id()
    }

    pub(super) const fn phase(&self) -> ConsumerPhase {
        self.machine.phase()
    }

    pub(super) const fn machine(&self) -> &ConsumerSession {
        &self.machine
    }

    pub(super) fn handle(&mut self, event: ConsumerEvent, now: UnixTime) -> Vec<ConsumerEffect> {
        self.machine.handle(event, now)
    }

    /// Dials the provider in the background after a `pause`, on the control runtime whose sockets may pass.
    fn open_stream(&self, parts: &ConsumerParts, pause: Duration) {
        let (overlay, heard_by) = (parts.overlay.clone(), self.heard_by.clone());
        let (session, node) = (self.id(), self.machine.offer().offer().node);
        parts.control.spawn(async move {
            tokio::time::sleep(pause).await;
            let news = match overlay.open_session(node).await {
                Ok(stream) => News::Stream(Box::new(stream)),
                Err(error) => News::NoStream(error.to_string()),
            };
            let _ = heard_by.send(Heard::Session { session, news }).await;
        });
    }

    /// Before a stream that broke is opened anew: none, unless the exit hung up as soon as it could.
    fn pause(&self, now: UnixTime) -> Duration {
        if self.brought && now.since(self.stood) >= REDIAL {
            Duration::ZERO
        } else {
            REDIAL
        }
    }

    fn talks_on(&self, stream: u64) -> bool {
        self.talk.as_ref().is_some_and(|it| it.is(stream))
    }
}

impl Shell {
    pub(super) async fn session_news(&mut self, news: News) {
        match news {
            News::Stream(stream) => self.stream_stands(*stream).await,
            News::NoStream(why) => self.no_stream(why).await,
            News::Frame(stream, frame) => {
                if let Some(live) = self.live.as_mut().filter(|it| it.talks_on(stream)) {
                    live.brought = true;
                    self.event(ConsumerEvent::Frame(frame)).await;
                }
            }
            News::Broken(stream) => {
                if let Some(live) = self.live.as_mut().filter(|it| it.talks_on(stream)) {
                    live.talk = None;
                    self.event(ConsumerEvent::StreamLost).await;
                }
            }
            News::Funded { start, channel } => {
                if let Some(live) = &mut self.live {
                    live.channel = channel;
                }
                self.tell(UpStage::Channel, "channel can pay");
                self.event(ConsumerEvent::Funded { start }).await;
                self.count_cover().await;
            }
            News::ToppedUp(done) => self.topped_up(done).await,
            News::Told(text) => self.tell(UpStage::Channel, &text),
            News::Routed(routed) => self.routed(*routed).await,
            News::Locked(locked) => self.locked(*locked).await,
            News::Rejected { payment, code } => self.rejected(payment, code).await,
            News::Unfunded(problem) => {
                if let Some(live) = &mut self.live {
                    live.problem = Some(problem);
                }
                self.event(ConsumerEvent::FundsMissing).await;
            }
        }
    }

    async fn stream_stands(&mut self, stream: SessionStream) {
        let Some(live) = &mut self.live else { return };
        // What ends it from here on has another cause.
        let unreachable = |it: &mut Problem| it.is(ErrorCode::NodeUnreachable);
        drop(live.problem.take_if(unreachable));
        live.streams = live.streams.wrapping_add(1);
        (live.stood, live.brought) = (self.parts.clock.now(), false);
        let (name, heard_by) = ((live.id(), live.streams), live.heard_by.clone());
        live.talk = Some(Talk::start(stream, name, &self.parts.control, heard_by));
        match live.outbox.stream_stands() {
            Some(request) => self.send(request),
            None => self.event(ConsumerEvent::StreamBack).await,
        }
    }

    async fn no_stream(&mut self, why: String) {
        let Some(live) = &mut self.live else { return };
        let unreachable = || Problem::new(ErrorCode::NodeUnreachable, why);
        live.problem.get_or_insert_with(unreachable);
        match live.phase() {
            ConsumerPhase::Negotiating => self.event(ConsumerEvent::StreamLost).await,
            // Money is on its way, or it ran: keep trying; the machine's own deadline ends it.
            ConsumerPhase::Funding
            | ConsumerPhase::Starting
            | ConsumerPhase::Connecting
            | ConsumerPhase::Active
            | ConsumerPhase::Stalled => {
                if let Some(live) = &self.live {
                    live.open_stream(&self.parts, REDIAL);
                }
            }
            ConsumerPhase::Closed => {}
        }
    }

    /// Performs effects in their order.
    pub(super) async fn perform(&mut self, effects: Vec<ConsumerEffect>) {
        for effect in effects {
            match effect {
                ConsumerEffect::Send(frame) => self.send(frame),
                ConsumerEffect::Fund(terms) => self.fund(*terms),
                ConsumerEffect::Connect(terms) => self.connect(*terms).await,
                ConsumerEffect::Release { units } => self.release(units).await,
                ConsumerEffect::TopUp => self.top_up().await,
                ConsumerEffect::Resync => self.resync().await,
                ConsumerEffect::Reconcile(ack) => self.reconcile(ack).await,
                ConsumerEffect::Reopen => {
                    if let Some(live) = &self.live {
                        live.open_stream(&self.parts, live.pause(self.parts.clock.now()));
                    }
                }
                ConsumerEffect::Attest(counters) => self.attest(*counters).await,
                ConsumerEffect::Finish => self.finish().await,
                ConsumerEffect::Route(order) => self.perform_route(order).await,
                ConsumerEffect::Disconnect => {
                    self.facts = self.facts();
                    let was_up = self.line.state().is_some();
                    if let Err(error) = self.line.lower().await {
                        tracing::error!(%error, "tunnel could not be taken down in full");
                    }
                    if was_up {
                        self.tell_of_tunnel("the tunnel is down");
                    }
                }
                ConsumerEffect::Report(phase) => self.report(phase),
                ConsumerEffect::Ended(end) => Box::pin(self.ended(end)).await,
            }
        }
    }

    /// Queues a frame for the exit; never waits. That the stream takes no more is noticed by the next tick.
    pub(super) fn send(&mut self, frame: SessionFrame) {
        let Some(live) = &mut self.live else { return };
        match &mut live.talk {
            Some(talk) => talk.say(frame),
            None => live.outbox.put(frame),
        }
    }

    /// Gives up a stream that takes nothing any more: what was said on it is said again on the next one.
    pub(super) async fn give_up_cut_stream(&mut self) {
        let Some(live) = &mut self.live else { return };
        if live.talk.take_if(|it| it.is_cut()).is_some() {
            tracing::debug!(session = %live.id().short(), "stream given up");
            self.event(ConsumerEvent::StreamLost).await;
        }
    }

    async fn connect(&mut self, terms: SessionTerms) {
        let Some(live) = &self.live else { return };
        let (key, offer) = (live.key.clone(), live.machine.offer().offer());
        let own = self.plan.as_ref().map(|plan| plan.wanted.dns.as_slice());
        let dns = host::resolvers(own.unwrap_or_default(), &terms, host::carries(offer));
        let raised = self.line.raise(offer, &terms, key, dns).await;
        if let Some(nameless) = self.line.nameless() {
            tracing::warn!(seen = %nameless.seen, "no resolver");
            self.tell(UpStage::Tunnel, &nameless.seen);
        }
        if raised.is_ok() {
            self.tell_of_tunnel(
                "the tunnel is up and shakes hands; names and routes lead through it",
            );
        }
        if let Err(error) = raised {
            tracing::error!(%error, "tunnel cannot be raised");
            if let Some(live) = &mut self.live {
                live.problem = Some(error.problem());
            }
            // The machine's own deadline ends the attempt; the kill switch stays.
        }
    }

    fn report(&self, phase: ConsumerPhase) {
        self.tell_of_phase(phase);
        match phase {
            ConsumerPhase::Negotiating => {}
            ConsumerPhase::Funding => self.tell(UpStage::Session, "terms agreed and signed"),
            ConsumerPhase::Starting => self.tell(UpStage::Channel, "first voucher sent"),
            ConsumerPhase::Connecting => self.tell(UpStage::Tunnel, "shaking hands"),
            ConsumerPhase::Active => self.tell(UpStage::Paid, "traffic flows"),
            ConsumerPhase::Stalled => {
                self.parts.metrics.add(Metric::ConsumerStalls, 1);
                tracing::warn!("the exit is silent; traffic is blocked");
            }
            ConsumerPhase::Closed => {}
        }
    }

    /// Ends the start: the user's command may return.
    pub(super) fn tell_up(&mut self) {
        let facts = self.facts();
        let Some(view) = facts.view(&self.parts.token) else {
            return;
        };
        let Some(plan) = &mut self.plan else { return };
        plan.openings.renew();
        if let Some(progress) = plan.progress.take() {
            let _ = progress.try_send(UpEvent::Up(Box::new(view)));
        }
    }

    /// What stopped the session, if something else than the machine's verdict is known.
    pub(super) fn cause(&self, end: &ConsumerEnd) -> Option<Problem> {
        match end {
            ConsumerEnd::Unfunded | ConsumerEnd::TimedOut(_) | ConsumerEnd::LineLost => {
                let live = self.live.as_ref()?;
                let known = [&live.problem, &live.unreleased, &live.no_top_up];
                known.into_iter().find_map(Clone::clone)
            }
            ConsumerEnd::ChannelUsedUp => {
                let live = self.live.as_ref();
                live.and_then(|live| live.no_top_up.clone())
            }
            ConsumerEnd::Ended(_) | ConsumerEnd::PaymentRefused(_) | ConsumerEnd::ExitLost => {
                let live = self.live.as_ref()?;
                let tells = [ErrorCode::WalletShared, ErrorCode::NoSecondRouter];
                let found = live.problem.clone();
                let found = found.filter(|it| tells.iter().any(|code| it.is(*code)));
                // Whoever is not paid ends it; why it was not paid is this side's to say.
                found.or_else(|| live.unreleased.clone())
            }
            ConsumerEnd::Asked
            | ConsumerEnd::Refused(_)
            | ConsumerEnd::BadGrant(_)
            | ConsumerEnd::CapReached => None,
        }
    }
}
