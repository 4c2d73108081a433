//! Receipts as the API says them.

use serde::{Deserialize, Serialize};
use warren_proto::{ChannelId, NodeId, OfferHash, PayoutAddress, SessionId, TermsHash};

use super::{Money, Timestamp, UsageView};

/// Answer to `GET /v1/receipts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptList {
    /// All that are kept, newest first; without text and locks, for which one is asked for by its session.
    pub receipts: Vec<ReceiptView>,
}

/// Which side of a session somebody was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptSide {
    /// Paid.
    Consumer,
    /// Served.
    Provider,
}

/// One side's counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterView {
    /// Inner bytes.
    pub used: UsageView,
    /// Time served, in milliseconds.
    pub served_millis: u64,
    /// Words due for both.
    pub due_units: u64,
}

/// One receipt. `text` is the receipt itself; the rest is what it says, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptView {
    /// The session.
    pub session: SessionId,
    /// The offer relied on.
    pub offer: OfferHash,
    /// The terms that both signed.
    pub terms: TermsHash,
    /// Who paid.
    pub consumer: NodeId,
    /// Who served.
    pub provider: NodeId,
    /// Who signed.
    pub signed_by: Vec<ReceiptSide>,
    /// This node's side. `None` for a receipt of others, as `receipt verify` sees.
    pub role: Option<ReceiptSide>,
    /// Paid in the session.
    pub paid: Money,
    /// Worth of one word.
    pub unit_price: Money,
    /// The chain that the money is on.
    pub chain_id: u64,
    /// Words shown, over all locks; of a route, only those that paid this session.
    pub words: u64,
    /// With what it was paid: the fields of one kind or of the other.
    #[serde(flatten)]
    pub paid_by: PaidByView,
    /// What the consumer counted. `None` if it did not say.
    pub consumer_meter: Option<MeterView>,
    /// What the provider counted. `None` if it did not say.
    pub provider_meter: Option<MeterView>,
    /// When the session was asked for.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// What `receipt export` writes and `receipt verify` reads. Empty, and left out, in a list.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// With what a session was paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PaidByView {
    /// A channel between the two sides.
    Channel(ChannelProofView),
    /// A route; no router and no channel is named.
    Route(RouteProofView),
}

/// The proof of what a channel paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelProofView {
    /// The channel.
    pub channel: ChannelId,
    /// The account that paid.
    pub payer: PayoutAddress,
    /// The account that was paid.
    pub payee: PayoutAddress,
    /// What the channel was worth to the payee before.
    pub value_before: Money,
    /// And after.
    pub value_after: Money,
    /// Number of the voucher in force at the end.
    pub voucher_seq: u64,
}

/// The proof of what a route's locks paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteProofView {
    /// In the order in which their first words were said; the newest 32. Empty in a list.
    pub locks: Vec<LockProofView>,
    /// Words of locks before those, which the receipt says and does not show.
    pub words_not_shown: u64,
}

/// What one lock paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockProofView {
    /// Its anchor, as the contract knows it: 32 bytes in hex.
    pub anchor: String,
    /// The first word that paid this session, less one.
    pub before: u32,
    /// The last one.
    pub word: u32,
}
