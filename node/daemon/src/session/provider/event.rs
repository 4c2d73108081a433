//! What a provider's session can hear, ask for, and end with.
//!
//! Sans-IO.

use warren_proto::{
    Amount, ByteCount, GoodbyeReason, LockReady, PayErrorCode, PaymentId, Receipt, SessionFrame,
    SessionStart, SessionTerms, UnixTime, Voucher, WordFrame,
};

use crate::receipt::Counters;

/// Where the session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderPhase {
    /// Granted; waiting for Start.
    Granted,
    /// The channel's deposit is not confirmed yet.
    AwaitingFunds,
    /// Ready sent; the gate opens with the first word.
    AwaitingWord,
    /// Paid within credit; the gate is open up to the allowance.
    Serving,
    /// Too much is unpaid; the gate is shut.
    Paused,
    /// Over.
    Closed,
}

/// How the session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderEnd {
    /// Start did not come in time.
    NotStarted,
    /// The first voucher was refused.
    BadPayment(PayErrorCode),
    /// The deposit was not confirmed in time.
    NotFunded,
    /// Either side said goodbye.
    Goodbye(GoodbyeReason),
    /// Unpaid for too long.
    Unpaid,
    /// The stream broke and nobody came back.
    Vanished,
    /// The consumer broke the protocol.
    Protocol,
}

/// What a provider's session can hear.
#[derive(Debug, Clone)]
pub enum ProviderEvent {
    /// A frame of the consumer.
    Frame(SessionFrame),
    /// The stream broke.
    StreamLost,
    /// The consumer came back on a new stream with the same request.
    Resumed,
    /// The first voucher is on disk; before it, the channel's payer had paid `value` for sessions of its own.
    PaymentTaken {
        /// Counted as in [`Self::Paid`].
        value: Amount,
        /// Whether the deposit is confirmed.
        usable: bool,
    },
    /// The deposit is confirmed.
    ChannelUsable,
    /// A word or better voucher counts; the payer has paid `value` for sessions of its own.
    Paid {
        /// Total, never falling. What routes pay by the same channel is not in it: it is other people's.
        value: Amount,
    },
    /// A voucher or word does not count.
    PaymentRefused(PayErrorCode),
    /// Of a session paid by a route.
    Lock(LockNews),
    /// Inner bytes so far, by the own meter.
    Usage {
        /// Consumer → exit.
        up: ByteCount,
        /// Exit → consumer.
        down: ByteCount,
    },
    /// Time passes.
    Tick,
    /// The node stops.
    Stop(GoodbyeReason),
}

/// What a session that is paid by a route hears of its locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockNews {
    /// The lock that this session named is on disk.
    Held {
        /// For the consumer.
        ready: LockReady,
        /// Words of it known already.
        units: u32,
        /// No service for its words from then on (R5).
        serve_until: UnixTime,
    },
    /// A word counts.
    Paid {
        /// Which payment.
        payment: PaymentId,
        /// Known over the whole lock.
        units: u32,
        /// The word; it may be one that was known before, or an older one.
        word: WordFrame,
    },
}

/// What a session that is paid by a route asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockOrder {
    /// If the lock of this payment is held already, say Held with this number.
    Find {
        /// Which payment.
        payment: PaymentId,
        /// How its words shall name it.
        lane: u32,
    },
    /// Take a word, then say Paid or PaymentRefused.
    TakeWord {
        /// The lock.
        ready: LockReady,
        /// The word.
        word: WordFrame,
    },
    /// Ask the router to fold what is known.
    Fold {
        /// The lock.
        ready: LockReady,
        /// Whether no more words are expected.
        last: bool,
    },
}

/// What a provider's session asks for, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum ProviderEffect {
    /// Send to the consumer.
    Send(SessionFrame),
    /// Check SessionAuth and the channel, take the first voucher, then say PaymentTaken or
    /// PaymentRefused.
    TakePayment(Box<SessionStart>),
    /// Take a better voucher, then say Paid or PaymentRefused.
    TakeVoucher(Voucher),
    /// Take a word, then say Paid or PaymentRefused.
    TakeWord(WordFrame),
    /// About the locks of a session that is paid by a route.
    Lock(LockOrder),
    /// Let the guest's handshakes in; no data yet.
    AddGuest(Box<SessionTerms>),
    /// Let data pass until so many inner bytes have passed, cumulative.
    Allow(ByteCount),
    /// Compare the consumer's receipt with what this side counted, sign, keep, send it back.
    Countersign {
        /// Signed by the consumer.
        receipt: Box<Receipt>,
        /// What this side counted.
        own: Box<Counters>,
    },
    /// The session is over and paid for, and the consumer may still send its receipt: wait for it in
    /// Closing.
    AwaitReceipt(Box<Counters>),
    /// It is over, paid for, and no receipt will come: write and keep one of this side's own.
    Attest(Box<Counters>),
    /// Take the guest off the tunnel.
    RemoveGuest,
    /// It is over; the channel may be claimed by the settle policy.
    Ended(ProviderEnd),
}
