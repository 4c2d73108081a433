//! One guest: its machine, its stream, its place in the tunnel; and what its effects do.

use std::net::IpAddr;

use tokio::task::AbortHandle;
use warren_overlay::{SessionReceiver, SessionSender};
use warren_proto::{
    ByteCount, ChannelId, GoodbyeReason, NodeId, PayErrorCode, Receipt, SessionFrame, SessionId,
    SessionRequest, UnixTime,
};
use warren_tunnel::{GuestId, GuestSpec};

use super::Shell;
use super::watch::gate;
use crate::metrics::Metric;
use crate::outlet::Outlet;
use crate::perform::MoneyNews;
use crate::receipt::Past;
use crate::session::{
    Ower, ProviderClosing, ProviderEffect, ProviderEvent, ProviderPhase, ProviderSession,
};

/// News for the loop from its helpers.
pub(super) enum Heard {
    Asked {
        peer: NodeId,
        request: SessionRequest,
        sender: Box<SessionSender>,
        receiver: Box<SessionReceiver>,
    },
    Session {
        session: SessionId,
        stream: u64,
        news: News,
    },
}

/// News of one session.
pub(super) enum News {
    Frame(SessionFrame),
    Broken,
    Money(MoneyNews),
    /// The receipt with both signatures. `None` if this side does not agree with it.
    Receipt(Option<Box<Receipt>>),
}

/// A guest under way.
pub(super) struct Guest {
    pub(super) machine: ProviderSession,
    pub(super) peer: NodeId,
    pub(super) since: UnixTime,
    pub(super) tunnel: Option<GuestId>,
    /// When it got a place in the tunnel. `None` if it never had one.
    pub(super) began: Option<UnixTime>,
    /// It shook hands there.
    pub(super) shook: bool,
    /// Where it stood when that was last told. `None`: it was not told yet.
    pub(super) told: Option<ProviderPhase>,
    pub(super) channel: Option<ChannelId>,
    /// Counts the streams of this session: the newest one speaks.
    pub(super) stream: u64,
    /// A receipt is waited for, or being signed, of what was then past.
    pub(super) closing: Option<Box<(ProviderClosing, Past)>>,
    pub(super) talk: Option<Talk>,
    /// Takes its first voucher, or waits for its deposit.
    paying: Option<Aside>,
    /// What the gate was last told, or will be once it may open.
    pub(super) allowed: ByteCount,
}

/// A stream to a guest: what is said waits here, what is heard comes to the loop.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) outlet: Outlet,
    _reader: Aside,
}

/// A task of a guest; for a stream that was replaced, or a guest that is gone, nothing is read or waited for.
#[derive(Debug)]
struct Aside(AbortHandle);

impl Drop for Aside {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Guest {
    pub(super) const fn new(machine: ProviderSession, peer: NodeId, since: UnixTime) -> Self {
        Self {
            machine,
            peer,
            since,
            tunnel: None,
            began: None,
            shook: false,
            told: None,
            channel: None,
            stream: 0,
            closing: None,
            talk: None,
            paying: None,
            allowed: ByteCount::from_bytes(0),
        }
    }
}

impl Shell {
    /// Makes this stream the session's own and reads it aside.
    pub(super) fn attach(
        &mut self,
        session: SessionId,
        sender: SessionSender,
        mut receiver: SessionReceiver,
    ) {
        let Some(guest) = self
            .exit
            .as_mut()
            .and_then(|exit| exit.guests.get_mut(&session))
        else {
            return;
        };
        guest.stream = guest.stream.wrapping_add(1);
        let (stream, heard_by) = (guest.stream, self.heard_by.clone());
        let reader = self.parts.control.spawn(async move {
            while let Ok(Some(frame)) = receiver.recv().await {
                let news = News::Frame(frame);
                if heard_by
                    .send(Heard::Session {
                        session,
                        stream,
                        news,
                    })
                    .await
                    .is_err()
                {
                    return;
                }
            }
            let _ = heard_by
                .send(Heard::Session {
                    session,
                    stream,
                    news: News::Broken,
                })
                .await;
        });
        guest.talk = Some(Talk {
            outlet: Outlet::start(&self.parts.control, sender),
            _reader: Aside(reader.abort_handle()),
        });
    }

    /// Performs effects in their order.
    pub(super) async fn perform(&mut self, session: SessionId, effects: Vec<ProviderEffect>) {
        for effect in effects {
            match effect {
                ProviderEffect::Send(frame) => self.send(session, frame),
                ProviderEffect::TakePayment(start) => self.take_payment(session, *start).await,
                ProviderEffect::TakeVoucher(voucher) => {
                    let Some(purse) = self.parts.purse.clone() else {
                        continue;
                    };
                    let heard = purse.take_voucher(voucher).await;
                    self.money(session, heard).await;
                }
                ProviderEffect::TakeWord(word) => {
                    let (Some(purse), Some(channel)) =
                        (self.parts.purse.clone(), self.channel(session))
                    else {
                        continue;
                    };
                    let heard = purse.take_word(channel, word).await;
                    self.money(session, heard).await;
                }
                ProviderEffect::Lock(order) => self.perform_lock(session, order).await,
                ProviderEffect::AddGuest(terms) => {
                    let spec = GuestSpec {
                        peer_key: terms.consumer_key,
                        v4: terms.consumer_v4,
                        v6: terms.consumer_v6,
                    };
                    if !self.add_guest(session, spec) {
                        // What follows says that it can shake hands, which it cannot.
                        let stop = ProviderEvent::Stop(GoodbyeReason::Shutdown);
                        return Box::pin(self.event(session, stop)).await;
                    }
                }
                ProviderEffect::Allow(bytes) => self.allow(session, bytes),
                ProviderEffect::Countersign { receipt, own } => {
                    self.countersign(session, *receipt, *own);
                }
                ProviderEffect::AwaitReceipt(own) => self.await_receipt(session, *own),
                ProviderEffect::Attest(own) => self.attest(session, *own),
                ProviderEffect::RemoveGuest => self.remove_guest(session),
                ProviderEffect::Ended(end) => {
                    tracing::info!(session = %session.short(), ?end, "session ended");
                    self.tell_of_end(session, end);
                    self.ended(session).await;
                }
            }
        }
    }

    fn channel(&self, session: SessionId) -> Option<ChannelId> {
        self.guests()
            .and_then(|guests| guests.get(&session))
            .and_then(|guest| guest.channel)
    }

    /// Acts on what the purse said: frames for the consumer, then the event for the machine.
    pub(super) async fn money(&mut self, session: SessionId, heard: MoneyNews) {
        for frame in heard.frames {
            self.send(session, frame);
        }
        Box::pin(self.event(session, heard.event)).await;
    }

    /// The consumer has not said goodbye yet, or never will.
    pub(super) async fn receipt_signed(
        &mut self,
        session: SessionId,
        signed: Option<Box<Receipt>>,
    ) {
        let exit = self.exit.as_mut();
        if let Some(guest) = exit.and_then(|exit| exit.guests.get_mut(&session)) {
            guest.closing = None;
        }
        if let Some(receipt) = signed {
            self.send(session, SessionFrame::Receipt(receipt));
        }
    }

    fn send(&mut self, session: SessionId, frame: SessionFrame) {
        let Some(guest) = self
            .exit
            .as_mut()
            .and_then(|exit| exit.guests.get_mut(&session))
        else {
            return;
        };
        if let Some(talk) = &guest.talk
            && let Err(error) = talk.outlet.send(frame)
        {
            tracing::debug!(session = %session.short(), %error, "stream given up");
            guest.talk = None;
            let (now, lost) = (self.parts.clock.now(), ProviderEvent::StreamLost);
            // It only begins to wait for the guest to come back: there is nothing to perform.
            drop(guest.machine.handle(lost, now));
        }
    }

    fn allow(&mut self, session: SessionId, bytes: ByteCount) {
        let Some(exit) = &mut self.exit else { return };
        let Some(guest) = exit.guests.get_mut(&session) else {
            return;
        };
        guest.allowed = bytes;
        let at = guest.tunnel;
        if let Some(at) = at
            && let Err(error) = exit.tunnel.set_gate(at, gate(exit, bytes))
        {
            tracing::warn!(%error, "allowance cannot be set");
        }
    }

    /// Takes the first voucher in the background: the deposit may need blocks to be confirmed.
    async fn take_payment(&mut self, session: SessionId, start: warren_proto::SessionStart) {
        if self.is_in_use(session, &start) {
            tracing::warn!(session = %session.short(), "its channel pays for another session here");
            let busy = ProviderEvent::PaymentRefused(PayErrorCode::Busy);
            return Box::pin(self.event(session, busy)).await;
        }
        let Some(guest) = self
            .exit
            .as_mut()
            .and_then(|exit| exit.guests.get_mut(&session))
        else {
            return;
        };
        let terms = guest.machine.terms().clone();
        guest.channel = start.payment.as_ref().map(|it| it.channel.id(&terms.chain));
        if let Some(channel) = guest.channel {
            guest.machine.owes(self.arrears.of(Ower::Channel(channel)));
        }
        let (stream, purse) = (guest.stream, self.parts.purse.clone());
        let heard_by = self.heard_by.clone();
        let task = tokio::spawn(async move {
            let money = crate::perform::take_payment(purse.as_ref(), &terms, &start).await;
            let news = News::Money(money);
            let _ = heard_by
                .send(Heard::Session {
                    session,
                    stream,
                    news,
                })
                .await;
        });
        guest.paying = Some(Aside(task.abort_handle()));
    }

    /// Whether the channel of this start pays for another session here: what it says in one of two would
    /// be served for in both. A router's channel is no such one: its locks are counted each for itself.
    fn is_in_use(&self, session: SessionId, start: &warren_proto::SessionStart) -> bool {
        let mut guests = self.guests().into_iter().flatten();
        guests.any(|(id, it)| {
            let channel = start.payment.as_ref();
            let channel = channel.map(|of| of.channel.id(&it.machine.terms().chain));
            let same = channel.is_some() && it.channel == channel;
            *id != session && same && !it.machine.is_routed()
        })
    }

    /// Whether it has a place in the tunnel now.
    fn add_guest(&mut self, session: SessionId, spec: GuestSpec) -> bool {
        let Some(exit) = &mut self.exit else {
            return false;
        };
        let Some(guest) = exit.guests.get_mut(&session) else {
            return false;
        };
        match exit.tunnel.add_guest(spec) {
            Ok(at) => {
                let now = self.parts.clock.now();
                (guest.tunnel, guest.began) = (Some(at), Some(now));
                exit.admission.begun(session, now);
            }
            Err(error) => tracing::error!(%error, "guest cannot be added"),
        }
        guest.tunnel.is_some()
    }

    fn remove_guest(&mut self, session: SessionId) {
        self.look_for_handshakes(); // The last chance for this one's.
        let Some(exit) = &mut self.exit else { return };
        let Some(guest) = exit.guests.get_mut(&session) else {
            return;
        };
        let Some(at) = guest.tunnel.take() else {
            return;
        };
        if let Err(error) = exit.tunnel.remove_guest(at) {
            tracing::warn!(%error, "guest was gone already");
        }
        let terms = guest.machine.terms();
        exit.left
            .extend([terms.consumer_v4.into(), terms.consumer_v6.into()] as [IpAddr; 2]);
    }

    async fn ended(&mut self, session: SessionId) {
        let Some(exit) = &mut self.exit else { return };
        exit.admission.release(session);
        let Some(guest) = exit.guests.remove(&session) else {
            return;
        };
        self.was_reached(&guest);
        if guest.began.is_some() {
            self.served = self.served.saturating_add(1);
            self.parts.metrics.add(Metric::SessionsServed, 1);
        }
        let channel = guest.channel.filter(|_| guest.machine.is_paid_by_channel());
        let owing = guest.machine.leaves_owing(self.parts.clock.now());
        let owers = channel.map(Ower::Channel);
        for ower in owers.into_iter().chain([Ower::Node(guest.peer)]) {
            self.arrears.set(ower, owing);
        }
        self.leave(session, guest);
        if let (Some(purse), Some(channel)) = (&self.parts.purse, channel) {
            purse.session_ended(channel).await;
        }
    }
}
