//! The router: takes a lock and gives one, learns words, and is paid upstream for what it pays downstream.

use warren_payments::channel::event::{PayeeEffect, PayeeEvent, PayerEffect, PayerEvent};
use warren_payments::channel::routed::steps_to;
use warren_payments::channel::router::{
    Admission, RouteEffect, RouteEvent, RouteView, RouterRules, admit, rejection,
};
use warren_payments::channel::{Proof, RoutedLock, RoutedNews, RoutedOrder, RouterPolicy, Via};
use warren_proto::{
    Amount, ChannelId, Lock, LockOffer, LockReady, PayErrorCode, PaymentId, Preimage, UnixTime,
};

use super::super::host::{Act, Breach};
use super::super::names::{Who, wei};
use super::mail::Note;
use super::node::{Batch, Node};
use super::paper;
use super::perform::{Env, Outcome};

pub(crate) const FEE_PPM: u32 = 10_000;
pub(crate) const HOLD_FEE: u64 = 2;
/// What the gas of one claim is worth in the token.
const CLAIM_COST: u64 = 2;

fn rules() -> RouterRules {
    RouterRules::new(RouterPolicy {
        fee_ppm: FEE_PPM,
        hold_fee: wei(HOLD_FEE),
        ..RouterPolicy::default()
    })
}

impl Node {
    pub(crate) fn hear_as_router(
        &mut self,
        channel: ChannelId,
        note: Note,
        env: &mut Env<'_>,
    ) -> Act<()> {
        match note {
            Note::Offer(offer) => self.lock_onward(&offer, env),
            Note::Ready(it) => self.routed(it.payment, &RouteEvent::Ready, env),
            Note::Reject(it) => self.routed(it.payment, &RouteEvent::Rejected(it.code), env),
            Note::Fulfill(it) => self.routed(it.payment, &RouteEvent::Fulfilled(it), env),
            Note::Voucher(it) => {
                let outcome = self.earns(channel, &PayeeEvent::Voucher(it), env)?;
                match outcome.ack {
                    Some(ack) => self.post(Who::Payer, channel, Note::Ack(ack), env),
                    None => Ok(()),
                }
            }
            Note::Ack(ack) => {
                let outcome = self.pays(channel, &PayerEvent::PayeeSaw(ack), env)?;
                self.send_vouchers(Who::Payee, outcome, env)
            }
            Note::AskClose { not_after } => {
                let event = PayeeEvent::ConsentAsked { not_after };
                self.earns(channel, &event, env).map(|_| ())
            }
            Note::Consent(it) => {
                let event = PayerEvent::CloseAsked(Some(it));
                self.pays(channel, &event, env).map(|_| ())
            }
            Note::Word { .. } | Note::Heard { .. } | Note::Put(_) | Note::Answer(_) => Ok(()),
        }
    }

    /// As `actor/route/onward.rs` does it.
    fn lock_onward(&mut self, offer: &LockOffer, env: &mut Env<'_>) -> Act<()> {
        let (up, down) = (paper::up().id, paper::down().id);
        let (upstream, Some(downstream)) = (&self.payees[&up], self.payers.get(&down)) else {
            return Ok(());
        };
        let known = self.routes.contains_key(&offer.payment)
            || downstream.routed_lock(&offer.payment).is_some();
        if known {
            return Ok(());
        }
        let claim_cost = match self.host.breach {
            Some(Breach::TakesDust) => Amount::ZERO,
            Some(_) | None => wei(CLAIM_COST),
        };
        let open = self.routes.values().filter(|it| !it.is_over()).count();
        let admission = Admission {
            offer,
            up: upstream,
            down: downstream,
            in_flight: (open, Amount::ZERO),
            claim_cost,
        };
        let now = self.now(env.chain);
        let admitted = match admit(&admission, &rules(), now) {
            Ok(step) => step,
            Err(refusal) => {
                let no = Note::Reject(rejection(offer, &refusal));
                return self.post(Who::Payer, up, no, env);
            }
        };
        let onward = offer.onward.first().map_or(0, |it| it.unit_price.wei());
        if onward * u128::from(offer.lock.units) < u128::from(4 * CLAIM_COST) {
            env.truth
                .complain("I9: a lock that is not worth four claims");
        }
        let news = RoutedNews::Lock {
            voucher: paper::verified(&offer.voucher),
            payment: offer.payment,
            anchor: offer.lock.anchor,
            unit_price: Amount::ZERO,
        };
        let taken = upstream.handle(&PayeeEvent::Routed(news), now);
        let refused = |it: &PayeeEffect| matches!(it, PayeeEffect::Refuse(_));
        if taken.effects.iter().any(refused) {
            return Ok(());
        }
        let mut batch = Batch::default();
        if self.host.breach == Some(Breach::LocksFirst) {
            return self.lock_first(admitted, taken, env);
        }
        // P5: both are on disk before the effect that signs downstream.
        batch.take_payee(taken);
        batch.take_route(admitted);
        self.settle_with(batch, env).map(|_| ())
    }

    /// Breaks P5: what is held upstream goes to the disk when the lock downstream has been sent.
    fn lock_first(
        &mut self,
        admitted: warren_proto::Step<warren_payments::channel::router::RoutedPayment, RouteEffect>,
        taken: warren_proto::Step<warren_payments::PayeeChannel, PayeeEffect>,
        env: &mut Env<'_>,
    ) -> Act<()> {
        let payment = admitted.next.payment();
        self.routes.insert(payment, admitted.next);
        let effects = admitted.effects.into_iter();
        let effects = effects.map(|it| super::node::Effect::Route(payment, it));
        let mut outcome = self.perform(effects.collect(), env)?;
        self.send(&mut outcome, env)?;
        let mut batch = Batch::default();
        batch.take_payee(taken);
        self.settle_with(batch, env).map(|_| ())
    }

    fn routed(&mut self, payment: PaymentId, event: &RouteEvent, env: &mut Env<'_>) -> Act<()> {
        let (now, mut batch) = (self.now(env.chain), Batch::default());
        self.route(&mut batch, (payment, event), now);
        self.settle_with(batch, env).map(|_| ())
    }

    pub(super) fn stands_alone(effect: &RouteEffect) -> bool {
        !matches!(
            effect,
            RouteEffect::Fold {
                proof: Proof::Told,
                ..
            }
        )
    }

    /// Says whether it could be done.
    pub(super) fn perform_route(
        &mut self,
        payment: PaymentId,
        effect: RouteEffect,
        outcome: &mut Outcome,
        env: &mut Env<'_>,
    ) -> Act<bool> {
        let (up, down) = (paper::up().id, paper::down().id);
        let mut batch = Batch::default();
        match effect {
            RouteEffect::LockOnward {
                lock,
                onward,
                sealed,
            } => {
                let voucher = self.sign_onward(payment, lock, env)?;
                if let Some(voucher) = voucher {
                    let offer = LockOffer {
                        payment,
                        voucher: voucher.get().clone(),
                        lock,
                        onward,
                        hold_fee: Amount::ZERO,
                        sealed,
                    };
                    let offer = Note::Offer(Box::new(offer));
                    outcome.mail.push((Who::Payee, down, offer));
                }
            }
            RouteEffect::Learn { k, word } => {
                let news = RoutedNews::Word {
                    payment,
                    k,
                    word,
                    via: Via::Route,
                };
                let now = self.now(env.chain);
                self.earn(&mut batch, (up, &PayeeEvent::Routed(news)), now);
                if self.host.breach == Some(Breach::ForgetsWords) {
                    return Ok(true);
                }
                return Ok(self.take(batch, env)?.refused.is_none());
            }
            RouteEffect::Fold { k, word, proof } => {
                let order = RoutedOrder::Fold {
                    payment,
                    k,
                    word,
                    proof,
                };
                let now = self.now(env.chain);
                self.pay(&mut batch, (down, &PayerEvent::Routed(order)), now);
                let folded = self.take(batch, env)?;
                let notes = folded.vouchers.into_iter().map(Note::Voucher);
                outcome.mail.extend(notes.map(|it| (Who::Payee, down, it)));
                return Ok(folded.refused.is_none());
            }
            RouteEffect::AskFold(shown) => {
                outcome.mail.push((Who::Payer, up, Note::Fulfill(shown)));
            }
            RouteEffect::TellReady => {
                let ready = LockReady {
                    payment,
                    anchor: self.routes[&payment].up_lock().anchor,
                    channel: up,
                    seq: 0,
                    lane: 0,
                };
                outcome.mail.push((Who::Payer, up, Note::Ready(ready)));
            }
            RouteEffect::Reject(it) => outcome.mail.push((Who::Payer, up, Note::Reject(it))),
            RouteEffect::Refuse(_) => {}
        }
        Ok(true)
    }

    /// The downstream lock and the route's record, in one batch.
    fn sign_onward(
        &mut self,
        payment: PaymentId,
        lock: Lock,
        env: &mut Env<'_>,
    ) -> Act<Option<warren_payments::VerifiedVoucher>> {
        let down = paper::down().id;
        let (now, mut batch) = (self.now(env.chain), Batch::default());
        let order = RoutedOrder::Lock(RoutedLock {
            payment,
            lock,
            own: None,
            hold_fee: Amount::ZERO,
        });
        let step = self.payers[&down].handle(&PayerEvent::Routed(order), now);
        let refused = |it: &PayerEffect| matches!(it, PayerEffect::Refuse(_));
        if step.effects.iter().any(refused) {
            let no = RouteEvent::NotSigned(PayErrorCode::NoCapacity);
            self.route(&mut batch, (payment, &no), now);
        } else {
            batch.take_payer(step);
            self.route(&mut batch, (payment, &RouteEvent::Signed), now);
        }
        let mut outcome = self.take(batch, env)?;
        self.send(&mut outcome, env)?;
        Ok(outcome.vouchers.pop())
    }

    pub(crate) fn send_vouchers(
        &mut self,
        to: Who,
        outcome: Outcome,
        env: &mut Env<'_>,
    ) -> Act<()> {
        for voucher in outcome.vouchers {
            let channel = voucher.get().channel;
            self.post(to, channel, Note::Voucher(voucher), env)?;
        }
        Ok(())
    }

    /// Words that became public: paid for already where they were claimed, and good upstream.
    pub(super) fn learn_words(
        &self,
        words: &[(ChannelId, Preimage)],
        batch: &mut Batch,
        now: UnixTime,
    ) {
        for (channel, word) in words {
            for route in self.routes.values().filter(|it| it.down() == *channel) {
                let event = RouteEvent::Revealed(word.clone());
                self.route(batch, (route.payment(), &event), now);
            }
            let payer = self.payers.get(channel);
            let locks = payer.map(|it| it.routed_locks()).unwrap_or_default();
            for lock in locks.into_iter().filter(|it| it.released.is_some()) {
                let anchor = Preimage::from_bytes(*lock.lock.anchor.as_bytes());
                if let Some(steps) = steps_to(word, &anchor, lock.lock.units) {
                    let order = RoutedOrder::Fold {
                        payment: lock.payment,
                        k: lock.folded + steps,
                        word: word.clone(),
                        proof: Proof::OnChain,
                    };
                    self.pay(batch, (*channel, &PayerEvent::Routed(order)), now);
                }
            }
        }
    }

    pub(super) fn look_at_routes(&self, batch: &mut Batch, now: UnixTime) {
        for (id, route) in &self.routes {
            let up = &self.payees[&route.up()];
            let view = RouteView {
                heard_until: self.heard_until,
                up_folded: up.routed_folded(id),
                up_claimed: up.claimed() >= up.value(now),
            };
            let up_ended = self.heard_until.as_secs() >= route.up_lock().expiry;
            if route.is_over() && up_ended {
                batch.forget_route(*id);
            } else {
                self.route(batch, (*id, &RouteEvent::Looked(view)), now);
            }
        }
    }

    pub(super) fn resume_routes(&self, batch: &mut Batch, now: UnixTime) {
        for id in self.routes.keys() {
            self.route(batch, (*id, &RouteEvent::Restarted), now);
        }
    }
}
