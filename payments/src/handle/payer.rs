//! The handle of a node that pays: open, promise, release, top up, close.

use std::time::Duration;

use warren_proto::{
    Amount, ChannelAnswer, ChannelAsk, ChannelId, NodeId, PayoutAddress, TxHash, Voucher,
    VoucherAck,
};

use super::{PayFrame, Payments, PaymentsError};
use crate::actor::Command;
use crate::channel::CloseConsent;
use crate::eip712::SessionAuth;

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
    /// is paid and [`PaymentEvent::TopUpNeeded`](crate::PaymentEvent::TopUpNeeded) says the rest.
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

    /// The voucher in force and enough of the words released to bridge any gap, for a stream that is new.
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

    /// Asks the payee's node what it holds of a channel, and with `close` to agree to close at that.
    ///
    /// # Errors
    /// [`PaymentsError::UnknownChannel`].
    pub async fn sign_ask(
        &self,
        channel: ChannelId,
        payee: NodeId,
        close: bool,
    ) -> Result<ChannelAsk, PaymentsError> {
        self.ask(|answer| Command::SignAsk {
            channel,
            payee,
            close,
            answer,
        })
        .await
    }

    /// Takes what the payee proves to hold, so that books that were lost are found again.
    ///
    /// # Errors
    /// [`PaymentsError::NotTaken`] if the proof is none.
    pub async fn payee_shows(&self, shown: ChannelAnswer) -> Result<Vec<PayFrame>, PaymentsError> {
        let shown = Box::new(shown);
        self.ask(|answer| Command::PayeeShows { shown, answer })
            .await
    }
}
