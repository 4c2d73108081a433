//! The streams themselves: who dials, who is let in, what becomes of each frame.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use warren_overlay::{SessionReceiver, SessionSender, SessionStream};
use warren_payments::channel::router::sealed;
use warren_payments::{RouteOut, SessionAuth};
use warren_proto::{
    ChannelId, HelloChannel, LockOffer, LockReject, NodeId, PayErrorCode, RouteFrame, RouteHello,
    RouteWelcome, SessionFrame, SignedRouterHint, hello_nonce,
};

use super::{MAX_OFFERS, MAX_OFFERS_EACH, OUTBOX, OfferedLock, Own, Routes, Stream};
use crate::error::{ErrorCode, Problem};
use crate::perform::{problem, say};

// Our choices.
/// A hello is good for so long: it is said at once.
const HELLO_LIFE: Duration = Duration::from_secs(120);
/// Specification: a hello names a time at most so far ahead.
const MAX_HELLO_LIFE: Duration = Duration::from_secs(600);
/// For the payee to see a fresh deposit.
const DEPOSIT_WAIT: Duration = Duration::from_secs(20);
/// For the whole opening of a stream.
const OPENING: Duration = Duration::from_secs(25);
/// For this node's own exit to answer for a lock.
const EXIT_WAIT: Duration = Duration::from_secs(10);

impl Routes {
    /// Answers a hello, and if it is good, makes its stream the channel's own.
    pub(crate) async fn serve(
        &self,
        peer: NodeId,
        hello: RouteHello,
        (mut sender, receiver): (SessionSender, SessionReceiver),
    ) {
        let Some(own) = &self.own else { return };
        let welcomed = match hello.channel {
            Some(channel) => own.knows(channel).await.map(Some),
            None => Ok(None),
        };
        let (answer, channel) = match welcomed {
            Ok(channel) => {
                let hint = own.terms().await.map(|it| it.as_bytes().to_vec());
                let welcome = RouteWelcome { hint };
                (SessionFrame::RouteWelcome(Box::new(welcome)), channel)
            }
            Err((channel, code)) => {
                let detail = code.to_string();
                let error = SessionFrame::PayError {
                    channel,
                    code,
                    detail,
                };
                (error, None)
            }
        };
        if sender.send(answer).await.is_err() {
            return;
        }
        match channel {
            Some(channel) => {
                tracing::info!(channel = %channel.short(), peer = %peer.short(), "a neighbour pays by routes");
                own.stands(channel, sender, receiver);
                // What was said while nobody could fold it, or before a restart of this node.
                let unfolded = own.payments().unfolded(channel).await;
                unfolded.into_iter().flatten().for_each(|it| own.tell(it));
            }
            None => {
                let _ = sender.close().await; // The peer may be gone.
            }
        }
    }
}

impl Own {
    /// Whether the payer of a channel says hello, and its deposit counts.
    async fn knows(&self, it: HelloChannel) -> Result<ChannelId, (ChannelId, PayErrorCode)> {
        let payments = self.payments();
        let channel = it.params.id(&payments.chain_ref());
        let refuse = |code| (channel, code);
        if it.not_after.since(self.clock.now()) > MAX_HELLO_LIFE {
            return Err(refuse(PayErrorCode::ExpiryTooFar));
        }
        let auth = SessionAuth {
            channel,
            payee_nonce: hello_nonce(),
            payee: self.key.id(),
            not_after: it.not_after,
        };
        let watched = payments.watch(it.params, auth, it.auth).await;
        watched.map_err(|error| refuse(error.code()))?;
        let usable = timeout(DEPOSIT_WAIT, payments.wait_usable(channel)).await;
        match usable {
            Ok(Ok(())) => Ok(channel),
            Ok(Err(error)) => Err(refuse(error.code())),
            Err(_) => Err(refuse(PayErrorCode::NotConfirmed)),
        }
    }

    /// Makes sure that a stream of this node's own channel stands.
    pub(super) async fn meet(self: &Arc<Self>, channel: ChannelId) -> Result<(), Problem> {
        let dialling = Arc::clone(self.book().dialling.entry(channel).or_default());
        let one_at_a_time = dialling.lock().await;
        if self.book().streams.contains_key(&channel) {
            return Ok(());
        }
        let known = self.neighbours.get(channel).map(|it| it.node);
        let node = known.ok_or_else(|| {
            let seen = format!(
                "nobody said whose node is paid by channel {}",
                channel.short()
            );
            Problem::new(ErrorCode::RouterUnusable, seen)
        })?;
        let dialled = timeout(OPENING, self.dial(channel, node)).await;
        let dialled = dialled.unwrap_or_else(|_| {
            let seen = format!("{} did not answer in time", node.short());
            Err(Problem::new(ErrorCode::NodeUnreachable, seen))
        });
        if dialled.is_err() {
            self.rest(channel);
        }
        let (sender, receiver) = dialled?;
        self.stands(channel, sender, receiver);
        drop(one_at_a_time);
        Ok(())
    }

    async fn dial(
        &self,
        channel: ChannelId,
        node: NodeId,
    ) -> Result<(SessionSender, SessionReceiver), Problem> {
        let payments = self.payments();
        let held = payments.channels().await.map_err(|it| problem(&it))?;
        let held = held.iter().find(|it| it.id == channel);
        let params = held.map(|it| it.params).ok_or_else(|| {
            Problem::new(ErrorCode::NotFound, format!("no channel {channel} here"))
        })?;
        let not_after = self.clock.now().plus(HELLO_LIFE);
        let auth = SessionAuth {
            channel,
            payee_nonce: hello_nonce(),
            payee: node,
            not_after,
        };
        let auth = payments.sign_auth(auth).await.map_err(|it| problem(&it))?;
        let hello = RouteHello {
            channel: Some(HelloChannel {
                params,
                not_after,
                auth,
            }),
        };
        let (stream, hint) = self.say_hello(node, hello).await?;
        let mut book = self.book();
        match hint {
            Some(hint) => drop(book.hints.insert(node, hint)),
            None => drop(book.hints.remove(&node)),
        }
        Ok(stream.split())
    }

    /// A node's terms as a router, asked of it now.
    pub(super) async fn terms_of(&self, node: NodeId) -> Result<SignedRouterHint, Problem> {
        let asked = timeout(OPENING, self.say_hello(node, RouteHello::default())).await;
        let silent = |_| {
            let seen = format!("{} did not answer in time", node.short());
            Problem::new(ErrorCode::NodeUnreachable, seen)
        };
        let (mut stream, hint) = asked.map_err(silent)??;
        let _ = stream.close().await; // It has said all there is.
        hint.ok_or_else(|| {
            let seen = format!("{} does not route payments", node.short());
            Problem::new(ErrorCode::RouterUnusable, seen)
        })
    }

    async fn say_hello(
        &self,
        node: NodeId,
        hello: RouteHello,
    ) -> Result<(SessionStream, Option<SignedRouterHint>), Problem> {
        let hello = SessionFrame::RouteHello(Box::new(hello));
        let (stream, answer) = say(&self.overlay, node, hello).await?;
        let odd = |seen: String| Problem::new(ErrorCode::RouterUnusable, seen);
        let name = node.short();
        match answer {
            Some(SessionFrame::RouteWelcome(welcome)) => {
                let hint = super::hint::checked(welcome.hint.as_deref(), node, self.clock.now())?;
                Ok((stream, hint))
            }
            Some(SessionFrame::PayError { code, .. }) => Err(odd(format!("{name} says: {code}"))),
            Some(other) => Err(odd(format!("{name} answered with {}", other.name()))),
            None => Err(odd(format!("{name} hung up"))),
        }
    }

    /// Makes this stream the channel's own; one that stood before ends.
    fn stands(
        self: &Arc<Self>,
        channel: ChannelId,
        mut sender: SessionSender,
        mut receiver: SessionReceiver,
    ) {
        let (outbox, mut inbox) = mpsc::channel::<RouteFrame>(OUTBOX);
        let (alive, mut ended) = oneshot::channel();
        let number = {
            let mut book = self.book();
            book.count = book.count.saturating_add(1);
            let number = book.count;
            for frame in book.waiting.remove(&channel).unwrap_or_default() {
                let _ = outbox.try_send(frame); // Fewer wait than the outbox holds.
            }
            let stream = Stream {
                outbox,
                number,
                _alive: alive,
            };
            book.streams.insert(channel, stream);
            book.resting.remove(&channel);
            number
        };
        self.control.spawn(async move {
            while let Some(frame) = inbox.recv().await {
                let frame = SessionFrame::Route(Box::new(frame));
                if sender.send(frame).await.is_err() {
                    return;
                }
            }
            let _ = sender.close().await;
        });
        let own = Arc::clone(self);
        self.control.spawn(async move {
            loop {
                let heard = tokio::select! {
                    heard = receiver.recv() => heard,
                    _ = &mut ended => break, // A newer stream of this channel stands.
                };
                let Ok(Some(SessionFrame::Route(frame))) = heard else {
                    break;
                };
                own.heard(channel, *frame).await;
            }
            let mut book = own.book();
            if book
                .streams
                .get(&channel)
                .is_some_and(|it| it.number == number)
            {
                book.streams.remove(&channel);
            }
        });
    }

    /// A neighbour says something about a channel.
    async fn heard(self: &Arc<Self>, channel: ChannelId, frame: RouteFrame) {
        tracing::debug!(channel = %channel.short(), frame = frame.name(), "heard on a route");
        match frame {
            RouteFrame::Offer(offer) => self.offered(channel, offer),
            frame @ (RouteFrame::Ready(_)
            | RouteFrame::Reject(_)
            | RouteFrame::Fulfill(_)
            | RouteFrame::Voucher(_)
            | RouteFrame::VoucherAck(_)
            | RouteFrame::PayError { .. }) => self.take(channel, frame).await,
        }
    }

    async fn take(self: &Arc<Self>, channel: ChannelId, frame: RouteFrame) {
        let is_complaint = matches!(frame, RouteFrame::PayError { .. });
        let rejected = if let RouteFrame::Reject(it) = &frame {
            Some((it.payment, it.code))
        } else {
            None
        };
        match self.payments().route_frame(channel, frame).await {
            Ok(outs) => {
                outs.into_iter().for_each(|it| self.tell(it));
                if let Some((payment, code)) = rejected
                    && let Some(asked) = self.book().asked.remove(&payment)
                {
                    let _ = asked.send(code); // Whoever asked may have stopped waiting.
                }
            }
            Err(error) if is_complaint => tracing::debug!(%error, "a complaint of a neighbour"),
            Err(error) => {
                tracing::debug!(channel = %channel.short(), %error, "a frame of a neighbour is not taken");
                let code = error.code();
                let frame = RouteFrame::PayError {
                    channel,
                    code,
                    detail: code.to_string(),
                };
                self.tell(RouteOut { channel, frame });
            }
        }
    }

    /// Offers are worked on beside the stream: a channel onward may have to be opened first.
    fn offered(self: &Arc<Self>, channel: ChannelId, offer: Box<LockOffer>) {
        let refused = |code| not_held(channel, &offer, code);
        if offer.voucher.channel != channel {
            return self.tell(refused(PayErrorCode::UnknownChannel));
        }
        let place = Arc::clone(&self.offers).try_acquire_owned();
        let Some(place) = place.ok().filter(|_| self.begin(channel)) else {
            tracing::info!(
                MAX_OFFERS,
                MAX_OFFERS_EACH,
                "too many offers of locks at once"
            );
            return self.tell(refused(PayErrorCode::Busy));
        };
        let own = Arc::clone(self);
        self.control.spawn(async move {
            let outs = match own.unsealed(offer) {
                Ok(offer) if offer.onward.is_empty() => {
                    vec![own.for_the_exit(channel, offer).await]
                }
                Ok(offer) => own.onward(channel, offer).await,
                Err(offer) => vec![not_held(channel, &offer, PayErrorCode::NoRoute)],
            };
            outs.into_iter().for_each(|it| own.tell(it));
            own.end(channel);
            drop(place);
        });
    }

    /// The offer with what was sealed in it for this node; as it came, if that cannot be opened.
    fn unsealed(&self, mut offer: Box<LockOffer>) -> Result<Box<LockOffer>, Box<LockOffer>> {
        let Some(it) = offer.sealed.filter(|_| offer.onward.is_empty()) else {
            return Ok(offer);
        };
        match sealed::open(&it, &self.key, &offer.payment) {
            Some(hop) => {
                (offer.onward, offer.sealed) = (vec![hop], None);
                Ok(offer)
            }
            None => Err(offer),
        }
    }

    /// Whether one more offer of this neighbour may be worked on.
    fn begin(&self, channel: ChannelId) -> bool {
        let mut book = self.book();
        let count = book.working.entry(channel).or_default();
        let begins = *count < MAX_OFFERS_EACH;
        *count = count.saturating_add(usize::from(begins));
        begins
    }

    fn end(&self, channel: ChannelId) {
        let mut book = self.book();
        let count = book.working.get(&channel).copied().unwrap_or_default();
        match count.checked_sub(1).filter(|it| *it > 0) {
            Some(left) => drop(book.working.insert(channel, left)),
            None => drop(book.working.remove(&channel)),
        }
    }

    async fn for_the_exit(&self, channel: ChannelId, offer: Box<LockOffer>) -> RouteOut {
        let not_taken = |offer: &LockOffer, code| not_held(channel, offer, code);
        let (reply, answer) = oneshot::channel();
        let kept = offer.clone();
        let sent = self.exit.try_send(OfferedLock { offer, reply });
        if sent.is_err() {
            return not_taken(&kept, PayErrorCode::Busy);
        }
        match timeout(EXIT_WAIT, answer).await {
            Ok(Ok(Ok(ready))) => RouteOut {
                channel,
                frame: RouteFrame::Ready(ready),
            },
            Ok(Ok(Err(code))) => not_taken(&kept, code),
            Ok(Err(_)) => not_taken(&kept, PayErrorCode::NoRoute),
            Err(_) => held(channel, &kept, PayErrorCode::Busy),
        }
    }
}

/// Nothing of this offer is held here: the payer may take the lock back.
pub(super) fn not_held(channel: ChannelId, offer: &LockOffer, code: PayErrorCode) -> RouteOut {
    reject(channel, offer, code, false)
}

/// It may be held: the lock stays until it expires.
pub(super) fn held(channel: ChannelId, offer: &LockOffer, code: PayErrorCode) -> RouteOut {
    reject(channel, offer, code, true)
}

fn reject(channel: ChannelId, offer: &LockOffer, code: PayErrorCode, held: bool) -> RouteOut {
    let frame = RouteFrame::Reject(LockReject::of(offer.payment, code, held));
    RouteOut { channel, frame }
}
