//! What a saved step asks for, done: words derived, vouchers signed, answers collected.

use std::collections::VecDeque;

use warren_proto::{ChannelId, HashLock, PayErrorCode, Voucher, WordFrame};

use super::Task;
use super::book::{Batch, Effect};
use super::obey::reply;
use super::route::stands_alone;
use crate::channel::{
    Accepted, ChainAction, CloseConsent, PayeeEffect, PayerEffect, PayerRefusal, RoutedAccepted,
    VoucherDraft,
};
use crate::handle::{PayFrame, PaymentEvent, PaymentsError, Role, RouteOut};
use crate::words::{WordChain, WordMaster};

/// Chains of words kept at hand; one more costs 0.2 ms.
const CACHED_CHAINS: usize = 16;
/// The direct case: one lock per voucher.
pub(super) const DIRECT_LANE: u32 = 0;

/// What came of a batch, for whoever asked.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) frames: Vec<PayFrame>,
    pub(super) submissions: Vec<(ChannelId, Role, ChainAction)>,
    /// What neighbours on routes are to be told.
    pub(super) routed: Vec<RouteOut>,
    /// What kept a routed payment from going on.
    pub(super) stuck: Option<PaymentsError>,
    accepted: Option<Accepted>,
    routed_accepted: Option<RoutedAccepted>,
    consent: Option<CloseConsent>,
    refusal: Option<PaymentsError>,
}

impl Outcome {
    pub(super) fn unless_refused(mut self) -> Result<Self, PaymentsError> {
        self.refusal.take().map_or(Ok(self), Err)
    }

    pub(super) fn voucher(self, channel: ChannelId) -> Result<Voucher, PaymentsError> {
        let nothing = PaymentsError::Refused {
            channel,
            refusal: PayerRefusal::NoLock,
        };
        let newest = self.frames.into_iter().rev().find_map(|it| match it {
            PayFrame::Voucher(voucher) => Some(voucher),
            PayFrame::Word(_) => None,
        });
        newest.ok_or(nothing)
    }

    pub(super) fn accepted(self, channel: ChannelId) -> Result<Accepted, PaymentsError> {
        let internal = PaymentsError::NotTaken {
            channel,
            code: PayErrorCode::Internal,
        };
        self.accepted.ok_or(internal)
    }

    pub(super) fn routed_accepted(
        self,
        channel: ChannelId,
    ) -> Result<RoutedAccepted, PaymentsError> {
        let internal = PaymentsError::NotTaken {
            channel,
            code: PayErrorCode::Internal,
        };
        self.routed_accepted.ok_or(internal)
    }

    pub(super) fn consent(self, channel: ChannelId) -> Result<CloseConsent, PaymentsError> {
        let internal = PaymentsError::NotTaken {
            channel,
            code: PayErrorCode::Internal,
        };
        self.consent.ok_or(internal)
    }
}

/// What names a chain of words: its channel, its number there, its length. Of one number there may be
/// several: a length that the deposit does not cover is tried before one that it does.
type ChainName = (ChannelId, u64, u32);

/// Chains of words derived lately, newest last.
#[derive(Default)]
pub(super) struct WordCache(VecDeque<(ChainName, WordChain)>);

impl WordCache {
    pub(super) fn chain(
        &mut self,
        master: &WordMaster,
        channel: ChannelId,
        (tranche, units): (u64, u32),
    ) -> &WordChain {
        let key = (channel, tranche, units);
        let at = match self.0.iter().position(|(it, _)| *it == key) {
            Some(at) => at,
            None => {
                if self.0.len() >= CACHED_CHAINS {
                    self.0.pop_front();
                }
                self.0
                    .push_back((key, WordChain::derive(master, &channel, tranche, units)));
                self.0.len().saturating_sub(1)
            }
        };
        &self.0[at].1
    }
}

impl Task {
    /// Saves a batch, then performs what it asks for.
    pub(super) fn take(&mut self, batch: Batch) -> Result<Outcome, PaymentsError> {
        let now = self.now();
        let effects = self.book.commit(batch, self.store.as_ref(), now)?;
        let mut outcome = Outcome::default();
        let mut stuck = Vec::new();
        for effect in effects {
            match effect {
                Effect::Route(payment, effect) => {
                    if stuck.contains(&payment) && !stands_alone(&effect) {
                        continue; // What comes after relies on what did not happen.
                    }
                    if let Err(error) = self.perform_route(payment, effect, &mut outcome) {
                        tracing::warn!(%payment, %error, "a routed payment does not go on");
                        stuck.push(payment);
                        outcome.stuck = Some(error);
                    }
                }
                Effect::Payer(channel, effect) => self.perform_payer(channel, effect, &mut outcome),
                Effect::Payee(channel, effect) => self.perform_payee(channel, effect, &mut outcome),
            }
        }
        Ok(outcome)
    }

    fn perform_payer(&mut self, channel: ChannelId, effect: PayerEffect, outcome: &mut Outcome) {
        match effect {
            PayerEffect::SendVoucher(draft) => {
                let voucher = self.sign(channel, draft);
                outcome.frames.extend(voucher.map(PayFrame::Voucher));
            }
            PayerEffect::SendWord { tranche, units, k } => {
                let chain =
                    self.words
                        .chain(self.ring.wallet().word_master(), channel, (tranche, units));
                let word = chain.word(k).cloned();
                let frame = word.map(|word| WordFrame {
                    lane: DIRECT_LANE,
                    k,
                    word,
                });
                outcome.frames.extend(frame.map(PayFrame::Word));
            }
            PayerEffect::SendRoutedWord {
                tranche, units, k, ..
            } => {
                let chain =
                    self.words
                        .chain(self.ring.wallet().word_master(), channel, (tranche, units));
                let word = chain.word(k).cloned();
                let frame = word.map(|word| WordFrame {
                    lane: DIRECT_LANE, // The exit's number for it is put in by who asked.
                    k,
                    word,
                });
                outcome.frames.extend(frame.map(PayFrame::Word));
            }
            PayerEffect::TopUpNeeded { units_short } => {
                self.tell(PaymentEvent::TopUpNeeded {
                    channel,
                    units_short,
                });
            }
            PayerEffect::RunningLow => self.tell(PaymentEvent::RunningLow(channel)),
            PayerEffect::Refuse(refusal) => {
                outcome.refusal = Some(PaymentsError::Refused { channel, refusal });
            }
            PayerEffect::Stranger => self.is_shared(channel),
            PayerEffect::Submit(it) => outcome.submissions.push((channel, Role::Payer, it)),
            PayerEffect::Book(_) => {} // In the batch already.
        }
    }

    fn perform_payee(&mut self, channel: ChannelId, effect: PayeeEffect, outcome: &mut Outcome) {
        match effect {
            PayeeEffect::Credit(accepted) => outcome.accepted = Some(accepted),
            PayeeEffect::RoutedCredit(it) => outcome.routed_accepted = Some(it),
            PayeeEffect::Refuse(code) => {
                outcome.refusal = Some(PaymentsError::NotTaken { channel, code });
            }
            PayeeEffect::Stop(reason) => self.tell(PaymentEvent::Stop { channel, reason }),
            PayeeEffect::Submit(it) => outcome.submissions.push((channel, Role::Payee, it)),
            PayeeEffect::Consent {
                final_amount,
                not_after,
            } => {
                let chain = self.chain.chain_ref();
                let key = self.ring.wallet().account_key();
                let signature = key.sign_payee_close(&chain, &channel, final_amount, not_after);
                outcome.consent = Some(CloseConsent {
                    final_amount,
                    not_after,
                    signature,
                });
            }
            PayeeEffect::Book(_) => {} // In the batch already.
        }
    }

    pub(super) fn sign(&mut self, channel: ChannelId, draft: VoucherDraft) -> Option<Voucher> {
        let payer = self.book.payers.get(&channel)?;
        let (chain, index) = (payer.terms().chain, payer.key_index());
        let (seq, base) = (draft.seq, draft.base);
        let locks = draft.locks(|it| self.anchor(channel, (it.tranche, it.units)));
        let voucher = Voucher {
            channel,
            seq,
            base,
            locks,
            signature: [0; 64],
        };
        Some(self.ring.key(index).sign_voucher(voucher, &chain))
    }

    /// The public end of a chain of words.
    pub(super) fn anchor(&mut self, channel: ChannelId, chain: (u64, u32)) -> HashLock {
        let master = self.ring.wallet().word_master();
        self.words.chain(master, channel, chain).anchor()
    }

    /// Answers everybody who waits for `channel` to become usable.
    pub(super) fn answer_usable(
        &mut self,
        channel: ChannelId,
        result: &dyn Fn() -> Result<(), PaymentsError>,
    ) {
        let (ready, waiting) = std::mem::take(&mut self.waiting_usable)
            .into_iter()
            .partition(|(it, _): &(ChannelId, _)| *it == channel);
        self.waiting_usable = waiting;
        let ready: Vec<_> = ready;
        for (_, answer) in ready {
            reply(answer, result());
        }
    }
}
