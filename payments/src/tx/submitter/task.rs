//! The task of one account: it picks an event, saves the step, then signs and sends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ethers_core::utils::keccak256;
use tokio::sync::mpsc;
use tokio::time::Instant;
use warren_proto::{Step, TxHash, UnixTime};

use super::{Order, SubmitterConfig, Waiter};
use crate::calls::many::claims_in;
use crate::chain::error::Remedy;
use crate::chain::{CallRequest, Chain, ChainError, Head, Outcome};
use crate::store::{ChannelStore, StoreError};
use crate::tx::event::{Job, JobId, Report, Seen, SendFailure, TxEffect, TxEvent};
use crate::tx::manager::TxManager;
use crate::tx::{Done, SignedTx, TxError, UnsignedTx, bill, gas_limit};
use crate::wall_clock;
use crate::wallet::WalletKey;

/// Polls without an answer after which a call that was not sent yet is given up.
const MAX_TRIES: u32 = 30;

pub(super) struct Task {
    pub(super) chain: Arc<dyn Chain>,
    pub(super) store: Arc<dyn ChannelStore>,
    pub(super) key: WalletKey,
    pub(super) config: SubmitterConfig,
    pub(super) manager: TxManager,
    pub(super) waiters: BTreeMap<JobId, Vec<Waiter>>,
    pub(super) told: Option<mpsc::Sender<Done>>,
    /// How often the call in preparation could not be simulated.
    pub(super) tries: u32,
    /// What some node has taken, or may have: no refusal of it is the last word.
    pub(super) taken: BTreeSet<TxHash>,
    /// Why a node refused for good what was sent last.
    pub(super) refusal: Option<ChainError>,
    /// The newest block, and when it was first heard of.
    pub(super) newest: Option<(u64, Instant)>,
}

impl Task {
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut poll = tokio::time::interval(self.config.poll);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let resumed = self.manager.resume();
        if !self.take_step(resumed).await {
            return;
        }
        loop {
            let event = tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => Some(self.asked(order)),
                    None => break,
                },
                _ = poll.tick() => self.look().await,
            };
            if let Some(event) = event {
                let step = self.manager.handle(&event);
                if !self.take_step(step).await {
                    break; // The store failed: nothing may be sent any more.
                }
            }
        }
    }

    fn asked(&mut self, order: Order) -> TxEvent {
        let chain = self.chain.chain_ref();
        let (to, data) = (order.call.to(&chain), order.call.data(&chain));
        let mut name = to.as_bytes().to_vec();
        name.extend(&data);
        if !order.once {
            // Unlike any asked for before, in this run or an earlier one.
            name.extend(rand::random::<[u8; 16]>());
        }
        let id = JobId(keccak256(name));
        self.waiters
            .entry(id)
            .or_default()
            .push((order.call.name(), order.answer));
        TxEvent::Asked(Job {
            id,
            to,
            value: order.call.value(),
            data,
            stake: order.stake,
        })
    }

    /// Asks the chain about everything on its way; `None` if there is nothing or no answer.
    async fn look(&mut self) -> Option<TxEvent> {
        if self.tries > 0
            && let Some(job) = self.manager.preparing.clone()
        {
            return self.prepare(job).await;
        }
        if self.manager.is_idle() {
            return None;
        }
        match self.try_look().await {
            // One endpoint that stands still hides the blocks of all the others.
            Ok(TxEvent::HeadSeen { time, seen, .. })
                if self.stood() > self.config.max_silence && self.manager.knows(&seen) =>
            {
                // The count of transactions is agreed on, only old: what others say of it may count ours.
                self.look_blindly(time, Vec::new()).await
            }
            Ok(event) => Some(event),
            Err(error) => {
                tracing::debug!(account = %self.key.address(), %error, "cannot look at the chain");
                if !error.is_unagreed() {
                    return None;
                }
                let nonces = self.chain.nonces_heard(self.key.address()).await;
                self.look_blindly(wall_clock(), nonces.unwrap_or_default())
                    .await
            }
        }
    }

    async fn look_blindly(&self, time: UnixTime, nonces: Vec<u64>) -> Option<TxEvent> {
        let fees = self.chain.fees_heard().await.ok()?;
        Some(TxEvent::Blind { time, fees, nonces })
    }

    /// How long the newest block has been that.
    fn stood(&self) -> Duration {
        self.newest.map_or(Duration::ZERO, |(_, at)| at.elapsed())
    }

    /// The chain's time as of `head`; if that stands still, with the time that has passed.
    fn time_at(&mut self, head: &Head) -> UnixTime {
        if self.newest.is_none_or(|(it, _)| it != head.number) {
            self.newest = Some((head.number, Instant::now()));
        }
        let stood = self.stood();
        if stood > self.config.max_silence {
            head.timestamp.plus(stood)
        } else {
            head.timestamp
        }
    }

    async fn try_look(&mut self) -> Result<TxEvent, ChainError> {
        let head = self.chain.head().await?;
        let (number, time) = (head.number, self.time_at(&head));
        let mut seen = Vec::new();
        for tx in self.manager.watched() {
            seen.extend(self.chain.receipt(tx).await?.as_ref().map(Seen::from));
        }
        let nonce = match self.chain.nonce(self.key.address()).await {
            // A receipt that they agree on says enough.
            Err(error) if error.is_unagreed() => self.manager.nonce_after(&seen).ok_or(error)?,
            nonce => nonce?,
        };
        let fees = self.chain.fees_heard().await?;
        Ok(TxEvent::HeadSeen {
            number,
            time,
            nonce,
            fees,
            seen,
        })
    }

    /// What is not saved has not happened. `false` if it could not be saved.
    async fn take_step(&mut self, step: Step<TxManager, TxEffect>) -> bool {
        if step.save
            && let Err(error) = self.save(&step)
        {
            tracing::error!(account = %self.key.address(), %error, "cannot save");
            return false;
        }
        self.manager = step.next;
        for effect in step.effects {
            let Some(event) = self.perform(effect).await else {
                continue;
            };
            let step = self.manager.handle(&event);
            if !Box::pin(self.take_step(step)).await {
                return false;
            }
        }
        true
    }

    fn save(&self, step: &Step<TxManager, TxEffect>) -> Result<(), StoreError> {
        let mut puts = self.manager.puts(&step.next, self.key.address());
        if self.told.is_some() {
            puts.extend(bill::puts(&step.effects));
        }
        self.store.put(puts)
    }

    async fn perform(&mut self, effect: TxEffect) -> Option<TxEvent> {
        match effect {
            TxEffect::Prepare(job) => self.prepare(job).await,
            TxEffect::Sign(unsigned) => Some(self.sign(unsigned)),
            TxEffect::Broadcast(signed) => self.broadcast(signed).await,
            TxEffect::Report(id, report) => {
                self.report(id, report).await;
                None
            }
        }
    }

    /// `None` while the chain cannot be asked: the next poll tries again, so many times.
    async fn prepare(&mut self, job: Job) -> Option<TxEvent> {
        let id = job.id;
        match self.try_prepare(job).await {
            Ok(prepared) => {
                self.tries = 0;
                Some(prepared)
            }
            Err(error) if error.remedy() == Remedy::Retry && self.tries < MAX_TRIES => {
                self.tries = self.tries.saturating_add(1);
                None
            }
            Err(source) => {
                self.tries = 0;
                self.answer(id, |call| {
                    Err(TxError::Refused {
                        call,
                        source: source.clone(),
                    })
                });
                Some(TxEvent::Refused { id })
            }
        }
    }

    async fn try_prepare(&mut self, job: Job) -> Result<TxEvent, ChainError> {
        let (from, id, at_stake) = (self.key.address(), job.id, job.stake.is_some());
        for data in claims_in(&job.data).unwrap_or_default() {
            let (to, value) = (job.to, job.value);
            let alone = CallRequest {
                from,
                to,
                value,
                data,
            };
            // Of many claims none may be refused, and none may be for nothing.
            if let Err(error @ ChainError::Reverted(_)) = self.chain.estimate(alone).await {
                return Err(error);
            }
        }
        let request = CallRequest {
            from,
            to: job.to,
            value: job.value,
            data: job.data,
        };
        let gas = self.chain.estimate(request).await?;
        let fees = if at_stake {
            self.chain.fees_heard().await?
        } else {
            self.chain.fees().await?
        };
        let nonce = match self.chain.nonce(from).await {
            // A claim does not wait until the endpoints agree: it could be too late then.
            Err(error) if at_stake && error.is_unagreed() => self.chain.nonce_heard(from).await?,
            nonce => nonce?,
        };
        let time = if at_stake {
            let head = self.chain.head().await;
            Some(head.map_or_else(|_| wall_clock(), |it| self.time_at(&it)))
        } else {
            None
        };
        Ok(TxEvent::Prepared {
            id,
            gas_limit: gas_limit(gas),
            fees,
            nonce,
            time,
        })
    }

    fn sign(&self, unsigned: UnsignedTx) -> TxEvent {
        let signed = unsigned.seal(&self.key.sign_tx_hash(&unsigned.signing_hash()));
        TxEvent::Signed { unsigned, signed }
    }

    async fn broadcast(&mut self, signed: SignedTx) -> Option<TxEvent> {
        let Err(error) = self.chain.submit_raw(signed.raw).await else {
            let watched: BTreeSet<TxHash> = self.manager.watched().collect();
            self.taken.insert(signed.hash);
            self.taken.retain(|it| watched.contains(it));
            return None;
        };
        tracing::debug!(tx = %signed.hash, %error, "not taken");
        let why = match (&error, error.remedy()) {
            (ChainError::NonceTooLow, _) => SendFailure::NonceTooLow,
            (ChainError::Underpriced, _) => SendFailure::Underpriced,
            (_, Remedy::Retry | Remedy::Distrust) => SendFailure::Retry,
            (_, Remedy::Final) if self.taken.contains(&signed.hash) => SendFailure::Retry,
            (_, Remedy::Final) => SendFailure::Final,
        };
        self.refusal = (why == SendFailure::Final).then_some(error);
        Some(TxEvent::SendFailed {
            tx: signed.hash,
            why,
        })
    }

    async fn report(&mut self, id: JobId, report: Report) {
        if let (Report::Confirmed(seen), Some(told)) = (report, &self.told) {
            // Whoever keeps the books of gas; if nobody does any more, the bill is found at the next start.
            let _task_ended = told.send(Done::from(&seen)).await;
        }
        let refusal = self.refusal.clone();
        self.answer(id, |call| match report {
            Report::Confirmed(seen) => match seen.outcome {
                Outcome::Done => Ok(Done::from(&seen)),
                Outcome::Reverted => Err(TxError::Undone {
                    call,
                    block: seen.block,
                }),
            },
            Report::Rejected => Err(TxError::Refused {
                call,
                source: refusal.clone().unwrap_or(ChainError::NoGasMoney),
            }),
            Report::Unsure => Err(TxError::Unsure { call }),
            Report::TooDear { floor, cap } => Err(TxError::TooDear { call, floor, cap }),
            Report::QueueFull => Err(TxError::QueueFull { call }),
        });
    }

    fn answer(&mut self, id: JobId, result: impl Fn(&'static str) -> Result<Done, TxError>) {
        for (call, waiter) in self.waiters.remove(&id).unwrap_or_default() {
            let _nobody_waits = waiter.send(result(call));
        }
    }
}
