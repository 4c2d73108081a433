//! Who writes receipts: asks the payments for the proof, compares, signs, keeps.

use std::time::Duration;

use warren_payments::{Evidence, Payments};
use warren_proto::{ChannelId, NodeKey, PaidBy, Receipt, SessionTerms, Side};

use super::{Counters, Receipts, agrees, body, by_channel, verify};

/// How long the payments may take to say what a channel is worth: they answer in a millisecond, and
/// a session's end does not wait for a sick disk.
const EVIDENCE: Duration = Duration::from_secs(1);

/// The node's hand for receipts; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Scribe {
    payments: Payments,
    key: NodeKey,
    receipts: Receipts,
}

impl Scribe {
    pub(crate) const fn new(payments: Payments, key: NodeKey, receipts: Receipts) -> Self {
        Self {
            payments,
            key,
            receipts,
        }
    }

    pub(crate) const fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    /// Writes and signs what `side` counted; the payments are asked about `channel` unless a route paid.
    /// `None`, and a line in the log, without proof of it.
    pub(crate) async fn half(
        &self,
        side: Side,
        terms: &SessionTerms,
        counters: &Counters,
        channel: ChannelId,
    ) -> Option<Receipt> {
        let paid_by = self.paid_by(counters, channel).await?;
        let body = body(side, terms, counters, paid_by);
        Some(Receipt::new(body).sign(side, &self.key))
    }

    /// Provider: signs the consumer's receipt too, if it is true; the answer is on disk. `None`
    /// leaves a half receipt of this side's own.
    pub(crate) async fn countersign(
        &self,
        terms: &SessionTerms,
        counters: &Counters,
        channel: ChannelId,
        receipt: Receipt,
    ) -> Option<Receipt> {
        let held = self.paid_by(counters, channel).await?;
        let why = match agrees(receipt.body(), terms, counters, &held) {
            Ok(()) if !receipt.is_signed_by(Side::Consumer) => "it is not signed".to_owned(),
            Ok(()) => match verify(&receipt) {
                Ok(_) => {
                    let whole = receipt.sign(Side::Provider, &self.key);
                    return self.keep(whole.clone()).await.then_some(whole);
                }
                Err(fault) => fault.to_string(),
            },
            Err(disagreement) => disagreement.to_string(),
        };
        tracing::warn!(session = %terms.session.short(), why, "a receipt is not countersigned");
        let body = body(Side::Provider, terms, counters, held);
        self.keep(Receipt::new(body).sign(Side::Provider, &self.key))
            .await;
        None
    }

    /// Writes a receipt to disk beside the runtime's threads; says whether it is there.
    pub(crate) async fn keep(&self, receipt: Receipt) -> bool {
        let receipts = self.receipts.clone();
        let kept = tokio::task::spawn_blocking(move || receipts.keep(&receipt)).await;
        match kept {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(%error, "a receipt is not kept");
                false
            }
            Err(_) => false, // The node ends.
        }
    }

    /// What proves the session's money: its own count of a route's words, or the channel's voucher.
    async fn paid_by(&self, counters: &Counters, channel: ChannelId) -> Option<PaidBy> {
        match &counters.route {
            Some(route) => Some(PaidBy::Route(route.clone())),
            None => Some(by_channel(&self.evidence(channel).await?)),
        }
    }

    async fn evidence(&self, channel: ChannelId) -> Option<Evidence> {
        let asked = tokio::time::timeout(EVIDENCE, self.payments.evidence(channel)).await;
        match asked {
            Ok(Ok(evidence)) => evidence,
            Ok(Err(error)) => {
                tracing::warn!(channel = %channel.short(), %error, "no proof for a receipt");
                None
            }
            Err(_) => {
                tracing::warn!(channel = %channel.short(), "no proof for a receipt in time");
                None
            }
        }
    }
}
