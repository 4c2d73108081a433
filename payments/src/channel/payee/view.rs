//! What others may read of a payee's channel.
//!
//! Sans-IO.

use warren_proto::{Amount, UnixTime, Voucher, VoucherAck, WordFrame};

use super::{DOUBT, PayeeChannel, Phase};
use crate::calls::{Claim, Reveal};
use crate::channel::ChannelTerms;
use crate::channel::event::Accepted;
use crate::channel::router::rules::at_last_moment;
use crate::voucher::VerifiedVoucher;

impl PayeeChannel {
    /// Which channel this is.
    #[must_use]
    pub fn terms(&self) -> &ChannelTerms {
        &self.terms
    }

    /// Where it stands on chain.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Confirmed deposit.
    #[must_use]
    pub fn deposit(&self) -> Amount {
        self.deposit
    }

    /// Claimed on chain, confirmed.
    #[must_use]
    pub fn claimed(&self) -> Amount {
        self.claimed
    }

    /// Whether a claim is on its way.
    #[must_use]
    pub fn is_claiming(&self) -> bool {
        self.claiming.is_some()
    }

    /// What a claim would bring in all, the part already claimed included.
    #[must_use]
    pub fn value(&self, now: UnixTime) -> Amount {
        self.held.value(now.as_secs())
    }

    /// What of it this payee was paid for itself, routes aside.
    pub(super) fn direct_value(&self, now: UnixTime) -> Amount {
        self.value(now).saturating_sub(self.routed_value(now))
    }

    /// What a claim would bring now, beyond what is claimed.
    #[must_use]
    pub fn claimable(&self, now: UnixTime) -> Amount {
        self.value(now)
            .min(self.deposit)
            .saturating_sub(self.claimed)
    }

    /// What a claim would have brought without the run in progress, or the last one: what routes paid
    /// meanwhile is in it, for it is no pay for that run.
    #[must_use]
    pub fn value_before(&self, now: UnixTime) -> Amount {
        self.value(now).saturating_sub(self.accepted(now).paid)
    }

    /// Earned, and not written in the ledger yet.
    #[must_use]
    pub fn unbooked(&self, now: UnixTime) -> Amount {
        // What the chain paid was earned, though a restored store may not know for what; and once
        // the channel is closed, nothing else is.
        let value = match self.phase {
            Phase::Closed => self.claimed,
            Phase::Opening | Phase::Open | Phase::Closing { .. } => {
                self.value(now).max(self.claimed)
            }
        };
        value.saturating_sub(self.booked)
    }

    /// What the payer has paid, as the session counts it.
    #[must_use]
    pub fn accepted(&self, now: UnixTime) -> Accepted {
        let paid = self.direct_value(now).saturating_sub(self.run.from);
        let units = paid
            .wei()
            .checked_div(self.run.unit_price.wei())
            .unwrap_or(0);
        let units = u64::try_from(units).unwrap_or(u64::MAX);
        Accepted {
            units,
            paid,
            ack: self.acknowledgement(now),
        }
    }

    /// The claim as it stands; `None` if it brings nothing. Built from the record alone.
    #[must_use]
    pub fn claim_now(&self, now: UnixTime) -> Option<Claim> {
        let voucher = self.held.voucher.as_ref()?;
        // What is over when the block comes would undo the rest.
        let now = at_last_moment(now);
        if self.claimable(now) == Amount::ZERO || self.phase == Phase::Closed {
            return None;
        }
        let lanes = (0_u16..).zip(&self.held.lanes);
        let reveals = lanes
            .filter(|(_, it)| it.known > 0 && it.is_live(now.as_secs()))
            .map(|(index, it)| Reveal {
                index,
                k: it.known,
                word: it.word.clone(),
            })
            .collect();
        Some(Claim {
            params: self.terms.params,
            voucher: voucher.get().clone(),
            reveals,
        })
    }

    /// The best voucher; `None` before the first.
    #[must_use]
    pub fn voucher(&self) -> Option<&Voucher> {
        self.held.voucher.as_ref().map(VerifiedVoucher::get)
    }

    /// The best word of each lock that has one and lives.
    #[must_use]
    pub fn best_words(&self, now: UnixTime) -> Vec<WordFrame> {
        let lanes = (0_u32..).zip(&self.held.lanes);
        lanes
            .filter(|(_, it)| it.known > 0 && it.is_live(now.as_secs()))
            .map(|(lane, it)| WordFrame {
                lane,
                k: it.known,
                word: it.word.clone(),
            })
            .collect()
    }

    /// Hashes the contract does for [`Self::claim_now`].
    #[must_use]
    pub fn claim_words(&self) -> u32 {
        self.held.units_known()
    }

    /// What this payee holds, as told to the payer.
    #[must_use]
    pub fn acknowledgement(&self, now: UnixTime) -> VoucherAck {
        VoucherAck {
            channel: self.terms.id,
            seq: self.held.voucher.as_ref().map_or(0, |it| it.get().seq),
            value_now: self.value(now),
            covered: self.deposit,
        }
    }

    /// Whether a consent to close could still be used against what is earned now, or was: an old view of the chain
    /// does not tell.
    pub(super) fn has_consented(&self, now: UnixTime) -> bool {
        self.consent
            .is_some_and(|it| self.stale || now <= it.plus(DOUBT))
    }

    /// A consent that nobody used is over once a fresh view shows it.
    pub(super) fn without_lapsed(mut self, now: UnixTime) -> Self {
        self.consent = self.consent.filter(|_| self.has_consented(now));
        self
    }
}
