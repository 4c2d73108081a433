//! The router of the model: what the actor does around the product's machines, and no more.
//!
//! Sans-IO. A step is saved, then its effects are performed in order; a plug can be pulled before any
//! save.

use warren_proto::{Amount, Fulfill, HashLock, LockOffer, UnixTime, Voucher};

use super::chain::Said;
use super::parts::{PAYMENT, learn, rules, voucher_of, word};
use super::world::{Router, World, secs};
use super::{DOWN_LIFE, END, Mutant};
use crate::channel::event::{ChainAction, ChainFact, PayeeEffect, PayeeEvent, PayerEvent};
use crate::channel::routed::{Proof, RoutedLock, RoutedNews, RoutedOrder, Via};
use crate::channel::router::{Admission, RouteEffect, RouteEvent, RouteView, admit};
use crate::channel::{PayeeChannel, PayerChannel};
use crate::settle::{ClaimView, Settle, SettlePolicy};
use crate::voucher::VerifiedVoucher;

/// The plug was pulled.
struct Dead;

impl World {
    /// Does something as the router; with a fuse, the plug is pulled before one of its saves.
    pub(super) fn as_router(&mut self, fuse: Option<u8>, act: impl FnOnce(&mut Self)) {
        self.fuse = fuse;
        act(self);
        if self.fuse.take().is_some() {
            self.crashes += 1;
            self.restart();
        }
    }

    fn save(&mut self, write: impl FnOnce(&mut Router, &Router)) -> Result<(), Dead> {
        match &mut self.fuse {
            Some(0) => return Err(Dead),
            Some(left) => *left -= 1,
            None => {}
        }
        write(&mut self.disk, &self.router);
        Ok(())
    }

    fn restart(&mut self) {
        let disk = &self.disk;
        self.router = Router {
            up: PayeeChannel::decode(&disk.up.encode(), rules()).unwrap(),
            down: PayerChannel::decode(&disk.down.encode()).unwrap(),
            route: disk.route.clone(),
            heard: disk.heard,
        };
        if self.mutant == Mutant::NoRescan {
            self.router.heard = self.said.len();
            return;
        }
        let _no_fuse = self.route_event(&RouteEvent::Restarted);
    }

    pub(super) fn lock_onward(&mut self) {
        let _dead = self.try_lock_onward();
    }

    fn try_lock_onward(&mut self) -> Result<(), Dead> {
        let Some(offer) = self.net.offer.take() else {
            return Ok(());
        };
        let admission = Admission {
            offer: &offer,
            up: &self.router.up,
            down: &self.router.down,
            in_flight: (0, Amount::ZERO),
            claim_cost: Amount::ZERO,
        };
        let Ok(admitted) = admit(&admission, &self.mutant.rules(), self.now()) else {
            return Ok(());
        };
        let news = RoutedNews::Lock {
            voucher: VerifiedVoucher::from_record(offer.voucher),
            payment: PAYMENT,
            anchor: offer.lock.anchor,
            unit_price: Amount::ZERO,
        };
        let taken = self.router.up.handle(&PayeeEvent::Routed(news), self.now());
        if !taken.save {
            return Ok(());
        }
        self.router.up = taken.next;
        self.router.route = Some(admitted.next);
        let write = |disk: &mut Router, live: &Router| {
            disk.up = live.up.clone();
            disk.route = live.route.clone();
        };
        if self.mutant == Mutant::SignFirst {
            self.perform(admitted.effects)?;
            return self.save(write);
        }
        self.save(write)?;
        self.perform(admitted.effects)
    }

    pub(super) fn hear_exit(&mut self) {
        let _dead = self.route_event(&RouteEvent::Ready);
    }

    pub(super) fn hear_fulfill(&mut self, k: u32) {
        self.net.fulfill = None;
        let shown = Fulfill {
            payment: PAYMENT,
            anchor: HashLock::from_bytes(*word(0).expose()),
            k,
            word: word(k),
            last: false,
        };
        let _dead = self.route_event(&RouteEvent::Fulfilled(shown));
    }

    pub(super) fn take_fold_up(&mut self, voucher: Voucher) {
        let event = PayeeEvent::Voucher(VerifiedVoucher::from_record(voucher));
        let _dead = self.earn(&event);
    }

    fn route_event(&mut self, event: &RouteEvent) -> Result<(), Dead> {
        let Some(route) = &self.router.route else {
            return Ok(());
        };
        let step = route.handle(event, self.router_time());
        self.router.route = Some(step.next);
        if step.save {
            self.save(|disk, live| disk.route = live.route.clone())?;
        }
        self.perform(step.effects)
    }

    fn perform(&mut self, effects: Vec<RouteEffect>) -> Result<(), Dead> {
        let mut learned = true;
        for effect in effects {
            match effect {
                RouteEffect::LockOnward {
                    lock,
                    onward,
                    sealed,
                } => {
                    let order = RoutedOrder::Lock(RoutedLock {
                        payment: PAYMENT,
                        lock,
                        own: None,
                        hold_fee: Amount::ZERO,
                    });
                    let now = self.router_time();
                    let step = self.router.down.handle(&PayerEvent::Routed(order), now);
                    let voucher = voucher_of(&step.next, &step.effects);
                    if let (Some(voucher), Some(route)) = (voucher, &self.router.route) {
                        self.router.route = Some(route.handle(&RouteEvent::Signed, now).next);
                        self.router.down = step.next;
                        self.save(|disk, live| {
                            disk.down = live.down.clone();
                            disk.route = live.route.clone();
                        })?;
                        let router_offer = LockOffer {
                            payment: PAYMENT,
                            voucher,
                            lock,
                            onward,
                            hold_fee: Amount::ZERO,
                            sealed,
                        };
                        self.net.onward = Some(router_offer);
                    }
                }
                RouteEffect::Learn { k, word } => {
                    learned = self.earn(&PayeeEvent::Routed(learn(k, &word, Via::Route)))?;
                }
                RouteEffect::Fold { k, word, proof } => {
                    if learned || proof == Proof::OnChain {
                        let payment = PAYMENT;
                        let order = RoutedOrder::Fold {
                            payment,
                            k,
                            word,
                            proof,
                        };
                        let voucher = self.pay_as_router(order)?;
                        self.net.fold_down = voucher.or(self.net.fold_down.take());
                    }
                }
                RouteEffect::AskFold(shown) => self.net.ask_fold = Some(shown.k),
                RouteEffect::TellReady | RouteEffect::Reject(_) | RouteEffect::Refuse(_) => {}
            }
        }
        Ok(())
    }

    fn pay_as_router(&mut self, order: RoutedOrder) -> Result<Option<Voucher>, Dead> {
        let event = PayerEvent::Routed(order);
        let step = self.router.down.handle(&event, self.router_time());
        self.router.down = step.next;
        if step.save {
            self.save(|disk, live| disk.down = live.down.clone())?;
        }
        Ok(voucher_of(&self.router.down, &step.effects))
    }

    /// Says whether the upstream channel took it.
    fn earn(&mut self, event: &PayeeEvent) -> Result<bool, Dead> {
        let step = self.router.up.handle(event, self.router_time());
        self.router.up = step.next;
        if step.save {
            self.save(|disk, live| disk.up = live.up.clone())?;
        }
        let refused = |it: &PayeeEffect| matches!(it, PayeeEffect::Refuse(_));
        Ok(!step.effects.iter().any(refused))
    }

    /// What the router does before the clock goes on: hears what is visible by now, and claims.
    pub(super) fn duty(&mut self) {
        let _no_fuse = self.try_duty();
    }

    fn try_duty(&mut self) -> Result<(), Dead> {
        while let Some((at, said)) = self.said.get(self.router.heard).cloned() {
            if at >= self.tick {
                break; // The chain is seen one tick late.
            }
            self.router.heard += 1;
            match said {
                Said::Revealed(word) => self.route_event(&RouteEvent::Revealed(word))?,
                Said::UpClosing(closes_at) => {
                    self.earn(&PayeeEvent::Chain(ChainFact::Closing { closes_at }))?;
                }
                Said::UpClaimed(total) => {
                    self.earn(&PayeeEvent::Chain(ChainFact::Claimed(total)))?;
                }
                Said::DownClaimed(total) => {
                    let fact = PayerEvent::Chain(ChainFact::Claimed(total));
                    let now = self.router_time();
                    self.router.down = self.router.down.handle(&fact, now).next;
                }
            }
            self.disk = self.router.clone();
        }
        let up = &self.router.up;
        let view = RouteView {
            heard_until: UnixTime::from_secs(secs(self.tick)),
            up_folded: up.routed_folded(&PAYMENT),
            up_claimed: up.claimed() >= up.value(self.now()),
        };
        self.route_event(&RouteEvent::Looked(view))?;
        self.settle()
    }

    /// As the actor settles, with gas for nothing; at the end, everything is claimed.
    fn settle(&mut self) -> Result<(), Dead> {
        let (up, now) = (&self.router.up, self.duty_time());
        let view = ClaimView {
            phase: up.phase(),
            claimable: up.claimable(now),
            words: up.claim_words(),
            gas_price: Amount::ZERO,
            apart: false,
            expiry: up.first_expiry(now),
        };
        let policy = SettlePolicy {
            worth_factor: 0,
            ..SettlePolicy::default()
        };
        let asked = policy.decide(&view, now) != Settle::Wait || self.tick >= END;
        if asked && !up.is_claiming() {
            let step = self.router.up.handle(&PayeeEvent::ClaimAsked, now);
            self.router.up = step.next;
            self.disk.up = self.router.up.clone();
            for effect in step.effects {
                if let PayeeEffect::Submit(ChainAction::Claim(claim)) = effect
                    && self.up.claim(&claim, now.as_secs()).is_ok()
                {
                    self.say(Said::UpClaimed(self.up.claimed));
                }
            }
        }
        Ok(())
    }

    /// The last minutes before the clock goes on.
    fn duty_time(&self) -> UnixTime {
        UnixTime::from_secs(secs(self.tick + 1) - 600)
    }

    /// The time the router goes by. A mutant without R3 does not see a lock expire.
    fn router_time(&self) -> UnixTime {
        match self.mutant {
            Mutant::FoldLate => self.now().min(UnixTime::from_secs(secs(DOWN_LIFE) - 1)),
            Mutant::None
            | Mutant::SignFirst
            | Mutant::NoHopGap
            | Mutant::NoCloseGap
            | Mutant::NoRescan => self.now(),
        }
    }
}
