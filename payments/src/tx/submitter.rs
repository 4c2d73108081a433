//! Signs, saves and sends one account's calls: the shell around [`TxManager`].
//!
//! One task per account; handles to it are cheap to clone.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ethers_core::utils::keccak256;
use tokio::sync::{mpsc, oneshot};
use warren_proto::{PayoutAddress, Step};

use super::event::{Job, JobId, Report, Seen, SendFailure, TxEffect, TxEvent};
use super::flight::Flight;
use super::manager::{TxManager, TxRules};
use super::outcome::StartError;
use super::{SignedTx, UnsignedTx, record};
use crate::calls::Call;
use crate::chain::error::Remedy;
use crate::chain::{CallRequest, Chain, ChainError, Fees, Outcome};
use crate::store::{ChannelStore, Put, StoreError, Table};
use crate::wallet::WalletKey;

pub use super::outcome::{Done, TxError};

/// Calls that may wait for the task at once.
const INBOX: usize = 64;
/// Gas allowed beyond the estimate, in percent: state may change before the call's turn.
const GAS_MARGIN_PERCENT: u64 = 25;
/// Polls without an answer after which a call that was not sent yet is given up.
const MAX_TRIES: u32 = 30;

/// How an account's transactions are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubmitterConfig {
    /// When to be content and when to pay more.
    pub rules: TxRules,
    /// How often the chain is asked for a new block.
    pub poll: Duration,
}

/// A handle to one account's task. The task ends with the last handle.
#[derive(Clone)]
pub struct Submitter {
    account: PayoutAddress,
    inbox: mpsc::Sender<Order>,
}

struct Order {
    call: Call,
    /// The same call again is the same job.
    once: bool,
    answer: oneshot::Sender<Result<Done, TxError>>,
}

type Waiter = (&'static str, oneshot::Sender<Result<Done, TxError>>);

impl Submitter {
    /// Starts the task and resumes what was on its way before a restart.
    ///
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] if what was on its way cannot be read.
    pub fn start(
        chain: Arc<dyn Chain>,
        store: Arc<dyn ChannelStore>,
        key: WalletKey,
        config: SubmitterConfig,
    ) -> Result<Self, StartError> {
        Self::start_telling(chain, store, key, config, None)
    }

    /// The same; `told` hears of every transaction that is confirmed, whether it took effect or not.
    ///
    /// # Errors
    /// [`StartError`] if what was on its way cannot be read.
    pub fn start_telling(
        chain: Arc<dyn Chain>,
        store: Arc<dyn ChannelStore>,
        key: WalletKey,
        config: SubmitterConfig,
        told: Option<mpsc::Sender<Done>>,
    ) -> Result<Self, StartError> {
        let account = key.address();
        let mut manager = TxManager::new(config.rules);
        for (key, value) in store.scan(Table::Tx)? {
            if let Some(nonce) = record::nonce_of(account, &key) {
                manager.flights.insert(nonce, record::decode(&value)?);
            }
        }
        let (inbox, orders) = mpsc::channel(INBOX);
        let waiters = BTreeMap::new();
        let task = Task {
            chain,
            store,
            key,
            config,
            manager,
            waiters,
            told,
            tries: 0,
        };
        tokio::spawn(task.run(orders));
        Ok(Self { account, inbox })
    }

    /// The account that pays.
    #[must_use]
    pub const fn account(&self) -> PayoutAddress {
        self.account
    }

    /// Makes a call and waits until it is confirmed.
    ///
    /// A call that can only work once (open, claim, close) is merged with the same call already
    /// on its way. Dropping the future does not take the call back.
    ///
    /// # Errors
    /// [`TxError`]; after [`TxError::Stopped`] the call may still happen.
    pub async fn submit(&self, call: Call) -> Result<Done, TxError> {
        let once = call.works_once();
        self.order(call, once).await
    }

    /// The same, merged with the very same call already on its way: for one that funds a key that
    /// is funded once.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn submit_once(&self, call: Call) -> Result<Done, TxError> {
        self.order(call, true).await
    }

    async fn order(&self, call: Call, once: bool) -> Result<Done, TxError> {
        let name = call.name();
        let (answer, result) = oneshot::channel();
        let order = Order { call, once, answer };
        self.inbox
            .send(order)
            .await
            .map_err(|_| TxError::Stopped { call: name })?;
        result.await.unwrap_or(Err(TxError::Stopped { call: name }))
    }
}

impl fmt::Debug for Submitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Submitter({})", self.account)
    }
}

struct Task {
    chain: Arc<dyn Chain>,
    store: Arc<dyn ChannelStore>,
    key: WalletKey,
    config: SubmitterConfig,
    manager: TxManager,
    waiters: BTreeMap<JobId, Vec<Waiter>>,
    told: Option<mpsc::Sender<Done>>,
    /// How often the call in preparation could not be simulated.
    tries: u32,
}

impl Task {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
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
            Ok(event) => Some(event),
            Err(error) => {
                tracing::debug!(account = %self.key.address(), %error, "cannot look at the chain");
                None
            }
        }
    }

    async fn try_look(&self) -> Result<TxEvent, ChainError> {
        let number = self.chain.head().await?.number;
        let nonce = self.chain.nonce(self.key.address()).await?;
        let mut seen = Vec::new();
        for tx in self.manager.watched() {
            seen.extend(self.chain.receipt(tx).await?.as_ref().map(Seen::from));
        }
        let fees = self.chain.fees().await?;
        Ok(TxEvent::HeadSeen {
            number,
            nonce,
            fees,
            seen,
        })
    }

    /// What is not saved has not happened. `false` if it could not be saved.
    async fn take_step(&mut self, step: Step<TxManager, TxEffect>) -> bool {
        if step.save
            && let Err(error) = self.save(&step.next)
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

    fn save(&self, next: &TxManager) -> Result<(), StoreError> {
        let account = self.key.address();
        let gone = self
            .manager
            .flights
            .keys()
            .filter(|it| !next.flights.contains_key(it));
        let gone = gone.map(|nonce| Put {
            table: Table::Tx,
            key: record::key(account, *nonce),
            value: None,
        });
        let signed = next
            .flights
            .iter()
            .filter(|(_, it): &(_, &Flight)| !it.versions.is_empty());
        let kept = signed.map(|(nonce, flight)| {
            Put::new(
                Table::Tx,
                record::key(account, *nonce),
                record::encode(flight),
            )
        });
        self.store.put(gone.chain(kept).collect())
    }

    async fn perform(&mut self, effect: TxEffect) -> Option<TxEvent> {
        match effect {
            TxEffect::Prepare(job) => self.prepare(job).await,
            TxEffect::Sign(unsigned) => Some(self.sign(unsigned)),
            TxEffect::Broadcast(signed) => self.broadcast(signed).await,
            TxEffect::Report(id, report) => {
                self.report(id, report);
                None
            }
        }
    }

    /// `None` while the chain cannot be asked: the next poll tries again, so many times.
    async fn prepare(&mut self, job: Job) -> Option<TxEvent> {
        let id = job.id;
        match self.try_prepare(job).await {
            Ok((gas, fees, nonce)) => {
                self.tries = 0;
                let gas_limit = gas.saturating_add(gas / 100 * GAS_MARGIN_PERCENT);
                Some(TxEvent::Prepared {
                    id,
                    gas_limit,
                    fees,
                    nonce,
                })
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

    async fn try_prepare(&self, job: Job) -> Result<(u64, Fees, u64), ChainError> {
        let from = self.key.address();
        let gas = self
            .chain
            .estimate(CallRequest {
                from,
                to: job.to,
                value: job.value,
                data: job.data,
            })
            .await?;
        Ok((gas, self.chain.fees().await?, self.chain.nonce(from).await?))
    }

    fn sign(&self, unsigned: UnsignedTx) -> TxEvent {
        let signed = unsigned.seal(&self.key.sign_tx_hash(&unsigned.signing_hash()));
        TxEvent::Signed { unsigned, signed }
    }

    async fn broadcast(&self, signed: SignedTx) -> Option<TxEvent> {
        let error = self.chain.submit_raw(signed.raw).await.err()?;
        tracing::debug!(tx = %signed.hash, %error, "not taken");
        let why = match (&error, error.remedy()) {
            (ChainError::NonceTooLow, _) => SendFailure::NonceTooLow,
            (ChainError::Underpriced, _) => SendFailure::Underpriced,
            (_, Remedy::Retry | Remedy::Distrust) => SendFailure::Retry,
            (_, Remedy::Final) => SendFailure::Final,
        };
        Some(TxEvent::SendFailed {
            tx: signed.hash,
            why,
        })
    }

    fn report(&mut self, id: JobId, report: Report) {
        if let (Report::Confirmed(seen), Some(told)) = (report, &self.told) {
            // Whoever keeps the books of gas; a full queue costs an entry, never money.
            let _full = told.try_send(Done::from(&seen));
        }
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
                source: ChainError::NoGasMoney,
            }),
            Report::QueueFull => Err(TxError::QueueFull { call }),
        });
    }

    fn answer(&mut self, id: JobId, result: impl Fn(&'static str) -> Result<Done, TxError>) {
        for (call, waiter) in self.waiters.remove(&id).unwrap_or_default() {
            let _nobody_waits = waiter.send(result(call));
        }
    }
}
