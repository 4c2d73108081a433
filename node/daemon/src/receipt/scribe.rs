//! Who writes receipts: asks the payments for the proof, compares, signs, keeps.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
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

/// A session that is over. Its channel may pay for the next one before its receipt is written, so what
/// proves its money was asked for when it ended.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    terms: SessionTerms,
    own: Counters,
    channel: ChannelId,
    proof: Shared<BoxFuture<'static, Option<PaidBy>>>,
}

impl Past {
    pub(crate) const fn terms(&self) -> &SessionTerms {
        &self.terms
    }
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

    /// Consumer: writes and signs what this side counted; the payments are asked about `channel` unless a
    /// route paid. `None`, and a line in the log, without proof of it.
    pub(crate) async fn half(
        &self,
        terms: &SessionTerms,
        counters: &Counters,
        channel: ChannelId,
    ) -> Option<Receipt> {
        let paid_by = self.paid_by(counters, channel).await?;
        let body = body(Side::Consumer, terms, counters, paid_by);
        Some(Receipt::new(body).sign(Side::Consumer, &self.key))
    }

    /// A session ends: asks now what proves its money.
    pub(crate) fn past(&self, terms: SessionTerms, own: Counters, channel: ChannelId) -> Past {
        let (scribe, counters) = (self.clone(), own.clone());
        let proof = async move { scribe.paid_by(&counters, channel).await };
        let proof = proof.boxed().shared();
        // The question is on its way before anything of a next session can be; a task waits for the answer.
        if proof.clone().now_or_never().is_none() {
            tokio::spawn(proof.clone());
        }
        Past {
            terms,
            own,
            channel,
            proof,
        }
    }

    /// Provider: writes and signs what this side counted of a session that is over.
    pub(crate) async fn own_half(&self, past: &Past) -> Option<Receipt> {
        let body = body(
            Side::Provider,
            &past.terms,
            &past.own,
            self.proof(past).await?,
        );
        Some(Receipt::new(body).sign(Side::Provider, &self.key))
    }

    /// What proves it by now: what came late counts, as long as no other session of the channel has begun.
    async fn proof(&self, past: &Past) -> Option<PaidBy> {
        let then = past.proof.clone().await?;
        let PaidBy::Channel(at_end) = &then else {
            return Some(then);
        };
        let now = self.evidence(past.channel).await;
        let same = now.filter(|it| it.value_before == at_end.value_before);
        Some(same.map_or(then, |it| by_channel(&it)))
    }

    /// Provider: signs the consumer's receipt too, if it is true; the answer is on disk. `None`
    /// leaves a half receipt of this side's own.
    pub(crate) async fn countersign(&self, past: &Past, receipt: Receipt) -> Option<Receipt> {
        let (terms, own) = (&past.terms, &past.own);
        let held = self.proof(past).await?;
        let why = match agrees(receipt.body(), terms, own, &held) {
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
        let body = body(Side::Provider, terms, own, held);
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
            None => self.evidence(channel).await.as_ref().map(by_channel),
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
