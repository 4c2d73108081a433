//! The payee's loop: every few seconds, whoever should hold more is told more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use warren_overlay::SessionStream;
use warren_payments::channel::Phase;
use warren_payments::tower::{self, Holding, NONCE_BYTES};
use warren_payments::{ChannelView, PaymentsError, Role};
use warren_proto::{Amount, ChannelId, NodeId, SessionFrame, TowerPut, TowerVerdict, UnixTime};

use super::{KEEP, MAX_PUTS, Own, PATIENCE, Towers};
use crate::clock::Clock;

/// Between two rounds. Our choice: what is earned in between is what an exit that dies may lose.
const ROUND: Duration = Duration::from_secs(5);
/// Towers told in one round.
const MAX_TOWERS: usize = 8;

impl Towers {
    /// Keeps this node's channels with as many towers as it wants; ends at once if that is none.
    pub(crate) async fn seek(self, clock: Arc<Clock>) {
        let Some(own) = self.own.filter(|it| it.wanted > 0) else {
            return;
        };
        let mut rounds = interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            match own.round(&clock).await {
                Ok(()) => {}
                Err(PaymentsError::Stopped) => return,
                Err(error) => tracing::debug!(%error, "towers are told later"),
            }
        }
    }
}

/// What a channel that pays this node is worth, while it can be claimed.
fn worth(it: &ChannelView) -> Option<(ChannelId, Amount)> {
    let lives = matches!(it.phase, Phase::Open | Phase::Closing { .. });
    let is_ours = it.role == Role::Payee && lives && it.value > it.claimed;
    is_ours.then_some((it.id, it.value))
}

impl Own {
    async fn round(&self, clock: &Clock) -> Result<(), PaymentsError> {
        let channels = self.payments.channels().await?;
        let closed = |it: &&ChannelView| it.phase == Phase::Closed;
        let over: Vec<_> = channels.iter().filter(closed).map(|it| it.id).collect();
        let channels: Vec<_> = channels.iter().filter_map(worth).collect();
        let peers = self.overlay.peers().await.unwrap_or_default();
        let peers: Vec<_> = peers.into_iter().map(|it| it.node).collect();
        let wanted = {
            let mut picker = self.picker();
            picker.forget(|it| over.contains(it));
            picker.wanted(&channels, &peers, clock.now())
        };
        let mut by_tower = BTreeMap::<NodeId, Vec<ChannelId>>::new();
        for (channel, tower) in wanted {
            by_tower.entry(tower).or_default().push(channel);
        }
        for (tower, channels) in by_tower.into_iter().take(MAX_TOWERS) {
            self.tell(tower, &channels, clock).await?;
        }
        Ok(())
    }

    /// Puts `channels` with one tower, on one stream.
    async fn tell(
        &self,
        tower: NodeId,
        channels: &[ChannelId],
        clock: &Clock,
    ) -> Result<(), PaymentsError> {
        let opened = timeout(PATIENCE, self.overlay.open_session(tower)).await;
        let mut stream = opened.ok().and_then(Result::ok);
        for channel in channels.iter().take(MAX_PUTS) {
            let Some((put, holding)) = self.put(*channel, clock.now()).await? else {
                continue;
            };
            let verdict = match &mut stream {
                Some(it) => said(it, put).await,
                None => None,
            };
            if verdict != Some(TowerVerdict::Kept) {
                tracing::debug!(tower = %tower.short(), ?verdict, "a tower does not keep it");
            }
            let now = clock.now();
            self.picker()
                .answered(*channel, tower, (verdict, holding), now);
            if verdict.is_none() {
                return Ok(()); // The others will be put elsewhere, or later.
            }
        }
        if let Some(mut stream) = stream {
            // The answers are in: a peer that is gone now kept what it said.
            let _ = stream.close().await;
        }
        Ok(())
    }

    /// `None` while the channel has nothing to claim with.
    async fn put(
        &self,
        channel: ChannelId,
        now: UnixTime,
    ) -> Result<Option<(TowerPut, Holding)>, PaymentsError> {
        let Some(evidence) = self.payments.evidence(channel).await? else {
            return Ok(None);
        };
        let holding = Holding {
            value: evidence.value,
            number: now.as_millis(),
            until: now.plus(KEEP).as_secs(),
        };
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let put = tower::put(&channel, &evidence, (holding.number, holding.until), nonce);
        Ok(put.map(|put| (put, holding)))
    }
}

/// Sends a put and waits for its answer; `None` if there is none in time.
async fn said(stream: &mut SessionStream, put: TowerPut) -> Option<TowerVerdict> {
    let locator = put.locator;
    let asked = async {
        let frame = SessionFrame::TowerPut(Box::new(put));
        stream.send(frame).await.ok()?;
        match stream.recv().await {
            Ok(Some(SessionFrame::TowerAnswer(answer))) if answer.locator == locator => {
                Some(answer.verdict)
            }
            Ok(_) | Err(_) => None,
        }
    };
    timeout(PATIENCE, asked).await.ok().flatten()
}
