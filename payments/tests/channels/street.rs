//! A street of neighbours: carries what one end of a channel says on a route to the other end.

use std::collections::VecDeque;
use std::time::Duration;

use warren_payments::{
    PaymentEvent, Payments, PaymentsConfig, PaymentsError, RouteAsk, RouteOut, RouterPolicy,
};
use warren_proto::{
    Amount, ChainRef, ChannelId, LockOffer, LockReady, NodeId, PayoutAddress, RouteFrame,
    RouterHint, UnixTime,
};

use crate::party::{Party, UNIT, config, wei};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);
pub(crate) const HOLD_FEE: u64 = 7;
pub(crate) const FEE_PPM: u32 = 10_000;
/// What a unit is worth on the consumer's channel: the exit's price and a hundredth.
pub(crate) const UP_PRICE: u64 = UNIT + UNIT / 100;
/// Nobody waits for ever for a street to become quiet.
const MAX_FRAMES: usize = 64;

pub(crate) fn routing() -> PaymentsConfig {
    PaymentsConfig {
        router: Some(RouterPolicy {
            fee_ppm: FEE_PPM,
            hold_fee: wei(HOLD_FEE),
            ..RouterPolicy::default()
        }),
        ..config()
    }
}

/// What the router would say of itself.
pub(crate) fn hint(chain: ChainRef, payee: PayoutAddress) -> RouterHint {
    RouterHint {
        node: NodeId::from_bytes([1; 32]),
        seq: 1,
        issued: UnixTime::default(),
        valid_until: UnixTime::default(),
        chain,
        payee,
        capacity_log2: 40,
        fee_ppm: FEE_PPM,
        hold_fee: wei(HOLD_FEE),
        hop_gap_secs: 3600,
        close_window_secs: 86_400,
    }
}

/// One end of a channel.
#[derive(Clone)]
pub(crate) struct End {
    pub(crate) account: PayoutAddress,
    pub(crate) payments: Payments,
}

impl End {
    pub(crate) fn of(party: &Party) -> Self {
        Self {
            account: party.account(),
            payments: party.payments.clone(),
        }
    }
}

/// A route of three: who they are, and the two channels between them.
#[derive(Clone)]
pub(crate) struct Street {
    pub(crate) consumer: End,
    pub(crate) router: End,
    pub(crate) exit: End,
    pub(crate) up: ChannelId,
    pub(crate) down: ChannelId,
}

impl Street {
    /// Locks `units` from end to end; answers what the exit tells the consumer.
    pub(crate) async fn lock(&self, units: u32, now: UnixTime) -> Result<LockReady, PaymentsError> {
        let hint = hint(self.router.payments.chain_ref(), self.router.account);
        let exit = (NodeId::from_bytes([2; 32]), wei(UNIT));
        let ask = RouteAsk::through((&hint, None), self.up, exit, units, now).unwrap();
        let offer = self.consumer.payments.offer_lock(ask).await?;
        let frame = RouteFrame::Offer(Box::new(offer));
        let out = RouteOut {
            channel: self.up,
            frame,
        };
        let ready = self.carry(&self.consumer, vec![out]).await?;
        let missing = PaymentsError::Stopped;
        let ready = ready.ok_or(missing)?;
        self.consumer.payments.lock_ready(self.up, ready).await?;
        Ok(ready)
    }

    /// Says words one by one until `to` are paid.
    pub(crate) async fn pay(&self, ready: LockReady, to: u32) -> Result<Amount, PaymentsError> {
        let (payer, payee) = (&self.consumer.payments, &self.exit.payments);
        let mut paid = Amount::ZERO;
        let words = payer.release_routed(self.up, ready, to).await?;
        for word in words {
            paid = payee.accept_routed_word(ready, word).await?.paid;
        }
        Ok(paid)
    }

    /// The exit asks for a fold of all it knows, and everybody folds.
    pub(crate) async fn fold(&self, ready: LockReady) -> Result<(), PaymentsError> {
        let asked = self.exit.payments.fulfill(ready, true).await?;
        self.carry(&self.exit, asked.into_iter().collect()).await?;
        Ok(())
    }

    /// Carries frames and what comes of them until nobody has anything to say.
    pub(crate) async fn carry(
        &self,
        from: &End,
        outs: Vec<RouteOut>,
    ) -> Result<Option<LockReady>, PaymentsError> {
        let mut way: VecDeque<_> = outs.into_iter().map(|it| (from.account, it)).collect();
        let mut ready = None;
        for _ in 0..MAX_FRAMES {
            let Some((sender, RouteOut { channel, frame })) = way.pop_front() else {
                return Ok(ready);
            };
            let to = self.other_end(channel, sender);
            let frame = RouteFrame::decode(&frame.encode()).unwrap();
            let answers = match frame {
                RouteFrame::Offer(offer) if offer.onward.is_empty() => {
                    let taken = to.payments.take_lock(*offer, wei(UNIT), 0).await?;
                    ready = Some(taken.ready);
                    let frame = RouteFrame::Ready(taken.ready);
                    vec![RouteOut { channel, frame }]
                }
                RouteFrame::Offer(offer) => to.payments.lock_onward(*offer, self.down).await?,
                frame @ (RouteFrame::Ready(_)
                | RouteFrame::Reject(_)
                | RouteFrame::Fulfill(_)
                | RouteFrame::Voucher(_)
                | RouteFrame::VoucherAck(_)
                | RouteFrame::PayError { .. }) => to.payments.route_frame(channel, frame).await?,
            };
            way.extend(answers.into_iter().map(|it| (to.account, it)));
        }
        panic!("the street does not become quiet");
    }

    fn other_end(&self, channel: ChannelId, sender: PayoutAddress) -> &End {
        let (payer, payee) = if channel == self.up {
            (&self.consumer, &self.router)
        } else {
            (&self.router, &self.exit)
        };
        if sender == payer.account {
            payee
        } else {
            payer
        }
    }

    /// Carries what `party` has said by itself.
    pub(crate) async fn carry_news(&self, party: &mut Party) -> Result<(), PaymentsError> {
        let from = End::of(party);
        while let Ok(event) = party.events.try_recv() {
            if let PaymentEvent::Route(out) = event {
                self.carry(&from, vec![*out]).await?;
            }
        }
        Ok(())
    }
}

/// What a payer offers for a lock of two hours on words that it says itself.
pub(crate) async fn offer_of(
    payer: &Party,
    (channel, unit_price): (ChannelId, Amount),
    units: u32,
) -> LockOffer {
    let ask = RouteAsk {
        channel,
        unit_price,
        units,
        expiry: payer.chain().tip().timestamp.as_secs() + 7200,
        onward: Vec::new(),
        hold_fee: Amount::ZERO,
    };
    payer.payments.offer_lock(ask).await.unwrap()
}

/// A lock on `channel` that lives for two hours, on words that its payer says itself: a route of one hop.
pub(crate) async fn lock_of(
    payer: &Party,
    payee: &Party,
    (channel, price): (ChannelId, Amount),
    units: u32,
) -> LockReady {
    let offer = offer_of(payer, (channel, price), units).await;
    let taken = payee.payments.take_lock(offer, price, 0).await.unwrap();
    let ready = taken.ready;
    payer.payments.lock_ready(channel, ready).await.unwrap();
    ready
}

/// Says words of such a lock until `to` are paid.
pub(crate) async fn say(payer: &Party, payee: &Party, ready: LockReady, to: u32) {
    let words = payer.payments.release_routed(ready.channel, ready, to);
    for word in words.await.unwrap() {
        payee
            .payments
            .accept_routed_word(ready, word)
            .await
            .unwrap();
    }
}
