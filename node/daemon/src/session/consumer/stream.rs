//! The session's stream: breaks, and is opened anew until the exit is heard again.
//!
//! Sans-IO.

use std::time::Duration;

use warren_proto::UnixTime;

use super::{ConsumerEnd, ConsumerSession, Do, Phase};

impl ConsumerSession {
    pub(super) fn stream_lost(&mut self, now: UnixTime) -> Vec<Do> {
        match self.phase {
            Phase::Active
            | Phase::Stalled
            | Phase::Connecting
            | Phase::Starting
            | Phase::Funding => {
                let mut effects = Vec::new();
                if self.phase == Phase::Active {
                    self.enter(Phase::Stalled, now, &mut effects);
                }
                effects.extend(self.reopen());
                effects
            }
            Phase::Negotiating => self.end(ConsumerEnd::TimedOut(self.phase), None),
            Phase::Closed => Vec::new(),
        }
    }

    pub(super) fn broken_for(&self, now: UnixTime) -> Duration {
        self.broken.map_or(Duration::ZERO, |it| now.since(it))
    }

    fn reopen(&mut self) -> Option<Do> {
        self.broken.get_or_insert(self.now);
        let redials = std::mem::replace(&mut self.redials, true);
        (!redials).then_some(Do::Reopen)
    }

    /// An exit that hangs up again, and says nothing, is as broken as before.
    pub(super) fn stream_back(&mut self) -> Vec<Do> {
        self.redials = false;
        vec![Do::Send(self.request(true))]
    }
}
