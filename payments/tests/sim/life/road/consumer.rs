//! The consumer: offers locks on its own words, and says them to the exit.

use warren_payments::channel::event::PayerEvent;
use warren_payments::channel::router::rules::{expiries, with_fee};
use warren_payments::channel::{Phase, Proof, RoutedLock, RoutedOrder};
use warren_proto::{ChannelId, Hop, Lock, LockOffer, NodeId, PaymentId};

use super::super::host::Act;
use super::super::names::{PREPAY_UNITS, Who, wei};
use super::mail::Note;
use super::node::Node;
use super::paper;
use super::perform::Env;
use super::router::{FEE_PPM, HOLD_FEE};
use super::truth::Deal;

pub(crate) const EXIT: NodeId = NodeId::from_bytes([3; 32]);

impl Node {
    /// A lock, for the router to lock onward.
    pub(crate) fn offer(&mut self, price: u64, units: u32, env: &mut Env<'_>) -> Act<()> {
        let up = paper::up().id;
        let Some(payer) = self.payers.get(&up).filter(|it| it.phase() == Phase::Open) else {
            return Ok(());
        };
        let tranche = payer.next_tranche();
        let times = expiries(self.now(env.chain), 1);
        let lock = Lock {
            anchor: paper::words(tranche, units).anchor(),
            unit_price: with_fee(wei(price), FEE_PPM),
            units,
            expiry: times[0],
        };
        let payment = env.truth.next_payment();
        let order = RoutedOrder::Lock(RoutedLock {
            payment,
            lock,
            own: Some(tranche),
            hold_fee: wei(HOLD_FEE),
        });
        let deal = Deal::new(&lock, (price, times[1]));
        env.truth.deals.insert(payment, deal);
        let mut outcome = self.pays(up, &PayerEvent::Routed(order), env)?;
        let Some(voucher) = outcome.vouchers.pop() else {
            return Ok(());
        };
        let offer = LockOffer {
            payment,
            voucher: voucher.get().clone(),
            lock,
            onward: vec![Hop {
                node: EXIT,
                unit_price: wei(price),
                expiry: times[1],
            }],
            hold_fee: wei(HOLD_FEE),
            sealed: None,
        };
        self.post(Who::Router, up, Note::Offer(Box::new(offer)), env)
    }

    /// Pays what was received, and a little in advance.
    pub(crate) fn pay_for(&mut self, payment: PaymentId, env: &mut Env<'_>) -> Act<()> {
        let up = paper::up().id;
        let Some(deal) = env.truth.deals.get(&payment) else {
            return Ok(());
        };
        let units = u32::try_from(deal.served + PREPAY_UNITS).unwrap();
        let order = RoutedOrder::Release { payment, units };
        let outcome = self.pays(up, &PayerEvent::Routed(order), env)?;
        for (payment, k, word) in outcome.words {
            let note = Note::Word { payment, k, word };
            self.post(Who::Payee, paper::down().id, note, env)?;
        }
        Ok(())
    }

    pub(crate) fn hear_as_consumer(
        &mut self,
        channel: ChannelId,
        note: Note,
        env: &mut Env<'_>,
    ) -> Act<()> {
        let up = paper::up().id;
        let order = match note {
            Note::Ready(it) => RoutedOrder::Ready {
                payment: it.payment,
                anchor: it.anchor,
            },
            Note::Reject(it) if it.held => RoutedOrder::Dead(it.payment),
            Note::Reject(it) => RoutedOrder::Dropped(it.payment),
            Note::Fulfill(it) => RoutedOrder::Fold {
                payment: it.payment,
                k: it.k,
                word: it.word,
                proof: Proof::Told,
            },
            Note::Heard { payment, k } => RoutedOrder::Heard { payment, k },
            Note::Ack(ack) => {
                let outcome = self.pays(channel, &PayerEvent::PayeeSaw(ack), env)?;
                return self.send_vouchers(Who::Router, outcome, env);
            }
            Note::Consent(it) => {
                let event = PayerEvent::CloseAsked(Some(it));
                return self.pays(channel, &event, env).map(|_| ());
            }
            Note::Offer(_)
            | Note::Voucher(_)
            | Note::Word { .. }
            | Note::AskClose { .. }
            | Note::Put(_)
            | Note::Answer(_) => return Ok(()),
        };
        let outcome = self.pays(up, &PayerEvent::Routed(order), env)?;
        self.send_vouchers(Who::Router, outcome, env)
    }
}
