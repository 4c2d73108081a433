//! The door of this crate: a handle to the one task that owns all channels.
//!
//! Every answer comes after what it says is on disk. Dropping an answer's future takes nothing
//! back. The task ends with the last handle.

mod payee;
mod payer;
mod route;
mod types;

use std::fmt;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use warren_proto::{Amount, ChainRef, ChannelId, PayoutAddress, TxHash};

use crate::actor::{self, Command};
use crate::calls::Call;
use crate::chain::Chain;
use crate::evidence::Evidence;
use crate::ledger::{Books, Entry};
use crate::store::ChannelStore;
use crate::wallet::Wallet;
pub use route::{RouteAsk, RouteAskError, RouteOut, RouteView, TakenLock};
pub use types::{
    ChainTrouble, ChannelView, ClaimOutlook, Claimed, Funds, GasCost, PayFrame, PaymentEvent,
    PaymentsConfig, PaymentsError, Pot, Role,
};

/// Commands that may wait for the task.
const INBOX: usize = 256;
/// News that may wait for whoever listens; more are dropped, for the state can always be asked.
const OUTBOX: usize = 256;

/// A handle to the payments task; cheap to clone.
#[derive(Clone)]
pub struct Payments {
    inbox: mpsc::Sender<Command>,
    chain: ChainRef,
    account: PayoutAddress,
}

pub(crate) type Answer<T> = oneshot::Sender<Result<T, PaymentsError>>;

impl Payments {
    /// Reads all records, then starts the task. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`PaymentsError`] if a record cannot be read: better not to run than to forget money.
    pub fn start(
        chain: Arc<dyn Chain>,
        store: Arc<dyn ChannelStore>,
        wallet: Wallet,
        config: PaymentsConfig,
    ) -> Result<(Self, mpsc::Receiver<PaymentEvent>), PaymentsError> {
        let (inbox, commands) = mpsc::channel(INBOX);
        let (outbox, events) = mpsc::channel(OUTBOX);
        let handle = Self {
            inbox,
            chain: chain.chain_ref(),
            account: wallet.account(),
        };
        actor::start(chain, store, wallet, config, (commands, outbox))?;
        Ok((handle, events))
    }

    /// The contract this node pays through.
    #[must_use]
    pub const fn chain_ref(&self) -> ChainRef {
        self.chain
    }

    /// The account that pays and is paid.
    #[must_use]
    pub const fn account(&self) -> PayoutAddress {
        self.account
    }

    async fn ask<T>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, PaymentsError> {
        let (answer, result) = oneshot::channel();
        self.inbox
            .send(command(answer))
            .await
            .map_err(|_| PaymentsError::Stopped)?;
        result.await.unwrap_or(Err(PaymentsError::Stopped))
    }
}

impl fmt::Debug for Payments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payments({})", self.account)
    }
}

/// Both roles.
impl Payments {
    /// Every channel.
    ///
    /// # Errors
    /// [`PaymentsError::Stopped`].
    pub async fn channels(&self) -> Result<Vec<ChannelView>, PaymentsError> {
        self.ask(Command::Channels).await
    }

    /// Every ledger entry, oldest first.
    ///
    /// # Errors
    /// [`PaymentsError`] if the store cannot be read.
    pub async fn ledger(&self) -> Result<Vec<Entry>, PaymentsError> {
        self.ask(Command::Ledger).await
    }

    /// Whether its store has heard the whole chain once: until then there may be channels that nobody here knows of.
    ///
    /// # Errors
    /// [`PaymentsError::Stopped`].
    pub async fn has_heard(&self) -> Result<bool, PaymentsError> {
        self.ask(Command::HasHeard).await
    }

    /// Whether the endpoints of the chain agree on its news, as of the last looks; asks nothing.
    ///
    /// # Errors
    /// [`PaymentsError::Chain`] with what they do not agree on, if they did not twice in a row.
    pub async fn trusted(&self) -> Result<(), PaymentsError> {
        self.ask(Command::Trusted).await
    }

    /// Whether the view of the chain is new enough for vouchers to be taken and promised; asks nothing.
    ///
    /// # Errors
    /// [`PaymentsError::Stopped`].
    pub async fn is_fresh(&self) -> Result<bool, PaymentsError> {
        self.ask(Command::IsFresh).await
    }

    /// What the ledger says in sum, and of each channel.
    ///
    /// # Errors
    /// [`PaymentsError::Stopped`].
    pub async fn books(&self) -> Result<Books, PaymentsError> {
        self.ask(Command::Books).await
    }

    /// What a channel is worth and what proves it, from either end; `None` before its first voucher.
    ///
    /// # Errors
    /// [`PaymentsError::UnknownChannel`].
    pub async fn evidence(&self, channel: ChannelId) -> Result<Option<Evidence>, PaymentsError> {
        self.ask(|answer| Command::Evidence { channel, answer })
            .await
    }

    /// All money, asked of the chain now.
    ///
    /// # Errors
    /// [`PaymentsError::Chain`] if it does not answer.
    pub async fn balances(&self) -> Result<Funds, PaymentsError> {
        self.ask(Command::Balances).await
    }

    /// Takes `amount` out of the contract to `to`; answers when it is confirmed.
    ///
    /// # Errors
    /// [`PaymentsError::Transaction`].
    pub async fn withdraw(
        &self,
        to: PayoutAddress,
        amount: Amount,
    ) -> Result<TxHash, PaymentsError> {
        self.send(Call::Withdraw { to, amount }).await
    }

    /// Fixes where `owner`'s pot may go, for ever: only `to` itself can pass it on. Answers when it is
    /// confirmed.
    ///
    /// # Errors
    /// [`PaymentsError::Transaction`], as for a pot whose way is fixed to somebody else already.
    pub async fn set_beneficiary(
        &self,
        owner: PayoutAddress,
        to: PayoutAddress,
    ) -> Result<TxHash, PaymentsError> {
        self.send(Call::SetBeneficiary { owner, to }).await
    }

    /// Sends `owner`'s whole pot to its beneficiary; answers when it is confirmed. Anyone may.
    ///
    /// # Errors
    /// [`PaymentsError::Transaction`] if it is empty, or has no beneficiary.
    pub async fn pay_out(&self, owner: PayoutAddress) -> Result<TxHash, PaymentsError> {
        self.send(Call::PayOut { owner }).await
    }

    async fn send(&self, call: Call) -> Result<TxHash, PaymentsError> {
        let call = Box::new(call);
        self.ask(|answer| Command::Send { call, answer }).await
    }

    /// What a call by this account would cost now; changes nothing.
    ///
    /// # Errors
    /// [`PaymentsError::Unfunded`] or [`PaymentsError::Transaction`] if it could not be done.
    pub async fn cost_of(&self, call: Call) -> Result<GasCost, PaymentsError> {
        let call = Box::new(call);
        self.ask(|answer| Command::CostOf { call, answer }).await
    }

    /// Anybody's pot, asked of the chain now.
    ///
    /// # Errors
    /// [`PaymentsError::Chain`] if it does not answer.
    pub async fn pot(&self, owner: PayoutAddress) -> Result<Pot, PaymentsError> {
        self.ask(|answer| Command::Pot { owner, answer }).await
    }

    /// What claiming everything would cost now, and how much of it is claimed without being asked for.
    ///
    /// # Errors
    /// [`PaymentsError::Stopped`] if payments have ended.
    pub async fn claim_outlook(&self) -> Result<ClaimOutlook, PaymentsError> {
        self.ask(Command::ClaimOutlook).await
    }

    /// Asks the chain now instead of at the next poll, and answers when that is done.
    ///
    /// # Errors
    /// [`PaymentsError::Chain`] if it does not answer.
    pub async fn refresh(&self) -> Result<(), PaymentsError> {
        self.ask(Command::Refresh).await
    }
}
