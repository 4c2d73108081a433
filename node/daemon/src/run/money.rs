//! What the node shows of its money: balances, channels, ledger, all from the one ledger.

use warren_payments::channel::Phase;
use warren_payments::ledger::{Account, Books, Entry};
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
use crate::route::Kind;

/// The native coin of an EVM has 18 decimals.
pub(super) fn coin() -> Token {
    Token {
        symbol: "coin".to_owned(),
        decimals: 18,
    }
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
        let books = self.books().await?.total();
        Ok(WalletView {
            address: payments.account(),
            chain_id: chain.chain_id,
            token: chain.token,
            tokens: self.money(funds.wallet),
            coins: Money::of(funds.coin, &coin()),
            in_contract: self.money(funds.pot),
            in_channels: self.money(books.left()),
            claimable: self.money(books.claimable()),
            beneficiary: funds.beneficiary,
        })
    }

    pub(super) async fn held(&self) -> Result<Vec<Held>, Problem> {
        self.purse()?
            .payments()
            .channels()
            .await
            .map_err(|it| problem(&it))
    }

    /// The ledger in sum: what every balance of channels is read from.
    pub(super) async fn books(&self) -> Result<Books, Problem> {
        let payments = self.purse()?.payments();
        payments.books().await.map_err(|it| problem(&it))
    }

    pub(super) async fn channel_list(&self) -> Result<ChannelList, Problem> {
        let (held, books) = (self.held().await?, self.books().await?);
        let channels = held.iter().map(|it| self.channel_view(it, &books));
        Ok(ChannelList {
            channels: channels.collect(),
        })
    }

    /// Deposit and claim as the chain says them, the rest as the ledger does.
    fn channel_view(&self, it: &Held, books: &Books) -> ChannelView {
        let book = books.channel(&it.id);
        let neighbour = self.routes.neighbour(it.id);
        let (paid, left) = match it.role {
            Role::Payer => (book.paid, book.left()),
            Role::Payee => (book.earned, it.deposit.saturating_sub(book.earned)),
        };
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
            peer: neighbour.map(|it| it.node),
            router: neighbour
                .filter(|it| it.kind == Kind::Router)
                .map(|it| it.node),
            deposit: self.money(it.deposit),
            paid: self.money(paid),
            claimed: self.money(it.claimed),
            left: self.money(left),
            close_window_secs: it.params.period_secs,
            closes_at,
        }
    }

    pub(super) async fn earnings(&self) -> Result<Earnings, Problem> {
        let (held, books) = (self.held().await?, self.books().await?);
        let payee = held.iter().filter(|it| it.role == Role::Payee);
        let served = self.provider.view().await?.served;
        let sum = books.total();
        let outlook = self.purse()?.payments().claim_outlook().await;
        let outlook = outlook.map_err(|it| problem(&it))?;
        Ok(Earnings {
            earned: self.money(sum.earned),
            claimed: self.money(sum.claimed),
            claimable: self.money(sum.claimable()),
            passed_on: self.money(self.passed_on(&held, &books)),
            claim_fee: outlook.fee.map(|it| Money::of(it, &coin())),
            claims: outlook.claims,
            claims_due: outlook.due,
            claim_transactions: outlook.transactions,
            sessions: served,
            channels: payee.map(|it| self.channel_view(it, &books)).collect(),
        })
    }

    pub(super) async fn ledger_view(&self, query: &LedgerQuery) -> Result<Ledger, Problem> {
        let entries = self
            .purse()?
            .payments()
            .ledger()
            .await
            .map_err(|it| problem(&it))?;
        let sum = self.books().await?.total();
        let shown = query.pick(&entries, |it| (it.number, it.at));
        Ok(Ledger {
            entries: shown.into_iter().map(|it| self.ledger_entry(it)).collect(),
            paid: self.money(sum.paid),
            earned: self.money(sum.earned),
        })
    }

    fn ledger_entry(&self, entry: &Entry) -> LedgerEntry {
        let posting = &entry.posting;
        let kind = match posting.to {
            Account::Deposited if posting.from == Account::Spent => LedgerKind::Forgone,
            Account::Deposited => LedgerKind::Deposit,
            Account::Spent => LedgerKind::Paid,
            Account::Claimable => LedgerKind::Earned,
            Account::Pot if posting.from == Account::Claimable => LedgerKind::Claimed,
            Account::Pot if posting.from == Account::Deposited => LedgerKind::Reclaimed,
            Account::Pot => LedgerKind::Deposit,
            Account::Gas => LedgerKind::Fee,
            Account::Customers => LedgerKind::Lost,
            Account::Wallet | Account::Coin => LedgerKind::Withdrawn,
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
            number: entry.number,
            kind,
            from: posting.from.name().to_owned(),
            to: posting.to.name().to_owned(),
            amount,
            channel: posting.channel,
            session: None,
            peer: None,
            transaction: posting.tx,
        }
    }
}
