//! What a channel is worth and what proves it, from either end.

use warren_proto::{Amount, ChannelId, WordFrame};

use super::Task;
use super::perform::DIRECT_LANE;
use crate::channel::PayeeChannel;
use crate::evidence::Evidence;
use crate::handle::PaymentsError;
use crate::ledger::Books;

impl Task {
    /// `None` before the first voucher.
    pub(super) fn evidence(
        &mut self,
        channel: ChannelId,
    ) -> Result<Option<Evidence>, PaymentsError> {
        if let Some(payee) = self.book.payees.get(&channel) {
            return Ok(self.held_by(payee));
        }
        let unknown = PaymentsError::UnknownChannel { channel };
        let payer = self.book.payers.get(&channel).ok_or(unknown)?;
        let Some(draft) = payer.draft() else {
            return Ok(None);
        };
        let (params, value, tip) = (payer.terms().params, payer.value(), payer.tip());
        let value_before = payer.value_before();
        let Some(voucher) = self.sign(channel, draft) else {
            return Ok(None);
        };
        let word = tip.and_then(|(lane, k)| self.word(channel, lane, k));
        Ok(Some(Evidence {
            params,
            voucher,
            best: word.into_iter().collect(),
            value,
            value_before,
        }))
    }

    fn held_by(&self, payee: &PayeeChannel) -> Option<Evidence> {
        let now = self.now();
        Some(Evidence {
            params: payee.terms().params,
            voucher: payee.voucher()?.clone(),
            best: payee.best_words(now),
            value: payee.value(now),
            value_before: payee.value_before(now),
        })
    }

    fn word(&mut self, channel: ChannelId, lane: (u64, u32), k: u32) -> Option<WordFrame> {
        let master = self.ring.wallet().word_master();
        let word = self.words.chain(master, channel, lane).word(k).cloned();
        word.map(|word| WordFrame {
            lane: DIRECT_LANE,
            k,
            word,
        })
    }

    /// The ledger's sums, and what is released but not folded yet: a payer's words are written
    /// down with the voucher that folds them, a payee's when some have come together.
    pub(super) fn books(&self) -> Books {
        let mut books = self.book.books.clone();
        let now = self.now();
        for channel in self.book.payees.values() {
            let unbooked = channel.unbooked(now);
            if unbooked > Amount::ZERO {
                books.is_earning(channel.terms().id, unbooked);
            }
        }
        for channel in self.book.payers.values() {
            let id = channel.terms().id;
            let paid = books.channel(&id).paid;
            let under_way = channel.value().saturating_sub(paid);
            if channel.phase() != crate::channel::Phase::Closed && under_way > Amount::ZERO {
                books.is_releasing(id, under_way);
            }
        }
        books
    }
}
