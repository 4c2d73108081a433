//! What guests left without paying: who owes gets less credit the next time.
//!
//! Sans-IO. Without it each new session would begin with the whole credit again, and a guest that leaves and
//! comes back would be served that much each time for one word. In memory only: nobody can make an exit restart.

use std::collections::BTreeMap;

use warren_proto::{ChannelId, NodeId};

// Our choice: some 300 KB at most.
const MAX_DEBTORS: usize = 4096;

/// Who is remembered. A node's name is free, a channel costs gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Debtor {
    /// The guest.
    Node(NodeId),
    /// The channel it pays by.
    Channel(ChannelId),
}

/// Units owed, by debtor.
#[derive(Debug, Default)]
pub struct Debts {
    owed: BTreeMap<Debtor, u64>,
}

impl Debts {
    /// Units that `debtor` left unpaid.
    #[must_use]
    pub fn of(&self, debtor: Debtor) -> u64 {
        self.owed.get(&debtor).copied().unwrap_or(0)
    }

    /// `debtor` owes `units` now. Of too many debtors, the one that owes least is forgotten.
    pub fn set(&mut self, debtor: Debtor, units: u64) {
        if units == 0 {
            self.owed.remove(&debtor);
            return;
        }
        self.owed.insert(debtor, units);
        if self.owed.len() > MAX_DEBTORS
            && let Some((least, _)) = self.owed.iter().min_by_key(|(_, owed)| **owed)
        {
            let least = *least;
            self.owed.remove(&least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_debtors_those_who_owe_most_are_remembered() {
        let debtor = |it: u16| {
            let mut bytes = [0; 32];
            bytes[..2].copy_from_slice(&it.to_be_bytes());
            Debtor::Channel(ChannelId::from_bytes(bytes))
        };
        let mut debts = Debts::default();
        for it in 0..5000_u16 {
            debts.set(debtor(it), 1 + u64::from(it));
        }
        assert_eq!(debts.owed.len(), MAX_DEBTORS);
        assert_eq!(debts.of(debtor(4999)), 5000);
        assert_eq!(debts.of(debtor(0)), 0);
        debts.set(debtor(4999), 0);
        assert_eq!(debts.of(debtor(4999)), 0);
    }
}
