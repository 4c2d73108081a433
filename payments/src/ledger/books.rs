//! The ledger in sum: every balance of channels that people are shown.
//!
//! Sans-IO.

use std::collections::BTreeMap;

use warren_proto::{Amount, ChannelId};

use super::{Account, Posting};

/// What the ledger says of one channel. Totals over its life; a channel has one role, so either the
/// payer's or the payee's are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChannelBooks {
    /// Payer: locked in it.
    pub deposited: Amount,
    /// Payer: promised for good, words released and not folded yet included.
    pub paid: Amount,
    /// Payer: came back.
    pub returned: Amount,
    /// Payee: promised to this node.
    pub earned: Amount,
    /// Payee: of it, paid by the chain.
    pub claimed: Amount,
    /// Payee: of it, not claimed before the channel ended.
    pub lost: Amount,
}

impl ChannelBooks {
    /// Payer: what is still in the channel and not promised.
    #[must_use]
    pub fn left(&self) -> Amount {
        let gone = plus(self.paid, self.returned);
        self.deposited.saturating_sub(gone)
    }

    /// Payee: what can still be claimed.
    #[must_use]
    pub fn claimable(&self) -> Amount {
        let gone = plus(self.claimed, self.lost);
        self.earned.saturating_sub(gone)
    }

    fn add(&mut self, it: &Posting) {
        let more = |sum: &mut Amount| *sum = plus(*sum, it.amount);
        let less = |sum: &mut Amount| *sum = sum.saturating_sub(it.amount);
        match (it.from, it.to) {
            (Account::Wallet, Account::Deposited) => more(&mut self.deposited),
            (Account::Deposited, Account::Spent) => more(&mut self.paid),
            (Account::Spent, Account::Deposited) => less(&mut self.paid),
            (Account::Deposited, Account::Pot) => more(&mut self.returned),
            (Account::Customers, Account::Claimable) => more(&mut self.earned),
            (Account::Claimable, Account::Pot) => more(&mut self.claimed),
            (Account::Claimable, Account::Customers) => more(&mut self.lost),
            // Taken back by a rewritten history.
            (Account::Deposited, Account::Wallet) => less(&mut self.deposited),
            (Account::Pot, Account::Claimable) => less(&mut self.claimed),
            _ => {} // Pot, wallet and gas: the chain says those.
        }
    }
}

/// The books of every channel, and their sums.
///
/// What lies outside of channels (coin, wallet, pot) others can move too: that is read from the
/// chain, never from here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Books {
    channels: BTreeMap<ChannelId, ChannelBooks>,
}

impl Books {
    /// Adds up postings.
    pub fn of<'a>(postings: impl IntoIterator<Item = &'a Posting>) -> Self {
        let mut books = Self::default();
        postings.into_iter().for_each(|it| books.add(it));
        books
    }

    /// Adds one posting.
    pub fn add(&mut self, posting: &Posting) {
        if let Some(id) = posting.channel {
            self.channels.entry(id).or_default().add(posting);
        }
    }

    /// Counts words that are released and not yet written down.
    pub(crate) fn is_releasing(&mut self, id: ChannelId, amount: Amount) {
        let channel = self.channels.entry(id).or_default();
        channel.paid = plus(channel.paid, amount);
    }

    /// Counts what words earned and is not yet written down.
    pub(crate) fn is_earning(&mut self, id: ChannelId, amount: Amount) {
        let channel = self.channels.entry(id).or_default();
        channel.earned = plus(channel.earned, amount);
    }

    /// The books of one channel; all zero if the ledger does not know it.
    #[must_use]
    pub fn channel(&self, id: &ChannelId) -> ChannelBooks {
        self.channels.get(id).copied().unwrap_or_default()
    }

    /// The sum over all channels.
    #[must_use]
    pub fn total(&self) -> ChannelBooks {
        let channels = self.channels.values();
        channels.fold(ChannelBooks::default(), |sum, it| ChannelBooks {
            deposited: plus(sum.deposited, it.deposited),
            paid: plus(sum.paid, it.paid),
            returned: plus(sum.returned, it.returned),
            earned: plus(sum.earned, it.earned),
            claimed: plus(sum.claimed, it.claimed),
            lost: plus(sum.lost, it.lost),
        })
    }
}

fn plus(a: Amount, b: Amount) -> Amount {
    a.checked_add(b).unwrap_or(Amount::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wei(amount: u64) -> Amount {
        Amount::from_wei_u64(amount)
    }

    #[test]
    fn a_payers_channel_is_what_was_locked_paid_and_returned() {
        let id = ChannelId::from_bytes([1; 32]);
        let mut books = Books::of(&[
            Posting::deposited(id, wei(100)),
            Posting::paid(id, wei(30)),
            Posting::stored(wei(5)),
        ]);
        assert_eq!(books.channel(&id).left(), wei(70));
        books.is_releasing(id, wei(3));
        assert_eq!(books.channel(&id).paid, wei(33));
        for it in [Posting::forgone(id, wei(3)), Posting::returned(id, wei(70))] {
            books.add(&it);
        }
        assert_eq!(
            (books.total().left(), books.total().paid),
            (wei(0), wei(30))
        );
    }

    #[test]
    fn what_was_not_claimed_in_time_is_claimable_no_more() {
        let id = ChannelId::from_bytes([2; 32]);
        let books = Books::of(&[
            Posting::earned(id, wei(50)),
            Posting::claimed(id, wei(20)),
            Posting::lost(id, wei(30)),
        ]);
        let total = books.total();
        assert_eq!((total.earned, total.claimable()), (wei(50), wei(0)));
        assert_eq!(
            books.channel(&ChannelId::from_bytes([3; 32])).earned,
            wei(0)
        );
    }
}
