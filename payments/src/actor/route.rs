//! Routes: this node as a consumer that pays by one, as a router, and as an exit that is paid by one.
//!
//! What a payment holds and gives is in the two channels' records; what links them, in the route's. A
//! route's effects are done one after the other, each on disk before the next: the upstream lock
//! before the downstream one is signed (P5), a word before it is paid for (P6).

mod exit;
mod onward;

use warren_proto::{
    Amount, ChannelId, Lock, LockOffer, LockReady, MAX_UNITS, PayErrorCode, PaymentId, RouteFrame,
    Voucher, WordFrame,
};

use super::Task;
use super::obey::reply;
use super::perform::Outcome;
use crate::channel::router::{RouteEvent, sealed};
use crate::channel::{
    PayerChannel, PayerEvent, PayerRefusal, Proof, RoutedAccepted, RoutedLock, RoutedOrder,
    RoutedView,
};
use crate::handle::{Answer, PayFrame, PaymentsError, RouteAsk, RouteOut, RouteView, TakenLock};
use crate::voucher::VerifiedVoucher;
pub(super) use onward::stands_alone;

/// What can be asked of the task about routes.
pub(crate) enum RouteCommand {
    Offer {
        ask: RouteAsk,
        answer: Answer<LockOffer>,
    },
    Ready {
        channel: ChannelId,
        ready: LockReady,
        answer: Answer<()>,
    },
    Release {
        channel: ChannelId,
        ready: LockReady,
        units: u32,
        answer: Answer<Vec<WordFrame>>,
    },
    Heard {
        channel: ChannelId,
        payment: PaymentId,
        k: u32,
        answer: Answer<()>,
    },
    TakeLock {
        offer: Box<LockOffer>,
        unit_price: Amount,
        lane: u32,
        answer: Answer<TakenLock>,
    },
    Word {
        ready: LockReady,
        word: WordFrame,
        answer: Answer<RoutedAccepted>,
    },
    Fulfill {
        ready: LockReady,
        last: bool,
        answer: Answer<Option<RouteOut>>,
    },
    Own {
        channel: ChannelId,
        answer: Answer<Vec<RoutedView>>,
    },
    Unfolded {
        channel: ChannelId,
        answer: Answer<Vec<RouteOut>>,
    },
    Held {
        payment: PaymentId,
        unit_price: Amount,
        lane: u32,
        answer: Answer<Option<TakenLock>>,
    },
    Glance {
        offer: Box<LockOffer>,
        answer: Answer<()>,
    },
    Onward {
        offer: Box<LockOffer>,
        down: ChannelId,
        answer: Answer<Vec<RouteOut>>,
    },
    Frame {
        channel: ChannelId,
        frame: RouteFrame,
        answer: Answer<Vec<RouteOut>>,
    },
    List(Answer<Vec<RouteView>>),
}

impl Task {
    pub(super) fn obey_route(&mut self, command: RouteCommand) {
        match command {
            RouteCommand::Offer { ask, answer } => reply(answer, self.offer_lock(ask)),
            RouteCommand::Ready {
                channel,
                ready,
                answer,
            } => {
                let (payment, anchor) = (ready.payment, ready.anchor);
                let order = RoutedOrder::Ready { payment, anchor };
                reply(answer, self.order(channel, order).map(|_| ()));
            }
            RouteCommand::Release {
                channel,
                ready,
                units,
                answer,
            } => reply(answer, self.release_routed(channel, &ready, units)),
            RouteCommand::Heard {
                channel,
                payment,
                k,
                answer,
            } => {
                let order = RoutedOrder::Heard { payment, k };
                reply(answer, self.order(channel, order).map(|_| ()));
            }
            RouteCommand::TakeLock {
                offer,
                unit_price,
                lane,
                answer,
            } => reply(answer, self.take_lock(*offer, unit_price, lane)),
            RouteCommand::Word {
                ready,
                word,
                answer,
            } => reply(answer, self.take_routed_word(&ready, word)),
            RouteCommand::Fulfill {
                ready,
                last,
                answer,
            } => reply(answer, self.fulfill(&ready, last)),
            RouteCommand::Own { channel, answer } => {
                let payer = self.book.payers.get(&channel);
                let locks = payer.map(PayerChannel::routed_locks);
                reply(answer, Ok(locks.unwrap_or_default()));
            }
            RouteCommand::Unfolded { channel, answer } => {
                reply(answer, Ok(self.unfolded(channel)));
            }
            RouteCommand::Held {
                payment,
                unit_price,
                lane,
                answer,
            } => reply(answer, Ok(self.held_lock(payment, unit_price, lane))),
            RouteCommand::Glance { offer, answer } => reply(answer, self.would_lock(&offer)),
            RouteCommand::Onward {
                offer,
                down,
                answer,
            } => reply(answer, self.lock_onward(*offer, down)),
            RouteCommand::Frame {
                channel,
                frame,
                answer,
            } => reply(answer, self.take_route_frame(channel, frame)),
            RouteCommand::List(answer) => reply(answer, Ok(self.routes())),
        }
    }

    fn order(&mut self, channel: ChannelId, order: RoutedOrder) -> Result<Outcome, PaymentsError> {
        self.pay(channel, &PayerEvent::Routed(order))
    }

    /// The consumer: a lock on words of its own, for the router to lock onward.
    fn offer_lock(&mut self, ask: RouteAsk) -> Result<LockOffer, PaymentsError> {
        let channel = ask.channel;
        let payer = self.book.payers.get(&channel);
        let payer = payer.ok_or(PaymentsError::UnknownChannel { channel })?;
        let (tranche, units) = (payer.next_tranche(), ask.units.clamp(1, MAX_UNITS));
        let lock = Lock {
            anchor: self.anchor(channel, (tranche, units)),
            unit_price: ask.unit_price,
            units,
            expiry: ask.expiry,
        };
        let payment = PaymentId::from_bytes(rand::random());
        let hidden = sealed::beyond_next(ask.onward, &payment, &rand::random());
        let code = PayErrorCode::NoRoute;
        let (onward, sealed) = hidden.ok_or(PaymentsError::NotTaken { channel, code })?;
        let order = RoutedOrder::Lock(RoutedLock {
            payment,
            lock,
            own: Some(tranche),
            hold_fee: ask.hold_fee,
        });
        let voucher = self.order(channel, order)?.voucher(channel)?;
        Ok(LockOffer {
            payment,
            voucher,
            lock,
            onward,
            hold_fee: ask.hold_fee,
            sealed,
        })
    }

    /// The consumer: words for the exit, under the number by which the exit knows the lock.
    fn release_routed(
        &mut self,
        channel: ChannelId,
        ready: &LockReady,
        units: u32,
    ) -> Result<Vec<WordFrame>, PaymentsError> {
        let payment = ready.payment;
        let outcome = self.order(channel, RoutedOrder::Release { payment, units })?;
        let words = outcome.frames.into_iter().filter_map(|it| match it {
            PayFrame::Word(word) => Some(WordFrame {
                lane: ready.lane,
                ..word
            }),
            PayFrame::Voucher(_) => None,
        });
        Ok(words.collect())
    }

    /// What a neighbour says, whichever of its ends of `channel` this node is.
    fn take_route_frame(
        &mut self,
        channel: ChannelId,
        frame: RouteFrame,
    ) -> Result<Vec<RouteOut>, PaymentsError> {
        match frame {
            RouteFrame::Offer(_) => Err(PaymentsError::NotTaken {
                channel,
                code: PayErrorCode::NoRoute,
            }),
            RouteFrame::Ready(it) if self.is_own(channel, &it.payment) => {
                let (payment, anchor) = (it.payment, it.anchor);
                self.order(channel, RoutedOrder::Ready { payment, anchor })?;
                Ok(Vec::new())
            }
            RouteFrame::Ready(it) => self.routed(channel, it.payment, &RouteEvent::Ready),
            RouteFrame::Reject(it) if self.is_own(channel, &it.payment) => {
                let order = if it.held {
                    RoutedOrder::Dead(it.payment)
                } else {
                    RoutedOrder::Dropped(it.payment)
                };
                let outcome = self.order(channel, order)?;
                Ok(vouchers(channel, outcome))
            }
            RouteFrame::Reject(it) => {
                self.routed(channel, it.payment, &RouteEvent::Rejected(it.code))
            }
            RouteFrame::Fulfill(it) if self.is_own(channel, &it.payment) => {
                let order = RoutedOrder::Fold {
                    payment: it.payment,
                    k: it.k,
                    word: it.word,
                    proof: Proof::Told,
                };
                let outcome = self.order(channel, order)?;
                Ok(vouchers(channel, outcome))
            }
            RouteFrame::Fulfill(it) => self.routed(channel, it.payment, &RouteEvent::Fulfilled(it)),
            RouteFrame::Voucher(it) => self.take_fold(channel, it),
            RouteFrame::VoucherAck(ack) if ack.channel == channel => {
                let outcome = self.pay(channel, &PayerEvent::PayeeSaw(ack))?;
                Ok(vouchers(channel, outcome))
            }
            RouteFrame::VoucherAck(_) => Ok(Vec::new()),
            RouteFrame::PayError { code, .. } => {
                tracing::info!(%channel, %code, "a neighbour on a route does not take it");
                Ok(Vec::new())
            }
        }
    }

    fn take_fold(
        &mut self,
        channel: ChannelId,
        voucher: Voucher,
    ) -> Result<Vec<RouteOut>, PaymentsError> {
        if voucher.channel != channel {
            return Err(PaymentsError::NotTaken {
                channel,
                code: PayErrorCode::UnknownChannel,
            });
        }
        let ack = self.take_voucher(voucher)?.ack;
        let frame = RouteFrame::VoucherAck(ack);
        Ok(vec![RouteOut { channel, frame }])
    }

    fn verified(&self, voucher: Voucher) -> Result<VerifiedVoucher, PaymentsError> {
        let channel = voucher.channel;
        let terms = self.book.payees.get(&channel).map(|it| *it.terms());
        let terms = terms.ok_or(PaymentsError::UnknownChannel { channel })?;
        let code = PayErrorCode::BadSignature;
        VerifiedVoucher::verify(voucher, &terms.params, &terms.chain)
            .map_err(|_| PaymentsError::NotTaken { channel, code })
    }

    /// Whether this node says the words of that payment itself.
    fn is_own(&self, channel: ChannelId, payment: &PaymentId) -> bool {
        let payer = self.book.payers.get(&channel);
        let lock = payer.and_then(|it| it.routed_lock(payment));
        lock.is_some_and(|it| it.released.is_some())
    }

    fn routes(&self) -> Vec<RouteView> {
        let view = |it: &crate::channel::router::RoutedPayment| RouteView {
            payment: it.payment(),
            up: it.up(),
            down: it.down(),
            stage: it.stage(),
            units: it.units(),
            up_lock: *it.up_lock(),
            down_lock: *it.down_lock(),
        };
        self.book.routes.values().map(view).collect()
    }
}

/// The vouchers that a step of this node's own channel brought.
fn vouchers(channel: ChannelId, outcome: Outcome) -> Vec<RouteOut> {
    let vouchers = outcome.frames.into_iter().filter_map(|it| match it {
        PayFrame::Voucher(voucher) => Some(RouteOut {
            channel,
            frame: RouteFrame::Voucher(voucher),
        }),
        PayFrame::Word(_) => None,
    });
    vouchers.collect()
}

/// What the neighbour upstream is told when this node's own channel did not take the lock.
const fn code_of(refusal: &PayerRefusal) -> PayErrorCode {
    match refusal {
        PayerRefusal::NotConfirmed => PayErrorCode::NotConfirmed,
        PayerRefusal::Closing => PayErrorCode::Closing,
        PayerRefusal::TopUpUnderWay => PayErrorCode::Busy,
        PayerRefusal::Exhausted { .. }
        | PayerRefusal::TooManyLocks
        | PayerRefusal::Shared
        | PayerRefusal::Unknown => PayErrorCode::NoCapacity,
        PayerRefusal::LockTwice { .. } => PayErrorCode::AnchorReused,
        PayerRefusal::LockExpired { .. } => PayErrorCode::ExpiryTooSoon,
        PayerRefusal::NoLock
        | PayerRefusal::FreeUnit
        | PayerRefusal::UnknownPayment { .. }
        | PayerRefusal::NotReady { .. }
        | PayerRefusal::BadWord { .. }
        | PayerRefusal::PayeeOverclaims { .. } => PayErrorCode::Internal,
    }
}
