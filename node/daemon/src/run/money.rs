//! What the node shows of its money: balances, channels, ledger, all from the one ledger.

use std::collections::BTreeMap;

use warren_payments::channel::Phase;
use warren_payments::ledger::{Account, Entry};
use warren_payments::{ChannelView as Held, Role};
use warren_proto::{Amount, UnixTime};

use super::Node;
use crate::api::types::{
    ChannelList, ChannelRole, ChannelState, ChannelView, Earnings, Ledger, LedgerEntry, LedgerKind,
    LedgerQuery, Money, Timestamp, WalletView,
};
use crate::config::Token;
use crate::error::{ErrorCode, Problem};
use crate::perform::{Purse, problem};

/// The native coin of an EVM has 18 decimals.
pub(super) fn coin() -> Token {
    Token {
        symbol: "coin".to_owned(),
        decimals: 18,
    }
}

fn plus(a: Amount, b: Amount) -> Amount {
    a.checked_add(b).unwrap_or(Amount::MAX)
}

impl Node {
    pub(super) fn purse(&self) -> Result<&Purse, Problem> {
        self.purse.as_ref().ok_or_else(|| {
            let known = self
                .warnings
                .iter()
                .find(|it| it.is(ErrorCode::WalletMissing))
                .cloned();
            known.unwrap_or_else(|| {
                Problem::new(ErrorCode::ConfigMissing, "chain.rpc_url is not set")
                    .with_next("warren config explain chain.rpc_url")
            })
        })
    }

    pub(super) fn money(&self, amount: Amount) -> Money {
        Money::of(amount, &self.config.token)
    }

    pub(super) async fn wallet_view(&self) -> Result<WalletView, Problem> {
        let payments = self.purse()?.payments();
        let funds = payments.balances().await.map_err(|it| problem(&it))?;
        let chain = payments.chain_ref();
        let in_channels = self.held().await?;
        let left = |it: &Held| it.deposit.saturating_sub(it.value);
        let in_channels = in_channels
            .iter()
            .filter(|it| it.role == Role::Payer && it.phase != Phase::Closed)
            .fold(Amount::ZERO, |sum, it| plus(sum, left(it)));
        Ok(WalletView {
            address: payments.account(),
            chain_id: chain.chain_id,
            token: chain.token,
            tokens: self.money(funds.wallet),
            coins: Money::of(funds.coin, &coin()),
            in_contract: self.money(funds.pot),
            in_channels: self.money(in_channels),
            claimable: self.money(funds.claimable),
        })
    }

    pub(super) async fn held(&self) -> Result<Vec<Held>, Problem> {
        self.purse()?
            .payments()
            .channels()
            .await
            .map_err(|it| problem(&it))
    }

    pub(super) async fn channel_list(&self) -> Result<ChannelList, Problem> {
        let held = self.held().await?;
        Ok(ChannelList {
            channels: held.iter().map(|it| self.channel_view(it)).collect(),
        })
    }

    fn channel_view(&self, it: &Held) -> ChannelView {
        let (state, closes_at) = match it.phase {
            Phase::Opening => (ChannelState::Opening, None),
            Phase::Open => (ChannelState::Open, None),
            Phase::Closing { closes_at } => (
                ChannelState::Closing,
                Some(Timestamp(UnixTime::from_secs(closes_at))),
            ),
            Phase::Closed => (ChannelState::Closed, None),
        };
        ChannelView {
            id: it.id,
            role: match it.role {
                Role::Payer => ChannelRole::Payer,
                Role::Payee => ChannelRole::Payee,
            },
            state,
            payer: it.params.payer,
            payee: it.params.payee,
            peer: None,
            deposit: self.money(it.deposit),
            paid: self.money(it.value),
            claimed: self.money(it.claimed),
            left: self.money(it.deposit.saturating_sub(it.value)),
            close_window_secs: it.params.period_secs,
            closes_at,
        }
    }

    pub(super) async fn earnings(&self) -> Result<Earnings, Problem> {
        let held = self.held().await?;
        let payee: Vec<_> = held.iter().filter(|it| it.role == Role::Payee).collect();
        let sum =
            |of: fn(&Held) -> Amount| payee.iter().fold(Amount::ZERO, |all, it| plus(all, of(it)));
        let served = self.provider.view().await?.served;
        Ok(Earnings {
            earned: self.money(sum(|it| it.value)),
            claimed: self.money(sum(|it| it.claimed)),
            claimable: self.money(sum(|it| {
                it.value.min(it.deposit).saturating_sub(it.claimed)
            })),
            claim_fee: None,
            sessions: served,
            channels: payee.into_iter().map(|it| self.channel_view(it)).collect(),
        })
    }

    pub(super) async fn ledger_view(&self, query: &LedgerQuery) -> Result<Ledger, Problem> {
        let entries = self
            .purse()?
            .payments()
            .ledger()
            .await
            .map_err(|it| problem(&it))?;
        let since = query.since.map_or(UnixTime::default(), |it| it.0);
        let limit = query.limit.map_or(usize::MAX, |it| it as usize);
        let mut sums = BTreeMap::<Account, Amount>::new();
        for entry in &entries {
            let sum = sums.entry(entry.posting.to).or_default();
            *sum = plus(*sum, entry.posting.amount);
        }
        let of = |account| sums.get(&account).copied().unwrap_or_default();
        let shown = entries.iter().rev().filter(|it| it.at >= since).take(limit);
        let mut shown: Vec<_> = shown.map(|it| self.ledger_entry(it)).collect();
        shown.reverse();
        Ok(Ledger {
            entries: shown,
            paid: self.money(self.paid_in_all().await?),
            earned: self.money(of(Account::Claimable)),
        })
    }

    /// What this node's vouchers and words are worth to others: the payers' books.
    async fn paid_in_all(&self) -> Result<Amount, Problem> {
        let held = self.held().await?;
        let mine = held.iter().filter(|it| it.role == Role::Payer);
        Ok(mine.fold(Amount::ZERO, |sum, it| plus(sum, it.value)))
    }

    fn ledger_entry(&self, entry: &Entry) -> LedgerEntry {
        let posting = &entry.posting;
        let kind = match posting.to {
            Account::Deposited => LedgerKind::Deposit,
            Account::Spent => LedgerKind::Paid,
            Account::Claimable => LedgerKind::Earned,
            Account::Pot if posting.from == Account::Claimable => LedgerKind::Claimed,
            Account::Pot if posting.from == Account::Deposited => LedgerKind::Reclaimed,
            Account::Pot => LedgerKind::Deposit,
            Account::Gas => LedgerKind::Fee,
            Account::Wallet | Account::Customers | Account::Coin => LedgerKind::Withdrawn,
        };
        let amount = match posting.to {
            Account::Gas => Money::of(posting.amount, &coin()),
            Account::Deposited
            | Account::Spent
            | Account::Claimable
            | Account::Pot
            | Account::Wallet
            | Account::Customers
            | Account::Coin => self.money(posting.amount),
        };
        LedgerEntry {
            at: Timestamp(entry.at),
            kind,
            amount,
            channel: posting.channel,
            session: None,
            peer: None,
            transaction: posting.tx,
        }
    }
}
