//! Receipts: what a paid session came to, signed by both sides, for anybody to verify.
//!
//! A [`Receipt`] carries the very bytes that were signed. Reading one checks its form, not its truth:
//! who believes it verifies it first (see the schema for what a verifier demands).

use crate::id::{NodeId, OfferHash, SessionId, TermsHash};
use crate::key::{Domain, NodeKey, Signature};
use crate::lock::{HashLock, Preimage};
use crate::payment::{ChainRef, ChannelParams, Voucher, WordFrame};
use crate::session::Meter;
use crate::terms::SessionTerms;
use crate::unit::{Amount, Price, UnixTime};
use crate::wire::{WireError, receipt_body_bytes, receipt_bytes, receipt_from_bytes};

/// The longest receipt: one of a channel with 16 locks takes about 2 300 bytes, one of a route with
/// [`MAX_PROOFS`] about 3 500.
pub const MAX_RECEIPT_BYTES: usize = 4096;
/// Locks that a receipt of a route shows: 32 GiB at a word a MiB. Bounds who verifies it to 32 · 1024 hashes.
pub const MAX_PROOFS: usize = 32;

/// One of the two parties of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who paid.
    Consumer,
    /// Who served.
    Provider,
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptBody {
    /// The session.
    pub session: SessionId,
    /// The offer relied on.
    pub offer: OfferHash,
    /// The terms that both sides signed.
    pub terms: TermsHash,
    /// Who paid.
    pub consumer: NodeId,
    /// Who served.
    pub provider: NodeId,
    /// At what price.
    pub price: Price,
    /// Worth of one word.
    pub unit_price: Amount,
    /// Words paid ahead.
    pub prepay_units: u32,
    /// Words served unpaid.
    pub credit_units: u32,
    /// Where the money lives.
    pub chain: ChainRef,
    /// What it was paid with.
    pub paid_by: PaidBy,
    /// What the consumer counted; `None` if it did not say.
    pub consumer_meter: Option<Meter>,
    /// What the provider counted; `None` if it did not say.
    pub provider_meter: Option<Meter>,
    /// When the session was asked for, by the clock of who wrote this.
    pub started: UnixTime,
    /// When it ended, by the same clock.
    pub ended: UnixTime,
}

/// What a session was paid with, and the proof of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaidBy {
    /// A channel between the two sides.
    Channel(ChannelProof),
    /// Locks on a route. Nothing here names a router, or either of its channels.
    Route(RouteProof),
}

/// What a channel was worth, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelProof {
    /// The channel's parties.
    pub channel: ChannelParams,
    /// What the channel was worth to the payee when the session began.
    pub value_before: Amount,
    /// And when it ended.
    pub value_after: Amount,
    /// The voucher in force at the end.
    pub voucher: Voucher,
    /// Its words: the tip of each chain.
    pub best: Vec<WordFrame>,
}

/// The words that paid a session, lock by lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteProof {
    /// In the order in which their first words were said; the newest [`MAX_PROOFS`].
    pub locks: Vec<LockProof>,
    /// Words of locks before those: said by whoever signs, and not shown.
    pub earlier_units: u64,
    /// The consumer's signature over the terms, from its Start.
    pub consumer_terms: Signature,
    /// The provider's, from its Grant.
    pub provider_terms: Signature,
}

/// What one lock paid in a session: `k − before` words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockProof {
    /// The lock's first anchor, whatever was folded.
    pub anchor: HashLock,
    /// Words of it that were said in sessions before.
    pub before: u32,
    /// Hashes from `word` to `anchor`.
    pub k: u32,
    /// The best word.
    pub word: Preimage,
}

impl RouteProof {
    /// Words that paid this session. A lock of which nothing was said counts for none.
    #[must_use]
    pub fn units(&self) -> u64 {
        let locks = self.locks.iter().map(|it| it.k.saturating_sub(it.before));
        locks.fold(self.earlier_units, |sum, it| sum.saturating_add(it.into()))
    }

    /// The signature of `side` over the terms.
    #[must_use]
    pub const fn terms_signature(&self, side: Side) -> &Signature {
        match side {
            Side::Consumer => &self.consumer_terms,
            Side::Provider => &self.provider_terms,
        }
    }
}

impl ReceiptBody {
    /// Says whether this is about the deal that `terms` fix.
    #[must_use]
    pub fn is_of(&self, terms: &SessionTerms) -> bool {
        self.session == terms.session
            && self.offer == terms.offer
            && self.terms == terms.hash()
            && self.consumer == terms.consumer
            && self.provider == terms.provider
            && self.price == terms.price
            && self.unit_price == terms.unit_price
            && self.prepay_units == terms.prepay_units
            && self.credit_units == terms.credit_units
            && self.chain == terms.chain
            && match &self.paid_by {
                PaidBy::Channel(it) => it.channel.payee == terms.payee,
                PaidBy::Route(it) => [Side::Consumer, Side::Provider]
                    .iter()
                    .all(|side| self.agreed(*side, it)),
            }
    }

    /// Says whether `side` signed the terms whose hash is here, as `route` has it.
    #[must_use]
    pub fn agreed(&self, side: Side, route: &RouteProof) -> bool {
        let signature = route.terms_signature(side);
        self.node(side)
            .verify(Domain::Terms, self.terms.as_bytes(), signature)
    }

    /// The node of `side`.
    #[must_use]
    pub const fn node(&self, side: Side) -> &NodeId {
        match side {
            Side::Consumer => &self.consumer,
            Side::Provider => &self.provider,
        }
    }

    /// The channel that paid; `None` if a route did.
    #[must_use]
    pub const fn by_channel(&self) -> Option<&ChannelProof> {
        match &self.paid_by {
            PaidBy::Channel(it) => Some(it),
            PaidBy::Route(_) => None,
        }
    }

    /// The route that paid; `None` if a channel did.
    #[must_use]
    pub const fn by_route(&self) -> Option<&RouteProof> {
        match &self.paid_by {
            PaidBy::Channel(_) => None,
            PaidBy::Route(it) => Some(it),
        }
    }
}

/// A receipt with none, one or both of its signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    body: ReceiptBody,
    signed: Vec<u8>,
    consumer: Option<Signature>,
    provider: Option<Signature>,
}

impl Receipt {
    /// Writes `body` down, unsigned.
    #[must_use]
    pub fn new(body: ReceiptBody) -> Self {
        Self {
            signed: receipt_body_bytes(&body),
            body,
            consumer: None,
            provider: None,
        }
    }

    /// From its parts as received; `signed` is what `body` was read from.
    pub(crate) const fn from_parts(
        body: ReceiptBody,
        signed: Vec<u8>,
        consumer: Option<Signature>,
        provider: Option<Signature>,
    ) -> Self {
        Self {
            body,
            signed,
            consumer,
            provider,
        }
    }

    /// Signs as `side`; the key is to be that side's.
    #[must_use]
    pub fn sign(mut self, side: Side, key: &NodeKey) -> Self {
        let signature = Some(key.sign(Domain::Receipt, &self.signed));
        match side {
            Side::Consumer => self.consumer = signature,
            Side::Provider => self.provider = signature,
        }
        self
    }

    /// What it says.
    #[must_use]
    pub const fn body(&self) -> &ReceiptBody {
        &self.body
    }

    /// The bytes that are signed.
    #[must_use]
    pub fn signed_bytes(&self) -> &[u8] {
        &self.signed
    }

    /// The signature of `side`; `None` if that side has not signed.
    #[must_use]
    pub const fn signature(&self, side: Side) -> Option<&Signature> {
        match side {
            Side::Consumer => self.consumer.as_ref(),
            Side::Provider => self.provider.as_ref(),
        }
    }

    /// Says whether `side` signed it, and its node key did so.
    #[must_use]
    pub fn is_signed_by(&self, side: Side) -> bool {
        let node = self.body.node(side);
        self.signature(side)
            .is_some_and(|it| node.verify(Domain::Receipt, &self.signed, it))
    }

    /// The bytes on the wire, in the store and in a file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        receipt_bytes(self)
    }

    /// Reads [`Self::encode`].
    ///
    /// # Errors
    /// [`WireError`] if it is too long, malformed, or a field has the wrong length or range.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        receipt_from_bytes(bytes)
    }
}
