//! What an onlooker who sees everything knows, and the bounds of `docs/payments.md` it holds parties to.

use std::collections::BTreeMap;

use warren_payments::channel::event::VoucherDraft;

use super::chain::{Chain, FORTUNE};
use super::names::{CREDIT_UNITS, MOST_PRICE, PREPAY_UNITS, terms};
use super::payee::Payee;

/// A payer that crashes may count so many units as released that were not.
const RESERVE_UNITS: u64 = 16;

/// A broken rule, in words.
pub(crate) type Verdict = Result<(), String>;

/// Fails with the rule and what was seen.
macro_rules! demand {
    ($holds:expr, $($words:tt)*) => {
        if !$holds {
            return Err(format!($($words)*));
        }
    };
}
pub(crate) use demand;

/// What was said and done, all parties together.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    signed: BTreeMap<u64, VoucherDraft>,
    /// The best word said of each tranche; worth nothing before its voucher is out.
    revealed: BTreeMap<u64, u32>,
    /// The most that can be claimed: the best base, or a base with the words released under it.
    pub(crate) most: u128,
    /// The most that the payee said it holds.
    acked: u128,
    /// Worth of what was served.
    pub(crate) served: u128,
    /// Worth of what may be served and not paid, over all sessions.
    credit: u128,
    /// Worth of what may be paid and not served, over all sessions and crashes.
    prepay: u128,
    /// A rule that was broken by what was said, not by what is held.
    pub(crate) complaint: Option<String>,
}

impl Truth {
    pub(crate) fn signed(&mut self, draft: &VoucherDraft) {
        match self.signed.get(&draft.seq) {
            Some(old) if old != draft => {
                let words = format!("P1: two vouchers of one number: {old:?} and {draft:?}");
                self.complaint = Some(words);
            }
            Some(_) => {}
            None => drop(self.signed.insert(draft.seq, draft.clone())),
        }
        self.most = self.most.max(draft.base.wei());
        self.weigh(draft.seq);
    }

    /// The payer lets its payee have a total, by closing with it. What it released and forgot in a crash is among
    /// that, and what its payee only says that it was: I2 bounds both.
    pub(crate) fn agreed(&mut self, total: u128) {
        self.most = self.most.max(total);
    }

    /// I8: a voucher for somewhere else was believed.
    pub(crate) fn weighs_nothing(&mut self) {
        self.complaint = Some("I8: a voucher for another place is believed".to_owned());
    }

    pub(crate) fn revealed(&mut self, tranche: u64, k: u32) {
        let best = self.revealed.entry(tranche).or_default();
        *best = k.max(*best);
        self.weigh(tranche);
    }

    fn weigh(&mut self, tranche: u64) {
        let (draft, k) = (self.signed.get(&tranche), self.revealed.get(&tranche));
        if let (Some(draft), Some(k)) = (draft, k) {
            let price = draft.lock.map_or(0, |it| it.unit_price.wei());
            self.most = self.most.max(draft.base.wei() + price * u128::from(*k));
        }
    }

    /// Any voucher ever signed, to be said again.
    pub(crate) fn old_voucher(&self, which: usize) -> Option<&VoucherDraft> {
        self.signed.values().nth(which % self.signed.len().max(1))
    }

    pub(crate) fn acked(&mut self, value: u128) {
        self.acked = self.acked.max(value);
    }

    /// The payee begins to serve; frames that come twice begin it twice.
    pub(crate) fn serving_began(&mut self, price: u64) {
        self.credit += u128::from(CREDIT_UNITS * price);
    }

    pub(crate) fn buying_began(&mut self, price: u64) {
        self.prepay += u128::from(PREPAY_UNITS * price);
    }

    pub(crate) fn payer_crashed(&mut self) {
        self.prepay += u128::from(RESERVE_UNITS * MOST_PRICE);
    }

    /// Holds at every moment.
    pub(crate) fn check(&self, chain: &Chain, payee: &Payee) -> Verdict {
        if let Some(words) = &self.complaint {
            return Err(words.clone());
        }
        let book = chain.book();
        let now = payee.desk.host.now(chain);
        let value = payee.desk.core.value(now).wei();
        let (most, acked, served) = (self.most, self.acked, self.served);
        demand!(
            chain.held() == FORTUNE,
            "I6: {} of {FORTUNE} are left",
            chain.held()
        );
        demand!(book.claimed <= book.deposit, "I7: {book:?}");
        demand!(
            book.claimed <= most,
            "I3: {} claimed, {most} released",
            book.claimed
        );
        demand!(value <= most, "I3: {value} held, {most} released");
        demand!(value >= acked, "I4, I7: {value} held, {acked} acknowledged");
        let credit = self.credit;
        demand!(
            served <= value + credit,
            "I1: {served} served for {value}, {credit} on credit"
        );
        let prepaid = self.prepay;
        demand!(
            most <= served + prepaid,
            "I2: {most} paid for {served}, {prepaid} in advance"
        );
        Ok(())
    }

    /// Holds when everything is settled: every unit served is paid or within the credit. What a payee serves after a
    /// consent of which its core knows nothing is its own loss.
    pub(crate) fn check_end(&self, chain: &Chain) -> Verdict {
        let (claimed, served, credit) = (chain.book().claimed, self.served, self.credit);
        demand!(
            served <= claimed + credit || chain.is_reckless(terms().id),
            "I1: {served} served, {claimed} paid, {credit} on credit"
        );
        Ok(())
    }
}
