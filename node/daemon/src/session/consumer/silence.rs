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
        let is_silent = silent >= self.limits.stall || self.is_unanswered(now);
        if is_silent && self.phase == Phase::Active {
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

    fn unanswered_for(&self, now: UnixTime) -> Duration {
        self.unanswered.map_or(Duration::ZERO, |it| now.since(it))
    }

    /// Whether nothing comes back through the tunnel, whatever its exit says beside it: somebody on the way may
    /// let one pass and not the other.
    pub(super) fn is_unanswered(&self, now: UnixTime) -> bool {
        self.unanswered_for(now) >= self.limits.unanswered
    }

    /// Whether that was so for so long that the exit is given up.
    pub(super) fn is_cut_off(&self, now: UnixTime) -> bool {
        let serves = matches!(self.phase, Phase::Active | Phase::Stalled);
        serves && self.unanswered_for(now) >= self.limits.cut_off
    }

    /// Time since the tunnel came up, as far as the exit was there: what lies further than
    /// `SessionLimits::stall` behind its last word, or than `SessionLimits::unanswered` behind the first packet
    /// that nothing answered, does not count.
    #[must_use]
    pub fn served(&self, now: UnixTime) -> Duration {
        let heard = now.min(self.heard.plus(self.limits.stall));
        let answered = self.unanswered.map(|it| it.plus(self.limits.unanswered));
        let end = answered.map_or(heard, |it| it.min(heard));
        self.active_since
            .map_or(Duration::ZERO, |start| end.since(start))
    }
}

/// `span` earlier.
pub(super) fn before(now: UnixTime, span: Duration) -> UnixTime {
    let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    UnixTime::from_millis(now.as_millis().saturating_sub(span))
}
