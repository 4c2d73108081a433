//! A tower at work: one task that keeps, watches the chain, and claims.
//!
//! ```text
//! TowerService ──Ask───▶ ┐
//! chain (watch) ─Seen──▶ ├─▶ Tower ─▶ changes ─▶ ChannelStore ─▶ answers, claims
//! claims ────────Report▶ ┘
//! ```
//!
//! Invariant: a put is acknowledged, and a claim begun, only after its change is on disk; the cursor
//! moves with what its blocks changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;
use warren_proto::{Amount, NodeId, TowerAnswer, TowerPut, TowerVerdict};

use super::appointment::{Appointment, Key};
use super::errand::{Outcome, claim};
use super::event::{Change, Job, TowerEvent, TowerRules, TowerStep};
use super::keeper::Tower;
use super::watch::{Cursor, Outlook, Seen, Unseen, look};
use crate::chain::Chain;
use crate::handle::{Payments, PaymentsError};
use crate::store::{ChannelStore, Table};
use clock::Clock;

mod clock;
mod news;

/// Puts and questions that wait; whoever puts one more waits too.
const INBOX: usize = 64;
/// Claims begun and looks at the chain that wait to be heard.
const REPORTS: usize = 64;

/// How a node is a tower.
#[derive(Debug, Clone, Copy)]
pub struct TowerConfig {
    /// What it takes.
    pub rules: TowerRules,
    /// A claim that brings its payee less is not made: the gas is this node's.
    pub min_gain: Amount,
    /// How often the chain is asked.
    pub poll: Duration,
    /// Without a new block for so long, closings that any endpoint tells of are heard too.
    pub max_silence: Duration,
    /// So are they while the newest block is older than this; `None` on a chain that mines on demand.
    pub max_head_age: Option<Duration>,
}

/// What a tower shows of itself.
#[derive(Debug, Clone, Default)]
pub struct TowerView {
    /// What is kept, by owner and locator.
    pub puts: Vec<(Key, Appointment)>,
    /// Claims made since the start.
    pub claims: u64,
    /// What they brought their payees.
    pub saved: Amount,
    /// Puts refused since the start.
    pub refused: u64,
    /// The newest block seen; `None` before the first look.
    pub block: Option<u64>,
}

/// The same in numbers, at any moment and without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TowerNumbers {
    /// Puts kept.
    pub puts: usize,
    /// Claims made since the start.
    pub claims: u64,
    /// Puts refused since the start.
    pub refused: u64,
}

enum Ask {
    Put {
        owner: NodeId,
        put: Box<TowerPut>,
        answer: oneshot::Sender<TowerAnswer>,
    },
    View(oneshot::Sender<Box<TowerView>>),
    Look(oneshot::Sender<()>),
}

enum Report {
    Looked(Result<Seen, Unseen>),
    Claimed { job: Box<Job>, outcome: Outcome },
}

/// A handle to a tower; cheap to clone. The task ends with the last one.
#[derive(Debug, Clone)]
pub struct TowerService {
    inbox: mpsc::Sender<Ask>,
    numbers: watch::Receiver<TowerNumbers>,
}

impl TowerService {
    /// Reads what is kept, then starts the task. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`PaymentsError`] if a record cannot be read.
    pub fn start(
        chain: Arc<dyn Chain>,
        store: Arc<dyn ChannelStore>,
        payments: Payments,
        config: TowerConfig,
    ) -> Result<Self, PaymentsError> {
        let mut tower = Tower::new(chain.chain_ref(), config.rules);
        for (key, value) in store.scan(Table::Tower)? {
            Change::read(&key, &value)
                .map_err(|source| PaymentsError::Record {
                    table: "pay.tower",
                    source,
                })?
                .into_iter()
                .for_each(|change| tower.apply(change));
        }
        let cursor = Cursor::load(store.as_ref())?;
        let (inbox, asked) = mpsc::channel(INBOX);
        let (reports, heard) = mpsc::channel(REPORTS);
        let (numbers, told) = watch::channel(TowerNumbers::default());
        let task = Task {
            chain,
            store,
            payments,
            config,
            tower,
            cursor,
            clock: Clock::new(),
            view: TowerView::default(),
            numbers,
            reports,
            looking: false,
            over_this: Vec::new(),
            over_next: Vec::new(),
            after_this: Vec::new(),
            after_next: Vec::new(),
        };
        tokio::spawn(task.run(asked, heard));
        let numbers = told;
        Ok(Self { inbox, numbers })
    }

    /// Keeps a put of `owner`; on disk when this answers that it is kept.
    pub async fn put(&self, owner: NodeId, put: TowerPut) -> TowerAnswer {
        let locator = put.locator;
        let (answer, told) = oneshot::channel();
        let put = Box::new(put);
        let asked = Ask::Put { owner, put, answer };
        let sent = self.inbox.send(asked).await;
        let gone = TowerAnswer {
            locator,
            verdict: TowerVerdict::Internal,
            number: 0,
        };
        match sent {
            Ok(()) => told.await.unwrap_or(gone),
            Err(_) => gone,
        }
    }

    /// What it keeps and did.
    ///
    /// # Errors
    /// [`PaymentsError::Stopped`].
    pub async fn view(&self) -> Result<Box<TowerView>, PaymentsError> {
        let (answer, told) = oneshot::channel();
        let sent = self.inbox.send(Ask::View(answer)).await;
        sent.map_err(|_| PaymentsError::Stopped)?;
        told.await.map_err(|_| PaymentsError::Stopped)
    }

    /// How much it keeps and did.
    #[must_use]
    pub fn numbers(&self) -> TowerNumbers {
        *self.numbers.borrow()
    }

    /// Looks at the chain now instead of at the next poll, and answers when that is done.
    ///
    /// # Errors
    /// [`PaymentsError::Stopped`].
    pub async fn refresh(&self) -> Result<(), PaymentsError> {
        let (answer, told) = oneshot::channel();
        let sent = self.inbox.send(Ask::Look(answer)).await;
        sent.map_err(|_| PaymentsError::Stopped)?;
        told.await.map_err(|_| PaymentsError::Stopped)
    }
}

struct Task {
    chain: Arc<dyn Chain>,
    store: Arc<dyn ChannelStore>,
    payments: Payments,
    config: TowerConfig,
    tower: Tower,
    cursor: Option<Cursor>,
    clock: Clock,
    view: TowerView,
    numbers: watch::Sender<TowerNumbers>,
    reports: mpsc::Sender<Report>,
    looking: bool,
    /// Claims that are over, until a look that began after them: the chain's time when they ended.
    over_this: Vec<(Box<Job>, Outcome)>,
    over_next: Vec<(Box<Job>, Outcome)>,
    after_this: Vec<oneshot::Sender<()>>,
    after_next: Vec<oneshot::Sender<()>>,
}

impl Task {
    async fn run(mut self, mut asked: mpsc::Receiver<Ask>, mut heard: mpsc::Receiver<Report>) {
        let mut poll = tokio::time::interval(self.config.poll);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                ask = asked.recv() => match ask {
                    Some(ask) => self.obey(ask),
                    None => break,
                },
                Some(report) = heard.recv() => self.hear(report),
                _ = poll.tick() => self.look(),
            }
            let numbers = TowerNumbers {
                puts: self.tower.count(),
                claims: self.view.claims,
                refused: self.view.refused,
            };
            self.numbers.send_replace(numbers);
        }
    }

    fn obey(&mut self, ask: Ask) {
        match ask {
            Ask::Put { owner, put, answer } => {
                let locator = put.locator;
                let step = self
                    .tower
                    .handle(TowerEvent::Put { owner, put }, self.clock.now());
                let told = step.answer;
                let saved = self.take(step, None);
                let internal = TowerAnswer {
                    locator,
                    verdict: TowerVerdict::Internal,
                    number: 0,
                };
                let told = told.filter(|_| saved).unwrap_or(internal);
                if told.verdict != TowerVerdict::Kept {
                    self.view.refused = self.view.refused.saturating_add(1);
                }
                // Whoever no longer waits will put again.
                let _ = answer.send(told);
            }
            Ask::View(answer) => {
                let puts = self.tower.puts().map(|(key, it)| (*key, it.clone()));
                let view = TowerView {
                    puts: puts.collect(),
                    ..self.view.clone()
                };
                let _ = answer.send(Box::new(view));
            }
            Ask::Look(answer) => {
                self.after_next.push(answer);
                self.look();
            }
        }
    }

    fn look(&mut self) {
        if std::mem::replace(&mut self.looking, true) {
            return;
        }
        self.after_this.append(&mut self.after_next);
        self.over_this.append(&mut self.over_next);
        let (chain, reports) = (Arc::clone(&self.chain), self.reports.clone());
        let (silence, age) = (self.config.max_silence, self.config.max_head_age);
        let outlook = Outlook {
            cursor: self.cursor,
            is_old: self.clock.is_old(silence, age),
        };
        tokio::spawn(async move {
            let seen = look(chain.as_ref(), outlook).await;
            let _task_ended = reports.send(Report::Looked(seen)).await;
        });
    }

    /// Saves, applies, begins. Says whether it is saved; if not, nothing has happened.
    fn take(&mut self, step: TowerStep, cursor: Option<Cursor>) -> bool {
        let mut batch: Vec<_> = step.changes.iter().map(Change::put).collect();
        let cursor = cursor.filter(|it| self.cursor.is_none_or(|old| it.is_worth_saving(old)));
        batch.extend(cursor.map(Cursor::put));
        if !batch.is_empty()
            && let Err(error) = self.store.put(batch)
        {
            tracing::error!(%error, "the tower cannot write");
            for job in step.jobs {
                let failed = TowerEvent::Failed { key: job.key };
                let step = self.tower.handle(failed, self.clock.now());
                step.changes.into_iter().for_each(|it| self.tower.apply(it));
            }
            return false;
        }
        self.cursor = cursor.or(self.cursor);
        step.changes.into_iter().for_each(|it| self.tower.apply(it));
        for job in step.jobs {
            self.begin(job);
        }
        true
    }

    fn begin(&self, job: Job) {
        let (chain, payments) = (Arc::clone(&self.chain), self.payments.clone());
        let (reports, min_gain) = (self.reports.clone(), self.config.min_gain);
        tokio::spawn(async move {
            let outcome = claim(chain.as_ref(), &payments, &job, min_gain).await;
            let job = Box::new(job);
            let _task_ended = reports.send(Report::Claimed { job, outcome }).await;
        });
    }
}
