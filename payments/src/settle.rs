//! When a claim is worth its gas.
//!
//! Sans-IO. A claim costs native coin and brings tokens; the operator says how the two compare.

mod company;

use std::time::Duration;

use ethers_core::types::U256;
use warren_proto::{Amount, UnixTime};

#[cfg(test)]
use crate::calls::gas::EACH_GAS;
use crate::calls::gas::{FIRST_GAS, gas_of, share_of};
use crate::channel::Phase;
use crate::channel::router::rules::r4_must_claim;

pub use company::Plan;

#[cfg(test)]
const CLAIM_GAS: u64 = FIRST_GAS + EACH_GAS;

/// One coin, in wei: EVM chains count their coin with 18 decimals.
const COIN_WEI: u128 = 1_000_000_000_000_000_000;

/// What one native coin is worth, in base units of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// Nobody said. Good for weighing whether to claim, not for refusing to.
    Guessed(Amount),
    /// The operator said.
    Told(Amount),
}

impl Rate {
    const fn per_coin(self) -> Amount {
        match self {
            Self::Guessed(it) | Self::Told(it) => it,
        }
    }

    /// What so much coin is worth in tokens, rounded down.
    #[must_use]
    pub fn tokens(self, coin: Amount) -> Amount {
        scaled(coin.wei(), self.per_coin().wei(), COIN_WEI)
    }

    /// What so many tokens are worth in coin; all there is if tokens are worth any coin.
    #[must_use]
    pub fn coin(self, tokens: Amount) -> Amount {
        scaled(tokens.wei(), COIN_WEI, self.per_coin().wei())
    }
}

/// `amount · up / down`, rounded down; what does not fit is the most there can be.
fn scaled(amount: u128, up: u128, down: u128) -> Amount {
    let product = U256::from(amount).saturating_mul(U256::from(up));
    let wei = product.checked_div(U256::from(down));
    let wei = wei.and_then(|it| u128::try_from(it).ok());
    Amount::from_wei(wei.unwrap_or(u128::MAX)).unwrap_or(Amount::MAX)
}

/// How a payee weighs claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettlePolicy {
    /// How the token compares with the coin that gas is paid in.
    pub rate: Rate,
    /// Claim by itself once it brings so many times its gas; 0 = only when told or forced.
    pub worth_factor: u32,
    /// While the payer closes, claim if so much of the window is left at least; later, anyway.
    pub closing_margin: Duration,
}

impl Default for SettlePolicy {
    fn default() -> Self {
        Self {
            rate: Rate::Guessed(Amount::from_wei_u64(1_000_000_000_000_000_000)),
            worth_factor: 20,
            closing_margin: Duration::from_secs(20 * 60),
        }
    }
}

/// What a claim would be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimView {
    /// Where the channel stands.
    pub phase: Phase,
    /// What the claim would bring now.
    pub claimable: Amount,
    /// Hashes the contract must do for it.
    pub words: u32,
    /// Price of gas now, in native wei.
    pub gas_price: Amount,
    /// When the first of the words becomes worthless, chain seconds; `None` if none does.
    pub expiry: Option<u64>,
    /// Whether it stays alone: claims that it was with were undone, and nobody knows by which of them.
    pub apart: bool,
}

impl ClaimView {
    /// When the claim brings nothing any more, or less: the end of the close window, or of a lock with a word
    /// known. Chain seconds; `None` if it can wait.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        let ends = match self.phase {
            Phase::Closing { closes_at } => Some(closes_at),
            Phase::Opening | Phase::Open | Phase::Closed => None,
        };
        ends.into_iter().chain(self.expiry).min()
    }
}

/// Whether to claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// Not now.
    Wait,
    /// Now: it is worth it.
    Worth,
    /// Now: it is the last chance.
    Forced,
}

impl SettlePolicy {
    /// What the claim's gas is worth in tokens.
    #[must_use]
    pub fn cost(&self, view: &ClaimView) -> Amount {
        self.rate.tokens(self.gas(view))
    }

    /// What the claim's gas costs, in native wei.
    #[must_use]
    pub fn gas(&self, view: &ClaimView) -> Amount {
        let gas = gas_of(&[view.words]);
        view.gas_price.checked_mul(gas).unwrap_or(Amount::MAX)
    }

    /// What tokens are worth in coin; `None` if nobody said how the two compare.
    #[must_use]
    pub fn in_coin(&self, tokens: Amount) -> Option<Amount> {
        match self.rate {
            Rate::Guessed(_) => None,
            Rate::Told(_) => Some(self.rate.coin(tokens)),
        }
    }

    /// Decides.
    #[must_use]
    pub fn decide(&self, view: &ClaimView, now: UnixTime) -> Settle {
        if view.claimable == Amount::ZERO {
            return Settle::Wait;
        }
        // R4: words of a lock that is about to expire would be worth nothing.
        let expires = view.expiry.is_some_and(|it| r4_must_claim(it, now));
        if expires && !matches!(view.phase, Phase::Opening | Phase::Closed) {
            return Settle::Forced;
        }
        let cost = self.cost(view);
        match view.phase {
            Phase::Opening | Phase::Closed => Settle::Wait,
            Phase::Open => {
                let worth = cost
                    .checked_mul(u64::from(self.worth_factor))
                    .unwrap_or(Amount::MAX);
                let asks = self.worth_factor > 0 && view.claimable >= worth;
                if asks { Settle::Worth } else { Settle::Wait }
            }
            // Gas may fall during the window, but only if there is time to wait for it.
            Phase::Closing { closes_at } => {
                let deadline = UnixTime::from_secs(closes_at);
                let late = now.plus(self.closing_margin) >= deadline;
                let worth = view.claimable > cost;
                if worth || late {
                    Settle::Forced
                } else {
                    Settle::Wait
                }
            }
        }
    }
}

/// The gas that a claim takes beside what its transaction takes anyway.
const fn share(view: &ClaimView) -> u64 {
    share_of(view.words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(phase: Phase, claimable: u64) -> ClaimView {
        ClaimView {
            phase,
            claimable: Amount::from_wei_u64(claimable),
            words: 0,
            gas_price: Amount::from_wei_u64(1),
            expiry: None,
            apart: false,
        }
    }

    #[test]
    fn a_claim_waits_until_it_brings_twenty_times_its_gas() {
        let policy = SettlePolicy::default();
        let now = UnixTime::from_secs(0);
        assert_eq!(
            policy.decide(&view(Phase::Open, 20 * CLAIM_GAS - 1), now),
            Settle::Wait
        );
        assert_eq!(
            policy.decide(&view(Phase::Open, 20 * CLAIM_GAS), now),
            Settle::Worth
        );
    }

    #[test]
    fn a_token_of_six_decimals_is_weighed_to_the_unit() {
        // 2500 tokens of six decimals for a coin.
        let rate = Rate::Told(Amount::from_wei_u64(2_500_000_000));
        let coin = Amount::from_wei_u64(1_000_000_000_000_000);
        assert_eq!(rate.tokens(coin), Amount::from_wei_u64(2_500_000));
        assert_eq!(rate.coin(Amount::from_wei_u64(2_500_000)), coin);
        // A claim of 62 000 gas at 20 gwei costs 3.1 tokens.
        let policy = SettlePolicy {
            rate,
            ..SettlePolicy::default()
        };
        let dear = ClaimView {
            gas_price: Amount::from_wei_u64(20_000_000_000),
            ..view(Phase::Open, 1)
        };
        assert_eq!(policy.cost(&dear), Amount::from_wei_u64(3_100_000));
        assert_eq!(
            rate.tokens(Amount::MAX),
            Amount::from_wei(198_070_406_285_660_843_983).unwrap()
        );
        assert_eq!(Rate::Told(Amount::ZERO).coin(coin), Amount::MAX);
    }

    #[test]
    fn a_rate_that_nobody_told_limits_no_gas() {
        let tokens = Amount::from_wei_u64(9);
        assert_eq!(SettlePolicy::default().in_coin(tokens), None);
    }

    #[test]
    fn a_closing_channel_is_claimed_at_once_if_it_pays_and_at_the_end_anyway() {
        let policy = SettlePolicy::default();
        let closing = Phase::Closing { closes_at: 7200 };
        let (start, late) = (UnixTime::from_secs(0), UnixTime::from_secs(6000));
        assert_eq!(
            policy.decide(&view(closing, CLAIM_GAS + 1), start),
            Settle::Forced
        );
        assert_eq!(policy.decide(&view(closing, 5), start), Settle::Wait);
        assert_eq!(policy.decide(&view(closing, 5), late), Settle::Forced);
        assert_eq!(policy.decide(&view(closing, 0), late), Settle::Wait);
    }

    #[test]
    fn r4_words_of_an_expiring_lock_are_claimed_in_time_whatever_they_cost() {
        let policy = SettlePolicy::default();
        let (early, late) = (UnixTime::from_secs(8799), UnixTime::from_secs(8800));
        let expiring = |phase| ClaimView {
            expiry: Some(10_000),
            ..view(phase, 5)
        };
        assert_eq!(policy.decide(&expiring(Phase::Open), early), Settle::Wait);
        assert_eq!(policy.decide(&expiring(Phase::Open), late), Settle::Forced);
        let closing = Phase::Closing { closes_at: 99_999 };
        assert_eq!(policy.decide(&expiring(closing), late), Settle::Forced);
        assert_eq!(policy.decide(&expiring(Phase::Closed), late), Settle::Wait);
    }
}
