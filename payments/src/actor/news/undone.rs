//! What a rewritten history took back from channels, however deep it was.
//!
//! Events say what happened, not what no longer did. So when a block on record has another hash,
//! every channel is read anew, and what the contract does not know any more is unlearnt: first of
//! all a deposit, for which this node may be serving.

use std::collections::BTreeSet;

use warren_proto::{Amount, ChannelId};

use super::super::Task;
use super::super::book::Batch;
use crate::chain::ChannelState;
use crate::channel::{ChainFact, PayeeChannel, PayerChannel, Phase};

/// What of a channel a rewritten history may take back.
#[derive(Clone, Copy)]
struct Known {
    phase: Phase,
    deposit: Amount,
    claimed: Amount,
}

impl Task {
    /// Channels that something could be taken back from.
    pub(super) fn alive(&self) -> Vec<ChannelId> {
        let lives = |phase: Phase| phase != Phase::Closed;
        let payers = self.book.payers.iter().filter(|(_, it)| lives(it.phase()));
        let payees = self.book.payees.iter().filter(|(_, it)| lives(it.phase()));
        let ids: BTreeSet<ChannelId> = payers
            .map(|(id, _)| *id)
            .chain(payees.map(|(id, _)| *id))
            .collect();
        ids.into_iter().collect()
    }

    /// What is to be unlearnt of a channel, now that the contract has it as `state`. Never more
    /// than was known: what is new counts when it is deep enough.
    pub(super) fn undone(
        &self,
        batch: &Batch,
        id: ChannelId,
        state: Option<&ChannelState>,
    ) -> Vec<ChainFact> {
        let payer = batch.payer(&self.book, id).map(of_payer);
        let payee = batch.payee(&self.book, id).map(of_payee);
        let Some(known) = payee.or(payer) else {
            return Vec::new();
        };
        let deposit = state.map_or(Amount::ZERO, |it| it.deposit);
        let claimed = state.map_or(Amount::ZERO, |it| it.claimed);
        let is_closing = state.is_some_and(|it| it.closes_at.is_some());
        let was_closing = matches!(known.phase, Phase::Closing { .. });
        let facts = [
            (deposit < known.deposit).then_some(ChainFact::Deposit(deposit)),
            (claimed < known.claimed).then_some(ChainFact::Claimed(claimed)),
            (was_closing && !is_closing).then_some(ChainFact::NotClosing),
        ];
        facts.into_iter().flatten().collect()
    }
}

fn of_payer(it: &PayerChannel) -> Known {
    Known {
        phase: it.phase(),
        deposit: it.deposit(),
        claimed: it.claimed(),
    }
}

fn of_payee(it: &PayeeChannel) -> Known {
    Known {
        phase: it.phase(),
        deposit: it.deposit(),
        claimed: it.claimed(),
    }
}
