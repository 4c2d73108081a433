//! What can happen to a channel and what its cores ask for.
//!
//! Sans-IO.

pub use warren_proto::CloseConsent;
use warren_proto::{
    Amount, HashLock, Lock, PayErrorCode, PaymentId, UnixTime, VoucherAck, WordFrame,
};

use super::routed::{RoutedAccepted, RoutedNews, RoutedOrder};
use crate::calls::Claim;
use crate::ledger::Posting;
use crate::voucher::{BadProof, VerifiedVoucher, worth};

/// News of one channel from the chain. Totals, never increments: hearing it twice is harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainFact {
    /// The deposit, with enough confirmations.
    Deposit(Amount),
    /// What the payee has claimed in all, confirmed.
    Claimed(Amount),
    /// The payer started to close; believed at first sight.
    Closing {
        /// Chain seconds until which claims count.
        closes_at: u64,
    },
    /// Settled, confirmed.
    Closed,
    /// A closing that was seen is gone again: the chain was reorganised.
    NotClosing,
}

/// What a transaction of this channel shall do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainAction {
    /// Payer: open with this deposit.
    Open {
        /// The deposit.
        amount: Amount,
    },
    /// Payer: deposit more.
    TopUp {
        /// How much more.
        amount: Amount,
    },
    /// Payer: close at once, as the payee agreed.
    CoopClose(CloseConsent),
    /// Payer: start the close window.
    StartClose,
    /// Payer: take the rest after the window.
    FinishClose,
    /// Payee: claim. Anyone may send it, the money goes to the payee.
    Claim(Claim),
    /// Payee: give the rest back.
    CloseByPayee,
    /// Payer: bring what the channel's own key still holds back to the account.
    Sweep,
}

/// What a payee can be sure of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Whole units paid since the run began (see [`PayeeEvent::RunBegins`]).
    pub units: u64,
    /// Money paid since the run began.
    pub paid: Amount,
    /// What this payee holds over the channel's whole life, as told to the payer.
    pub ack: VoucherAck,
}

/// An event of the payee's core.
#[derive(Debug, Clone)]
pub enum PayeeEvent {
    /// News from the chain.
    Chain(ChainFact),
    /// The chain view became too old, or fresh again.
    Stale(bool),
    /// A session begins: count units and money from here, at this price at least.
    RunBegins {
        /// Worth of one unit.
        unit_price: Amount,
    },
    /// The payer sent a voucher.
    Voucher(VerifiedVoucher),
    /// The payer released a word.
    Word(WordFrame),
    /// News of a lock that is part of a route.
    Routed(RoutedNews),
    /// Claim now if it brings anything.
    ClaimAsked,
    /// The claim on its way will not succeed.
    ClaimFailed,
    /// Somebody asked to close at once; the payee agrees until then.
    ConsentAsked {
        /// The consent ends.
        not_after: UnixTime,
    },
    /// Give the rest of the deposit back to the payer.
    CloseAsked,
    /// The program starts again: nobody waits for transactions any more.
    Restarted,
}

/// What the payee's shell must do, after saving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayeeEffect {
    /// It is money now: tell the payer, and serve on.
    Credit(Accepted),
    /// So many units of a routed payment are money now.
    RoutedCredit(RoutedAccepted),
    /// Tell the payer why not; nothing changed.
    Refuse(PayErrorCode),
    /// The session must stop serving.
    Stop(StopReason),
    /// Send this transaction.
    Submit(ChainAction),
    /// Sign a consent for this sum.
    Consent {
        /// What the payee gets in all.
        final_amount: Amount,
        /// The consent ends.
        not_after: UnixTime,
    },
    /// Write in the ledger, in the same batch as the state.
    Book(Posting),
}

/// Why a session must not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The channel is closing or closed.
    Closing,
    /// The deposit is in the chain no more: its history was rewritten.
    Undone,
}

/// An event of the payer's core.
#[derive(Debug, Clone)]
pub enum PayerEvent {
    /// News from the chain.
    Chain(ChainFact),
    /// A session begins: have a lock ready at this price.
    LockAsked {
        /// Worth of one unit.
        unit_price: Amount,
    },
    /// Pay `units` in all since the run began.
    ReleaseAsked {
        /// Cumulative over the run.
        units: u64,
    },
    /// Something about a lock that is part of a route.
    Routed(RoutedOrder),
    /// The session ends: fold what was released into a plain total.
    FinalAsked,
    /// The stream is a new one: say the voucher and the last word again.
    RepeatAsked,
    /// The payee said what it holds.
    PayeeSaw(VoucherAck),
    /// The payee showed what it holds, with the proof of it: we may have forgotten.
    Shown(Shown),
    /// The user wants a larger deposit.
    TopUpAsked {
        /// How much more.
        amount: Amount,
    },
    /// Close now, with or without the payee's consent.
    CloseAsked(Option<CloseConsent>),
    /// Chain time moved on: the close window may be over.
    Tick,
    /// Everything in blocks up to this time has been heard.
    HeardUntil(UnixTime),
    /// The last transaction failed; it may be asked for again.
    ActionFailed,
    /// The channel's own key holds nothing any more.
    Swept,
    /// The program starts again: nobody waits for transactions any more.
    Restarted,
}

/// What the payer's shell must do, after saving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayerEffect {
    /// Sign and send this voucher.
    SendVoucher(VoucherDraft),
    /// Send this word.
    SendWord {
        /// Which chain of words.
        tranche: u64,
        /// How long the chain is.
        units: u32,
        /// Which word.
        k: u32,
    },
    /// Send this word of a routed payment to the exit.
    SendRoutedWord {
        /// Which payment.
        payment: PaymentId,
        /// Which chain of words.
        tranche: u64,
        /// How long the chain is.
        units: u32,
        /// Which word.
        k: u32,
    },
    /// The deposit does not cover what was asked for; the rest waits for a top-up.
    TopUpNeeded {
        /// Units asked for and not payable now.
        units_short: u64,
    },
    /// Less than a quarter of a tranche is left to promise beyond the current one.
    RunningLow,
    /// It cannot be done.
    Refuse(PayerRefusal),
    /// Send this transaction.
    Submit(ChainAction),
    /// Another machine that has the same wallet has signed on this channel: that is proved.
    Stranger,
    /// Write in the ledger, in the same batch as the state.
    Book(Posting),
}

/// What a payee proved that it holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// Our own best voucher; `None` if the payee holds none.
    pub voucher: Option<VerifiedVoucher>,
    /// What it is worth with the words that were shown and fit.
    pub worth: Amount,
    /// Of it, what the locks of no route pay.
    pub direct: Amount,
}

impl Shown {
    /// What `voucher` is worth with `words`, each of which opens its lock.
    ///
    /// # Errors
    /// [`BadProof`] for a word that does not.
    pub fn prove(voucher: VerifiedVoucher, words: &[WordFrame]) -> Result<Self, BadProof> {
        let locks = &voucher.get().locks;
        let is_direct = |it: &&WordFrame| {
            let lock = usize::try_from(it.lane).ok().and_then(|at| locks.get(at));
            lock.is_some_and(|it| it.expiry == 0)
        };
        let direct: Vec<_> = words.iter().filter(is_direct).cloned().collect();
        Ok(Self {
            worth: worth(voucher.get(), words)?,
            direct: worth(voucher.get(), &direct)?,
            voucher: Some(voucher),
        })
    }
}

/// Why the payer's core does not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayerRefusal {
    /// The deposit is not confirmed yet.
    #[error("the deposit is not confirmed yet")]
    NotConfirmed,
    /// A top-up is on its way already.
    #[error("a top-up of the channel is on its way already")]
    TopUpUnderWay,
    /// The channel is closing or closed.
    #[error("the channel is closing")]
    Closing,
    /// The deposit does not cover one more unit.
    #[error("the deposit does not cover one more unit of {unit_price}")]
    Exhausted {
        /// Worth of one unit.
        unit_price: Amount,
    },
    /// Words were asked for before any lock.
    #[error("no lock is ready: a session begins with one")]
    NoLock,
    /// Another machine with this wallet signs on it too, or its payee says so.
    #[error("another machine with this wallet uses the channel, or its payee says so")]
    Shared,
    /// What was promised in it before is not known.
    #[error("what was promised in the channel is not known until its payee shows it")]
    Unknown,
    /// A price of zero needs no channel.
    #[error("a unit must be worth something")]
    FreeUnit,
    /// No lock of this channel belongs to that payment.
    #[error("no lock of payment {payment} here")]
    UnknownPayment {
        /// The payment.
        payment: PaymentId,
    },
    /// A payment or an anchor has a lock already, or words that are not the next ones.
    #[error("payment {payment} has a lock already")]
    LockTwice {
        /// The payment.
        payment: PaymentId,
    },
    /// The voucher has no place for another lock.
    #[error("the channel holds as many locks as a voucher can")]
    TooManyLocks,
    /// The exit has not said that it holds the lock, or too late.
    #[error("the lock of payment {payment} is not ready")]
    NotReady {
        /// The payment.
        payment: PaymentId,
    },
    /// A lock is neither folded nor are its words said once it has expired (R3).
    #[error("the lock of payment {payment} has expired")]
    LockExpired {
        /// The payment.
        payment: PaymentId,
    },
    /// What was shown does not open the lock.
    #[error("the word does not open the lock of payment {payment}")]
    BadWord {
        /// The payment.
        payment: PaymentId,
    },
    /// The payee claims more than was ever released; it is not believed.
    #[error("the payee claims {claimed}, at most {possible} was released")]
    PayeeOverclaims {
        /// What it says it holds.
        claimed: Amount,
        /// What it can hold.
        possible: Amount,
    },
}

/// A voucher yet to be signed; the shell derives the anchor from the tranche.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoucherDraft {
    /// Number of the voucher.
    pub seq: u64,
    /// Owed without condition, cumulative.
    pub base: Amount,
    /// The live lock; `None` in a final voucher.
    pub lock: Option<LockDraft>,
    /// Locks that are part of routes, after it.
    pub routed: Vec<Lock>,
}

impl VoucherDraft {
    /// All locks in the voucher's order; `anchor` derives the one of the live lock.
    pub fn locks(self, anchor: impl FnOnce(&LockDraft) -> HashLock) -> Vec<Lock> {
        let own = self.lock.map(|it| Lock {
            anchor: anchor(&it),
            unit_price: it.unit_price,
            units: it.units,
            expiry: 0,
        });
        own.into_iter().chain(self.routed).collect()
    }
}

/// A lock yet to get its anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockDraft {
    /// Number of its word chain: the `seq` of the voucher that brought it. Never used twice.
    pub tranche: u64,
    /// Worth of one word.
    pub unit_price: Amount,
    /// Words in the chain.
    pub units: u32,
}
