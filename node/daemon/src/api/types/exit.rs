//! `/v1/exit/…`: lending.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};
use warren_proto::{ChannelId, NodeId, OfferHash, PolicyId, Region, SessionId};

use super::{Check, DropsView, Money, OffloadView, PriceView, Timestamp, UsageView};
use crate::error::Problem;

/// Answer to `POST /v1/exit/check`: changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitCheck {
    /// Whether `enable` would work.
    pub ready: bool,
    /// One by one.
    pub checks: Vec<Check>,
}

/// Query of `GET /v1/exit/terms`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExitTermsQuery {
    /// Policy by name; left out: as configured.
    pub policy: Option<String>,
    /// Price per GiB, decimal in token units; left out: as configured.
    pub price_per_gib: Option<String>,
    /// Price per minute, decimal in token units; left out: as configured.
    pub price_per_minute: Option<String>,
}

/// Answer to `GET /v1/exit/terms`: what one would agree to, before one does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitTerms {
    /// The policy and its hash.
    pub policy: PolicyId,
    /// The policy in words.
    pub policy_text: String,
    /// What guests would pay.
    pub price: PriceView,
    /// Guests at most.
    pub guests_max: u32,
    /// What must be typed to agree: the name of this machine.
    pub phrase: String,
}

/// Body of `POST /v1/exit/enable`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExitEnableRequest {
    /// The policy's hash as shown in the terms, hex. Left out: a consent given earlier is used.
    pub policy_hash: Option<String>,
    /// The phrase as typed.
    pub phrase: Option<String>,
    /// Policy by name; left out: as configured.
    pub policy: Option<String>,
    /// Price per GiB, decimal in token units; left out: as configured.
    pub price_per_gib: Option<String>,
    /// Price per minute, decimal in token units; left out: as configured.
    pub price_per_minute: Option<String>,
}

/// A consent that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentRecord {
    /// To which policy.
    pub policy: PolicyId,
    /// When.
    pub given: Timestamp,
}

/// Answer to `GET /v1/exit/status`, and to `enable` and `disable`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitStatus {
    /// Whether guests are served.
    pub enabled: bool,
    /// Since when. `None` if not.
    pub since: Option<Timestamp>,
    /// The policy in force, or that would be.
    pub policy: PolicyId,
    /// The consent on file. `None` if there is none.
    pub consent: Option<ConsentRecord>,
    /// Price asked.
    pub price: PriceView,
    /// The most that one guest is served unpaid, once it has paid much. What is lost on the way comes to it: 1 in 64
    /// of what it paid, without a bound (docs/adr/0007).
    pub at_risk: Money,
    /// Where it says it is. `None` if the configuration does not say.
    pub region: Option<Region>,
    /// UDP endpoints for guests, best first.
    pub endpoints: Vec<String>,
    /// The offer in force. `None` if none is published.
    pub offer: Option<OfferHash>,
    /// Until when that holds. `None` if none is published.
    pub offer_valid_until: Option<Timestamp>,
    /// Guests at most.
    pub guests_max: u32,
    /// How fast they are carried.
    pub rates: RatesView,
    /// How packets pass. `None` while nothing is shared.
    pub offload: Option<OffloadView>,
    /// What the tunnel did not carry since the exit was enabled.
    #[serde(default)]
    pub dropped: DropsView,
    /// Why no guest's packet passes though it is enabled. `None` if they pass.
    #[serde(default)]
    pub hindered: Option<Problem>,
    /// What its last sessions say against its port: guests get a place and never shake hands. `None` if nothing.
    #[serde(default)]
    pub unreached: Option<Problem>,
    /// Guests now.
    pub guests: Vec<GuestView>,
    /// Earned since the store was made.
    pub earned: Money,
    /// Of it, not yet claimed.
    pub claimable: Money,
}

/// How fast an exit carries its guests, each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RatesView {
    /// What one guest gets at most, kbit/s. `None`: no limit.
    pub guest_kbit: Option<NonZeroU64>,
    /// What all of them get together, kbit/s. `None`: no limit.
    pub line_kbit: Option<NonZeroU64>,
    /// Packets that waited because of it since the exit was enabled.
    pub delayed_packets: u64,
    /// Packets that were dropped, for too many waited.
    pub dropped_packets: u64,
}

/// Where a provider session stands (DESIGN part 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuestState {
    /// Terms granted.
    Granted,
    /// Waits for the channel or the first words.
    AwaitingFunds,
    /// Waits for the tunnel's first handshake.
    AwaitingHandshake,
    /// Carries traffic.
    Serving,
    /// Carries none until paid.
    Paused,
    /// Over.
    Closed,
}

/// One guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestView {
    /// The session.
    pub session: SessionId,
    /// The consumer's node.
    pub node: NodeId,
    /// Where it stands.
    pub state: GuestState,
    /// Since when it is served.
    pub since: Timestamp,
    /// Inner bytes so far.
    pub used: UsageView,
    /// Owed so far.
    pub due: Money,
    /// Paid so far.
    pub paid: Money,
    /// The most it may owe now; grows with what it has paid.
    pub at_risk: Money,
    /// What pays. `None` for a free session.
    pub channel: Option<ChannelId>,
}

/// Answer to `GET /v1/exit/guests`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitGuests {
    /// Guests now.
    pub guests: Vec<GuestView>,
    /// Nobody but these is served. Empty: everybody.
    pub allowed: Vec<NodeId>,
    /// None of these is served.
    pub banned: Vec<NodeId>,
}

/// Body of `POST /v1/exit/kick`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KickRequest {
    /// The guest: the id of its node or session, or 8 hex digits or more of its beginning.
    pub guest: String,
}

/// Answer to `POST /v1/exit/kick`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KickReport {
    /// The session that ended.
    pub session: SessionId,
    /// Whose it was.
    pub node: NodeId,
}
