//! One transaction on its way, and what a new block means for it.
//!
//! Sans-IO.

use std::time::Duration;

use warren_proto::{Amount, TxHash, UnixTime};

use super::event::{Job, Seen, TxEffect};
use super::fee::{self, GasPrice};
use super::manager::TxRules;
use super::{SignedTx, UnsignedTx};
use crate::chain::Fees;

/// Versions of one transaction: 12.5 % each, so the last pays some 40 times the first.
const MAX_VERSIONS: usize = 32;

/// Calls that one nonce is offered to, one after the other; our choice.
pub(super) const MAX_BEFORE: usize = 4;

/// How long a receipt is waited for once the nonce is used, by the chain's clock, where making the call again could
/// make it twice. Our choice: nodes that lag by more are not asked.
const DOUBT: Duration = Duration::from_secs(300);

/// A call that had a nonce before, and may yet get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Before {
    pub(super) job: Job,
    pub(super) gas_limit: u64,
    pub(super) price: GasPrice,
    pub(super) versions: Vec<SignedTx>,
}

/// A transaction on its way, with all its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flight {
    pub(super) job: Job,
    pub(super) gas_limit: u64,
    pub(super) price: GasPrice,
    /// Oldest first; any of them may be the one that gets in.
    pub(super) versions: Vec<SignedTx>,
    /// Calls that could not pay for this nonce and were overtaken, oldest first; any of their versions may
    /// be the one that gets in.
    pub(super) before: Vec<Before>,
    /// The newest block when the last version was sent.
    pub(super) sent_at: u64,
    pub(super) seen: Option<Seen>,
    /// Since which block, and when that was, the nonce has been used, and by no version that anybody has a
    /// receipt of.
    pub(super) lost_at: Option<(u64, UnixTime)>,
}

/// What to do about a flight at a new block.
pub(super) enum Verdict {
    Confirmed(Seen),
    /// A stranger's transaction took the nonce for good, or so it seems.
    Lost,
    /// The same, but a receipt may be late, and one of its calls must not be made twice.
    Doubt,
    Late,
    Patience,
}

impl Flight {
    /// Not signed and not priced yet.
    pub(super) const fn new(job: Job, gas_limit: u64, head: u64) -> Self {
        Self {
            job,
            gas_limit,
            price: GasPrice {
                max_fee: Amount::ZERO,
                tip: Amount::ZERO,
            },
            versions: Vec::new(),
            before: Vec::new(),
            sent_at: head,
            seen: None,
            lost_at: None,
        }
    }

    /// Every version that may be in a block, of whichever call.
    pub(super) fn all_versions(&self) -> impl Iterator<Item = &SignedTx> {
        let before = self.before.iter().flat_map(|it| &it.versions);
        before.chain(&self.versions)
    }

    /// Every call that waits for this nonce.
    pub(super) fn jobs(&self) -> impl DoubleEndedIterator<Item = &Job> {
        self.before.iter().map(|it| &it.job).chain([&self.job])
    }

    pub(super) fn jobs_mut(&mut self) -> impl Iterator<Item = &mut Job> {
        let before = self.before.iter_mut().map(|it| &mut it.job);
        before.chain([&mut self.job])
    }

    /// The call that the version `tx` makes.
    pub(super) fn job_of(&self, tx: TxHash) -> &Job {
        let is_it = |it: &&Before| it.versions.iter().any(|it| it.hash == tx);
        self.before
            .iter()
            .find(is_it)
            .map_or(&self.job, |it| &it.job)
    }

    /// Whether no block takes it as it is, and it may not pay what one would take.
    pub(super) fn is_jammed(&self, market: &Fees, rules: &TxRules, time: UnixTime) -> bool {
        let can_pay = |it: GasPrice| it.max_fee >= market.floor;
        let cap = self.cap(rules, time);
        let dearer = self.price.bumped(Some(market), cap);
        let dearer = dearer.filter(|_| self.versions.len() < MAX_VERSIONS);
        let waits = self.seen.is_none() && self.lost_at.is_none() && !self.versions.is_empty();
        waits && !can_pay(self.price) && !dearer.is_some_and(can_pay)
    }

    /// Gives its nonce to `next`, which must pay so much more that pools let it take the place; `None` if it
    /// may not.
    pub(super) fn overtaken_by(
        self,
        mut next: Self,
        market: &Fees,
        (rules, time): (&TxRules, UnixTime),
    ) -> Option<Self> {
        if self.before.len() >= MAX_BEFORE {
            return None;
        }
        next.price = self.price.bumped(Some(market), next.cap(rules, time))?;
        next.before = self.before;
        next.before.push(Before {
            job: self.job,
            gas_limit: self.gas_limit,
            price: self.price,
            versions: self.versions,
        });
        Some(next)
    }

    /// What it was before the last call overtook it; `None` if none did.
    pub(super) fn fallen_back(&self) -> Option<Self> {
        let mut before = self.before.clone();
        let last = before.pop()?;
        Some(Self {
            job: last.job,
            gas_limit: last.gas_limit,
            price: last.price,
            versions: last.versions,
            before,
            ..self.clone()
        })
    }

    pub(super) fn verdict(&self, head: u64, rules: &TxRules, now: UnixTime) -> Verdict {
        let deep = |since: u64| head.saturating_add(1).saturating_sub(since) >= rules.confirmations;
        let waited = head.saturating_sub(self.sent_at);
        // A node may know a nonce to be used long before it has the receipt: what does harm twice waits longer.
        let is_sure = |at: UnixTime| self.jobs().all(Job::may_repeat) || now.since(at) >= DOUBT;
        match (self.seen, self.lost_at) {
            (Some(seen), _) if deep(seen.block) => Verdict::Confirmed(seen),
            (Some(_), _) => Verdict::Patience,
            (None, Some((since, at))) if deep(since) && head > since => {
                if is_sure(at) {
                    Verdict::Lost
                } else {
                    Verdict::Doubt
                }
            }
            (None, Some(_)) => Verdict::Patience,
            (None, None) if waited >= rules.bump_after_blocks => Verdict::Late,
            (None, None) => Verdict::Patience,
        }
    }

    /// Pays more where it may, or at least says it again.
    pub(super) fn again(
        &self,
        nonce: u64,
        market: Option<&Fees>,
        rules: &TxRules,
        time: UnixTime,
    ) -> Option<TxEffect> {
        self.bump(nonce, market, rules, time)
            .map(TxEffect::Sign)
            .or_else(|| self.repeat())
    }

    /// Says it again as it is.
    pub(super) fn repeat(&self) -> Option<TxEffect> {
        self.versions.last().cloned().map(TxEffect::Broadcast)
    }

    /// What it may pay per gas at this time.
    pub(super) fn cap(&self, rules: &TxRules, time: UnixTime) -> Amount {
        let usual = (rules.fee_cap, rules.urgent);
        fee::cap(self.job.stake.as_ref(), self.gas_limit, time, usual)
    }

    pub(super) fn bump(
        &self,
        nonce: u64,
        market: Option<&Fees>,
        rules: &TxRules,
        time: UnixTime,
    ) -> Option<UnsignedTx> {
        if self.versions.len() >= MAX_VERSIONS {
            return None;
        }
        let price = self.price.bumped(market, self.cap(rules, time))?;
        Some(
            Self {
                price,
                ..self.clone()
            }
            .unsigned(nonce, rules.chain_id),
        )
    }

    pub(super) fn unsigned(&self, nonce: u64, chain_id: u64) -> UnsignedTx {
        UnsignedTx {
            chain_id,
            nonce,
            to: self.job.to,
            value: self.job.value,
            gas_limit: self.gas_limit,
            max_fee: self.price.max_fee,
            tip: self.price.tip,
            data: self.job.data.clone(),
        }
    }
}
