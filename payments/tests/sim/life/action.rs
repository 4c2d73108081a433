//! What each action of a schedule does to the world.

use std::time::Duration;

use warren_payments::calls::Call;
use warren_payments::channel::event::{PayeeEvent, PayerEvent, VoucherDraft};
use warren_proto::{CloseConsent, Preimage, VoucherAck, WordFrame};

use super::chain::{BASE_FEE, Fate};
use super::endpoints::Liar;
use super::host::{Fuse, When};
use super::names::{MOST_PRICE, Who, elsewhere, secs, signed, terms, wei};
use super::payer::Payer;
use super::schedule::{Action, Kind};
use super::wire::Frame;
use super::world::World;

/// A consent binds for so long at most: what the product takes.
const CONSENT_SECS: u64 = 600;

/// For so long a consent binds after its end (300 s), in blocks, and one more.
const DOUBT_BLOCKS: u32 = 26;

impl World {
    pub(crate) fn act(&mut self, action: Action) {
        let Action { kind, a, b, c } = action;
        let who = if a & 1 == 0 { Who::Payer } else { Who::Payee };
        match kind {
            Kind::Deliver => (0..1 + c % 3).for_each(|_| self.deliver(who, 0)),
            Kind::Drop => drop(self.wires.take(who, 0)),
            Kind::Duplicate => {
                if let Some(frame) = self.wires.peek(who).cloned() {
                    self.wires.send(who, frame);
                }
                self.deliver(who, 0);
            }
            Kind::Reorder => self.deliver(who, usize::from(b)),
            Kind::Work => self.work(a, b),
            Kind::Mine => self.pass(if a.is_multiple_of(8) {
                5 * u32::from(1 + b % 10)
            } else {
                1 + u32::from(b % 3)
            }),
            Kind::Lag => self.host(who).lag = (1 + usize::from(b % 8), 1 + c % 6),
            Kind::Reorg => {
                let fate = [Fate::Again, Fate::Later, Fate::Gone][usize::from(b % 3)];
                self.chain.reorg(1 + usize::from(a % 8), fate);
            }
            Kind::Rpc => {
                let host = self.host(who);
                (host.deaf, host.swallows) = (1 + b % 6, c & 1 == 1);
            }
            Kind::Forget => self.chain.forget(usize::from(b)),
            Kind::Spike => {
                let quiet = self.chain.base_fee == BASE_FEE;
                self.chain.base_fee = if quiet {
                    BASE_FEE * (1 + u64::from(b))
                } else {
                    BASE_FEE
                };
            }
            Kind::Skew => self.host(who).skew_secs = i64::from(b) - 128,
            Kind::Crash => self.crash(who, b, c),
            Kind::Slow => match who {
                Who::Payer => self.payer.desk.slow = 1 + b % 6,
                _ => self.payee.desk.slow = 1 + b % 6,
            },
            Kind::Settle => self.settle(a, b),
            Kind::Forge => self.forge(a, b),
            Kind::Lie => self.host(who).liar = Liar::from_bytes(a, b),
        }
        self.tick();
    }

    fn work(&mut self, a: u8, b: u8) {
        match a % 8 {
            0 => self.buy(|payer, env| payer.begin(1 + u64::from(b) % MOST_PRICE, env)),
            1..=3 => self.buy(Payer::pay),
            4 | 5 => (0..1 + b % 3).for_each(|_| self.serve()),
            6 => {
                self.buy(|payer, env| payer.take(PayerEvent::RepeatAsked, env));
                self.wires.send(Who::Payee, Frame::Show);
            }
            _ if b.is_multiple_of(4) => self.buy(Payer::finish),
            _ => self.buy(Payer::pay),
        }
    }

    /// The process ends now, or around an effect to come; then at once or some actions later it is back.
    fn crash(&mut self, who: Who, b: u8, c: u8) {
        self.set_outage(who, if c & 1 == 0 { 0 } else { 1 + c / 16 });
        match b % 4 {
            0 | 1 if !self.is_down(who) => self.kill(who),
            mode => {
                let host = self.host(who);
                let when = if mode == 2 { When::Before } else { When::After };
                host.fuse = Some(Fuse {
                    at: host.effects + u64::from(c % 8),
                    when,
                });
            }
        }
    }

    fn settle(&mut self, a: u8, b: u8) {
        match a {
            0..100 => self.earn(PayeeEvent::ClaimAsked),
            100..150 => {
                let amount = wei(20 + u64::from(b % 60));
                self.buy(|payer, env| payer.take(PayerEvent::TopUpAsked { amount }, env));
            }
            150..185 => self.buy(|payer, env| payer.take(PayerEvent::CloseAsked(None), env)),
            185..230 => self.ask_close(b),
            _ => {
                // A payee gives back only what it does not want.
                let now = self.payee.desk.host.now(&self.chain);
                let core = &self.payee.desk.core;
                if core.claimable(now) == wei(0) && self.payee.session.is_none() {
                    self.earn(PayeeEvent::CloseAsked);
                }
            }
        }
    }

    /// Asks for a consent that binds for a part of the longest time: 255 is all of it.
    pub(crate) fn ask_close(&mut self, part: u8) {
        let life = CONSENT_SECS * u64::from(part) / 255;
        let (now, life) = (secs(self.chain.time), Duration::from_secs(life));
        // One that keeps what it gets asks for a short one after the long one.
        self.hoards = part % 2 == 1 && part < 255;
        let short = self.hoards.then_some(now);
        for not_after in [now.plus(life)].into_iter().chain(short) {
            self.wires.send(Who::Payee, Frame::AskClose { not_after });
        }
        if self.hoards {
            // Until the short one binds no more.
            (0..4).for_each(|_| self.deliver(Who::Payee, 0));
            self.pass(DOUBT_BLOCKS);
        }
    }

    /// I8: a voucher of the payer's own key for another chain, another contract or another channel.
    fn forge_elsewhere(&mut self, a: u8, b: u8) {
        let book = self.chain.book();
        let draft = VoucherDraft {
            seq: u64::MAX - u64::from(b),
            base: wei(u64::try_from(book.deposit).unwrap()),
            lock: None,
            routed: Vec::new(),
        };
        if let Some(taken) = elsewhere(&draft, a, self.payee.desk.host.breach) {
            self.truth.weighs_nothing();
            self.wires.send(Who::Payee, Frame::Voucher(taken));
        }
    }

    /// I8: a closed channel never opens again.
    fn open_again(&mut self) {
        if !self.chain.book().closed {
            return;
        }
        let (params, amount) = (terms().params, wei(1));
        let place = self
            .chain
            .place_of(Who::Payer, Call::OpenFromBalance { params, amount });
        let newest = self.chain.blocks.len() - 1;
        if self.chain.would_do(newest, Who::Payer, place) {
            self.truth.complaint = Some("I8: a closed channel would open again".to_owned());
        }
    }

    fn forge(&mut self, a: u8, b: u8) {
        let now = self.payee.desk.host.now(&self.chain);
        let value = self.payee.desk.core.value(now).wei();
        let more = wei(u64::try_from(value).unwrap() + 1 + u64::from(b));
        // Whoever kept consents uses one when it gives the payee less than it has earned since.
        let kept = self.chain.least_consent(terms().id);
        if let Some(consent) = kept.filter(|it| self.hoards && it.final_amount.wei() < value) {
            self.hoards = false;
            return self.wires.send(Who::Payer, Frame::Consent(consent));
        }
        match a % 6 {
            4 => self.forge_elsewhere(a, b),
            5 => self.open_again(),
            0 => {
                let word = Preimage::from_bytes([b; 32]);
                let frame = WordFrame {
                    lane: 0,
                    k: u32::from(b % 32),
                    word,
                };
                self.wires.send(Who::Payee, Frame::Word(frame));
            }
            1 => {
                let ack = VoucherAck {
                    value_now: more,
                    ..self.payee.desk.core.acknowledgement(now)
                };
                self.wires.send(Who::Payer, Frame::Ack(ack));
            }
            2 => {
                if let Some(draft) = self.truth.old_voucher(usize::from(b)) {
                    self.wires.send(Who::Payee, Frame::Voucher(signed(draft)));
                }
            }
            _ => {
                let not_after = secs(self.chain.time + CONSENT_SECS);
                self.chain.agree(terms().id, more, not_after);
                let signature = [0; 64];
                let consent = CloseConsent {
                    final_amount: more,
                    not_after,
                    signature,
                };
                self.wires.send(Who::Payer, Frame::Consent(consent));
            }
        }
    }
}
