//! One payment channel, seen from either end.
//!
//! Sans-IO. Two roles, two machines: [`PayerChannel`] releases words, [`PayeeChannel`] takes them;
//! [`accept()`] is the payee's whole off-chain security in one predicate.
//!
//! ```text
//! payer   Opening ──deposit confirmed──▶ Open ──▶ Closing(until) ──▶ Closed
//! payee  Watching ──deposit confirmed──▶ Open ──▶ Closing(until) ──▶ Closed
//! ```
//!
//! [`router`] joins two channels: what one of them pays in, the other pays out, by the same words.

pub mod accept;
pub mod event;
#[cfg(test)]
pub(crate) mod fixture;
pub mod payee;
pub mod payer;
mod record;
pub mod routed;
pub mod router;

use warren_proto::{ChainRef, ChannelId, ChannelParams};

pub use accept::{Facts, Holdings, Lane, Rules, Standing, accept};
pub use event::{
    Accepted, ChainAction, ChainFact, CloseConsent, LockDraft, PayeeEffect, PayeeEvent,
    PayerEffect, PayerEvent, PayerRefusal, Shown, StopReason, VoucherDraft,
};
pub use payee::PayeeChannel;
pub use payer::PayerChannel;
pub use payer::RoutedView;
pub use routed::{Proof, RoutedAccepted, RoutedLock, RoutedNews, RoutedOrder, Via};
pub use router::{RouterPolicy, RouterRules};

/// Which channel this is: parties, contract and the id that commits to both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelTerms {
    /// keccak256 over `chain` and `params`.
    pub id: ChannelId,
    /// The parties.
    pub params: ChannelParams,
    /// The contract.
    pub chain: ChainRef,
}

impl ChannelTerms {
    /// Computes the id.
    #[must_use]
    pub fn new(params: ChannelParams, chain: ChainRef) -> Self {
        Self {
            id: params.id(&chain),
            params,
            chain,
        }
    }
}

/// Where a channel stands on chain, as far as confirmed (closing: as far as seen).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No confirmed deposit yet.
    Opening,
    /// Usable.
    Open,
    /// The payer has started to close: claims count until `closes_at` (chain seconds).
    Closing {
        /// When the payer may take the rest.
        closes_at: u64,
    },
    /// Settled; the id can never be used again.
    Closed,
}
