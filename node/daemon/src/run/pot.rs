//! What the owner does with tokens in the contract: takes them out, fixes where they may go, pays them out.

use warren_payments::calls::Call;
use warren_payments::{GasCost, Pot};
use warren_proto::{Amount, ChainRef, PayoutAddress};

use super::Node;
use super::channels::report;
use super::money::coin;
use crate::api::types::{
    BeneficiaryRequest, Money, PayoutRequest, TransactionReport, WithdrawRequest,
};
use crate::error::{ErrorCode, Problem};
use crate::perform::problem;

impl Node {
    pub(super) async fn withdraw_tokens(
        &self,
        request: WithdrawRequest,
    ) -> Result<TransactionReport, Problem> {
        let payments = self.purse()?.payments();
        let funds = payments.balances().await.map_err(|it| problem(&it))?;
        let amount = if request.amount.trim() == "all" {
            funds.pot
        } else {
            self.tokens(&request.amount)?
        };
        if amount == Amount::ZERO || amount > funds.pot {
            let seen = format!(
                "{} asked for; the contract holds {} for this wallet",
                self.money(amount),
                self.money(funds.pot)
            );
            return Err(Problem::new(ErrorCode::NoFunds, seen).with_next("warren wallet show"));
        }
        let own = self.config.wallet.beneficiary.unwrap_or(payments.account());
        let to = request.to.or(funds.beneficiary).unwrap_or(own);
        is_somebody(to, &payments.chain_ref())?;
        if let Some(fixed) = funds.beneficiary.filter(|it| *it != to) {
            let seen = format!("to {to}; the chain lets this wallet's pot go to {fixed} only");
            let problem = Problem::new(ErrorCode::BeneficiaryFixed, seen);
            return Err(problem.with_next("warren wallet payout"));
        }
        let cost = self.cost_of(Call::Withdraw { to, amount }).await?;
        let shown = self.money(amount);
        if request.dry_run {
            let text = format!("would withdraw {shown} to {to} for about {}", gas(&cost));
            return Ok(only_asked(text, shown, &cost));
        }
        let tx = payments.withdraw(to, amount).await;
        let tx = tx.map_err(|it| problem(&it))?;
        let text = format!("withdrew {shown} to {to}");
        Ok(report(text, None, Some(tx), shown))
    }

    /// What cannot be undone is done only if the address was said twice.
    pub(super) async fn fix_beneficiary(
        &self,
        request: BeneficiaryRequest,
    ) -> Result<TransactionReport, Problem> {
        let payments = self.purse()?.payments();
        let own = payments.account();
        let (owner, to) = (request.owner.unwrap_or(own), request.to);
        let pot = payments.pot(owner).await.map_err(|it| problem(&it))?;
        self.check_way(&pot, owner, to)?;
        let shown = self.money(pot.amount);
        if pot.beneficiary == Some(to) {
            let text = format!("{} goes to {to} already", whose(owner, own));
            return Ok(report(text, None, None, shown));
        }
        let call = Call::SetBeneficiary { owner, to };
        let cost = self.cost_of(call).await?;
        let meaning = meaning(owner, own, to);
        if request.dry_run {
            let text = format!("would fix it for about {}: {meaning}", gas(&cost));
            return Ok(only_asked(text, shown, &cost));
        }
        if request.confirm != Some(to) {
            let seen = format!("{meaning}; nobody confirmed that");
            let next = consent(owner, own, to);
            return Err(Problem::new(ErrorCode::BeneficiaryConsent, seen).with_next(next));
        }
        let tx = payments.set_beneficiary(owner, to).await;
        let tx = tx.map_err(|it| problem(&it))?;
        let text = format!("fixed: {meaning}");
        Ok(report(text, None, Some(tx), shown))
    }

    /// Whether this wallet may say where the pot goes, and there.
    fn check_way(&self, pot: &Pot, owner: PayoutAddress, to: PayoutAddress) -> Result<(), Problem> {
        let payments = self.purse()?.payments();
        let (own, chain) = (payments.account(), payments.chain_ref());
        let may = pot.beneficiary.unwrap_or(owner);
        if may != own && may != to {
            let seen = format!("only {may} may say where the pot of {owner} goes, not {own}");
            return Err(Problem::new(ErrorCode::BeneficiaryFixed, seen));
        }
        is_somebody(to, &chain)?;
        if pot.beneficiary.is_none() && to == owner {
            let seen = format!("{to} is the pot's own account, whose thief it shall not go to");
            return Err(Problem::new(ErrorCode::BadRequest, seen));
        }
        Ok(())
    }

    /// Anybody may: it also serves a pot whose key is lost.
    pub(super) async fn pay_out(
        &self,
        request: PayoutRequest,
    ) -> Result<TransactionReport, Problem> {
        let payments = self.purse()?.payments();
        let owner = request.owner.unwrap_or(payments.account());
        let pot = payments.pot(owner).await.map_err(|it| problem(&it))?;
        let Some(to) = pot.beneficiary else {
            let seen = format!("no beneficiary is fixed for the pot of {owner}");
            return Err(Problem::new(ErrorCode::NoBeneficiary, seen));
        };
        let shown = self.money(pot.amount);
        if pot.amount == Amount::ZERO {
            let seen = format!("the pot of {owner} is empty");
            return Err(Problem::new(ErrorCode::NoFunds, seen).with_next("warren earn"));
        }
        let cost = self.cost_of(Call::PayOut { owner }).await?;
        if request.dry_run {
            let text = format!("would pay out {shown} to {to} for about {}", gas(&cost));
            return Ok(only_asked(text, shown, &cost));
        }
        let tx = payments.pay_out(owner).await;
        let tx = tx.map_err(|it| problem(&it))?;
        let text = format!("paid out {shown} to {to}");
        Ok(report(text, None, Some(tx), shown))
    }

    /// What a call costs, if this wallet has that much.
    async fn cost_of(&self, call: Call) -> Result<GasCost, Problem> {
        let payments = self.purse()?.payments();
        let cost = payments.cost_of(call).await.map_err(|it| problem(&it))?;
        let funds = payments.balances().await.map_err(|it| problem(&it))?;
        if cost.about > funds.coin {
            let seen = format!(
                "gas costs about {}; the wallet has {}",
                Money::of(cost.about, &coin()),
                Money::of(funds.coin, &coin())
            );
            return Err(Problem::new(ErrorCode::NoFunds, seen));
        }
        Ok(cost)
    }
}

/// Whether anybody could ever move what is sent there.
fn is_somebody(to: PayoutAddress, chain: &ChainRef) -> Result<(), Problem> {
    let lost = [PayoutAddress::ZERO, chain.contract, chain.token];
    if lost.contains(&to) {
        let seen = format!("tokens that are sent to {to} are nobody's");
        return Err(Problem::new(ErrorCode::BadRequest, seen));
    }
    Ok(())
}

fn whose(owner: PayoutAddress, own: PayoutAddress) -> String {
    if owner == own {
        "what this wallet holds in the contract".to_owned()
    } else {
        format!("what {owner} holds in the contract")
    }
}

/// What to type to agree: of this very pot, for the other one could not be freed again.
fn consent(owner: PayoutAddress, own: PayoutAddress, to: PayoutAddress) -> String {
    let whose = if owner == own {
        String::new()
    } else {
        format!(" --owner {owner}")
    };
    format!("warren wallet beneficiary {to}{whose} --yes-i-consent {to}")
}

/// What fixing means, before it is done.
fn meaning(owner: PayoutAddress, own: PayoutAddress, to: PayoutAddress) -> String {
    format!(
        "{}, and all that it will ever hold there, goes to {to} only and opens no channels; \
         this wallet cannot undo that, only {to} can pass it on",
        whose(owner, own)
    )
}

fn gas(cost: &GasCost) -> String {
    format!(
        "{} of gas, at most {}",
        Money::of(cost.about, &coin()),
        Money::of(cost.at_most, &coin())
    )
}

fn only_asked(text: String, amount: Money, cost: &GasCost) -> TransactionReport {
    TransactionReport {
        fee: Some(Money::of(cost.about, &coin())),
        fee_at_most: Some(Money::of(cost.at_most, &coin())),
        ..report(text, None, None, amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_where_nobody_could_move_it_from() {
        let [contract, token, to] = [1, 2, 3].map(|it| PayoutAddress::from_bytes([it; 20]));
        let chain = ChainRef {
            chain_id: 1,
            contract,
            token,
        };
        for lost in [PayoutAddress::ZERO, contract, token] {
            let problem = is_somebody(lost, &chain).unwrap_err();
            assert!(problem.is(ErrorCode::BadRequest), "{lost}");
        }
        is_somebody(to, &chain).unwrap();
    }

    #[test]
    fn what_is_to_be_typed_fixes_the_pot_that_was_asked_for() {
        let [own, other, to] = [1, 2, 3].map(|it| PayoutAddress::from_bytes([it; 20]));
        let said = consent(own, own, to);
        assert_eq!(
            said,
            format!("warren wallet beneficiary {to} --yes-i-consent {to}")
        );
        let said = consent(other, own, to);
        assert!(said.contains(&format!("--owner {other} ")), "{said}");
    }
}
