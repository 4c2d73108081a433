//! A consumer of the world: performs what the product's session and payer cores ask.

use warren_daemon::session::{
    ConsumerEffect, ConsumerEnd, ConsumerEvent, ConsumerPhase, ConsumerSession, SessionLimits, Wish,
};
use warren_overlay::offers::OfferQuery;
use warren_overlay::offers::ranking::rank;
use warren_payments::calls::Call;
use warren_payments::chain::EventKind;
use warren_payments::channel::{
    ChainAction, ChainFact, ChannelTerms, PayerChannel, PayerEffect, PayerEvent, VoucherDraft,
};
use warren_payments::eip712::SessionAuth;
use warren_payments::words::WordChain;
use warren_proto::{
    Amount, ByteCount, ChannelId, ChannelParams, Lock, SessionFrame, SessionId, SessionStart,
    SessionTerms, StartPayment, TunnelPublicKey, Voucher, WordFrame,
};

use crate::nodes::Buying;
use crate::run::LabError;
use crate::world::{Event, TICK, World};

/// Exits tried in a row before a consumer waits again.
const MAX_TRIES: usize = 5;
/// Words in a tranche, as in the product.
const TRANCHE: u32 = 256;

impl World {
    /// A consumer wants to buy: it takes the best offer it has not just tried.
    pub(crate) fn want(&mut self, me: usize) -> Result<(), LabError> {
        let node = &self.nodes[me];
        let Some(consumer) = node.consumer().filter(|it| it.session.is_none()) else {
            return Ok(());
        };
        let ranked = rank(&node.index, &OfferQuery::default(), |_| None, self.now);
        let fresh = ranked
            .into_iter()
            .find(|it| !consumer.tried.contains(&it.offer.offer().node));
        let Some(offer) = fresh
            .map(|it| it.offer)
            .filter(|_| consumer.tried.len() < MAX_TRIES)
        else {
            self.rest(me);
            return Ok(());
        };
        let exit = self.places[&offer.offer().node];
        let (low, high) = (
            self.scenario.demand.session_min_mib,
            self.scenario.demand.session_max_mib,
        );
        let wanted = self.links.within(low.into(), high.into()) * ByteCount::MIB;
        let wish = Wish {
            session: SessionId::from_bytes(self.links.bytes()),
            consumer: self.nodes[me].id,
            offer,
            tunnel_key: TunnelPublicKey::from_bytes(self.links.bytes()),
            max_spend: None,
        };
        let (machine, effects) = ConsumerSession::new(wish, SessionLimits::default(), self.now);
        let subject = machine.id().short();
        let now = self.now;
        let Some(consumer) = self.nodes[me].consumer_mut() else {
            return Ok(());
        };
        consumer.tried.push(machine.offer().offer().node);
        consumer.session = Some(Buying {
            machine,
            exit,
            asked: now,
            warm: false,
            channel: None,
            wanted,
            passed: 0,
            last_tick: now,
        });
        self.tally.started += 1;
        self.note(me, "ask", &subject, exit as u128);
        self.after(TICK, Event::Tick(me));
        self.consumer_does(me, effects)
    }

    /// Until the next wish, and with a clean slate.
    fn rest(&mut self, me: usize) {
        if let Some(consumer) = self.nodes[me].consumer_mut() {
            consumer.tried.clear();
        }
        let pause = u64::from(self.scenario.demand.pause_secs);
        let wait = std::time::Duration::from_secs(self.links.within(pause / 2 + 1, pause * 2));
        self.after(wait, Event::Want(me));
    }

    pub(crate) fn consumer_hears(
        &mut self,
        me: usize,
        from: usize,
        frame: SessionFrame,
    ) -> Result<(), LabError> {
        let current = self.nodes[me].consumer().and_then(|it| it.session.as_ref());
        if current.is_some_and(|it| it.exit == from) {
            self.consumer_event(me, ConsumerEvent::Frame(frame))?;
        }
        Ok(())
    }

    pub(crate) fn handshake(&mut self, me: usize) -> Result<(), LabError> {
        let exit = self.nodes[me]
            .consumer()
            .and_then(|it| it.session.as_ref())
            .map(|it| it.exit);
        let there = exit
            .and_then(|exit| self.nodes[exit].exit())
            .is_some_and(|it| it.alive);
        if there {
            self.consumer_event(me, ConsumerEvent::TunnelUp)
        } else {
            Ok(())
        }
    }

    /// Inner traffic: what the line carries, the exit allows, and the user still wants.
    pub(crate) fn tick(&mut self, me: usize) -> Result<(), LabError> {
        let now = self.now;
        let Some(buying) = self.nodes[me].consumer().and_then(|it| it.session.as_ref()) else {
            return Ok(());
        };
        let (exit, session) = (buying.exit, buying.machine.id());
        let serving = self.nodes[exit].exit().filter(|it| it.alive);
        let allowed = serving
            .and_then(|it| it.sessions.get(&session))
            .map_or(0, |it| it.allowed);
        let rate = self.links.bytes_per_milli(me, exit);
        let millis = u64::try_from(now.since(buying.last_tick).as_millis()).unwrap_or(0);
        let active = buying.machine.phase() == ConsumerPhase::Active;
        let room = allowed.min(buying.wanted).saturating_sub(buying.passed);
        let moved = if active { room.min(rate * millis) } else { 0 };
        let passed = buying.passed + moved;
        if let Some(buying) = self.nodes[me]
            .consumer_mut()
            .and_then(|it| it.session.as_mut())
        {
            (buying.passed, buying.last_tick) = (passed, now);
        }
        self.tally.delivered_bytes += moved;
        let minute = now.since(super::world::BEGINNING).as_secs() / 60;
        *self.tally.per_minute.entry(minute).or_default() += moved;
        let (up, down) = (ByteCount::default(), ByteCount::from_bytes(passed));
        self.exit_meters(exit, session, down)?;
        self.consumer_event(me, ConsumerEvent::Usage { up, down })?;
        self.consumer_event(me, ConsumerEvent::Tick)?;
        let buying = self.nodes[me].consumer().and_then(|it| it.session.as_ref());
        let done = buying.is_some_and(|it| it.machine.id() == session && it.passed >= it.wanted);
        if done {
            self.consumer_event(me, ConsumerEvent::Stop)?;
        }
        if self.nodes[me]
            .consumer()
            .is_some_and(|it| it.session.is_some())
        {
            self.after(TICK, Event::Tick(me));
        }
        Ok(())
    }

    pub(crate) fn consumer_event(
        &mut self,
        me: usize,
        event: ConsumerEvent,
    ) -> Result<(), LabError> {
        let now = self.now;
        let session = self.nodes[me]
            .consumer_mut()
            .and_then(|it| it.session.as_mut());
        let Some(buying) = session else { return Ok(()) };
        let effects = buying.machine.handle(event, now);
        self.consumer_does(me, effects)
    }

    fn consumer_does(&mut self, me: usize, effects: Vec<ConsumerEffect>) -> Result<(), LabError> {
        for effect in effects {
            let Some((exit, session, channel)) = self.buying(me) else {
                return Ok(());
            };
            match effect {
                ConsumerEffect::Send(frame) => self.send(me, exit, &frame),
                ConsumerEffect::Fund(terms) => self.fund(me, &terms)?,
                ConsumerEffect::Connect(_) => {
                    let way = self
                        .links
                        .frame(me, exit)
                        .saturating_add(self.links.frame(exit, me));
                    self.after(way, Event::Handshake(me));
                }
                ConsumerEffect::Release { units } => {
                    if let Some(channel) = channel {
                        self.payer_event(me, channel, &PayerEvent::ReleaseAsked { units })?;
                    }
                }
                ConsumerEffect::Finish => {
                    if let Some(channel) = channel {
                        self.payer_event(me, channel, &PayerEvent::FinalAsked)?;
                    }
                }
                ConsumerEffect::Report(ConsumerPhase::Active) => self.now_active(me),
                ConsumerEffect::Ended(end) => self.consumer_ended(me, session, &end),
                // The lab's streams do not break by themselves; a crashed exit is silent.
                ConsumerEffect::Resync
                | ConsumerEffect::Reopen
                | ConsumerEffect::Disconnect
                | ConsumerEffect::Report(_) => {}
            }
        }
        Ok(())
    }

    fn buying(&self, me: usize) -> Option<(usize, SessionId, Option<ChannelId>)> {
        let it = self.nodes[me].consumer()?.session.as_ref()?;
        Some((it.exit, it.machine.id(), it.channel))
    }

    fn now_active(&mut self, me: usize) {
        let now = self.now;
        let Some(it) = self.nodes[me].consumer().and_then(|it| it.session.as_ref()) else {
            return;
        };
        let (warm, subject) = (it.warm, it.machine.id().short());
        let millis = u64::try_from(now.since(it.asked).as_millis()).unwrap_or(u64::MAX);
        if warm {
            &mut self.tally.warm_millis
        } else {
            &mut self.tally.cold_millis
        }
        .push(millis);
        self.tally.active += 1;
        self.note(me, "active", &subject, millis.into());
    }

    fn consumer_ended(&mut self, me: usize, session: SessionId, end: &ConsumerEnd) {
        let Some(consumer) = self.nodes[me].consumer_mut() else {
            return;
        };
        let Some(buying) = consumer.session.take() else {
            return;
        };
        let released = buying.machine.released();
        let due = buying.machine.terms().map_or(0, |terms| {
            let used = ByteCount::from_bytes(buying.passed);
            warren_daemon::session::due_units(terms, used, Default::default()).unwrap_or(0)
        });
        let unserved = released.saturating_sub(due);
        self.tally.most_unserved_units = self.tally.most_unserved_units.max(unserved);
        self.tally.words += released;
        let name = match end {
            ConsumerEnd::Asked => "completed",
            ConsumerEnd::ExitLost => "exit_lost",
            ConsumerEnd::Refused(_) => "refused",
            ConsumerEnd::Ended(_) => "ended_by_exit",
            ConsumerEnd::Unfunded => "unfunded",
            ConsumerEnd::PaymentRefused(_) => "payment_refused",
            ConsumerEnd::BadGrant(_) => "bad_grant",
            ConsumerEnd::TimedOut(_) => "timed_out",
            ConsumerEnd::CapReached => "cap_reached",
        };
        self.note(me, name, &session.short(), buying.passed.into());
        if *end == ConsumerEnd::Asked {
            self.tally.completed += 1;
            self.rest(me);
        } else if end.try_next() {
            self.tally.failed_over += 1;
            self.after(TICK, Event::Want(me));
        } else {
            self.tally.failed += 1;
            self.rest(me);
        }
    }

    /// Finds a channel that can pay, or opens one; the deposit is confirmed some blocks later.
    fn fund(&mut self, me: usize, terms: &SessionTerms) -> Result<(), LabError> {
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
        self.bank.submit(&wallet, &Call::Approve { amount })?;
        self.bank.submit(&wallet, &Call::Open { params, amount })?;
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
        for effect in step.effects {
            match effect {
                PayerEffect::SendVoucher(draft) => self.voucher_out(me, id, draft)?,
                PayerEffect::SendWord { tranche, units, k } => {
                    self.word_out(me, id, (tranche, units, k))
                }
                PayerEffect::TopUpNeeded { .. } => {
                    // This lab opens another channel next time instead.
                    self.consumer_event(me, ConsumerEvent::Stop)?;
                }
                PayerEffect::Submit(ChainAction::Open { .. }) => {}
                PayerEffect::Submit(_)
                | PayerEffect::RunningLow
                | PayerEffect::Refuse(_)
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
        let lock = draft.lock.map(|lock| Lock {
            anchor: WordChain::derive(&consumer.master, &id, lock.tranche, lock.units).anchor(),
            unit_price: lock.unit_price,
            units: lock.units,
            expiry: 0,
        });
        let locks = lock.into_iter().collect();
        let unsigned = Voucher {
            channel: id,
            seq: draft.seq,
            base: draft.base,
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

    pub(crate) fn consumer_sees(&mut self, me: usize, kind: &EventKind) -> Result<(), LabError> {
        let (id, fact) = match kind {
            EventKind::Opened {
                channel, deposit, ..
            } => (*channel, ChainFact::Deposit(*deposit)),
            EventKind::Claimed {
                channel, claimed, ..
            } => (*channel, ChainFact::Claimed(*claimed)),
            _ => return Ok(()),
        };
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
