//! What to pay for gas, and how much more when a block does not want it.
//!
//! Sans-IO.

use std::time::Duration;

use warren_proto::{Amount, UnixTime};

use super::event::Stake;
use crate::chain::Fees;

/// A replacement pays 12.5 % more of both: nodes want 10 %, and some round against us.
const BUMP_DIVISOR: u128 = 8;

/// Paid per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GasPrice {
    /// At most, the tip included.
    pub max_fee: Amount,
    /// To the block's maker.
    pub tip: Amount,
}

impl GasPrice {
    /// Twice the base fee and the going tip: good for six full blocks in a row. Never above `cap`.
    #[must_use]
    pub fn first(fees: &Fees, cap: Amount) -> Self {
        let room = fees.base_fee.wei().saturating_mul(2);
        let max_fee = amount(room.saturating_add(fees.tip.wei())).min(cap);
        Self {
            max_fee,
            tip: fees.tip.min(max_fee),
        }
    }

    /// Both 12.5 % higher, rounded up, and as high as the market; `None` beyond `cap`.
    #[must_use]
    pub fn bumped(self, market: Option<&Fees>, cap: Amount) -> Option<Self> {
        let bump = |it: Amount| {
            let wei = it.wei();
            amount(
                wei.saturating_add(wei.div_ceil(BUMP_DIVISOR))
                    .saturating_add(1),
            )
        };
        let next = Self {
            max_fee: bump(self.max_fee),
            tip: bump(self.tip),
        };
        let going = market.map_or(next, |it| Self::first(it, cap));
        let next = Self {
            max_fee: next.max_fee.max(going.max_fee),
            tip: next.tip.max(going.tip),
        };
        (next.max_fee <= cap).then_some(next)
    }
}

/// The most that a call may pay per gas.
///
/// Never more in all than what the call brings; and never more than `usual` either, unless so
/// little time is left as `urgent` says: then all of what it brings may go into gas, for later it
/// brings nothing.
#[must_use]
pub fn cap(
    stake: Option<&Stake>,
    gas_limit: u64,
    now: UnixTime,
    (usual, urgent): (Amount, Duration),
) -> Amount {
    let Some((stake, worth)) = stake.and_then(|it| Some((it, it.worth?))) else {
        return usual;
    };
    let all = amount(worth.wei() / u128::from(gas_limit.max(1)));
    if stake.deadline.is_some_and(|it| now.plus(urgent) >= it) {
        all
    } else {
        all.min(usual)
    }
}

fn amount(wei: u128) -> Amount {
    Amount::from_wei(wei).unwrap_or(Amount::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wei(wei: u64) -> Amount {
        Amount::from_wei_u64(wei)
    }

    #[test]
    fn the_first_price_stays_below_the_cap() {
        let fees = Fees {
            base_fee: wei(100),
            floor: wei(100),
            tip: wei(7),
        };
        assert_eq!(
            GasPrice::first(&fees, wei(1000)),
            GasPrice {
                max_fee: wei(207),
                tip: wei(7)
            }
        );
        assert_eq!(
            GasPrice::first(&fees, wei(5)),
            GasPrice {
                max_fee: wei(5),
                tip: wei(5)
            }
        );
    }

    #[test]
    fn a_claim_never_pays_more_than_it_brings_and_all_of_that_only_when_time_is_short() {
        let (usual, urgent) = (wei(100), Duration::from_secs(1200));
        let now = UnixTime::from_secs(10_000);
        let cap = |worth, deadline: Option<u64>| {
            let deadline = deadline.map(UnixTime::from_secs);
            let worth = Some(wei(worth));
            super::cap(Some(&Stake { worth, deadline }), 1000, now, (usual, urgent))
        };
        assert_eq!(super::cap(None, 1000, now, (usual, urgent)), usual);
        let unknown = Stake {
            worth: None,
            deadline: Some(now),
        };
        assert_eq!(
            super::cap(Some(&unknown), 1000, now, (usual, urgent)),
            usual
        );
        assert_eq!(cap(70_999, None), wei(70), "70 999 wei for 1000 gas");
        assert_eq!(cap(900_000, None), usual);
        assert_eq!(
            cap(900_000, Some(11_201)),
            usual,
            "20 minutes and a second are left"
        );
        assert_eq!(cap(900_000, Some(11_200)), wei(900));
        assert_eq!(cap(999, Some(11_200)), wei(0), "not worth a gas");
    }

    #[test]
    fn a_bump_raises_both_by_an_eighth_and_stops_at_the_cap() {
        let price = GasPrice {
            max_fee: wei(80),
            tip: wei(8),
        };
        let next = price.bumped(None, wei(100)).unwrap();
        assert_eq!(
            next,
            GasPrice {
                max_fee: wei(91),
                tip: wei(10)
            }
        );
        assert_eq!(next.bumped(None, wei(100)), None);
    }

    #[test]
    fn a_bump_follows_a_market_that_ran_away() {
        let price = GasPrice {
            max_fee: wei(80),
            tip: wei(8),
        };
        let market = Fees {
            base_fee: wei(400),
            floor: wei(400),
            tip: wei(2),
        };
        let next = price.bumped(Some(&market), wei(1000));
        assert_eq!(
            next,
            Some(GasPrice {
                max_fee: wei(802),
                tip: wei(10)
            })
        );
        let capped = price.bumped(Some(&market), wei(500));
        assert_eq!(
            capped,
            Some(GasPrice {
                max_fee: wei(500),
                tip: wei(10)
            })
        );
    }
}
