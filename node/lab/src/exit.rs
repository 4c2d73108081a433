//! An exit of the world: performs what the product's admission and session cores ask.

mod money;

use warren_daemon::session::{
    Fresh, ProviderEffect, ProviderEvent, ProviderSession, SessionLimits,
};
use warren_payments::channel::{ChainFact, PayeeChannel, PayeeEvent, Rules};
use warren_proto::{
    ByteCount, ChannelId, SessionFrame, SessionId, SessionRequest, TunnelPublicKey,
};

use crate::nodes::{Exit, Serving};
use crate::run::LabError;
use crate::world::World;

/// A chain keeps few transactions of one account waiting.
const CLAIMS_A_ROUND: usize = 32;

impl World {
    pub(crate) fn exit_hears(
        &mut self,
        me: usize,
        from: usize,
        frame: SessionFrame,
    ) -> Result<(), LabError> {
        let Some(exit) = self.nodes[me].exit().filter(|it| it.alive) else {
            return Ok(());
        };
        let of = |it: &(&SessionId, &Serving)| it.1.consumer == from;
        let session = exit.sessions.iter().filter(of).map(|(id, _)| *id).next();
        match (frame, session) {
            (SessionFrame::Request(request), _) => self.asked(me, from, &request),
            (frame, Some(session)) => self.exit_event(me, session, ProviderEvent::Frame(frame)),
            (_, None) => Ok(()),
        }
    }

    fn asked(&mut self, me: usize, from: usize, request: &SessionRequest) -> Result<(), LabError> {
        let now = self.now;
        let fresh = Fresh {
            provider_key: TunnelPublicKey::from_bytes(self.links.bytes()),
            payee_nonce: self.links.bytes(),
        };
        let (consumer, key) = (self.nodes[from].id, self.nodes[me].key.clone());
        let Some(exit) = self.nodes[me].exit_mut() else {
            return Ok(());
        };
        exit.sessions.retain(|_, it| it.consumer != from);
        match exit.admission.decide(request, consumer, fresh, now) {
            Ok(terms) => {
                let signature = terms.sign(&key);
                let session = terms.session;
                let credit = exit.admission.credit(&terms);
                let (machine, effects) =
                    ProviderSession::new(terms, signature, credit, SessionLimits::default(), now);
                let serving = Serving {
                    machine,
                    consumer: from,
                    channel: None,
                    waiting: None,
                    allowed: 0,
                };
                exit.sessions.insert(session, serving);
                self.exit_does(me, session, effects)
            }
            Err(refusal) => {
                self.send(me, from, &SessionFrame::Refusal(refusal));
                Ok(())
            }
        }
    }

    /// The exit's own meter, and its clock.
    pub(crate) fn exit_meters(
        &mut self,
        me: usize,
        session: SessionId,
        down: ByteCount,
    ) -> Result<(), LabError> {
        if self.nodes[me].exit().is_none_or(|it| !it.alive) {
            return Ok(());
        }
        let up = ByteCount::default();
        self.exit_event(me, session, ProviderEvent::Usage { up, down })?;
        let serving = self.nodes[me]
            .exit()
            .and_then(|it| it.sessions.get(&session));
        if let Some(serving) = serving {
            let machine = &serving.machine;
            let due = warren_daemon::session::due_units(machine.terms(), down, Default::default());
            let unpaid = due.unwrap_or(0).saturating_sub(machine.paid_units());
            self.tally.most_unpaid_units = self.tally.most_unpaid_units.max(unpaid);
        }
        self.exit_event(me, session, ProviderEvent::Tick)
    }

    fn exit_event(
        &mut self,
        me: usize,
        session: SessionId,
        event: ProviderEvent,
    ) -> Result<(), LabError> {
        let now = self.now;
        let Some(exit) = self.nodes[me].exit_mut() else {
            return Ok(());
        };
        let Some(serving) = exit.sessions.get_mut(&session) else {
            return Ok(());
        };
        let effects = serving.machine.handle(event, now);
        self.exit_does(me, session, effects)
    }

    fn exit_does(
        &mut self,
        me: usize,
        session: SessionId,
        effects: Vec<ProviderEffect>,
    ) -> Result<(), LabError> {
        for effect in effects {
            let Some(exit) = self.nodes[me].exit_mut() else {
                return Ok(());
            };
            let Some(serving) = exit.sessions.get_mut(&session) else {
                return Ok(());
            };
            let (consumer, channel) = (serving.consumer, serving.channel);
            match effect {
                ProviderEffect::Send(frame) => self.send(me, consumer, &frame),
                ProviderEffect::TakePayment(start) => self.take_payment(me, session, start)?,
                ProviderEffect::TakeVoucher(voucher) => self.take_voucher(me, session, voucher)?,
                ProviderEffect::TakeWord(word) => {
                    if let Some(channel) = channel {
                        self.payee_event(me, channel, Some(session), &PayeeEvent::Word(word))?;
                    }
                }
                ProviderEffect::Allow(bytes) => serving.allowed = bytes.bytes(),
                ProviderEffect::Ended(end) => {
                    exit.admission.release(session);
                    exit.sessions.remove(&session);
                    self.note(me, "session_over", &format!("{end:?}").replace(',', ";"), 0);
                }
                // The lab's tunnel is a rate between two meters.
                // Nobody in it asks for receipts.
                ProviderEffect::AddGuest(_)
                | ProviderEffect::RemoveGuest
                | ProviderEffect::Lock(_)
                | ProviderEffect::Countersign { .. }
                | ProviderEffect::AwaitReceipt(_)
                | ProviderEffect::Attest(_) => {}
            }
        }
        Ok(())
    }

    /// Everything that was only in memory is gone, until so long from now. One that is away stays away for longer.
    pub(crate) fn crash(&mut self, me: usize) {
        let back_at = self.now.plus(self.away());
        let Some(exit) = self.nodes[me].exit_mut() else {
            return;
        };
        exit.back_at = back_at;
        if !std::mem::take(&mut exit.alive) {
            return;
        }
        for session in std::mem::take(&mut exit.sessions).into_keys() {
            exit.admission.release(session);
        }
        self.tally.crashes += 1;
        self.note(me, "crash", "", 0);
    }

    /// Comes back if it is away, and no later crash keeps it away.
    pub(crate) fn comes_back(&mut self, me: usize) -> Result<(), LabError> {
        let is_due = |it: &&Exit| !it.alive && it.back_at <= self.now;
        match self.nodes[me].exit().filter(is_due) {
            Some(_) => self.restart(me),
            None => Ok(()),
        }
    }

    /// Comes back with what was on disk.
    pub(crate) fn restart(&mut self, me: usize) -> Result<(), LabError> {
        let Some(exit) = self.nodes[me].exit_mut() else {
            return Ok(());
        };
        exit.alive = true;
        for kept in exit.channels.values_mut() {
            kept.channel = PayeeChannel::decode(&kept.on_disk, Rules::default())
                .map_err(|error| LabError::Record(error.to_string()))?;
        }
        self.note(me, "restart", "", 0);
        Ok(())
    }

    pub(crate) fn exit_sees(
        &mut self,
        me: usize,
        id: ChannelId,
        fact: ChainFact,
    ) -> Result<(), LabError> {
        let Some(exit) = self.nodes[me].exit() else {
            return Ok(());
        };
        if !exit.channels.contains_key(&id) {
            return Ok(());
        }
        if let (ChainFact::Claimed(_), Some(kept)) = (fact, self.kept(me, id)) {
            kept.claiming = false;
        }
        self.payee_event(me, id, None, &PayeeEvent::Chain(fact))?;
        let Some(exit) = self.nodes[me].exit() else {
            return Ok(());
        };
        let waits =
            |it: &(&SessionId, &Serving)| it.1.channel == Some(id) && it.1.waiting.is_some();
        let session = exit
            .sessions
            .iter()
            .find(waits)
            .map(|(session, _)| *session);
        match session {
            Some(session) => self.first_voucher(me, session, id),
            None => Ok(()),
        }
    }
}
