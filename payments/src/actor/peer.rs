//! What the two ends ask each other beside sessions: what is held, and whether to close at that.

use std::time::Duration;

use warren_proto::{ChannelAnswer, ChannelAsk, ChannelId, NodeId, PayErrorCode};

use super::{Task, wall_clock};
use crate::channel::{PayeeChannel, PayeeEvent, PayerEvent, Shown};
use crate::eip712;
use crate::handle::{PayFrame, PaymentsError};
use crate::voucher::{VerifiedVoucher, verify_signature};

// Our choices. A consent binds the payee for so long: a minute or two of blocks, with room.
const ASK_LIFE: Duration = Duration::from_secs(300);
const MAX_ASK_LIFE: Duration = Duration::from_secs(600);

impl Task {
    pub(super) fn sign_ask(
        &self,
        channel: ChannelId,
        payee: &NodeId,
        close: bool,
    ) -> Result<ChannelAsk, PaymentsError> {
        let unknown = PaymentsError::UnknownChannel { channel };
        let payer = self.book.payers.get(&channel).ok_or(unknown)?;
        let (terms, key) = (*payer.terms(), self.ring.key(payer.key_index()));
        let not_after = self.now().plus(ASK_LIFE);
        let ask = ChannelAsk {
            channel: terms.params,
            close,
            not_after,
            signature: [0; 64],
        };
        Ok(key.sign_channel_ask(ask, &terms.chain, payee))
    }

    /// Only the payer may ask: a consent stops its payee from earning.
    pub(super) fn answer_ask(
        &mut self,
        ask: &ChannelAsk,
        own: &NodeId,
    ) -> Result<ChannelAnswer, PaymentsError> {
        let chain = self.chain.chain_ref();
        let channel = ask.channel.id(&chain);
        let refuse = |code| PaymentsError::NotTaken { channel, code };
        let unknown = || PaymentsError::UnknownChannel { channel };
        let payer = self.book.payees.get(&channel).ok_or_else(unknown)?;
        let payer = payer.terms().params.payer;
        if wall_clock() > ask.not_after {
            return Err(refuse(PayErrorCode::ExpiryTooSoon));
        }
        if ask.not_after.since(wall_clock()) > MAX_ASK_LIFE {
            return Err(refuse(PayErrorCode::ExpiryTooFar));
        }
        let digest = eip712::channel_ask(&chain, ask, own);
        verify_signature(&digest, &ask.signature, &payer)
            .map_err(|_| refuse(PayErrorCode::BadSignature))?;
        let consent = if ask.close {
            let not_after = ask.not_after;
            let outcome = self.earn(channel, &PayeeEvent::ConsentAsked { not_after })?;
            Some(outcome.consent(channel)?)
        } else {
            None
        };
        let (now, held) = (self.now(), self.book.payees.get(&channel));
        Ok(ChannelAnswer {
            channel,
            voucher: held.and_then(PayeeChannel::voucher).cloned(),
            best: held.map(|it| it.best_words(now)).unwrap_or_default(),
            consent,
        })
    }

    pub(super) fn payee_shows(
        &mut self,
        shown: ChannelAnswer,
    ) -> Result<Vec<PayFrame>, PaymentsError> {
        let channel = shown.channel;
        let unknown = PaymentsError::UnknownChannel { channel };
        let terms = *self.book.payers.get(&channel).ok_or(unknown)?.terms();
        let refuse = |code| PaymentsError::NotTaken { channel, code };
        let proved = match shown.voucher {
            Some(voucher) => {
                let verified = VerifiedVoucher::verify(voucher, &terms.params, &terms.chain)
                    .map_err(|_| refuse(PayErrorCode::BadSignature))?;
                Shown::prove(verified, &shown.best).map_err(|_| refuse(PayErrorCode::BadWord))?
            }
            None => Shown::default(),
        };
        let event = PayerEvent::Shown(proved);
        self.pay(channel, &event).map(|it| it.frames)
    }
}
