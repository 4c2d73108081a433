//! How a consumer's session ends, and what it then says it came to.
//!
//! Sans-IO.

use warren_proto::{
    Goodbye, GoodbyeReason, Meter, PayErrorCode, RouteProof, SessionFrame, SessionTerms,
};

use super::{ConsumerEnd, ConsumerSession, Do, Phase};
use crate::receipt::Counters;
use crate::session::due_units;

impl ConsumerSession {
    pub(super) fn stop(&mut self) -> Vec<Do> {
        self.end(ConsumerEnd::Asked, Some(GoodbyeReason::Asked))
    }

    pub(super) fn end(&mut self, end: ConsumerEnd, goodbye: Option<GoodbyeReason>) -> Vec<Do> {
        let mut effects = Vec::new();
        let route = self.route_proof();
        // Words of a route that could not be said paid nothing.
        let paid = self.released > 0 && (!self.is_routed() || route.is_some());
        if let Some(terms) = self.terms.as_ref().filter(|_| paid) {
            effects.push(Do::Attest(Box::new(self.counters(terms, route))));
        }
        // By a route, the exit asks for the fold.
        let folds = self.released > 0 && !self.is_routed();
        if folds && !matches!(end, ConsumerEnd::ExitLost | ConsumerEnd::PaymentRefused(_)) {
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

    pub(super) fn pay_error(&mut self, code: PayErrorCode) -> Vec<Do> {
        if self.is_unseen(code) {
            return Vec::new();
        }
        match code {
            // The payee waits or will catch up with the next voucher.
            PayErrorCode::NotConfirmed | PayErrorCode::StaleSeq | PayErrorCode::Busy => Vec::new(),
            // It lost the voucher in between: send it again with the words.
            PayErrorCode::WordGap | PayErrorCode::BadWord => vec![Do::Resync],
            PayErrorCode::BadSignature
            | PayErrorCode::NotDominating
            | PayErrorCode::OverCommitted
            | PayErrorCode::UnknownChannel
            | PayErrorCode::Closing
            | PayErrorCode::ChainMismatch
            | PayErrorCode::ContractMismatch
            | PayErrorCode::TooManyLocks
            | PayErrorCode::AnchorReused
            | PayErrorCode::ExpiryTooSoon
            | PayErrorCode::ExpiryTooFar
            | PayErrorCode::UnitTooSmall
            | PayErrorCode::CreditExceeded
            | PayErrorCode::MeterMismatch
            | PayErrorCode::NoRoute
            | PayErrorCode::NoCapacity
            | PayErrorCode::ChainStale
            | PayErrorCode::Internal => self.end(
                ConsumerEnd::PaymentRefused(code),
                Some(GoodbyeReason::Protocol),
            ),
        }
    }

    fn counters(&self, terms: &SessionTerms, route: Option<RouteProof>) -> Counters {
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
            route,
        }
    }
}
