//! What an onlooker who sees everything knows of a route, and the bounds of `docs/payments.md` it holds parties to.

use std::collections::BTreeMap;

use warren_payments::voucher::worth;
use warren_payments::{Evidence, VerifiedVoucher};
use warren_proto::{Amount, ChannelId, Lock, PaymentId, TowerPut, Voucher, WordFrame};

use super::super::chain::{Chain, FORTUNE};
use super::super::check::{Verdict, demand};
use super::super::names::{CREDIT_UNITS, PREPAY_UNITS, Who};
use super::mail::Note;
use super::node::Node;
use super::paper;
use super::router::HOLD_FEE;
use super::world::BLOCK_SECS;

/// A tower claims no words of a lock that has two minutes or less, and looks once a block: a put that comes when
/// its lock has no more seconds than this came too late.
const TOWER_SECS: u64 = 120 + BLOCK_SECS;

/// One routed payment, all parties together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deal {
    up_price: u128,
    down_price: u128,
    pub(crate) up_expiry: u64,
    pub(crate) down_expiry: u64,
    /// Words that the consumer said.
    said: u32,
    /// Words that the exit said it has.
    heard: u32,
    pub(crate) served: u64,
}

impl Deal {
    pub(crate) fn new(lock: &Lock, (price, down_expiry): (u64, u64)) -> Self {
        Self {
            up_price: lock.unit_price.wei(),
            down_price: u128::from(price),
            up_expiry: lock.expiry,
            down_expiry,
            said: 0,
            heard: 0,
            served: 0,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) deals: BTreeMap<PaymentId, Deal>,
    signed: BTreeMap<(ChannelId, u64), (Amount, Vec<Lock>)>,
    /// Vouchers that the exit was ever given.
    downs: Vec<VerifiedVoucher>,
    /// What each put proves, by number, and the put itself once it has left.
    puts: Vec<(Evidence, Option<TowerPut>)>,
    /// The most that a put was worth that the tower said it keeps, of what it had the time to claim.
    towered: u128,
    /// An exit that lets its locks expire and shows its words too late.
    pub(crate) lazy: bool,
    /// An exit that is gone; its tower is all it has.
    pub(crate) absent: bool,
    complaint: Option<String>,
}

impl Truth {
    pub(crate) fn complain(&mut self, words: &str) {
        self.complaint.get_or_insert_with(|| words.to_owned());
    }

    pub(crate) fn next_payment(&self) -> PaymentId {
        let number = u8::try_from(self.deals.len() + 1).unwrap();
        PaymentId::from_bytes([number; 16])
    }

    pub(crate) fn next_put(&mut self, evidence: Evidence) -> u64 {
        self.puts.push((evidence, None));
        self.puts.len() as u64
    }

    /// A tower keeps a put of the channel that the router pays the exit on.
    pub(crate) fn kept(&mut self, number: u64, chain: &Chain) {
        let (put, _) = &self.puts[usize::try_from(number).unwrap() - 1];
        let soonest = chain.time + TOWER_SECS;
        let locks = &put.voucher.locks;
        let expiry = |it: &WordFrame| locks[usize::try_from(it.lane).unwrap()].expiry;
        let best = put.best.iter().filter(|it| expiry(it) > soonest);
        let sum = worth(&put.voucher, &best.cloned().collect::<Vec<_>>()).unwrap();
        let deposit = chain.book_of(paper::down().id).deposit;
        self.towered = self.towered.max(sum.wei().min(deposit));
    }

    pub(crate) fn has_tower(&self) -> bool {
        self.towered > 0
    }

    /// Whether a party does not look after its locks.
    pub(crate) fn sleeps(&self, who: Who) -> bool {
        self.lazy && who == Who::Payee
    }

    /// A payment: the newest, or any.
    pub(crate) fn a_deal(&self, which: u8) -> Option<PaymentId> {
        let place = usize::from(which) % self.deals.len().max(1);
        let any = self.deals.keys().nth(place);
        let newest = self.deals.keys().next_back();
        if which & 3 == 0 { any } else { newest }.copied()
    }

    pub(crate) fn old_voucher(&self, which: usize) -> Option<&VerifiedVoucher> {
        self.downs.get(which % self.downs.len().max(1))
    }

    /// A put that was on its way once.
    pub(crate) fn old_put(&self, which: usize) -> Option<&TowerPut> {
        let put = self.puts.get(which % self.puts.len().max(1));
        put.and_then(|(_, it)| it.as_ref())
    }

    /// Something was said.
    pub(crate) fn hear(&mut self, note: &Note) {
        match note {
            Note::Offer(it) => self.sees(&it.voucher),
            Note::Voucher(it) => self.sees(it.get()),
            Note::Word { payment, k, .. } => {
                if let Some(deal) = self.deals.get_mut(payment) {
                    deal.said = deal.said.max(*k);
                }
            }
            Note::Heard { payment, k } => {
                if let Some(deal) = self.deals.get_mut(payment) {
                    deal.heard = deal.heard.max(*k);
                }
            }
            Note::Put(it) => {
                let place = usize::try_from(it.number).unwrap() - 1;
                self.puts[place].1 = Some((**it).clone());
            }
            Note::Ready(_)
            | Note::Reject(_)
            | Note::Fulfill(_)
            | Note::Ack(_)
            | Note::AskClose { .. }
            | Note::Consent(_)
            | Note::Answer(_) => {}
        }
    }

    fn sees(&mut self, voucher: &Voucher) {
        let name = (voucher.channel, voucher.seq);
        let says = (voucher.base, voucher.locks.clone());
        let known = self.signed.entry(name).or_insert_with(|| says.clone());
        if *known != says {
            let words = format!("P1: two vouchers of one number: {known:?} and {says:?}");
            self.complain(&words);
        }
        if voucher.channel == paper::down().id {
            self.downs.push(paper::verified(voucher));
        }
    }

    /// Holds at every moment.
    pub(crate) fn check(&self, chain: &Chain) -> Verdict {
        if let Some(words) = &self.complaint {
            return Err(words.clone());
        }
        let (up, down) = self.books(chain);
        let held = chain.held();
        demand!(
            held == 2 * FORTUNE,
            "I6: {held} of {} are left",
            2 * FORTUNE
        );
        for (book, name) in [(up, "up"), (down, "down")] {
            demand!(book.claimed <= book.deposit, "I7: {name}: {book:?}");
        }
        let deals = self.deals.values();
        // A fee is in the base with the lock, whether or not the offer ever left.
        let fees = deals.len() as u128 * u128::from(HOLD_FEE);
        let words = |price: fn(&Deal) -> u128| -> u128 {
            let deals = self.deals.values();
            deals.map(|it| price(it) * u128::from(it.said)).sum()
        };
        let most = fees + words(|it| it.up_price);
        demand!(
            up.claimed <= most,
            "I3: {} claimed of the consumer, {most} released",
            up.claimed
        );
        let most = words(|it| it.down_price);
        demand!(
            down.claimed <= most,
            "I3: {} claimed of the router, {most} said",
            down.claimed
        );
        for it in deals {
            let (said, served) = (u64::from(it.said), it.served);
            demand!(
                said <= served + PREPAY_UNITS,
                "I2: {said} paid, {served} served"
            );
        }
        Ok(())
    }

    /// Holds while the exit is there.
    pub(crate) fn check_exit(&self, exit: &Node) -> Verdict {
        let payee = &exit.payees[&paper::down().id];
        for (payment, deal) in &self.deals {
            let Some(held) = payee.routed(payment) else {
                continue;
            };
            let (units, heard, served) = (held.units, deal.heard, deal.served);
            demand!(units >= heard, "I4: {units} held, {heard} acknowledged");
            demand!(
                served <= u64::from(units) + CREDIT_UNITS,
                "I1: {served} served for {units}"
            );
        }
        Ok(())
    }

    /// Holds when everything is settled.
    pub(crate) fn check_end(&self, chain: &Chain) -> Verdict {
        let (up, down) = self.books(chain);
        demand!(
            up.claimed >= down.claimed,
            "I5: the router paid {} and was paid {}",
            down.claimed,
            up.claimed
        );
        demand!(
            down.claimed >= self.towered || self.lazy,
            "a tower kept {}, {} were claimed",
            self.towered,
            down.claimed
        );
        if self.lazy || self.absent {
            return Ok(());
        }
        let deals = self.deals.values();
        let (mut served, mut credit) = (0, 0);
        for it in deals {
            served += it.down_price * u128::from(it.served);
            credit += it.down_price * u128::from(CREDIT_UNITS.min(it.served));
        }
        demand!(
            served <= down.claimed + credit,
            "I1: {served} served, {} paid, {credit} on credit",
            down.claimed
        );
        Ok(())
    }

    fn books(&self, chain: &Chain) -> (super::super::contract::Book, super::super::contract::Book) {
        let of = |id| chain.book_of(id);
        (of(paper::up().id), of(paper::down().id))
    }
}
