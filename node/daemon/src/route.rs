//! Routes: the streams between this node and its neighbours, and what is said on them.
//!
//! A shell. [`warren_payments`] decides; here its frames travel, on one stream for each channel, opened by
//! the channel's payer. A frame that is lost with its stream is asked for again, or what it was about expires.
//!
//! ```text
//! tell ─▶ stream of the channel ─▶ neighbour     no stream: the payer dials, the payee waits to be dialled
//! neighbour ─▶ heard ─▶ offer to the exit of this node │ offer onward │ any other frame ─▶ payments ─▶ tell
//! ```

mod asked;
mod deposits;
mod hint;
mod keep;
mod locks;
mod neighbours;
mod onward;
mod streams;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use warren_overlay::Overlay;
use warren_payments::{Payments, RouteOut};
use warren_proto::{
    Amount, ChannelId, LockOffer, LockReady, NodeId, NodeKey, PayErrorCode, PaymentId, RouteFrame,
    SignedRouterHint, UnixTime,
};

use crate::clock::Clock;
use crate::config::RouterSection;
use crate::error::Problem;
use crate::perform::Purse;
use crate::store::Store;

use asked::Asked;
use deposits::Deposits;
pub(crate) use hint::{CLOSE_WINDOW_SECS, believe};
pub(crate) use locks::LockFor;
use locks::Locks;
pub(crate) use neighbours::{Kind, Neighbour, Neighbours};

// Our choices.
/// Frames that wait for one stream.
const OUTBOX: usize = 64;
/// Frames that wait for a stream that is being dialled.
const MAX_WAITING: usize = 32;
/// Offers that this node works on at a time; more are told to come again.
const MAX_OFFERS: usize = 8;
/// Of them, those of one neighbour: no one of them keeps all others waiting.
const MAX_OFFERS_EACH: usize = 2;
/// Locks that wait for the exit's part of this node.
const EXIT_INBOX: usize = 16;

/// A lock for this node's own exit, and who waits for the answer.
pub(crate) struct OfferedLock {
    pub(crate) offer: Box<LockOffer>,
    pub(crate) reply: oneshot::Sender<Result<LockReady, PayErrorCode>>,
}

/// What routes work with.
pub(crate) struct RouteParts {
    pub(crate) overlay: Overlay,
    pub(crate) control: Handle,
    pub(crate) purse: Purse,
    pub(crate) key: NodeKey,
    pub(crate) clock: Arc<Clock>,
    pub(crate) store: Arc<Store>,
    pub(crate) router: RouterSection,
}

/// What happened on this node's routes since it started.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RouteNumbers {
    /// Offers of locks that neighbours asked to be locked onward.
    pub(crate) asked: u64,
    /// Of them, refused.
    pub(crate) refused: u64,
    /// Frames that found no stream, or a full one.
    pub(crate) dropped: u64,
    /// Streams to neighbours that stand.
    pub(crate) streams: usize,
    /// Payments that this node routes now.
    pub(crate) live: usize,
}

/// The node's routes; cheap to clone.
#[derive(Clone)]
pub(crate) struct Routes {
    /// `None` without money.
    own: Option<Arc<Own>>,
}

struct Own {
    overlay: Overlay,
    control: Handle,
    purse: Purse,
    key: NodeKey,
    clock: Arc<Clock>,
    neighbours: Neighbours,
    locks: Locks,
    deposits: Deposits,
    router: RouterSection,
    exit: mpsc::Sender<OfferedLock>,
    offers: Arc<Semaphore>,
    /// One way onward is made at a time, or two offers would open two channels.
    making_way: tokio::sync::Mutex<()>,
    book: Mutex<Book>,
}

/// What stands now.
#[derive(Default)]
struct Book {
    streams: BTreeMap<ChannelId, Stream>,
    waiting: BTreeMap<ChannelId, VecDeque<RouteFrame>>,
    dialling: BTreeMap<ChannelId, Arc<tokio::sync::Mutex<()>>>,
    /// Channels whose stream is to stand until then: a lock lives.
    held: BTreeMap<ChannelId, UnixTime>,
    /// How often a neighbour was not reached, and when it is tried again.
    resting: BTreeMap<ChannelId, (u32, UnixTime)>,
    hints: BTreeMap<NodeId, SignedRouterHint>,
    own_hint: Option<SignedRouterHint>,
    /// Routers as they were found last, and when.
    found: Option<(UnixTime, Vec<SignedRouterHint>)>,
    asked: Asked,
    /// Offers of each neighbour that are worked on.
    working: BTreeMap<ChannelId, usize>,
    count: u64,
    numbers: RouteNumbers,
}

struct Stream {
    outbox: mpsc::Sender<RouteFrame>,
    number: u64,
    /// Dropped with it: whoever reads it stops.
    _alive: oneshot::Sender<()>,
}

impl Routes {
    /// A node without money: no route is offered, taken or used.
    pub(crate) fn none() -> (Self, mpsc::Receiver<OfferedLock>) {
        let (_, inbox) = mpsc::channel(1);
        (Self { own: None }, inbox)
    }

    /// Locks for this node's own exit come out of the receiver.
    ///
    /// # Errors
    /// [`Problem`] if the neighbours on record cannot be read.
    pub(crate) fn start(parts: RouteParts) -> Result<(Self, mpsc::Receiver<OfferedLock>), Problem> {
        let (exit, inbox) = mpsc::channel(EXIT_INBOX);
        let locks = Locks::open(Arc::clone(&parts.store)).map_err(|error| error.problem())?;
        let deposits = Deposits::open(Arc::clone(&parts.store)).map_err(|error| error.problem())?;
        let neighbours = Neighbours::open(parts.store).map_err(|error| error.problem())?;
        let own = Arc::new(Own {
            overlay: parts.overlay,
            control: parts.control,
            purse: parts.purse,
            key: parts.key,
            clock: parts.clock,
            neighbours,
            locks,
            deposits,
            router: parts.router,
            exit,
            offers: Arc::new(Semaphore::new(MAX_OFFERS)),
            making_way: tokio::sync::Mutex::default(),
            book: Mutex::default(),
        });
        own.control.spawn(Arc::clone(&own).keep());
        Ok((Self { own: Some(own) }, inbox))
    }

    /// Tells the node at the other end of a channel, dialling it if this node is the payer.
    pub(crate) fn tell(&self, out: RouteOut) {
        if let Some(own) = &self.own {
            own.tell(out);
        }
    }

    /// Makes sure that a stream of this node's own channel stands.
    ///
    /// # Errors
    /// [`Problem`] if its payee's node cannot be reached or does not want it.
    pub(crate) async fn meet(&self, channel: ChannelId) -> Result<(), Problem> {
        match &self.own {
            Some(own) => own.meet(channel).await,
            None => Err(hint::no_money()),
        }
    }

    /// The stream of this channel is to stand until then, whatever happens to it.
    pub(crate) fn hold(&self, channel: ChannelId, until: UnixTime) {
        if let Some(own) = &self.own {
            own.hold(channel, until);
        }
    }

    /// A node's terms as a router, asked of it now.
    ///
    /// # Errors
    /// [`Problem`] if it cannot be reached, does not route, or says what is not its own.
    pub(crate) async fn terms_of(&self, node: NodeId) -> Result<SignedRouterHint, Problem> {
        match &self.own {
            Some(own) => own.terms_of(node).await,
            None => Err(hint::no_money()),
        }
    }

    /// The terms of routers that the DHT knows of, each asked of it now, the cheapest first.
    ///
    /// # Errors
    /// [`Problem`] if the DHT cannot be asked.
    pub(crate) async fn found(&self) -> Result<Vec<SignedRouterHint>, Problem> {
        match &self.own {
            Some(own) => own.found().await,
            None => Err(hint::no_money()),
        }
    }

    /// The same, as of the last minute.
    ///
    /// # Errors
    /// [`Problem`] if the DHT cannot be asked.
    pub(crate) async fn found_lately(&self) -> Result<Vec<SignedRouterHint>, Problem> {
        match &self.own {
            Some(own) => own.found_lately().await,
            None => Err(hint::no_money()),
        }
    }

    /// A neighbour's terms as it said them when its stream was opened; `None` if it does not route.
    pub(crate) fn said_by(&self, node: NodeId) -> Option<SignedRouterHint> {
        let own = self.own.as_ref()?;
        own.book().hints.get(&node).cloned()
    }

    /// Who is at the other end of a channel that this node pays by.
    pub(crate) fn neighbour(&self, channel: ChannelId) -> Option<Neighbour> {
        self.own.as_ref()?.neighbours.get(channel)
    }

    /// The payee of this channel is that node, which routes.
    ///
    /// # Errors
    /// [`Problem`] if it cannot be saved.
    pub(crate) async fn meets_router(
        &self,
        channel: ChannelId,
        node: NodeId,
    ) -> Result<(), Problem> {
        let kind = Kind::Router;
        match &self.own {
            Some(own) => own.neighbours.set(channel, Neighbour { node, kind }).await,
            None => Ok(()),
        }
    }

    /// Remembers what a lock of this node's own was made for. Without it, the lock serves one session only.
    pub(crate) async fn made_lock(&self, payment: PaymentId, it: LockFor) {
        if let Some(own) = &self.own
            && let Err(problem) = own.locks.keep(payment, it, own.clock.now()).await
        {
            tracing::warn!(seen = %problem.seen, "a lock is not remembered");
        }
    }

    /// The locks of this node's own that were made for an exit, at its price for a word.
    pub(crate) fn locks_for(&self, exit: NodeId, price: Amount) -> Vec<(PaymentId, LockFor)> {
        let own = self.own.as_ref();
        own.map(|it| it.locks.made_for(exit, price))
            .unwrap_or_default()
    }

    /// This lock serves no session any more, and nobody waits for its rejection.
    pub(crate) async fn forget_lock(&self, payment: PaymentId) {
        self.unask(payment);
        if let Some(own) = &self.own
            && let Err(problem) = own.locks.forget(payment).await
        {
            tracing::warn!(seen = %problem.seen, "a lock is not forgotten");
        }
    }

    /// The neighbours on record, and whether the stream of each stands.
    pub(crate) fn neighbours(&self) -> Vec<(ChannelId, Neighbour, bool)> {
        let Some(own) = &self.own else {
            return Vec::new();
        };
        let all = own.neighbours.all().into_iter();
        let book = own.book();
        all.map(|(channel, it)| (channel, it, book.streams.contains_key(&channel)))
            .collect()
    }

    /// This node's terms as a router; `None` if it does not route.
    pub(crate) async fn terms(&self) -> Option<SignedRouterHint> {
        self.own.as_ref()?.terms().await
    }

    /// Tells, once, if the router rejects this payment: until [`Self::unask`].
    pub(crate) fn rejection_of(&self, payment: PaymentId) -> oneshot::Receiver<PayErrorCode> {
        let own = self.own.as_ref();
        own.map_or_else(|| oneshot::channel().1, |it| it.book().asked.wait(payment))
    }

    /// Whoever waits for this payment's rejection waits no more.
    pub(crate) fn unask(&self, payment: PaymentId) {
        let own = self.own.as_ref();
        drop(own.and_then(|it| it.book().asked.remove(&payment)));
    }

    pub(crate) fn numbers(&self) -> RouteNumbers {
        let Some(own) = &self.own else {
            return RouteNumbers::default();
        };
        let book = own.book();
        RouteNumbers {
            streams: book.streams.len(),
            ..book.numbers
        }
    }
}

impl Own {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    const fn payments(&self) -> &Payments {
        self.purse.payments()
    }

    fn tell(self: &Arc<Self>, out: RouteOut) {
        let RouteOut { channel, frame } = out;
        let dials = self.neighbours.get(channel).is_some();
        let mut book = self.book();
        let frame = match book.streams.get(&channel) {
            Some(stream) => match stream.outbox.try_send(frame) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Closed(frame)) => frame,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    book.numbers.dropped = book.numbers.dropped.saturating_add(1);
                    return;
                }
            },
            None => frame,
        };
        let waiting = book.waiting.entry(channel).or_default();
        if !dials || waiting.len() >= MAX_WAITING {
            tracing::debug!(channel = %channel.short(), frame = frame.name(), "no stream to this neighbour");
            book.numbers.dropped = book.numbers.dropped.saturating_add(1);
            book.waiting.retain(|_, it| !it.is_empty());
            return;
        }
        waiting.push_back(frame);
        drop(book);
        let own = Arc::clone(self);
        self.control.spawn(async move {
            if let Err(problem) = own.meet(channel).await {
                tracing::debug!(channel = %channel.short(), seen = %problem.seen, "neighbour not reached");
            }
        });
    }

    fn hold(&self, channel: ChannelId, until: UnixTime) {
        let mut book = self.book();
        let held = book.held.entry(channel).or_insert(until);
        *held = (*held).max(until);
    }
}
