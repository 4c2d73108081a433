//! Which claims go together in one transaction.
//!
//! Sans-IO. Every transaction pays its first 21 000 gas, and the write to the payee's pot; claims in one pay both
//! once. So a claim that is not worth its gas alone may be worth its share, and several such may be
//! worth a transaction that none of them is worth.
//!
//! What is in danger stays alone: its own worth says what its gas may cost, and it waits for nobody.

use std::collections::BTreeSet;
use std::time::Duration;

use warren_proto::{Amount, ChannelId, UnixTime};

use super::{ClaimView, FIRST_GAS, Settle, SettlePolicy, share};
use crate::calls::many::MAX_TOGETHER;
use crate::channel::Phase;

// Our choices.
/// The most gas for one transaction: below what an estimate may say at all, and a tenth of a block of 30 million.
const MOST_GAS: u64 = 3_000_000;
/// A claim that brings less from so soon on stays alone: one lock that has expired undoes all of them, and what
/// is sent may have to wait for cheaper gas.
const GOOD_FOR: Duration = Duration::from_secs(2 * 3600);

/// The transactions to make: no channel is in two of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Claims that each have a transaction of their own.
    pub alone: Vec<ChannelId>,
    /// Claims that share one; two at least.
    pub together: Vec<Vec<ChannelId>>,
    /// Of those that share one, those that are not worth one of their own.
    pub poor: Vec<ChannelId>,
}

impl Plan {
    /// Every channel in it.
    pub fn channels(&self) -> impl Iterator<Item = &ChannelId> {
        self.alone.iter().chain(self.together.iter().flatten())
    }

    /// How many transactions it takes.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.alone.len().saturating_add(self.together.len())
    }

    fn close(&mut self, company: Company) {
        match company.members.as_slice() {
            [] => {}
            [one] => self.alone.push(*one),
            _ => self.together.push(company.members),
        }
    }
}

/// One transaction that is being filled.
#[derive(Debug, Default)]
struct Company {
    members: Vec<ChannelId>,
    gas: u64,
}

impl Company {
    fn has_room(&self, gas: u64) -> bool {
        let sum = FIRST_GAS.saturating_add(self.gas).saturating_add(gas);
        self.members.is_empty() || (self.members.len() < MAX_TOGETHER && sum <= MOST_GAS)
    }

    fn add(&mut self, channel: ChannelId, gas: u64) {
        self.members.push(channel);
        self.gas = self.gas.saturating_add(gas);
    }
}

impl SettlePolicy {
    /// What is claimed without being asked for: what is worth it or in danger, and what is worth its share of a
    /// transaction that is made anyway, or that several of such kind are worth.
    #[must_use]
    pub fn plan(&self, claims: &[(ChannelId, ClaimView)], now: UnixTime) -> Plan {
        let (mut plan, mut company, mut waiting) = (Plan::default(), Company::default(), vec![]);
        for (channel, view) in claims {
            let may_share = may_share(view, now);
            match self.decide(view, now) {
                Settle::Worth | Settle::Forced if may_share => {
                    company = plan.place(company, *channel, share(view));
                }
                Settle::Worth | Settle::Forced => plan.alone.push(*channel),
                Settle::Wait if may_share => {
                    let surplus = self.surplus(view);
                    waiting.extend(surplus.map(|it| (it, *channel, share(view))));
                }
                Settle::Wait => {}
            }
        }
        // Whoever brings most first; who is first among equals does not matter, but never changes.
        waiting.sort_by(|a, b| b.cmp(a));
        let mut waiting = waiting.into_iter().peekable();
        if !company.members.is_empty() {
            while let Some((_, channel, gas)) = waiting.next_if(|it| company.has_room(it.2)) {
                company.add(channel, gas);
                plan.poor.push(channel);
            }
        }
        plan.close(company);
        let gas_price = claims.first().map_or(Amount::ZERO, |it| it.1.gas_price);
        while waiting.peek().is_some() {
            let (mut company, mut sum) = (Company::default(), Amount::ZERO);
            while let Some((surplus, channel, gas)) = waiting.next_if(|it| company.has_room(it.2)) {
                company.add(channel, gas);
                sum = sum.checked_add(surplus).unwrap_or(Amount::MAX);
            }
            if company.members.len() < 2
                || sum < self.asked(self.worth_factor, FIRST_GAS, gas_price)
            {
                break; // Those that follow bring less.
            }
            plan.poor.extend(&company.members);
            plan.close(company);
        }
        plan
    }

    /// Everything that brings anything, in as few transactions as may be.
    #[must_use]
    pub fn plan_all(&self, claims: &[(ChannelId, ClaimView)], now: UnixTime) -> Plan {
        let (mut plan, mut company) = (Plan::default(), Company::default());
        let over = |it: &ClaimView| matches!(it.phase, Phase::Opening | Phase::Closed);
        let worth_asking = |it: &ClaimView| it.claimable > Amount::ZERO && !over(it);
        for (channel, view) in claims.iter().filter(|it| worth_asking(&it.1)) {
            if may_share(view, now) {
                company = plan.place(company, *channel, share(view));
            } else {
                plan.alone.push(*channel);
            }
        }
        plan.close(company);
        plan
    }

    /// The gas that `plan` costs, in native wei.
    #[must_use]
    pub fn gas_of(&self, plan: &Plan, claims: &[(ChannelId, ClaimView)]) -> Amount {
        let price = claims.first().map_or(Amount::ZERO, |it| it.1.gas_price);
        let transactions = u64::try_from(plan.transactions()).unwrap_or(u64::MAX);
        let first = FIRST_GAS.saturating_mul(transactions);
        let planned: BTreeSet<_> = plan.channels().collect();
        let each = claims.iter().filter(|it| planned.contains(&it.0));
        let each = each.map(|it| share(&it.1));
        let gas = each.fold(first, u64::saturating_add);
        price.checked_mul(gas).unwrap_or(Amount::MAX)
    }

    /// What a claim brings beyond what its share of a transaction asks; `None` if it is not worth that.
    fn surplus(&self, view: &ClaimView) -> Option<Amount> {
        let factor = match view.phase {
            Phase::Open if self.worth_factor > 0 => self.worth_factor,
            Phase::Closing { .. } => 1, // It will be claimed at the end anyway.
            Phase::Open | Phase::Opening | Phase::Closed => return None,
        };
        let asked = self.asked(factor, share(view), view.gas_price);
        let more = view.claimable.saturating_sub(asked);
        (more > Amount::ZERO).then_some(more)
    }

    /// What so much gas must bring, in tokens.
    fn asked(&self, factor: u32, gas: u64, price: Amount) -> Amount {
        let coin = price.checked_mul(gas).unwrap_or(Amount::MAX);
        let tokens = self.rate.tokens(coin);
        tokens
            .checked_mul(u64::from(factor.max(1)))
            .unwrap_or(Amount::MAX)
    }
}

impl Plan {
    /// Into the transaction that is being filled, or a new one.
    fn place(&mut self, mut company: Company, channel: ChannelId, gas: u64) -> Company {
        if !company.has_room(gas) {
            self.close(std::mem::take(&mut company));
        }
        company.add(channel, gas);
        company
    }
}

/// Whether a claim may be with others: it stays good for long enough, and does not fill a transaction.
fn may_share(view: &ClaimView, now: UnixTime) -> bool {
    let soon = now.plus(GOOD_FOR).as_secs();
    let lasts = view.deadline().is_none_or(|it| it > soon);
    !view.apart && lasts && FIRST_GAS.saturating_add(share(view)) < MOST_GAS
}

#[cfg(test)]
mod tests;
