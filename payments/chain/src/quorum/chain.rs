//! What each question to the chain means where several endpoints answer it.

use std::collections::BTreeMap;

use warren_proto::{Amount, ChainRef, ChannelId, PayoutAddress, TxHash};

use super::ballot::{Ballot, Place, Verdict};
use super::seat::{At, question};
use super::{Heard, Quorum};
use crate::calls::known::most_gas;
use crate::error::Remedy;
use crate::{
    CallRequest, Chain, ChainError, ChainEvent, ChainFuture, ChannelState, Endpoints, EventKind,
    Fees, Head, Interest, MAX_WORDS_TOLD, Receipt,
};

/// Blocks, the oldest and the newest, in which something is looked for without agreement; our choice.
const MAX_HEARSAY: u64 = 2000;

impl Quorum {
    /// Every nonce that any endpoint tells of.
    async fn heard_nonces(&self, owner: PayoutAddress) -> Heard<u64> {
        let ask = question(move |at: At| async move { at.nonce(owner).await });
        self.gather(self.put(&self.all(), None, &ask), self.wanted)
            .await
    }

    /// State as of the agreed newest block.
    pub(super) async fn state<T, F, R>(&self, what: &'static str, ask: F) -> Result<T, ChainError>
    where
        T: Clone + PartialEq + Send + 'static,
        F: Fn(At) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T, ChainError>> + Send + 'static,
    {
        if self.seats.len() == 1 {
            // Nobody else is a block ahead or behind.
            return self.vote(what, &self.all(), None, &question(ask)).await;
        }
        let head = self.agreed_head().await?;
        let whom = self.have(head.number);
        self.vote(what, &whom, Some(head.number), &question(ask))
            .await
    }

    /// Who told of a block that high; everybody where those are too few.
    fn have(&self, number: u64) -> Vec<Place> {
        self.enough_or_all(|it| !it.is_resting() && it.health().head.is_some_and(|it| it >= number))
    }

    async fn looked(&self) -> Result<(), ChainError> {
        let looks = self.seats.iter().enumerate().map(|(place, seat)| {
            let seat = std::sync::Arc::clone(seat);
            tokio::spawn(async move { (place, seat.look().await) })
        });
        let looks: Vec<_> = looks.collect();
        let mut ballot = Ballot::new("chain and contract", self.wanted, self.seats.len());
        for look in looks {
            if let Ok((place, voice)) = look.await {
                ballot.hear(place, voice);
            }
        }
        match ballot.verdict(0) {
            Verdict::Decided { answer, .. } => answer,
            Verdict::Open => Ok(()), // Not with nobody pending.
        }
    }

    /// Gas enough for whichever endpoint is right, but no more than such a call can take: what a claim may pay
    /// for each gas is what it brings, divided by this. A refusal only if enough give the same.
    async fn gas(&self, request: CallRequest) -> Result<u64, ChainError> {
        let most = most_gas(&request.data);
        let ask = question(move |at: At| {
            let request = request.clone();
            async move { at.estimate(request).await }
        });
        let whom = self.awake();
        let heard = self.gather(self.put(&whom, None, &ask), self.wanted);
        let heard = heard.await;
        let mut ballot = Ballot::new("gas", self.wanted, self.seats.len());
        for (place, error) in &heard.errors {
            ballot.hear(*place, Err::<(), _>(error.clone()));
        }
        for (place, _) in &heard.answers {
            ballot.hear(*place, Ok(()));
        }
        if let Verdict::Decided {
            answer: Err(error @ ChainError::Reverted(_)),
            ..
        } = ballot.verdict(0)
        {
            return Err(error);
        }
        let told = || heard.answers.iter().map(|(_, it)| *it);
        let sane = told().filter(|it| *it <= most).max();
        sane.or_else(|| told().min()).ok_or_else(|| {
            // What one says alone is no refusal: the others may be silent.
            let all = heard.errors.len() >= whom.len();
            let is_final = |(_, it): &(Place, ChainError)| it.remedy() == Remedy::Final;
            let refused = all && heard.errors.iter().all(is_final);
            let excuse = excuse(&heard).filter(|_| refused);
            excuse.unwrap_or_else(|| self.too_few("gas", &heard))
        })
    }

    /// To all of them. One that takes it is enough; it is refused only if all refuse it.
    async fn broadcast(&self, raw: Vec<u8>) -> Result<TxHash, ChainError> {
        let ask = question(move |at: At| {
            let raw = raw.clone();
            async move { at.submit_raw(raw).await }
        });
        let mut voices = self.put(&self.all(), None, &ask);
        let mut heard = Heard::<TxHash>::default();
        while let Some((place, voice)) = voices.next().await {
            match voice {
                Ok(hash) => return Ok(hash),
                Err(error) => heard.errors.push((place, error)),
            }
        }
        let is_final = |it: &&(Place, ChainError)| it.1.remedy() == Remedy::Final;
        let refusals = heard.errors.iter().filter(is_final).count();
        if refusals < self.seats.len() {
            let other = heard.errors.iter().find(|it| !is_final(it));
            return Err(
                other.map_or_else(|| self.too_few("a transaction", &heard), |it| it.1.clone())
            );
        }
        Err(excuse(&heard).unwrap_or_else(|| self.too_few("a transaction", &heard)))
    }

    async fn all_told(&self, from: u64, whom: Interest) -> Result<Vec<ChainEvent>, ChainError> {
        let ask = question(move |at: At| {
            let whom = whom.clone();
            async move { told_by(&at, from, whom).await }
        });
        let heard = self
            .gather(self.put(&self.all(), None, &ask), self.wanted)
            .await;
        if heard.answers.is_empty() {
            return Err(self.too_few("what is told", &heard));
        }
        let mut told = BTreeMap::new();
        for event in heard.answers.into_iter().flat_map(|(_, it)| it) {
            // Two that tell otherwise of one log are both heard.
            let place = (event.block, event.log_index, event.block_hash);
            let same: &mut Vec<ChainEvent> = told.entry(place).or_default();
            if !same.contains(&event) {
                same.push(event);
            }
        }
        Ok(told.into_values().flatten().collect())
    }
}

/// What one endpoint tells: of the first blocks, and of the last where it has many more. Words beyond a bound are
/// left out.
async fn told_by(at: &At, from: u64, whom: Interest) -> Result<Vec<ChainEvent>, ChainError> {
    let head = at.head().await?.number;
    let first = head.min(from.saturating_add(MAX_HEARSAY));
    let mut events = Vec::new();
    if from <= first {
        events = at.events_of(from, first, whom.clone()).await?;
    }
    let last = first
        .saturating_add(1)
        .max(head.saturating_sub(MAX_HEARSAY));
    if last <= head {
        events.extend(at.events_of(last, head, whom).await?);
    }
    let mut words = 0_usize;
    events.retain(|it| {
        words = words.saturating_add(usize::from(matches!(it.kind, EventKind::Revealed { .. })));
        words <= MAX_WORDS_TOLD || !matches!(it.kind, EventKind::Revealed { .. })
    });
    Ok(events)
}

/// What a refusal by all says: first what another version of the transaction would mend.
fn excuse<T>(heard: &Heard<T>) -> Option<ChainError> {
    let errors = || heard.errors.iter().map(|(_, it)| it);
    let is = |wanted: ChainError| errors().find(move |it| **it == wanted);
    is(ChainError::NonceTooLow)
        .or_else(|| is(ChainError::Underpriced))
        .or_else(|| errors().find(|it| matches!(it, ChainError::Reverted(_))))
        .or_else(|| errors().find(|it| it.remedy() == Remedy::Final))
        .cloned()
}

impl Chain for Quorum {
    fn chain_ref(&self) -> ChainRef {
        self.pins
    }

    fn verify_contract(&self) -> ChainFuture<'_, ()> {
        Box::pin(self.looked())
    }

    fn head(&self) -> ChainFuture<'_, Head> {
        Box::pin(self.agreed_head())
    }

    fn block(&self, number: u64) -> ChainFuture<'_, Option<Head>> {
        Box::pin(async move {
            let ask = question(move |at: At| async move { at.block(number).await });
            self.vote("a block", &self.have(number), None, &ask).await
        })
    }

    fn channel(&self, id: ChannelId) -> ChainFuture<'_, Option<ChannelState>> {
        Box::pin(self.state(
            "a channel",
            move |at: At| async move { at.channel(id).await },
        ))
    }

    fn balance(&self, owner: PayoutAddress) -> ChainFuture<'_, Amount> {
        Box::pin(self.state(
            "a pot",
            move |at: At| async move { at.balance(owner).await },
        ))
    }

    fn beneficiary(&self, owner: PayoutAddress) -> ChainFuture<'_, Option<PayoutAddress>> {
        Box::pin(self.state("a beneficiary", move |at: At| async move {
            at.beneficiary(owner).await
        }))
    }

    fn token_decimals(&self) -> ChainFuture<'_, Option<u8>> {
        Box::pin(self.state(
            "decimals",
            |at: At| async move { at.token_decimals().await },
        ))
    }

    fn token_balance(&self, owner: PayoutAddress) -> ChainFuture<'_, Amount> {
        Box::pin(self.state("tokens", move |at: At| async move {
            at.token_balance(owner).await
        }))
    }

    fn allowance(&self, owner: PayoutAddress) -> ChainFuture<'_, Amount> {
        Box::pin(self.state("an allowance", move |at: At| async move {
            at.allowance(owner).await
        }))
    }

    fn native_balance(&self, owner: PayoutAddress) -> ChainFuture<'_, Amount> {
        Box::pin(self.state("coin", move |at: At| async move {
            at.native_balance(owner).await
        }))
    }

    fn events(&self, from: u64, to: u64) -> ChainFuture<'_, Vec<ChainEvent>> {
        self.events_of(from, to, Interest::all())
    }

    fn events_of(&self, from: u64, to: u64, whom: Interest) -> ChainFuture<'_, Vec<ChainEvent>> {
        Box::pin(async move {
            let ask = question(move |at: At| {
                let whom = whom.clone();
                async move { at.events_of(from, to, whom).await }
            });
            self.vote("logs", &self.have(to), None, &ask).await
        })
    }

    fn nonce(&self, owner: PayoutAddress) -> ChainFuture<'_, u64> {
        Box::pin(self.state(
            "a nonce",
            move |at: At| async move { at.nonce(owner).await },
        ))
    }

    fn submit_raw(&self, raw: Vec<u8>) -> ChainFuture<'_, TxHash> {
        Box::pin(self.broadcast(raw))
    }

    fn receipt(&self, tx: TxHash) -> ChainFuture<'_, Option<Receipt>> {
        Box::pin(async move {
            let newest = self.agreed_head().await?.number;
            let ask = question(move |at: At| async move {
                // What lies beyond the agreed block is not in a block yet, for whoever is ahead too.
                Ok(at.receipt(tx).await?.filter(|it| it.block <= newest))
            });
            self.vote("a receipt", &self.have(newest), None, &ask).await
        })
    }

    fn calldata(&self, tx: TxHash) -> ChainFuture<'_, Option<Vec<u8>>> {
        Box::pin(async move {
            let ask = question(move |at: At| async move { at.calldata(tx).await });
            self.vote("a transaction", &self.all(), None, &ask).await
        })
    }

    fn call(&self, request: CallRequest) -> ChainFuture<'_, Vec<u8>> {
        Box::pin(async move {
            let ask = question(move |at: At| {
                let request = request.clone();
                async move { at.call(request).await }
            });
            self.any(&ask).await
        })
    }

    fn estimate(&self, request: CallRequest) -> ChainFuture<'_, u64> {
        Box::pin(self.gas(request))
    }

    fn fees(&self) -> ChainFuture<'_, Fees> {
        Box::pin(self.agreed_fees())
    }

    fn fees_heard(&self) -> ChainFuture<'_, Fees> {
        Box::pin(self.heard_fees())
    }

    fn hearsay(&self, from: u64, whom: Interest) -> ChainFuture<'_, Vec<ChainEvent>> {
        Box::pin(self.all_told(from, whom))
    }

    fn nonce_heard(&self, owner: PayoutAddress) -> ChainFuture<'_, u64> {
        Box::pin(async move {
            let heard = self.heard_nonces(owner).await;
            // Too low a nonce is refused at once; one too high would wait for ever.
            let lowest = heard.answers.iter().map(|(_, it)| *it).min();
            lowest.ok_or_else(|| self.too_few("a nonce", &heard))
        })
    }

    fn nonces_heard(&self, owner: PayoutAddress) -> ChainFuture<'_, Vec<u64>> {
        Box::pin(async move {
            let heard = self.heard_nonces(owner).await;
            Ok(heard.answers.iter().map(|(_, it)| *it).collect())
        })
    }

    fn endpoints(&self) -> Option<Endpoints> {
        Some(self.report())
    }
}
