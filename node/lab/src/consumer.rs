//! A consumer of the world: performs what the product's session core asks.

mod pay;

use warren_daemon::session::{
    ConsumerEffect, ConsumerEnd, ConsumerEvent, ConsumerPhase, ConsumerSession, SessionLimits, Wish,
};
use warren_overlay::offers::OfferQuery;
use warren_overlay::offers::ranking::rank;
use warren_payments::channel::PayerEvent;
use warren_proto::{Amount, ByteCount, ChannelId, SessionFrame, SessionId, TunnelPublicKey};

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
        let units = u128::from(self.scenario.demand.deposit_units);
        let word = offer.offer().unit_price.wei();
        let wish = Wish {
            session: SessionId::from_bytes(self.links.bytes()),
            consumer: self.nodes[me].id,
            offer,
            tunnel_key: TunnelPublicKey::from_bytes(self.links.bytes()),
            deposit: Amount::from_wei(word.saturating_mul(units)).unwrap_or(Amount::MAX),
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
            paid: Amount::ZERO,
            active: false,
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
            consumer.cut_off = false;
        }
        // Evenly around the mean, so that it is one.
        let pause = u64::from(self.scenario.demand.pause_secs) * 1000;
        let millis = self.links.within(pause / 2, pause + pause / 2);
        let wait = std::time::Duration::from_millis(millis);
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
        // The sessions of an exit share its line: one that is quiet has its part too, so this is never too much.
        let sessions = serving.map_or(1, |it| it.sessions.len().max(1));
        let rate = self.links.bytes_per_milli(me, (exit, sessions));
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
                ConsumerEffect::Reconcile(ack) => {
                    if let Some(channel) = channel {
                        self.payer_event(me, channel, &PayerEvent::PayeeSaw(ack))?;
                    }
                }
                ConsumerEffect::Finish => {
                    if let Some(channel) = channel {
                        self.payer_event(me, channel, &PayerEvent::FinalAsked)?;
                    }
                }
                ConsumerEffect::Report(ConsumerPhase::Active) => self.now_active(me),
                ConsumerEffect::Ended(end) => self.consumer_ended(me, session, &end),
                // This lab tops nothing up: it opens another channel next time.
                ConsumerEffect::TopUp => self.consumer_event(me, ConsumerEvent::NotToppedUp)?,
                // The lab's streams do not break by themselves; a crashed exit is silent.
                // Nobody in the lab asks for receipts.
                ConsumerEffect::Attest(_)
                | ConsumerEffect::Resync
                | ConsumerEffect::Route(_)
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
        let Some(consumer) = self.nodes[me].consumer_mut() else {
            return;
        };
        let Some(it) = consumer.session.as_mut() else {
            return;
        };
        if std::mem::replace(&mut it.active, true) {
            return; // A stall is over.
        }
        // Whoever was cut off goes on at the next exit.
        self.tally.failed_over += u64::from(std::mem::take(&mut consumer.cut_off));
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
        self.tally.words += buying.machine.released();
        let (words, more) = (self.tally.words_worth, buying.worth());
        self.tally.words_worth = words.checked_add(more).unwrap_or(Amount::MAX);
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
            ConsumerEnd::LineLost => "line_lost",
            ConsumerEnd::ChannelUsedUp => "channel_used_up",
        };
        self.note(me, name, &session.short(), buying.passed.into());
        match end {
            ConsumerEnd::Asked => self.tally.completed += 1,
            ConsumerEnd::ChannelUsedUp => self.tally.used_up += 1,
            ConsumerEnd::Unfunded
            | ConsumerEnd::CapReached
            | ConsumerEnd::LineLost
            | ConsumerEnd::Ended(_)
            | ConsumerEnd::ExitLost
            | ConsumerEnd::Refused(_)
            | ConsumerEnd::PaymentRefused(_)
            | ConsumerEnd::BadGrant(_)
            | ConsumerEnd::TimedOut(_) => self.tally.failed += 1,
        }
        if end.try_next() {
            if let Some(consumer) = self.nodes[me].consumer_mut() {
                consumer.cut_off |= buying.active;
            }
            self.after(TICK, Event::Want(me));
        } else {
            self.rest(me);
        }
    }
}
