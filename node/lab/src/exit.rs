//! An exit of the world: performs what the product's admission, session and payee cores ask.

use warren_daemon::session::{
    Fresh, ProviderEffect, ProviderEvent, ProviderSession, SessionLimits,
};
use warren_payments::calls::{Call, Claim};
use warren_payments::chain::EventKind;
use warren_payments::channel::{
    ChainAction, ChainFact, ChannelTerms, PayeeChannel, PayeeEffect, PayeeEvent, Phase, Rules,
};
use warren_payments::eip712::SessionAuth;
use warren_payments::voucher::{VerifiedVoucher, verify_signature};
use warren_proto::{
    ByteCount, ChannelId, PayErrorCode, SessionFrame, SessionId, SessionRequest, SessionStart,
    TunnelPublicKey, Voucher,
};

use crate::nodes::{Kept, Serving};
use crate::run::LabError;
use crate::world::{Event, World};

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
                let (machine, effects) =
                    ProviderSession::new(terms, signature, SessionLimits::default(), now);
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
                ProviderEffect::AddGuest(_) | ProviderEffect::RemoveGuest => {}
            }
        }
        Ok(())
    }

    fn take_payment(
        &mut self,
        me: usize,
        session: SessionId,
        start: Box<SessionStart>,
    ) -> Result<(), LabError> {
        let pins = self.bank.pins();
        let refuse = ProviderEvent::PaymentRefused(PayErrorCode::BadSignature);
        let Some(payment) = &start.payment else {
            return self.exit_event(me, session, refuse);
        };
        let Some(exit) = self.nodes[me].exit_mut() else {
            return Ok(());
        };
        let Some(serving) = exit.sessions.get_mut(&session) else {
            return Ok(());
        };
        let terms = serving.machine.terms();
        let auth = SessionAuth {
            channel: payment.voucher.channel,
            payee_nonce: terms.payee_nonce,
            payee: terms.provider,
            not_after: terms.valid_until,
        };
        let signed = verify_signature(&auth.digest(&pins), &payment.auth, &payment.channel.payer);
        if signed.is_err() {
            return self.exit_event(me, session, refuse);
        }
        let channel_terms = ChannelTerms::new(payment.channel, pins);
        let id = channel_terms.id;
        serving.channel = Some(id);
        serving.waiting = Some(start);
        if !exit.channels.contains_key(&id) {
            let channel = PayeeChannel::watch(channel_terms, Rules::default());
            let on_disk = channel.encode();
            exit.channels.insert(id, Kept { channel, on_disk });
            // The exit looks the deposit up; a confirmed one counts at once.
            let (deposit, _) = self.bank.channel(id)?;
            let consumer = self.nodes[me]
                .exit()
                .and_then(|it| it.sessions.get(&session))
                .map(|it| it.consumer);
            let confirmed = consumer.and_then(|it| self.nodes[it].consumer());
            let confirmed = confirmed
                .and_then(|it| it.channels.get(&id))
                .is_some_and(|it| it.deposit() == deposit);
            if confirmed {
                self.payee_event(
                    me,
                    id,
                    None,
                    &PayeeEvent::Chain(ChainFact::Deposit(deposit)),
                )?;
            }
        }
        self.first_voucher(me, session, id)
    }

    /// Takes the voucher that waits, once the deposit is confirmed.
    fn first_voucher(
        &mut self,
        me: usize,
        session: SessionId,
        id: ChannelId,
    ) -> Result<(), LabError> {
        let pins = self.bank.pins();
        let now = self.now;
        let Some(exit) = self.nodes[me].exit_mut() else {
            return Ok(());
        };
        let open = exit
            .channels
            .get(&id)
            .is_some_and(|it| it.channel.phase() == Phase::Open);
        let Some(serving) = exit.sessions.get_mut(&session).filter(|_| open) else {
            return Ok(());
        };
        let Some(payment) = serving.waiting.take().and_then(|it| it.payment) else {
            return Ok(());
        };
        let unit_price = serving.machine.terms().unit_price;
        self.payee_event(me, id, None, &PayeeEvent::RunBegins { unit_price })?;
        let verified = VerifiedVoucher::verify(payment.voucher, &payment.channel, &pins);
        let Ok(verified) = verified else {
            let refused = ProviderEvent::PaymentRefused(PayErrorCode::BadSignature);
            return self.exit_event(me, session, refused);
        };
        let before = self.kept_value(me, id, now);
        let refused = self.payee_event(me, id, None, &PayeeEvent::Voucher(verified))?;
        let event = match refused {
            Some(code) => ProviderEvent::PaymentRefused(code),
            None => ProviderEvent::PaymentTaken {
                value: before,
                usable: true,
            },
        };
        self.exit_event(me, session, event)
    }

    fn kept_value(
        &self,
        me: usize,
        id: ChannelId,
        now: warren_proto::UnixTime,
    ) -> warren_proto::Amount {
        let kept = self.nodes[me].exit().and_then(|it| it.channels.get(&id));
        kept.map(|it| it.channel.value(now)).unwrap_or_default()
    }

    fn take_voucher(
        &mut self,
        me: usize,
        session: SessionId,
        voucher: Voucher,
    ) -> Result<(), LabError> {
        let (pins, id) = (self.bank.pins(), voucher.channel);
        let kept = self.nodes[me].exit().and_then(|it| it.channels.get(&id));
        let Some(params) = kept.map(|it| it.channel.terms().params) else {
            return Ok(());
        };
        match VerifiedVoucher::verify(voucher, &params, &pins) {
            Ok(verified) => {
                self.payee_event(me, id, Some(session), &PayeeEvent::Voucher(verified))?;
                Ok(())
            }
            Err(_) => {
                let refused = ProviderEvent::PaymentRefused(PayErrorCode::BadSignature);
                self.exit_event(me, session, refused)
            }
        }
    }

    /// Feeds a payee's channel, saves if it says so, and only then acts. Returns a refusal.
    fn payee_event(
        &mut self,
        me: usize,
        id: ChannelId,
        session: Option<SessionId>,
        event: &PayeeEvent,
    ) -> Result<Option<PayErrorCode>, LabError> {
        let now = self.now;
        let Some(exit) = self.nodes[me].exit_mut() else {
            return Ok(None);
        };
        let Some(kept) = exit.channels.get_mut(&id) else {
            return Ok(None);
        };
        let step = kept.channel.handle(event, now);
        if step.save {
            kept.on_disk = step.next.encode();
        }
        kept.channel = step.next;
        let mut refused = None;
        for effect in step.effects {
            match effect {
                PayeeEffect::Credit(accepted) => {
                    if let Some(session) = session {
                        let value = accepted.ack.value_now;
                        self.exit_event(me, session, ProviderEvent::Paid { value })?;
                    }
                }
                PayeeEffect::Refuse(code) => {
                    refused = Some(code);
                    self.note(me, "payment_error", &format!("{code:?}"), 0);
                    if let Some(session) = session {
                        self.exit_event(me, session, ProviderEvent::PaymentRefused(code))?;
                    }
                }
                PayeeEffect::Submit(ChainAction::Claim(claim)) => self.submit_claim(me, claim)?,
                PayeeEffect::Submit(_)
                | PayeeEffect::Stop(_)
                | PayeeEffect::Consent { .. }
                | PayeeEffect::Book(_) => {}
            }
        }
        Ok(refused)
    }

    fn submit_claim(&mut self, me: usize, claim: Claim) -> Result<(), LabError> {
        let subject = claim.voucher.channel.short();
        let wallet = self.nodes[me].wallet.clone();
        self.bank.submit(&wallet, &Call::Claim(claim))?;
        self.tally.claims += 1;
        self.note(me, "claim", &subject, 0);
        Ok(())
    }

    /// Claims what the channels of this exit owe it, some at a time; says whether any did.
    pub(crate) fn claim(&mut self, me: usize) -> Result<bool, LabError> {
        let now = self.now;
        let Some(exit) = self.nodes[me].exit().filter(|it| it.alive) else {
            return Ok(false);
        };
        let owes = |kept: &&Kept| kept.channel.claimable(now) > warren_proto::Amount::ZERO;
        let owing = exit.channels.values().filter(owes).take(CLAIMS_A_ROUND);
        let ids: Vec<_> = owing.map(|it| it.channel.terms().id).collect();
        for id in &ids {
            self.payee_event(me, *id, None, &PayeeEvent::ClaimAsked)?;
        }
        Ok(!ids.is_empty())
    }

    /// Claims now and again later.
    pub(crate) fn claim_regularly(&mut self, me: usize) -> Result<(), LabError> {
        self.claim(me)?;
        let pause = std::time::Duration::from_secs(self.scenario.chain.claim_every_secs.into());
        self.after(pause, Event::Claim(me));
        Ok(())
    }

    /// Everything that was only in memory is gone.
    pub(crate) fn crash(&mut self, me: usize) {
        let Some(exit) = self.nodes[me].exit_mut() else {
            return;
        };
        exit.alive = false;
        for session in std::mem::take(&mut exit.sessions).into_keys() {
            exit.admission.release(session);
        }
        self.tally.crashes += 1;
        self.note(me, "crash", "", 0);
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

    pub(crate) fn exit_sees(&mut self, me: usize, kind: &EventKind) -> Result<(), LabError> {
        let (id, fact) = match kind {
            EventKind::Opened {
                channel, deposit, ..
            } => (*channel, ChainFact::Deposit(*deposit)),
            EventKind::Claimed {
                channel, claimed, ..
            } => (*channel, ChainFact::Claimed(*claimed)),
            _ => return Ok(()),
        };
        let Some(exit) = self.nodes[me].exit() else {
            return Ok(());
        };
        if !exit.channels.contains_key(&id) {
            return Ok(());
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
