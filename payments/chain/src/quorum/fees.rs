//! What gas costs where several endpoints say it: none of them alone makes it cheap or dear.

use warren_proto::Amount;

use super::seat::{At, question};
use super::{Heard, Quorum};
use crate::eth::next_base_fee;
use crate::{Chain as _, ChainError, Fees};

const WHAT: &str = "what gas costs";
/// A tip that one endpoint alone is believed up to: 2 gwei, some 0.0001 coin for a claim. Our choice.
const LONE_TIP: Amount = Amount::from_wei_u64(2_000_000_000);

impl Quorum {
    /// The base fee that follows the agreed block, and a tip.
    ///
    /// One endpoint that understated the base fee would keep claims out of blocks until they are worth
    /// nothing; one that overstated it would have keys given too much coin, or claims not sent at all.
    pub(super) async fn agreed_fees(&self) -> Result<Fees, ChainError> {
        let next = self.state(WHAT, |at: At| async move { next_base_fee(&at).await });
        let (next, told) = tokio::join!(next, self.told_fees());
        let base_fee = next?;
        let tips = told.answers.iter().map(|(_, it)| it.tip).collect();
        let tip = tip(tips, base_fee).ok_or_else(|| self.too_few(WHAT, &told))?;
        Ok(Fees {
            base_fee,
            floor: base_fee,
            tip,
        })
    }

    /// The same where they do not agree: the upper middle of what they say, and the least as the floor.
    pub(super) async fn heard_fees(&self) -> Result<Fees, ChainError> {
        match self.agreed_fees().await {
            Err(error) if error.is_unagreed() => {}
            fees => return fees,
        }
        let told = self.told_fees().await;
        let base_fees: Vec<Amount> = told.answers.iter().map(|(_, it)| it.base_fee).collect();
        let enough = base_fees.len() >= self.wanted;
        let lowest = base_fees.iter().min().filter(|_| enough).copied();
        let floor = lowest.unwrap_or(Amount::ZERO);
        let tips = told.answers.iter().map(|(_, it)| it.tip).collect();
        let fees = upper_middle(base_fees).zip(tip(tips, floor));
        let fees = fees.map(|(base_fee, tip)| Fees {
            base_fee,
            floor,
            tip,
        });
        fees.ok_or_else(|| self.too_few(WHAT, &told))
    }

    /// What each says by itself: all of them, or enough and those who are about as fast.
    async fn told_fees(&self) -> Heard<Fees> {
        let ask = question(|at: At| async move { at.fees().await });
        let voices = self.put(&self.awake(), None, &ask);
        self.gather(voices, self.wanted).await
    }
}

/// The upper middle, but what only one half says no further than the surest base fee or [`LONE_TIP`].
fn tip(mut told: Vec<Amount>, base_fee: Amount) -> Option<Amount> {
    told.sort_unstable();
    let lower = *told.get(told.len().checked_sub(1)? / 2)?;
    let most = lower.max(base_fee).max(LONE_TIP);
    upper_middle(told).map(|it| it.min(most))
}

fn upper_middle(mut told: Vec<Amount>) -> Option<Amount> {
    told.sort_unstable();
    told.get(told.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gwei(count: u64) -> Amount {
        Amount::from_wei_u64(count * 1_000_000_000)
    }

    #[test]
    fn neither_of_two_sets_the_tip_to_nothing_or_to_anything() {
        let of = |tips: &[u64], base| tip(tips.iter().map(|it| gwei(*it)).collect(), gwei(base));
        assert_eq!(of(&[], 1), None);
        assert_eq!(of(&[7], 0), Some(gwei(7)), "who is alone is believed");
        assert_eq!(of(&[0, 1], 0), Some(gwei(1)));
        assert_eq!(of(&[30, 0], 30), Some(gwei(30)));
        assert_eq!(of(&[1, 9999], 0), Some(LONE_TIP));
        assert_eq!(of(&[1, 9999], 20), Some(gwei(20)));
        assert_eq!(of(&[3, 9999], 1), Some(gwei(3)));
        assert_eq!(of(&[0, 5, 9999], 7), Some(gwei(5)));
    }
}
