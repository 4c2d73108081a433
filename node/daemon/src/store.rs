//! What the node must never forget: records in tables, written whole and synced, or not at all.
//!
//! ```text
//! put(batch) ─▶ RocksDB: batch + head n, synced ─▶ mirror file: head n, synced ─▶ Ok
//! open       ─▶ engine's own recovery ─▶ every record summed up ─▶ head and mirror agree ─▶ Store
//! ```
//!
//! Invariant: after `Ok`, an older state is never served again. The engine alone does not give
//! that (a flipped bit in its log can roll it back in silence), so each batch carries a [`chain`]
//! of its own, and a store that does not verify does not open. Writes are synchronous: call from
//! a blocking task.

use std::path::{Path, PathBuf};

use warren_proto::NodeId;

pub mod chain;
mod channels;
mod error;
mod headroom;
mod keeper;
mod mirror;
mod recover;
mod rocks;

pub use error::StoreError;
pub(crate) use error::code_of;
pub use headroom::{Headroom, Limits};
pub use keeper::Store;
pub use recover::{Accepted, Recovered, recover_home};
pub use rocks::Records;

/// The engine's folder in a home.
const FOLDER: &str = "db";
/// The mirror's file in a home.
const MIRROR: &str = "db.head";

/// The daemon's own tables. Those of payments bring their own names.
pub mod tables {
    /// Single values of the node, such as the sequence of its offers.
    pub const NODE: &str = "node.meta";
    /// What the owner agreed to share.
    pub const CONSENT: &str = "node.consent";
    /// Sessions that outlive a restart.
    pub const SESSION: &str = "node.session";
    /// Receipts of paid sessions, by session.
    pub const RECEIPT: &str = "node.receipt";
    /// Nodes that channels pay, and deposits asked for, by channel; exits that locks of routes were made for, by payment.
    pub const ROUTE: &str = "node.route";
    /// Offers and addresses heard, to begin with after a restart.
    pub const MARKET: &str = "node.market";

    /// All of the above.
    pub const ALL: [&str; 6] = [NODE, CONSENT, SESSION, RECEIPT, ROUTE, MARKET];
}

/// One change to one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Which table.
    pub table: &'static str,
    /// Which record.
    pub key: Vec<u8>,
    /// What it becomes. `None` deletes it.
    pub value: Option<Vec<u8>>,
}

impl Write {
    /// Makes the record `key` hold `value`.
    #[must_use]
    pub fn put(table: &'static str, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            table,
            key: key.into(),
            value: Some(value.into()),
        }
    }

    /// Deletes the record `key`, if it is there.
    #[must_use]
    pub fn delete(table: &'static str, key: impl Into<Vec<u8>>) -> Self {
        Self {
            table,
            key: key.into(),
            value: None,
        }
    }
}

/// Where a store lies and whose it is.
#[derive(Debug, Clone)]
pub struct StoreSpec {
    /// The node's home; the store has its own folder and files in it.
    pub home: PathBuf,
    /// The node it belongs to: a store of another node is refused.
    pub owner: NodeId,
    /// Every table it has.
    pub tables: Vec<&'static str>,
    /// What it keeps free on the disk.
    pub limits: Limits,
}

impl StoreSpec {
    /// A store of `owner` in `home` with the daemon's tables and those of the payments.
    #[must_use]
    pub fn new(home: &Path, owner: NodeId) -> Self {
        let payments = warren_payments::store::Table::ALL.map(|it| it.name());
        let tables = tables::ALL.into_iter().chain(payments).collect();
        Self {
            home: home.to_owned(),
            owner,
            tables,
            limits: Limits::default(),
        }
    }

    fn folder(&self) -> PathBuf {
        self.home.join(FOLDER)
    }

    fn mirror_path(&self) -> PathBuf {
        self.home.join(MIRROR)
    }

    fn ballast_path(&self) -> PathBuf {
        self.home.join("db.ballast")
    }
}
