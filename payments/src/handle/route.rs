//! The handle of a node on a route: a consumer that pays by one, a router, an exit that is paid by one.
//!
//! Payments do not know who a neighbour is: it is the other end of a channel, and whoever carries
//! frames knows which node that is. A consumer asks by [`Payments::offer_lock`]; the router passes the
//! offer to [`Payments::lock_onward`], with the channel to the next hop; the exit to
//! [`Payments::take_lock`]. All other frames between neighbours go to [`Payments::route_frame`].

use warren_proto::{
    Amount, AmountOverflow, ChannelId, Hop, Lock, LockOffer, LockReady, NodeId, PaymentId,
    RouteFrame, RouterHint, UnixTime, WordFrame,
};

use super::{Payments, PaymentsError};
use crate::actor::{Command, RouteCommand};
use crate::channel::router::{Stage, rules};
use crate::channel::{RoutedAccepted, RoutedView};

/// Why a route cannot be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteAskError {
    /// Its price leaves the range of money.
    #[error(transparent)]
    Overflow(#[from] AmountOverflow),
    /// A hop has no word for a hold fee, so nobody would pay it.
    #[error("{} asks {asked} base units for holding a lock, which no router pays another", node.short())]
    HoldFee {
        /// The second router.
        node: NodeId,
        /// For each lock.
        asked: Amount,
    },
}

/// What a consumer asks of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteAsk {
    /// Its channel to the router.
    pub channel: ChannelId,
    /// What one word is worth there: what the exit asks, and each router's fee.
    pub unit_price: Amount,
    /// Words in the lock, 1 ..= 1024.
    pub units: u32,
    /// When the lock on that channel expires, chain seconds.
    pub expiry: u64,
    /// The hops beyond, nearest first.
    pub onward: Vec<Hop>,
    /// What the router asks for holding the lock.
    pub hold_fee: Amount,
}

impl RouteAsk {
    /// To `exit`, which asks so much for a unit, on the terms of its routers: the one that `channel` pays, and
    /// the one beyond it, if there are two.
    ///
    /// # Errors
    /// [`RouteAskError`] if the price leaves the range of money, or the second router asks a hold fee.
    pub fn through(
        (first, second): (&RouterHint, Option<&RouterHint>),
        channel: ChannelId,
        exit: (NodeId, Amount),
        units: u32,
        now: UnixTime,
    ) -> Result<Self, RouteAskError> {
        if let Some(it) = second.filter(|it| it.hold_fee > Amount::ZERO) {
            let (node, asked) = (it.node, it.hold_fee);
            return Err(RouteAskError::HoldFee { node, asked });
        }
        let routers: Vec<_> = [first].into_iter().chain(second).collect();
        let planned = rules::expiries(now, routers.len());
        let (node, unit_price) = exit;
        let mut here = Hop {
            node,
            unit_price,
            expiry: planned.last().copied().unwrap_or_default(),
        };
        let mut onward = Vec::new();
        // From the exit up: each router is given what it gives, its fee, and its gap.
        for (hint, planned) in routers.iter().zip(&planned).rev() {
            let least = here.expiry.saturating_add(hint.hop_gap_secs.into());
            let up = Hop {
                node: hint.node,
                unit_price: rules::with_fee(here.unit_price, hint.fee_ppm),
                expiry: least.max(*planned),
            };
            onward.insert(0, std::mem::replace(&mut here, up));
        }
        // Checked here so that the sum cannot surprise the channel's core.
        here.unit_price.checked_mul(u64::from(units))?;
        Ok(Self {
            channel,
            unit_price: here.unit_price,
            units,
            expiry: here.expiry,
            onward,
            hold_fee: first.hold_fee,
        })
    }
}

/// A frame for the node at the other end of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteOut {
    /// The channel.
    pub channel: ChannelId,
    /// What to tell it.
    pub frame: RouteFrame,
}

/// A lock that an exit has taken: on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenLock {
    /// For the router, and end to end for the consumer.
    pub ready: LockReady,
    /// No service for its words from then on (R5).
    pub serve_until: UnixTime,
    /// Units of it that are paid already.
    pub units: u32,
}

/// One payment that this node routes, as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteView {
    /// Which.
    pub payment: PaymentId,
    /// The channel that pays this node.
    pub up: ChannelId,
    /// The channel that it pays from.
    pub down: ChannelId,
    /// How far it is.
    pub stage: Stage,
    /// Units known to be paid for.
    pub units: u32,
    /// The lock held, as it was first.
    pub up_lock: Lock,
    /// The lock given, as it was first.
    pub down_lock: Lock,
}

/// The consumer.
impl Payments {
    /// Locks words on the channel to a router, to be locked onward; it is on disk when this answers.
    ///
    /// # Errors
    /// [`PaymentsError::Refused`] if the deposit does not cover it.
    pub async fn offer_lock(&self, ask: RouteAsk) -> Result<LockOffer, PaymentsError> {
        self.route(|answer| RouteCommand::Offer { ask, answer })
            .await
    }

    /// The exit said, end to end, that it holds the lock. `channel`: this node's own, to the router.
    ///
    /// # Errors
    /// [`PaymentsError::Refused`] if it is not the lock that was offered, or too late (R6).
    pub async fn lock_ready(
        &self,
        channel: ChannelId,
        ready: LockReady,
    ) -> Result<(), PaymentsError> {
        self.route(|answer| RouteCommand::Ready {
            channel,
            ready,
            answer,
        })
        .await
    }

    /// Pays the exit `units` in all of one lock: the words to send it. Fewer, if the lock has no more.
    ///
    /// # Errors
    /// [`PaymentsError::Refused`] before the lock is ready and once it has expired.
    pub async fn release_routed(
        &self,
        channel: ChannelId,
        ready: LockReady,
        units: u32,
    ) -> Result<Vec<WordFrame>, PaymentsError> {
        self.route(|answer| RouteCommand::Release {
            channel,
            ready,
            units,
            answer,
        })
        .await
    }

    /// The locks of routes on this node's own channel to a router; none if it pays no such channel.
    ///
    /// # Errors
    /// [`PaymentsError::Stopped`].
    pub async fn own_locks(&self, channel: ChannelId) -> Result<Vec<RoutedView>, PaymentsError> {
        self.route(|answer| RouteCommand::Own { channel, answer })
            .await
    }

    /// The exit said how many units it knows: believed within what a crash here may have forgotten.
    ///
    /// # Errors
    /// [`PaymentsError::Refused`] for a payment that is not this node's.
    pub async fn routed_heard(
        &self,
        channel: ChannelId,
        payment: PaymentId,
        k: u32,
    ) -> Result<(), PaymentsError> {
        self.route(|answer| RouteCommand::Heard {
            channel,
            payment,
            k,
            answer,
        })
        .await
    }
}

/// The exit.
impl Payments {
    /// Takes a lock at `unit_price` at least; it is on disk when this answers. `lane`: by which number
    /// the consumer's words shall name it on its session stream.
    ///
    /// # Errors
    /// [`PaymentsError::NotTaken`]; what was held stays held.
    pub async fn take_lock(
        &self,
        offer: LockOffer,
        unit_price: Amount,
        lane: u32,
    ) -> Result<TakenLock, PaymentsError> {
        let offer = Box::new(offer);
        self.route(|answer| RouteCommand::TakeLock {
            offer,
            unit_price,
            lane,
            answer,
        })
        .await
    }

    /// A lock that this node holds, to be told again on a new stream; `None` once it is in no voucher, and
    /// for one whose words are worth less than `unit_price` or are paid onward by this node.
    ///
    /// # Errors
    /// [`PaymentsError::Stopped`].
    pub async fn held_lock(
        &self,
        payment: PaymentId,
        unit_price: Amount,
        lane: u32,
    ) -> Result<Option<TakenLock>, PaymentsError> {
        self.route(|answer| RouteCommand::Held {
            payment,
            unit_price,
            lane,
            answer,
        })
        .await
    }

    /// Takes a consumer's word of a lock; it is on disk when this answers.
    ///
    /// # Errors
    /// [`PaymentsError::NotTaken`]; what was known stays known.
    pub async fn accept_routed_word(
        &self,
        ready: LockReady,
        word: WordFrame,
    ) -> Result<RoutedAccepted, PaymentsError> {
        self.route(|answer| RouteCommand::Word {
            ready,
            word,
            answer,
        })
        .await
    }

    /// The best word of a lock, for the router to fold; `None` if all that is known is folded.
    ///
    /// To be asked every few minutes, and with `last` at a session's end: until then, what the words
    /// are worth is locked only, and must go to the chain before the lock expires.
    ///
    /// # Errors
    /// [`PaymentsError::UnknownChannel`].
    pub async fn fulfill(
        &self,
        ready: LockReady,
        last: bool,
    ) -> Result<Option<RouteOut>, PaymentsError> {
        self.route(|answer| RouteCommand::Fulfill {
            ready,
            last,
            answer,
        })
        .await
    }

    /// Every word on `channel` that is known and not folded, for its payer to fold, whether this node is the
    /// exit or routes them: after a restart, and after the payer was away, nothing else asks for them. At
    /// most one of each of 16 locks.
    ///
    /// # Errors
    /// [`PaymentsError::Stopped`].
    pub async fn unfolded(&self, channel: ChannelId) -> Result<Vec<RouteOut>, PaymentsError> {
        self.route(|answer| RouteCommand::Unfolded { channel, answer })
            .await
    }
}

/// The router, and everybody.
impl Payments {
    /// Whether [`Self::lock_onward`] would take a neighbour's lock, were there a channel to the next hop: whoever has
    /// to make one asks first. Nothing changes.
    ///
    /// # Errors
    /// [`PaymentsError::NotTaken`] with what the neighbour is to be told.
    pub async fn would_lock(&self, offer: LockOffer) -> Result<(), PaymentsError> {
        let offer = Box::new(offer);
        self.route(|answer| RouteCommand::Glance { offer, answer })
            .await
    }

    /// Takes a neighbour's lock and gives one on the same anchor on `down`, the channel to the next hop.
    /// Answers what to tell whom: the offer to the next hop, or a rejection upstream.
    ///
    /// # Errors
    /// [`PaymentsError::NotTaken`] if the voucher is not good, [`PaymentsError::Store`] if it cannot be saved.
    pub async fn lock_onward(
        &self,
        offer: LockOffer,
        down: ChannelId,
    ) -> Result<Vec<RouteOut>, PaymentsError> {
        let offer = Box::new(offer);
        self.route(|answer| RouteCommand::Onward {
            offer,
            down,
            answer,
        })
        .await
    }

    /// Takes what the node at the other end of `channel` says on a route; answers what to tell whom.
    ///
    /// # Errors
    /// [`PaymentsError`] if it is not taken, among others for an offer: those have doors of their own.
    pub async fn route_frame(
        &self,
        channel: ChannelId,
        frame: RouteFrame,
    ) -> Result<Vec<RouteOut>, PaymentsError> {
        self.route(|answer| RouteCommand::Frame {
            channel,
            frame,
            answer,
        })
        .await
    }

    /// Every payment that this node routes.
    ///
    /// # Errors
    /// [`PaymentsError::Stopped`].
    pub async fn routes(&self) -> Result<Vec<RouteView>, PaymentsError> {
        self.route(RouteCommand::List).await
    }

    async fn route<T>(
        &self,
        command: impl FnOnce(super::Answer<T>) -> RouteCommand,
    ) -> Result<T, PaymentsError> {
        self.ask(|answer| Command::Route(command(answer))).await
    }
}

#[cfg(test)]
mod tests;
