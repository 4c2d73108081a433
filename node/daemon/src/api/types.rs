//! What goes over the local API: requests, answers, events. One door for CLI, tests and dashboard.
//!
//! Every answer is sent as a [`Document`]: the fields of the type plus `schema`, such as
//! `warren.status/v1`. Money is a decimal string with its unit ([`Money`]), bytes are integers, times
//! are RFC 3339 ([`Timestamp`]), ids are whole.

use serde::{Deserialize, Serialize};

mod common;
mod drops;
mod exit;
mod market;
mod money;
mod net;
mod offload;
mod receipt;
mod route;
mod status;
mod tower;

pub use common::{Check, CheckVerdict, Money, PriceView, Timestamp, TimestampError, UsageView};
pub use drops::DropsView;
pub use exit::{
    ConsentRecord, ExitCheck, ExitEnableRequest, ExitGuests, ExitStatus, ExitTerms, ExitTermsQuery,
    GuestState, GuestView, KickReport, KickRequest, RatesView,
};
pub use market::{
    DownReport, DownRequest, ExitList, ExitQuery, ExitRow, ExitShown, ExitSort, ExitsQuery,
    Fallback, LeftOut, LeftOutBy, RankReason, RankedBy, SshLogin, UpEvent, UpRequest, UpStage,
};
pub use money::{
    BeneficiaryRequest, ChannelCloseRequest, ChannelList, ChannelOpenRequest, ChannelRole,
    ChannelState, ChannelTopUpRequest, ChannelView, ClaimOfChannel, ClaimReport, Earnings, Ledger,
    LedgerEntry, LedgerKind, LedgerQuery, MOST_ENTRIES, PayoutRequest, TransactionReport,
    WalletView, WithdrawRequest,
};
pub use net::{NetCheck, NetStats, NodeEvent, NodeEventKind, OfferWays, PeerList, PeerView};
pub use offload::OffloadView;
pub use receipt::{
    ChannelProofView, LockProofView, MeterView, PaidByView, ReceiptList, ReceiptSide, ReceiptView,
    RouteProofView,
};
pub use route::{
    NeighbourRole, NeighbourView, RouteList, RouteRow, RouteUsed, RouterList, RouterRow,
    RouterView, SecondRouter,
};
pub use status::{
    ChainView, ConsumerState, ConsumerView, EndpointStanding, EndpointView, OverlayView,
    ShutdownReport, Status, StoreView, TunnelView,
};
pub use tower::{HoldingView, PutView, TowerStatus, TowerWork};

/// A type that the API sends, by the name of its schema.
pub trait Schema {
    /// Such as `warren.status/v1`.
    const SCHEMA: &'static str;
}

macro_rules! schemas {
    ($($type:ty => $name:literal;)*) => {
        $(impl Schema for $type { const SCHEMA: &'static str = $name; })*
        /// Every schema name that the API sends.
        pub const SCHEMAS: &[&str] = &[$($name),*];
    };
}

schemas! {
    Status => "warren.status/v1";
    ExitList => "warren.exits/v1";
    ExitShown => "warren.exit/v1";
    UpEvent => "warren.up/v1";
    DownReport => "warren.down/v1";
    ExitTerms => "warren.exit-terms/v1";
    ExitCheck => "warren.exit-check/v1";
    ExitStatus => "warren.exit-status/v1";
    ExitGuests => "warren.exit-guests/v1";
    KickReport => "warren.exit-kick/v1";
    WalletView => "warren.wallet/v1";
    ChannelList => "warren.channels/v1";
    TransactionReport => "warren.transaction/v1";
    ClaimReport => "warren.claims/v1";
    Earnings => "warren.earnings/v1";
    Ledger => "warren.ledger/v1";
    ReceiptList => "warren.receipts/v1";
    ReceiptView => "warren.receipt/v1";
    TowerStatus => "warren.towers/v1";
    RouteList => "warren.routes/v1";
    RouterList => "warren.routers/v1";
    PeerList => "warren.peers/v1";
    NetCheck => "warren.net-check/v1";
    NetStats => "warren.net-stats/v1";
    NodeEvent => "warren.event/v1";
    ShutdownReport => "warren.shutdown/v1";
    crate::error::Problem => "warren.error/v1";
}

/// An answer as it is sent and as `--json` prints it: the schema's name, then the fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document<T> {
    /// The name of the schema.
    pub schema: String,
    /// The answer itself, its fields beside `schema`.
    #[serde(flatten)]
    pub body: T,
}

impl<T: Schema> Document<T> {
    /// Puts the schema's name in front of `body`.
    #[must_use]
    pub fn of(body: T) -> Self {
        Self {
            schema: T::SCHEMA.to_owned(),
            body,
        }
    }
}
