//! Another machine with the same wallet: what gives it away, and what is done about it.
//!
//! Sans-IO.
//!
//! ```text
//! Alone ──the payee says that it holds a voucher beyond ours──▶ Said ──it shows none──▶ Alone
//!   └──────our signature, a word or a claim on chain shows it──────┴──▶ Proved
//! ```
//!
//! Neither machine knows what the other promised. Totals keep the payee from being paid by both, so nothing
//! more is lost than what both have promised already; but whoever goes on pays for words that no voucher in
//! force covers, or gives away a number and with it a chain of words twice.
//!
//! Invariant: on a channel that is not `Alone` no voucher is signed and no word is said; closing it goes on.
//! `Proved` is for good, and only what nobody but this wallet can sign or derive brings it: a payee that lies
//! stops its own channel at most.

use warren_proto::Amount;

use super::{PayerChannel, Step};
use crate::channel::event::{PayerEffect, PayerRefusal};
use crate::ledger::Posting;

/// Whether somebody else signs with this channel's key, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::channel) enum Twin {
    /// Nothing says so.
    #[default]
    Alone,
    /// The payee says that it holds a voucher that this node never signed.
    Said,
    /// There is one, or a channel that this node did not open.
    Proved,
}

impl PayerChannel {
    /// A channel that a key of this wallet opened on another machine's order.
    #[must_use]
    pub fn of_another(mut self) -> Self {
        self.twin = Twin::Proved;
        self
    }

    /// Whether another machine is known to have opened or used it, and it is not over.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.twin == Twin::Proved && self.phase != super::Phase::Closed
    }

    pub(super) fn must_be_alone(&self) -> Result<(), PayerRefusal> {
        match self.twin {
            Twin::Alone => Ok(()),
            Twin::Said | Twin::Proved => Err(PayerRefusal::Shared),
        }
    }

    /// The payee says that it holds a voucher beyond all of ours.
    pub(super) fn doubts(&self) -> Step {
        let next = Self {
            twin: if self.twin == Twin::Alone {
                Twin::Said
            } else {
                self.twin
            },
            ..self.clone()
        };
        let step = Step::to(next).then(PayerEffect::Refuse(PayerRefusal::Shared));
        if self.twin == Twin::Alone {
            step.saved()
        } else {
            step
        }
    }

    /// The payee shows that it holds nothing that is not ours.
    pub(super) fn cleared(&self) -> Self {
        Self {
            twin: if self.twin == Twin::Said {
                Twin::Alone
            } else {
                self.twin
            },
            ..self.clone()
        }
    }

    /// The payee shows a voucher or a word of this wallet that this node never gave, worth so much in all.
    pub(super) fn is_not_alone(&self, worth: Amount) -> Step {
        let mut next = self.clone().of_another();
        if self.routed.is_empty() {
            // So that a consent to close at that is believed, and the books end at what the chain pays.
            (next.base, next.lane) = (worth.max(self.value()), None);
        }
        let paid = next.base.saturating_sub(self.base);
        let book = PayerEffect::Book(Posting::paid(self.terms.id, paid));
        if next == *self {
            return Step::stay(self);
        }
        let is_news = self.twin != Twin::Proved;
        Step::to(next)
            .saved()
            .then_all((paid > Amount::ZERO).then_some(book))
            .then_all(is_news.then_some(PayerEffect::Stranger))
    }

    /// Whether the chain paid more than any voucher of this node could ever come to.
    pub(super) fn is_beyond_all(&self, claimed: Amount) -> bool {
        claimed > self.most && !self.is_unknown() && self.twin != Twin::Proved
    }
}

#[cfg(test)]
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for one kind of effect"
)]
mod tests;
