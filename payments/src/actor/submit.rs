//! Transactions: sent in tasks of their own, for a slow chain must not stop words.

use std::sync::Arc;
use std::time::{Duration, Instant};

use warren_proto::{Amount, ChannelId, ChannelParams};

use super::book::Batch;
use super::command::reply;
use super::perform::Outcome;
use super::{Acted, AfterNews, Report, Task, Waiter};
use crate::calls::Call;
use crate::chain::{Chain, ChainError};
use crate::channel::{ChainAction, PayeeEvent, PayerEvent};
use crate::handle::{PaymentEvent, PaymentsError, Role};
use crate::ledger::Posting;

use crate::tx::{Done, Submitter, TxError};

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
            if let Some(params) = params {
                self.submit(Some(channel), role, call_of(action, params), waiter);
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
        &self,
        channel: Option<ChannelId>,
        role: Role,
        call: Call,
        waiter: Waiter,
    ) {
        let (chain, submitter) = (Arc::clone(&self.chain), self.submitter.clone());
        let reports = self.reports.clone();
        tokio::spawn(async move {
            let result = with_tokens(chain.as_ref(), &submitter, call).await;
            let gas = match &result {
                Ok(done) => match chain.receipt(done.tx).await {
                    Ok(Some(it)) => it
                        .gas_price
                        .checked_mul(it.gas_used)
                        .unwrap_or(Amount::ZERO),
                    Ok(None) | Err(_) => Amount::ZERO,
                },
                Err(_) => Amount::ZERO,
            };
            let acted = Acted {
                channel,
                role,
                result,
                gas,
                waiter,
            };
            let _task_ended = reports.send(Report::Acted(acted)).await;
        });
    }

    pub(super) fn acted(&mut self, acted: Acted) {
        let Acted {
            channel,
            role,
            result,
            gas,
            waiter,
        } = acted;
        match result {
            Ok(done) => {
                if let Some(channel) = channel {
                    self.retries.remove(&channel);
                }
                if gas > Amount::ZERO {
                    let mut batch = Batch::default();
                    batch.post(Posting::gas(gas).by(done.tx));
                    if let Err(error) = self.take(batch) {
                        tracing::warn!(%error, tx = %done.tx, "gas is not in the ledger");
                    }
                }
                // What it changed comes as news; whoever waits shall find it there.
                self.after_next_news.push(AfterNews::Tx(waiter, done.tx));
                self.look();
            }
            Err(error) => self.failed(channel, role, &error, waiter),
        }
    }

    fn failed(&mut self, channel: Option<ChannelId>, role: Role, error: &TxError, waiter: Waiter) {
        let id = channel.unwrap_or(ChannelId::from_bytes([0; 32]));
        let reason = error.to_string();
        tracing::info!(channel = %id, %reason, "transaction did not happen");
        if let Some(channel) = channel {
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
            self.answer_usable(channel, &|| {
                Err(PaymentsError::Transaction {
                    channel,
                    reason: reason.clone(),
                })
            });
            self.tell(PaymentEvent::ActionFailed {
                channel,
                reason: reason.clone(),
            });
        }
        let failure = PaymentsError::Transaction {
            channel: id,
            reason,
        };
        match waiter {
            Waiter::Nobody => {}
            Waiter::Tx(answer) => reply(answer, Err(failure)),
            Waiter::Claim(answer) => reply(answer, Err(failure)),
        }
    }
}

fn call_of(action: ChainAction, params: ChannelParams) -> Call {
    match action {
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
    }
}

/// Submits `call`; if it takes tokens, from the pot, which the wallet fills up first if it must.
async fn with_tokens(
    chain: &dyn Chain,
    submitter: &Submitter,
    call: Call,
) -> Result<Done, TxError> {
    let name = call.name();
    let refused = |source: ChainError| TxError::Refused { call: name, source };
    let (Call::Open { amount, .. } | Call::TopUp { amount, .. }) = call else {
        return submitter.submit(call).await;
    };
    // No money goes to a contract that is not ours.
    chain.verify_contract().await.map_err(refused)?;
    let account = submitter.account();
    let pot = chain.balance(account).await.map_err(refused)?;
    let wallet = chain.token_balance(account).await.map_err(refused)?;
    let missing = amount.saturating_sub(pot);
    if missing == Amount::ZERO {
        return submitter.submit(from_pot(call)).await;
    }
    let direct = wallet >= amount;
    let needed = if direct { amount } else { missing };
    if chain.allowance(account).await.map_err(refused)? < needed {
        submitter.submit(Call::Approve { amount: needed }).await?;
    }
    if direct {
        return submitter.submit(call).await;
    }
    submitter.submit(Call::Deposit { amount: missing }).await?;
    submitter.submit(from_pot(call)).await
}

fn from_pot(call: Call) -> Call {
    match call {
        Call::Open { params, amount } => Call::OpenFromBalance { params, amount },
        Call::TopUp { params, amount } => Call::TopUpFromBalance { params, amount },
        other @ (Call::Approve { .. }
        | Call::Deposit { .. }
        | Call::Withdraw { .. }
        | Call::OpenFromBalance { .. }
        | Call::TopUpFromBalance { .. }
        | Call::Claim(_)
        | Call::ClaimMany(_)
        | Call::CoopClose { .. }
        | Call::CloseByPayee { .. }
        | Call::StartClose { .. }
        | Call::FinishClose { .. }
        | Call::Mint { .. }
        | Call::Transfer { .. }
        | Call::SendNative { .. }) => other,
    }
}
