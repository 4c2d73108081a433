//! One transaction on its way, and what a new block means for it.
//!
//! Sans-IO.

use warren_proto::{Amount, UnixTime};

use super::event::{Job, Seen, TxEffect};
use super::fee::{self, GasPrice};
use super::manager::TxRules;
use super::{SignedTx, UnsignedTx};
use crate::chain::Fees;

/// Versions of one transaction: 12.5 % each, so the last pays some 40 times the first.
const MAX_VERSIONS: usize = 32;

/// A transaction on its way, with all its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flight {
    pub(super) job: Job,
    pub(super) gas_limit: u64,
    pub(super) price: GasPrice,
    /// Oldest first; any of them may be the one that gets in.
    pub(super) versions: Vec<SignedTx>,
    /// The newest block when the last version was sent.
    pub(super) sent_at: u64,
    pub(super) seen: Option<Seen>,
    /// Since which block the nonce has been used by a stranger.
    pub(super) lost_at: Option<u64>,
}

/// What to do about a flight at a new block.
pub(super) enum Verdict {
    Confirmed(Seen),
    /// A stranger's transaction took the nonce for good.
    Lost,
    Late,
    Patience,
}

impl Flight {
    pub(super) fn verdict(&self, head: u64, rules: &TxRules) -> Verdict {
        let deep = |since: u64| head.saturating_add(1).saturating_sub(since) >= rules.confirmations;
        let waited = head.saturating_sub(self.sent_at);
        match (self.seen, self.lost_at) {
            (Some(seen), _) if deep(seen.block) => Verdict::Confirmed(seen),
            (Some(_), _) => Verdict::Patience,
            (None, Some(since)) if deep(since) && head > since => Verdict::Lost,
            (None, Some(_)) => Verdict::Patience,
            (None, None) if waited >= rules.bump_after_blocks => Verdict::Late,
            (None, None) => Verdict::Patience,
        }
    }

    /// Pays more where it may, or at least says it again.
    pub(super) fn again(
        &self,
        nonce: u64,
        market: Option<&Fees>,
        rules: &TxRules,
        time: UnixTime,
    ) -> Option<TxEffect> {
        self.bump(nonce, market, rules, time)
            .map(TxEffect::Sign)
            .or_else(|| self.repeat())
    }

    /// Says it again as it is.
    pub(super) fn repeat(&self) -> Option<TxEffect> {
        self.versions.last().cloned().map(TxEffect::Broadcast)
    }

    /// What it may pay per gas at this time.
    pub(super) fn cap(&self, rules: &TxRules, time: UnixTime) -> Amount {
        let usual = (rules.fee_cap, rules.urgent);
        fee::cap(self.job.stake.as_ref(), self.gas_limit, time, usual)
    }

    pub(super) fn bump(
        &self,
        nonce: u64,
        market: Option<&Fees>,
        rules: &TxRules,
        time: UnixTime,
    ) -> Option<UnsignedTx> {
        if self.versions.len() >= MAX_VERSIONS {
            return None;
        }
        let price = self.price.bumped(market, self.cap(rules, time))?;
        Some(
            Self {
                price,
                ..self.clone()
            }
            .unsigned(nonce, rules.chain_id),
        )
    }

    pub(super) fn unsigned(&self, nonce: u64, chain_id: u64) -> UnsignedTx {
        UnsignedTx {
            chain_id,
            nonce,
            to: self.job.to,
            value: self.job.value,
            gas_limit: self.gas_limit,
            max_fee: self.price.max_fee,
            tip: self.price.tip,
            data: self.job.data.clone(),
        }
    }
}
