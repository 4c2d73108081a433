//! What the task knows of the chain's clock, and how old that is.

use std::time::Duration;

use tokio::time::Instant;
use warren_proto::UnixTime;

use crate::chain::Head;
use crate::handle::PaymentsError;

/// The newest block that the endpoints agreed on, and when that was.
pub(super) struct ChainClock {
    pub(super) head: Option<Head>,
    /// When the last look gave news, be it of a block that was known.
    pub(super) heard_at: Instant,
    /// When the newest block was first heard of.
    advanced_at: Instant,
    /// Until the first look, and after a failed one: whoever answers next may be another chain.
    pub(super) unsure: bool,
    /// How often in a row the endpoints did not agree, and on what.
    pub(super) disagreed: Option<(u32, PaymentsError)>,
    /// Until the first look, and whenever looks fail for too long.
    pub(super) stale: bool,
    /// Since when it is.
    pub(super) stale_since: Instant,
    /// Whether sessions were told to end for it.
    pub(super) lost: bool,
}

impl ChainClock {
    /// Nothing was heard yet.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            head: None,
            heard_at: now,
            advanced_at: now,
            unsure: true,
            disagreed: None,
            stale: true,
            stale_since: now,
            lost: false,
        }
    }

    /// A look told of `head`.
    pub(super) fn hears(&mut self, head: Head) {
        self.heard_at = Instant::now();
        if self.head != Some(head) {
            (self.head, self.advanced_at) = (Some(head), self.heard_at);
        }
    }

    /// Whether there was no new block for longer than `patience`.
    ///
    /// One endpoint that stands still keeps what all agree on where it is, and answers all the same.
    pub(super) fn stands_still(&self, patience: Duration) -> bool {
        self.advanced_at.elapsed() > patience
    }

    /// About the chain's time: the newest block's, and what has passed since it was heard of if that is more than
    /// `patience`; `None` before the first block.
    pub(super) fn estimate(&self, patience: Duration) -> Option<UnixTime> {
        let passed = if self.stands_still(patience) {
            self.advanced_at.elapsed()
        } else {
            Duration::ZERO
        };
        self.head.map(|it| it.timestamp.plus(passed))
    }
}
