//! The handle of a node that is paid: watch, accept, claim, agree to close.

use warren_proto::{
    Amount, ChannelAnswer, ChannelAsk, ChannelId, ChannelParams, NodeId, PayErrorCode, TxHash,
    UnixTime, Voucher, WordFrame,
};

use super::{ChannelView, Claimed, Payments, PaymentsError};
use crate::actor::Command;
use crate::calls::Claim;
use crate::channel::{Accepted, CloseConsent};
use crate::eip712::SessionAuth;

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

    /// Claims all there is to claim, several claims in one transaction; answers for each channel when its
    /// claim is confirmed, or why it is not. Empty if there is nothing new.
    ///
    /// # Errors
    /// [`PaymentsError::Store`] if nothing could be saved: nothing was sent then.
    pub async fn claim_all(&self) -> Result<Vec<Claimed>, PaymentsError> {
        let mut all = Vec::new();
        for (channel, result) in self.ask(Command::ClaimAll).await? {
            let result = result.await.unwrap_or(Err(PaymentsError::Stopped));
            let result = result.and_then(|it| it.ok_or(PaymentsError::Stopped));
            all.push(Claimed { channel, result });
        }
        Ok(all)
    }

    /// Claims for another payee, at this account's gas: the money goes to the channel's payee.
    ///
    /// `deadline`: when it brings nothing, or less, in chain time; `None` if it can wait. It goes before what
    /// can wait, but never pays more for gas than the usual cap.
    ///
    /// # Errors
    /// [`PaymentsError::Transaction`] if it would bring nothing, or did not happen.
    pub async fn claim_for(
        &self,
        claim: Claim,
        deadline: Option<UnixTime>,
    ) -> Result<TxHash, PaymentsError> {
        let claim = Box::new(claim);
        let ask = |answer| Command::ClaimFor {
            claim,
            deadline,
            answer,
        };
        self.ask(ask).await
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

    /// Answers a payer's question; with a consent to close if it asked for one, and from then on
    /// nothing more is earned until that ends.
    ///
    /// `own`: this node, so that a question to another is of no use here.
    ///
    /// # Errors
    /// [`PaymentsError::NotTaken`] unless the channel's payer asked, in time.
    pub async fn answer_ask(
        &self,
        ask: ChannelAsk,
        own: NodeId,
    ) -> Result<ChannelAnswer, PaymentsError> {
        let ask = Box::new(ask);
        self.ask(|answer| Command::AnswerAsk { ask, own, answer })
            .await
    }
}
