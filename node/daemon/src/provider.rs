//! The provider's role loop: keep the offer fresh, run many sessions.
//!
//! A shell: one task, one inbox. [`crate::session::Admission`] says who comes in,
//! [`crate::session::ProviderSession`] decides in each session; this loop brings in frames, money
//! news, meter readings and the time, and performs what it is told.
//!
//! Order of a start: device, deny table and NAT, then the offer. Order of an end: the offer is
//! withdrawn, sessions say goodbye, the host is restored, the device goes.

mod advert;
mod closing;
mod door;
mod guest;
mod handle;
mod kick;
mod off;
mod reach;
mod route;
mod tidings;
mod view;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use warren_overlay::{Overlay, SessionStream};
use warren_proto::{
    ChannelId, GoodbyeReason, NodeId, NodeKey, Offer, SessionId, SignedOffer, TunnelPublicKey,
};
use warren_tunnel::host::{ExitHost, ExitNatSpec};
use warren_tunnel::{ExitSpec, ExitTunnel, Shape};

use self::advert::Places;
use self::closing::Leaving;
use self::guest::{Guest, Heard, News};
pub(crate) use self::handle::Provider;
use self::off::stop;
pub(crate) use self::view::{ExitFacts, GuestFacts, ProviderFacts};
pub(crate) use self::watch::Known;
use self::watch::kinds;
use crate::clock::Clock;
use crate::error::{ErrorCode, Problem, machine};
use crate::events::Events;
use crate::metrics::{Metric, Metrics};
use crate::perform::Purse;
use crate::receipt::Scribe;
use crate::route::{OfferedLock, Routes};
use crate::session::{
    Admission, Arrears, ExitTerms, GuestList, ProviderEvent, Reach, SessionLimits,
};
use crate::store::Headroom;
use crate::tower::Towers;

/// Between two looks at the meters. The tunnel itself stops a guest at its allowance, so this only
/// has to be quick enough to raise it.
const TICK: Duration = Duration::from_millis(20);
/// Orders waiting.
const INBOX: usize = 16;
/// For the first frame of a new stream; a stranger that says nothing costs one slot so long.
const FIRST_FRAME: Duration = Duration::from_secs(10);

/// What the provider loop works with.
pub(crate) struct ProviderParts {
    pub overlay: Overlay,
    pub control: tokio::runtime::Handle,
    pub purse: Option<Purse>,
    /// `None` without a purse: nothing is paid, so nothing is attested.
    pub scribe: Option<Scribe>,
    pub towers: Towers,
    pub routes: Routes,
    /// Locks that routers offer.
    pub locks: mpsc::Receiver<OfferedLock>,
    pub key: NodeKey,
    pub clock: Arc<Clock>,
    pub limits: SessionLimits,
    pub headroom: Headroom,
    pub journal: PathBuf,
    pub metrics: Arc<Metrics>,
    pub events: Events,
}

/// An exit to be: what the owner consented to, in the node's own words.
#[derive(Debug, Clone)]
pub(crate) struct Enable {
    pub offer: Offer,
    pub terms: ExitTerms,
    pub tunnel: ExitSpec,
    pub shape: Shape,
    pub tunnel_key: TunnelPublicKey,
    pub nat: ExitNatSpec,
    pub guests: GuestList,
}

/// An order to the loop.
pub(crate) enum Order {
    Enable {
        what: Box<Enable>,
        reply: oneshot::Sender<Result<(), Problem>>,
    },
    Disable {
        reply: oneshot::Sender<Result<(), Problem>>,
    },
    View {
        reply: oneshot::Sender<Box<ProviderFacts>>,
    },
    Kick {
        whom: String,
        reply: oneshot::Sender<Result<(SessionId, NodeId), Problem>>,
    },
    Inbound {
        peer: NodeId,
        stream: Box<SessionStream>,
    },
    Renewed(Box<SignedOffer>),
    /// Nobody hears of this exit.
    Unheard,
    Known(Box<Known>),
    /// Sessions that this channel pays end; or all that any channel pays.
    PaidEnd(Option<ChannelId>, GoodbyeReason),
}

/// A running exit.
struct Exit {
    what: Enable,
    tunnel: ExitTunnel,
    host: ExitHost,
    admission: Admission,
    guests: BTreeMap<SessionId, Guest>,
    since: warren_proto::UnixTime,
    offer: SignedOffer,
    places: Places,
    /// Inner addresses of guests that left, whose flows the kernel still knows.
    left: BTreeSet<IpAddr>,
    /// The kernel could not be made to forget them when it was last told to.
    unforgotten: bool,
    /// No guest's packet passes: the deny table does not stand.
    shut: bool,
    /// How often somebody else took the deny table away.
    meddled: u64,
    /// For how many looks in a row it could not be made again.
    bare: u32,
    /// Why guests' packets do not pass though it is on. `None` if they do.
    hindered: Option<Problem>,
    /// Whether guests find the tunnel's port.
    reach: Reach,
}

struct Shell {
    parts: ProviderParts,
    exit: Option<Exit>,
    leaving: BTreeMap<SessionId, Leaving>,
    arrears: Arrears,
    heard_by: mpsc::Sender<Heard>,
    heard: mpsc::Receiver<Heard>,
    served: u64,
    looks: u64,
    /// What is wrong with the exit, or ended the last one. `None` while all is well.
    trouble: Option<Problem>,
}

impl Shell {
    /// Shares nothing before an `Enable`.
    fn new(parts: ProviderParts) -> Self {
        let (heard_by, heard) = mpsc::channel(256);
        Self {
            parts,
            exit: None,
            leaving: BTreeMap::new(),
            arrears: Arrears::default(),
            heard_by,
            heard,
            served: 0,
            looks: 0,
            trouble: None,
        }
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Order>) {
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
                Some(lock) = self.parts.locks.recv() => self.lock_offered(lock).await,
                _ = ticks.tick() => self.tick().await,
                _ = looks.tick() => {
                    self.look().await;
                    self.say_places().await;
                    self.tell_of_guests();
                }
            }
        }
        let _ = self.disable().await;
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Enable { what, reply } => {
                let _ = reply.send(self.enable(*what).await);
            }
            Order::Disable { reply } => {
                let _ = reply.send(self.disable().await);
            }
            Order::View { reply } => {
                let _ = reply.send(Box::new(self.facts()));
            }
            Order::Kick { whom, reply } => {
                let _ = reply.send(self.kick(&whom).await);
            }
            Order::Inbound { peer, stream } => self.inbound(peer, *stream),
            Order::Renewed(offer) => self.renewed(*offer),
            Order::Unheard => self.advertise().await,
            Order::Known(known) => self.known_by(*known).await,
            Order::PaidEnd(by, why) => self.paid_end(by, why).await,
        }
    }

    async fn enable(&mut self, mut what: Enable) -> Result<(), Problem> {
        if self.exit.is_some() {
            return Err(is_on());
        }
        let unsayable = |error| Problem::new(ErrorCode::ConfigBadValue, error);
        // Before the host is touched: an offer that nobody would take is found here.
        what.offer
            .clone()
            .sign(&self.parts.key)
            .map_err(unsayable)?;
        let spec = what.tunnel.clone();
        let started = spawn_blocking(move || ExitTunnel::start(spec)).await;
        let started = started.map_err(|error| Problem::new(ErrorCode::Internal, error))?;
        let tunnel = started.map_err(|error| machine::tunnel(&error))?;
        tunnel.set_shape(what.shape);
        let host = match ExitHost::enable(&self.parts.journal, what.nat.clone()).await {
            Ok(host) => host,
            Err(error) => {
                stop(tunnel).await;
                return Err(Problem::of_host(&error));
            }
        };
        // Only now is it known what this host can carry.
        (what.offer.ipv4, what.offer.ipv6) = kinds(host.carries());
        let offer = what
            .offer
            .clone()
            .sign(&self.parts.key)
            .map_err(unsayable)?;
        let mut admission =
            Admission::new(self.parts.key.id(), what.terms.clone(), self.parts.limits)
                .open_to(what.guests.clone())
                .seated(what.tunnel.gateway_v4.prefix_len(), rand::random());
        admission.offered(offer.clone());
        let since = self.parts.clock.now();
        let published = offer.clone();
        let guests = BTreeMap::new();
        self.exit = Some(Exit {
            what,
            tunnel,
            host,
            admission,
            guests,
            since,
            offer,
            places: Places::new(since),
            left: BTreeSet::new(),
            unforgotten: false,
            shut: false,
            meddled: 0,
            bare: 0,
            hindered: None,
            reach: Reach::default(),
        });
        self.trouble = None;
        let overlay = self.parts.overlay.clone();
        if let Err(error) = overlay.publish_offer(published).await {
            let _ = self.disable().await;
            return Err(Problem::new(ErrorCode::OverlayFailed, error));
        }
        self.parts.metrics.add(Metric::OffersPublished, 1);
        tracing::info!("exit on");
        self.tell_of_exit("the exit is on: its device and deny table stand, its offer is said");
        Ok(())
    }

    fn guests(&self) -> Option<&BTreeMap<SessionId, Guest>> {
        self.exit.as_ref().map(|exit| &exit.guests)
    }

    async fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Asked {
                peer,
                request,
                sender,
                receiver,
            } => {
                let session = request.session;
                if self.resumes(peer, &request) {
                    self.attach(session, *sender, *receiver);
                    self.event(session, ProviderEvent::Resumed).await;
                } else {
                    self.asked(peer, request, *sender, *receiver).await;
                }
            }
            Heard::Session {
                session,
                stream,
                news,
            } => self.session_news(session, stream, news).await,
        }
    }

    async fn tick(&mut self) {
        self.tick_leaving(self.parts.clock.now()).await;
        self.tell_metrics();
        self.look_for_handshakes();
        let Some(exit) = &self.exit else { return };
        let readings: Vec<_> = exit
            .guests
            .iter()
            .map(|(id, guest)| (*id, guest.tunnel.and_then(|at| exit.tunnel.usage(at).ok())))
            .collect();
        for (session, usage) in readings {
            if let Some(usage) = usage {
                self.carried(session, usage);
                let event = ProviderEvent::Usage {
                    up: usage.up,
                    down: usage.down,
                };
                self.event(session, event).await;
            }
            self.event(session, ProviderEvent::Tick).await;
        }
    }

    async fn paid_end(&mut self, by: Option<ChannelId>, why: GoodbyeReason) {
        // A router's channel pays for many.
        let guests = self.guests().into_iter().flatten();
        let ending =
            guests.filter(|(_, it)| it.channel.is_some() && (by.is_none() || it.channel == by));
        let sessions: Vec<_> = ending.map(|(id, _)| *id).collect();
        for session in sessions {
            self.event(session, ProviderEvent::Stop(why)).await;
        }
    }

    /// Feeds one session's machine and does what it says.
    async fn event(&mut self, session: SessionId, event: ProviderEvent) {
        let now = self.parts.clock.now();
        let Some(guest) = self
            .exit
            .as_mut()
            .and_then(|exit| exit.guests.get_mut(&session))
        else {
            return;
        };
        let effects = guest.machine.handle(event, now);
        self.perform(session, effects).await;
    }

    async fn session_news(&mut self, session: SessionId, stream: u64, news: News) {
        if self.is_leaving(session) {
            self.leaving_news(session, stream, news).await;
            return;
        }
        let current = self.guests().and_then(|guests| guests.get(&session));
        match news {
            News::Frame(frame) => self.event(session, ProviderEvent::Frame(frame)).await,
            // The end of a stream that was already replaced is old news.
            News::Broken if current.is_some_and(|guest| guest.stream == stream) => {
                self.event(session, ProviderEvent::StreamLost).await;
            }
            News::Broken => {}
            News::Money(heard) => self.money(session, heard).await,
            News::Receipt(signed) => self.receipt_signed(session, signed).await,
        }
    }
}

pub(crate) fn is_on() -> Problem {
    let seen = "what this exit offers is not changed while it sells; nothing was changed";
    Problem::new(ErrorCode::ExitOn, seen)
}

#[cfg(test)]
mod tests;
