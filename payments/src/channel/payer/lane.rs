//! Tranches: how a payer goes from one chain of words to the next without a round trip.
//!
//! Sans-IO.

use warren_proto::Amount;

use super::{PayerChannel, Phase, RESERVE_UNITS, Run, Step};
use crate::channel::event::{PayerEffect, PayerRefusal};
use crate::ledger::Posting;

// Our choices.
/// Most units one step releases: bounds the frames of one answer.
const MAX_STEP_UNITS: u64 = 4096;
/// Hashes between two words sent: the payee spends no more on one.
const WORD_STRIDE: u32 = 64;

/// The live lock and how much of it is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::channel) struct PaidLane {
    pub(in crate::channel) tranche: u64,
    pub(in crate::channel) unit_price: Amount,
    pub(in crate::channel) units: u32,
    pub(in crate::channel) released: u32,
    /// On disk before the words up to here go out.
    pub(in crate::channel) reserved: u32,
}

impl PaidLane {
    pub(in crate::channel) fn value(&self) -> Amount {
        self.worth(self.released)
    }

    /// What may have been released and forgotten.
    pub(in crate::channel) fn reserve(&self) -> Amount {
        self.worth(self.reserved).saturating_sub(self.value())
    }

    /// Cannot overflow: the whole lane was within the deposit when it was signed.
    fn worth(&self, units: u32) -> Amount {
        self.unit_price
            .checked_mul(u64::from(units))
            .unwrap_or(Amount::MAX)
    }

    fn left(&self) -> u32 {
        self.units.saturating_sub(self.released)
    }

    /// The lane with `excess` more released, if that is a whole number of its units.
    pub(super) fn advanced_by(&self, excess: Amount) -> Option<Self> {
        let units = excess.wei().checked_div(self.unit_price.wei())?;
        let units = u32::try_from(units).ok().filter(|it| *it <= self.left())?;
        let released = self.released.checked_add(units)?;
        let exact = self.worth(units) == excess;
        exact.then_some(Self {
            released,
            reserved: self.reserved.max(released),
            ..*self
        })
    }

    /// Releases at most `want` units; says how many, and whether the record must run ahead.
    fn release(&mut self, want: u64) -> (u32, bool) {
        let want = u32::try_from(want).unwrap_or(u32::MAX);
        let units = want.min(self.left()).min(WORD_STRIDE);
        self.released = self.released.saturating_add(units);
        let ahead = self.released > self.reserved;
        if ahead {
            self.reserved = self
                .released
                .saturating_add(RESERVE_UNITS - 1)
                .min(self.units);
        }
        (units, ahead)
    }
}

impl PayerChannel {
    pub(super) fn prepare(&self, unit_price: Amount) -> Step {
        if let Err(refusal) = self.usable() {
            return self.refuse(refusal);
        }
        if unit_price == Amount::ZERO {
            return self.refuse(PayerRefusal::FreeUnit);
        }
        let run = Run {
            unit_price,
            ..Run::default()
        };
        if self
            .lane
            .is_some_and(|it| it.unit_price == unit_price && it.left() > 0)
        {
            // What is left of the last session's chain serves this one.
            let next = Self {
                run,
                ..self.clone()
            };
            let draft = next.draft().map(PayerEffect::SendVoucher);
            return Step::to(next).saved().then_all(draft);
        }
        match self.without_expired().folded().with_lane(unit_price) {
            Some(next) => self.issue(Self { run, ..next }),
            None => self.refuse(PayerRefusal::Exhausted { unit_price }),
        }
    }

    pub(super) fn release(&self, total: u64) -> Step {
        if let Err(refusal) = self.usable() {
            return self.refuse(refusal);
        }
        if self.run.unit_price == Amount::ZERO {
            return self.refuse(PayerRefusal::NoLock);
        }
        // A resumed run repeats words the payee may know; a new one must not, or they would pay
        // nothing. If the payee said what it holds, there is no doubt left.
        let mut next = if self.run.resumed {
            self.clone()
        } else {
            self.without_doubt()
        };
        let mut effects = Vec::new();
        let mut save = self.doubt && !next.doubt;
        let mut want = total.saturating_sub(self.run.released).min(MAX_STEP_UNITS);
        while want > 0 {
            if next.lane.is_none_or(|it| it.left() == 0) {
                let Some(rebased) = next.folded().with_lane(self.run.unit_price) else {
                    effects.push(PayerEffect::TopUpNeeded { units_short: want });
                    break;
                };
                effects.extend(next.issued(&rebased));
                (next, save) = (rebased, true);
                effects.extend(next.is_low().then_some(PayerEffect::RunningLow));
            }
            let Some(lane) = next.lane.as_mut() else {
                break;
            };
            let (units, ahead) = lane.release(want);
            let lane = *lane;
            save |= ahead;
            next.doubt &= !ahead; // Beyond all that can have been forgotten.
            effects.push(PayerEffect::SendWord {
                tranche: lane.tranche,
                units: lane.units,
                k: lane.released,
            });
            next.run.released = next.run.released.saturating_add(u64::from(units));
            want = want.saturating_sub(u64::from(units));
        }
        let step = Step::to(next).then_all(effects);
        if save { step.saved() } else { step }
    }

    pub(super) fn finish(&self) -> Step {
        match self.lane {
            Some(_) if self.may_sign().is_ok() => self.issue(self.folded().numbered()),
            Some(_) | None => Step::stay(self).then_all(self.draft().map(PayerEffect::SendVoucher)),
        }
    }

    /// What a payee may have missed: all of it is durable already, and hearing it twice is harmless.
    ///
    /// The voucher stands for every lane before it; within the live one, words no further apart than
    /// a payee takes at once bridge a gap of any width, whatever word was the last to arrive.
    pub(super) fn repeat(&self) -> Step {
        let voucher = self.draft().map(PayerEffect::SendVoucher);
        let words = self.lane.into_iter().flat_map(|lane| {
            let strides = (1..=lane.released / WORD_STRIDE).map(|it| it * WORD_STRIDE);
            let last = (lane.released % WORD_STRIDE > 0).then_some(lane.released);
            strides.chain(last).map(move |k| PayerEffect::SendWord {
                tranche: lane.tranche,
                units: lane.units,
                k,
            })
        });
        Step::stay(self).then_all(voucher).then_all(words)
    }

    /// The state with all released words in `base` and no lane: not yet a voucher.
    ///
    /// After a crash, words that may have gone out count as released: at most [`RESERVE_UNITS`]
    /// are paid for nothing, and the payee has no reason to refuse the voucher.
    pub(super) fn folded(&self) -> Self {
        let sure = self.without_doubt();
        let lane = sure.lane.map_or(Amount::ZERO, |it| it.value());
        Self {
            base: sure.base.checked_add(lane).unwrap_or(Amount::MAX),
            lane: None,
            ..sure
        }
    }

    /// The state in which all words on record as released or about to be count as released.
    fn without_doubt(&self) -> Self {
        let mut sure = Self {
            doubt: false,
            ..self.clone()
        };
        if self.doubt
            && let Some(lane) = sure.lane.as_mut()
        {
            lane.released = lane.reserved;
        }
        sure
    }

    /// The state under the next voucher number.
    pub(super) fn numbered(mut self) -> Self {
        self.seq = self.seq.saturating_add(1);
        self
    }

    /// The next voucher, with a lane as long as the deposit covers; `None` if that is not one unit.
    pub(super) fn with_lane(&self, unit_price: Amount) -> Option<Self> {
        let units = self.free().wei().checked_div(unit_price.wei())?;
        let units = u32::try_from(units)
            .unwrap_or(u32::MAX)
            .min(self.tranche_units);
        if units == 0 {
            return None;
        }
        let mut next = self.clone().numbered();
        let tranche = next.seq;
        next.lane = Some(PaidLane {
            tranche,
            unit_price,
            units,
            released: 0,
            reserved: 0,
        });
        Some(next)
    }

    /// What no voucher promises yet.
    pub(super) fn free(&self) -> Amount {
        let lane = self.lane.map_or(Amount::ZERO, |it| it.worth(it.units));
        self.deposit
            .saturating_sub(self.base)
            .saturating_sub(self.slack)
            .saturating_sub(lane)
            .saturating_sub(self.routed_most())
    }

    /// The most that the voucher in force can come to.
    pub(super) fn committed(&self) -> Amount {
        let lane = self.lane.map_or(Amount::ZERO, |it| it.worth(it.units));
        let direct = self.base.checked_add(lane).unwrap_or(Amount::MAX);
        direct
            .checked_add(self.routed_most())
            .unwrap_or(Amount::MAX)
    }

    /// `self → next`, where `next` has a voucher that `self` has not: save, then send.
    pub(super) fn issue(&self, next: Self) -> Step {
        let effects: Vec<_> = self.issued(&next).collect();
        Step::to(next).saved().then_all(effects)
    }

    fn issued(&self, next: &Self) -> impl Iterator<Item = PayerEffect> + use<> {
        let paid = next.base.saturating_sub(self.base);
        let book = PayerEffect::Book(Posting::paid(self.terms.id, paid));
        let book = (paid > Amount::ZERO).then_some(book);
        book.into_iter()
            .chain(next.draft().map(PayerEffect::SendVoucher))
    }

    /// Whether another voucher may be signed: nobody else does, and it is known what was signed before.
    pub(super) fn may_sign(&self) -> Result<(), PayerRefusal> {
        self.must_be_alone()?;
        if self.is_unknown() {
            return Err(PayerRefusal::Unknown);
        }
        Ok(())
    }

    pub(super) fn usable(&self) -> Result<(), PayerRefusal> {
        match self.phase {
            Phase::Open => self.may_sign(),
            Phase::Opening => Err(PayerRefusal::NotConfirmed),
            Phase::Closing { .. } | Phase::Closed => Err(PayerRefusal::Closing),
        }
    }

    /// Whether less than a quarter of a tranche could be promised beyond the live lane.
    fn is_low(&self) -> bool {
        let Some(lane) = self.lane else { return false };
        let free = self.free();
        let quarter = lane
            .unit_price
            .checked_mul(u64::from(self.tranche_units / 4));
        quarter.is_ok_and(|it| free < it)
    }
}
