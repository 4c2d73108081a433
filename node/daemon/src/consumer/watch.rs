//! What the consumer's line stands on, looked at each second: kill switch, routes, names, device.

use std::time::Duration;

use super::Shell;
use super::host::Found;
use crate::error::{ErrorCode, Problem};
use crate::events::News;
use crate::metrics::{Metric, Metrics, TunnelEnd};
use crate::session::{ConsumerEvent, ConsumerPhase};

/// Between two looks. One costs some twenty questions to the kernel and no program.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// Renewals of a device that fail in a row before the session is given up.
const MOST_FAILED: u32 = 3;

/// What the looks found so far.
#[derive(Debug, Default)]
pub(super) struct Watch {
    meddled: u64,
    failed: u32,
    /// What could not be made again when it was last tried; gone with the next look that finds it.
    unmended: Option<Problem>,
    /// Inner bytes up and down that were counted of the present tunnel.
    carried: (u64, u64),
    /// `None` while all is well and always was.
    lasting: Option<Problem>,
}

impl Watch {
    pub(super) fn begun_with(trouble: Option<Problem>) -> Self {
        Self {
            lasting: trouble,
            ..Self::default()
        }
    }

    /// What is not as it should be, or else what was not since the last `up`.
    pub(super) fn trouble(&self) -> Option<Problem> {
        self.unmended.clone().or_else(|| self.lasting.clone())
    }

    fn mended(&mut self, what: &[String], metrics: &Metrics) {
        self.meddled = self.meddled.saturating_add(1);
        metrics.add(Metric::FirewallMeddled, 1);
        let (times, what) = (self.meddled, what.join(", "));
        tracing::error!(
            times,
            what,
            "taken away by another program; it is there again"
        );
        let seen = format!("{what}: taken away, {times} times by now; there again");
        self.lasting = Some(Problem::new(ErrorCode::FirewallMeddled, seen));
    }

    /// Another `up` begins. What was counted stays so: the line shows its last session until it has another.
    pub(super) fn begins_again(&mut self) {
        *self = Self {
            carried: self.carried,
            ..Self::default()
        };
    }

    pub(super) fn forgets(&mut self) {
        (self.unmended, self.lasting) = (None, None);
    }
}

impl Shell {
    pub(super) async fn look(&mut self) {
        let found = self.line.look().await;
        self.finds(found).await;
        self.look_at_cover().await;
    }

    pub(super) async fn finds(&mut self, found: Found) {
        let unmended = self.watch.unmended.clone();
        let lasting = self.watch.lasting.clone();
        self.takes(found).await;
        let watch = &self.watch;
        for (now, before) in [(&watch.lasting, &lasting), (&watch.unmended, &unmended)] {
            if let Some(problem) = now.as_ref().filter(|_| now != before) {
                self.parts.events.tell(News::warning(problem));
            }
        }
        if unmended.is_some() && watch.unmended.is_none() {
            self.tell_of_tunnel("what could not be made again stands again");
        }
    }

    async fn takes(&mut self, found: Found) {
        let wall = if self.line.has_kill_switch() {
            "the kill switch"
        } else {
            "the table that guards the tunnel"
        };
        let (watch, metrics) = (&mut self.watch, &self.parts.metrics);
        let before = std::mem::take(&mut watch.unmended);
        match found {
            Found::Sound => watch.failed = 0,
            Found::Meddled => {
                watch.meddled = watch.meddled.saturating_add(1);
                metrics.add(Metric::FirewallMeddled, 1);
                let times = watch.meddled;
                tracing::error!(times, "{wall} was taken away; it stands again");
                let seen = format!("{wall} was taken away {times} times; it stands again");
                watch.lasting = Some(Problem::new(ErrorCode::FirewallMeddled, seen));
            }
            Found::Mended(what) => watch.mended(&what, metrics),
            Found::Adopted => {
                tracing::warn!("the kill switch that was left is taken over");
                watch.lasting = None;
            }
            Found::Bare(error, rest) => {
                tracing::error!(%error, "{wall} is gone and cannot be made again");
                let mut seen = format!("{wall} is GONE and cannot be made again: {error}");
                match rest {
                    Ok(what) if what.is_empty() => {}
                    Ok(what) => watch.mended(&what, metrics),
                    Err(error) => {
                        tracing::error!(%error, "nor can what else the tunnel stands on");
                        seen = format!("{seen}; nor can what else was taken away: {error}");
                    }
                }
                watch.unmended = Some(Problem::new(ErrorCode::FirewallMeddled, seen));
            }
            Found::Unmended(error) => {
                if before.is_none() {
                    tracing::warn!(%error, "what the tunnel stands on cannot be made again; tried each second");
                }
                watch.unmended = Some(error.problem());
            }
            Found::Renewed => {
                watch.failed = 0;
                metrics.add(Metric::TunnelsLost, 1);
                tracing::warn!("the tunnel's device was gone; it is there again");
                self.tell_of_tunnel("its device was gone; it is there again");
            }
            Found::Lost(error) => {
                watch.failed = watch.failed.saturating_add(1);
                tracing::error!(%error, "the tunnel's device is gone and cannot be had again");
                let problem = error.problem();
                let over = watch.failed >= MOST_FAILED;
                if watch.failed == 1 {
                    self.parts.events.tell(News::warning(&problem));
                }
                if let Some(live) = &mut self.live {
                    live.problem = Some(problem);
                }
                if over {
                    self.watch.failed = 0;
                    self.event(ConsumerEvent::LineLost).await;
                }
            }
        }
        self.tell_metrics();
    }

    pub(super) fn tell_metrics(&mut self) {
        // A new tunnel counts from nothing.
        let usage = self.line.usage();
        let carried = usage.map_or((0, 0), |it| (it.up.bytes(), it.down.bytes()));
        let before = std::mem::replace(&mut self.watch.carried, carried);
        let more = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        let (up, down) = (more(carried.0, before.0), more(carried.1, before.1));
        self.parts.metrics.add(Metric::ConsumerUpBytes, up);
        self.parts.metrics.add(Metric::ConsumerDownBytes, down);
        let phase = self.live.as_ref().map(|it| it.phase());
        let is_up = phase == Some(ConsumerPhase::Active);
        let metrics = &self.parts.metrics;
        metrics.set_dropped(TunnelEnd::Consumer, self.line.dropped());
        metrics.set(Metric::ConsumerUp, u64::from(is_up));
        metrics.set(Metric::KillSwitch, u64::from(self.line.is_protected()));
    }
}
