//! The router: admits, locks onward, learns words, and is paid upstream for what it pays downstream.

use warren_proto::{
    Amount, ChannelId, Lock, LockOffer, LockReady, PayErrorCode, PaymentId, RouteFrame, Step,
    UnixTime,
};

use super::super::book::Batch;
use super::super::news::Told;
use super::super::perform::Outcome;
use super::super::{Task, Waiter};
use super::{code_of, vouchers};
use crate::channel::routed::steps_to;
use crate::channel::router::{
    Admission, RouteEffect, RouteEvent, RouteRefusal, RouteView, RouterRules, admit, rejection,
    weigh,
};
use crate::channel::{
    PayeeChannel, PayeeEffect, PayeeEvent, PayerEffect, PayerEvent, Phase, Proof, RoutedLock,
    RoutedNews, RoutedOrder, Via,
};
use crate::handle::{PaymentEvent, PaymentsError, RouteOut};
use crate::settle::{ClaimView, Rate};
use crate::voucher::VerifiedVoucher;

/// Whether an effect may be done although one before it was not. Paying for a word is not among them:
/// it must be on disk upstream first (P6). What the chain has done already is only written down.
pub(in crate::actor) const fn stands_alone(effect: &RouteEffect) -> bool {
    !matches!(
        effect,
        RouteEffect::Fold {
            proof: Proof::Told,
            ..
        }
    )
}

impl Task {
    /// Takes a lock and gives one on the same anchor. Whatever is wrong with it is told upstream; an
    /// error says that this node could not do it.
    pub(super) fn lock_onward(
        &mut self,
        offer: LockOffer,
        down: ChannelId,
    ) -> Result<Vec<RouteOut>, PaymentsError> {
        let voucher = self.verified(offer.voucher.clone())?;
        let (up, now) = (offer.voucher.channel, self.now());
        let reject = |refusal: RouteRefusal| {
            vec![RouteOut {
                channel: up,
                frame: RouteFrame::Reject(rejection(&offer, &refusal)),
            }]
        };
        let Some(downstream) = self.book.payers.get(&down) else {
            return Ok(reject(RouteRefusal::NoHop));
        };
        let (rules, upstream) = match self.upstream(&offer) {
            Ok(found) => found,
            Err(refusal) => return Ok(reject(refusal)),
        };
        if downstream.routed_lock(&offer.payment).is_some() {
            return Ok(reject(RouteRefusal::Known));
        }
        let admission = Admission {
            offer: &offer,
            up: upstream,
            down: downstream,
            in_flight: self.in_flight(up),
            claim_cost: self.claim_cost(&offer.lock),
        };
        let admitted = match admit(&admission, &rules, now) {
            Ok(step) => step,
            Err(refusal) => return Ok(reject(refusal)),
        };
        let taken = taken_lock(upstream, &offer, voucher, now)?;
        // P5: both are on disk before the effect that signs downstream.
        let mut batch = Batch::default();
        batch.take_payee(taken);
        batch.take_route(admitted);
        self.take_routes(batch)
    }

    /// Whether a neighbour's lock would be taken, were there a way onward. Nothing changes.
    pub(super) fn would_lock(&self, offer: &LockOffer) -> Result<(), PaymentsError> {
        let voucher = self.verified(offer.voucher.clone())?;
        let (channel, now) = (offer.voucher.channel, self.now());
        let refused = |it: RouteRefusal| {
            let code = it.code();
            PaymentsError::NotTaken { channel, code }
        };
        let (rules, upstream) = self.upstream(offer).map_err(refused)?;
        let standing = (self.in_flight(channel), self.claim_cost(&offer.lock));
        weigh(offer, upstream, standing, &rules, now).map_err(refused)?;
        taken_lock(upstream, offer, voucher, now).map(|_| ())
    }

    /// This router's rules, and the channel on which a payment came that it does not know yet.
    fn upstream(&self, offer: &LockOffer) -> Result<(RouterRules, &PayeeChannel), RouteRefusal> {
        let policy = self.config.router.ok_or(RouteRefusal::NoHop)?;
        let upstream = self.book.payees.get(&offer.voucher.channel);
        let upstream = upstream.ok_or(RouteRefusal::NoHop)?;
        if self.book.routes.contains_key(&offer.payment) {
            return Err(RouteRefusal::Known);
        }
        Ok((RouterRules::new(policy), upstream))
    }

    /// One event of one routed payment, if `channel` is its downstream one.
    pub(super) fn routed(
        &mut self,
        channel: ChannelId,
        payment: PaymentId,
        event: &RouteEvent,
    ) -> Result<Vec<RouteOut>, PaymentsError> {
        let route = self.book.routes.get(&payment);
        if route.is_none_or(|it| it.down() != channel) {
            let code = PayErrorCode::NoRoute;
            return Err(PaymentsError::NotTaken { channel, code });
        }
        let (now, mut batch) = (self.now(), Batch::default());
        batch.route(&self.book, payment, event, now);
        self.take_routes(batch)
    }

    fn take_routes(&mut self, batch: Batch) -> Result<Vec<RouteOut>, PaymentsError> {
        let outcome = self.take(batch)?;
        match outcome.stuck {
            Some(error @ PaymentsError::Store(_)) => Err(error),
            Some(_) | None => Ok(outcome.routed),
        }
    }

    /// Does what a routed payment asks for; what it has to tell goes into `outcome`.
    pub(in crate::actor) fn perform_route(
        &mut self,
        payment: PaymentId,
        effect: RouteEffect,
        outcome: &mut Outcome,
    ) -> Result<(), PaymentsError> {
        let Some(route) = self.book.routes.get(&payment) else {
            return Ok(());
        };
        let (up, down) = (route.up(), route.down());
        let mut tell = |channel, frame| outcome.routed.push(RouteOut { channel, frame });
        match effect {
            RouteEffect::LockOnward {
                lock,
                onward,
                sealed,
            } => {
                let mut signed = self.sign_onward(payment, down, lock)?;
                outcome.routed.append(&mut signed.routed);
                if let Ok(voucher) = signed.voucher(down) {
                    let offer = LockOffer {
                        payment,
                        voucher,
                        lock,
                        onward,
                        hold_fee: Amount::ZERO,
                        sealed,
                    };
                    let frame = RouteFrame::Offer(Box::new(offer));
                    outcome.routed.push(RouteOut {
                        channel: down,
                        frame,
                    });
                }
            }
            RouteEffect::Learn { k, word } => {
                let news = RoutedNews::Word {
                    payment,
                    k,
                    word,
                    via: Via::Route,
                };
                self.earn(up, &PayeeEvent::Routed(news))?;
            }
            RouteEffect::Fold { k, word, proof } => {
                let order = RoutedOrder::Fold {
                    payment,
                    k,
                    word,
                    proof,
                };
                let folded = self.pay(down, &PayerEvent::Routed(order))?;
                outcome.routed.extend(vouchers(down, folded));
            }
            RouteEffect::AskFold(shown) => {
                let upstream = self.book.payees.get(&up);
                let folded = upstream.and_then(|it| it.routed_folded(&payment));
                if folded.is_some_and(|it| it < shown.k) {
                    tell(up, RouteFrame::Fulfill(shown));
                }
            }
            RouteEffect::TellReady => {
                let upstream = self.book.payees.get(&up).and_then(|it| it.voucher());
                let ready = LockReady {
                    payment,
                    anchor: route.up_lock().anchor,
                    channel: up,
                    seq: upstream.map_or(0, |it| it.seq),
                    lane: 0,
                };
                tell(up, RouteFrame::Ready(ready));
            }
            RouteEffect::Reject(it) => tell(up, RouteFrame::Reject(it)),
            RouteEffect::Refuse(code) => {
                let detail = code.to_string();
                let channel = down;
                tell(
                    down,
                    RouteFrame::PayError {
                        channel,
                        code,
                        detail,
                    },
                );
            }
        }
        Ok(())
    }

    /// The downstream lock and the route's record, in one batch.
    fn sign_onward(
        &mut self,
        payment: PaymentId,
        down: ChannelId,
        lock: Lock,
    ) -> Result<Outcome, PaymentsError> {
        let unknown = PaymentsError::UnknownChannel { channel: down };
        let (now, mut batch) = (self.now(), Batch::default());
        let order = RoutedOrder::Lock(RoutedLock {
            payment,
            lock,
            own: None,
            hold_fee: Amount::ZERO,
        });
        let payer = self.book.payers.get(&down).ok_or(unknown)?;
        let step = payer.handle(&PayerEvent::Routed(order), now);
        let refusal = step.effects.iter().find_map(|it| match it {
            PayerEffect::Refuse(refusal) => Some(code_of(refusal)),
            PayerEffect::SendVoucher(_)
            | PayerEffect::SendWord { .. }
            | PayerEffect::SendRoutedWord { .. }
            | PayerEffect::TopUpNeeded { .. }
            | PayerEffect::RunningLow
            | PayerEffect::Stranger
            | PayerEffect::Submit(_)
            | PayerEffect::Book(_) => None,
        });
        match refusal {
            Some(code) => {
                batch.route(&self.book, payment, &RouteEvent::NotSigned(code), now);
            }
            None => {
                batch.take_payer(step);
                batch.route(&self.book, payment, &RouteEvent::Signed, now);
            }
        }
        self.take(batch)
    }

    /// Words that became public: paid for already where they were claimed, and good upstream.
    pub(in crate::actor) fn learn_words(&self, told: &Told, batch: &mut Batch) {
        let now = self.now();
        for (channel, word) in told.words() {
            let routes = self.book.routes.values().filter(|it| it.down() == *channel);
            for route in routes {
                let event = RouteEvent::Revealed(word.clone());
                batch.route(&self.book, route.payment(), &event, now);
            }
            let payer = batch.payer(&self.book, *channel);
            let locks = payer.map(|it| it.routed_locks()).unwrap_or_default();
            for lock in locks.into_iter().filter(|it| it.released.is_some()) {
                let anchor = warren_proto::Preimage::from_bytes(*lock.lock.anchor.as_bytes());
                if let Some(steps) = steps_to(word, &anchor, lock.lock.units) {
                    let order = RoutedOrder::Fold {
                        payment: lock.payment,
                        k: lock.folded.saturating_add(steps),
                        word: word.clone(),
                        proof: Proof::OnChain,
                    };
                    let event = PayerEvent::Routed(order);
                    let _known = batch.pay(&self.book, *channel, &event, now);
                }
            }
        }
    }

    /// Tells each routed payment what the chain and its upstream channel say, and forgets old ones.
    pub(in crate::actor) fn look_at_routes(&self, batch: &mut Batch) {
        let now = self.now();
        for (id, route) in &self.book.routes {
            let up = self.book.payees.get(&route.up());
            let view = RouteView {
                heard_until: self.heard_until,
                up_folded: up.and_then(|it| it.routed_folded(id)),
                up_claimed: up.is_some_and(|it| it.claimed() >= it.value(now)),
            };
            let up_ended = self.heard_until.as_secs() >= route.up_lock().expiry;
            if route.is_over() && up_ended {
                batch.forget_route(*id);
            } else {
                batch.route(&self.book, *id, &RouteEvent::Looked(view), now);
            }
        }
    }

    /// Locks of one neighbour that are not settled, and what they can come to.
    fn in_flight(&self, up: ChannelId) -> (usize, Amount) {
        let routes = self.book.routes.values();
        let open = routes.filter(|it| it.up() == up && !it.is_over());
        open.fold((0, Amount::ZERO), |(count, sum), it| {
            let lock = it.up_lock();
            let most = lock.unit_price.checked_mul(u64::from(lock.units));
            let sum = most.and_then(|it| sum.checked_add(it));
            (count.saturating_add(1), sum.unwrap_or(Amount::MAX))
        })
    }

    /// Nothing where nobody said what a coin is worth: a guess is no reason to refuse a lock.
    fn claim_cost(&self, lock: &Lock) -> Amount {
        if matches!(self.config.settle.rate, Rate::Guessed(_)) {
            return Amount::ZERO;
        }
        self.config.settle.cost(&ClaimView {
            phase: Phase::Open,
            claimable: Amount::ZERO,
            words: lock.units,
            gas_price: self.gas_price,
            expiry: None,
            apart: false,
        })
    }

    /// Ends a round that nobody asked for: neighbours are told by events.
    pub(in crate::actor) fn finish_round(&mut self, mut outcome: Outcome) {
        for out in std::mem::take(&mut outcome.routed) {
            self.tell(PaymentEvent::Route(Box::new(out)));
        }
        self.run_submissions(outcome, Waiter::Nobody);
    }
}

/// The upstream channel with the lock, or why its payee must not take it.
fn taken_lock(
    upstream: &PayeeChannel,
    offer: &LockOffer,
    voucher: VerifiedVoucher,
    now: UnixTime,
) -> Result<Step<PayeeChannel, PayeeEffect>, PaymentsError> {
    let news = RoutedNews::Lock {
        voucher,
        payment: offer.payment,
        anchor: offer.lock.anchor,
        unit_price: Amount::ZERO,
    };
    let step = upstream.handle(&PayeeEvent::Routed(news), now);
    let channel = offer.voucher.channel;
    match step.effects.iter().find_map(refused_voucher) {
        Some(code) => Err(PaymentsError::NotTaken { channel, code }),
        None => Ok(step),
    }
}

fn refused_voucher(effect: &PayeeEffect) -> Option<PayErrorCode> {
    match effect {
        PayeeEffect::Refuse(code) => Some(*code),
        PayeeEffect::Credit(_)
        | PayeeEffect::RoutedCredit(_)
        | PayeeEffect::Stop(_)
        | PayeeEffect::Submit(_)
        | PayeeEffect::Consent { .. }
        | PayeeEffect::Book(_) => None,
    }
}
