//! Every scripted life of a route, with the power gone before, after and during each single effect of each party.

use warren_payments::channel::event::PayerEvent;
use warren_proto::PaymentId;

use crate::life::host::{Fuse, When};
use crate::life::names::{CONFIRMATIONS, Who};
use crate::life::road::node::Node;
use crate::life::road::paper;
use crate::life::road::world::{BLOCK_SECS, Road};

/// One thing that is done in a script.
#[derive(Debug, Clone, Copy)]
enum Do {
    /// A lock of so many units, end to end.
    Lock(u32),
    /// Serve and pay so many units of the newest payment.
    Pay(u32),
    /// The exit asks for a fold.
    Fold,
    /// What the exit holds goes to the tower.
    Put,
    /// So many blocks.
    Pass(u32),
    /// Until the newest payment's lock at the exit has expired.
    Expire,
    CloseUp,
    CloseDown,
    /// The exit is gone for good.
    Lose,
    /// Everybody's process ends and starts again.
    Restart,
}

use Do::{CloseDown, CloseUp, Expire, Fold, Lock, Lose, Pass, Pay, Put, Restart};

const FOLDED: &[Do] = &[Lock(8), Pay(3), Fold, Pay(2), Fold];
const ALL_FOLDED: &[Do] = &[Lock(4), Pay(4), Fold, Lock(3), Pay(1)];
const EXPIRED: &[Do] = &[Lock(8), Pay(3), Expire];
const CLOSED_UP: &[Do] = &[Lock(8), Pay(3), CloseUp, Pass(12), Fold];
const CLOSED_DOWN: &[Do] = &[Lock(8), Pay(2), Fold, Pay(2), CloseDown, Pass(12)];
const LOST: &[Do] = &[Lock(8), Pay(2), Put, Pay(2), Put, Lose, CloseDown];
const RESTARTED: &[Do] = &[Lock(8), Pay(2), Restart, Pay(2), Fold, Restart];

/// Where the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plug {
    Before,
    After,
    /// Before, and it is back only some actions later: what was on its way is lost.
    Torn,
}

impl Road {
    fn newest(&self) -> Option<PaymentId> {
        self.truth.deals.keys().next_back().copied()
    }

    fn perform(&mut self, what: Do) {
        match what {
            Lock(units) => self.begin(3, units),
            Pay(units) => {
                for _ in 0..units {
                    let Some(payment) = self.newest() else {
                        return;
                    };
                    self.serve(payment);
                    self.with_node(Who::Payer, |node, env| node.pay_for(payment, env));
                    self.chat();
                }
            }
            Fold => {
                if let Some(payment) = self.newest() {
                    self.with_node(Who::Payee, |node, env| node.ask_fold(payment, env));
                }
            }
            Put => self.with_node(Who::Payee, Node::put),
            Pass(blocks) => self.pass(blocks),
            Expire => {
                let deals = self.truth.deals.values();
                let last = deals.map(|it| it.down_expiry).max().unwrap_or(0);
                while self.chain.time < last + BLOCK_SECS {
                    self.pass(12);
                }
            }
            CloseUp => self.pay(Who::Payer, paper::up().id, PayerEvent::CloseAsked(None)),
            CloseDown => self.pay(Who::Router, paper::down().id, PayerEvent::CloseAsked(None)),
            Lose => self.lose_exit(),
            Restart => Who::ALL.into_iter().for_each(|it| self.restart(it)),
        }
        self.chat();
        Who::ALL.into_iter().for_each(|_| self.tick());
    }

    /// Plays a script with one pulled plug; says how many effects the victim got to.
    fn play(script: &[Do], victim: Who, plug: Option<(u64, Plug)>, way: u8) -> Result<u64, String> {
        let mut road = Self::new(None);
        if let Some((at, plug)) = plug {
            let when = if plug == Plug::After {
                When::After
            } else {
                When::Before
            };
            road.host(victim).fuse = Some(Fuse { at, when });
            road.set_outage(victim, if plug == Plug::Torn { 9 } else { 0 });
        }
        road.open();
        road.pass(u32::try_from(CONFIRMATIONS).unwrap());
        for what in script {
            road.perform(*what);
            road.check().map_err(|it| format!("{what:?}: {it}"))?;
        }
        let effects = road.host(victim).effects;
        road.settle_all(way)?;
        Ok(effects)
    }
}

fn every_effect_of(script: &[Do]) {
    let mut runs = 0;
    for victim in Who::ALL {
        let effects = Road::play(script, victim, None, 1).unwrap();
        for at in 0..effects {
            for (way, plug) in [(0, Plug::Before), (1, Plug::After), (2, Plug::Torn)] {
                runs += 1;
                if let Err(words) = Road::play(script, victim, Some((at, plug)), way) {
                    panic!("{victim:?}, {plug:?} effect {at} of {effects}: {words}");
                }
            }
        }
    }
    println!("{runs} crashes");
    assert!(runs > 100, "a script has effects");
}

#[test]
fn folded_twice() {
    every_effect_of(FOLDED);
}

#[test]
fn folded_to_the_last_word() {
    every_effect_of(ALL_FOLDED);
}

#[test]
fn expired() {
    every_effect_of(EXPIRED);
}

#[test]
fn closed_upstream() {
    every_effect_of(CLOSED_UP);
}

#[test]
fn closed_downstream() {
    every_effect_of(CLOSED_DOWN);
}

#[test]
fn exit_lost() {
    every_effect_of(LOST);
}

#[test]
fn restarted_in_the_middle() {
    every_effect_of(RESTARTED);
}
