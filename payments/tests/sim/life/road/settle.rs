//! The end of every schedule of a route: all faults stop, locks are folded or expire, both channels are closed in
//! one of the ways there are, and the books of all are those of the chain.

use warren_payments::Phase;
use warren_payments::channel::event::PayerEvent;
use warren_payments::ledger::Account;

use super::super::check::{Verdict, demand};
use super::super::names::{CONFIRMATIONS, Who};
use super::paper;
use super::world::{BLOCK_SECS, Road};

/// Blocks in which everything must have come to its end, once no lock lives: a close window is 334.
const LAST_BLOCKS: u32 = 800;
/// Blocks between two looks when nothing is in danger.
const STRIDE: u32 = 3;
/// Notes in which all must agree.
const LAST_NOTES: u32 = 60;

impl Road {
    /// Ends everything; `way` says how the channels are closed if they still are open, and whether the exit is
    /// there to see it.
    pub(crate) fn settle_all(&mut self, way: u8) -> Verdict {
        if way & 8 != 0 && self.truth.has_tower() && !self.truth.lazy {
            self.lose_exit();
        }
        self.calm_down();
        self.check()?;
        for _ in 0..CONFIRMATIONS + 8 {
            self.pass(1);
            self.check()?;
        }
        self.fold_all();
        self.outlive_locks()?;
        self.close(way)?;
        self.check()?;
        if self.truth.absent {
            self.find_exit();
            self.pass(u32::try_from(CONFIRMATIONS).unwrap() + 4);
        }
        self.truth.check_end(&self.chain)?;
        self.check_books()
    }

    /// No fault goes on; what was on its way between the parties is lost.
    fn calm_down(&mut self) {
        self.wires.clear();
        for who in Who::ALL {
            self.heal(who);
            self.restart(who);
        }
    }

    pub(crate) fn chat(&mut self) {
        for _ in 0..LAST_NOTES {
            for who in Who::ALL {
                self.deliver(who, 0);
            }
        }
    }

    fn fold_all(&mut self) {
        if self.truth.lazy {
            return;
        }
        for payment in self.truth.deals.keys().copied().collect::<Vec<_>>() {
            self.with_node(Who::Payee, |node, env| node.ask_fold(payment, env));
            self.chat();
        }
    }

    /// Until the last lock has expired and everybody knows. A lazy exit shows its words when they are worth nothing.
    fn outlive_locks(&mut self) -> Verdict {
        let deals = self.truth.deals.values();
        let last = deals.map(|it| it.up_expiry).max().unwrap_or(0);
        let until = last + (CONFIRMATIONS + 6) * BLOCK_SECS;
        while self.chain.time < until {
            self.pass(STRIDE);
            self.check()?;
            if self.truth.lazy {
                self.show_late();
            }
        }
        let routes = &self.of(Who::Router).routes;
        demand!(routes.is_empty(), "a lock is stuck: {routes:?}");
        Ok(())
    }

    fn show_late(&mut self) {
        let time = self.chain.time;
        let deals = self.truth.deals.iter();
        let late = deals.filter(|(_, it)| (it.up_expiry..it.up_expiry + 400).contains(&time));
        for payment in late.map(|(it, _)| *it).collect::<Vec<_>>() {
            self.with_node(Who::Payee, |node, env| node.ask_fold(payment, env));
            self.chat();
        }
    }

    /// Closes, if it is not closing already, and waits until all know.
    fn close(&mut self, way: u8) -> Verdict {
        let ends = [
            (Who::Payer, paper::up().id),
            (Who::Router, paper::down().id),
        ];
        if way.is_multiple_of(3) {
            for (_, id) in ends {
                self.ask_close(id, 255);
            }
            self.chat();
        }
        for round in 0..LAST_BLOCKS / STRIDE {
            self.pass(STRIDE);
            self.check()?;
            if self.is_over() {
                break;
            }
            for (who, id) in ends {
                let core = &self.of(who).payers[&id];
                let asks = core.phase() == Phase::Open && !core.is_acting();
                if asks && round % 6 == 5 {
                    self.pay(who, id, PayerEvent::CloseAsked(None));
                }
            }
        }
        let over = self.is_over();
        let (up, down) = (paper::up().id, paper::down().id);
        let books = (self.chain.book_of(up), self.chain.book_of(down));
        demand!(over, "stuck: {books:?}");
        Ok(())
    }

    fn is_over(&mut self) -> bool {
        let nodes = [Who::Payer, Who::Router, Who::Payee].map(|it| self.of(it));
        let absent = self.truth.absent;
        let nodes = nodes.into_iter();
        let nodes = nodes.filter(|it| !absent || it.host.who != Who::Payee);
        let phases = nodes.flat_map(|it| {
            let payers = it.payers.values().map(|it| it.phase());
            payers.chain(it.payees.values().map(|it| it.phase()))
        });
        let closed = phases
            .collect::<Vec<_>>()
            .iter()
            .all(|it| *it == Phase::Closed);
        closed && self.is_idle()
    }

    /// The ledger of each ends as the chain does.
    fn check_books(&self) -> Verdict {
        let (up, down) = (paper::up().id, paper::down().id);
        let (up, down) = (self.chain.book_of(up), self.chain.book_of(down));
        let signed = |it: u128| i128::try_from(it).unwrap();
        let rest = |it: super::super::contract::Book| signed(it.deposit - it.claimed);
        for (who, account, wanted) in [
            (Who::Payer, Account::Spent, signed(up.claimed)),
            (Who::Payer, Account::Deposited, 0),
            (Who::Payer, Account::Pot, rest(up)),
            (Who::Router, Account::Spent, signed(down.claimed)),
            (Who::Router, Account::Deposited, 0),
            (Who::Router, Account::Pot, signed(up.claimed) + rest(down)),
            (Who::Router, Account::Claimable, 0),
            (Who::Payee, Account::Pot, signed(down.claimed)),
            (Who::Payee, Account::Claimable, 0),
        ] {
            let seen = self.of(who).balances().net(account);
            let name = account.name();
            demand!(
                seen == wanted,
                "{who:?}'s {name} says {seen}, the chain {wanted}"
            );
        }
        Ok(())
    }
}
