//! The door of this crate: a handle to the one task that owns all channels.
//!
//! Every answer comes after what it says is on disk. Dropping an answer's future takes nothing
//! back. The task ends with the last handle.

mod types;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use warren_proto::{
    Amount, ChainRef, ChannelId, ChannelParams, PayErrorCode, PayoutAddress, TxHash, UnixTime,
    Voucher, VoucherAck, WordFrame,
};

use crate::actor::{self, Command};
use crate::chain::Chain;
use crate::channel::{Accepted, CloseConsent};
use crate::eip712::SessionAuth;
use crate::ledger::Entry;
use crate::store::ChannelStore;
use crate::wallet::Wallet;
pub use types::{ChannelView, Funds, PayFrame, PaymentEvent, PaymentsConfig, PaymentsError, Role};

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
        self.ask(|answer| Command::Withdraw { to, amount, answer })
            .await
    }

    /// Asks the chain now instead of at the next poll, and answers when that is done.
    ///
    /// # Errors
    /// [`PaymentsError::Chain`] if it does not answer.
    pub async fn refresh(&self) -> Result<(), PaymentsError> {
        self.ask(Command::Refresh).await
    }
}

/// The payer.
impl Payments {
    /// Opens a channel to `payee`; it is usable once [`Self::wait_usable`] answers.
    ///
    /// # Errors
    /// [`PaymentsError`] if it cannot be saved.
    pub async fn open_channel(
        &self,
        payee: PayoutAddress,
        deposit: Amount,
        period: Duration,
    ) -> Result<ChannelId, PaymentsError> {
        self.ask(|answer| Command::Open {
            payee,
            deposit,
            period,
            answer,
        })
        .await
    }

    /// Answers when the deposit is confirmed, or when opening failed. For either role; a payee
    /// may wait for a channel it was only told of, and should not wait for ever.
    ///
    /// # Errors
    /// [`PaymentsError::Transaction`] if it was not opened.
    pub async fn wait_usable(&self, channel: ChannelId) -> Result<(), PaymentsError> {
        self.ask(|answer| Command::WaitUsable { channel, answer })
            .await
    }

    /// Begins a session's payments: a voucher with a lock at `unit_price`. Units count from here.
    ///
    /// # Errors
    /// [`PaymentsError::Refused`] if the deposit does not cover one unit.
    pub async fn prepare_lock(
        &self,
        channel: ChannelId,
        unit_price: Amount,
    ) -> Result<Voucher, PaymentsError> {
        self.ask(|answer| Command::PrepareLock {
            channel,
            unit_price,
            answer,
        })
        .await
    }

    /// Signs that this channel is used in one session with one payee.
    ///
    /// # Errors
    /// [`PaymentsError::UnknownChannel`].
    pub async fn sign_auth(&self, auth: SessionAuth) -> Result<[u8; 64], PaymentsError> {
        self.ask(|answer| Command::SignAuth { auth, answer }).await
    }

    /// Pays `total_units` in all since [`Self::prepare_lock`]: what to send for it, maybe nothing.
    ///
    /// Asking for less than before is harmless. If the deposit does not cover all, what it covers
    /// is paid and [`PaymentEvent::TopUpNeeded`] says the rest.
    ///
    /// # Errors
    /// [`PaymentsError::Refused`] while the channel is closing.
    pub async fn release(
        &self,
        channel: ChannelId,
        total_units: u64,
    ) -> Result<Vec<PayFrame>, PaymentsError> {
        self.ask(|answer| Command::Release {
            channel,
            total_units,
            answer,
        })
        .await
    }

    /// Ends a session's payments: the voucher that folds all released words.
    ///
    /// # Errors
    /// [`PaymentsError::Refused`] if nothing was ever promised.
    pub async fn finish(&self, channel: ChannelId) -> Result<Voucher, PaymentsError> {
        self.ask(|answer| Command::Finish { channel, answer }).await
    }

    /// The voucher in force and the last word released, for a stream that is new.
    ///
    /// # Errors
    /// [`PaymentsError::UnknownChannel`].
    pub async fn repeat(&self, channel: ChannelId) -> Result<Vec<PayFrame>, PaymentsError> {
        self.ask(|answer| Command::Repeat { channel, answer }).await
    }

    /// Takes the payee's word for what it holds, within what a crash here may have hidden.
    ///
    /// To be called with every `VoucherAck`; answers what to send for it, mostly nothing.
    ///
    /// # Errors
    /// [`PaymentsError::Refused`] if the payee claims more than it can hold.
    pub async fn payee_saw(&self, ack: VoucherAck) -> Result<Vec<PayFrame>, PaymentsError> {
        self.ask(|answer| Command::PayeeSaw { ack, answer }).await
    }

    /// Deposits more; usable after confirmation.
    ///
    /// # Errors
    /// [`PaymentsError::Transaction`] if it did not happen.
    pub async fn top_up(
        &self,
        channel: ChannelId,
        amount: Amount,
    ) -> Result<TxHash, PaymentsError> {
        self.ask(|answer| Command::TopUp {
            channel,
            amount,
            answer,
        })
        .await
    }

    /// Closes: at once with the payee's consent, else by starting the close window, after which
    /// the rest is taken back by itself. Answers when that transaction is confirmed.
    ///
    /// # Errors
    /// [`PaymentsError`] if it did not happen.
    pub async fn close(
        &self,
        channel: ChannelId,
        consent: Option<CloseConsent>,
    ) -> Result<TxHash, PaymentsError> {
        self.ask(|answer| Command::Close {
            channel,
            consent,
            answer,
        })
        .await
    }
}

/// The payee.
impl Payments {
    /// Checks that the payer of `params` wants to use this channel here: `signature` over `auth`.
    ///
    /// The channel itself is found on the chain; until then its phase is `Opening`, and
    /// [`Self::wait_usable`] says when that is over.
    ///
    /// # Errors
    /// [`PayErrorCode`] in [`PaymentsError::NotTaken`]: other payee, bad signature, expired.
    pub async fn watch(
        &self,
        params: ChannelParams,
        auth: SessionAuth,
        signature: [u8; 64],
    ) -> Result<ChannelView, PaymentsError> {
        self.ask(|answer| Command::Watch {
            params,
            auth,
            signature,
            answer,
        })
        .await
    }

    /// Counts units and money from here, and asks `unit_price` of new locks at least.
    ///
    /// # Errors
    /// [`PaymentsError::UnknownChannel`].
    pub async fn begin_session(
        &self,
        channel: ChannelId,
        unit_price: Amount,
    ) -> Result<Accepted, PaymentsError> {
        self.ask(|answer| Command::BeginSession {
            channel,
            unit_price,
            answer,
        })
        .await
    }

    /// Takes a voucher if it is good; it is on disk when this answers.
    ///
    /// # Errors
    /// [`PayErrorCode`]; what was held stays held.
    pub async fn accept_voucher(&self, voucher: Voucher) -> Result<Accepted, PayErrorCode> {
        self.ask(|answer| Command::Voucher { voucher, answer })
            .await
            .map_err(|it| it.code())
    }

    /// Takes a word if it is good.
    ///
    /// # Errors
    /// [`PayErrorCode`]; what was known stays known.
    pub async fn accept_word(
        &self,
        channel: ChannelId,
        word: WordFrame,
    ) -> Result<Accepted, PayErrorCode> {
        self.ask(|answer| Command::Word {
            channel,
            word,
            answer,
        })
        .await
        .map_err(|it| it.code())
    }

    /// What this payee holds of a channel.
    ///
    /// # Errors
    /// [`PaymentsError::UnknownChannel`].
    pub async fn held(&self, channel: ChannelId) -> Result<Accepted, PaymentsError> {
        self.ask(|answer| Command::Held { channel, answer }).await
    }

    /// What claims would bring now.
    ///
    /// # Errors
    /// [`PaymentsError::Stopped`].
    pub async fn claimable(&self) -> Result<Amount, PaymentsError> {
        self.ask(Command::Claimable).await
    }

    /// Claims; answers the transaction when it is confirmed, `None` if there is nothing new.
    ///
    /// # Errors
    /// [`PaymentsError::Transaction`] if it did not happen.
    pub async fn claim(&self, channel: ChannelId) -> Result<Option<TxHash>, PaymentsError> {
        self.ask(|answer| Command::Claim { channel, answer }).await
    }

    /// Agrees to close at what is held now. Until `not_after` nothing more can be earned.
    ///
    /// # Errors
    /// [`PaymentsError::NotTaken`] if the channel is not open.
    pub async fn consent_to_close(
        &self,
        channel: ChannelId,
        not_after: UnixTime,
    ) -> Result<CloseConsent, PaymentsError> {
        self.ask(|answer| Command::Consent {
            channel,
            not_after,
            answer,
        })
        .await
    }

    /// Gives the rest of the deposit back to the payer; claim first.
    ///
    /// # Errors
    /// [`PaymentsError::Transaction`] if it did not happen.
    pub async fn give_back(&self, channel: ChannelId) -> Result<TxHash, PaymentsError> {
        self.ask(|answer| Command::GiveBack { channel, answer })
            .await
    }
}
