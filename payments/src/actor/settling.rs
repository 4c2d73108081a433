//! Claims what is worth it or in danger, and says how much its gas may cost; takes back what a
//! close window left.

use std::time::Duration;

use warren_proto::{Amount, ChannelId, UnixTime};

use super::book::Batch;
use super::{Task, Waiter};
use crate::calls::Call;
use crate::channel::{PayeeChannel, PayeeEvent, PayerChannel, PayerEvent, Phase};
use crate::handle::{ClaimOutlook, Role};
use crate::settle::ClaimView;
use crate::tx::Stake;

impl Task {
    pub(super) fn settle(&mut self, chain_time: UnixTime) {
        let mut batch = Batch::default();
        let idle = self.book.payees.values();
        let idle = idle.filter(|it| !it.is_claiming() && !self.is_resting(&it.terms().id));
        let plan = self
            .config
            .settle
            .plan(&self.views(idle, chain_time), chain_time);
        for id in plan.channels() {
            // A lock lives by the chain's time: a clock that is ahead must not give it up.
            let _known = batch.earn(&self.book, *id, &PayeeEvent::ClaimAsked, chain_time);
        }
        let ending =
            |it: &&PayerChannel| matches!(it.phase(), Phase::Closing { .. }) || it.needs_sweep();
        for channel in self.book.payers.values().filter(ending) {
            let id = channel.terms().id;
            if self.is_resting(&id) || self.sweeping.contains(&id) {
                continue;
            }
            let _known = batch.pay(&self.book, id, &PayerEvent::Tick, chain_time);
        }
        self.look_at_routes(&mut batch);
        match self.take(batch) {
            Ok(mut outcome) => {
                let companies = self.companies(&mut outcome, &plan);
                self.finish_round(outcome);
                companies.into_iter().for_each(|it| self.claim_together(it));
            }
            Err(error) => tracing::error!(%error, "cannot settle"),
        }
        self.urge(chain_time);
    }

    /// What has a deadline has it whether or not there are news: by the newest block heard of, and the time
    /// that has passed since.
    pub(super) fn settle_unheard(&mut self) {
        if let Some(time) = self.clock.estimate(Duration::ZERO) {
            self.settle(time);
        }
    }

    fn claim_view(&self, channel: &PayeeChannel, chain_time: UnixTime) -> ClaimView {
        ClaimView {
            phase: self.feared_phase(channel),
            claimable: channel.claimable(chain_time),
            words: channel.claim_words(),
            gas_price: self.gas_price,
            expiry: channel.first_expiry(chain_time),
            apart: self.is_apart(&channel.terms().id),
        }
    }

    /// How claims on `channels` look.
    pub(super) fn views<'a>(
        &self,
        channels: impl Iterator<Item = &'a PayeeChannel>,
        chain_time: UnixTime,
    ) -> Vec<(ChannelId, ClaimView)> {
        let view = |it: &PayeeChannel| (it.terms().id, self.claim_view(it, chain_time));
        channels.map(view).collect()
    }

    /// What claiming all would mean now.
    pub(super) fn claim_outlook(&self) -> ClaimOutlook {
        let (policy, now) = (&self.config.settle, self.chain_time());
        let views = self.views(self.book.payees.values(), now);
        let (all, due) = (policy.plan_all(&views, now), policy.plan(&views, now));
        let count = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
        ClaimOutlook {
            claims: count(all.channels().count()),
            due: count(due.channels().count()),
            transactions: count(all.transactions()),
            fee: Some(policy.gas_of(&all, &views)).filter(|_| self.gas_price > Amount::ZERO),
        }
    }

    /// Locks live by the chain's time.
    pub(super) fn chain_time(&self) -> UnixTime {
        let head = self.clock.head;
        head.map_or_else(|| self.now(), |it| it.timestamp)
    }

    /// Where the channel stands, or would if what some endpoint says were true.
    fn feared_phase(&self, channel: &PayeeChannel) -> Phase {
        match (channel.phase(), self.feared.get(&channel.terms().id)) {
            (Phase::Open, Some(closes_at)) => Phase::Closing {
                closes_at: *closes_at,
            },
            (phase, _) => phase,
        }
    }

    /// A claim that was sent while there was time hears that there is a deadline now, or a sooner one.
    fn urge(&mut self, chain_time: UnixTime) {
        let soon = chain_time.plus(self.config.settle.closing_margin).as_secs();
        let payees = self.book.payees.values().filter(|it| it.is_claiming());
        let late = payees.filter_map(|it| {
            let (id, deadline) = (it.terms().id, self.claim_view(it, chain_time).deadline()?);
            let told = self.urged.get(&id);
            let is_news = deadline <= soon && told.is_none_or(|it| deadline < *it);
            Some((id, deadline, it.claim_now(chain_time).filter(|_| is_news)?))
        });
        for (id, deadline, claim) in late.collect::<Vec<_>>() {
            self.urged.insert(id, deadline);
            // The same call as the one on its way is merged with it and brings the deadline. If more is known
            // by now it is a call of its own, which may overtake the one that was sent.
            self.submit(Some(id), Role::Payee, Call::Claim(claim), Waiter::Nobody);
        }
        let payees = &self.book.payees;
        self.urged
            .retain(|id, _| payees.get(id).is_some_and(PayeeChannel::is_claiming));
    }

    /// What a claim on `channel` brings, in coin, and until when.
    pub(super) fn stake(&self, channel: ChannelId) -> Option<Stake> {
        let payee = self.book.payees.get(&channel)?;
        let chain_time = self.chain_time();
        let view = self.claim_view(payee, chain_time);
        let deadline = view.deadline();
        Some(Stake {
            worth: self.config.settle.in_coin(view.claimable),
            deadline: deadline.map(UnixTime::from_secs),
        })
    }
}
