//! The words two strangers exchange: ids, units, keys, offers, session frames, vouchers.
//!
//! No IO, no async, no clock. A type from here that came off a wire has been checked: sizes,
//! lengths, and (for [`SignedOffer`]) the signature. Start reading at [`offer`], then [`session`].
//! The wire itself is specified by the comments in `schema/`.
#![forbid(unsafe_code)]

pub mod credit;
pub mod id;
pub mod key;
pub mod lock;
pub mod offer;
pub mod payment;
pub mod receipt;
pub mod route;
pub mod session;
pub mod step;
pub mod terms;
pub mod tower;
pub mod unit;
mod wire;

pub use credit::{Credit, PAID_PER_CREDIT, PAID_PER_LOST};
pub use id::{
    ChannelId, NodeId, OfferHash, PaymentId, PayoutAddress, SessionId, TermsHash, TxHash,
};
pub use key::{Domain, NodeKey, Signature, TunnelPublicKey};
pub use lock::{HashLock, Preimage};
pub use offer::{
    CLOSE_WINDOWS, Capacity, CountryCode, MAX_OFFER_BYTES, MAX_OFFER_LIFE, Offer, OfferError,
    PolicyId, Region, SignedOffer,
};
pub use payment::{
    ChainRef, ChannelAnswer, ChannelAsk, ChannelParams, CloseConsent, Lock, MAX_LOCKS, MAX_UNITS,
    PayErrorCode, Voucher, VoucherAck, WordFrame,
};
pub use receipt::{
    ChannelProof, LockProof, MAX_PROOFS, MAX_RECEIPT_BYTES, PaidBy, Receipt, ReceiptBody,
    RouteProof, Side,
};
pub use route::{
    Fulfill, HelloChannel, HintError, Hop, LockOffer, LockReady, LockReject, MAX_HINT_BYTES,
    MAX_HINT_LIFE, MAX_HOPS, RouteFrame, RouteHello, RouteWelcome, RouterHint, SEALED_HOP_BYTES,
    SignedRouterHint, hello_nonce,
};
pub use session::{
    Goodbye, GoodbyeReason, Grant, MAX_FRAME_BYTES, Meter, Refusal, RefusalReason, SessionFrame,
    SessionRequest, SessionStart, StartPayment,
};
pub use step::Step;
pub use terms::{Candidate, CandidateKind, SessionTerms};
pub use tower::{
    Locator, MAX_SEALED_BYTES, TowerAnswer, TowerClaim, TowerDeadline, TowerPut, TowerVerdict,
};
pub use unit::{Amount, AmountOverflow, ByteCount, MAX_MIB_AHEAD, MIB_PER_MINUTE, Price, UnixTime};
pub use wire::{WireError, is_plain};
