//! How a consumer of the world pays: what its payer cores ask, performed.

use warren_daemon::session::{ConsumerEvent, ConsumerPhase};
use warren_payments::calls::Call;
use warren_payments::channel::{
    ChainAction, ChainFact, ChannelTerms, PayerChannel, PayerEffect, PayerEvent, VoucherDraft,
};
use warren_payments::eip712::SessionAuth;
use warren_payments::words::WordChain;
use warren_proto::{
    Amount, ChannelId, ChannelParams, SessionFrame, SessionStart, SessionTerms, StartPayment,
    Voucher, WordFrame,
};

use super::TRANCHE;
use crate::run::LabError;
use crate::world::World;

impl World {
    /// Finds a channel that can pay, or opens one; the deposit is confirmed some blocks later.
    pub(super) fn fund(&mut self, me: usize, terms: &SessionTerms) -> Result<(), LabError> {
        let deposit = self.scenario.demand.deposit_units;
        let Ok(amount) = terms.unit_price.checked_mul(deposit.into()) else {
            return self.consumer_event(me, ConsumerEvent::FundsMissing);
        };
        let wallet = self.nodes[me].wallet.clone();
        let Some(consumer) = self.nodes[me].consumer_mut() else {
            return Ok(());
        };
        let enough = |it: &PayerChannel| it.spendable() >= terms.min_deposit;
        let to_payee = |it: &&PayerChannel| it.terms().params.payee == terms.payee && enough(it);
        if let Some(id) = consumer
            .channels
            .values()
            .find(to_payee)
            .map(|it| it.terms().id)
        {
            if let Some(buying) = &mut consumer.session {
                (buying.channel, buying.warm) = (Some(id), true);
            }
            self.tally.warm_asked += 1;
            return self.payer_event(
                me,
                id,
                &PayerEvent::LockAsked {
                    unit_price: terms.unit_price,
                },
            );
        }
        consumer.salt += 1;
        let params = ChannelParams {
            payer: wallet.address(),
            payee: terms.payee,
            period_secs: terms.close_window_secs,
            salt: consumer.salt,
        };
        let channel = ChannelTerms::new(params, terms.chain);
        let step = PayerChannel::open(channel, 0, amount, TRANCHE);
        consumer.channels.insert(channel.id, step.next);
        if let Some(buying) = &mut consumer.session {
            buying.channel = Some(channel.id);
        }
        self.bank.submit(&wallet, Call::Approve { amount })?;
        self.bank.submit(&wallet, Call::Open { params, amount })?;
        self.tally.channels += 1;
        self.note(me, "open", &channel.id.short(), amount.wei());
        Ok(())
    }

    /// What the payer's core asks for, in order: vouchers before the words that need them.
    pub(crate) fn payer_event(
        &mut self,
        me: usize,
        id: ChannelId,
        event: &PayerEvent,
    ) -> Result<(), LabError> {
        let now = self.now;
        let Some(consumer) = self.nodes[me].consumer_mut() else {
            return Ok(());
        };
        let Some(channel) = consumer.channels.get_mut(&id) else {
            return Ok(());
        };
        let before = channel.value();
        let step = channel.handle(event, now);
        *channel = step.next;
        let more = channel.value().saturating_sub(before);
        self.tally.released = self.tally.released.checked_add(more).unwrap_or(Amount::MAX);
        if let Some(buying) = consumer
            .session
            .as_mut()
            .filter(|it| it.channel == Some(id))
        {
            buying.paid = buying.paid.checked_add(more).unwrap_or(Amount::MAX);
            let unserved = buying.unserved();
            self.tally.most_unserved_units = self.tally.most_unserved_units.max(unserved);
        }
        for effect in step.effects {
            match effect {
                PayerEffect::SendVoucher(draft) => self.voucher_out(me, id, draft)?,
                PayerEffect::SendWord { tranche, units, k } => {
                    self.word_out(me, id, (tranche, units, k))
                }
                PayerEffect::TopUpNeeded { units_short } => {
                    let words = units_short;
                    self.consumer_event(me, ConsumerEvent::Short { words })?;
                }
                PayerEffect::Submit(ChainAction::Open { .. }) => {}
                PayerEffect::Submit(_)
                | PayerEffect::RunningLow
                | PayerEffect::Refuse(_)
                | PayerEffect::Stranger
                | PayerEffect::SendRoutedWord { .. }
                | PayerEffect::Book(_) => {}
            }
        }
        Ok(())
    }

    fn voucher_out(
        &mut self,
        me: usize,
        id: ChannelId,
        draft: VoucherDraft,
    ) -> Result<(), LabError> {
        let pins = self.bank.pins();
        let node = &self.nodes[me];
        let Some(consumer) = node.consumer() else {
            return Ok(());
        };
        let (seq, base) = (draft.seq, draft.base);
        let locks = draft.locks(|lock| {
            WordChain::derive(&consumer.master, &id, lock.tranche, lock.units).anchor()
        });
        let unsigned = Voucher {
            channel: id,
            seq,
            base,
            locks,
            signature: [0; 64],
        };
        let voucher = node.wallet.sign_voucher(unsigned, &pins);
        let Some(buying) = &consumer.session else {
            return Ok(());
        };
        let Some(terms) = buying.machine.terms().cloned() else {
            return Ok(());
        };
        let (exit, phase) = (buying.exit, buying.machine.phase());
        if phase != ConsumerPhase::Funding {
            self.send(me, exit, &SessionFrame::Voucher(voucher));
            return Ok(());
        }
        let Some(channel) = consumer.channels.get(&id) else {
            return Ok(());
        };
        let auth = SessionAuth {
            channel: id,
            payee_nonce: terms.payee_nonce,
            payee: terms.provider,
            not_after: terms.valid_until,
        };
        let payment = StartPayment {
            channel: channel.terms().params,
            auth: node.wallet.sign_session_auth(&auth, &pins),
            voucher,
        };
        let signature = terms.sign(&node.key);
        let start = SessionStart {
            session: terms.session,
            signature,
            payment: Some(payment),
            routed: None,
        };
        self.consumer_event(
            me,
            ConsumerEvent::Funded {
                start: Box::new(start),
            },
        )
    }

    fn word_out(&mut self, me: usize, id: ChannelId, (tranche, units, k): (u64, u32, u32)) {
        let Some(consumer) = self.nodes[me].consumer() else {
            return;
        };
        let chain = WordChain::derive(&consumer.master, &id, tranche, units);
        let (Some(word), Some(buying)) = (chain.word(k), &consumer.session) else {
            return;
        };
        let frame = SessionFrame::Word(WordFrame {
            lane: 0,
            k,
            word: word.clone(),
        });
        let exit = buying.exit;
        self.send(me, exit, &frame);
    }

    pub(crate) fn consumer_sees(
        &mut self,
        me: usize,
        id: ChannelId,
        fact: ChainFact,
    ) -> Result<(), LabError> {
        let mine = self.nodes[me]
            .consumer()
            .is_some_and(|it| it.channels.contains_key(&id));
        if !mine {
            return Ok(());
        }
        self.payer_event(me, id, &PayerEvent::Chain(fact))?;
        let buying = self.nodes[me].consumer().and_then(|it| it.session.as_ref());
        let waiting = buying
            .filter(|it| it.channel == Some(id) && it.machine.phase() == ConsumerPhase::Funding);
        if let (Some(terms), ChainFact::Deposit(_)) =
            (waiting.and_then(|it| it.machine.terms()), fact)
        {
            let unit_price = terms.unit_price;
            self.payer_event(me, id, &PayerEvent::LockAsked { unit_price })?;
        }
        Ok(())
    }
}
