//! What others may read of a payer's channel.
//!
//! Sans-IO.

use warren_proto::Amount;

use super::{PayerChannel, Phase};
use crate::channel::ChannelTerms;
use crate::channel::event::{LockDraft, VoucherDraft};

impl PayerChannel {
    /// Which channel this is.
    #[must_use]
    pub fn terms(&self) -> &ChannelTerms {
        &self.terms
    }

    /// Which of the wallet's keys signs.
    #[must_use]
    pub fn key_index(&self) -> u32 {
        self.key_index
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

    /// Claimed by the payee on chain, confirmed.
    #[must_use]
    pub fn claimed(&self) -> Amount {
        self.claimed
    }

    /// What the payee can claim in all: signed base and released words.
    #[must_use]
    pub fn value(&self) -> Amount {
        let lane = self.lane.map_or(Amount::ZERO, |it| it.value());
        self.base.checked_add(lane).unwrap_or(Amount::MAX)
    }

    /// Whether it was found on the chain, and its payee has not yet shown what it holds.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.seq == 0 && self.slack == Amount::MAX
    }

    /// Whether its own key may hold money after its end.
    #[must_use]
    pub fn needs_sweep(&self) -> bool {
        self.phase == Phase::Closed && self.acting
    }

    /// What can still be released or promised under the confirmed deposit.
    #[must_use]
    pub fn spendable(&self) -> Amount {
        self.deposit
            .saturating_sub(self.value())
            .saturating_sub(self.hidden())
    }

    /// Units released in the run in progress.
    #[must_use]
    pub fn released(&self) -> u64 {
        self.run.released
    }

    /// Whether a transaction of this channel is on its way.
    #[must_use]
    pub fn is_acting(&self) -> bool {
        self.acting
    }

    /// The voucher in force; `None` before the first.
    #[must_use]
    pub fn draft(&self) -> Option<VoucherDraft> {
        let lock = self.lane.map(|it| LockDraft {
            tranche: it.tranche,
            unit_price: it.unit_price,
            units: it.units,
        });
        (self.seq > 0).then_some(VoucherDraft {
            seq: self.seq,
            base: self.base,
            lock,
        })
    }

    /// What a crash may have hidden: released, but not in the record.
    pub(super) fn hidden(&self) -> Amount {
        let lane = self
            .lane
            .filter(|_| self.doubt)
            .map_or(Amount::ZERO, |it| it.reserve());
        self.slack.checked_add(lane).unwrap_or(Amount::MAX)
    }
}
