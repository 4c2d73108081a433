//! The router: finds or makes the way to the next hop, then has the lock admitted.
//!
//! Nothing is held before [`warren_payments::Payments::lock_onward`] answers; what it costs to make a way
//! (a channel's deposit and its gas) is bounded by the operator, and spent only for offers that the rules
//! would take.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use warren_overlay::offers::OfferQuery;
use warren_payments::channel::Phase;
use warren_payments::{ChannelView, PaymentsError, Role, RouteOut, RouteView};
use warren_proto::{
    Amount, ChannelId, LockOffer, MAX_LOCKS, NodeId, PayErrorCode, PayoutAddress, RouteFrame,
};

use super::hint::CLOSE_WINDOW_SECS;
use super::streams::{held, not_held};
use super::{Kind, Neighbour, Own};
use crate::error::Problem;
use crate::perform;

/// For a deposit to be confirmed; R6 leaves no more. The channel is there for the next offer.
const DEPOSIT_WAIT: Duration = Duration::from_secs(20);

/// How often it is looked whether another offer's deposit is there.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// For the second router of a route to say its terms: a deposit still fits into what R6 leaves.
const TERMS_WAIT: Duration = Duration::from_secs(5);

/// Locks of routes in one voucher: the direct one has its place.
const MAX_ROUTED: usize = MAX_LOCKS - 1;

/// Where the next hop is paid.
struct Payee {
    node: NodeId,
    account: PayoutAddress,
    window_secs: u32,
}

impl Payee {
    fn window(&self) -> u32 {
        self.window_secs.max(CLOSE_WINDOW_SECS)
    }

    const fn neighbour(&self) -> Neighbour {
        let (node, kind) = (self.node, Kind::Onward);
        Neighbour { node, kind }
    }
}

impl Own {
    /// Takes an offer of a lock for somebody else; answers what to tell whom.
    pub(super) async fn onward(
        self: &Arc<Self>,
        up: ChannelId,
        offer: Box<LockOffer>,
    ) -> Vec<RouteOut> {
        self.count(|it| it.asked = it.asked.saturating_add(1));
        let outs = match self.try_onward(up, &offer).await {
            Ok(outs) => outs,
            Err(code) => vec![not_held(up, &offer, code)],
        };
        let refused = |it: &RouteOut| matches!(&it.frame, RouteFrame::Reject(_));
        if outs.iter().any(refused) {
            self.count(|it| it.refused = it.refused.saturating_add(1));
        }
        outs
    }

    async fn try_onward(
        self: &Arc<Self>,
        up: ChannelId,
        offer: &LockOffer,
    ) -> Result<Vec<RouteOut>, PayErrorCode> {
        let hop = offer.onward.first().ok_or(PayErrorCode::NoRoute)?;
        if !self.router.enabled || !self.purse.takes_liabilities() {
            return Err(PayErrorCode::NoRoute);
        }
        // What would be refused in any case is refused before anything is spent on a way.
        let would = self.payments().would_lock(offer.clone()).await;
        would.map_err(|it| it.code())?;
        let payee = match self.exit(hop.node).await {
            None if offer.sealed.is_some() => self.second_router(hop.node).await?,
            known => known.ok_or(PayErrorCode::NoRoute)?,
        };
        let need = hop.unit_price.checked_mul(offer.lock.units.into());
        let need = need.map_err(|_| PayErrorCode::NoCapacity)?;
        let down = self.way(&payee, need).await?;
        // A neighbour that does not answer now would leave the lock bound for nothing.
        self.meet(down).await.map_err(|_| PayErrorCode::NoRoute)?;
        let outs = self.lock(offer, up, down).await?;
        if !outs.iter().any(|it| is_full(it, up)) {
            return Ok(outs);
        }
        // What is left of that channel is bound by other locks: it was refused, and nothing is held.
        let Ok(()) = self.deepen(down, need).await else {
            return Ok(outs);
        };
        self.lock(offer, up, down).await
    }

    async fn lock(
        &self,
        offer: &LockOffer,
        up: ChannelId,
        down: ChannelId,
    ) -> Result<Vec<RouteOut>, PayErrorCode> {
        match self.payments().lock_onward(offer.clone(), down).await {
            Ok(outs) => Ok(outs),
            Err(PaymentsError::NotTaken { code, .. }) => Err(code),
            // It may be held already; what is not known to be free stays bound.
            Err(error) => {
                tracing::warn!(%error, "a lock could not be taken onward");
                Ok(vec![held(up, offer, PayErrorCode::Internal)])
            }
        }
    }

    /// An exit is known by its offer, whether or not it routes too.
    async fn exit(&self, node: NodeId) -> Option<Payee> {
        let query = OfferQuery {
            chain: Some(self.payments().chain_ref()),
            full_too: true,
            ..OfferQuery::default()
        };
        let offers = self.overlay.offers(query).await.unwrap_or_default();
        let found = offers.iter().find(|it| it.offer.offer().node == node);
        let offer = found?.offer.offer();
        Some(Payee {
            node,
            account: offer.payee,
            window_secs: offer.close_window_secs,
        })
    }

    /// A router that sells nothing is asked for its terms.
    async fn second_router(&self, node: NodeId) -> Result<Payee, PayErrorCode> {
        let asked = timeout(TERMS_WAIT, self.terms_of(node)).await;
        let hint = asked.ok().and_then(Result::ok);
        let hint = hint.ok_or(PayErrorCode::NoRoute)?;
        let hint = hint.hint();
        if hint.chain != self.payments().chain_ref() {
            return Err(PayErrorCode::NoRoute);
        }
        Ok(Payee {
            node,
            account: hint.payee,
            window_secs: hint.close_window_secs,
        })
    }

    /// A channel to `payee` that can hold `need`, usable now.
    async fn way(&self, payee: &Payee, need: Amount) -> Result<ChannelId, PayErrorCode> {
        let channels = self.payments().channels().await.map_err(|it| it.code())?;
        let channel = match self.known(&channels, payee).await? {
            Some(it) if it.phase == Phase::Open && left(it) < need => {
                self.deepen(it.id, need).await?;
                it.id
            }
            Some(it) => it.id,
            None => self.open(payee, need).await?,
        };
        match timeout(DEPOSIT_WAIT, self.payments().wait_usable(channel)).await {
            Ok(Ok(())) => Ok(channel),
            Ok(Err(error)) => Err(error.code()),
            Err(_) => Err(PayErrorCode::Busy),
        }
    }

    /// The best channel that pays `payee`, opening or open. `None` if a new one is needed.
    async fn known<'a>(
        &self,
        channels: &'a [ChannelView],
        payee: &Payee,
    ) -> Result<Option<&'a ChannelView>, PayErrorCode> {
        let routes = self.payments().routes().await.map_err(|it| it.code())?;
        // A channel whose voucher has no place for another lock is as good as none.
        let takes_place = |it: &&RouteView, id| it.down == id && !it.stage.is_over();
        let has_place = |id| routes.iter().filter(|it| takes_place(it, id)).count() < MAX_ROUTED;
        let is_ours =
            |it: &&ChannelView| pays(it, self.neighbours.get(it.id), payee) && has_place(it.id);
        let known = channels.iter().filter(is_ours);
        Ok(known.max_by_key(|it| left(it)))
    }

    /// Has a channel opened; its deposit is not confirmed yet.
    ///
    /// Ways are made one at a time, or two offers would open two channels, or each spend what is left of the
    /// budget. But nobody waits for the chain meanwhile: the locks of all others would be over by then.
    async fn open(&self, payee: &Payee, need: Amount) -> Result<ChannelId, PayErrorCode> {
        let channels = self.payments().channels().await.map_err(|it| it.code())?;
        let deposit = self.may_open(&channels, need)?;
        let refused = |problem: Problem| {
            tracing::warn!(seen = %problem.seen, "no channel onward");
            PayErrorCode::NoCapacity
        };
        let can = perform::can_open(&self.purse, deposit).await;
        can.map_err(refused)?;

        let _one = self.making_way.lock().await;
        let channels = self.payments().channels().await.map_err(|it| it.code())?;
        if let Some(it) = self.known(&channels, payee).await? {
            return Ok(it.id); // By another offer, meanwhile.
        }
        let deposit = self.may_open(&channels, need)?;
        let period = Duration::from_secs(payee.window().into());
        let opened = self.payments().open_channel(payee.account, deposit, period);
        let opened = opened.await.map_err(|it| refused(perform::problem(&it)))?;
        tracing::info!(channel = %opened.short(), to = %payee.node.short(), %deposit, "a channel onward");
        let saved = self.neighbours.set(opened, payee.neighbour()).await;
        saved.map_err(|_| PayErrorCode::Internal)?;
        Ok(opened)
    }

    /// Has more deposited in a channel, or waits for what another offer has asked for there.
    async fn deepen(&self, channel: ChannelId, need: Amount) -> Result<(), PayErrorCode> {
        let one = self.making_way.lock().await;
        let channels = self.payments().channels().await.map_err(|it| it.code())?;
        let known = channels.iter().find(|it| it.id == channel);
        if known.is_some_and(|it| it.pending > Amount::ZERO) {
            drop(one);
            return self.deepened(channel).await;
        }
        let deposit = self.allowed(&channels, need)?;
        let known = known.ok_or(PayErrorCode::UnknownChannel)?;
        let asked = self.deposits.asks(known, deposit, self.clock.now()).await;
        asked.map_err(|_| PayErrorCode::Internal)?;
        let deeper = timeout(DEPOSIT_WAIT, self.payments().top_up(channel, deposit));
        // Polled after it: once the books answer, they count what was asked for, and the next offer may look.
        let counted = async {
            let _ = self.payments().channels().await;
            drop(one);
        };
        let deeper = futures::future::join(deeper, counted).await.0;
        let may_come = |it: &PaymentsError| {
            matches!(
                it,
                PaymentsError::Stopped | PaymentsError::Transaction { .. }
            )
        };
        let is_over = matches!(&deeper, Ok(it) if !it.as_ref().is_err_and(may_come));
        if is_over && let Err(problem) = self.deposits.is_over(channel).await {
            tracing::warn!(seen = %problem.seen, "a deposit counts for a day after a restart");
        }
        match deeper {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                tracing::warn!(%error, "a channel onward could not be deepened");
                Err(PayErrorCode::NoCapacity)
            }
            Err(_) => Err(PayErrorCode::Busy),
        }
    }

    /// Waits until no deposit is under way in a channel, whatever came of it.
    async fn deepened(&self, channel: ChannelId) -> Result<(), PayErrorCode> {
        let still = async {
            loop {
                let channels = self.payments().channels().await.map_err(|it| it.code())?;
                let known = channels.iter().find(|it| it.id == channel);
                if known.is_none_or(|it| it.pending == Amount::ZERO) {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        timeout(DEPOSIT_WAIT, still)
            .await
            .map_err(|_| PayErrorCode::Busy)?
    }

    /// What may be deposited in one more channel now.
    fn may_open(&self, channels: &[ChannelView], need: Amount) -> Result<Amount, PayErrorCode> {
        if self.onward_channels(channels).count() >= self.router.max_channels {
            return Err(PayErrorCode::NoCapacity);
        }
        self.allowed(channels, need)
    }

    /// What may be deposited now: what the operator says for each, and never beyond what is allowed in all.
    fn allowed(&self, channels: &[ChannelView], need: Amount) -> Result<Amount, PayErrorCode> {
        let now = self.clock.now();
        let bound = self
            .onward_channels(channels)
            .fold(Amount::ZERO, |sum, it| {
                let pending = [it.pending, self.deposits.left_over(it, now)];
                let bound = pending.into_iter().try_fold(left(it), Amount::checked_add);
                sum.checked_add(bound.unwrap_or(Amount::MAX))
                    .unwrap_or(Amount::MAX)
            });
        let room = self.router.budget.saturating_sub(bound);
        let deposit = self.router.deposit.max(need).min(room);
        (deposit >= need)
            .then_some(deposit)
            .ok_or(PayErrorCode::NoCapacity)
    }

    fn onward_channels<'a>(
        &'a self,
        channels: &'a [ChannelView],
    ) -> impl Iterator<Item = &'a ChannelView> {
        let lives = |it: &&ChannelView| {
            let failed = it.phase == Phase::Opening && !it.usable;
            it.role == Role::Payer && it.phase != Phase::Closed && !failed
        };
        let lives = channels.iter().filter(lives);
        lives.filter(|it| self.is_onward(it.id))
    }

    pub(super) fn is_onward(&self, channel: ChannelId) -> bool {
        let known = self.neighbours.get(channel);
        known.is_some_and(|it| it.kind == Kind::Onward)
    }

    fn count(&self, change: impl FnOnce(&mut super::RouteNumbers)) {
        change(&mut self.book().numbers);
    }
}

/// Whether this channel pays that payee for what is routed: as its node was known when it was opened, for anybody may
/// say that it has the same account. One by which this node itself pays does not: its deposit is the user's.
fn pays(it: &ChannelView, neighbour: Option<Neighbour>, payee: &Payee) -> bool {
    it.role == Role::Payer
        && it.params.payee == payee.account
        && neighbour == Some(payee.neighbour())
        && it.params.period_secs >= payee.window()
        && it.usable
}

fn left(it: &ChannelView) -> Amount {
    it.deposit.saturating_sub(it.value)
}

fn is_full(out: &RouteOut, up: ChannelId) -> bool {
    let RouteFrame::Reject(it) = &out.frame else {
        return false;
    };
    out.channel == up && it.code == PayErrorCode::NoCapacity && !it.held
}

#[cfg(test)]
mod tests;
