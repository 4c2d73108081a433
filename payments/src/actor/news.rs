//! The chain's news: asked for beside the task, judged inside it.
//!
//! A block counts once it has enough blocks on top; only a closing is believed at first sight,
//! for being careful costs nothing. The cursor moves with what its blocks changed, so a restart
//! hears again exactly what is not on disk.

mod told;

use std::sync::Arc;
use std::time::Instant;

use warren_proto::{Amount, ChannelId, PayoutAddress, Step};

use super::book::{Batch, Cursor};
use super::obey::reply;
use super::{AfterNews, Report, Task, Waiter};
use crate::chain::{Chain, ChainError, ChainEvent, Head};
use crate::channel::{
    ChainFact, ChannelTerms, PayeeChannel, PayeeEvent, PayerChannel, PayerEvent, Phase,
};
use crate::handle::{PaymentEvent, PaymentsError, Role};
use crate::settle::{ClaimView, Settle};
pub(super) use told::Told;

// Our choices.
/// Blocks asked for at once: public nodes refuse more.
const MAX_BLOCKS: u64 = 2000;
/// How far the first look goes back, unless it is told: a week of 12-second blocks.
const FIRST_LOOK: u64 = 50_000;
/// How far to go back when even confirmed history was rewritten.
const REWIND: u64 = 256;
/// Channels that pay this node; each cost its opener gas and a deposit.
const MAX_PAYEE_CHANNELS: usize = 65_536;

/// One look at the chain.
pub(super) struct News {
    head: Head,
    /// The newest block that counts; `None` while the chain is too short.
    safe: Option<Head>,
    events: Vec<ChainEvent>,
    gas_price: Amount,
    /// There are more blocks than were asked for.
    behind: bool,
    /// Blocks that were on record are heard again.
    rewound: bool,
}

impl Task {
    /// Starts a look at the chain unless one is under way.
    pub(super) fn look(&mut self) {
        if self.polling {
            return;
        }
        self.polling = true;
        self.after_this_news.append(&mut self.after_next_news);
        let (chain, reports) = (Arc::clone(&self.chain), self.reports.clone());
        let (cursor, confirmations) = (self.book.cursor, self.config.confirmations.max(1));
        let (first, unsure) = (self.config.scan_from, self.clock.unsure);
        tokio::spawn(async move {
            let known = if unsure {
                chain.verify_contract().await
            } else {
                Ok(())
            };
            let news = match known {
                Ok(()) => look(chain.as_ref(), cursor, confirmations, first).await,
                Err(error) => Err(error),
            };
            let _task_ended = reports.send(Report::News(Box::new(news))).await;
        });
    }

    pub(super) fn hear(&mut self, news: Result<News, ChainError>) {
        self.polling = false;
        self.clock.unsure = news.is_err();
        let mut failed = None;
        let behind = match news {
            Ok(news) => match self.apply(&news) {
                Ok(()) => news.behind,
                Err(error) => {
                    tracing::error!(%error, "chain news are not on disk");
                    failed = Some(error);
                    false
                }
            },
            Err(error) => {
                tracing::debug!(%error, "chain does not answer");
                failed = Some(PaymentsError::Chain {
                    reason: error.to_string(),
                });
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
        if behind || !self.after_next_news.is_empty() {
            self.look();
        }
    }

    /// What the records say now holds, whatever the program was doing when it ended.
    pub(super) fn restart(&mut self) {
        let (now, mut batch) = (self.now(), Batch::default());
        for id in self.book.payers.keys() {
            let _known = batch.pay(&self.book, *id, &PayerEvent::Restarted, now);
        }
        for id in self.book.payees.keys() {
            let _known = batch.earn(&self.book, *id, &PayeeEvent::Restarted, now);
            let _known = batch.earn(&self.book, *id, &PayeeEvent::Stale(true), now);
        }
        match self.take(batch) {
            Ok(outcome) => self.run_submissions(outcome, Waiter::Nobody),
            Err(error) => tracing::error!(%error, "cannot resume what was under way"),
        }
    }

    fn apply(&mut self, news: &News) -> Result<(), PaymentsError> {
        self.clock.head = Some(news.head);
        self.clock.heard_at = Instant::now();
        self.gas_price = news.gas_price;
        let now = self.now();
        let ring = &self.ring;
        let ours = |it: &PayoutAddress| ring.place_of(it).is_some();
        let told = Told::hear(&news.events, news.safe.map(|it| it.number), &ours);
        let mut batch = Batch::default();
        self.find(&told, &mut batch)?;
        for (id, fact) in told.facts() {
            self.learn(&mut batch, id, fact);
        }
        for id in self.young_closings.iter().filter(|it| !told.is_closing(it)) {
            self.learn(&mut batch, *id, ChainFact::NotClosing);
        }
        if !news.rewound {
            for posting in told.pot() {
                batch.post(*posting);
            }
        }
        if let Some(safe) = news.safe {
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
        self.young_closings = told.young_closings();
        self.run_submissions(outcome, Waiter::Nobody);
        for change in changes {
            if let PaymentEvent::ChannelUsable(id) = change {
                self.answer_usable(id, &|| Ok(()));
            }
            self.tell(change);
        }
        self.settle(now);
        Ok(())
    }

    /// Makes records of channels that the chain tells of: those that pay this node, and those that
    /// a key of this wallet pays from and this store has lost or never had.
    fn find(&mut self, told: &Told, batch: &mut Batch) -> Result<(), PaymentsError> {
        let chain = self.chain.chain_ref();
        for (params, block) in told.opened() {
            let terms = ChannelTerms::new(*params, chain);
            let known = self.book.payees.contains_key(&terms.id);
            let is_ours = params.payee == self.ring.account();
            if is_ours && !known && self.book.payees.len() < MAX_PAYEE_CHANNELS {
                let channel = PayeeChannel::watch(terms, self.config.rules);
                batch.take_payee(Step::to(channel).saved());
            }
            let place = self.ring.place_of(&params.payer);
            let known = self.book.payers.contains_key(&terms.id);
            let Some(index) = place.filter(|_| !known) else {
                continue;
            };
            self.ring.reach(index)?;
            let units = self.config.tranche_units;
            batch.take_payer(Step::to(PayerChannel::found(terms, index, units)).saved());
            if self.book.born.is_some_and(|it| *block > it) {
                self.is_shared(terms.id);
            }
        }
        Ok(())
    }

    /// Another machine uses this wallet: no promise is safe, for neither knows the other's.
    pub(super) fn is_shared(&mut self, channel: ChannelId) {
        if self.stranger.is_none() {
            tracing::error!(%channel, "another machine pays with this wallet");
            self.stranger = Some(channel);
            self.tell(PaymentEvent::WalletShared(channel));
        }
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

    /// Claims what is worth it or in danger; takes back what the close window left.
    fn settle(&mut self, now: warren_proto::UnixTime) {
        let chain_time = self.clock.head.map_or(now, |it| it.timestamp);
        let mut batch = Batch::default();
        for channel in self.book.payees.values() {
            if channel.is_claiming() || self.is_resting(&channel.terms().id) {
                continue;
            }
            let view = ClaimView {
                phase: channel.phase(),
                claimable: channel.claimable(now),
                words: channel.claim_words(),
                gas_price: self.gas_price,
            };
            match self.config.settle.decide(&view, chain_time) {
                Settle::Wait => {}
                Settle::Worth | Settle::Forced => {
                    let id = channel.terms().id;
                    let _known = batch.earn(&self.book, id, &PayeeEvent::ClaimAsked, now);
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
        match self.take(batch) {
            Ok(outcome) => self.run_submissions(outcome, Waiter::Nobody),
            Err(error) => tracing::error!(%error, "cannot settle"),
        }
    }

    /// No voucher is taken on an old view of the chain: its deposit may be gone.
    fn judge_freshness(&mut self, behind: bool) {
        let silent = self.clock.heard_at.elapsed() > self.config.max_silence;
        let old = match (self.clock.head, self.config.max_head_age) {
            (Some(head), Some(most)) => super::wall_clock().since(head.timestamp) > most,
            (Some(_), None) => false,
            (None, _) => true,
        };
        let stale = behind || silent || old;
        if stale == self.clock.stale {
            return;
        }
        self.clock.stale = stale;
        self.tell(PaymentEvent::ChainStale(stale));
        let (now, mut batch) = (self.now(), Batch::default());
        for id in self.book.payees.keys() {
            let _known = batch.earn(&self.book, *id, &PayeeEvent::Stale(stale), now);
        }
        if let Err(error) = self.take(batch) {
            tracing::error!(%error, "cannot mark channels");
        }
    }
}

async fn look(
    chain: &dyn Chain,
    cursor: Option<Cursor>,
    confirmations: u64,
    first: Option<u64>,
) -> Result<News, ChainError> {
    let head = chain.head().await?;
    let mut from = first.unwrap_or(head.number.saturating_sub(FIRST_LOOK));
    let mut rewound = false;
    if let Some(cursor) = cursor {
        from = cursor.number.saturating_add(1);
        if chain
            .block(cursor.number)
            .await?
            .is_none_or(|it| it.hash != cursor.hash)
        {
            from = from.saturating_sub(REWIND);
            rewound = true;
        }
    }
    let to = head.number.min(from.saturating_add(MAX_BLOCKS - 1));
    let events = if from <= to {
        chain.events(from, to).await?
    } else {
        Vec::new()
    };
    let deep = head.number.saturating_add(1).checked_sub(confirmations);
    let safe = match deep.map(|it| it.min(to)) {
        Some(number) if number >= from || rewound => chain.block(number).await?,
        Some(_) | None => None,
    };
    let fees = chain.fees().await?;
    let gas_price = fees.base_fee.checked_add(fees.tip).unwrap_or(Amount::MAX);
    // If the newest block changed meanwhile, the events may be of another history.
    let same = chain
        .block(head.number)
        .await?
        .is_some_and(|it| it.hash == head.hash);
    let behind = to < head.number;
    if same {
        Ok(News {
            head,
            safe,
            events,
            gas_price,
            behind,
            rewound,
        })
    } else {
        let message = "the newest block changed under the question".to_owned();
        Err(ChainError::Busy { code: 0, message })
    }
}
