//! What each action of a schedule does to a route.

use std::time::Duration;

use warren_payments::channel::event::{PayeeEvent, PayerEvent};
use warren_proto::{ChannelId, Fulfill, PaymentId, Preimage};

use super::super::chain::{BASE_FEE, Fate};
use super::super::endpoints::Liar;
use super::super::host::{Fuse, When};
use super::super::names::{MOST_PRICE, Who, secs, wei};
use super::super::schedule::{Action, Kind};
use super::mail::{Mail, Note};
use super::node::Node;
use super::paper;
use super::perform::payer_of;
use super::world::Road;

/// A consent binds for so long at most: what the product takes.
const CONSENT_SECS: u64 = 600;
/// Payments under way at once; a router gives one neighbour no more places.
const MOST_DEALS: usize = 4;
/// Payments in one life.
const ALL_DEALS: usize = 12;

impl Road {
    pub(crate) fn act(&mut self, action: Action) {
        let Action { kind, a, b, c } = action;
        let who = Who::ALL[usize::from(a & 3)];
        match kind {
            Kind::Deliver => {
                (0..2 + c % 3).for_each(|it| self.deliver(self.waits(a.wrapping_add(it)), 0))
            }
            Kind::Drop => drop(self.wires.take(self.waits(a), 0)),
            Kind::Duplicate => {
                let to = self.waits(a);
                if let Some(mail) = self.wires.peek(to).cloned() {
                    self.wires.send(to, mail);
                }
                self.deliver(to, 0);
            }
            Kind::Reorder => self.deliver(self.waits(a), usize::from(b)),
            Kind::Work => self.work(a, b, c),
            Kind::Mine => self.pass(if a.is_multiple_of(4) {
                6 * u32::from(1 + b % 10)
            } else {
                1 + u32::from(b % 3)
            }),
            Kind::Lag => self.host(who).lag = (1 + usize::from(b % 8), 1 + c % 6),
            Kind::Reorg if self.is_late() => {}
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
                let dear = BASE_FEE * (1 + u64::from(b));
                self.chain.base_fee = if quiet { dear } else { BASE_FEE };
            }
            Kind::Skew => self.host(who).skew_secs = i64::from(b) - 128,
            Kind::Crash => self.crash(who, b, c),
            Kind::Slow => self.slows(who, 1 + b % 6),
            Kind::Settle => self.settle(a, b),
            Kind::Forge => self.forge(a, b),
            Kind::Lie => self.host(who).liar = Liar::from_bytes(a, b),
        }
        self.tick();
    }

    /// Somebody who has mail, beginning with one of them.
    fn waits(&self, first: u8) -> Who {
        let from = usize::from(first & 3);
        let all = (0..4).map(|it| Who::ALL[(from + it) % 4]);
        let mut waiting = all.filter(|it| self.wires.peek(*it).is_some());
        waiting.next().unwrap_or(Who::ALL[from])
    }

    fn work(&mut self, a: u8, b: u8, c: u8) {
        let deal = self.truth.a_deal(b);
        match (a % 8, deal) {
            (0, _) | (_, None) => {
                self.begin(1 + u64::from(b) % MOST_PRICE, 6 + u32::from(c % 16));
                // An offer dies after seconds (R6): three of four times it meets no block on its way.
                let rounds = if c & 3 == 0 { 0 } else { 4 };
                (0..4 * rounds).for_each(|it| self.deliver(Who::ALL[it % 4], 0));
            }
            (1..=3, Some(it)) => {
                self.serve(it);
                self.with_node(Who::Payer, |node, env| node.pay_for(it, env));
            }
            (4, Some(it)) => (0..1 + b % 3).for_each(|_| self.serve(it)),
            (5, Some(it)) => self.with_node(Who::Payee, |node, env| node.ask_fold(it, env)),
            (6, Some(it)) => self.with_node(Who::Payee, |node, env| node.tell_ready(it, env)),
            (_, Some(_)) if c & 3 == 0 => self.put_again(b),
            (_, Some(_)) => self.with_node(Who::Payee, Node::put),
        }
    }

    /// A put that was under way for long arrives.
    pub(crate) fn put_again(&mut self, which: u8) {
        if let Some(put) = self.truth.old_put(usize::from(which)).cloned() {
            let (channel, note) = (paper::down().id, Note::Put(Box::new(put)));
            self.wires.send(Who::Tower, Mail { channel, note });
        }
    }

    pub(crate) fn begin(&mut self, price: u64, units: u32) {
        let time = self.chain.time;
        let deals = self.truth.deals.values();
        let live = deals.filter(|it| it.up_expiry > time).count();
        if live < MOST_DEALS && self.truth.deals.len() < ALL_DEALS {
            self.with_node(Who::Payer, |node, env| node.offer(price, units, env));
        }
    }

    pub(crate) fn serve(&mut self, payment: PaymentId) {
        self.with_node(Who::Payee, |node, env| {
            node.serve(payment, env);
            Ok(())
        });
    }

    fn crash(&mut self, who: Who, b: u8, c: u8) {
        self.set_outage(who, if c & 1 == 0 { 0 } else { 1 + c / 16 });
        match b % 4 {
            0 | 1 if !self.is_down(who) => self.kill(who),
            mode => {
                let host = self.host(who);
                let when = if mode == 2 { When::Before } else { When::After };
                let at = host.effects + u64::from(c % 8);
                host.fuse = Some(Fuse { at, when });
            }
        }
    }

    fn settle(&mut self, a: u8, b: u8) {
        let (up, down) = (paper::up().id, paper::down().id);
        match a {
            0..80 => self.claim(Who::Payee, down),
            80..150 => self.claim(Who::Router, up),
            150..180 => {
                let amount = wei(20 + u64::from(b % 60));
                self.pay(Who::Payer, up, PayerEvent::TopUpAsked { amount });
            }
            180..200 => self.pay(Who::Payer, up, PayerEvent::CloseAsked(None)),
            200..220 => self.pay(Who::Router, down, PayerEvent::CloseAsked(None)),
            220..240 => self.ask_close(up, b),
            _ => self.ask_close(down, b),
        }
    }

    pub(crate) fn claim(&mut self, who: Who, id: ChannelId) {
        self.with_node(who, |node, env| {
            node.earns(id, &PayeeEvent::ClaimAsked, env).map(|_| ())
        });
    }

    pub(crate) fn pay(&mut self, who: Who, id: ChannelId, event: PayerEvent) {
        self.with_node(who, |node, env| node.pays(id, &event, env).map(|_| ()));
    }

    /// Asks for a consent that binds for a part of the longest time: 255 is all of it.
    pub(crate) fn ask_close(&mut self, channel: ChannelId, part: u8) {
        let life = CONSENT_SECS * u64::from(part) / 255;
        let (now, life) = (secs(self.chain.time), Duration::from_secs(life));
        // One that keeps what it gets asks for a short one after the long one.
        self.hoards = part % 2 == 1 && part < 255;
        let to = if payer_of(channel) == Who::Payer {
            Who::Router
        } else {
            Who::Payee
        };
        let short = self.hoards.then_some(now);
        for not_after in [now.plus(life)].into_iter().chain(short) {
            let note = Note::AskClose { not_after };
            self.wires.send(to, Mail { channel, note });
        }
    }

    fn forge(&mut self, a: u8, b: u8) {
        let (channel, word) = (paper::down().id, Preimage::from_bytes([b; 32]));
        let Some(payment) = self.truth.a_deal(b) else {
            return;
        };
        let k = u32::from(b % 24);
        match a % 5 {
            4 => {
                self.hoards = false;
                let channel = [paper::up().id, paper::down().id][usize::from(b % 2)];
                if let Some(consent) = self.chain.least_consent(channel) {
                    let note = Note::Consent(consent);
                    self.wires.send(payer_of(channel), Mail { channel, note });
                }
            }
            0 => {
                let note = Note::Word { payment, k, word };
                self.wires.send(Who::Payee, Mail { channel, note });
            }
            1 => {
                let anchor = word.lock();
                let last = false;
                let shown = Fulfill {
                    payment,
                    anchor,
                    k,
                    word,
                    last,
                };
                let note = Note::Fulfill(shown);
                self.wires.send(Who::Router, Mail { channel, note });
            }
            _ => {
                let old = self.truth.old_voucher(usize::from(b)).cloned();
                if let Some(old) = old {
                    self.with_node(Who::Payee, |node, env| node.claim_with(&old, env));
                }
            }
        }
    }
}
