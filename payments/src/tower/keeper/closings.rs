//! What a tower makes of closings: agreed on, feared, and over.
//!
//! Sans-IO.

use warren_proto::{ChannelId, Locator, UnixTime};

use super::Tower;
use crate::tower::appointment::{Appointment, Due, Key};
use crate::tower::event::{Change, Closing, TowerStep};

impl Tower {
    /// The payee has a while to claim for itself; its own gas is its own business.
    pub(super) fn due(&self, closing: &Closing, now: UnixTime) -> Due {
        let left = closing.closes_at.saturating_sub(now.as_secs());
        let wait = (left / 4).min(self.rules.patience.as_secs());
        Due {
            channel: closing.channel,
            claim_at: now.as_secs().saturating_add(wait),
        }
    }

    pub(super) fn closes(&self, closing: Closing, now: UnixTime) -> TowerStep {
        let locator = Locator::of(&closing.channel);
        if self.closings.get(&locator) == Some(&closing) {
            return TowerStep::default();
        }
        let mut changes = Vec::new();
        if self.closings.len() >= self.rules.closings {
            let first = self.closings.iter().min_by_key(|(_, it)| it.closes_at);
            changes.extend(first.map(|(locator, _)| Change::Closing(*locator, None)));
        }
        changes.push(Change::Closing(locator, Some(closing)));
        changes.extend(self.hurry(&closing, now));
        TowerStep {
            changes,
            ..TowerStep::default()
        }
    }

    /// Some endpoint tells of a closing, and others do not. What is kept for that channel is claimed in time all
    /// the same: if it was a lie, the claim was only early. The closing itself is not remembered.
    pub(super) fn fears(&mut self, closing: Closing, now: UnixTime) -> TowerStep {
        let locator = Locator::of(&closing.channel);
        let is_kept = self.of(locator).next().is_some();
        if !is_kept || self.closings.contains_key(&locator) || !self.feared.insert(closing.channel)
        {
            return TowerStep::default();
        }
        TowerStep {
            changes: self.hurry(&closing, now).collect(),
            ..TowerStep::default()
        }
    }

    fn hurry(&self, closing: &Closing, now: UnixTime) -> impl Iterator<Item = Change> {
        let due = self.due(closing, now);
        self.of(Locator::of(&closing.channel))
            .map(move |(key, it)| {
                let sooner = it.due.filter(|it| it.claim_at <= due.claim_at);
                let next = Appointment {
                    due: sooner.or(Some(due)),
                    ..it.clone()
                };
                Change::Put(*key, Some(Box::new(next)))
            })
    }

    pub(super) fn is_closed(&self, channel: ChannelId) -> TowerStep {
        let locator = Locator::of(&channel);
        let puts = self.of(locator).map(|(key, _)| Change::Put(*key, None));
        let mut changes: Vec<_> = puts.collect();
        if self.closings.contains_key(&locator) {
            changes.push(Change::Closing(locator, None));
        }
        TowerStep {
            changes,
            ..TowerStep::default()
        }
    }

    fn of(&self, locator: Locator) -> impl Iterator<Item = (&Key, &Appointment)> {
        self.puts
            .iter()
            .filter(move |(key, _)| key.locator == locator)
    }
}
