//! A session that a route pays for: its locks are made, offered, confirmed and given up here.

use std::collections::{BTreeMap, VecDeque};

use warren_proto::{
    Amount, ChannelId, LockOffer, LockReady, NodeId, PayErrorCode, PaymentId, SessionFrame,
    WordFrame,
};

use super::live::{Heard, Live, News};
use super::{ConsumerParts, Shell};
use crate::api::types::UpStage;
use crate::error::Problem;
use crate::perform::{self, KeptLock, Locked, RoutedStart, Standing, Unsaid, Way};
use crate::session::{ConsumerEvent, LockMade, RouteNews, RouteOrder};

/// Words kept until the exit says that it knows them; it spends 64 hashes on one, so few bridge any gap.
const MAX_UNHEARD: usize = 64;
/// Second routers that may take no lock, in one session, before it is given up.
const MAX_REFUSED: usize = 3;
/// Locks kept for later sessions: as many as a voucher may hold.
const MAX_KEPT: usize = 15;

/// What the shell keeps of a session's route.
pub(super) struct RouteLine {
    pub(super) way: Way,
    /// Second routers that took no lock.
    refused: Vec<NodeId>,
    /// Made, and told to nobody.
    unsaid: BTreeMap<PaymentId, Box<LockOffer>>,
    /// On their way, and confirmed by the exit.
    locks: BTreeMap<PaymentId, (LockMade, bool)>,
    unheard: VecDeque<WordFrame>,
}

impl RouteLine {
    fn new(way: Way) -> Self {
        Self {
            way,
            refused: Vec::new(),
            unsaid: BTreeMap::new(),
            locks: BTreeMap::new(),
            unheard: VecDeque::new(),
        }
    }

    fn takes(&mut self, locked: Locked) -> LockMade {
        let made = locked.made;
        if let Some(offer) = locked.offer {
            self.unsaid.insert(made.payment, offer);
        }
        self.locks.insert(made.payment, (made, false));
        made
    }

    /// No lock came of the way's second router, which is passed over from now on; whether another one may be
    /// tried. One that is busy may be opening its channel, or the first one the channel to it: it is tried again.
    fn passes_over_second(&mut self, code: PayErrorCode) -> bool {
        let Some(second) = self.way.second.filter(|_| code != PayErrorCode::Busy) else {
            return false;
        };
        if !self.refused.contains(&second.node) {
            self.refused.push(second.node);
        }
        self.refused.len() < MAX_REFUSED
    }

    fn sends(&mut self, word: &WordFrame) {
        if self.unheard.len() >= MAX_UNHEARD {
            self.unheard.pop_front();
        }
        self.unheard.push_back(word.clone());
    }
}

impl Shell {
    /// A route will pay: the session goes on with its first lock.
    pub(super) async fn routed(&mut self, routed: RoutedStart) {
        let RoutedStart { start, way, locked } = routed;
        let Some(live) = &mut self.live else { return };
        let mut line = RouteLine::new(way);
        let lock = line.takes(locked);
        live.channel = Some(way.channel);
        live.route = Some(line);
        self.tell_way(&way, lock.units);
        let start = Box::new(start);
        let news = RouteNews::Made { start, lock };
        self.event(ConsumerEvent::Route(news)).await;
    }

    fn tell_way(&self, way: &Way, units: u32) {
        let live = self.live.as_ref();
        let terms = live.and_then(|it| it.machine().terms());
        let exit_price = terms.map_or(way.unit_price, |it| it.unit_price);
        let token = &self.parts.token;
        let show = |amount| crate::api::types::Money::of(amount, token);
        let second = way.second.map(|it| format!(" and {}", it.node.short()));
        let text = format!(
            "paid by a route through {}{}: {} a word instead of {}, and {} for each lock of {units} words",
            way.router.short(),
            second.unwrap_or_default(),
            show(way.unit_price),
            show(exit_price),
            show(way.hint.hold_fee),
        );
        self.tell(UpStage::Channel, &text);
    }

    /// Another lock for the running session is made, or is not.
    pub(super) async fn locked(&mut self, locked: Result<(Way, Locked), Problem>) {
        let Some(live) = &mut self.live else { return };
        let terms = live.machine().terms().cloned();
        let (Some(line), Some(terms)) = (&mut live.route, terms) else {
            return;
        };
        let news = match locked {
            Ok((way, locked)) => {
                let is_other = way != std::mem::replace(&mut line.way, way);
                let lock = line.takes(locked);
                if is_other {
                    self.tell_way(&way, lock.units);
                }
                let start = perform::routed_start(&self.parts.key, &terms, lock.payment);
                let start = Box::new(start);
                RouteNews::Made { start, lock }
            }
            Err(problem) => {
                tracing::warn!(seen = %problem.seen, "no next lock");
                live.problem = Some(problem);
                let (payment, code) = (None, PayErrorCode::NoCapacity);
                RouteNews::Failed { payment, code }
            }
        };
        self.event(ConsumerEvent::Route(news)).await;
    }

    pub(super) async fn rejected(&mut self, payment: PaymentId, code: PayErrorCode) {
        tracing::info!(%code, "a lock is rejected");
        let line = self.live.as_mut().and_then(|it| it.route.as_mut());
        let by_two = line.is_some_and(|line| {
            line.locks.remove(&payment);
            line.way.second.is_some()
        });
        if by_two && code == PayErrorCode::Busy {
            // What it was made for is what the next session knows that second router by.
            self.parts.routes.unask(payment);
        } else {
            self.parts.routes.forget_lock(payment).await;
        }
        self.no_lock(payment, code).await;
    }

    /// A lock comes to nothing: another second router is tried, or the session knows.
    async fn no_lock(&mut self, payment: PaymentId, code: PayErrorCode) {
        let line = self.live.as_mut().and_then(|it| it.route.as_mut());
        let news = if line.is_some_and(|it| it.passes_over_second(code)) {
            RouteNews::Gone(payment)
        } else {
            let payment = Some(payment);
            RouteNews::Failed { payment, code }
        };
        Box::pin(self.event(ConsumerEvent::Route(news))).await;
    }

    pub(super) async fn perform_route(&mut self, order: RouteOrder) {
        match order {
            RouteOrder::Next => self.next_lock(),
            RouteOrder::Offer(payment) => self.offer_lock(payment).await,
            RouteOrder::Confirm(ready) => self.confirm_lock(ready).await,
            RouteOrder::Release { ready, units } => self.say_words(ready, units).await,
            RouteOrder::Heard { payment, lane, k } => self.words_heard(payment, lane, k).await,
            RouteOrder::Drop(payment) => {
                if let Some(live) = &mut self.live {
                    give_up(live, payment, &self.parts);
                }
            }
            RouteOrder::Late(payment) => {
                if let Some(live) = &mut self.live {
                    give_up(live, payment, &self.parts);
                }
                self.no_lock(payment, PayErrorCode::NoRoute).await;
            }
        }
    }

    fn next_lock(&self) {
        let (Some(live), Some(purse)) = (&self.live, self.parts.purse.clone()) else {
            return;
        };
        let plan = self.plan.as_ref();
        let max_fee_ppm = plan.map_or(0, |it| it.wanted.max_route_fee_ppm);
        let (Some(line), Some(terms)) = (&live.route, live.machine().terms().cloned()) else {
            return;
        };
        let (way, routes) = ((line.way, line.refused.clone()), self.parts.routes.clone());
        let (now, session) = (self.parts.clock.now(), live.id());
        let (heard_by, payable) = (live.heard_by.clone(), live.to_pay.payable());
        tokio::spawn(async move {
            let how = (&routes, max_fee_ppm, &payable);
            let way = (way.0, way.1.as_slice());
            let locked = perform::next_lock(&purse, how, way, &terms, now).await;
            let news = News::Locked(Box::new(locked));
            let _ = heard_by.send(Heard::Session { session, news }).await;
        });
    }

    async fn offer_lock(&mut self, payment: PaymentId) {
        let Some(live) = &mut self.live else { return };
        let Some(line) = &mut live.route else { return };
        let Some(offer) = line.unsaid.remove(&payment) else {
            // One of a session before, which the exit does not hold any more.
            self.kept.retain(|it| it.made.payment != payment);
            line.locks.remove(&payment);
            self.parts.routes.forget_lock(payment).await;
            let gone = ConsumerEvent::Route(RouteNews::Gone(payment));
            return Box::pin(self.event(gone)).await;
        };
        let routes = &self.parts.routes;
        let rejection = routes.rejection_of(payment);
        routes.tell(perform::offered(line.way.channel, offer));
        let (session, heard_by) = (live.id(), live.heard_by.clone());
        tokio::spawn(async move {
            // It errs once the lock is good, given up, or kept for later.
            if let Ok(code) = rejection.await {
                let news = News::Rejected { payment, code };
                let _ = heard_by.send(Heard::Session { session, news }).await;
            }
        });
    }

    async fn confirm_lock(&mut self, ready: LockReady) {
        let (Some(live), Some(purse)) = (&mut self.live, &self.parts.purse) else {
            return;
        };
        let Some(line) = &mut live.route else { return };
        let confirmed = purse.payments().lock_ready(line.way.channel, ready);
        match confirmed.await {
            Ok(()) => {
                if let Some((_, is_held)) = line.locks.get_mut(&ready.payment) {
                    *is_held = true;
                }
                self.parts.routes.unask(ready.payment);
                let news = RouteNews::Usable(ready);
                Box::pin(self.event(ConsumerEvent::Route(news))).await;
            }
            Err(error) => {
                tracing::warn!(%error, "the exit's lock is not the one that was offered");
                Box::pin(self.rejected(ready.payment, PayErrorCode::NoRoute)).await;
            }
        }
    }

    async fn say_words(&mut self, ready: LockReady, units: u32) {
        let (Some(live), Some(purse)) = (&mut self.live, &self.parts.purse) else {
            return;
        };
        let Some(line) = &mut live.route else { return };
        match purse.release_routed(line.way.channel, ready, units).await {
            Ok(words) => {
                live.unreleased = None;
                if let Some((made, _)) = line.locks.get_mut(&ready.payment) {
                    made.said = made.said.max(units);
                }
                for word in &words {
                    line.sends(word);
                }
                let best = words.iter().max_by_key(|it| it.k).cloned();
                for word in words {
                    self.send(SessionFrame::Word(word));
                }
                if let Some(word) = best {
                    let payment = ready.payment;
                    let said = ConsumerEvent::Route(RouteNews::Said { payment, word });
                    Box::pin(self.event(said)).await;
                }
            }
            Err(Unsaid { problem, dead }) => {
                // Nothing was said, nor counts as paid; the provider pauses and both sides say so.
                tracing::warn!(seen = %problem.seen, "words cannot be released");
                live.unreleased = Some(problem);
                let payment = ready.payment;
                let unsaid = ConsumerEvent::Route(RouteNews::Unsaid { payment, dead });
                Box::pin(self.event(unsaid)).await;
            }
        }
    }

    async fn words_heard(&mut self, payment: PaymentId, lane: u32, k: u32) {
        let (Some(live), Some(purse)) = (&mut self.live, &self.parts.purse) else {
            return;
        };
        let Some(line) = &mut live.route else { return };
        line.unheard.retain(|it| it.lane != lane || it.k > k);
        let channel = line.way.channel;
        // Believed within what a crash here may have forgotten; anything else is the exit's fancy.
        if let Err(error) = purse.payments().routed_heard(channel, payment, k).await {
            tracing::debug!(%error, "the exit speaks of an unknown lock");
        }
    }

    /// The words that the old stream may have lost.
    pub(super) async fn say_words_again(&mut self) {
        let line = self.live.as_ref().and_then(|it| it.route.as_ref());
        let words: Vec<_> = line.iter().flat_map(|it| it.unheard.clone()).collect();
        for word in words {
            self.send(SessionFrame::Word(word));
        }
    }

    /// The session is over: locks with words left are good for the next one with the same exit, others
    /// are given up.
    pub(super) fn keep_locks(&mut self, live: &mut Live) {
        let (exit, terms) = (live.machine().offer().offer().node, live.machine().terms());
        let Some(exit_price) = terms.map(|it| it.unit_price) else {
            return;
        };
        let Some(line) = &live.route else { return };
        let (way, locks) = (line.way, line.locks.clone());
        let now = self.parts.clock.now();
        self.kept.retain(|it| it.made.serve_until > now);
        for (payment, (made, is_held)) in locks {
            self.parts.routes.unask(payment);
            self.kept.retain(|it| it.made.payment != payment);
            if !is_held {
                give_up(live, payment, &self.parts);
            } else if made.said < made.units && self.kept.len() < MAX_KEPT {
                // What the router holds it for is paid.
                let hold_fee = Amount::ZERO;
                let made = LockMade { hold_fee, ..made };
                self.kept.push(KeptLock {
                    exit,
                    way,
                    exit_price,
                    made,
                });
            }
        }
    }
}

/// No word is said of a lock that nobody confirmed; one that nobody was told of is taken back.
fn give_up(live: &mut Live, payment: PaymentId, parts: &ConsumerParts) {
    let Some(line) = &mut live.route else { return };
    line.locks.remove(&payment);
    let standing = match line.unsaid.remove(&payment) {
        Some(_) => Standing::Made,
        None => Standing::Offered,
    };
    take_back(parts, line.way.channel, (payment, standing));
}

/// Forgets a lock by which nothing will be paid, and tells the router where it stands.
pub(super) fn take_back(
    parts: &ConsumerParts,
    channel: ChannelId,
    (payment, standing): (PaymentId, Standing),
) {
    let Some(purse) = parts.purse.clone() else {
        return;
    };
    let routes = parts.routes.clone();
    tokio::spawn(async move {
        // Else the next session would take the same second router for one that does its work.
        routes.forget_lock(payment).await;
        for out in purse.give_up_lock(channel, payment, standing).await {
            routes.tell(out);
        }
    });
}

#[cfg(test)]
mod tests;
