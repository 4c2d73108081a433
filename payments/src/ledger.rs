//! The ledger: every movement of money, each from one account to another.
//!
//! Sans-IO. A balance is never stored: it is what the postings say. The channels' records are the
//! truth for the protocol; the ledger is the truth for people, and the two are written in one batch.

mod books;

use std::collections::BTreeMap;

use warren_proto::{Amount, ChannelId, TxHash, UnixTime};

use crate::codec::{CodecError, Reader, Writer};
pub use books::{Books, ChannelBooks};

const VERSION: u8 = 1;

/// Where money can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// Tokens of this node's account on the chain.
    Wallet,
    /// This node's balance inside the contract.
    Pot,
    /// Deposits of this node's own channels, not yet promised.
    Deposited,
    /// What this node has paid others for good.
    Spent,
    /// What others have paid this node, in all (a source: it only ever gives).
    Customers,
    /// Earned, but not yet claimed on the chain.
    Claimable,
    /// Native coin of this node's account (another currency than all of the above).
    Coin,
    /// Burnt for transactions, in native coin.
    Gas,
}

impl Account {
    /// Every account.
    pub const ALL: [Self; 8] = [
        Self::Wallet,
        Self::Pot,
        Self::Deposited,
        Self::Spent,
        Self::Customers,
        Self::Claimable,
        Self::Coin,
        Self::Gas,
    ];

    const fn code(self) -> u8 {
        match self {
            Self::Wallet => 0,
            Self::Pot => 1,
            Self::Deposited => 2,
            Self::Spent => 3,
            Self::Customers => 4,
            Self::Claimable => 5,
            Self::Coin => 6,
            Self::Gas => 7,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.code() == code)
    }

    /// A short name, for tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wallet => "wallet",
            Self::Pot => "pot",
            Self::Deposited => "deposited",
            Self::Spent => "spent",
            Self::Customers => "customers",
            Self::Claimable => "claimable",
            Self::Coin => "coin",
            Self::Gas => "gas",
        }
    }
}

/// One movement, before it has a number and a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting {
    /// Out of here.
    pub from: Account,
    /// Into here.
    pub to: Account,
    /// How much.
    pub amount: Amount,
    /// For which channel; `None` for deposits to and withdrawals from the pot.
    pub channel: Option<ChannelId>,
    /// By which transaction; `None` off chain.
    pub tx: Option<TxHash>,
}

impl Posting {
    const fn new(from: Account, to: Account, amount: Amount, channel: Option<ChannelId>) -> Self {
        Self {
            from,
            to,
            amount,
            channel,
            tx: None,
        }
    }

    /// The payer locked tokens in a channel.
    #[must_use]
    pub const fn deposited(channel: ChannelId, amount: Amount) -> Self {
        Self::new(Account::Wallet, Account::Deposited, amount, Some(channel))
    }

    /// The payer promised for good.
    #[must_use]
    pub const fn paid(channel: ChannelId, amount: Amount) -> Self {
        Self::new(Account::Deposited, Account::Spent, amount, Some(channel))
    }

    /// The payee left unclaimed what it was promised.
    #[must_use]
    pub const fn forgone(channel: ChannelId, amount: Amount) -> Self {
        Self::new(Account::Spent, Account::Deposited, amount, Some(channel))
    }

    /// The payer got the rest of a closed channel.
    #[must_use]
    pub const fn returned(channel: ChannelId, amount: Amount) -> Self {
        Self::new(Account::Deposited, Account::Pot, amount, Some(channel))
    }

    /// The payee holds a promise for so much more.
    #[must_use]
    pub const fn earned(channel: ChannelId, amount: Amount) -> Self {
        Self::new(
            Account::Customers,
            Account::Claimable,
            amount,
            Some(channel),
        )
    }

    /// The payee's channel ended before this was claimed: nobody owes it any more.
    #[must_use]
    pub const fn lost(channel: ChannelId, amount: Amount) -> Self {
        Self::new(
            Account::Claimable,
            Account::Customers,
            amount,
            Some(channel),
        )
    }

    /// The payee's claim is confirmed.
    #[must_use]
    pub const fn claimed(channel: ChannelId, amount: Amount) -> Self {
        Self::new(Account::Claimable, Account::Pot, amount, Some(channel))
    }

    /// Tokens left the contract.
    #[must_use]
    pub const fn withdrawn(amount: Amount) -> Self {
        Self::new(Account::Pot, Account::Wallet, amount, None)
    }

    /// Tokens went into the contract.
    #[must_use]
    pub const fn stored(amount: Amount) -> Self {
        Self::new(Account::Wallet, Account::Pot, amount, None)
    }

    /// A transaction cost so much native coin.
    #[must_use]
    pub const fn gas(amount: Amount) -> Self {
        Self::new(Account::Coin, Account::Gas, amount, None)
    }

    /// What takes it back: the chain's history was rewritten without it.
    #[must_use]
    pub const fn undone(self) -> Self {
        Self {
            from: self.to,
            to: self.from,
            ..self
        }
    }

    /// The same, done by `tx`.
    #[must_use]
    pub const fn by(mut self, tx: TxHash) -> Self {
        self.tx = Some(tx);
        self
    }
}

/// A posting as written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its number, without gaps.
    pub number: u64,
    /// When it was written.
    pub at: UnixTime,
    /// What moved.
    pub posting: Posting,
}

impl Entry {
    /// The record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let it = &self.posting;
        let mut out = Writer::new(VERSION);
        out.u64(self.number).u64(self.at.as_millis());
        out.u8(it.from.code()).u8(it.to.code()).amount(it.amount);
        out.option(it.channel.as_ref(), |out, it| {
            out.bytes(it.as_bytes());
        });
        out.option(it.tx.as_ref(), |out, it| {
            out.bytes(it.as_bytes());
        });
        out.finish()
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`CodecError`] for bytes that [`Self::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut read = Reader::new(bytes, VERSION)?;
        let number = read.u64()?;
        let at = UnixTime::from_millis(read.u64()?);
        let from = read_account(&mut read)?;
        let to = read_account(&mut read)?;
        let amount = read.amount()?;
        let channel = read.option("channel", Reader::channel)?;
        let tx = read.option("tx", |read| Ok(TxHash::from_bytes(read.array()?)))?;
        read.finish()?;
        Ok(Self {
            number,
            at,
            posting: Posting {
                from,
                to,
                amount,
                channel,
                tx,
            },
        })
    }
}

fn read_account(read: &mut Reader<'_>) -> Result<Account, CodecError> {
    Account::from_code(read.u8()?).ok_or(CodecError::Range { field: "account" })
}

/// What came into and went out of each account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balances(BTreeMap<Account, (u128, u128)>);

impl Balances {
    /// Adds up postings.
    pub fn of<'a>(postings: impl IntoIterator<Item = &'a Posting>) -> Self {
        let mut balances = Self::default();
        for it in postings {
            balances.add(it);
        }
        balances
    }

    /// Adds one posting.
    pub fn add(&mut self, posting: &Posting) {
        let wei = posting.amount.wei();
        let from = self.0.entry(posting.from).or_default();
        from.1 = from.1.saturating_add(wei);
        let to = self.0.entry(posting.to).or_default();
        to.0 = to.0.saturating_add(wei);
    }

    /// What came into `account`, in base units.
    #[must_use]
    pub fn total_in(&self, account: Account) -> u128 {
        self.0.get(&account).map_or(0, |it| it.0)
    }

    /// What went out of `account`, in base units.
    #[must_use]
    pub fn total_out(&self, account: Account) -> u128 {
        self.0.get(&account).map_or(0, |it| it.1)
    }

    /// In minus out: negative for a source such as [`Account::Customers`].
    #[must_use]
    pub fn net(&self, account: Account) -> i128 {
        let (come, gone) = self.0.get(&account).copied().unwrap_or_default();
        let signed = |it: u128| i128::try_from(it).unwrap_or(i128::MAX);
        signed(come).saturating_sub(signed(gone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wei(amount: u64) -> Amount {
        Amount::from_wei_u64(amount)
    }

    #[test]
    fn all_balances_sum_to_zero() {
        let id = ChannelId::from_bytes([1; 32]);
        let postings = [
            Posting::deposited(id, wei(100)),
            Posting::paid(id, wei(30)),
            Posting::returned(id, wei(70)),
            Posting::withdrawn(wei(50)),
            Posting::gas(wei(5)),
        ];
        let balances = Balances::of(&postings);
        assert_eq!(
            Account::ALL
                .iter()
                .map(|it| balances.net(*it))
                .sum::<i128>(),
            0
        );
        assert_eq!(balances.net(Account::Deposited), 0);
        assert_eq!(balances.net(Account::Pot), 20);
        assert_eq!(balances.net(Account::Wallet), -50);
    }

    #[test]
    fn an_entry_survives_its_record() {
        let tx = TxHash::from_bytes([9; 32]);
        let posting = Posting::claimed(ChannelId::from_bytes([1; 32]), wei(7)).by(tx);
        let entry = Entry {
            number: 3,
            at: UnixTime::from_secs(10),
            posting,
        };
        assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
    }
}
