//! What guests left without paying: who owes gets less credit the next time.
//!
//! Sans-IO. Without it each new session would begin with the whole credit again, and a guest that leaves and
//! comes back would be served that much each time for one word. In memory only: nobody can make an exit restart.

use std::collections::BTreeMap;

use warren_proto::{ChannelId, NodeId};

// Our choice: some 300 KB at most.
const MAX_OWERS: usize = 4096;

/// Who is remembered. A node's name is free, a channel costs gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ower {
    /// The guest.
    Node(NodeId),
    /// The channel it pays by.
    Channel(ChannelId),
}

/// Units owed, by ower.
#[derive(Debug, Default)]
pub struct Arrears {
    owed: BTreeMap<Ower, u64>,
}

impl Arrears {
    /// Units that `ower` left unpaid.
    #[must_use]
    pub fn of(&self, ower: Ower) -> u64 {
        self.owed.get(&ower).copied().unwrap_or(0)
    }

    /// `ower` owes `units` now. Of too many owers, the one that owes least is forgotten.
    pub fn set(&mut self, ower: Ower, units: u64) {
        if units == 0 {
            self.owed.remove(&ower);
            return;
        }
        self.owed.insert(ower, units);
        if self.owed.len() > MAX_OWERS
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
        let ower = |it: u16| {
            let mut bytes = [0; 32];
            bytes[..2].copy_from_slice(&it.to_be_bytes());
            Ower::Channel(ChannelId::from_bytes(bytes))
        };
        let mut arrears = Arrears::default();
        for it in 0..5000_u16 {
            arrears.set(ower(it), 1 + u64::from(it));
        }
        assert_eq!(arrears.owed.len(), MAX_OWERS);
        assert_eq!(arrears.of(ower(4999)), 5000);
        assert_eq!(arrears.of(ower(0)), 0);
        arrears.set(ower(4999), 0);
        assert_eq!(arrears.of(ower(4999)), 0);
    }
}
