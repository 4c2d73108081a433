//! Which exit comes next: offers are looked for, tried one after the other, and, once a tunnel was up, again.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;
use warren_overlay::offers::{OfferQuery, RankedOffer, ScoreReason, asks_too_much_ahead};
use warren_proto::{Amount, MAX_MIB_AHEAD, PayoutAddress, Price, SignedOffer, UnixTime};

use super::live::{self, Heard, Live};
use super::round::{Failed, Round};
use super::{SEARCH_PAUSE, Shell, Wanted, host, view};
use crate::api::types::{Fallback, UpEvent, UpStage};
use crate::error::{ErrorCode, Problem};
use crate::events::News;
use crate::perform::{Openings, payees};
use crate::session::ConsumerEnd;

/// What a search came to.
pub(super) struct Answer {
    /// The number of the plan that asked.
    pub(super) plan: u64,
    pub(super) offers: Vec<RankedOffer>,
    pub(super) from: Asked,
}

/// Who was asked for offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// What this node knows.
    Index,
    /// The network, after a pause.
    Network,
}

/// What comes of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// It was found for an earlier plan, which may have wanted something else.
    Old,
    /// Somebody may be tried now, or nobody was left, after a tunnel was up.
    Next,
    /// Nobody that this node knows: the network may know more.
    Ask,
    /// Nobody, and for too long.
    Nobody(String),
    /// What was asked for cannot be had.
    Refused(Problem),
}

/// What to do next and whom to tell.
pub(super) struct Plan {
    number: u64,
    pub(super) wanted: Wanted,
    /// `None` once a tunnel was up, and where nobody waits for one: it is looked for as long as it is wanted.
    pub(super) progress: Option<mpsc::Sender<UpEvent>>,
    pub(super) round: Round,
    /// Who failed the plans before this one.
    pub(super) failed: Failed,
    queue: VecDeque<SignedOffer>,
    since: UnixTime,
    last_problem: Option<Problem>,
    searching: bool,
    /// What the sessions that are over cost.
    pub(super) spent: Amount,
    pub(super) openings: Openings,
    /// Whether an exit could not be paid: those for which no money is to be found come first from then on.
    lacks_money: bool,
    /// Whether the kill switch stood before: then it stays if nothing comes of this plan.
    was_blocked: bool,
}

impl Plan {
    pub(super) fn new(
        number: u64,
        wanted: Wanted,
        progress: Option<mpsc::Sender<UpEvent>>,
        since: UnixTime,
        was_blocked: bool,
    ) -> Self {
        Self {
            number,
            wanted,
            progress,
            round: Round::default(),
            failed: Failed::default(),
            queue: VecDeque::new(),
            since,
            last_problem: None,
            searching: false,
            spent: Amount::ZERO,
            openings: Openings::default(),
            lacks_money: false,
            was_blocked,
        }
    }

    /// What is left of the most that the user allows.
    pub(super) fn may_spend(&self) -> Amount {
        self.wanted.max_spend.saturating_sub(self.spent)
    }

    /// What to look for. A name must be the only one of its kind among all exits, so all are looked at.
    fn query(&self) -> OfferQuery {
        if self.wanted.named.is_none() {
            return self.wanted.query.clone();
        }
        OfferQuery {
            chain: self.wanted.query.chain,
            free_too: self.wanted.query.free_too,
            full_too: true,
            ..OfferQuery::default()
        }
    }

    /// Whether enough exits were tried. Until a tunnel was up, not before the time is over as well: a few that answer
    /// nobody are soon tried.
    fn is_full(&self, now: UnixTime) -> bool {
        let over = self.progress.is_none() || now.since(self.since) >= self.wanted.search;
        over && self.round.is_full()
    }

    /// Queues who fits and may be tried, of what was found for this plan, who failed an earlier one last; says what
    /// to do next.
    fn weigh(&mut self, answer: Answer, now: UnixTime) -> Found {
        if answer.plan != self.number {
            return Found::Old;
        }
        self.searching = false;
        let node = |it: &RankedOffer| it.offer.offer().node;
        if let Err(problem) = self.wanted.settle(answer.offers.iter().map(node)) {
            return Found::Refused(problem);
        }
        let named = &self.wanted.query.nodes;
        let is_dear =
            |it: &&RankedOffer| named.contains(&node(it)) && asks_too_much_ahead(&it.offer);
        if let Some(dear) = answer.offers.iter().find(is_dear) {
            return Found::Refused(too_much_ahead(dear));
        }
        let (wanted, round, left) = (&self.wanted, &self.round, self.may_spend());
        let fits = |it: &RankedOffer| {
            wanted.named.is_none()
                && wanted.query.wants(&it.offer)
                && is_within(wanted.query.max_per_mib, it)
        };
        let fitting = answer.offers.into_iter().filter(fits);
        let (paid, beyond): (Vec<_>, Vec<_>) = fitting.partition(|it| affords(left, &it.offer));
        // A better offer of somebody else may come; one whom the user named asks what it asks.
        let capped = (paid.is_empty() && !beyond.is_empty()).then(cap_too_low);
        if let Some(problem) = capped.clone().filter(|_| !named.is_empty()) {
            return Found::Refused(problem);
        }
        let tried = paid.into_iter().filter(|it| round.may_try(node(it), now));
        let (late, fresh): (Vec<_>, Vec<_>) = tried.partition(|it| self.failed.has(node(it), now));
        // Who fits better than one that failed may be known to others.
        let begins = round.is_fresh() && named.is_empty() && self.progress.is_some();
        let asks = fresh.is_empty() && begins && answer.from == Asked::Index;
        let queue = fresh.into_iter().chain(late);
        self.queue = queue.map(|it| it.offer).collect();
        if !self.queue.is_empty() && !asks {
            return Found::Next;
        }
        let full = self.is_full(now);
        if answer.from == Asked::Index && !full {
            return Found::Ask;
        }
        if self.progress.is_none() {
            return capped.map_or(Found::Next, Found::Refused);
        }
        let searched = now.since(self.since);
        if searched < self.wanted.search && self.round.is_fresh() {
            return Found::Ask;
        }
        let nobody = || Found::Nobody(format!("no offer fits after {} s", searched.as_secs()));
        capped.map_or_else(nobody, Found::Refused)
    }

    /// Puts those first that are free, or paid by a channel that is there; else their order stays.
    fn paid_first(&mut self, payees: &[PayoutAddress]) {
        let is_paid = |it: &SignedOffer| {
            let it = it.offer();
            it.price == Price::default() || payees.contains(&it.payee)
        };
        let queue = self.queue.make_contiguous();
        queue.sort_by_key(|it| !is_paid(it));
    }

    /// An exit is lost: where the next one may be.
    fn falls_back(&mut self, lost: &SignedOffer) {
        let countries = &mut self.wanted.query.countries;
        match self.wanted.fallback {
            Fallback::Country => *countries = vec![lost.offer().region.country],
            Fallback::Any => countries.clear(),
            Fallback::None => {}
        }
    }
}

/// Why the exit that was named is not tried.
fn too_much_ahead(it: &RankedOffer) -> Problem {
    let offer = it.offer.offer();
    let (node, words) = (offer.node.short(), offer.prepay_units);
    let seen = format!(
        "{node} wants {words} of its words ahead: with the one in use that is more than {MAX_MIB_AHEAD} MiB are worth at its price"
    );
    Problem::new(ErrorCode::NoOffer, seen)
}

/// Whether `left` pays the words that an exit wants ahead: else it would get a channel, and not one word.
fn affords(left: Amount, offer: &SignedOffer) -> bool {
    let it = offer.offer();
    let words = u64::from(it.prepay_units).max(1);
    let ahead = it.unit_price.checked_mul(words).unwrap_or(Amount::MAX);
    it.price == Price::default() || ahead <= left
}

/// Why no exit is tried though some fit.
fn cap_too_low() -> Problem {
    let seen = "what this `up` may cost is less than the words that any exit that fits wants ahead";
    Problem::new(ErrorCode::SpendingCap, seen)
}

/// Whether an offer costs at most `max` per MiB, its price per minute counted as what that adds to a MiB of a
/// film: an exit that is cheap by the MiB may be dear by the minute.
pub(crate) fn is_within(max: Option<Amount>, it: &RankedOffer) -> bool {
    let worth = it.score_reasons.iter().find_map(|it| {
        if let ScoreReason::Price { per_mib, .. } = it {
            return Some(*per_mib);
        }
        None
    });
    max.is_none_or(|max| worth.unwrap_or(it.offer.offer().price.per_mib) <= max)
}

impl Shell {
    /// Looks for exits among those known; the answer comes back as [`Heard::Offers`].
    pub(super) fn search(&mut self) {
        self.ask(Asked::Index);
    }

    fn ask(&mut self, whom: Asked) {
        let Some(plan) = &mut self.plan else { return };
        if plan.searching {
            return;
        }
        plan.searching = true;
        let (number, query) = (plan.number, plan.query());
        let (overlay, heard_by) = (self.parts.overlay.clone(), self.heard_by.clone());
        self.parts.control.spawn(async move {
            let offers = match whom {
                Asked::Index => overlay.offers(query).await,
                Asked::Network => {
                    // However soon it answers, and whatever.
                    tokio::time::sleep(SEARCH_PAUSE).await;
                    overlay.refresh(query).await
                }
            };
            let answer = Answer {
                plan: number,
                offers: offers.unwrap_or_default(),
                from: whom,
            };
            let _ = heard_by.send(Heard::Offers(answer)).await;
        });
    }

    pub(super) async fn found(&mut self, mut answer: Answer) {
        let now = self.parts.clock.now();
        let Some(plan) = &mut self.plan else { return };
        answer.offers.retain(|it| host::is_of_use(it.offer.offer()));
        let found = plan.weigh(answer, now);
        if let Some(purse) = self.parts.purse.as_ref().filter(|_| plan.lacks_money) {
            // Without an answer of the books the order stays as it is.
            plan.paid_first(&payees(purse).await.unwrap_or_default());
        }
        if self.live.is_some() {
            return;
        }
        match found {
            Found::Old => {}
            Found::Next => self.next_exit().await,
            Found::Ask => self.ask(Asked::Network),
            Found::Nobody(seen) => self.no_exit(&seen).await,
            Found::Refused(problem) => self.give_up(problem).await,
        }
    }

    async fn no_exit(&mut self, seen: &str) {
        let Some(plan) = &mut self.plan else { return };
        let problem = plan.last_problem.take();
        let problem = problem.unwrap_or_else(|| Problem::new(ErrorCode::NoOffer, seen));
        self.give_up(problem).await;
    }

    /// Opens a stream to the best exit not yet tried; with none left, gives up if somebody
    /// waits for the first tunnel, and else waits for the next round.
    async fn next_exit(&mut self) {
        let now = self.parts.clock.now();
        let Some(plan) = &mut self.plan else { return };
        let full = plan.is_full(now);
        let Some(offer) = plan.queue.pop_front().filter(|_| !full) else {
            if plan.progress.is_some() {
                let seen = format!("{} exits were tried", plan.round.tries_made());
                return self.no_exit(&seen).await;
            }
            let pause = plan.round.pause(now);
            let last = plan.last_problem.clone();
            let last = last.unwrap_or_else(|| Problem::new(ErrorCode::NoOffer, "no offer fits"));
            let (seen, secs) = (&last.seen, pause.as_secs());
            let text = format!("{seen}; exits that fit are tried again in {secs} s");
            tracing::info!(secs, "no exit is left; they are tried again");
            let problem = Problem { seen: text, ..last };
            self.parts.events.tell(News::warning(&problem));
            self.facts.problem = Some(problem);
            return;
        };
        plan.round.tries(offer.offer().node, now);
        let place = offer.offer().region.country;
        let text = format!("trying {} in {place}", offer.offer().node.short());
        self.tell(UpStage::Exit, &text);
        let bid = live::wish(&self.parts, offer, self.plan.as_ref());
        let (live, effects) = Live::new(bid, &self.parts, self.heard_by.clone());
        self.live = Some(live);
        self.tell_of_session("a session was asked for");
        self.perform(effects).await;
    }

    /// Goes on once a pause is over.
    pub(super) fn tick_plan(&mut self) {
        let now = self.parts.clock.now();
        if self.plan.as_mut().is_some_and(|it| it.round.goes_on(now)) {
            self.search();
        }
    }

    /// A session ended: the next exit, or the end of the plan.
    pub(super) async fn ended(&mut self, end: ConsumerEnd) {
        self.facts = self.facts();
        self.look_into(&end);
        let problem = view::problem(&end, self.cause(&end), self.line.is_protected());
        self.tell_of_end(&end, &problem);
        let now = self.parts.clock.now();
        let Some(mut live) = self.live.take() else {
            return;
        };
        let (lost, served) = (live.machine().offer().clone(), live.machine().served(now));
        let cost = live.machine().cost();
        self.keep_locks(&mut live);
        self.leave(live);
        let Some(plan) = &mut self.plan else { return };
        plan.spent = plan.spent.checked_add(cost).unwrap_or(Amount::MAX);
        if matches!(end, ConsumerEnd::Asked) {
            return;
        }
        tracing::warn!(seen = %problem.seen, code = %problem.code, "session ended");
        plan.last_problem = Some(problem.clone());
        let started = plan.progress.is_none();
        plan.lacks_money |= matches!(end, ConsumerEnd::Unfunded);
        if end.is_of_exit() {
            self.failed.note(lost.offer().node, served, now);
        }
        if end.try_next() && (plan.wanted.fallback != Fallback::None || !started) {
            if started && served > Duration::ZERO {
                plan.round.lost(lost.offer().node, served, now);
                plan.falls_back(&lost);
            }
            self.search();
        } else {
            self.give_up(problem).await;
        }
    }

    /// Nothing more to try. A start that failed leaves this machine as it was: blocked if it was blocked. A
    /// running tunnel that broke keeps its kill switch, if it had one: blocked on purpose until the user decides.
    pub(super) async fn give_up(&mut self, problem: Problem) {
        let Some(plan) = self.plan.take() else { return };
        self.facts.problem = Some(problem.clone());
        let rests = plan.progress.is_none() || (plan.was_blocked && plan.wanted.kill_switch);
        let lowered = if rests {
            self.line.rest().await
        } else {
            self.line.unprotect().await
        };
        if let Err(error) = lowered {
            tracing::error!(%error, "the line was not lowered in full");
        }
        self.parts.events.tell(News::warning(&problem));
        self.tell_of_blocking();
        if let Some(progress) = plan.progress {
            let _ = progress.try_send(UpEvent::Failed(problem));
        }
        self.facts.protected = self.line.is_protected();
    }
}

#[cfg(test)]
mod tests;
