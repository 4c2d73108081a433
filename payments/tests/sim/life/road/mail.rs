//! What the parties of a route say to each other.

use warren_payments::VerifiedVoucher;
use warren_proto::{
    ChannelId, CloseConsent, Fulfill, LockOffer, LockReady, LockReject, PaymentId, Preimage,
    TowerAnswer, TowerPut, UnixTime, VoucherAck,
};

#[derive(Debug, Clone)]
pub(crate) enum Note {
    Offer(Box<LockOffer>),
    Ready(LockReady),
    Reject(LockReject),
    Fulfill(Fulfill),
    Voucher(VerifiedVoucher),
    Ack(VoucherAck),
    /// The consumer pays the exit.
    Word {
        payment: PaymentId,
        k: u32,
        word: Preimage,
    },
    /// The exit has heard a word: it is money.
    Heard {
        payment: PaymentId,
        k: u32,
    },
    /// Agree to close, until then.
    AskClose {
        not_after: UnixTime,
    },
    Consent(CloseConsent),
    Put(Box<TowerPut>),
    Answer(TowerAnswer),
}

/// A note, and of which channel.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) channel: ChannelId,
    pub(crate) note: Note,
}
