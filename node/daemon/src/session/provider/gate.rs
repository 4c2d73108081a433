//! How much a guest may use: what is paid, and a credit that grows with it. Sans-IO.

use warren_proto::UnixTime;

use super::{Do, Phase, ProviderSession};
use crate::session::bytes_covered;

impl ProviderSession {
    /// What may be owed now, in units.
    #[must_use]
    pub fn credit_units(&self) -> u64 {
        self.credit.units(self.paid_units())
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
        let limit = paid_units.saturating_add(self.credit.units(paid_units));
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
