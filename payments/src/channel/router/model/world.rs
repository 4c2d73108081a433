//! The world of the model: consumer, router and exit are the product's own machines.
//!
//! Sans-IO. What the consumer and the exit do with them; the router has a file of its own.

use warren_proto::{Amount, HashLock, LockOffer, UnixTime, Voucher};

use super::Mutant;
use super::chain::{OnChain, Said};
use super::parts::{DEPOSIT, PAYMENT, PRICE, fold, learn, offer, payee, payer, rules, terms};
use super::parts::{up_lock, voucher_of, word};
use crate::channel::event::{ChainFact, PayeeEffect, PayeeEvent, PayerEvent};
use crate::channel::routed::{RoutedLock, RoutedNews, RoutedOrder, Via};
use crate::channel::router::RoutedPayment;
use crate::channel::{PayeeChannel, PayerChannel};
use crate::voucher::VerifiedVoucher;

/// One step of the model's clock: the hop gap.
pub(in crate::channel::router) const TICK: u64 = 3600;
pub(in crate::channel::router) const START: u64 = 1_800_000_000;

pub(in crate::channel::router) fn secs(tick: u64) -> u64 {
    START + tick * TICK
}

/// What is known on its way; the newest of each kind stands for all, and may never arrive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Net {
    pub(super) offer: Option<LockOffer>,
    pub(super) onward: Option<LockOffer>,
    pub(super) ready: bool,
    pub(super) fulfill: Option<u32>,
    pub(super) fold_down: Option<Voucher>,
    pub(super) ask_fold: Option<u32>,
}

/// All that a router has, in memory or on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Router {
    pub(super) up: PayeeChannel,
    pub(super) down: PayerChannel,
    pub(super) route: Option<RoutedPayment>,
    /// How much of what the chain said is in the records.
    pub(super) heard: usize,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct World {
    pub(super) mutant: Mutant,
    pub(super) tick: u64,
    pub(super) consumer: PayerChannel,
    pub(super) router: Router,
    pub(super) disk: Router,
    pub(super) exit: PayeeChannel,
    pub(super) up: OnChain,
    pub(super) down: OnChain,
    pub(super) said: Vec<(u64, Said)>,
    pub(super) net: Net,
    pub(super) crashes: u8,
    /// Saves until the plug is pulled.
    pub(super) fuse: Option<u8>,
}

impl World {
    /// The consumer has offered its lock; nobody else has heard of it.
    pub(super) fn new(mutant: Mutant) -> Self {
        let (up, down) = (terms(1, mutant.period()), terms(2, 24 * TICK));
        let router = Router {
            up: payee(up, rules()),
            down: payer(down),
            route: None,
            heard: 0,
        };
        let mut world = Self {
            mutant,
            tick: 0,
            consumer: payer(up),
            disk: router.clone(),
            router,
            exit: payee(down, rules()),
            up: OnChain::open(DEPOSIT),
            down: OnChain::open(DEPOSIT),
            said: Vec::new(),
            net: Net::default(),
            crashes: 0,
            fuse: None,
        };
        let lock = up_lock(mutant.gap());
        let order = RoutedOrder::Lock(RoutedLock {
            payment: PAYMENT,
            lock,
            own: Some(world.consumer.next_tranche()),
            hold_fee: Amount::ZERO,
        });
        let voucher = world.pay_as_consumer(order);
        world.net.offer = voucher.map(|it| offer(lock, it));
        world
    }

    pub(super) fn now(&self) -> UnixTime {
        UnixTime::from_secs(secs(self.tick))
    }

    // ---- the consumer

    fn pay_as_consumer(&mut self, order: RoutedOrder) -> Option<Voucher> {
        let step = self.consumer.handle(&PayerEvent::Routed(order), self.now());
        self.consumer = step.next;
        voucher_of(&self.consumer, &step.effects)
    }

    pub(super) fn hear_ready(&mut self) {
        self.net.ready = false;
        let anchor = HashLock::from_bytes(*word(0).expose());
        let payment = PAYMENT;
        self.pay_as_consumer(RoutedOrder::Ready { payment, anchor });
        self.hear_exit();
    }

    /// Says one word more, which the exit hears.
    pub(super) fn release(&mut self) {
        let units = self.released() + 1;
        let payment = PAYMENT;
        self.pay_as_consumer(RoutedOrder::Release { payment, units });
        if self.released() == units {
            let news = learn(units, &word(units), Via::Consumer);
            self.exit_event(&PayeeEvent::Routed(news));
        }
    }

    pub(super) fn released(&self) -> u32 {
        let lock = self.consumer.routed_lock(&PAYMENT);
        lock.and_then(|it| it.released).unwrap_or(super::UNITS)
    }

    /// The consumer folds as asked, and the router hears of it; or neither ever happens.
    pub(super) fn fold_up(&mut self) {
        let asked = self.net.ask_fold.take();
        let voucher = asked.and_then(|k| self.pay_as_consumer(fold(k)));
        if let Some(voucher) = voucher {
            self.take_fold_up(voucher);
        }
    }

    pub(super) fn start_close(&mut self) {
        let closes_at = secs(self.tick) + u64::from(self.consumer.terms().params.period_secs);
        self.up.closes_at = Some(closes_at);
        self.say(Said::UpClosing(closes_at));
    }

    // ---- the exit

    pub(super) fn take_lock(&mut self) {
        let Some(offer) = self.net.onward.take() else {
            return;
        };
        let news = RoutedNews::Lock {
            voucher: VerifiedVoucher::from_record(offer.voucher),
            payment: PAYMENT,
            anchor: offer.lock.anchor,
            unit_price: PRICE,
        };
        let step = self.exit.handle(&PayeeEvent::Routed(news), self.now());
        self.exit = step.next;
        let taken = step.effects.iter();
        let taken = taken.filter(|it| matches!(it, PayeeEffect::Credit(_)));
        if taken.count() > 0 {
            self.net.ready = true;
        }
    }

    /// What the exit does, it does from its record: it may crash after every step.
    fn exit_event(&mut self, event: &PayeeEvent) {
        let next = self.exit.handle(event, self.now()).next;
        self.exit = PayeeChannel::decode(&next.encode(), rules()).unwrap();
    }

    /// Words that the exit could ask to be folded now; `None` if there are none.
    pub(super) fn unfolded(&self) -> Option<u32> {
        let folded = self.exit.routed_folded(&PAYMENT)?;
        let (k, _) = self.exit.routed_word(&PAYMENT)?;
        (k > folded).then_some(k)
    }

    pub(super) fn take_fold(&mut self) {
        if let Some(voucher) = self.net.fold_down.take() {
            let event = PayeeEvent::Voucher(VerifiedVoucher::from_record(voucher));
            self.exit_event(&event);
        }
    }

    /// Claims with all it has; says whether that brought anything.
    pub(super) fn claim_as_exit(&mut self) -> bool {
        let Some(claim) = self.exit.claim_now(self.now()) else {
            return false;
        };
        let Ok(words) = self.down.claim(&claim, secs(self.tick)) else {
            return false;
        };
        for word in words {
            self.say(Said::Revealed(word));
        }
        let claimed = ChainFact::Claimed(self.down.claimed);
        self.exit_event(&PayeeEvent::Chain(claimed));
        self.say(Said::DownClaimed(self.down.claimed));
        true
    }

    pub(super) fn say(&mut self, said: Said) {
        self.said.push((self.tick, said));
    }
}
