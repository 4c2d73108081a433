//! How an exit of the world is paid: what its payee cores ask, saved and then performed.

use std::collections::btree_map::Entry;

use warren_daemon::session::ProviderEvent;
use warren_payments::calls::{Call, Claim};
use warren_payments::channel::{
    ChainAction, ChainFact, ChannelTerms, PayeeChannel, PayeeEffect, PayeeEvent, Phase, Rules,
};
use warren_payments::eip712::SessionAuth;
use warren_payments::voucher::{VerifiedVoucher, verify_signature};
use warren_proto::{Amount, ChannelId, PayErrorCode, SessionId, SessionStart, Voucher};

use super::CLAIMS_A_ROUND;
use crate::nodes::Kept;
use crate::run::LabError;
use crate::world::{Event, World};

impl World {
    pub(super) fn take_payment(
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
        if let Entry::Vacant(place) = exit.channels.entry(id) {
            let channel = PayeeChannel::watch(channel_terms, Rules::default());
            let on_disk = channel.encode();
            place.insert(Kept {
                channel,
                on_disk,
                credited: Amount::ZERO,
                claiming: false,
            });
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
    pub(super) fn first_voucher(
        &mut self,
        me: usize,
        session: SessionId,
        id: ChannelId,
    ) -> Result<(), LabError> {
        let pins = self.bank.pins();
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
        let refused = self.payee_event(me, id, None, &PayeeEvent::Voucher(verified))?;
        let event = match refused {
            Some(code) => ProviderEvent::PaymentRefused(code),
            // The run began with it: nothing was paid before.
            None => ProviderEvent::PaymentTaken {
                value: Amount::ZERO,
                usable: true,
            },
        };
        self.exit_event(me, session, event)
    }

    pub(super) fn take_voucher(
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
    pub(super) fn payee_event(
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
                    if let Some(kept) = self.kept(me, id) {
                        kept.credited = kept.credited.max(kept.channel.value(now));
                    }
                    if let Some(session) = session {
                        let value = accepted.paid;
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
                | PayeeEffect::RoutedCredit(_)
                | PayeeEffect::Book(_) => {}
            }
        }
        Ok(refused)
    }

    fn submit_claim(&mut self, me: usize, claim: Claim) -> Result<(), LabError> {
        let subject = claim.voucher.channel.short();
        let wallet = self.nodes[me].wallet.clone();
        if let Some(kept) = self.kept(me, claim.voucher.channel) {
            kept.claiming = true;
        }
        self.bank.submit(&wallet, Call::Claim(claim))?;
        self.tally.claims += 1;
        self.note(me, "claim", &subject, 0);
        Ok(())
    }

    pub(super) fn kept(&mut self, me: usize, id: ChannelId) -> Option<&mut Kept> {
        self.nodes[me].exit_mut()?.channels.get_mut(&id)
    }

    /// Claims what the channels of this exit owe it: of each once until the chain has taken it, and some at a time.
    pub(crate) fn claim(&mut self, me: usize) -> Result<(), LabError> {
        let now = self.now;
        let Some(exit) = self.nodes[me].exit().filter(|it| it.alive) else {
            return Ok(());
        };
        let under_way = exit.channels.values().filter(|it| it.claiming).count();
        let room = CLAIMS_A_ROUND.saturating_sub(under_way);
        let owes = |kept: &&Kept| !kept.claiming && kept.channel.claimable(now) > Amount::ZERO;
        let owing = exit.channels.values().filter(owes).take(room);
        let ids: Vec<_> = owing.map(|it| it.channel.terms().id).collect();
        for id in &ids {
            self.payee_event(me, *id, None, &PayeeEvent::ClaimAsked)?;
        }
        Ok(())
    }

    /// Claims now and again later.
    pub(crate) fn claim_regularly(&mut self, me: usize) -> Result<(), LabError> {
        self.claim(me)?;
        let pause = std::time::Duration::from_secs(self.scenario.chain.claim_every_secs.into());
        self.after(pause, Event::Claim(me));
        Ok(())
    }
}
