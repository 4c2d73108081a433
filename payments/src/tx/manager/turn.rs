//! Whose turn it is: the line of calls, and which may overtake one that cannot pay for its gas.
//!
//! Sans-IO. Nonces are used in order, so a call that no block takes holds up all others of its account. So what
//! cannot pay what a block burns is not sent. A call at stake is given up: what it brings may never be
//! enough, and whoever asked will ask again while there is time. What can wait is put aside, and is in
//! line again when gas is cheap enough; if that takes too long, whoever asked is told.
//!
//! What was sent before gas became dear waits for cheaper gas; a call at stake that can pay overtakes whatever
//! cannot: it gets the nonce, and whichever of the two a block takes, the other is made again.

use std::time::Duration;

use warren_proto::{Amount, Step, UnixTime};

use super::{MAX_FLIGHTS, MAX_QUEUE, TxManager, TxStep};
use crate::chain::Fees;
use crate::tx::event::{Job, JobId, Report, TxEffect};
use crate::tx::fee::GasPrice;
use crate::tx::flight::Flight;

/// How long what can wait is put aside while gas is too dear, by the chain's clock, before whoever asked is told.
/// Our choice: a few blocks, and less than people wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A call that may not pay what gas costs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Aside {
    job: Job,
    /// The first look since; `None` before it.
    since: Option<UnixTime>,
}

impl TxManager {
    pub(super) fn take(&self, job: &Job) -> TxStep {
        let mut next = self.clone();
        if let Some(known) = next.known(job) {
            if job.stake.is_none() || known.stake == job.stake {
                return Step::stay(self);
            }
            // More is at stake than when it was asked for first, or sooner.
            known.stake = job.stake;
            if let Some(at) = next.queue.iter().position(|it| it.id == job.id) {
                let waiting = next.queue.remove(at);
                waiting.into_iter().for_each(|it| next.line_up(it));
            }
            if let Some(at) = next.aside.iter().position(|it| it.job.id == job.id) {
                let waiting = next.aside.remove(at);
                next.line_up(waiting.job);
            }
            return next.start(Vec::new(), true);
        }
        if next.queue.len().saturating_add(next.aside.len()) >= MAX_QUEUE {
            return Step::stay(self).then(TxEffect::Report(job.id, Report::QueueFull));
        }
        next.line_up(job.clone());
        next.start(Vec::new(), false)
    }

    fn known(&mut self, job: &Job) -> Option<&mut Job> {
        let waiting = self.queue.iter_mut().chain(&mut self.preparing);
        let waiting = waiting.chain(self.aside.iter_mut().map(|it| &mut it.job));
        let flying = self.flights.values_mut().flat_map(Flight::jobs_mut);
        waiting.chain(flying).find(|it| it.id == job.id)
    }

    /// What has a deadline goes before what has none.
    fn line_up(&mut self, job: Job) {
        let has_deadline = |it: &Job| it.stake.is_some_and(|it| it.deadline.is_some());
        let place = if has_deadline(&job) {
            self.queue.iter().take_while(|it| has_deadline(it)).count()
        } else {
            self.queue.len()
        };
        self.queue.insert(place, job);
    }

    /// To be made again: each goes to the head of the line, the first of them first.
    pub(super) fn again(&mut self, jobs: impl DoubleEndedIterator<Item = Job>) {
        jobs.rev().for_each(|it| self.queue.push_front(it));
    }

    /// Starts the next call if nothing stands in its way.
    pub(super) fn start(mut self, mut effects: Vec<TxEffect>, save: bool) -> TxStep {
        if self.preparing.is_none()
            && self.flights.len() < MAX_FLIGHTS
            && let Some(job) = self.next().and_then(|it| self.queue.remove(it))
        {
            effects.push(TxEffect::Prepare(job.clone()));
            self.preparing = Some(job);
        }
        Step {
            next: self,
            save,
            effects,
        }
    }

    /// The place in the line of whoever may start now. What does no harm twice may overtake, and waits for nothing
    /// that nobody can see.
    fn next(&self) -> Option<usize> {
        let Some((_, waits)) = self.first_unseen() else {
            return (!self.queue.is_empty()).then_some(0);
        };
        let market = self.market.as_ref()?;
        let is_jammed = waits.is_jammed(market, &self.rules, self.clock);
        let at_stake = self.queue.iter().position(|it| it.stake.is_some());
        at_stake.filter(|_| is_jammed || self.blind > 0)
    }

    fn first_unseen(&self) -> Option<(u64, &Flight)> {
        let mut flights = self.flights.iter();
        // What lost its nonce to another holds nobody up: the next nonce is free.
        let waits = flights.find(|(_, it)| it.seen.is_none() && it.lost_at.is_none());
        waits.map(|(nonce, it)| (*nonce, it))
    }

    /// `preparing → signing`: the nonce comes after everything that is on its way, or is the one that
    /// is held up.
    pub(super) fn prepared(&self, id: JobId, gas_limit: u64, fees: &Fees, nonce: u64) -> TxStep {
        let Some(job) = self.preparing.as_ref().filter(|it| it.id == id) else {
            return Step::stay(self);
        };
        let mut flight = Flight::new(job.clone(), gas_limit, self.head);
        let cap = flight.cap(&self.rules, self.clock);
        let (rules, time) = (&self.rules, self.clock);
        let jam = self.first_unseen().filter(|(at, it)| {
            job.stake.is_some() && *at >= nonce && it.is_jammed(fees, rules, time)
        });
        let ready = match jam {
            Some((at, held_up)) => {
                let overtaken = held_up.clone().overtaken_by(flight, fees, (rules, time));
                overtaken.map(|it| (at, it))
            }
            None => {
                let last = self.flights.keys().next_back();
                let after_ours = last.map_or(0, |it| it.saturating_add(1));
                flight.price = GasPrice::first(fees, cap);
                Some((nonce.max(after_ours), flight))
            }
        };
        let mut next = self.clone();
        next.preparing = None;
        match ready.filter(|(_, it)| it.price.max_fee >= fees.floor) {
            Some((nonce, flight)) => {
                let unsigned = flight.unsigned(nonce, self.rules.chain_id);
                next.flights.insert(nonce, flight);
                Step::to(next).then(TxEffect::Sign(unsigned))
            }
            None if job.stake.is_none() => {
                let job = job.clone();
                next.aside.push(Aside { job, since: None });
                next.start(Vec::new(), false)
            }
            None => next.too_dear(id, fees.floor, cap),
        }
    }

    fn too_dear(self, id: JobId, floor: Amount, cap: Amount) -> TxStep {
        let report = Report::TooDear { floor, cap };
        self.start(vec![TxEffect::Report(id, report)], false)
    }

    /// What was put aside is in line again if it can pay by now, and given up if it waited for too long.
    pub(super) fn call_back(&mut self, market: &Fees, effects: &mut Vec<TxEffect>) {
        let (floor, cap, now) = (market.floor, self.rules.fee_cap, self.clock);
        if floor <= cap {
            let aside = std::mem::take(&mut self.aside);
            self.again(aside.into_iter().map(|it| it.job));
            return;
        }
        self.aside.retain_mut(|it| {
            let since = *it.since.get_or_insert(now);
            let waits = now.since(since) < PATIENCE;
            if !waits {
                let report = Report::TooDear { floor, cap };
                effects.push(TxEffect::Report(it.job.id, report));
            }
            waits
        });
    }
}
