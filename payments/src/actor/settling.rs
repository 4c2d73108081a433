//! Claims what is worth it or in danger, and says how much its gas may cost; takes back what a
//! close window left.

use warren_proto::{ChannelId, UnixTime};

use super::book::Batch;
use super::{Task, Waiter};
use crate::calls::Call;
use crate::channel::{PayeeChannel, PayeeEvent, PayerChannel, PayerEvent, Phase};
use crate::handle::Role;
use crate::settle::{ClaimView, Settle};
use crate::tx::Stake;

impl Task {
    pub(super) fn settle(&mut self, now: UnixTime, chain_time: UnixTime) {
        let mut batch = Batch::default();
        for channel in self.book.payees.values() {
            if channel.is_claiming() || self.is_resting(&channel.terms().id) {
                continue;
            }
            let view = ClaimView {
                phase: self.feared_phase(channel),
                claimable: channel.claimable(chain_time),
                words: channel.claim_words(),
                gas_price: self.gas_price,
                expiry: channel.first_expiry(chain_time),
            };
            match self.config.settle.decide(&view, chain_time) {
                Settle::Wait => {}
                Settle::Worth | Settle::Forced => {
                    let id = channel.terms().id;
                    // A lock lives by the chain's time: a clock that is ahead must not give it up.
                    let _known = batch.earn(&self.book, id, &PayeeEvent::ClaimAsked, chain_time);
                }
            }
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
            Ok(outcome) => self.finish_round(outcome),
            Err(error) => tracing::error!(%error, "cannot settle"),
        }
        self.urge(now, chain_time);
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

    /// A claim that was sent while there was time hears once that there is a deadline now.
    fn urge(&mut self, now: UnixTime, chain_time: UnixTime) {
        let margin = self.config.settle.closing_margin;
        let is_late = |it: &&PayeeChannel| match self.feared_phase(it) {
            Phase::Closing { closes_at } => {
                chain_time.plus(margin) >= UnixTime::from_secs(closes_at)
            }
            Phase::Opening | Phase::Open | Phase::Closed => false,
        };
        let urged = |it: &&PayeeChannel| self.urged.contains(&it.terms().id);
        let payees = self.book.payees.values();
        let late = payees.filter(|it| it.is_claiming() && !urged(it) && is_late(it));
        let claims = late.filter_map(|it| Some((it.terms().id, it.claim_now(now)?)));
        for (id, claim) in claims.collect::<Vec<_>>() {
            self.urged.insert(id);
            // The same call as the one on its way, so it is merged with it and brings the deadline.
            self.submit(Some(id), Role::Payee, Call::Claim(claim), Waiter::Nobody);
        }
        let closing = |id: &ChannelId| {
            self.book
                .payees
                .get(id)
                .is_some_and(PayeeChannel::is_claiming)
        };
        let kept = self.urged.iter().copied().filter(closing).collect();
        self.urged = kept;
    }

    /// What a claim on `channel` brings, in coin, and until when.
    pub(super) fn stake(&self, channel: ChannelId) -> Option<Stake> {
        let payee = self.book.payees.get(&channel)?;
        let deadline = match self.feared_phase(payee) {
            Phase::Closing { closes_at } => Some(UnixTime::from_secs(closes_at)),
            Phase::Opening | Phase::Open | Phase::Closed => None,
        };
        let brings = payee.claimable(self.now());
        Some(Stake {
            worth: self.config.settle.in_coin(brings),
            deadline,
        })
    }
}
