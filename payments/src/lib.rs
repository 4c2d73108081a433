//! Money: chain-lock channels, from the wallet to the chain.
//!
//! A payer deposits once, then pays by revealing one 32-byte word per unit of service; a payee
//! claims whenever it likes. The cores ([`channel`], [`tariff`], [`settle`], [`ledger`]) decide
//! without IO; [`Payments`] saves what they decide and only then does it.
//!
//! ```text
//! Payments ─▶ actor ─▶ PayerChannel │ PayeeChannel │ RoutedPayment ─▶ Step ─▶ ChannelStore, then Chain and frames
//! ```
//!
//! Knows nothing of overlay or tunnel. Start reading at [`channel`], then [`channel::accept()`].
#![forbid(unsafe_code)]

mod actor;
pub mod channel;
mod codec;
pub mod eip712;
pub mod evidence;
pub mod handle;
pub mod ledger;
pub mod settle;
pub mod store;
pub mod tariff;
pub mod tower;
pub mod tx;
pub mod voucher;
pub mod wallet;
pub mod words;

// Named for their features alone: see Cargo.toml.
use ahash as _;
use crossbeam_utils as _;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use warren_proto::UnixTime;

pub use warren_chain as chain;
pub use warren_chain::calls;

pub use channel::{
    Accepted, ChannelTerms, CloseConsent, PayeeChannel, PayerChannel, Phase, RoutedAccepted,
    RoutedView, RouterPolicy, StopReason,
};
pub use codec::CodecError;
pub use eip712::SessionAuth;
pub use evidence::Evidence;
pub use handle::{
    ChainTrouble, ChannelView, ClaimOutlook, Claimed, Funds, GasCost, PayFrame, PaymentEvent,
    Payments, PaymentsConfig, PaymentsError, Pot, Role, RouteAsk, RouteAskError, RouteOut,
    RouteView, TakenLock,
};
pub use settle::{Rate, SettlePolicy};
pub use store::{ChannelStore, MemoryStore, StoreError};
pub use tariff::Tariff;
pub use voucher::{VerifiedVoucher, VoucherError};
pub use wallet::{Wallet, WalletError, WalletKey};
pub use words::{WordChain, WordMaster};

/// This machine's clock, for shells.
fn wall_clock() -> UnixTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
