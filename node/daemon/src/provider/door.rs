//! Who comes in: new streams, requests, and sessions that go on.

use warren_overlay::{SessionReceiver, SessionSender, SessionStream};
use warren_proto::{
    ByteCount, GoodbyeReason, NodeId, Refusal, RefusalReason, SessionFrame, SessionId,
    SessionRequest, SessionTerms,
};
use warren_tunnel::Usage;

use super::guest::{Guest, Heard};
use super::{FIRST_FRAME, Shell};
use crate::metrics::Metric;
use crate::outlet::Outlet;
use crate::perform::answer_payer;
use crate::session::{Fresh, Ower, ProviderEvent, ProviderSession};

impl Shell {
    /// Reads the first frame of a new stream aside, so that a silent stranger holds up nobody.
    pub(super) fn inbound(&self, peer: NodeId, stream: SessionStream) {
        let (heard_by, serves) = (self.heard_by.clone(), self.exit.is_some());
        let (purse, own) = (self.parts.purse.clone(), self.parts.key.id());
        let (towers, routes) = (self.parts.towers.clone(), self.parts.routes.clone());
        if !serves && purse.is_none() {
            return;
        }
        self.parts.control.spawn(async move {
            let (mut sender, mut receiver) = stream.split();
            let first = tokio::time::timeout(FIRST_FRAME, receiver.recv()).await;
            match (first, purse) {
                (Ok(Ok(Some(SessionFrame::Request(request)))), _) if serves => {
                    let asked = Heard::Asked {
                        peer,
                        request,
                        sender: Box::new(sender),
                        receiver: Box::new(receiver),
                    };
                    let _ = heard_by.send(asked).await;
                }
                // A node that serves no more still owes its payers an answer.
                (Ok(Ok(Some(SessionFrame::ChannelAsk(ask)))), Some(purse)) => {
                    let answer = answer_payer(&purse, own, *ask).await;
                    let _ = sender.send(answer).await;
                    let _ = sender.close().await;
                }
                (Ok(Ok(Some(SessionFrame::TowerPut(put)))), _) => {
                    towers.serve(peer, *put, (sender, receiver)).await;
                }
                (Ok(Ok(Some(SessionFrame::RouteHello(hello)))), _) => {
                    routes.serve(peer, *hello, (sender, receiver)).await;
                }
                _ => {} // Whoever says something else first is no peer of ours.
            }
        });
    }

    /// Only the consumer that was granted the session may go on with it.
    pub(super) fn resumes(&self, peer: NodeId, request: &SessionRequest) -> bool {
        let held = self
            .guests()
            .and_then(|guests| guests.get(&request.session));
        request.resume && held.is_some_and(|guest| guest.peer == peer)
    }

    /// Grants or refuses; when all places are taken, whoever does not use its own gives it up.
    async fn decide(
        &mut self,
        request: &SessionRequest,
        peer: NodeId,
        fresh: Fresh,
    ) -> Result<SessionTerms, Refusal> {
        let now = self.parts.clock.now();
        let draining = Refusal {
            session: request.session,
            reason: RefusalReason::Draining,
            detail: RefusalReason::Draining.to_string(),
        };
        let Some(exit) = &mut self.exit else {
            return Err(draining);
        };
        let decided = exit.admission.decide(request, peer, fresh, now);
        let full = matches!(&decided, Err(it) if it.reason == RefusalReason::Full);
        let Some(yields) = exit.admission.yields(now).filter(|_| full) else {
            return decided;
        };
        tracing::info!(session = %yields.short(), "gives its unused place to a newcomer");
        let stop = ProviderEvent::Stop(GoodbyeReason::Unpaid);
        self.event(yields, stop).await;
        let exit = self.exit.as_mut().ok_or(draining)?;
        exit.admission.decide(request, peer, fresh, now)
    }

    /// What a guest carried until now, by the tunnel's meter.
    pub(super) fn carried(&mut self, session: SessionId, usage: Usage) {
        let now = self.parts.clock.now();
        if let Some(exit) = &mut self.exit
            && let Some(guest) = exit.guests.get(&session)
            && guest.machine.used() != (usage.up, usage.down)
        {
            exit.admission.used(session, now);
            let (up, down) = guest.machine.used();
            let more =
                |now: ByteCount, before: ByteCount| now.bytes().saturating_sub(before.bytes());
            let metrics = &self.parts.metrics;
            metrics.add(Metric::ExitUpBytes, more(usage.up, up));
            metrics.add(Metric::ExitDownBytes, more(usage.down, down));
        }
    }

    pub(super) async fn asked(
        &mut self,
        peer: NodeId,
        request: SessionRequest,
        sender: SessionSender,
        receiver: SessionReceiver,
    ) {
        let now = self.parts.clock.now();
        // A guest that cannot be written down is a guest whose words may be lost.
        let has_space = self.parts.headroom.takes_liabilities();
        let Some(exit) = &mut self.exit else { return };
        // A consumer that asks anew has given its old session up.
        let old: Vec<_> = exit
            .guests
            .iter()
            .filter(|(_, it)| it.peer == peer)
            .map(|(id, _)| *id)
            .collect();
        for session in old {
            self.event(session, ProviderEvent::Stop(GoodbyeReason::Asked))
                .await;
        }
        let Some(exit) = &self.exit else { return };
        let fresh = Fresh {
            provider_key: exit.what.tunnel_key,
            payee_nonce: rand::random(),
        };
        // A session is named by whoever asks for it: nobody takes the place of another by its name.
        let (id, leaving) = (&request.session, &self.leaving);
        let held = exit.guests.contains_key(id) || leaving.contains_key(id);
        let is_taken = held && !request.resume;
        let decided = if has_space && !is_taken {
            self.decide(&request, peer, fresh).await
        } else {
            if !has_space {
                tracing::warn!("the disk is nearly full: no guest is taken");
            }
            Err(Refusal {
                session: request.session,
                reason: RefusalReason::Internal,
                detail: RefusalReason::Internal.to_string(),
            })
        };
        let metrics = &self.parts.metrics;
        metrics.add(Metric::SessionsAsked, 1);
        metrics.add(Metric::SessionsRefused, decided.is_err().into());
        let Some(exit) = &mut self.exit else { return };
        match decided {
            Ok(terms) => {
                let signature = terms.sign(&self.parts.key);
                let credit = exit.admission.credit(&terms);
                let (mut machine, effects) =
                    ProviderSession::new(terms, signature, credit, self.parts.limits, now);
                machine.owes(self.arrears.of(Ower::Node(peer)));
                let guest = Guest::new(machine, peer, now);
                exit.guests.insert(request.session, guest);
                self.attach(request.session, sender, receiver);
                self.perform(request.session, effects).await;
            }
            Err(refusal) => {
                tracing::debug!(peer = %peer.short(), reason = %refusal.reason, "request refused");
                // Said and closed aside: whoever does not read holds up nobody.
                let outlet = Outlet::start(&self.parts.control, sender);
                let _ = outlet.send(SessionFrame::Refusal(refusal));
            }
        }
    }
}
