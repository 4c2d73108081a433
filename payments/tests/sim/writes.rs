//! The product's own task with its disk gone at each single write of a life, on the real contract: before
//! the write, and after it but before anything that follows from it.

use warren_payments::Phase;
use warren_payments::store::Fault;

use crate::life::check::Verdict;
use crate::life::names::{Who, wei};
use crate::market::{HOUR, Market};
use crate::node::Node;

/// One thing that is done in a script.
#[derive(Debug, Clone, Copy)]
enum Do {
    /// Blocks until what was sent is confirmed.
    Confirm,
    /// A session of so many units.
    Buy(u64),
    TopUp,
    Claim,
    Agree,
    StartClose,
    /// The close window, as time passes.
    Window,
}

use Do::{Agree, Buy, Claim, Confirm, StartClose, TopUp, Window};

const PAID: &[Do] = &[Confirm, Buy(3), Claim, Confirm, Buy(2)];
const TOPPED_UP: &[Do] = &[Confirm, Buy(2), TopUp, Confirm, Buy(2)];
const AGREED: &[Do] = &[Confirm, Buy(3), Agree, Confirm];
const CLOSED: &[Do] = &[Confirm, Buy(3), StartClose, Confirm, Window, Confirm];

impl Market {
    fn perform(&mut self, what: Do) {
        let channel = self.channel;
        match what {
            Confirm => (0..8).for_each(|_| self.mine(1)),
            Buy(units) => {
                self.work(0, 0);
                self.drain();
                for _ in 0..units {
                    self.work(4, 0);
                    self.work(1, 0);
                    self.drain();
                }
                self.finish();
                self.drain();
            }
            TopUp => drop(
                self.payer
                    .ask(|it| async move { it.top_up(channel, wei(40)).await }),
            ),
            Claim => drop(self.payee.ask(|it| async move { it.claim(channel).await })),
            Agree => self.agree_to_close(),
            StartClose => {
                drop(
                    self.payer
                        .ask(|it| async move { it.close(channel, None).await }),
                );
            }
            Window => {
                for _ in 0..13 {
                    self.chain.advance(HOUR / 12);
                    self.mine(1);
                }
            }
        }
    }

    fn drain(&mut self) {
        while !self.frames.is_empty() {
            self.deliver(0);
        }
    }

    fn victim(&mut self, who: Who) -> &mut Node {
        match who {
            Who::Payer => &mut self.payer,
            _ => &mut self.payee,
        }
    }

    /// Plays a script; the victim's disk is gone at one of its writes, and then its process. Says how many
    /// writes there were.
    fn play(script: &[Do], who: Who, fault: Option<Fault>) -> Result<u64, String> {
        let mut market = Self::open();
        let before = market.victim(who).writes();
        market.victim(who).spoil(fault);
        let mut writes = None;
        for what in script {
            if matches!(what, Window) {
                // Every bound takes it that a payee is back before the window ends.
                writes = Some(market.victim(who).writes() - before);
                market.victim(who).restart();
            }
            market.perform(*what);
            market.check().map_err(|it| format!("{what:?}: {it}"))?;
        }
        let writes = writes.unwrap_or_else(|| market.victim(who).writes() - before);
        market.victim(who).restart();
        market.settle_all(1)?;
        Ok(writes)
    }
}

fn every_write_of(script: &[Do]) {
    let played = |who, fault| -> Verdict { Market::play(script, who, fault).map(drop) };
    let mut runs = 0;
    for who in [Who::Payer, Who::Payee] {
        let writes = Market::play(script, who, None).unwrap();
        assert!(writes > 3, "{who:?} writes {writes} times");
        for at in 0..writes {
            for fault in [Fault::LoseFrom(at), Fault::KeepThenFail(at)] {
                runs += 1;
                if let Err(words) = played(who, Some(fault)) {
                    panic!("{who:?}, {fault:?} of {writes}: {words}");
                }
            }
        }
    }
    println!("{runs} crashes");
}

#[test]
fn paid_and_claimed() {
    every_write_of(PAID);
}

#[test]
fn topped_up() {
    every_write_of(TOPPED_UP);
}

#[test]
fn closed_by_both() {
    every_write_of(AGREED);
}

#[test]
fn closed_by_the_payer() {
    every_write_of(CLOSED);
}

#[test]
fn a_whole_life_ends_closed() {
    let mut market = Market::open();
    CLOSED.iter().for_each(|it| market.perform(*it));
    assert_eq!(Market::phase(&market.payer), Some(Phase::Closed));
}
