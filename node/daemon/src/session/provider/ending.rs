//! How a provider's session ends, and what it then says it came to.
//!
//! Sans-IO.

use warren_proto::{Amount, Goodbye, GoodbyeReason, Meter, Receipt, SessionFrame, UnixTime};

use super::{Do, Phase, ProviderEnd, ProviderSession};
use crate::receipt::Counters;
use crate::session::due_units;

impl ProviderSession {
    /// The consumer says what the session came to, once; its goodbye is next.
    pub(super) fn receipt(&mut self, receipt: Box<Receipt>) -> Vec<Do> {
        if !self.has_proof() || std::mem::replace(&mut self.receipted, true) {
            return Vec::new();
        }
        let own = Box::new(self.counters());
        vec![Do::Countersign { receipt, own }]
    }

    pub(super) fn end(&mut self, end: ProviderEnd, goodbye: Option<GoodbyeReason>) -> Vec<Do> {
        let mut effects = Vec::new();
        if let Some(reason) = goodbye {
            let session = self.terms.session;
            effects.push(Do::Send(SessionFrame::Goodbye(Goodbye { session, reason })));
        }
        self.phase = Phase::Closed;
        effects.push(Do::RemoveGuest);
        effects.extend(self.last_folds());
        if self.has_proof() && !self.receipted {
            // A consumer that said goodbye has sent its receipt before, or has none.
            let comes = goodbye.is_some() && self.stream_lost.is_none();
            let own = Box::new(self.counters());
            effects.push(if comes {
                Do::AwaitReceipt(own)
            } else {
                Do::Attest(own)
            });
        }
        effects.push(Do::Ended(end));
        effects
    }

    /// Whether something was paid that a receipt can show. Never the voucher of a route: it is the router's.
    fn has_proof(&self) -> bool {
        self.paid > Amount::ZERO && (!self.is_routed() || self.route_proof().is_some())
    }

    /// What this side has counted up to `now`.
    pub(super) fn counted(&self, now: UnixTime) -> Meter {
        let served = self.served(now);
        let due = due_units(&self.terms, self.total_used(), served);
        Meter {
            up: self.used.0.bytes(),
            down: self.used.1.bytes(),
            millis: u64::try_from(served.as_millis()).unwrap_or(u64::MAX),
            due_units: due.unwrap_or(u64::MAX),
        }
    }

    fn counters(&self) -> Counters {
        Counters {
            own: self.counted(self.now),
            theirs: self.theirs,
            started: self.begun,
            ended: self.now,
            route: self.route_proof(),
        }
    }
}
