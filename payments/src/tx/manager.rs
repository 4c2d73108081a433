//! Gets one account's calls into blocks: in order, through restarts, fee rises and lost history.
//!
//! Sans-IO. [`super::Submitter`] signs, saves and sends.
//!
//! ```text
//! asked ──▶ queued ──▶ preparing ──Prepared──▶ signing ──Signed, saved──▶ in flight
//!                         │ Refused, too dear*               bump ▲        │    │ another took
//!                         ▼                                       └────────┘    ▼ the nonce: queued
//!                       failed                           in a block ──N blocks──▶ confirmed
//!                                                            └──reorg──▶ in flight
//! ```
//! *: what can wait is put aside for a while, and is queued again when gas is cheap enough.
//!
//! Invariant: what was broadcast is on disk, every version of it, until it is confirmed.
//! At most one call waits for a block; the next starts when it is in one, or overtakes it (`turn`).

mod turn;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use warren_proto::{Amount, Step, TxHash, UnixTime};

use super::event::{Job, JobId, Report, Seen, SendFailure, TxEffect, TxEvent};
use super::fee::GasPrice;
use super::flight::{Flight, Verdict};
use super::{SignedTx, UnsignedTx};
use crate::chain::Fees;
use turn::Aside;

// Our choice: bounds of the queue and of what may lie unconfirmed at once.
const MAX_QUEUE: usize = 256;
const MAX_FLIGHTS: usize = 32;

/// When to be content and when to pay more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxRules {
    /// The chain transactions are for.
    pub chain_id: u64,
    /// Blocks, the one it is in included, after which a transaction is believed.
    pub confirmations: u64,
    /// Blocks without it after which it pays more.
    pub bump_after_blocks: u64,
    /// Per gas, never more than this, unless something is at stake and little time left.
    pub fee_cap: Amount,
    /// Before the deadline of what is at stake, so much is little time.
    pub urgent: Duration,
}

/// The calls of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxManager {
    pub(super) rules: TxRules,
    pub(super) queue: VecDeque<Job>,
    pub(super) preparing: Option<Job>,
    /// What can wait and may not pay what gas costs now, in the order of asking.
    aside: Vec<Aside>,
    /// By nonce.
    pub(super) flights: BTreeMap<u64, Flight>,
    pub(super) head: u64,
    /// What gas cost when last asked; `None` before the first time.
    pub(super) market: Option<Fees>,
    /// The chain's time when last asked.
    pub(super) clock: UnixTime,
    /// Looks in a row at endpoints that did not agree.
    pub(super) blind: u64,
}

type TxStep = Step<TxManager, TxEffect>;

impl TxManager {
    /// Starts with nothing on its way.
    #[must_use]
    pub const fn new(rules: TxRules) -> Self {
        Self {
            rules,
            queue: VecDeque::new(),
            preparing: None,
            aside: Vec::new(),
            flights: BTreeMap::new(),
            head: 0,
            market: None,
            clock: UnixTime::from_secs(0),
            blind: 0,
        }
    }

    /// What the chain must be asked about with each new block.
    pub fn watched(&self) -> impl Iterator<Item = TxHash> + '_ {
        self.flights
            .values()
            .flat_map(|it| it.all_versions().map(|it| it.hash))
    }

    /// Whether nothing is waiting or on its way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let waits = !self.queue.is_empty() || !self.aside.is_empty();
        !waits && self.preparing.is_none() && self.flights.is_empty()
    }

    /// After a restart: sends what is on its way once more.
    pub fn resume(&self) -> TxStep {
        let newest = self.flights.values().filter_map(|it| it.versions.last());
        newest.fold(Step::stay(self), |step, it| {
            step.then(TxEffect::Broadcast(it.clone()))
        })
    }

    /// Says what `event` makes of the account.
    pub fn handle(&self, event: &TxEvent) -> TxStep {
        match event {
            TxEvent::Asked(job) => self.take(job),
            TxEvent::Prepared {
                id,
                gas_limit,
                fees,
                nonce,
                time,
            } => {
                let mut told = self.clone();
                told.clock = time.unwrap_or(self.clock);
                told.prepared(*id, *gas_limit, fees, *nonce)
            }
            TxEvent::Refused { id } => self.refused(*id),
            TxEvent::Signed { unsigned, signed } => self.signed(unsigned, signed),
            TxEvent::SendFailed { tx, why } => self.send_failed(*tx, *why),
            TxEvent::HeadSeen {
                number,
                time,
                nonce,
                fees,
                seen,
            } => {
                let mut told = self.clone();
                told.clock = *time;
                told.head_seen(*number, *nonce, fees, seen)
            }
            TxEvent::Blind { time, fees, nonces } => self.look_blindly(*time, fees, nonces),
        }
    }

    fn refused(&self, id: JobId) -> TxStep {
        if self.preparing.as_ref().is_none_or(|it| it.id != id) {
            return Step::stay(self);
        }
        let mut next = self.clone();
        next.preparing = None;
        next.start(Vec::new(), false)
    }

    /// `signing → in flight`: saved with its bytes before it is sent.
    fn signed(&self, unsigned: &UnsignedTx, signed: &SignedTx) -> TxStep {
        let mut next = self.clone();
        let flight = next.flights.get_mut(&unsigned.nonce);
        // It may have been overtaken meanwhile: then nobody has seen this version.
        let Some(flight) = flight.filter(|it| it.job.data == unsigned.data) else {
            return Step::stay(self);
        };
        flight.price = GasPrice {
            max_fee: unsigned.max_fee,
            tip: unsigned.tip,
        };
        flight.sent_at = self.head;
        flight.versions.push(signed.clone());
        Step::to(next)
            .saved()
            .then(TxEffect::Broadcast(signed.clone()))
    }

    fn send_failed(&self, tx: TxHash, why: SendFailure) -> TxStep {
        let Some((nonce, flight)) = self
            .flights
            .iter()
            .find(|(_, it)| it.versions.iter().any(|it| it.hash == tx))
        else {
            return Step::stay(self);
        };
        match why {
            SendFailure::Retry | SendFailure::NonceTooLow => Step::stay(self),
            SendFailure::Underpriced => {
                match flight.bump(*nonce, self.market.as_ref(), &self.rules, self.clock) {
                    Some(unsigned) => Step::stay(self).then(TxEffect::Sign(unsigned)),
                    None => Step::stay(self),
                }
            }
            // Only if no version of it can be in any pool.
            SendFailure::Final if flight.versions.len() == 1 => {
                let mut next = self.clone();
                let id = flight.job.id;
                match flight.fallen_back() {
                    Some(before) => drop(next.flights.insert(*nonce, before)),
                    None => drop(next.flights.remove(nonce)),
                }
                next.start(vec![TxEffect::Report(id, Report::Rejected)], true)
            }
            SendFailure::Final => Step::stay(self),
        }
    }

    /// One look at everything on its way, with the chain as it is at this block.
    fn head_seen(&self, number: u64, nonce: u64, fees: &Fees, seen: &[Seen]) -> TxStep {
        let mut next = self.clone();
        next.head = number;
        next.market = Some(*fees);
        next.blind = 0;
        let (mut effects, mut save) = (Vec::new(), false);
        let lowest = self.flights.keys().next().copied();
        let landed = self.landed(seen);
        let is_open = |it: &&Job| !landed.contains(&it.id);
        for (at, old) in &self.flights {
            if !next.flights.contains_key(at) {
                continue; // It is done under another nonce.
            }
            // A nonce that some endpoint made up is never reached. Only what does no harm twice was
            // ever sent with such a nonce.
            let is_harmless = old.jobs().all(|it| it.stake.is_some());
            if is_harmless && lowest == Some(*at) && nonce < *at {
                next.again(old.jobs().filter(is_open).cloned());
                next.flights.remove(at);
                save = true;
                continue;
            }
            let ours = seen
                .iter()
                .find(|it| old.all_versions().any(|v| v.hash == it.tx));
            let mut flight = Flight {
                seen: ours.copied(),
                ..old.clone()
            };
            if self.head == 0 {
                flight.sent_at = number; // Resumed with this very block.
            }
            flight.lost_at = if ours.is_none() && nonce > *at {
                Some(old.lost_at.unwrap_or((number, self.clock)))
            } else {
                None
            };
            match flight.verdict(number, &self.rules, self.clock) {
                Verdict::Confirmed(seen) => {
                    let done = old.job_of(seen.tx).id;
                    effects.push(TxEffect::Report(done, Report::Confirmed(seen)));
                    next.again(old.jobs().filter(|it| it.id != done).cloned());
                    next.flights.remove(at);
                    let twice = |it: &Flight| it.job.id == done && it.before.is_empty();
                    next.flights.retain(|_, it| !twice(it));
                    save = true;
                }
                Verdict::Lost => {
                    let (again, unsure): (Vec<_>, Vec<_>) =
                        old.jobs().filter(is_open).partition(|it| it.may_repeat());
                    let unsure = unsure.into_iter().map(|it| it.id);
                    effects.extend(unsure.map(|it| TxEffect::Report(it, Report::Unsure)));
                    next.again(again.into_iter().cloned());
                    next.flights.remove(at);
                    save = true;
                }
                Verdict::Doubt => {
                    // What does no harm twice does not wait until that is known.
                    while flight.job.may_repeat()
                        && let Some(before) = flight.fallen_back()
                    {
                        next.again(std::iter::once(&flight.job).filter(is_open).cloned());
                        flight = before;
                        save = true;
                    }
                    next.flights.insert(*at, flight);
                }
                Verdict::Late => {
                    effects.extend(flight.again(*at, Some(fees), &self.rules, self.clock));
                    flight.sent_at = number;
                    next.flights.insert(*at, flight);
                }
                Verdict::Patience => {
                    next.flights.insert(*at, flight);
                }
            }
        }
        next.call_back(fees, &mut effects);
        next.start(effects, save)
    }

    /// Whether `seen` is no news.
    pub(super) fn knows(&self, seen: &[Seen]) -> bool {
        let known = self.flights.values().filter_map(|it| it.seen).count();
        seen.len() == known
    }

    /// The calls of which some version is in a block.
    fn landed(&self, seen: &[Seen]) -> BTreeSet<JobId> {
        let mut landed = BTreeSet::new();
        for flight in self.flights.values() {
            let ours = |it: &&Seen| flight.all_versions().any(|v| v.hash == it.tx);
            landed.extend(seen.iter().find(ours).map(|it| flight.job_of(it.tx).id));
        }
        landed
    }

    /// The least count of transactions that `seen` proves; `None` if nothing of ours is in it.
    pub(super) fn nonce_after(&self, seen: &[Seen]) -> Option<u64> {
        let is_seen = |it: &SignedTx| seen.iter().any(|seen| seen.tx == it.hash);
        let flights = self.flights.iter().rev();
        let mut ours = flights.filter(|(_, it)| it.all_versions().any(is_seen));
        ours.next().map(|(nonce, _)| nonce.saturating_add(1))
    }

    /// Nobody knows what is in a block: all is said again now and then, and what is at stake may
    /// pay more. The nonces stay, so nothing can happen twice; but what does no harm twice is sent under the next
    /// nonce that any endpoint tells of too, for the one that it has may be made up.
    fn look_blindly(&self, time: UnixTime, fees: &Fees, nonces: &[u64]) -> TxStep {
        let mut next = self.clone();
        next.clock = time;
        next.market = Some(*fees);
        next.blind = self.blind.saturating_add(1);
        let patience = self.rules.bump_after_blocks.max(1);
        let mut effects = Vec::new();
        next.call_back(fees, &mut effects);
        if !next.blind.is_multiple_of(patience) {
            return next.start(effects, false);
        }
        let unseen = |it: &&(&u64, &Flight)| it.1.seen.is_none() && it.1.lost_at.is_none();
        let said = self.flights.iter().collect::<Vec<_>>();
        effects.extend(said.iter().filter(unseen).filter_map(|(at, it)| {
            if let Some((nonce, twin)) = self.elsewhere(**at, it, nonces) {
                let unsigned = twin.unsigned(nonce, self.rules.chain_id);
                next.flights.insert(nonce, twin);
                return Some(TxEffect::Sign(unsigned));
            }
            if it.job.stake.is_some() {
                it.again(**at, Some(fees), &self.rules, time)
            } else {
                it.repeat()
            }
        }));
        next.start(effects, false)
    }

    /// The same call under the next higher nonce of `nonces` that is free; `None` if there is none, or it must not
    /// be made twice.
    fn elsewhere(&self, at: u64, flight: &Flight, nonces: &[u64]) -> Option<(u64, Flight)> {
        let is_same = |it: &Flight| it.job.id == flight.job.id;
        let mut higher = self.flights.iter().filter(|(nonce, _)| **nonce > at);
        let is_alone = flight.job.stake.is_some() && flight.before.is_empty();
        if !is_alone || self.flights.len() >= MAX_FLIGHTS || higher.any(|(_, it)| is_same(it)) {
            return None;
        }
        let free = |it: &&u64| **it > at && !self.flights.contains_key(*it);
        let nonce = nonces.iter().filter(free).min()?;
        let twin = Flight {
            versions: Vec::new(),
            ..flight.clone()
        };
        Some((*nonce, twin))
    }
}

#[cfg(test)]
mod tests;
