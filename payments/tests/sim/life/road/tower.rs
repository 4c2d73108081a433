//! The tower: keeps what the exit leaves with it, watches the chain, and claims when nobody else did.
//!
//! As `tower/service.rs`: saved, applied, then answered and begun.

use warren_payments::calls::Call;
use warren_payments::channel::ChainFact;
use warren_payments::store::{ChannelStore as _, Table};
use warren_payments::tower::{Change, Closing, Job, Key, Tower, TowerEvent, TowerRules, TowerStep};
use warren_proto::{ChannelId, TowerPut, UnixTime};

use super::super::chain::Chain;
use super::super::host::{Act, Breach, Cursor, Host, cursor_put};
use super::super::names::{Who, secs};
use super::consumer::EXIT;
use super::mail::Note;
use super::paper;
use super::perform::Env;

/// A cursor is written when it has moved so far; hearing blocks again is harmless.
const STRIDE: u64 = 32;

pub(crate) struct Keep {
    pub(crate) host: Host,
    core: Tower,
    jobs: Vec<Job>,
    pub(crate) slow: u8,
}

fn empty() -> Tower {
    Tower::new(paper::up().chain, TowerRules::default())
}

impl Keep {
    pub(crate) fn new(breach: Option<Breach>) -> Self {
        Self {
            host: Host::new(Who::Tower, breach),
            core: empty(),
            jobs: Vec::new(),
            slow: 0,
        }
    }

    fn now(chain: &Chain) -> UnixTime {
        secs(chain.newest().time)
    }

    fn take(&mut self, step: TowerStep, cursor: Option<Cursor>, env: &mut Env<'_>) -> Act<()> {
        let mut puts: Vec<_> = step.changes.iter().map(Change::put).collect();
        let saved = self.host.cursor.map_or(0, |it| it.0);
        let moved = cursor.filter(|it| it.0 >= saved + STRIDE);
        puts.extend(moved.map(cursor_put));
        if !puts.is_empty() {
            self.host.write(puts)?;
        }
        self.host.cursor = moved.or(self.host.cursor);
        step.changes.into_iter().for_each(|it| self.core.apply(it));
        for job in step.jobs {
            self.begin(job, env)?;
        }
        Ok(())
    }

    fn handle(&mut self, event: TowerEvent, env: &mut Env<'_>) -> Act<()> {
        let step = self.core.handle(event, Self::now(env.chain));
        self.take(step, None, env)
    }

    pub(crate) fn hear(&mut self, channel: ChannelId, put: TowerPut, env: &mut Env<'_>) -> Act<()> {
        let key = Key {
            owner: EXIT,
            locator: put.locator,
        };
        if self.host.breach == Some(Breach::TakesOlder) {
            let gone = TowerStep {
                changes: vec![Change::Put(key, None)],
                ..TowerStep::default()
            };
            self.take(gone, None, env)?;
        }
        let event = TowerEvent::Put {
            owner: EXIT,
            put: Box::new(put),
        };
        let step = self.core.handle(event, Self::now(env.chain));
        let answer = step.answer;
        self.take(step, None, env)?;
        let Some(answer) = answer else {
            return Ok(());
        };
        let wires = &mut *env.wires;
        self.host.pass(|_| {
            let note = Note::Answer(answer);
            wires.send(Who::Payee, super::mail::Mail { channel, note });
        })
    }

    /// Asks the chain what a claim would bring, and makes it if that is something.
    fn begin(&mut self, job: Job, env: &mut Env<'_>) -> Act<()> {
        let (key, number) = (job.key, job.number);
        let Some(at) = self.host.sight(env.chain) else {
            return self.handle(TowerEvent::Failed { key }, env);
        };
        let state = &env.chain.blocks[at].state;
        let book = state.books.get(&job.channel).copied().unwrap_or_default();
        let worth = job.value.wei().min(book.deposit);
        if book.closed || worth <= book.claimed {
            return self.handle(TowerEvent::Idle { key, number }, env);
        }
        self.host
            .submit(Call::Claim(job.claim.clone()), env.chain)?;
        self.jobs.push(job);
        self.finish(env)
    }

    /// What became of claims under way.
    fn finish(&mut self, env: &mut Env<'_>) -> Act<()> {
        let failed = std::mem::take(&mut self.host.failed);
        for job in std::mem::take(&mut self.jobs) {
            let call = Call::Claim(job.claim.clone());
            let (key, number) = (job.key, job.number);
            if failed.contains(&call) {
                self.handle(TowerEvent::Failed { key }, env)?;
            } else if self.host.is_waiting(&call, env.chain) {
                self.jobs.push(job);
            } else {
                self.handle(TowerEvent::Settled { key, number }, env)?;
            }
        }
        Ok(())
    }

    pub(crate) fn look(&mut self, env: &mut Env<'_>) -> Act<()> {
        if self.slow > 0 {
            return Ok(());
        }
        self.host.watch(env.chain)?;
        self.finish(env)?;
        let Some(news) = self.host.news(env.chain) else {
            return Ok(());
        };
        for (channel, fact) in &news.facts {
            let channel = *channel;
            match *fact {
                ChainFact::Closing { closes_at } => {
                    let closing = Closing { channel, closes_at };
                    self.handle(TowerEvent::Closing(closing), env)?;
                }
                ChainFact::Closed => self.handle(TowerEvent::Closed(channel), env)?,
                ChainFact::Deposit(_) | ChainFact::Claimed(_) | ChainFact::NotClosing => {}
            }
        }
        let step = self.core.handle(TowerEvent::Tick, Self::now(env.chain));
        self.take(step, Some(news.cursor), env)
    }

    /// Starts again from what is on disk.
    pub(crate) fn restart(&mut self, env: &mut Env<'_>) -> Act<()> {
        self.host.restart(env.chain)?;
        (self.core, self.jobs, self.slow) = (empty(), Vec::new(), 0);
        for (key, value) in self.host.disk.scan(Table::Tower).unwrap() {
            let change = Change::read(&key, &value).unwrap();
            self.core.apply(change.unwrap());
        }
        Ok(())
    }
}
