//! What a tower knows of the chain's clock.

use std::time::Duration;

use tokio::time::Instant;
use warren_proto::UnixTime;

use crate::wall_clock;

/// The latest time that a newest block had, and when it was first heard.
///
/// Time goes on from there: an endpoint that stands still answers all the same, and while its word is needed no
/// later block is agreed on.
pub(super) struct Clock {
    /// `None` before the first look.
    latest: Option<(UnixTime, Instant)>,
}

impl Clock {
    pub(super) const fn new() -> Self {
        Self { latest: None }
    }

    /// A look found a newest block of this time.
    pub(super) fn hears(&mut self, time: UnixTime) {
        if self.latest.is_none_or(|(latest, _)| time > latest) {
            self.latest = Some((time, Instant::now()));
        }
    }

    /// Chain time, and what has passed since it advanced; before the first look, the wall clock has to do.
    pub(super) fn now(&self) -> UnixTime {
        self.latest
            .map_or_else(wall_clock, |(time, at)| time.plus(at.elapsed()))
    }

    /// Whether the newest block is unknown, the newest for longer than `silence`, or older than `age` by this
    /// machine's clock.
    pub(super) fn is_old(&self, silence: Duration, age: Option<Duration>) -> bool {
        self.latest.is_none_or(|(time, at)| {
            at.elapsed() > silence || age.is_some_and(|most| wall_clock().since(time) > most)
        })
    }
}
