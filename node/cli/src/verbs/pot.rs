//! `warren withdraw`, `warren wallet beneficiary`, `warren wallet payout`: tokens out of the contract.

use warren_daemon::api::types::{BeneficiaryRequest, PayoutRequest, WithdrawRequest};
use warren_daemon::error::{ErrorCode, Problem};
use warren_proto::PayoutAddress;

use super::money::transaction_page;
use super::{Desk, Told};
use crate::args::{BeneficiaryArgs, PayoutArgs, WithdrawArgs};
use crate::page::Page;

fn address(text: &str) -> Result<PayoutAddress, Problem> {
    let parsed = text.parse();
    parsed.map_err(|it| Problem::new(ErrorCode::BadRequest, it))
}

pub(super) async fn withdraw(desk: &mut Desk<'_>, args: &WithdrawArgs) -> Told {
    let request = WithdrawRequest {
        to: args.to.as_deref().map(address).transpose()?,
        amount: args.amount.clone(),
        dry_run: args.dry_run,
    };
    let client = desk.client()?;
    desk.screen.doing("withdrawing");
    let report = client.withdraw(&request).await;
    let report = report.map_err(|it| it.problem())?;
    Ok(transaction_page(&report).next("warren wallet show"))
}

pub(super) async fn beneficiary(desk: &mut Desk<'_>, args: &BeneficiaryArgs) -> Told {
    let client = desk.client()?;
    let Some(to) = &args.to else {
        let wallet = client.wallet().await.map_err(|it| it.problem())?;
        let sentence = match wallet.beneficiary {
            Some(to) => format!("What this wallet holds in the contract goes to {to} only."),
            None => {
                "What this wallet holds in the contract may go anywhere that its key says.".into()
            }
        };
        let page = Page::of(&wallet, sentence);
        return Ok(page.next("warren wallet show"));
    };
    let mut request = BeneficiaryRequest {
        to: address(to)?,
        owner: args.owner.as_deref().map(address).transpose()?,
        confirm: args.yes_i_consent.as_deref().map(address).transpose()?,
        dry_run: true,
    };
    if !args.dry_run {
        if request.confirm.is_none() {
            let asked = client.fix_beneficiary(&request).await;
            let asked = asked.map_err(|it| it.problem())?;
            let question = format!(
                "{}.\n\nThis cannot be undone. To go on, type the address again:",
                asked.text
            );
            let typed = desk.screen.ask(&question);
            request.confirm = typed.as_deref().map(address).transpose()?;
        }
        request.dry_run = false;
        desk.screen.doing("fixing the beneficiary");
    }
    let report = client.fix_beneficiary(&request).await;
    let report = report.map_err(|it| it.problem())?;
    Ok(transaction_page(&report).next("warren wallet show"))
}

pub(super) async fn payout(desk: &mut Desk<'_>, args: &PayoutArgs) -> Told {
    let request = PayoutRequest {
        owner: args.owner.as_deref().map(address).transpose()?,
        dry_run: args.dry_run,
    };
    let client = desk.client()?;
    desk.screen.doing("paying out");
    let report = client.pay_out(&request).await;
    let report = report.map_err(|it| it.problem())?;
    Ok(transaction_page(&report).next("warren wallet show"))
}
