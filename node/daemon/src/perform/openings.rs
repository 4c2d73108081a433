//! How many channels may be opened for sessions that come one after the other, and whether there is money for one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use warren_payments::Funds;
use warren_proto::{Amount, ChannelId, PayoutAddress};

use super::found::hear_chain;
use super::{Purse, problem};
use crate::error::{ErrorCode, Problem};

/// Leave to open one channel: each costs gas and binds its deposit for a close window, and exits that grant and
/// never serve must not cost one each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Openings(Arc<AtomicBool>);

impl Openings {
    /// Whether the leave was used.
    #[cfg(test)]
    pub(crate) fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// A session was served: the user got what the channel was for, and may fall back once more.
    pub(crate) fn renew(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Uses the leave for `open`; keeps it if nothing was opened.
    ///
    /// # Errors
    /// What `open` says, or that there is no leave.
    pub(crate) async fn once<T>(
        &self,
        open: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        if self.0.swap(true, Ordering::Relaxed) {
            let seen = "this `up` has opened a channel already to an exit that did not serve, and opens no second one";
            return Err(Problem::new(ErrorCode::OneOpening, seen));
        }
        let opened = open.await;
        if opened.is_err() {
            self.renew();
        }
        opened
    }
}

/// Held by a session as long as it is to be paid for; what pays asks [`Payable`] right before it does.
#[derive(Debug, Default)]
pub(crate) struct ToPay(Arc<()>);

impl ToPay {
    /// For a task that outlives the session, or may.
    pub(crate) fn payable(&self) -> Payable {
        Payable(Arc::downgrade(&self.0))
    }
}

/// Whether the session that money is for is there still.
#[derive(Debug, Clone)]
pub(crate) struct Payable(Weak<()>);

impl Payable {
    /// To be asked before money moves, and never in the middle of it.
    ///
    /// # Errors
    /// [`ErrorCode::NotUp`] once the session is over.
    pub(crate) fn demand(&self) -> Result<(), Problem> {
        if self.0.strong_count() > 0 {
            return Ok(());
        }
        let seen = "the session that this was to pay for is over";
        Err(Problem::new(ErrorCode::NotUp, seen))
    }
}

/// Whether a channel can be opened: room on the disk, a chain that is known, and money.
///
/// # Errors
/// [`Problem`] says what is missing.
pub(crate) async fn can_open(purse: &Purse, deposit: Amount) -> Result<(), Problem> {
    purse.headroom.demand()?;
    hear_chain(purse).await?;
    check_funds(purse, deposit).await
}

/// Opens a channel, if there is money for it.
pub(crate) async fn open(
    purse: &Purse,
    payee: PayoutAddress,
    deposit: Amount,
    period: Duration,
) -> Result<ChannelId, Problem> {
    can_open(purse, deposit).await?;
    let opened = purse.payments().open_channel(payee, deposit, period).await;
    opened.map_err(|it| problem(&it))
}

/// Whether `deposit` can be had, and coin to move it.
pub(crate) async fn check_funds(purse: &Purse, deposit: Amount) -> Result<(), Problem> {
    let funds = purse.payments().balances().await;
    let funds = funds.map_err(|it| problem(&it))?;
    let say = |have| format!("a channel needs {deposit} base units; the wallet has {have}");
    covers(&funds, deposit, say)
}

/// Whether `funds` cover `deposit` and leave coin to move it; `say` tells a person what there is instead.
pub(crate) fn covers(
    funds: &Funds,
    deposit: Amount,
    say: impl FnOnce(Amount) -> String,
) -> Result<(), Problem> {
    // A pot with a beneficiary opens no channels.
    let free = funds.pot.min(match funds.beneficiary {
        Some(_) => Amount::ZERO,
        None => Amount::MAX,
    });
    let have = funds.wallet.checked_add(free).unwrap_or(Amount::MAX);
    if have < deposit {
        return Err(Problem::new(ErrorCode::NoFunds, say(have)));
    }
    if funds.coin == Amount::ZERO {
        let seen = "the wallet has tokens, but no coin to pay for transactions";
        return Err(Problem::new(ErrorCode::NoFunds, seen));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_channel_is_opened_until_an_exit_served_and_a_failed_one_does_not_count() {
        let openings = Openings::default();
        let failed = Problem::new(ErrorCode::ChainUnreachable, "no answer");
        let none = openings.once(async { Err::<u8, _>(failed) }).await;
        assert!(none.is_err() && !openings.is_spent());
        let first = openings.clone().once(async { Ok(1) }).await;
        assert!(first.is_ok() && openings.is_spent());
        let second = openings.once(async { Ok(2) }).await;
        assert!(second.is_err_and(|it| it.is(ErrorCode::OneOpening)));
        openings.renew();
        assert!(openings.once(async { Ok(3) }).await.is_ok());
    }
}
