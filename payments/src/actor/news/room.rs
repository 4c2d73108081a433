//! Room for channels that pay this node: bounded, yet no crowd of closed or tiny ones keeps others out.

use std::collections::{BTreeMap, BTreeSet};

use warren_proto::{Amount, ChannelId};

use crate::channel::{PayeeChannel, Phase};

// Our choice.
/// Channels that pay this node; each cost its opener gas and a deposit.
const MAX_PAYEE_CHANNELS: usize = 65_536;

/// How many channels are kept, and which of them have to go.
pub(super) struct Room<'a> {
    payees: &'a BTreeMap<ChannelId, PayeeChannel>,
    most: usize,
    count: usize,
    gone: BTreeSet<ChannelId>,
}

impl<'a> Room<'a> {
    pub(super) fn new(payees: &'a BTreeMap<ChannelId, PayeeChannel>) -> Self {
        Self {
            payees,
            most: MAX_PAYEE_CHANNELS,
            count: payees.len(),
            gone: BTreeSet::new(),
        }
    }

    /// Makes room for one with this deposit; answers who is to be forgotten for it. `None`: there is no room.
    pub(super) fn make(&mut self, deposit: Amount) -> Option<Option<ChannelId>> {
        if self.count < self.most {
            self.count = self.count.saturating_add(1);
            return Some(None);
        }
        let id = self.closed().or_else(|| self.smaller_than(deposit))?;
        self.gone.insert(id);
        Some(Some(id))
    }

    /// One that is over: nothing can be claimed in it, and it never opens again.
    fn closed(&self) -> Option<ChannelId> {
        let is_closed = |it: &PayeeChannel| it.phase() == Phase::Closed;
        self.left().find(|(_, it)| is_closed(it)).map(|(id, _)| id)
    }

    /// The smallest in which nothing was ever promised.
    fn smaller_than(&self, deposit: Amount) -> Option<ChannelId> {
        let idle = self.left().filter(|(_, it)| it.voucher().is_none());
        let least = idle.min_by_key(|(_, it)| it.deposit());
        least
            .filter(|(_, it)| it.deposit() < deposit)
            .map(|(id, _)| id)
    }

    fn left(&self) -> impl Iterator<Item = (ChannelId, &'a PayeeChannel)> {
        let payees = self.payees.iter().map(|(id, it)| (*id, it));
        payees.filter(|(id, _)| !self.gone.contains(id))
    }
}

#[cfg(test)]
mod tests {
    use warren_proto::UnixTime;

    use super::*;
    use crate::channel::fixture::{terms, voucher};
    use crate::channel::{ChainFact, ChannelTerms, PayeeEvent, Rules};

    const NOON: UnixTime = UnixTime::from_secs(1_800_000_000);

    fn wei(amount: u64) -> Amount {
        Amount::from_wei_u64(amount)
    }

    fn hears(channel: &PayeeChannel, fact: ChainFact) -> PayeeChannel {
        channel.handle(&PayeeEvent::Chain(fact), NOON).next
    }

    fn open(number: u8, deposit: u64) -> (ChannelId, PayeeChannel) {
        let id = ChannelId::from_bytes([number; 32]);
        let channel = PayeeChannel::watch(ChannelTerms { id, ..terms() }, Rules::default());
        (id, hears(&channel, ChainFact::Deposit(wei(deposit))))
    }

    fn paid() -> (ChannelId, PayeeChannel) {
        let channel = PayeeChannel::watch(terms(), Rules::default());
        let channel = hears(&channel, ChainFact::Deposit(wei(10)));
        let paid = channel.handle(&PayeeEvent::Voucher(voucher(1, 2, vec![])), NOON);
        assert!(paid.next.voucher().is_some());
        (terms().id, paid.next)
    }

    #[test]
    fn what_is_over_goes_first_then_the_smallest_in_which_nothing_was_promised() {
        let (over, channel) = open(1, 9000);
        let mut payees: BTreeMap<_, _> = [open(2, 40), open(3, 30), paid()].into();
        payees.insert(over, hears(&channel, ChainFact::Closed));
        let mut room = Room::new(&payees);
        room.most = 5;
        assert_eq!(room.make(wei(1)), Some(None), "there is a place");
        assert_eq!(room.make(wei(1)), Some(Some(over)));
        assert_eq!(room.make(wei(30)), None, "no larger than the smallest");
        assert_eq!(room.make(wei(31)), Some(Some(open(3, 30).0)));
        assert_eq!(room.make(wei(35)), None);
        assert_eq!(room.make(wei(50)), Some(Some(open(2, 40).0)));
        assert_eq!(room.make(wei(1 << 40)), None, "who was paid stays");
    }
}
