//! Closings that some endpoint tells of and not enough agree on, or not yet: not believed, but acted on.
//!
//! A hidden closing costs a payee everything it earned, an invented one the gas of a claim that
//! comes early. So whoever is paid claims at once and takes nothing new on that channel until the
//! endpoints agree again; the channel's record is not touched. A word that became public is its own proof: a router
//! takes it from whoever tells of it, for it is paid upstream by nothing else.

use std::collections::BTreeMap;

use warren_proto::ChannelId;

use super::super::Task;
use super::super::Waiter;
use super::super::book::Batch;
use super::look::Hearsay;
use crate::chain::{ChainEvent, EventKind};
use crate::channel::router::{RouteEvent, RoutedPayment};
use crate::channel::{PayeeEvent, Phase};

impl Task {
    /// Acts on what not enough endpoints tell of.
    pub(super) fn hear_told(&mut self, told: &Hearsay) {
        let (now, mut batch) = (self.now(), Batch::default());
        for (payment, word) in &told.words {
            let event = RouteEvent::Heard(word.clone());
            batch.route(&self.book, *payment, &event, now);
        }
        match self.take(batch) {
            Ok(outcome) => self.finish_round(outcome),
            Err(error) => tracing::error!(%error, "words are not on disk"),
        }
        self.fear(&told.closings);
    }

    /// Payments that a word may still be told of.
    pub(super) fn open_routes(&self) -> Vec<RoutedPayment> {
        let routes = self.book.routes.values();
        routes.filter(|it| !it.is_over()).cloned().collect()
    }

    /// Acts on closings that may be lies.
    fn fear(&mut self, closings: &[ChainEvent]) {
        let mut told = BTreeMap::<ChannelId, u64>::new();
        for event in closings {
            let EventKind::Closing {
                channel, closes_at, ..
            } = &event.kind
            else {
                continue;
            };
            let payee = self.book.payees.get(channel);
            if payee.is_some_and(|it| it.phase() == Phase::Open) {
                let secs = closes_at.as_secs();
                let earliest = told.entry(*channel).or_insert(secs);
                *earliest = secs.min(*earliest);
            }
        }
        let (now, mut batch) = (self.now(), Batch::default());
        for (id, closes_at) in told {
            if self.feared.insert(id, closes_at).is_none() {
                tracing::warn!(channel = %id, "an endpoint tells of a closing, and others do not");
                let _known = batch.earn(&self.book, id, &PayeeEvent::Stale(true), now);
            }
        }
        match self.take(batch) {
            Ok(outcome) => self.run_submissions(outcome, Waiter::Nobody),
            Err(error) => tracing::error!(%error, "cannot mark channels"),
        }
    }

    /// The endpoints agree, and on what is new: what they say counts, and nothing else.
    pub(super) fn fear_no_more(&mut self, batch: &mut Batch) {
        let now = self.now();
        for id in std::mem::take(&mut self.feared).into_keys() {
            let stale = PayeeEvent::Stale(self.clock.stale);
            let _known = batch.earn(&self.book, id, &stale, now);
        }
    }
}
