//! What a tower does with what it hears: of the chain, of the silence of the chain, and of its claims.

use warren_proto::Amount;

use super::{Report, Task};
use crate::tower::errand::Outcome;
use crate::tower::event::{Closing, Job, TowerEvent};
use crate::tower::watch::Seen;

impl Task {
    pub(super) fn hear(&mut self, report: Report) {
        match report {
            Report::Looked(Ok(seen)) => {
                self.looking = false;
                let behind = seen.behind;
                self.see(seen);
                if !behind {
                    // Whoever asked is answered when what is due is begun.
                    for waiting in self.after_this.drain(..) {
                        let _ = waiting.send(());
                    }
                }
                if behind || !self.after_next.is_empty() || !self.over_next.is_empty() {
                    self.look();
                }
            }
            Report::Looked(Err(unseen)) => {
                self.looking = false;
                self.after_this.clear();
                tracing::debug!(error = %unseen.error, "the tower's chain does not answer");
                self.see_nothing(unseen.feared);
            }
            Report::Claimed { job, outcome } => {
                self.over_next.push((job, outcome));
                self.look();
            }
        }
    }

    fn see(&mut self, seen: Seen) {
        self.clock.hears(seen.time);
        self.view.block = Some(seen.block);
        for (job, outcome) in std::mem::take(&mut self.over_this) {
            self.claimed(&job, outcome);
        }
        let closings = seen.closings.into_iter().map(TowerEvent::Closing);
        let closed = seen.closed.into_iter().map(TowerEvent::Closed);
        // What they agree on may be old, and what was feared true.
        let agreed = seen.feared.is_none().then_some(TowerEvent::Agreed);
        let feared = seen.feared.into_iter().flatten().map(TowerEvent::Feared);
        let events = agreed.into_iter().chain(closings).chain(closed);
        for event in events.chain(feared) {
            let step = self.tower.handle(event, self.clock.now());
            if !self.take(step, None) {
                return; // The cursor stays: these blocks are heard again.
            }
        }
        let step = self.tower.handle(TowerEvent::Tick, self.clock.now());
        self.take(step, Some(seen.cursor));
    }

    /// What is due is due whether or not there are news. What some tell of a closing may be a lie: it is acted on,
    /// and not remembered.
    fn see_nothing(&mut self, feared: Vec<Closing>) {
        if self.view.block.is_none() {
            return; // Before the first look nothing says what time it is on the chain.
        }
        for (job, outcome) in std::mem::take(&mut self.over_this) {
            self.claimed(&job, outcome);
        }
        let feared = feared.into_iter().map(TowerEvent::Feared);
        for event in feared.chain([TowerEvent::Tick]) {
            let step = self.tower.handle(event, self.clock.now());
            if !self.take(step, None) {
                return;
            }
        }
    }

    fn claimed(&mut self, job: &Job, outcome: Outcome) {
        let (key, number) = (job.key, job.number);
        let channel = job.channel;
        let event = match outcome {
            Outcome::Paid(gain) => {
                let told = gain.map_or_else(|| "not agreed on".to_owned(), |it| it.to_string());
                tracing::info!(%channel, gain = told, "claimed for a payee that is away");
                self.view.claims = self.view.claims.saturating_add(1);
                let saved = self.view.saved.checked_add(gain.unwrap_or(Amount::ZERO));
                self.view.saved = saved.unwrap_or(Amount::MAX);
                TowerEvent::Settled { key, number }
            }
            Outcome::Idle => TowerEvent::Idle { key, number },
            Outcome::Undone(reason) => {
                tracing::warn!(%channel, reason, "a tower's claim was undone");
                TowerEvent::Undone { key }
            }
            Outcome::Failed(reason) => {
                tracing::warn!(%channel, reason, "a tower's claim did not happen");
                TowerEvent::Failed { key }
            }
        };
        let step = self.tower.handle(event, self.clock.now());
        self.take(step, None);
    }
}
