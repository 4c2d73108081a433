//! Questions that change nothing.

use std::sync::Arc;

use warren_proto::{Amount, ChannelId, PayErrorCode, PayoutAddress};

use super::Task;
use super::obey::{reply, view_payee, view_payer};
use super::submit::failure;
use crate::calls::Call;
use crate::chain::ChainError;
use crate::channel::Phase;
use crate::handle::{Answer, ChannelView, Funds, GasCost, PaymentsError, Pot};
use crate::ledger::Entry;
use crate::store::Table;
use crate::tx::gas_limit;

/// Strangers may announce channels that never come: so many are waited for, beside this node's own.
const MAX_WAITING: usize = 1024;

impl Task {
    pub(super) fn channels(&self) -> Vec<ChannelView> {
        let now = self.now();
        let payers = self.book.payers.values().map(view_payer);
        payers
            .chain(self.book.payees.values().map(|it| view_payee(it, now)))
            .collect()
    }

    pub(super) fn entries(&self) -> Result<Vec<Entry>, PaymentsError> {
        let read = |(_, value): (Vec<u8>, Vec<u8>)| {
            Entry::decode(&value).map_err(|source| PaymentsError::Record {
                table: "pay.entry",
                source,
            })
        };
        self.store
            .scan(Table::Entry)?
            .into_iter()
            .map(read)
            .collect()
    }

    pub(super) fn claimable(&self) -> Amount {
        let now = self.now();
        sum(self.book.payees.values().map(|it| it.claimable(now)))
    }

    /// Endpoints that are a moment apart may disagree once.
    pub(super) fn trusted(&self) -> Result<(), PaymentsError> {
        match &self.clock.disagreed {
            Some((times, error)) if *times > 1 => Err(error.clone()),
            Some(_) | None => Ok(()),
        }
    }

    /// The chain is asked in a task of its own: a slow node must not stop words.
    pub(super) fn ask_balances(&self, answer: Answer<Funds>) {
        let (chain, account) = (Arc::clone(&self.chain), self.ring.account());
        let open = |it: &&crate::channel::PayerChannel| it.phase() != Phase::Closed;
        let payers = self.book.payers.values().filter(open);
        let spendable = sum(payers.map(crate::channel::PayerChannel::spendable));
        let claimable = self.claimable();
        tokio::spawn(async move {
            let funds = async {
                let coin = chain.native_balance(account).await?;
                let wallet = chain.token_balance(account).await?;
                let pot = chain.balance(account).await?;
                let beneficiary = chain.beneficiary(account).await?;
                Ok(Funds {
                    coin,
                    wallet,
                    pot,
                    beneficiary,
                    spendable,
                    claimable,
                })
            };
            let funds: Result<Funds, ChainError> = funds.await;
            reply(answer, funds.map_err(|it| PaymentsError::from(&it)));
        });
    }

    /// Simulates a call beside the task.
    pub(super) fn ask_cost(&self, call: Call, answer: Answer<GasCost>) {
        let (chain, account) = (Arc::clone(&self.chain), self.ring.account());
        let cap = self.config.fee_cap;
        tokio::spawn(async move {
            let cost = async {
                let request = call.request(&chain.chain_ref(), account);
                let gas = chain.estimate(request).await?;
                let fees = chain.fees().await?;
                let price = fees.base_fee.checked_add(fees.tip).unwrap_or(Amount::MAX);
                let times = |price: Amount, gas| price.checked_mul(gas).unwrap_or(Amount::MAX);
                Ok(GasCost {
                    about: times(price, gas),
                    at_most: times(cap, gas_limit(gas)),
                })
            };
            let cost: Result<GasCost, ChainError> = cost.await;
            reply(answer, cost.map_err(|it| failure(call.name(), it)));
        });
    }

    pub(super) fn ask_pot(&self, owner: PayoutAddress, answer: Answer<Pot>) {
        let chain = Arc::clone(&self.chain);
        tokio::spawn(async move {
            let pot = async {
                Ok(Pot {
                    amount: chain.balance(owner).await?,
                    beneficiary: chain.beneficiary(owner).await?,
                })
            };
            let pot: Result<Pot, ChainError> = pot.await;
            reply(answer, pot.map_err(|it| PaymentsError::from(&it)));
        });
    }

    /// A payee may wait for a channel that the chain has not told of yet; whoever waits too long
    /// gives up by dropping the answer.
    pub(super) fn wait_usable(&mut self, channel: ChannelId, answer: Answer<()>) {
        let payer = self
            .book
            .payers
            .get(&channel)
            .map(|it| (it.phase(), it.is_acting()));
        let payee = self.book.payees.get(&channel).map(|it| (it.phase(), true));
        self.waiting_usable
            .retain(|(_, answer)| !answer.is_closed());
        match payer.or(payee) {
            Some((Phase::Open, _)) => reply(answer, Ok(())),
            Some((Phase::Opening, true)) | None => {
                if payer.is_some() || self.waiting_usable.len() < MAX_WAITING {
                    self.waiting_usable.push((channel, answer));
                } else {
                    let code = PayErrorCode::Busy;
                    reply(answer, Err(PaymentsError::NotTaken { channel, code }));
                }
            }
            Some((Phase::Opening, false)) => {
                let reason = "it was not opened".to_owned();
                reply(answer, Err(PaymentsError::Transaction { reason }));
            }
            Some((Phase::Closing { .. } | Phase::Closed, _)) => {
                let code = PayErrorCode::Closing;
                reply(answer, Err(PaymentsError::NotTaken { channel, code }));
            }
        }
    }
}

fn sum(amounts: impl Iterator<Item = Amount>) -> Amount {
    amounts.fold(Amount::ZERO, |sum, it| {
        sum.checked_add(it).unwrap_or(Amount::MAX)
    })
}
