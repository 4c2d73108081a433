//! Transactions: sent in tasks of their own, for a slow chain must not stop words.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use warren_proto::{Amount, ChannelId, ChannelParams};

use super::book::Batch;
use super::fund::{self, Hands};
use super::keys::ACCOUNT;
use super::obey::reply;
use super::perform::Outcome;
use super::{Acted, AfterNews, Report, Task, Waiter};
use crate::calls::Call;
use crate::chain::{ChainError, Revert};
use crate::channel::{ChainAction, PayeeEvent, PayerChannel, PayerEvent};
use crate::handle::{PaymentEvent, PaymentsError, Role};

use crate::tx::{Done, Stake, StartError, TxError};

// Our choices: what failed by itself is tried again by itself, but not with every look.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MOST: Duration = Duration::from_secs(60);

impl Task {
    /// Sends what a step asked for; `waiter` hears of the first transaction.
    pub(super) fn run_submissions(&mut self, outcome: Outcome, waiter: Waiter) {
        let mut waiter = Some(waiter);
        for (channel, role, action) in outcome.submissions {
            let waiter = waiter.take().unwrap_or(Waiter::Nobody);
            let params = match role {
                Role::Payer => self.book.payers.get(&channel).map(|it| it.terms().params),
                Role::Payee => self.book.payees.get(&channel).map(|it| it.terms().params),
            };
            if action == ChainAction::Sweep {
                self.sweep(channel);
                continue;
            }
            if let Some(params) = params
                && let Some(call) = call_of(action, params)
            {
                self.submit(Some(channel), role, call, waiter);
            }
        }
    }

    /// Whether a transaction of `channel` failed so lately that it is left alone.
    pub(super) fn is_resting(&self, channel: &ChannelId) -> bool {
        self.retries
            .get(channel)
            .is_some_and(|(until, _)| Instant::now() < *until)
    }

    /// Sends a call in a task of its own; its report comes back as [`Acted`].
    pub(super) fn submit(
        &mut self,
        channel: Option<ChannelId>,
        role: Role,
        call: Call,
        waiter: Waiter,
    ) {
        let is_claim = matches!(call, Call::Claim(_));
        let stake = channel.filter(|_| is_claim).and_then(|it| self.stake(it));
        self.submit_at(channel, role, (call, stake), waiter);
    }

    /// The same; with a stake, it is lost if it comes too late, and does no harm if it is made twice.
    pub(super) fn submit_at(
        &mut self,
        channel: Option<ChannelId>,
        role: Role,
        (call, stake): (Call, Option<Stake>),
        waiter: Waiter,
    ) {
        let index = channel
            .filter(|_| role == Role::Payer)
            .and_then(|it| self.book.payers.get(&it))
            .map_or(ACCOUNT, PayerChannel::key_index);
        let hands = self.hands(index);
        let (chain, reports) = (Arc::clone(&self.chain), self.reports.clone());
        tokio::spawn(async move {
            let result = match (hands, stake) {
                // A claim takes no tokens, and the account that is paid has its gas.
                (Ok(hands), Some(stake)) => {
                    let done = hands.account.submit_at_stake(call, stake).await;
                    done.map(Some)
                }
                (Ok(hands), None) => fund::submit(chain.as_ref(), &hands, call).await,
                (Err(_), _) => Err(TxError::Stopped { call: call.name() }),
            };
            let acted = Acted {
                channel,
                role,
                result,
                waiter,
            };
            let _task_ended = reports.send(Report::Acted(acted)).await;
        });
    }

    fn hands(&mut self, index: u32) -> Result<Hands, StartError> {
        Ok(Hands {
            account: self.senders.of(ACCOUNT, &self.ring)?,
            key: self.senders.of(index, &self.ring)?,
            poll: self.config.poll,
        })
    }

    /// Brings home what the key of a closed channel holds; once at a time for each.
    fn sweep(&mut self, channel: ChannelId) {
        let index = self.book.payers.get(&channel).map(PayerChannel::key_index);
        let Some(index) = index.filter(|_| self.sweeping.insert(channel)) else {
            return;
        };
        let hands = self.hands(index);
        let (chain, reports) = (Arc::clone(&self.chain), self.reports.clone());
        tokio::spawn(async move {
            let result = match hands {
                Ok(hands) => fund::sweep(chain.as_ref(), &hands).await,
                Err(_) => Err(TxError::Stopped { call: "sweep" }),
            };
            let _task_ended = reports.send(Report::Swept { channel, result }).await;
        });
    }

    pub(super) fn swept(&mut self, channel: ChannelId, result: Result<(), TxError>) {
        self.sweeping.remove(&channel);
        match result {
            Ok(()) => {
                self.retries.remove(&channel);
                let index = self.book.payers.get(&channel).map(PayerChannel::key_index);
                if let Err(error) = self.pay(channel, &PayerEvent::Swept) {
                    tracing::warn!(%channel, %error, "the end is not on record");
                }
                self.senders.end(index.unwrap_or(ACCOUNT));
            }
            Err(error) => self.failed(Some(channel), Role::Payer, &error, Waiter::Nobody),
        }
    }

    /// Writes down what a transaction cost.
    pub(super) fn mined(&mut self, done: &Done) {
        if done.cost == Amount::ZERO {
            return;
        }
        let mut batch = Batch::default();
        batch.pay_bill(done);
        if let Err(error) = self.take(batch) {
            tracing::warn!(%error, tx = %done.tx, "gas is not in the ledger");
        }
    }

    pub(super) fn acted(&mut self, acted: Acted) {
        let Acted {
            channel,
            role,
            result,
            waiter,
        } = acted;
        match result {
            Ok(done) => {
                if let Some(channel) = channel {
                    self.retries.remove(&channel);
                }
                // What it changed comes as news; whoever waits shall find it there.
                let after = done.map(|it| AfterNews::Tx(waiter, it.tx));
                self.after_next_news.extend(after);
                self.look();
            }
            Err(error) => self.failed(channel, role, &error, waiter),
        }
    }

    fn failed(&mut self, channel: Option<ChannelId>, role: Role, error: &TxError, waiter: Waiter) {
        let reason = error.to_string();
        tracing::info!(?channel, %reason, "transaction did not happen");
        let failed = match error {
            TxError::Refused { call, source } => failure(call, source.clone()),
            TxError::TooDear { .. } => PaymentsError::GasTooDear {
                reason: reason.clone(),
            },
            TxError::Undone { .. } => PaymentsError::Undone {
                reason: reason.clone(),
            },
            TxError::Unsure { .. }
            | TxError::NoCompany { .. }
            | TxError::QueueFull { .. }
            | TxError::Stopped { .. } => PaymentsError::Transaction {
                reason: reason.clone(),
            },
        };
        if let Some(channel) = channel {
            self.note_undone(channel, error);
            let (_, fails) = self
                .retries
                .get(&channel)
                .copied()
                .unwrap_or((Instant::now(), 0));
            let delay = RETRY_FIRST
                .saturating_mul(1 << fails.min(8))
                .min(RETRY_MOST);
            self.retries
                .insert(channel, (Instant::now() + delay, fails.saturating_add(1)));
            let noted = match role {
                Role::Payer => self.pay(channel, &PayerEvent::ActionFailed),
                Role::Payee => self.earn(channel, &PayeeEvent::ClaimFailed),
            };
            if let Err(error) = noted {
                tracing::warn!(%channel, %error, "failure is not on record");
            }
            self.answer_usable(channel, &|| Err(failed.clone()));
            self.tell(PaymentEvent::ActionFailed {
                channel,
                reason: reason.clone(),
            });
        }
        match waiter {
            Waiter::Nobody => {}
            Waiter::Tx(answer) => reply(answer, Err(failed)),
            Waiter::Claim(answer) => reply(answer, Err(failed)),
        }
    }
}

/// Says apart what more money would mend, and what the chain's own trouble is.
pub(super) fn failure(call: &'static str, source: ChainError) -> PaymentsError {
    let reason = format!("{call}: {source}");
    match source {
        ChainError::NoGasMoney
        | ChainError::Reverted(
            Revert::Insufficient { .. }
            | Revert::TokenBalance { .. }
            | Revert::TokenAllowance { .. },
        ) => PaymentsError::Unfunded { reason },
        ChainError::Unreachable { .. }
        | ChainError::TimedOut { .. }
        | ChainError::Busy { .. }
        | ChainError::NoQuorum { .. }
        | ChainError::Disputed { .. } => {
            let trouble = (&source).into();
            PaymentsError::Chain { reason, trouble }
        }
        ChainError::Nonsense { .. }
        | ChainError::Mismatch { .. }
        | ChainError::Reverted(_)
        | ChainError::NonceTooLow
        | ChainError::Underpriced
        | ChainError::Refused { .. }
        | ChainError::BadUrl { .. } => PaymentsError::Transaction { reason },
    }
}

/// `None` for what is more than one call.
fn call_of(action: ChainAction, params: ChannelParams) -> Option<Call> {
    Some(match action {
        ChainAction::Open { amount } => Call::Open { params, amount },
        ChainAction::TopUp { amount } => Call::TopUp { params, amount },
        ChainAction::CoopClose(it) => Call::CoopClose {
            params,
            final_amount: it.final_amount,
            not_after: it.not_after,
            signature: it.signature,
        },
        ChainAction::StartClose => Call::StartClose { params },
        ChainAction::FinishClose => Call::FinishClose { params },
        ChainAction::Claim(claim) => Call::Claim(claim),
        ChainAction::CloseByPayee => Call::CloseByPayee { params },
        ChainAction::Sweep => return None,
    })
}
