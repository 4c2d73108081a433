//! How a consumer's session ends, and what it then says it came to.
//!
//! Sans-IO.

use warren_proto::{Goodbye, GoodbyeReason, Meter, SessionFrame, SessionTerms};

use super::{ConsumerEnd, ConsumerSession, Do, Phase};
use crate::receipt::Counters;
use crate::session::due_units;

impl ConsumerSession {
    pub(super) fn stop(&mut self) -> Vec<Do> {
        self.end(ConsumerEnd::Asked, Some(GoodbyeReason::Asked))
    }

    pub(super) fn end(&mut self, end: ConsumerEnd, goodbye: Option<GoodbyeReason>) -> Vec<Do> {
        let mut effects = Vec::new();
        let paying = self.released > 0;
        if let Some(terms) = self.terms.as_ref().filter(|_| paying) {
            effects.push(Do::Attest(Box::new(self.counters(terms))));
        }
        if paying && !matches!(end, ConsumerEnd::ExitLost | ConsumerEnd::PaymentRefused(_)) {
            effects.push(Do::Finish);
        }
        if let Some(reason) = goodbye {
            let session = self.wish.session;
            effects.push(Do::Send(SessionFrame::Goodbye(Goodbye { session, reason })));
        }
        effects.push(Do::Disconnect);
        self.phase = Phase::Closed;
        effects.push(Do::Report(self.phase));
        effects.push(Do::Ended(end));
        effects
    }

    fn counters(&self, terms: &SessionTerms) -> Counters {
        let (up, down) = self.used;
        let served = self.served(self.now);
        let own = Meter {
            up: up.bytes(),
            down: down.bytes(),
            millis: u64::try_from(served.as_millis()).unwrap_or(u64::MAX),
            due_units: due_units(terms, up.plus(down), served).unwrap_or(u64::MAX),
        };
        let said = self.theirs != Meter::default();
        Counters {
            own,
            theirs: said.then_some(self.theirs),
            started: self.begun,
            ended: self.now,
        }
    }
}
