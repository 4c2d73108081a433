//! The words of routed payments, as the machines of a channel's two ends take them.
//!
//! Sans-IO. A route is a row of channels whose vouchers have locks on the same anchor. The consumer's
//! channel and the router's onward channel are [`PayerChannel`](super::PayerChannel)s, the router's
//! and the exit's incoming ones are [`PayeeChannel`](super::PayeeChannel)s; what links a router's two
//! is the [`RoutedPayment`](super::router::RoutedPayment).

use warren_proto::{Amount, HashLock, Lock, PaymentId, Preimage, UnixTime};

use crate::voucher::VerifiedVoucher;

/// A lock that is to be part of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutedLock {
    /// Which payment.
    pub payment: PaymentId,
    /// It expires; its anchor is the consumer's.
    pub lock: Lock,
    /// The number of its word chain if the words are this node's own.
    pub own: Option<u64>,
    /// What the payee asks for holding it.
    pub hold_fee: Amount,
}

/// Where a payer has a word from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The payee said it: it is folded while the lock lives (R3).
    Told,
    /// The payee claimed with it on the chain: it is paid already, and only written down.
    OnChain,
}

/// What a payer is asked about a routed lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoutedOrder {
    /// Take it into the next voucher.
    Lock(RoutedLock),
    /// The exit holds it; words may be said.
    Ready {
        /// Which payment.
        payment: PaymentId,
        /// The lock's.
        anchor: HashLock,
    },
    /// Nobody holds it: take it out again, and the fee back.
    Dropped(PaymentId),
    /// It came to nothing, but somebody may hold it: say no word.
    Dead(PaymentId),
    /// Pay the exit so many units in all.
    Release {
        /// Which payment.
        payment: PaymentId,
        /// Cumulative over the lock.
        units: u32,
    },
    /// The exit said how many units it knows: after a restart, words may be forgotten here.
    Heard {
        /// Which payment.
        payment: PaymentId,
        /// Cumulative over the lock.
        k: u32,
    },
    /// Bring the units up to this word into the base.
    Fold {
        /// Which payment.
        payment: PaymentId,
        /// Hashes from the word to the lock's first anchor.
        k: u32,
        /// The word.
        word: Preimage,
        /// Where it is from.
        proof: Proof,
    },
}

/// Who says a word of a routed lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// The consumer, for service: the lock must live, and a stranger's words cost few hashes.
    Consumer,
    /// This node, which learned it further down the route: it is kept whatever the clocks say.
    Route,
}

/// What a payee hears about a routed lock.
#[derive(Debug, Clone)]
pub enum RoutedNews {
    /// A voucher with a new lock.
    Lock {
        /// The voucher.
        voucher: VerifiedVoucher,
        /// Which payment.
        payment: PaymentId,
        /// Which of its locks.
        anchor: HashLock,
        /// What a word of it must be worth at least.
        unit_price: Amount,
    },
    /// A word: from the consumer, or learned further down the route.
    Word {
        /// Which payment.
        payment: PaymentId,
        /// Hashes from the word to the lock's first anchor.
        k: u32,
        /// The word.
        word: Preimage,
        /// Who said it.
        via: Via,
    },
}

/// What a payee can be sure of in a routed payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoutedAccepted {
    /// Which payment.
    pub payment: PaymentId,
    /// Units paid, over the whole lock.
    pub units: u32,
    /// What they are worth.
    pub paid: Amount,
    /// No service for this lock's words from then on (R5).
    pub serve_until: UnixTime,
}

/// How many hashes lead from `word` to `known`, at most `most`; `None` if none do.
///
/// Finds the place of a word that became public without saying which one it is.
#[must_use]
pub fn steps_to(word: &Preimage, known: &Preimage, most: u32) -> Option<u32> {
    let mut at = word.clone();
    for steps in 1..=most {
        at = at.advance(1);
        if at == *known {
            return Some(steps);
        }
    }
    None
}

#[cfg(test)]
mod tests;
