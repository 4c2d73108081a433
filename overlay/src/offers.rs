//! The market's memory: what this node has heard of offers, what it makes of it, what it says itself.
//!
//! Cores, all of them: they are told what came and what time it is, and answer at once.
//!
//! ```text
//! bytes ──[admission]──▶ verdict ──[index]──▶ the newest offer of each node ──[ranking]──▶ RankedOffer
//! own offer ──[herald]──▶ gossip, DHT record, provider records, renewal
//! scope ──[search]──▶ buckets to ask ──▶ exits to fetch
//! ```

pub mod admission;
pub mod herald;
pub mod index;
pub mod quota;
pub mod ranking;
pub mod search;

#[cfg(test)]
pub(crate) mod fixture;

pub use admission::{Blame, Refused, Way};
pub use herald::{Herald, HeraldEffect, HeraldEvent};
pub use index::{Carrier, Heard, Hearing, IndexCounts, IndexLimits, OfferIndex, Verdict};
pub use ranking::{OfferOrder, OfferQuery, RankedOffer, ScoreReason, asks_too_much_ahead};
pub use search::Search;
