//! How much a guest may use: what is paid, and a credit that grows with it. Sans-IO.

use warren_proto::{PAID_PER_CREDIT, UnixTime};

use super::{Do, Phase, ProviderSession};
use crate::session::bytes_covered;

impl ProviderSession {
    /// What may be owed now, in units.
    #[must_use]
    pub fn credit_units(&self) -> u64 {
        let credit = self.credit.units(self.paid_units());
        credit.saturating_sub(self.owed)
    }

    /// Whoever pays left `units` unpaid before. Counts from the next allowance on.
    pub fn owes(&mut self, units: u64) {
        self.owed = self.owed.max(units);
    }

    /// Units that whoever pays has left unpaid, in this session and before. What it has paid since makes up for
    /// as much as it would add to the credit.
    #[must_use]
    pub fn leaves_owing(&self, now: UnixTime) -> u64 {
        let used = self.terms.price.due(self.total_used(), self.served(now));
        let used = used.map_or(u128::MAX, |it| it.wei());
        // Whole units: whoever pays for each as it begins never owes one.
        let used = used.checked_div(self.terms.unit_price.wei()).unwrap_or(0);
        let used = u64::try_from(used).unwrap_or(u64::MAX);
        let unpaid = used
            .saturating_sub(self.paid_units())
            .min(self.credit_units());
        let made_up = self.paid_units() / PAID_PER_CREDIT;
        self.owed.saturating_add(unpaid).saturating_sub(made_up)
    }

    /// Serves what is paid plus credit, to the byte; pauses when that is used up.
    pub(super) fn gate(&mut self, now: UnixTime) -> Vec<Do> {
        match self.phase {
            Phase::AwaitingWord | Phase::Serving | Phase::Paused => {}
            Phase::Granted | Phase::AwaitingFunds | Phase::Closed => return Vec::new(),
        }
        let paid_units = self.paid_units();
        if self.phase == Phase::AwaitingWord
            && paid_units < u64::from(self.terms.prepay_units)
            && !self.is_free()
        {
            return Vec::new();
        }
        let served_from = *self.served_from.get_or_insert(now);
        let limit = paid_units.saturating_add(self.credit_units());
        let allowed = bytes_covered(&self.terms, limit, now.since(served_from));
        let phase = if allowed > self.total_used() {
            Phase::Serving
        } else {
            Phase::Paused
        };
        if phase != self.phase {
            self.phase = phase;
            self.since = now;
        }
        if allowed == self.allowed {
            return Vec::new();
        }
        self.allowed = allowed;
        vec![Do::Allow(allowed)]
    }
}
