//! `GET /v1/exits`, `POST /v1/up`, `POST /v1/down`: buying.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use warren_proto::{CountryCode, NodeId, OfferHash, PayoutAddress, PolicyId, Region, SessionId};

use super::{ConsumerView, Money, PriceView, Timestamp, UsageView};
use crate::error::Problem;

/// In what order exits are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitSort {
    /// As this node would choose.
    #[default]
    Rank,
    /// Nearest first.
    Rtt,
    /// Cheapest first.
    Price,
}

/// Which exits to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExitsQuery {
    /// In this country only.
    pub country: Option<CountryCode>,
    /// With this policy only, by name.
    pub policy: Option<String>,
    /// Not dearer than this per GiB, decimal in token units.
    pub max_price_per_gib: Option<String>,
    /// Order.
    #[serde(default)]
    pub sort: ExitSort,
    /// Asks the network first instead of answering from memory.
    #[serde(default)]
    pub refresh: bool,
}

/// Answer to `GET /v1/exits`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExitList {
    /// Matches, best first.
    pub exits: Vec<ExitRow>,
    /// Valid offers known in all.
    pub known: u32,
}

/// One exit in the market.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExitRow {
    /// The exit.
    pub node: NodeId,
    /// Its offer.
    pub offer: OfferHash,
    /// Number of the offer; newest wins.
    pub seq: u64,
    /// Where it says it is: a claim.
    pub region: Region,
    /// What it asks.
    pub price: PriceView,
    /// What the consumer loses at most to it.
    pub at_risk: Money,
    /// What it lets through.
    pub policy: PolicyId,
    /// Guests it takes at most.
    pub guests_max: u32,
    /// Places free when it signed.
    pub guests_free: u32,
    /// Reaches the IPv4 internet.
    pub ipv4: bool,
    /// Reaches the IPv6 internet.
    pub ipv6: bool,
    /// Carries TCP and UDP only.
    pub rootless: bool,
    /// Own round trip to it, milliseconds. `None` if not measured.
    pub rtt_millis: Option<f64>,
    /// Found in the DHT.
    pub by_dht: bool,
    /// Heard by gossip.
    pub by_gossip: bool,
    /// Until when the offer holds.
    pub valid_until: Timestamp,
    /// The sum of all reasons; less is better, and a point is about a millisecond.
    pub points: u32,
    /// Why it stands where it stands.
    pub reasons: Vec<RankReason>,
    /// Its program version.
    pub version: String,
}

/// One part of an exit's score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankReason {
    /// Which.
    pub by: RankedBy,
    /// What it adds to the score.
    pub points: u32,
    /// The same for people.
    pub text: String,
}

/// What an exit is ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RankedBy {
    /// What it asks.
    Price,
    /// This node's own round trip to it.
    RoundTrip,
    /// None was measured.
    RoundTripUnknown,
    /// DHT and gossip do not both tell of it.
    OneWayOnly,
    /// Few places are free.
    NearlyFull,
}

/// Which exit to show.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExitQuery {
    /// Its node id, or an unambiguous beginning of it of 8 hex digits or more.
    pub exit: String,
}

/// Answer to `GET /v1/exits/show`: all that is known of one exit's offer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExitShown {
    /// As in the list.
    pub exit: ExitRow,
    /// Its place in the order in which `up` without further wishes tries exits; 1 is first. `None` if it does not.
    pub place: Option<u32>,
    /// Exits in that order.
    pub choice: u32,
    /// Why `up` does not try it. Empty if it does.
    pub left_out: Vec<LeftOut>,
    /// When the offer was signed.
    pub issued: Timestamp,
    /// Where other nodes reach it, as libp2p writes addresses.
    pub addresses: Vec<String>,
    /// The chain that it is paid on. `None` for a free exit that has none.
    pub chain_id: Option<u64>,
    /// The contract there; zero without a chain, as are the next two.
    pub contract: PayoutAddress,
    /// What it is paid in.
    pub token: PayoutAddress,
    /// The account that is paid.
    pub payee: PayoutAddress,
    /// What one word is worth.
    pub unit_price: Money,
    /// Words paid ahead.
    pub prepay_units: u32,
    /// Words it serves unpaid at first.
    pub credit_units: u32,
    /// How long it has to claim once its guest closes a channel alone, seconds.
    pub close_window_secs: u32,
}

/// One reason for which `up` does not try an exit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Which.
    pub by: LeftOutBy,
    /// The same for people.
    pub text: String,
}

/// What keeps an exit from being tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOutBy {
    /// It is paid where this node cannot pay.
    OtherChain,
    /// It asks more than the configuration allows.
    TooDear,
    /// No place is free.
    Full,
    /// It wants more paid ahead than any consumer pays.
    TooMuchAhead,
    /// It carries nothing that this machine speaks.
    NoCommonIp,
}

/// What to do when the exit dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// Takes the next best in the same country.
    #[default]
    Country,
    /// Takes the next best anywhere.
    Any,
    /// Stays blocked.
    None,
}

/// Body of `POST /v1/up`. Every field left out follows the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpRequest {
    /// This exit: a node id, or an unambiguous beginning of one of 8 hex digits or more.
    pub exit: Option<String>,
    /// In this country only.
    pub country: Option<CountryCode>,
    /// With this policy only, by name; the exits that follow it too.
    pub policy: Option<String>,
    /// How to choose among several.
    #[serde(default)]
    pub sort: ExitSort,
    /// Not dearer than this per GiB, decimal in token units; a price per minute counts as 36 MiB share it.
    pub max_price_per_gib: Option<String>,
    /// Never pays more than this in all sessions that come of it, top-ups included, decimal in token units.
    pub max_spend: Option<String>,
    /// What a new channel is opened with, decimal in token units.
    pub deposit: Option<String>,
    /// Whether to block everything outside the tunnel.
    pub kill_switch: Option<bool>,
    /// What to do when the exit dies; one that is named in `exit` is only tried again, unless this is `none`.
    pub fallback: Option<Fallback>,
    /// How long an offer that fits is looked for, and after five exits that failed yet another is tried, in seconds.
    /// `None`: 30. A session with one has limits of its own.
    pub timeout_secs: Option<u32>,
    /// `auto`: a route where there is no channel to the exit and one to a router; `direct`: never; or the
    /// router to pay through, 8 hex digits or more of its node id.
    pub route: Option<String>,
    /// Routers of a route, 1 or 2. With 2 a route over two pays, or there is an error.
    pub routers: Option<u32>,
    /// How whoever asks is logged in here. `up` is refused where the tunnel would end that. `None`: not told.
    pub ssh: Option<SshLogin>,
}

/// A login by SSH on the daemon's machine, as `SSH_CONNECTION` tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshLogin {
    /// From where.
    pub client: IpAddr,
    /// To which port here.
    pub port: u16,
}

/// A step on the way up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpStage {
    /// Exits found, one chosen.
    Exit,
    /// Terms agreed.
    Session,
    /// Channel opened or found.
    Channel,
    /// Kill switch, routes, resolver.
    Protected,
    /// First handshake done.
    Tunnel,
    /// First word paid.
    Paid,
}

/// One line of the answer to `POST /v1/up`; the last is `Up` or `Failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum UpEvent {
    /// A stage is done, or says how it goes on.
    Progress {
        /// Which.
        stage: UpStage,
        /// Whether it is done.
        done: bool,
        /// What happened, for people.
        text: String,
    },
    /// The tunnel carries traffic.
    Up(Box<ConsumerView>),
    /// It did not come up; everything is as before: what was blocked is blocked.
    Failed(Problem),
}

/// Body of `POST /v1/down`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DownRequest {
    /// Leaves the kill switch on: nothing goes out until `up` or another `down`.
    #[serde(default)]
    pub keep_blocked: bool,
}

/// Answer to `POST /v1/down`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownReport {
    /// The session that ended; all zeros if none was.
    pub session: SessionId,
    /// Inner bytes it carried.
    pub used: UsageView,
    /// Seconds it was served.
    pub served_secs: u64,
    /// What it cost.
    pub paid: Money,
    /// What is left in its channel for next time. `None` for a free session.
    pub channel_keeps: Option<Money>,
    /// Whether the kill switch was left on.
    pub still_blocked: bool,
}
