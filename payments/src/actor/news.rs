//! The chain's news: asked for beside the task, judged inside it.
//!
//! A block counts once it has enough blocks on top; only a closing is believed at first sight,
//! for being careful costs nothing. The cursor moves with what its blocks changed, so a restart
//! hears again exactly what is not on disk.

mod fear;
mod look;
mod older;
mod pot;
mod room;
mod told;
mod undone;

use std::sync::Arc;

use tokio::time::Instant;
use warren_proto::{Amount, ChannelId, PayoutAddress, Step};

use super::book::{Batch, Cursor};
use super::obey::reply;
use super::{AfterNews, Report, Task, Waiter};
use crate::channel::router::RouteEvent;
use crate::channel::{
    ChainFact, ChannelTerms, PayeeChannel, PayeeEvent, PayerChannel, PayerEvent, Phase,
};
use crate::handle::{PaymentEvent, PaymentsError, Role};
use look::Outlook;
pub(super) use look::{News, Unheard};
pub(super) use older::Older;
pub(super) use pot::PotBook;
use room::Room;
pub(super) use told::Told;

impl Task {
    /// Starts a look at the chain unless one is under way.
    pub(super) fn look(&mut self) {
        if self.polling {
            return;
        }
        self.polling = true;
        self.after_this_news.append(&mut self.after_next_news);
        let (chain, reports) = (Arc::clone(&self.chain), self.reports.clone());
        let outlook = Outlook {
            cursor: self.book.cursor,
            confirmations: self.config.confirmations.max(1),
            first: self.config.scan_from,
            is_unsure: self.clock.unsure,
            is_old: self.clock.stands_still(self.config.max_silence) || self.is_old(),
            held: self.alive(),
            account: self.ring.account(),
            older: self.older.clone(),
            routes: self.open_routes(),
            own: (
                self.book.payers.keys().copied().collect(),
                self.ring.addresses().map(|(_, it)| it).collect(),
            ),
        };
        tokio::spawn(async move {
            let news = look::look(chain.as_ref(), outlook).await;
            let _task_ended = reports.send(Report::News(Box::new(news))).await;
        });
    }

    pub(super) fn hear(&mut self, news: Result<News, Unheard>) {
        self.polling = false;
        if news.as_ref().is_ok_and(|it| self.reaches_further(it)) {
            return self.look(); // With more keys there is more to hear in the same blocks.
        }
        self.clock.unsure = news.is_err();
        let mut failed = None;
        let mut goes_on = false;
        let behind = match news {
            Ok(news) => match self.apply(&news) {
                Ok(()) => {
                    goes_on = Older::advances(self.older.as_ref(), news.older.as_ref());
                    self.older = news.older.filter(|it| !it.is_done());
                    news.behind
                }
                Err(error) => {
                    tracing::error!(%error, "chain news are not on disk");
                    failed = Some(error);
                    false
                }
            },
            Err(Unheard { error, hearsay }) => {
                tracing::debug!(%error, "no news of the chain");
                let told = PaymentsError::from(&error);
                if let Some(hearsay) = &hearsay {
                    self.hear_told(hearsay);
                }
                if error.is_unagreed() {
                    let times = self.clock.disagreed.take().map_or(0, |(it, _)| it);
                    self.clock.disagreed = Some((times.saturating_add(1), told.clone()));
                    // What was known to close before has a deadline too, whether or not anybody agrees now.
                    self.settle(self.now());
                } else {
                    self.settle_unheard();
                }
                failed = Some(told);
                false
            }
        };
        self.judge_freshness(behind);
        for waiting in std::mem::take(&mut self.after_this_news) {
            match waiting {
                AfterNews::Refresh(answer) => {
                    reply(answer, failed.clone().map_or(Ok(()), Err));
                }
                AfterNews::Tx(Waiter::Nobody, _) => {}
                AfterNews::Tx(Waiter::Tx(answer), tx) => reply(answer, Ok(tx)),
                AfterNews::Tx(Waiter::Claim(answer), tx) => reply(answer, Ok(Some(tx))),
            }
        }
        if behind || goes_on || !self.after_next_news.is_empty() {
            self.look();
        }
    }

    /// What the records say now holds, whatever the program was doing when it ended.
    pub(super) fn restart(&mut self) {
        let (now, mut batch) = (self.now(), Batch::default());
        for done in std::mem::take(&mut self.bills) {
            batch.pay_bill(&done);
        }
        for id in self.book.payers.keys() {
            let _known = batch.pay(&self.book, *id, &PayerEvent::Restarted, now);
        }
        for id in self.book.payees.keys() {
            let _known = batch.earn(&self.book, *id, &PayeeEvent::Restarted, now);
            let _known = batch.earn(&self.book, *id, &PayeeEvent::Stale(true), now);
        }
        for id in self.book.routes.keys() {
            batch.route(&self.book, *id, &RouteEvent::Restarted, now);
        }
        match self.take(batch) {
            Ok(outcome) => self.finish_round(outcome),
            Err(error) => tracing::error!(%error, "cannot resume what was under way"),
        }
    }

    fn apply(&mut self, news: &News) -> Result<(), PaymentsError> {
        self.clock.hears(news.head);
        self.clock.disagreed = None;
        self.gas_price = news.gas_price;
        let ring = &self.ring;
        let ours = |it: &PayoutAddress| ring.place_of(it).is_some();
        let safe = news.safe.map(|it| it.number);
        let told = Told::hear(&news.events, safe, &ours, &news.from_pot);
        let mut batch = Batch::default();
        if news.hearsay.is_none() {
            self.fear_no_more(&mut batch);
        }
        self.find_older(news, &mut batch)?;
        self.find(&told, &mut batch)?;
        for (id, fact) in told.facts() {
            self.learn(&mut batch, id, fact);
        }
        for (id, state) in &news.reread {
            for fact in self.undone(&batch, *id, state.as_ref()) {
                self.learn(&mut batch, *id, fact);
            }
        }
        for id in self.young_closings.iter().filter(|it| !told.is_closing(it)) {
            self.learn(&mut batch, *id, ChainFact::NotClosing);
        }
        self.learn_words(&told, &mut batch);
        if let Some(safe) = news.safe {
            let floor = safe.number.saturating_sub(look::REWIND);
            let blocks = (news.from, safe.number);
            let (pot, postings) = self.book.pot.hear(told.pot(), blocks, floor);
            for posting in postings {
                batch.post(posting);
            }
            if pot != self.book.pot {
                batch.move_pot(pot);
            }
            let lives = |it: &(&ChannelId, &PayerChannel)| it.1.phase() != Phase::Closed;
            for (id, _) in self.book.payers.iter().filter(lives) {
                let until = PayerEvent::HeardUntil(safe.timestamp);
                let _known = batch.pay(&self.book, *id, &until, self.now());
            }
            if self.book.cursor.is_none() {
                batch.begins(news.from);
            }
            batch.move_cursor(Cursor {
                number: safe.number,
                hash: safe.hash,
            });
            if self.book.born.is_none() && !news.behind {
                batch.is_born(news.head.number);
            }
        }
        let changes = self.changes(&batch);
        let outcome = self.take(batch)?;
        self.heard_until = news.safe.map_or(self.heard_until, |it| it.timestamp);
        self.young_closings = told.young_closings();
        self.finish_round(outcome);
        for change in changes {
            if let PaymentEvent::ChannelUsable(id) = change {
                self.answer_usable(id, &|| Ok(()));
            }
            self.tell(change);
        }
        if let Some(hearsay) = &news.hearsay {
            self.hear_told(hearsay);
        }
        let time = self.clock.estimate(self.config.max_silence);
        self.settle(time.unwrap_or(news.head.timestamp));
        Ok(())
    }

    /// Makes records of channels that the chain tells of: those that pay this node, and those that
    /// a key of this wallet pays from and this store has lost or never had.
    fn find(&mut self, told: &Told, batch: &mut Batch) -> Result<(), PaymentsError> {
        let chain = self.chain.chain_ref();
        let (mut room, mut strangers) = (Room::new(&self.book.payees), Vec::new());
        for (params, deposit, block) in told.opened() {
            let terms = ChannelTerms::new(*params, chain);
            let known = self.book.payees.contains_key(&terms.id);
            let is_ours = params.payee == self.ring.account();
            if is_ours
                && !known
                && let Some(forgotten) = room.make(*deposit)
            {
                if let Some(id) = forgotten {
                    batch.forget_payee(id);
                }
                let mut channel = PayeeChannel::watch(terms, self.config.rules);
                if self.book.born.is_none_or(|it| *block <= it) {
                    channel = channel.restored();
                }
                batch.take_payee(Step::to(channel).saved());
            }
            let place = self.ring.place_of(&params.payer);
            let known = self.book.payers.contains_key(&terms.id);
            let Some(index) = place.filter(|_| !known) else {
                continue;
            };
            self.ring.reach(index)?;
            let units = self.config.tranche_units;
            let mut channel = PayerChannel::found(terms, index, units);
            if self.book.born.is_some_and(|it| *block > it) {
                channel = channel.of_another();
                strangers.push(terms.id);
            }
            batch.take_payer(Step::to(channel).saved());
        }
        for channel in strangers {
            self.is_shared(channel);
        }
        Ok(())
    }

    /// Another machine uses this wallet: no promise is safe, for neither knows the other's. The channel's
    /// record says so for good.
    pub(super) fn is_shared(&mut self, channel: ChannelId) {
        tracing::error!(%channel, "another machine pays with this wallet");
        self.tell(PaymentEvent::WalletShared(channel));
    }

    fn learn(&self, batch: &mut Batch, id: ChannelId, fact: ChainFact) {
        let now = self.now();
        if batch.payer(&self.book, id).is_some() {
            let _known = batch.pay(&self.book, id, &PayerEvent::Chain(fact), now);
        }
        if batch.payee(&self.book, id).is_some() {
            let _known = batch.earn(&self.book, id, &PayeeEvent::Chain(fact), now);
        }
    }

    /// What people should hear of a batch, found by comparing before and after.
    fn changes(&self, batch: &Batch) -> Vec<PaymentEvent> {
        let mut changes = Vec::new();
        for (role, id) in batch.touched() {
            let (before, after) = match role {
                Role::Payer => (
                    self.book
                        .payers
                        .get(&id)
                        .map(|it| (it.phase(), it.claimed())),
                    batch
                        .payer(&self.book, id)
                        .map(|it| (it.phase(), it.claimed())),
                ),
                Role::Payee => (
                    self.book
                        .payees
                        .get(&id)
                        .map(|it| (it.phase(), it.claimed())),
                    batch
                        .payee(&self.book, id)
                        .map(|it| (it.phase(), it.claimed())),
                ),
            };
            let (phase, claimed) = before.unwrap_or((Phase::Opening, Amount::ZERO));
            let Some((new_phase, total)) = after else {
                continue;
            };
            if phase == Phase::Opening && new_phase != Phase::Opening {
                changes.push(PaymentEvent::ChannelUsable(id));
            }
            if total > claimed {
                changes.push(PaymentEvent::Claimed { channel: id, total });
            }
            if phase != Phase::Closed && new_phase == Phase::Closed {
                changes.push(PaymentEvent::Closed(id));
            }
        }
        changes
    }

    /// Before an order is obeyed: a machine that slept, or a disk that took minutes, finds vouchers waiting before it
    /// has looked at the chain again, and their channel may have ended on a consent meanwhile.
    pub(super) fn wakes(&mut self) {
        if !self.clock.stale {
            self.judge_freshness(false);
        }
    }

    /// No voucher is taken on an old view of the chain: its deposit may be gone.
    fn judge_freshness(&mut self, behind: bool) {
        let silent = self.clock.heard_at.elapsed() > self.config.max_silence;
        let stale = behind || silent || self.is_old();
        if stale == self.clock.stale {
            self.judge_blindness();
            return;
        }
        self.clock.stale = stale;
        (self.clock.stale_since, self.clock.lost) = (Instant::now(), false);
        self.tell(PaymentEvent::ChainStale(stale));
        let (now, mut batch) = (self.now(), Batch::default());
        for id in self.book.payees.keys() {
            let _known = batch.earn(&self.book, *id, &PayeeEvent::Stale(stale), now);
        }
        if let Err(error) = self.take(batch) {
            tracing::error!(%error, "cannot mark channels");
        }
    }

    /// Whether the newest block is unknown, or too old by this machine's clock.
    fn is_old(&self) -> bool {
        match (self.clock.head, self.config.max_head_age) {
            (Some(head), Some(most)) => {
                super::wall_clock().since(head.timestamp) > most || self.clock.stands_still(most)
            }
            (Some(_), None) => false,
            (None, _) => true,
        }
    }

    /// R5: words of vouchers that were taken on a fresh view are served for a while longer, not for ever.
    fn judge_blindness(&mut self) {
        let blind =
            self.clock.stale && self.clock.stale_since.elapsed() > self.config.max_blindness;
        if blind && !self.clock.lost {
            self.clock.lost = self.outbox.try_send(PaymentEvent::ChainLost).is_ok();
        }
    }
}
