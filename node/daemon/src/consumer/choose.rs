//! Which exit comes next: offers are looked for, tried one after the other, and, once a tunnel was up, again.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;
use warren_overlay::offers::{RankedOffer, ScoreReason};
use warren_proto::{Amount, SignedOffer, UnixTime};

use super::live::{self, Heard, Live};
use super::round::Round;
use super::{SEARCH_PAUSE, Shell, Wanted, view};
use crate::api::types::{Fallback, UpEvent, UpStage};
use crate::error::{ErrorCode, Problem};
use crate::perform::Openings;
use crate::session::ConsumerEnd;

/// What to do next and whom to tell.
pub(super) struct Plan {
    pub(super) wanted: Wanted,
    /// `None` once a tunnel was up.
    pub(super) progress: Option<mpsc::Sender<UpEvent>>,
    pub(super) round: Round,
    queue: VecDeque<SignedOffer>,
    since: UnixTime,
    last_problem: Option<Problem>,
    searching: bool,
    /// What the sessions that are over cost.
    pub(super) spent: Amount,
    pub(super) openings: Openings,
    /// Whether the kill switch stood before: then it stays if nothing comes of this plan.
    was_blocked: bool,
}

impl Plan {
    pub(super) fn new(
        wanted: Wanted,
        progress: mpsc::Sender<UpEvent>,
        since: UnixTime,
        was_blocked: bool,
    ) -> Self {
        Self {
            wanted,
            progress: Some(progress),
            round: Round::default(),
            queue: VecDeque::new(),
            since,
            last_problem: None,
            searching: false,
            spent: Amount::ZERO,
            openings: Openings::default(),
            was_blocked,
        }
    }

    /// What is left of the most that the user allows. `None`: the deposit is the only cap.
    pub(super) fn may_spend(&self) -> Option<Amount> {
        let cap = self.wanted.max_spend;
        cap.map(|cap| cap.saturating_sub(self.spent))
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
    /// Looks for exits in the background; the answer comes back as [`Heard::Offers`].
    pub(super) fn search(&mut self) {
        let Some(plan) = &mut self.plan else { return };
        if plan.searching {
            return;
        }
        plan.searching = true;
        let (overlay, query) = (self.parts.overlay.clone(), plan.wanted.query.clone());
        let heard_by = self.heard_by.clone();
        self.parts.control.spawn(async move {
            let known = overlay.offers(query.clone()).await.unwrap_or_default();
            let offers = if known.is_empty() {
                tokio::time::sleep(SEARCH_PAUSE).await;
                overlay.refresh(query).await.unwrap_or_default()
            } else {
                known
            };
            let _ = heard_by.send(Heard::Offers(offers)).await;
        });
    }

    pub(super) async fn found(&mut self, offers: Vec<RankedOffer>) {
        let now = self.parts.clock.now();
        let Some(plan) = &mut self.plan else { return };
        plan.searching = false;
        let fits = |it: &RankedOffer| {
            let node = it.offer.offer().node;
            let named = plan.wanted.exit.as_ref();
            plan.round.may_try(node, now)
                && named.is_none_or(|it| node.to_string().starts_with(it))
                && is_within(plan.wanted.query.max_per_mib, it)
        };
        let fitting = offers.into_iter().filter(fits);
        plan.queue = fitting.map(|it| it.offer).collect();
        if self.live.is_some() {
            return;
        }
        if plan.queue.is_empty() && plan.progress.is_some() {
            let searched = now.since(plan.since);
            if searched < plan.wanted.search && plan.round.is_fresh() {
                self.search();
                return;
            }
            let seen = format!("no offer fits after {} s", searched.as_secs());
            self.no_exit(&seen).await;
            return;
        }
        self.next_exit().await;
    }

    async fn no_exit(&mut self, seen: &str) {
        let Some(plan) = &mut self.plan else { return };
        let problem = plan.last_problem.take();
        let problem = problem.unwrap_or_else(|| Problem::new(ErrorCode::NoOffer, seen));
        self.give_up(problem).await;
    }

    /// Opens a stream to the best exit not yet tried; with none left, waits for the next round once a
    /// tunnel was up, and gives up before.
    async fn next_exit(&mut self) {
        let now = self.parts.clock.now();
        let Some(plan) = &mut self.plan else { return };
        let full = plan.round.is_full();
        let Some(offer) = plan.queue.pop_front().filter(|_| !full) else {
            if plan.progress.is_some() {
                return self.no_exit("every exit was tried").await;
            }
            let pause = plan.round.pause(now);
            let last = plan.last_problem.clone();
            let last = last.unwrap_or_else(|| Problem::new(ErrorCode::NoOffer, "no offer fits"));
            let (seen, secs) = (&last.seen, pause.as_secs());
            let text = format!("{seen}; exits that fit are tried again in {secs} s");
            tracing::info!(secs, "no exit is left; they are tried again");
            self.facts.problem = Some(Problem { seen: text, ..last });
            return;
        };
        plan.round.tries(offer.offer().node, now);
        let place = offer.offer().region.country;
        let text = format!("trying {} in {place}", offer.offer().node.short());
        self.tell(UpStage::Exit, &text);
        let bid = live::wish(&self.parts, offer, self.plan.as_ref());
        let (live, effects) = Live::new(bid, &self.parts, self.heard_by.clone());
        self.live = Some(live);
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
        let now = self.parts.clock.now();
        let Some(mut live) = self.live.take() else {
            return;
        };
        let (lost, served) = (live.machine().offer().clone(), live.machine().served(now));
        let price = live.machine().word_price().unwrap_or_default();
        let cost = price.checked_mul(live.machine().released());
        self.keep_locks(&mut live);
        self.leave(live);
        let Some(plan) = &mut self.plan else { return };
        let spent = plan.spent.checked_add(cost.unwrap_or(Amount::MAX));
        plan.spent = spent.unwrap_or(Amount::MAX);
        if matches!(end, ConsumerEnd::Asked) {
            return;
        }
        tracing::warn!(seen = %problem.seen, code = %problem.code, "session ended");
        plan.last_problem = Some(problem.clone());
        let started = plan.progress.is_none();
        // An exit that no channel pays yet is passed over for one that can be paid.
        let unpayable = matches!(end, ConsumerEnd::Unfunded) && plan.openings.is_spent();
        let next = end.try_next() || unpayable;
        if next && (plan.wanted.fallback != Fallback::None || !started) {
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
        if let Some(progress) = plan.progress {
            let _ = progress.try_send(UpEvent::Failed(problem));
        }
        self.facts.protected = self.line.is_protected();
    }
}

#[cfg(test)]
mod tests;
