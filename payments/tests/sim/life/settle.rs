//! The end of every schedule: all faults stop, both sides agree, the channel is closed in one of the ways
//! there are, and the books of both are those of the chain.

use warren_payments::Phase;
use warren_payments::channel::event::PayerEvent;
use warren_payments::ledger::Account;

use super::check::{Verdict, demand};
use super::names::{CONFIRMATIONS, Who, terms};
use super::wire::Frame;
use super::world::World;

/// Blocks in which everything must have come to its end: the close window is 300.
const LAST_BLOCKS: u32 = 1000;
/// Frames in which both must agree.
const LAST_FRAMES: u32 = 300;

impl World {
    /// Ends everything; `way` says how the channel is closed if it still is open.
    pub(crate) fn settle_all(&mut self, way: u8) -> Verdict {
        self.calm_down();
        self.check()?;
        let quiet = u32::try_from(CONFIRMATIONS).unwrap() + 8;
        for _ in 0..quiet {
            self.pass(1);
            self.check()?;
        }
        self.agree()?;
        self.close(way)?;
        self.check()?;
        self.truth.check_end(&self.chain)?;
        self.check_books()
    }

    /// No fault goes on; what was on its way between the parties is lost.
    fn calm_down(&mut self) {
        self.wires.clear();
        for who in [Who::Payer, Who::Payee] {
            self.heal(who);
            self.host(who).skew_secs = 0;
            self.restart(who);
        }
        (self.payer.session, self.payee.session) = (None, None);
    }

    fn chat(&mut self) {
        for _ in 0..LAST_FRAMES {
            self.deliver(Who::Payee, 0);
            self.deliver(Who::Payer, 0);
        }
    }

    /// Both say what they hold, and the payer folds what was released into a plain total.
    fn agree(&mut self) -> Verdict {
        self.wires.send(Who::Payee, Frame::Show);
        self.chat();
        self.buy(|payer, env| payer.take(PayerEvent::FinalAsked, env));
        self.chat();
        self.check()?;
        let now = self.payee.desk.host.now(&self.chain);
        let (payer, payee) = (&self.payer.desk.core, &self.payee.desk.core);
        let (spent, held) = (payer.value(), payee.value(now));
        demand!(
            held <= spent || payer.phase() == Phase::Closed,
            "payer knows of {spent}, payee holds {held}"
        );
        let open = payer.phase() == Phase::Open && payee.phase() == Phase::Open;
        let waits = payee.acknowledgement(now).seq < payer.draft().map_or(0, |it| it.seq);
        demand!(
            !open || waits || spent == held,
            "payer knows of {spent}, payee holds {held}"
        );
        Ok(())
    }

    /// Closes, if it is not closing already, and waits until both know.
    fn close(&mut self, way: u8) -> Verdict {
        if way.is_multiple_of(3) {
            self.ask_close(255);
            self.chat();
        }
        for block in 0..LAST_BLOCKS {
            self.pass(1);
            self.check()?;
            if self.is_over() {
                break;
            }
            let core = &self.payer.desk.core;
            let asks = core.phase() == Phase::Open && !core.is_acting();
            if asks && block % 16 == 15 {
                self.buy(|payer, env| payer.take(PayerEvent::CloseAsked(None), env));
            }
        }
        self.demand_over()
    }

    /// The ledger of each ends as the chain does.
    fn check_books(&self) -> Verdict {
        let book = self.chain.book();
        demand!(book.closed, "the channel is open: {book:?}");
        let claimed = i128::try_from(book.claimed).unwrap();
        let rest = i128::try_from(book.deposit - book.claimed).unwrap();
        let (payer, payee) = (self.payer.desk.balances(), self.payee.desk.balances());
        for (whose, balances, account, wanted) in [
            ("payer", &payer, Account::Spent, claimed),
            ("payer", &payer, Account::Deposited, 0),
            ("payer", &payer, Account::Pot, rest),
            ("payee", &payee, Account::Pot, claimed),
        ] {
            let seen = balances.net(account);
            let name = account.name();
            demand!(
                seen == wanted,
                "the {whose}'s {name} says {seen}, the chain {wanted}"
            );
        }
        let now = self.payee.desk.host.now(&self.chain);
        let held = self.payee.desk.core.value(now).wei();
        // A payee may consent to more than it holds, within what was released. What it earns after one of
        // which its core knows nothing is its own loss.
        demand!(
            held <= book.claimed || self.chain.is_reckless(terms().id),
            "{held} held and {} claimed: {book:?}",
            book.claimed
        );
        Ok(())
    }
}
