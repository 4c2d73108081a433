//! How much is served unpaid, and how that grows.
//!
//! Words that come a round trip late stop a fast line unless what is served unpaid covers the round
//! trip (docs/adr/0007). Who has paid much may owe a little more.

/// One unit more is served unpaid for each so many that were paid.
///
/// Our choice: a guest that leaves without paying gains less than 7 % by it, and credit grows
/// e-fold in two seconds where words are 120 ms late.
pub const PAID_PER_CREDIT: u64 = 16;
/// One unit in so many is taken to have been lost on the way.
///
/// Our choice: an exit counts what it sent and a guest pays for what came, so the two drift apart by the
/// loss of the line, for ever; TCP itself keeps that below 1 %.
pub const PAID_PER_LOST: u64 = 64;

/// Units that a provider serves beyond what was paid: its bound on loss to one guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// Units before anything is paid: `credit_units` of the terms.
    pub first: u32,
    /// Units at most, whatever was paid, beside those lost on the way. Below `first` it counts for nothing.
    pub most: u32,
}

impl Credit {
    /// Units served unpaid once `paid` are paid in this session.
    ///
    /// # Examples
    /// ```
    /// # use warren_proto::Credit;
    /// let credit = Credit { first: 8, most: 256 };
    /// assert_eq!(credit.units(0), 8);
    /// assert_eq!(credit.units(160), 18 + 2);
    /// assert_eq!(credit.units(1_000_000), 256 + 15_625);
    /// ```
    #[must_use]
    pub fn units(self, paid: u64) -> u64 {
        let first = u64::from(self.first);
        let grown = first.saturating_add(paid / PAID_PER_CREDIT);
        let owed = grown.min(u64::from(self.most)).max(first);
        owed.saturating_add(paid / PAID_PER_LOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn more_paid_is_never_less_credit_and_never_beyond_its_bounds(
            first in 0..5_000_u32, most in 0..5_000_u32, paid: u64, more in 0..1_u64 << 40,
        ) {
            let credit = Credit { first, most };
            let units = credit.units(paid);
            prop_assert!(units >= u64::from(first));
            let lost = paid / PAID_PER_LOST;
            prop_assert!(units <= u64::from(most.max(first)) + lost);
            prop_assert!(units <= u64::from(first) + paid / PAID_PER_CREDIT + lost);
            prop_assert!(credit.units(paid.saturating_add(more)) >= units);
        }
    }
}
