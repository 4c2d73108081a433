//! Whether the exit is still there, and how much of the time it was.
//!
//! Sans-IO.

use std::time::Duration;

use warren_proto::UnixTime;

use super::{ConsumerSession, Do, Phase};

impl ConsumerSession {
    /// Active and Stalled: is the exit still there?
    pub(super) fn watch(&mut self, now: UnixTime) -> Vec<Do> {
        let silent = now.since(self.heard);
        let mut effects = Vec::new();
        if silent >= self.limits.stall && self.phase == Phase::Active {
            self.enter(Phase::Stalled, now, &mut effects);
        }
        effects.extend(self.tell_again(now));
        effects.extend(self.pay(now));
        effects
    }

    /// Whether the exit was silent for so long, while it served, that it is given up.
    pub(super) fn is_lost(&self, now: UnixTime) -> bool {
        let serves = matches!(self.phase, Phase::Active | Phase::Stalled);
        serves && now.since(self.heard) >= self.limits.lost
    }

    /// Time since the tunnel came up, as far as the exit was there: what lies further than
    /// `SessionLimits::stall` behind its last word does not count.
    #[must_use]
    pub fn served(&self, now: UnixTime) -> Duration {
        let end = now.min(self.heard.plus(self.limits.stall));
        self.active_since
            .map_or(Duration::ZERO, |start| end.since(start))
    }
}
