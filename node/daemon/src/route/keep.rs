//! Streams that are to stand: dialled again when they break, less and less often.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use warren_payments::channel::Phase;
use warren_payments::{ChannelView, Role};
use warren_proto::ChannelId;

use super::Own;

// Our choices.
/// Between two looks.
const ROUND: Duration = Duration::from_secs(2);
/// After a start, the streams of all neighbours are wanted so long: their locks may live. As the first lock of a route
/// over two routers.
const AFTER_START: Duration = Duration::from_secs(13_200);

impl Own {
    /// Every few seconds, streams that are to stand and do not are dialled again.
    pub(super) async fn keep(self: Arc<Self>) {
        if self.router.enabled
            && let Err(error) = self.overlay.announce_router(true).await
        {
            tracing::debug!(%error, "nobody is told that this node routes");
        }
        let until = self.clock.now().plus(AFTER_START);
        for (channel, _) in self.neighbours.all() {
            self.hold(channel, until);
        }
        let mut rounds = interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            let Ok(routes) = self.payments().routes().await else {
                return; // The node ends.
            };
            self.book().numbers.live = routes.len();
            for it in routes {
                self.hold(it.down, self.clock.now().plus(ROUND.saturating_mul(2)));
            }
            if self.book().held.is_empty() {
                continue; // Most nodes, always: nobody is asked about every channel for nothing.
            }
            let Ok(channels) = self.payments().channels().await else {
                return;
            };
            for channel in self.missing(&channels) {
                let own = Arc::clone(&self);
                self.control.spawn(async move {
                    if let Err(problem) = own.meet(channel).await {
                        tracing::debug!(channel = %channel.short(), seen = %problem.seen, "neighbour not reached");
                    }
                });
            }
        }
    }

    /// A neighbour that is away is tried less and less often.
    pub(super) fn rest(&self, channel: ChannelId) {
        let mut book = self.book();
        let tries = book.resting.get(&channel).map_or(0, |(tries, _)| *tries);
        let pause = ROUND.saturating_mul(1 << tries.min(5));
        let again = self.clock.now().plus(pause);
        book.resting
            .insert(channel, (tries.saturating_add(1), again));
    }

    fn missing(&self, channels: &[ChannelView]) -> Vec<ChannelId> {
        let now = self.clock.now();
        let lives = |id: &ChannelId| {
            let mut it = channels.iter();
            it.any(|it| it.id == *id && it.role == Role::Payer && it.phase == Phase::Open)
        };
        let mut book = self.book();
        book.held.retain(|_, until| *until > now);
        let idle = |it: &Arc<tokio::sync::Mutex<()>>| it.try_lock().is_ok();
        let missing = book.held.keys().filter(|it| {
            let is_dialled = book.dialling.get(it).is_some_and(|it| !idle(it));
            let rests = book.resting.get(it).is_some_and(|(_, until)| *until > now);
            !book.streams.contains_key(it) && !is_dialled && !rests && lives(it)
        });
        missing.copied().collect()
    }
}
